-- Measures the ticks of a feed's instrument on a day: one row, or none without ticks.
--
-- Counts of rows, duplicates, late ticks and latencies are of the whole day; what quotes and trades
-- look like, and silences, of the session's hours (rules session_open_s and session_close_s). A
-- silence is the time between ticks of any kind, and from the opening to the first one; that after
-- the last one depends on other ticks (market.quality_by_instrument adds it). A side counts as there
-- when its price is above zero. Trades that do not set a price by their conditions, or are marked
-- suspicious or cancelled (flags 148), are not judged.
create or replace function market._measure_quality(
    p_feed_id integer, p_instrument_id integer, p_day date
)
returns setof market.quality_days
language plpgsql
stable
security definer
-- Nothing is to be measured before a reader's conditions are met.
cost 1000000
set search_path = pg_catalog, pg_temp
-- Chunks are excluded by the day itself.
set plan_cache_mode = force_custom_plan
as $$
declare
    v_rules jsonb;
    v_unit double precision;
    v_from timestamptz := p_day::timestamp at time zone 'America/New_York';
    v_to timestamptz := (p_day + 1)::timestamp at time zone 'America/New_York';
    v_open timestamptz;
    v_close timestamptz;
begin
    select market._quality_thresholds(f.feed, i.symbol), i.price_unit into v_rules, v_unit
    from ops.feeds f cross join ref.instruments i
    where f.feed_id = p_feed_id and i.instrument_id = p_instrument_id;
    v_open := v_from + (v_rules->>'session_open_s')::double precision * interval '1 second';
    v_close := v_from + (v_rules->>'session_close_s')::double precision * interval '1 second';
    return query
    with quotes as materialized (
        select q.ts, q.ns, q.source_id, q.seq, q.recv_ts, q.flags, q.bid_price as bid,
               q.ask_price as ask, q.bid_price > 0 and q.ask_price > 0 as two_sided
        from market._quotes q
        where q.instrument_id = p_instrument_id and q.feed_id = p_feed_id
            and q.ts >= v_from and q.ts < v_to
    ),
    trades as materialized (
        select t.ts, t.ns, t.source_id, t.seq, t.recv_ts, t.flags, t.price
        from market._trades t
        where t.instrument_id = p_instrument_id and t.feed_id = p_feed_id
            and t.ts >= v_from and t.ts < v_to
    ),
    ticks as materialized (
        select 0 as kind, q.ts, q.source_id, q.seq, q.recv_ts, q.flags from quotes q
        union all
        select 1, t.ts, t.source_id, t.seq, t.recv_ts, t.flags from trades t
        union all
        -- Flags of book events mean something else.
        select 2, b.ts, b.source_id, b.seq, b.recv_ts, 0::smallint
        from market._book_events b
        where b.instrument_id = p_instrument_id and b.feed_id = p_feed_id
            and b.ts >= v_from and b.ts < v_to
    ),
    counted as (
        select count(*) filter (where t.kind = 0) as quotes,
               count(*) filter (where t.kind = 1) as trades,
               count(*) filter (where t.kind = 2) as book_events,
               count(*) filter (where t.kind = 0 and t.flags & 8 <> 0) as duplicate_quotes,
               count(*) filter (where t.kind = 1 and t.flags & 8 <> 0) as duplicate_trades,
               count(*) filter (where t.flags & 4 <> 0) as suspicious,
               count(*) filter (where t.kind = 1 and t.flags & 128 <> 0) as cancelled,
               min(t.ts) as first_ts, max(t.ts) as last_ts,
               count(*) filter (where t.recv_ts <> t.ts) as latency_count,
               max(extract(epoch from t.recv_ts - t.ts)) filter (where t.recv_ts <> t.ts)
                   as latency_max_s
        from ticks t
    ),
    late as (
        select count(*) filter (where o.ts < o.latest) as late
        from (
            select t.ts, max(t.ts) over (partition by t.source_id order by t.seq
                rows between unbounded preceding and 1 preceding) as latest
            from ticks t
        ) o
    ),
    latencies as (
        select jsonb_object_agg(l.bucket, l.count) as latencies
        from (
            select market._latency_bucket(t.recv_ts - t.ts) as bucket, count(*) as count
            from ticks t where t.recv_ts <> t.ts group by 1
        ) l
    ),
    silences as materialized (
        select coalesce(lag(t.ts) over (order by t.ts), v_open) as since,
               extract(epoch from t.ts - coalesce(lag(t.ts) over (order by t.ts), v_open))
                   ::double precision as seconds
        from (select distinct x.ts from ticks x where x.ts >= v_open and x.ts < v_close) t
    ),
    stale as (
        select count(*) filter (where s.seconds > (v_rules->>'stale_s')::double precision) as stale
        from silences s
    ),
    longest as (
        select l.since, l.seconds
        from (values (null)) one (row)
        left join (select * from silences s order by s.seconds desc, s.since limit 1) l on true
    ),
    quoted as (
        select count(*) as quotes_in_hours,
               count(*) filter (where (q.bid > 0) is not true) as no_bid,
               count(*) filter (where (q.ask > 0) is not true) as no_ask,
               count(*) filter (where q.two_sided and q.bid = q.ask) as locked,
               count(*) filter (where q.two_sided and q.bid > q.ask) as crossed,
               count(*) filter (where q.two_sided
                   and q.ask - q.bid > (v_rules->>'wide_absolute')::double precision * v_unit
                   and q.ask - q.bid
                       > (v_rules->>'wide_relative')::double precision * (q.ask + q.bid) / 2) as wide,
               max(q.ask - q.bid) filter (where q.two_sided) / v_unit as max_spread
        from quotes q
        where q.ts >= v_open and q.ts < v_close
    ),
    traded as (
        select t.ts, t.price, l.bid, l.ask,
               abs(t.price - lag(t.price) over w) / nullif(lag(t.price) over w, 0)::double precision
                   as jump
        from trades t
        -- The last usable quote at or before the trade. Quotes are many times as many as trades:
        -- looking them up costs less than sorting both together.
        left join lateral (
            select q.bid_price as bid, q.ask_price as ask
            from market._quotes q
            where q.instrument_id = p_instrument_id and q.feed_id = p_feed_id
                and q.ts >= v_from and q.ts <= t.ts
                and q.bid_price > 0 and q.ask_price > 0 and q.bid_price <= q.ask_price
            order by q.ts desc, q.ns desc, q.source_id desc, q.seq desc limit 1
        ) l on true
        where t.flags & 148 = 0 and t.ts >= v_open and t.ts < v_close
        window w as (order by t.ts, t.ns, t.source_id, t.seq)
    ),
    judged as (
        select count(*) as trades_in_hours,
               count(*) filter (where greatest(t.bid - t.price, t.price - t.ask)
                   > (v_rules->>'outside_relative')::double precision * abs(t.price)) as outside,
               count(*) filter (where t.jump > (v_rules->>'jump_relative')::double precision)
                   as jumps,
               max(t.jump) as max_jump,
               (array_agg(t.ts order by t.jump desc, t.ts) filter (where t.jump > 0))[1]
                   as max_jump_ts
        from traded t
    )
    select p_feed_id, p_instrument_id, p_day, c.quotes, c.trades, c.book_events,
           c.duplicate_quotes, c.duplicate_trades, c.suspicious, c.cancelled, l.late, q.quotes_in_hours, q.no_bid, q.no_ask, q.locked,
           q.crossed, q.wide, q.max_spread, j.trades_in_hours, j.outside, j.jumps, j.max_jump,
           j.max_jump_ts, s.stale, coalesce(o.seconds, 0), o.since, c.first_ts, c.last_ts,
           c.latency_count, c.latency_max_s::double precision, y.latencies, v_open, v_close,
           (v_rules->>'stale_s')::double precision, clock_timestamp(), null::timestamptz
    from counted c, late l, latencies y, stale s, longest o, quoted q, judged j
    where c.first_ts is not null;
end
$$;
-- Called from views, where the reader's rights count.
grant execute on function market._measure_quality(integer, integer, date) to tsdb_reader;
