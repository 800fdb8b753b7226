-- Each instrument's returns over p_dates, oldest first: 0 on a date without a close, whose return the next one
-- holds. reason: why the history cannot be used.
create or replace function risk._aligned_returns(p_dates date[], p_settings risk.var_settings)
returns table (instrument_id integer, returns double precision[], gaps integer, reason text)
language sql
stable
as $$
    with daily as materialized (
        -- A date that does not count is placed on the next one that does.
        select r.instrument_id, pg_catalog.width_bucket(r.date - 1, p_dates) + 1 as n,
            case when count(*) = 1 then min(r.simple_return)
                else (market._product((1 + r.simple_return)::numeric) - 1)::double precision end as simple_return,
            min(r.reason) as reason
        from risk.returns r
        where r.date >= p_dates[1] and r.date <= p_dates[pg_catalog.cardinality(p_dates)]
        group by 1, 2),
    instruments as (
        select d.instrument_id, min(d.reason) as reason, bool_or(pg_catalog.abs(d.simple_return) > 400) as beyond
        from daily d
        group by d.instrument_id),
    aligned as (
        select i.instrument_id, min(i.reason) as reason, bool_or(i.beyond) as beyond,
            pg_catalog.array_agg(coalesce(d.simple_return, 0) order by n) as returns,
            count(*) filter (where d.simple_return is null)::integer as gaps
        from instruments i
        cross join pg_catalog.generate_series(1, pg_catalog.cardinality(p_dates)) n
        left join daily d using (instrument_id, n)
        group by i.instrument_id)
    select a.instrument_id, a.returns, a.gaps,
        case
            when pg_catalog.cardinality(p_dates) < p_settings.window_days then pg_catalog.format(
                'only %s of %s days of history', pg_catalog.cardinality(p_dates), p_settings.window_days)
            when a.reason is not null then a.reason
            when a.beyond then 'a return of more than 40,000%'
            when a.gaps > p_settings.max_gaps then pg_catalog.format(
                '%s of %s days without a return', a.gaps, p_settings.window_days)
        end
    from aligned a
$$;
comment on function risk._aligned_returns(date[], risk.var_settings) is
    'Each instrument''s returns over given dates, with what is missing.';
