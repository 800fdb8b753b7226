-- Writes a snapshot of a book as it is after the event p_at, its p_event_count-th.
create or replace function market._write_book_snapshot(
    p_instrument_id integer,
    p_feed_id integer,
    p_at market.book_position,
    p_event_count bigint
)
returns void
language sql
security definer
set search_path = pg_catalog, pg_temp
as $$
    insert into market.book_snapshots
        (ts, ns, source_id, seq, instrument_id, feed_id, event_count, order_ids, sides, prices,
         sizes, placed_ns)
    select p_at.ts, p_at.ns, p_at.source_id, p_at.seq, p_instrument_id, p_feed_id, p_event_count,
           coalesce(array_agg(o.order_id order by o.queue_no), '{}'),
           coalesce(array_agg(o.side order by o.queue_no), '{}'),
           coalesce(array_agg(o.price order by o.queue_no), '{}'),
           coalesce(array_agg(o.size order by o.queue_no), '{}'),
           coalesce(array_agg(o.placed_ns order by o.queue_no), '{}')
    from market._book_orders(p_instrument_id, p_feed_id, p_at) o
$$;
comment on function
    market._write_book_snapshot(integer, integer, market.book_position, bigint) is
    'Writes a snapshot of a book as it is after an event.';
