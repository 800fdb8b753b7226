-- Digest and counts of every batch of a session from the stored ticks, as market.write_batch
-- computes them; one statement for all, because market.batch_digest takes one batch at a time.
-- `offset 0` keeps one index scan per range: joined freely, the planner may merge on the instrument
-- alone and compare every tick of a day with every range (minutes instead of a second).
create or replace function backtest._replay_digests(p_session_id uuid)
returns table (batch_no bigint, quote_count bigint, trade_count bigint, digest bigint)
language sql
stable
rows 50000
as $$
    with ranges as materialized (
        select b.batch_no, b.from_ts, b.as_of, g.source_id, g.first_seq, g.last_seq, s.kind,
               s.instrument_id
        from market.batches b
        join market.batch_ranges g on g.batch_id = b.batch_id
        join market.sources s on s.source_id = g.source_id
        where b.session_id = p_session_id
    ),
    sums as (
        select r.batch_no, count(*) as quotes, 0 as trades, sum(market._tick_digest(
            q.instrument_id, q.ts, q.ns, q.source_id, q.seq, q.flags, q.bid_price, q.bid_size,
            q.ask_price, q.ask_size, q.exchange, q.conditions)) as digest
        from ranges r
        cross join lateral (
            select q.* from market._quotes q
            where q.instrument_id = r.instrument_id and q.source_id = r.source_id
                and q.ts > r.from_ts and q.ts <= r.as_of
                and q.seq between r.first_seq and r.last_seq
            offset 0) q
        where r.kind = 'quotes'
        group by r.batch_no
        union all
        select r.batch_no, 0, count(*), sum(market._tick_digest(
            t.instrument_id, t.ts, t.ns, t.source_id, t.seq, t.flags, t.price, t.size, null, null,
            t.exchange, t.conditions))
        from ranges r
        cross join lateral (
            select t.* from market._trades t
            where t.instrument_id = r.instrument_id and t.source_id = r.source_id
                and t.ts > r.from_ts and t.ts <= r.as_of
                and t.seq between r.first_seq and r.last_seq
            offset 0) t
        where r.kind = 'trades'
        group by r.batch_no
    )
    select s.batch_no, sum(s.quotes)::bigint, sum(s.trades)::bigint,
           mod(sum(s.digest), 9223372036854775807)::bigint
    from sums s group by s.batch_no
$$;
comment on function backtest._replay_digests(uuid) is
    'Digest and counts of every batch of a session, computed anew from the stored ticks.';
