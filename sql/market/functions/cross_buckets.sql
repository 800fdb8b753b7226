-- The quotes of an instrument in two feeds side by side: one row for each p_bucket from p_from to
-- p_to (both included), with the last two-sided quote at or before it. Crossed quotes count too.
-- Null where a feed's last quote is older than rule cross_silent_s, or not there.
-- Errors: TT001 times of no use, more than 5 million rows, twice the same feed; TT002 unknown feed.
create or replace function market.cross_buckets(
    p_instrument_id integer,
    p_feed_a text,
    p_feed_b text,
    p_from timestamptz,
    p_to timestamptz,
    p_bucket interval default '1 second'
)
returns table (
    bucket timestamptz,
    a_ts timestamptz,
    a_bid double precision,
    a_ask double precision,
    b_ts timestamptz,
    b_bid double precision,
    b_ask double precision
)
language plpgsql
stable
set search_path = pg_catalog, pg_temp
set plan_cache_mode = force_custom_plan
as $$
declare
    v_a integer := market._feed_id(p_feed_a);
    v_b integer := market._feed_id(p_feed_b);
    v_us bigint := extract(epoch from p_bucket) * 1000000;
    v_span bigint;
    v_unit double precision;
    v_silent interval;
begin
    select i.price_unit,
           ((r.rules->>'cross_silent_s')::double precision) * interval '1 second'
    into v_unit, v_silent
    from ref.instruments i
    cross join lateral (select market._quality_thresholds(null, i.symbol) as rules) r
    where i.instrument_id = p_instrument_id;
    if v_unit is null then
        raise exception 'unknown instrument %: see ref.instruments',
            coalesce(p_instrument_id::text, 'null') using errcode = 'TT002';
    elsif v_a = v_b then
        raise exception 'feed % cannot be compared with itself: name two', p_feed_a
            using errcode = 'TT001';
    elsif (p_from < p_to and isfinite(p_from) and isfinite(p_to) and v_us > 0) is not true then
        raise exception 'from % to % by % is no span of time', p_from, p_to, p_bucket
            using errcode = 'TT001';
    end if;
    v_span := extract(epoch from p_to - p_from) * 1000000;
    if v_span / v_us > 5000000 then
        raise exception 'from % to % are more than 5 million times %: use a longer bucket',
            p_from, p_to, p_bucket using errcode = 'TT001';
    end if;
    return query
    with sampled as (
        -- The last quote up to each bucket that has a new one.
        select distinct on (s.feed_id, s.n) s.feed_id, s.n, s.ts, s.bid_price, s.ask_price
        from (
            select q.feed_id, q.ts, q.ns, q.source_id, q.seq, q.bid_price, q.ask_price,
                   greatest(ceil(extract(epoch from q.ts - p_from) * 1000000 / v_us), 0)::bigint as n
            from market._quotes q
            where q.instrument_id = p_instrument_id and q.feed_id in (v_a, v_b)
                and q.ts >= p_from - v_silent and q.ts <= p_to
                and q.bid_price > 0 and q.ask_price > 0
        ) s
        order by s.feed_id, s.n, s.ts desc, s.ns desc, s.source_id desc, s.seq desc
    ),
    grid as (
        select g.n, p_from + g.n * v_us * interval '1 microsecond' as bucket,
               a.ts as a_ts, a.bid_price as a_bid, a.ask_price as a_ask,
               b.ts as b_ts, b.bid_price as b_bid, b.ask_price as b_ask,
               count(a.ts) over (order by g.n) as a_no, count(b.ts) over (order by g.n) as b_no
        from generate_series(0, v_span / v_us) g (n)
        left join sampled a on a.feed_id = v_a and a.n = g.n
        left join sampled b on b.feed_id = v_b and b.n = g.n
    ),
    carried as (
        select g.n, g.bucket,
               first_value(g.a_ts) over a as a_ts, first_value(g.a_bid) over a as a_bid,
               first_value(g.a_ask) over a as a_ask,
               first_value(g.b_ts) over b as b_ts, first_value(g.b_bid) over b as b_bid,
               first_value(g.b_ask) over b as b_ask
        from grid g
        window a as (partition by g.a_no order by g.n), b as (partition by g.b_no order by g.n)
    )
    select c.bucket,
           case when c.bucket - c.a_ts <= v_silent then c.a_ts end,
           case when c.bucket - c.a_ts <= v_silent then c.a_bid / v_unit end,
           case when c.bucket - c.a_ts <= v_silent then c.a_ask / v_unit end,
           case when c.bucket - c.b_ts <= v_silent then c.b_ts end,
           case when c.bucket - c.b_ts <= v_silent then c.b_bid / v_unit end,
           case when c.bucket - c.b_ts <= v_silent then c.b_ask / v_unit end
    from carried c
    order by c.n;
end
$$;
comment on function market.cross_buckets(
    integer, text, text, timestamptz, timestamptz, interval) is
    'The last quotes of an instrument in two feeds, side by side, at regular times.';
grant execute on function market.cross_buckets(
    integer, text, text, timestamptz, timestamptz, interval) to tsdb_reader;
