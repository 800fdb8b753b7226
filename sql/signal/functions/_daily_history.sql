-- Daily bars as features need them, from 130 days before p_from to p_to, each with the time at which it was
-- known. Prices are logarithms, adjusted forward, in units of 1e-15: a day's is that of the day before
-- plus its return over the close before, less what corporate actions of the day took from that, so that
-- no later action counts; shares, likewise in units of 1e-6, is what splits made of a share. Integers,
-- so that differences of them are the same whatever the window starts with.
-- run: bars of one instrument between which every return is known; a corporate action whose factor
-- cannot be known begins a new one. known_at: the close of its date (signal._daily_closes) for bars
-- that start at midnight in New York, the end of their day elsewhere, or its receipt where that is
-- later; and not before the bars that it follows, for what is made of several of them. p_instruments null: all. Bars without a positive close are left out.
-- Errors: TT001 bars of several feeds (risk._daily_feeds).
create or replace function signal._daily_history(
    p_instruments integer[],
    p_from timestamptz,
    p_to timestamptz
)
returns table (
    instrument_id integer, date date, run bigint, known_at timestamptz, price bigint, shares integer,
    last_close double precision, open double precision, high double precision, low double precision,
    close double precision, volume bigint
)
language sql
stable
as $$
    with span as materialized (
        select (p_from at time zone 'UTC')::date - 130 as first, (p_to at time zone 'UTC')::date + 1 as last
    ),
    feeds as materialized (
        select f.instrument_id, f.feed_id, d.feed
        from span s
        cross join lateral risk._daily_feeds((s.first - 1)::timestamptz, (s.last + 1)::timestamptz, null) f
        join ops.feeds d using (feed_id)
        where p_instruments is null or f.instrument_id = any (p_instruments)
    ),
    -- Of two bars of a date the one loaded last counts, as in market._daily_bars.
    bars as (
        select distinct on (b.instrument_id, x.date) b.*, x.date
        from span s
        cross join market._source_bars b
        join feeds f on f.instrument_id = b.instrument_id and f.feed_id = b.feed_id
        -- A bar starts at midnight of its date, wherever its market is.
        cross join lateral (select ((b.ts + interval '12 hours') at time zone 'UTC')::date as date) x
        where b.resolution = '1d' and b.side = 'trade' and b.close > 0
            and b.ts >= (s.first - 1)::timestamptz and b.ts <= (s.last + 1)::timestamptz
            and x.date between s.first and s.last
        order by b.instrument_id, x.date, b.source_id desc, b.seq desc
    ),
    factors as materialized (
        select f.instrument_id, a.ex_date, a.factor, a.problem,
               coalesce(sp.new_shares / sp.old_shares, 1) as shares
        from feeds f
        cross join span s
        join (
            select distinct t.instrument_id from risk._return_facts t, span where t.ex_date between span.first and span.last
        ) t using (instrument_id)
        cross join lateral risk._return_factors(f.instrument_id, s.first, s.last, f.feed) a
        left join ref.splits sp
            on sp.instrument_id = f.instrument_id and sp.ex_date = a.ex_date and sp.superseded_at = 'infinity'
    ),
    followed as materialized (
        select b.*, lag(b.close) over w as close_before, lag(b.date) over w as date_before
        from bars b
        window w as (partition by b.instrument_id order by b.date)
    ),
    changed as materialized (
        select f.instrument_id, f.date, min(x.problem) as problem, market._product(x.factor)::float8 as factor,
               market._product(x.shares)::float8 as shares
        from factors x
        join followed f on f.instrument_id = x.instrument_id and x.ex_date > f.date_before and x.ex_date <= f.date
        group by f.instrument_id, f.date
    ),
    closes as materialized (
        select d.* from span s cross join lateral signal._daily_closes(s.first, s.last) d
    )
    select f.instrument_id, f.date, count(c.problem) over w,
           max(greatest(
               case when f.ts = (f.date::timestamp at time zone 'America/New_York') then d.closes_at
                    else f.ts + interval '1 day' end,
               f.recv_ts)) over w,
           (sum(coalesce((ln(f.close / x.last_close) * 1e15)::bigint, 0)) over w)::bigint,
           (sum(coalesce((ln(c.shares) * 1e6)::bigint, 0)) over w)::integer,
           x.last_close / u.unit, f.open / u.unit, f.high / u.unit, f.low / u.unit, f.close / u.unit, f.volume
    from followed f
    join (select i.instrument_id, power(10::float8, i.price_scale) as unit from ref.instruments i) u
        on u.instrument_id = f.instrument_id
    left join closes d on d.date = f.date
    left join changed c on c.instrument_id = f.instrument_id and c.date = f.date
    cross join lateral (
        select case when c.problem is null then f.close_before * coalesce(c.factor, 1) end as last_close) x
    window w as (partition by f.instrument_id order by f.date)
$$;
comment on function signal._daily_history(integer[], timestamptz, timestamptz) is
    'Daily bars with the time they were known, prices as logarithms adjusted forward.';
