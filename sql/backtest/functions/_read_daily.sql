-- The daily bars of a run as arrays, carried forward, each known at the exchange's close of its date; the 60
-- days before p_from come first: volatility and volume are taken from them, no step. One pass over the bars
-- puts an instrument's into arrays as they are sorted; only where dates are missing they are laid out again,
-- on all dates. Dates are numbers until then: a join of every bar with its day costs as much as reading it.
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
    c_epoch constant date := '1970-01-01';
    v_feed_id constant integer := (select f.feed_id from ops.feeds f where f.feed = p_run->>'feed');
    -- Bars of the first date that is not over at p_to, and of later ones, are not known.
    v_to constant timestamptz := (
        select least(p_to + interval '1 microsecond', (min(d.date) - interval '12 hours') at time zone 'UTC')
        from generate_series((p_to at time zone 'UTC')::date - 2, (p_to at time zone 'UTC')::date + 2, interval '1 day') g (day)
        cross join lateral (select g.day::date as date) d
        cross join lateral backtest._day_hours(d.date) h
        where h.closes_at > p_to);
begin
    with factors as materialized (
        select f.* from backtest._forward_factors(
            p_run->>'feed', p_instruments, (p_to at time zone 'America/New_York')::date) f
        where f.problem is null
    ),
    bars as (
        select distinct on (b.instrument_id, d.day) b.instrument_id, d.day, b.close,
               b.close * coalesce(f.factor, 1) / i.price_unit as price,
               b.open * (coalesce(f.factor, 1) / i.price_unit) as open,
               b.volume / coalesce(f.factor, 1) / power(10, i.size_scale) as volume,
               coalesce(f.factor, 1) as factor
        from market._source_bars b
        -- A bar starts at midnight of its date, wherever its market is.
        cross join lateral (
            select floor((date_part('epoch', b.ts) + 43200) / 86400)::integer as day) d
        join ref.instruments i on i.instrument_id = b.instrument_id
        left join factors f on f.instrument_id = b.instrument_id
            and c_epoch + d.day >= f.since and c_epoch + d.day < f.until
        where b.feed_id = v_feed_id and b.resolution = '1d' and b.side = 'trade'
            and b.instrument_id = any (p_instruments) and b.ts > p_from - c_history and b.ts < v_to
        -- Of two bars of a date the one loaded last counts.
        order by b.instrument_id, d.day, b.source_id desc, b.seq desc
    ),
    gathered as materialized (
        select b.instrument_id, array_agg(b.day order by b.day) as days,
               array_agg(b.price order by b.day) as mids,
               array_agg(coalesce(b.open, 'NaN') order by b.day) as opens,
               array_agg(coalesce(b.volume, 'NaN') order by b.day) as volumes,
               array_agg(b.factor order by b.day) as factors
        from bars b
        where b.close > 0
        group by b.instrument_id
    ),
    calendar as materialized (
        select array_agg(x.day order by x.day) as days
        from (select distinct u.day
              from (select distinct g.days from gathered g) s cross join lateral unnest(s.days) u (day)) x
    ),
    whole as (
        select g.instrument_id, g.mids, g.opens, g.volumes, g.factors, g.mids as marks
        from gathered g join calendar c on c.days = g.days
        union all
        -- place: of the last bar, which is of another date where the date has none.
        select g.instrument_id, k.mids, k.opens, k.volumes, k.factors, k.marks
        from gathered g
        join calendar c on c.days <> g.days
        cross join lateral (
            select array_agg(case when w.has_bar then g.mids[w.place] else 'NaN' end order by w.n) as mids,
                   array_agg(case when w.has_bar then g.opens[w.place] else 'NaN' end order by w.n) as opens,
                   array_agg(case when w.has_bar then g.volumes[w.place] else 'NaN' end order by w.n) as volumes,
                   array_agg(case when w.has_bar then g.factors[w.place] else 'NaN' end order by w.n) as factors,
                   array_agg(coalesce(g.mids[w.place], 'NaN') order by w.n) as marks
            from (
                select l.n, l.place, coalesce(g.days[l.place] = l.day, false) as has_bar
                from (select t.n, t.day, width_bucket(t.day, g.days) as place
                      from unnest(c.days) with ordinality t (day, n)) l) w) k
    )
    select array(select h.closes_at
                 from calendar c
                 cross join lateral unnest(c.days) u (day)
                 cross join lateral backtest._day_hours(c_epoch + u.day) h
                 order by u.day),
           array(select row(w.instrument_id, w.mids, w.mids, w.mids, w.opens, w.volumes, w.factors, w.marks)
                        ::backtest.price_series
                 from whole w order by w.instrument_id)
    into times, series;
end
$$;
comment on function backtest._read_daily(jsonb, integer[], timestamptz, timestamptz) is
    'The daily bars of a run as arrays.';
