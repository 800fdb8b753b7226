-- The last usable quote of every instrument in every batch of a session, from the stored ticks of
-- the batches' recorded ranges: what market.batch_quotes must hold.
create or replace function backtest._replay_quotes(p_session_id uuid)
returns table (
    batch_no bigint, as_of timestamptz, instrument_id integer, feed_id integer, source_id integer,
    seq bigint, ts timestamptz, ns smallint, bid_price bigint, bid_size bigint, ask_price bigint,
    ask_size bigint
)
language sql
stable
rows 50000
as $$
    select distinct on (r.batch_no, s.instrument_id)
        r.batch_no, r.as_of, s.instrument_id, q.feed_id, q.source_id, q.seq, q.ts, q.ns,
        q.bid_price, q.bid_size, q.ask_price, q.ask_size
    from (
        select b.batch_no, b.from_ts, b.as_of, g.source_id, g.first_seq, g.last_seq
        from market.batches b join market.batch_ranges g on g.batch_id = b.batch_id
        where b.session_id = p_session_id) r
    join market.sources s on s.source_id = r.source_id and s.kind = 'quotes'
    cross join lateral (
        select q.* from market._quotes q
        where q.instrument_id = s.instrument_id and q.source_id = r.source_id
            and q.ts > r.from_ts and q.ts <= r.as_of and q.seq between r.first_seq and r.last_seq
            and q.bid_price > 0 and q.ask_price > 0 and q.bid_price <= q.ask_price
        order by q.ts desc, q.ns desc, q.feed_id desc, q.source_id desc, q.seq desc limit 1) q
    order by r.batch_no, s.instrument_id, q.ts desc, q.ns desc, q.feed_id desc, q.source_id desc,
        q.seq desc
$$;
comment on function backtest._replay_quotes(uuid) is
    'The quotes a session''s strategies were due to step on, computed anew from the stored ticks.';
