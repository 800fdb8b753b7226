-- The live orders of a book at any instant, order by order: side, level (1 is the best price),
-- place (1 is first in the level's queue), order_id, price and size in decimals, and when the order
-- got its place: priority_ts and the nanoseconds it does not hold. Size ahead of an order is the
-- sum of the sizes of lower places of its level. An order keeps its place when it is executed or
-- reduced, and when a modify leaves its price and does not raise its size; it loses it otherwise.
-- Feeds, ties and errors are as of market.book_at.
create or replace function market.orders_at(
    p_instrument_id integer, p_as_of timestamptz, p_feed text default null
)
returns table (
    side text,
    level integer,
    place integer,
    order_id bigint,
    price double precision,
    size double precision,
    priority_ts timestamptz,
    priority_ns smallint
)
language plpgsql
stable
as $$
#variable_conflict use_column
declare
    v_feed_id integer := market._book_feed(p_instrument_id, p_as_of, p_feed);
begin
    return query
    select o.side,
           (dense_rank() over (
               partition by o.side
               order by case o.side when 'bid' then -o.price else o.price end))::integer as level,
           (row_number() over (
               partition by o.side, o.price order by o.queue_no))::integer as place,
           o.order_id, o.price / i.price_unit, o.size / i.size_unit,
           timestamptz '1970-01-01 00:00:00+00'
           + div(o.placed_ns, 1000)::bigint * interval '1 microsecond',
           mod(o.placed_ns, 1000)::smallint
    from market._book_orders(p_instrument_id, v_feed_id, market._book_end(p_as_of)) o
    join ref.instruments i on i.instrument_id = p_instrument_id
    order by o.side desc, level, place;
end
$$;
comment on function market.orders_at(integer, timestamptz, text) is
    'The live orders of a book at an instant, each with its place in the queue of its level and the time it got it.';
grant execute on function market.orders_at(integer, timestamptz, text) to tsdb_reader, tsdb_venue;
