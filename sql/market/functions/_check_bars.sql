-- The findings of the rules of stage bars: bars of trades of a feed with p_from <= ts < p_to.
create or replace function market._check_bars(
    p_feed_id integer, p_from timestamptz, p_to timestamptz
)
returns table (
    rule text,
    instrument_id integer,
    symbol text,
    ts timestamptz,
    observed double precision,
    threshold double precision
)
language sql
stable
security definer
set search_path = pg_catalog, pg_temp
set plan_cache_mode = force_custom_plan
as $$
    with bars as materialized (
        select b.instrument_id, b.resolution, b.ts, b.seq, b.open, b.high, b.low, b.close, b.volume
        from market._source_bars b
        where b.feed_id = p_feed_id and b.side = 'trade' and b.ts >= p_from and b.ts < p_to
    ),
    instruments as materialized (
        select i.instrument_id, i.symbol, market._quality_thresholds(f.feed, i.symbol) as rules
        from (select distinct b.instrument_id from bars b) n
        join ref.instruments i on i.instrument_id = n.instrument_id
        join ops.feeds f on f.feed_id = p_feed_id
    ),
    closes as (
        select b.instrument_id, b.ts, abs(b.close / b.previous - 1) as from_previous,
               abs(b.close / b.next - 1) as from_next, abs(b.next / b.previous - 1) as across
        from (
            select b.instrument_id, b.ts, b.close::double precision as close,
                   lag(b.close) over w::double precision as previous,
                   lead(b.close) over w::double precision as next
            from bars b
            where b.close > 0
            window w as (partition by b.instrument_id, b.resolution order by b.ts, b.seq)
        ) b
    ),
    -- What is below all thresholds is left out before the right one is looked up.
    lowest as materialized (
        select min((i.rules->>'bar_jump')::double precision) as jump,
               min((i.rules->>'bar_spike')::double precision) as spike,
               min((i.rules->>'bar_outside')::double precision) as outside,
               min((i.rules->>'bar_missing')::double precision) as missing
        from instruments i
    ),
    days as (
        select count(distinct b.ts) as days from bars b where b.resolution = '1d'
    ),
    found as (
        select 'bar_jump' as rule, c.instrument_id, c.ts, c.from_previous as observed
        from closes c where c.from_previous > (select l.jump from lowest l)
        union all
        select 'bar_spike', c.instrument_id, c.ts, least(c.from_previous, c.from_next)
        from closes c
        where c.across < least(c.from_previous, c.from_next)
            and least(c.from_previous, c.from_next) > (select l.spike from lowest l)
        union all
        select 'bar_outside', b.instrument_id, b.ts, o.part
        from bars b
        cross join lateral (
            select greatest(b.low - least(b.open, b.close), greatest(b.open, b.close) - b.high)
                / nullif(b.close, 0)::double precision as part
        ) o
        where o.part > (select l.outside from lowest l)
        union all
        select 'bar_missing', b.instrument_id, b.ts, n.missing
        from bars b
        cross join lateral (
            select num_nulls(b.open, b.high, b.low, b.close, b.volume) as missing
        ) n
        where n.missing > (select l.missing from lowest l)
        union all
        select 'bar_no_volume', b.instrument_id, b.ts, 1 from bars b where b.volume = 0
        union all
        select 'bar_absent_share', b.instrument_id, min(b.ts),
               1 - count(distinct b.ts)::double precision / (select d.days from days d)
        from bars b where b.resolution = '1d' group by b.instrument_id
    )
    select f.rule, f.instrument_id, i.symbol, f.ts, f.observed,
           (i.rules->>f.rule)::double precision
    from found f
    join instruments i on i.instrument_id = f.instrument_id
    where f.observed > (i.rules->>f.rule)::double precision
$$;
grant execute on function market._check_bars(integer, timestamptz, timestamptz) to tsdb_reader;
