-- Prepares the history that figures as of p_as_of are made of: the last window_days dates known by then, and
-- each instrument's returns over them. Dates are those on which at least half as many instruments have
-- a return as on the busiest; a return of another date goes to the next one that counts. Repeatable: a set
-- that is still right is not made again. Returns its id, or null where no date is known.
-- Sets that are not the last of their date, and those of other dates made more than 30 days ago, are dropped.
-- Errors: TT001 no time.
create or replace function risk.prepare_var(p_as_of timestamptz)
returns bigint
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_settings constant risk.var_settings := risk._var_settings();
    v_dates date[];
    v_known_at timestamptz;
    v_watermark timestamptz;
    v_instruments integer;
    v_set_id bigint;
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
        return null;
    end if;
    select max(r.recorded_at), count(distinct r.instrument_id) into v_watermark, v_instruments
    from risk.returns r where r.date between v_dates[1] and v_dates[cardinality(v_dates)];
    select s.set_id into v_set_id from risk._return_sets s
    where s.settings_id = v_settings.settings_id and s.dates = v_dates and s.watermark = v_watermark
        and s.instruments = v_instruments;
    if found then
        return v_set_id;
    end if;
    delete from risk._return_sets s
    where s.dates[cardinality(s.dates)] = v_dates[cardinality(v_dates)]
        or s.built_at < clock_timestamp() - interval '30 days';
    insert into risk._return_sets (settings_id, dates, known_at, watermark, instruments)
    values (v_settings.settings_id, v_dates, v_known_at, v_watermark, v_instruments)
    returning set_id into v_set_id;
    insert into risk._windows (set_id, instrument_id, packed, returns, gaps, reason)
    select v_set_id, w.instrument_id, case when w.reason is null then risk._pack(w.returns) end,
        case when w.reason is null then w.returns end, w.gaps, w.reason
    from risk._aligned_returns(v_dates, v_settings) w;
    analyze risk._windows;
    perform risk._prepare_normals(v_settings);
    return v_set_id;
end
$$;
comment on function risk.prepare_var(timestamptz) is
    'Prepares the history that value at risk as of a time is made of; returns the set''s id. Errors: TT001.';
grant execute on function risk.prepare_var(timestamptz) to tsdb_worker_scheduler, tsdb_risk;
