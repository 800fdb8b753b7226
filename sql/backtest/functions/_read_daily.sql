-- The daily bars of a run as arrays, carried forward, each known at the exchange's close of its date; the 60
-- days before p_from come first: volatility and volume are taken from them, no step. An instrument's bars
-- are put into arrays as they are sorted; only where dates are missing they are laid out again, on all dates.
create or replace function backtest._read_daily(
    p_run jsonb, p_instruments integer[], p_from timestamptz, p_to timestamptz,
    out times timestamptz[], out series backtest.price_series[]
)
language plpgsql
stable
set search_path = pg_catalog, pg_temp
set work_mem = '256MB'
as $$
declare
    c_history constant interval := '60 days';
    v_feed_id constant integer := (select f.feed_id from ops.feeds f where f.feed = p_run->>'feed');
begin
    with factors as materialized (
        select f.* from backtest._forward_factors(
            p_run->>'feed', p_instruments, (p_to at time zone 'America/New_York')::date) f
        where f.problem is null
    ),
    days as materialized (
        select t.ts, d.date, h.closes_at
        from (select distinct b.ts from market._source_bars b
              where b.feed_id = v_feed_id and b.resolution = '1d' and b.side = 'trade'
                  and b.instrument_id = any (p_instruments) and b.ts > p_from - c_history and b.ts <= p_to) t
        -- A bar starts at midnight of its date, wherever its market is.
        cross join lateral (
            select ((t.ts + interval '12 hours') at time zone 'UTC')::date as date) d
        cross join lateral backtest._day_hours(d.date) h
        where h.closes_at <= p_to
    ),
    bars as (
        select distinct on (b.instrument_id, d.closes_at) b.instrument_id, d.closes_at, b.close,
               b.close * coalesce(f.factor, 1) / i.price_unit as price,
               b.open * (coalesce(f.factor, 1) / i.price_unit) as open,
               b.volume / coalesce(f.factor, 1) / power(10, i.size_scale) as volume,
               coalesce(f.factor, 1) as factor
        from market._source_bars b
        join days d on d.ts = b.ts
        join ref.instruments i on i.instrument_id = b.instrument_id
        left join factors f on f.instrument_id = b.instrument_id and d.date >= f.since and d.date < f.until
        where b.feed_id = v_feed_id and b.resolution = '1d' and b.side = 'trade'
            and b.instrument_id = any (p_instruments) and b.ts > p_from - c_history and b.ts <= p_to
        -- Of two bars of a date the one loaded last counts.
        order by b.instrument_id, d.closes_at, b.source_id desc, b.seq desc
    ),
    gathered as materialized (
        select b.instrument_id, array_agg(b.closes_at order by b.closes_at) as times,
               array_agg(b.price order by b.closes_at) as mids,
               array_agg(coalesce(b.open, 'NaN') order by b.closes_at) as opens,
               array_agg(coalesce(b.volume, 'NaN') order by b.closes_at) as volumes,
               array_agg(b.factor order by b.closes_at) as factors
        from bars b
        where b.close > 0
        group by b.instrument_id
    ),
    moments as materialized (
        select array_agg(x.as_of order by x.as_of) as times
        from (select distinct u.as_of
              from (select distinct g.times from gathered g) s cross join lateral unnest(s.times) u (as_of)) x
    ),
    whole as (
        select g.instrument_id, g.mids, g.opens, g.volumes, g.factors, g.mids as marks
        from gathered g join moments m on m.times = g.times
        union all
        -- place: of the last bar, which is of another date where the date has none.
        select g.instrument_id, k.mids, k.opens, k.volumes, k.factors, k.marks
        from gathered g
        join moments m on m.times <> g.times
        cross join lateral (
            select array_agg(case when w.has_bar then g.mids[w.place] else 'NaN' end order by w.n) as mids,
                   array_agg(case when w.has_bar then g.opens[w.place] else 'NaN' end order by w.n) as opens,
                   array_agg(case when w.has_bar then g.volumes[w.place] else 'NaN' end order by w.n) as volumes,
                   array_agg(case when w.has_bar then g.factors[w.place] else 'NaN' end order by w.n) as factors,
                   array_agg(coalesce(g.mids[w.place], 'NaN') order by w.n) as marks
            from (
                select l.n, l.place, coalesce(g.times[l.place] = l.as_of, false) as has_bar
                from (select t.n, t.as_of, width_bucket(t.as_of, g.times) as place
                      from unnest(m.times) with ordinality t (as_of, n)) l) w) k
    )
    select coalesce((select m.times from moments m), '{}'),
           array(select row(w.instrument_id, w.mids, w.mids, w.mids, w.opens, w.volumes, w.factors, w.marks)
                        ::backtest.price_series
                 from whole w order by w.instrument_id)
    into times, series;
end
$$;
comment on function backtest._read_daily(jsonb, integer[], timestamptz, timestamptz) is
    'The daily bars of a run as arrays.';
