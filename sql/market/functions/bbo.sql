-- The best bid and offer of an instrument's book after every event with p_from <= ts < p_to that
-- changed it, in decimals, with the event's ts, ns, source_id and seq. A side without orders is null.
-- Events within a snapshot show a book half told and have no row of their own; its last one has.
-- Of several feeds it is the one with the latest event before p_to, or p_feed.
-- Raises TT002 for an unknown instrument or feed, TT001 for times that are null, out of order, or
-- whose books are dropped.
create or replace function market.bbo(
    p_instrument_id integer,
    p_from timestamptz,
    p_to timestamptz,
    p_feed text default null
)
returns table (
    ts timestamptz,
    recv_ts timestamptz,
    ns smallint,
    seq bigint,
    feed_id integer,
    source_id integer,
    bid_price double precision,
    bid_size double precision,
    bid_orders bigint,
    ask_price double precision,
    ask_size double precision,
    ask_orders bigint
)
language plpgsql
stable
as $$
#variable_conflict use_column
declare
    -- The last moment before, as the ends of market._book_end are included.
    v_after timestamptz := p_from - interval '1 microsecond';
    v_upto timestamptz := p_to - interval '1 microsecond';
    v_feed_id integer := market._book_feed(p_instrument_id, v_upto, p_feed);
begin
    if (p_from <= p_to) is not true then
        raise exception 'from % to % is no span of time', coalesce(p_from::text, 'null'), p_to
            using errcode = 'TT001';
    elsif p_from < market._books_known_from() then
        raise exception 'books before % are dropped: see market.retention',
            market._books_known_from() using errcode = 'TT001';
    end if;
    return query
    select b.ts, b.recv_ts, b.ns, b.seq, v_feed_id, b.source_id,
           b.bid_price / i.price_unit, b.bid_size / i.size_unit, b.bid_orders,
           b.ask_price / i.price_unit, b.ask_size / i.size_unit, b.ask_orders
    from market._book_bbo(
        p_instrument_id, v_feed_id, market._book_end(v_after), market._book_end(v_upto)) b
    join ref.instruments i on i.instrument_id = p_instrument_id;
end
$$;
comment on function market.bbo(integer, timestamptz, timestamptz, text) is
    'The best bid and offer of an instrument''s book after every event with p_from <= ts < p_to that changed it, in decimals.';
grant execute on function market.bbo(integer, timestamptz, timestamptz, text) to tsdb_reader, tsdb_venue;
