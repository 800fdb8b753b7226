-- What market.cross_check says of each of two feeds by itself: rows, crossed, and the stretches of
-- silence (more than rule cross_silent_s) in which the other had quotes.
create or replace function market._cross_feeds(
    p_instrument_id integer,
    p_feed_a text,
    p_feed_b text,
    p_from timestamptz,
    p_to timestamptz
)
returns table (
    feed text,
    rows bigint,
    crossed_rows bigint,
    crossed_time double precision,
    missing_time double precision,
    stretches jsonb
)
language sql
stable
set search_path = pg_catalog, pg_temp
set plan_cache_mode = force_custom_plan
as $$
    with feeds as (
        select f.feed_id, f.feed from ops.feeds f where f.feed in (p_feed_a, p_feed_b)
    ),
    rule as (
        select (market._quality_thresholds(null, i.symbol)->>'cross_silent_s')::double precision
            * interval '1 second' as silent
        from ref.instruments i where i.instrument_id = p_instrument_id
    ),
    quotes as materialized (
        select q.feed_id, q.ts, q.bid_price > q.ask_price as crossed,
               lead(q.ts) over (partition by q.feed_id
                                order by q.ts, q.ns, q.source_id, q.seq) as next_ts
        from market._quotes q
        join feeds f on f.feed_id = q.feed_id
        where q.instrument_id = p_instrument_id and q.ts >= p_from and q.ts <= p_to
            and q.bid_price > 0 and q.ask_price > 0
    ),
    held as (
        select q.feed_id, count(*) as rows, count(*) filter (where q.crossed) as crossed_rows,
               sum(h.seconds) filter (where q.crossed) as crossed_s, sum(h.seconds) as seconds
        from quotes q
        cross join lateral (
            select extract(epoch from least(
                coalesce(q.next_ts, p_to) - q.ts, (select r.silent from rule r)))
                ::double precision as seconds
        ) h
        group by q.feed_id
    ),
    silences as (
        select q.feed_id, q.ts as from_ts, coalesce(q.next_ts, p_to) as to_ts from quotes q
        union all
        -- Before the first quote, which may never have come.
        select f.feed_id, p_from, coalesce(min(q.ts), p_to)
        from feeds f left join quotes q on q.feed_id = f.feed_id group by f.feed_id
    ),
    missing as (
        select s.feed_id, s.from_ts, s.to_ts,
               extract(epoch from s.to_ts - s.from_ts)::double precision as seconds,
               row_number() over (
                   partition by s.feed_id order by s.to_ts - s.from_ts desc, s.from_ts) as place
        from silences s
        where s.to_ts - s.from_ts > (select r.silent from rule r) and exists (
            select from market._quotes o
            where o.instrument_id = p_instrument_id and o.ts > s.from_ts and o.ts < s.to_ts
                and o.feed_id in (select f.feed_id from feeds f where f.feed_id <> s.feed_id)
                and o.bid_price > 0 and o.ask_price > 0)
    ),
    lost as (
        select m.feed_id, sum(m.seconds) as seconds,
               jsonb_build_object('stretches', count(*), 'longest', jsonb_agg(
                   jsonb_build_object('from', m.from_ts, 'to', m.to_ts, 'seconds', m.seconds)
                   order by m.place) filter (where m.place <= 10)) as stretches
        from missing m group by m.feed_id
    )
    select f.feed, coalesce(h.rows, 0), coalesce(h.crossed_rows, 0),
           coalesce(h.crossed_s, 0) / nullif(h.seconds, 0),
           coalesce(l.seconds, 0) / nullif(extract(epoch from p_to - p_from), 0)::double precision,
           coalesce(l.stretches, '{"stretches": 0, "longest": []}')
    from feeds f
    left join held h on h.feed_id = f.feed_id
    left join lost l on l.feed_id = f.feed_id
$$;
grant execute on function market._cross_feeds(integer, text, text, timestamptz, timestamptz) to tsdb_reader;
