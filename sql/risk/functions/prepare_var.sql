-- Prepares the history that figures as of p_as_of are made of: the last window_days dates known by then, and
-- each instrument's returns over them, once for every currency that an account is in. Dates are those on which at least half as many instruments have
-- a return as on the busiest; a return of another date goes to the next one that counts. Repeatable: a set
-- that is still right is not made again. Returns the sets' ids; none where no date is known.
-- Sets that are not the last of their date, and those of other dates made more than 30 days ago, are dropped.
-- Errors: TT001 no time.
create or replace function risk.prepare_var(p_as_of timestamptz)
returns setof bigint
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_settings constant risk.var_settings := risk._var_settings();
    v_dates date[];
    v_known_at timestamptz;
    v_currency text;
begin
    perform ops._audit('risk.prepare_var', p_as_of::text);
    if p_as_of is null or not isfinite(p_as_of) then
        raise exception 'value at risk is prepared as of a time' using errcode = 'TT001';
    end if;
    perform pg_advisory_xact_lock(hashtextextended('risk.prepare_var', 0));
    -- Twice the days leave room for weekends and holidays.
    with days as (
        select r.date, count(*) as n, max(r.known_at) as known_at
        from risk.returns r
        where r.known_at <= p_as_of and r.simple_return is not null
            and r.date > (p_as_of at time zone 'UTC')::date - 2 * v_settings.window_days - 30
        group by r.date),
    counted as (
        select d.* from days d where 2 * d.n >= (select max(n) from days)
        order by d.date desc limit v_settings.window_days)
    select array_agg(c.date order by c.date), max(c.known_at) into v_dates, v_known_at from counted c;
    if v_dates is null then
        return;
    end if;
    for v_currency in select distinct a.currency from ref.accounts a order by a.currency loop
        return next risk._prepare_set(v_settings, v_dates, v_known_at, v_currency, p_as_of);
    end loop;
    perform risk._prepare_normals(v_settings);
end
$$;
comment on function risk.prepare_var(timestamptz) is
    'Prepares the history that value at risk as of a time is made of, a set per currency of the accounts; returns the sets'' ids. Errors: TT001.';
grant execute on function risk.prepare_var(timestamptz) to tsdb_worker_scheduler, tsdb_risk;
