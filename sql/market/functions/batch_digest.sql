-- The digest of a batch, computed anew from the ticks stored in its recorded ranges. Differs from
-- market.batches.digest when a tick was changed, added to a range or deleted.
create or replace function market.batch_digest(p_batch_id bigint)
returns bigint
language plpgsql
stable
as $$
declare
    v_from_ts timestamptz;
    v_as_of timestamptz;
    v_digest bigint;
begin
    -- Times in variables let the planner leave out the other chunks.
    select b.from_ts, b.as_of into v_from_ts, v_as_of
    from market.batches b where b.batch_id = p_batch_id;
    with ranges as materialized (
        select s.kind, s.instrument_id, r.source_id, r.first_seq, r.last_seq
        from market.batch_ranges r
        join market.sources s on s.source_id = r.source_id
        where r.batch_id = p_batch_id
    ),
    digests as (
        select market._tick_digest(
            q.instrument_id, q.ts, q.ns, q.source_id, q.seq, q.flags, q.bid_price, q.bid_size,
            q.ask_price, q.ask_size, q.exchange, q.conditions) as digest
        from ranges r
        join market._quotes q
            on q.instrument_id = r.instrument_id and q.source_id = r.source_id
            and q.ts > v_from_ts and q.ts <= v_as_of
            and q.seq between r.first_seq and r.last_seq
        where r.kind = 'quotes'
        union all
        select market._tick_digest(
            t.instrument_id, t.ts, t.ns, t.source_id, t.seq, t.flags, t.price, t.size, null, null,
            t.exchange, t.conditions)
        from ranges r
        join market._trades t
            on t.instrument_id = r.instrument_id and t.source_id = r.source_id
            and t.ts > v_from_ts and t.ts <= v_as_of
            and t.seq between r.first_seq and r.last_seq
        where r.kind = 'trades'
    )
    select mod(coalesce(sum(d.digest), 0), 9223372036854775807)::bigint into v_digest from digests d;
    return v_digest;
end
$$;
comment on function market.batch_digest(bigint) is
    'Digest of a batch computed anew from its recorded ranges, to compare with market.batches.digest.';
grant execute on function market.batch_digest(bigint) to tsdb_reader;
