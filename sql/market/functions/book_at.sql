-- The order book of an instrument at any instant, by price level: side bid (highest price first),
-- then ask (lowest first), level 1 to p_depth, price and size in decimals, number of orders. All
-- events with ts <= p_as_of count, in the order (ts, ns, source_id, seq). Of several feeds it is
-- the one with the latest event, or p_feed; they are never mixed. No rows: the book is empty, or
-- there was no event yet.
-- Raises TT002 for an unknown instrument or feed, TT001 for a time that is null or a depth below 1.
create or replace function market.book_at(
    p_instrument_id integer,
    p_as_of timestamptz,
    p_depth integer,
    p_feed text default null
)
returns table (
    side text,
    level integer,
    price double precision,
    size double precision,
    orders bigint
)
language plpgsql
stable
as $$
#variable_conflict use_column
declare
    v_feed_id integer;
begin
    if coalesce(p_depth, 0) < 1 then
        raise exception 'depth % is no number of levels: ask for 1 or more',
            coalesce(p_depth::text, 'null') using errcode = 'TT001';
    end if;
    v_feed_id := market._book_feed(p_instrument_id, p_as_of, p_feed);
    return query
    with levels as (
        select o.side, o.price, sum(o.size) as size, count(*) as orders,
               (row_number() over (
                   partition by o.side
                   order by case o.side when 'bid' then -o.price else o.price end))::integer
                   as level
        from market._book_orders(p_instrument_id, v_feed_id, market._book_end(p_as_of)) o
        group by o.side, o.price
    )
    select l.side, l.level, l.price / i.price_unit, l.size::double precision / i.size_unit, l.orders
    from levels l
    join ref.instruments i on i.instrument_id = p_instrument_id
    where l.level <= p_depth
    order by l.side desc, l.level;
end
$$;
comment on function market.book_at(integer, timestamptz, integer, text) is
    'The order book of an instrument at an instant: price levels in decimals, best first, rebuilt from the last snapshot and the events since; p_feed names one of several feeds.';
grant execute on function market.book_at(integer, timestamptz, integer, text) to tsdb_reader, tsdb_venue;
