-- The prices of a run as arrays: its times in order, and per instrument one element per time.
create or replace function backtest._read_series(
    p_run jsonb, p_instruments integer[], p_from timestamptz, p_to timestamptz,
    out times timestamptz[], out series backtest.price_series[]
)
language plpgsql
stable
set search_path = pg_catalog, pg_temp
set work_mem = '256MB'
as $$
begin
    if p_run->>'source' = 'daily' then
        select d.times, d.series into times, series from backtest._read_daily(p_run, p_instruments, p_from, p_to) d;
        return;
    end if;
    with prices as materialized (
        select * from backtest._read_prices(p_run, p_instruments, p_from, p_to)
    ),
    moments as materialized (
        select p.as_of, row_number() over (order by p.as_of) as n
        from (select distinct x.as_of from prices x) p
    ),
    -- Where an instrument has no price: few, so that they are looked for only where some are missing.
    missing as (
        select g.instrument_id, m.n
        from (
            select p.instrument_id from prices p
            group by p.instrument_id having count(*) < (select count(*) from moments)) g
        cross join moments m
        where not exists (select from prices p where p.instrument_id = g.instrument_id and p.as_of = m.as_of)
    ),
    aligned as (
        select p.instrument_id, m.n, p.mid, p.bid, p.ask, coalesce(p.open, 'NaN') as open,
               coalesce(p.volume, 'NaN') as volume, coalesce(p.factor, 1) as factor
        from prices p join moments m on m.as_of = p.as_of
        union all
        select g.instrument_id, g.n, 'NaN', 'NaN', 'NaN', 'NaN', 'NaN', 'NaN' from missing g
    ),
    arrays as materialized (
        select a.instrument_id, array_agg(a.mid order by a.n) as mids, array_agg(a.bid order by a.n) as bids,
               array_agg(a.ask order by a.n) as asks, array_agg(a.open order by a.n) as opens,
               array_agg(a.volume order by a.n) as volumes, array_agg(a.factor order by a.n) as factors
        from aligned a group by a.instrument_id
    ),
    marked as (
        select a.*, case when exists (select from missing g where g.instrument_id = a.instrument_id) then (
            select array_agg(coalesce(a.mids[k.last], 'NaN') order by k.n)
            from (
                select u.n, max(u.n) filter (where u.mid <> 'NaN') over (order by u.n) as last
                from unnest(a.mids) with ordinality u (mid, n)) k)
            else a.mids end as marks
        from arrays a
    )
    select array(select m.as_of from moments m order by m.n),
           array(select row(m.instrument_id, m.mids, m.bids, m.asks, m.opens, m.volumes, m.factors, m.marks)
                        ::backtest.price_series
                 from marked m order by m.instrument_id)
    into times, series;
end
$$;
comment on function backtest._read_series(jsonb, integer[], timestamptz, timestamptz) is
    'The prices of a run as arrays.';
