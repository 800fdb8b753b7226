-- Hands a session the ticks of its feed with p_from_ts < ts <= p_as_of: one row in market.batches
-- with the source ranges and a digest, the last usable quote of every instrument that had one
-- (market.batch_quotes, market.latest_quotes), and one notification on market_batches.
--
-- Returns the batch_id, or null when the feed has no tick there. Batches of a session are numbered
-- 1, 2, 3 ... and may not overlap: p_from_ts before the last as_of raises TT001, as does a session
-- that is not open. A usable quote has both sides, above zero, not crossed.
-- One statement, because it runs once per second of market time and planning costs more than work.
create or replace function market.write_batch(
    p_session_id uuid,
    p_from_ts timestamptz,
    p_as_of timestamptz
)
returns bigint
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_feed_id integer;
    v_status text;
    v_batch_no bigint;
    v_last_as_of timestamptz;
    v_batch_id bigint;
begin
    -- The row lock makes writers of the same session queue up: numbers stay without gaps.
    select s.feed_id, s.status into v_feed_id, v_status
    from ops.sessions s where s.session_id = p_session_id for no key update;
    if v_status is null then
        raise exception 'unknown session %', p_session_id using errcode = 'TT002';
    elsif v_status <> 'open' then
        raise exception 'session % is %: open a new one', p_session_id, v_status
            using errcode = 'TT001';
    elsif v_feed_id is null then
        raise exception 'session % has no feed: open it with one', p_session_id
            using errcode = 'TT001';
    end if;
    select b.batch_no, b.as_of into v_batch_no, v_last_as_of
    from market.batches b where b.session_id = p_session_id order by b.batch_no desc limit 1;
    if p_from_ts < v_last_as_of then
        raise exception 'a batch from % overlaps the last one, up to %', p_from_ts, v_last_as_of
            using errcode = 'TT001';
    end if;
    with sources as materialized (
        select s.source_id, s.instrument_id, s.kind
        from market.sources s
        where s.feed_id = v_feed_id and s.last_ts > p_from_ts and s.first_ts <= p_as_of
    ),
    quotes as materialized (
        select q.*
        from sources s
        cross join lateral (
            select q.* from market._quotes q
            where q.instrument_id = s.instrument_id and q.source_id = s.source_id
                and q.ts > p_from_ts and q.ts <= p_as_of
        ) q
        where s.kind = 'quotes'
    ),
    trades as materialized (
        select t.source_id, t.seq, market._tick_digest(
            t.instrument_id, t.ts, t.ns, t.source_id, t.seq, t.flags, t.price, t.size, null, null,
            t.exchange, t.conditions) as digest
        from sources s
        cross join lateral (
            select t.* from market._trades t
            where t.instrument_id = s.instrument_id and t.source_id = s.source_id
                and t.ts > p_from_ts and t.ts <= p_as_of
        ) t
        where s.kind = 'trades'
    ),
    ranges as materialized (
        select q.source_id, min(q.seq) as first_seq, max(q.seq) as last_seq,
               count(*) as quote_count, 0 as trade_count,
               sum(market._tick_digest(
                   q.instrument_id, q.ts, q.ns, q.source_id, q.seq, q.flags, q.bid_price,
                   q.bid_size, q.ask_price, q.ask_size, q.exchange, q.conditions)) as digest
        from quotes q group by q.source_id
        union all
        select t.source_id, min(t.seq), max(t.seq), 0, count(*), sum(t.digest)
        from trades t group by t.source_id
    ),
    batch as (
        insert into market.batches
            (session_id, batch_no, from_ts, as_of, quote_count, trade_count, digest)
        select p_session_id, coalesce(v_batch_no, 0) + 1, p_from_ts, p_as_of,
               sum(r.quote_count), sum(r.trade_count),
               mod(sum(r.digest), 9223372036854775807)::bigint
        from ranges r
        having count(*) > 0
        returning batch_id, batch_no
    ),
    recorded as (
        insert into market.batch_ranges (batch_id, source_id, first_seq, last_seq)
        select b.batch_id, r.source_id, r.first_seq, r.last_seq from batch b cross join ranges r
    ),
    last_usable as materialized (
        select distinct on (q.instrument_id) q.*
        from quotes q
        where q.bid_price > 0 and q.ask_price > 0 and q.bid_price <= q.ask_price
        order by q.instrument_id, q.ts desc, q.ns desc, q.feed_id desc, q.source_id desc,
                 q.seq desc
    ),
    batch_quotes as (
        insert into market.batch_quotes
            (as_of, session_id, batch_id, batch_no, instrument_id, feed_id, source_id, seq, ts,
             ns, bid_price, bid_size, ask_price, ask_size)
        select p_as_of, p_session_id, b.batch_id, b.batch_no, u.instrument_id, u.feed_id,
               u.source_id, u.seq, u.ts, u.ns, u.bid_price, u.bid_size, u.ask_price, u.ask_size
        from batch b cross join last_usable u
    ),
    latest as (
        insert into market.latest_quotes
            (session_id, instrument_id, batch_id, batch_no, feed_id, source_id, seq, ts, ns,
             bid_price, bid_size, ask_price, ask_size)
        select p_session_id, u.instrument_id, b.batch_id, b.batch_no, u.feed_id, u.source_id,
               u.seq, u.ts, u.ns, u.bid_price, u.bid_size, u.ask_price, u.ask_size
        from batch b cross join last_usable u
        on conflict (session_id, instrument_id) do update set
            batch_id = excluded.batch_id, batch_no = excluded.batch_no,
            feed_id = excluded.feed_id, source_id = excluded.source_id, seq = excluded.seq,
            ts = excluded.ts, ns = excluded.ns,
            bid_price = excluded.bid_price, bid_size = excluded.bid_size,
            ask_price = excluded.ask_price, ask_size = excluded.ask_size
    )
    select b.batch_id into v_batch_id from batch b;
    if v_batch_id is not null then
        perform pg_notify('market_batches', '');
    end if;
    return v_batch_id;
end
$$;
comment on function market.write_batch(uuid, timestamptz, timestamptz) is
    'Hands a session its feed''s ticks with p_from_ts < ts <= p_as_of as one batch; its id, or null without ticks.';
grant execute on function market.write_batch(uuid, timestamptz, timestamptz) to tsdb_worker_replay;
