-- What a venue needs to catch up with the market of a session, in the order it happened:
--   each usable quote of the instruments in p_active, from the batches after p_after, at most
--   p_limit batches; then the latest quote of those in p_quiet (only when nothing is left behind);
--   last, one row without instrument: the batch reached, its time, whether the session is open and
--   whether later batches wait (behind). batch_no is 0 and as_of the session's start before the
--   first batch. No row at all: there is no such session.
-- Prices and sizes are the stored integers, ts is the quote's own time. A quote is usable with two positive sides, not crossed.
create or replace function venue.read_market(
    p_session_id uuid,
    p_after bigint,
    p_active integer[],
    p_quiet integer[],
    p_limit integer
) returns table (
    batch_no bigint,
    as_of timestamptz,
    instrument_id integer,
    bid_price bigint,
    bid_size bigint,
    ask_price bigint,
    ask_size bigint,
    is_open boolean,
    behind boolean,
    ts timestamptz
)
language plpgsql
stable
set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_column
declare
    v_session ops.sessions;
    v_last bigint;
    v_reached bigint;
    v_as_of timestamptz;
begin
    select * into v_session from ops.sessions s where s.session_id = p_session_id;
    if not found then
        return;
    end if;
    select coalesce(max(b.batch_no), 0) into v_last
    from market.batches b where b.session_id = p_session_id;
    v_reached := v_last;
    if cardinality(p_active) > 0 and v_last > p_after then
        v_reached := least(v_last, p_after + p_limit);
        return query
            select b.batch_no, b.as_of, q.instrument_id, q.bid_price, coalesce(q.bid_size, 0),
                q.ask_price, coalesce(q.ask_size, 0), null::boolean, null::boolean, q.ts
            from market.batches b
            join market.batch_ranges r using (batch_id)
            join market.sources s on s.source_id = r.source_id
            join market._quotes q on q.instrument_id = s.instrument_id
                and q.source_id = r.source_id
                and q.seq between r.first_seq and r.last_seq
                and q.ts > b.from_ts and q.ts <= b.as_of
            where b.session_id = p_session_id
                and b.batch_no > p_after and b.batch_no <= v_reached
                and s.kind = 'quotes'
                and s.instrument_id = any (p_active)
                and q.bid_price > 0 and q.ask_price >= q.bid_price
            order by b.batch_no, q.ts, q.ns, q.feed_id, q.source_id, q.seq;
    end if;
    if cardinality(p_quiet) > 0 and v_reached = v_last then
        return query
            select l.batch_no, b.as_of, l.instrument_id, l.bid_price, l.bid_size, l.ask_price,
                l.ask_size, null::boolean, null::boolean, l.ts
            from market.latest_quotes l
            join market.batches b using (batch_id)
            where l.session_id = p_session_id and l.instrument_id = any (p_quiet);
    end if;
    select b.as_of into v_as_of
    from market.batches b where b.session_id = p_session_id and b.batch_no = v_reached;
    return query
        select v_reached, coalesce(v_as_of, v_session.from_ts), null::integer, null::bigint,
            null::bigint, null::bigint, null::bigint, v_session.status = 'open', v_reached < v_last,
            null::timestamptz;
end
$$;
comment on function venue.read_market(uuid, bigint, integer[], integer[], integer) is
    'Quotes a simulated venue has not seen yet, in tick order, and where the session stands.';
grant execute on function venue.read_market(uuid, bigint, integer[], integer[], integer) to tsdb_venue;
