-- The live orders of a book after the event p_at, in stored integers: queue_no orders them within
-- their level. Inlined by the planner.
create or replace function market._book_orders(
    p_instrument_id integer, p_feed_id integer, p_at market.book_position
)
returns table (
    order_id bigint,
    side text,
    price bigint,
    size bigint,
    placed_ns bigint,
    queue_no bigint
)
language sql
stable
as $$
    select b.order_id, b.side, b.price, b.size,
           coalesce(b.placed_ns, market._book_nanoseconds(b.since_ts, b.since_ns)), b.queue_no
    from market._book_steps(p_instrument_id, p_feed_id, p_at, p_at) b
$$;
comment on function market._book_orders(integer, integer, market.book_position) is
    'The live orders of a book after an event, in stored integers.';
grant execute on function market._book_orders(integer, integer, market.book_position)
    to tsdb_reader, tsdb_venue;
