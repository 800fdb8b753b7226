-- Book events with decimal prices and sizes; see market._book_events for actions and flags.
create or replace view market.book_events as
select e.instrument_id, e.ts, e.recv_ts, e.ns, e.seq, e.feed_id, e.source_id, e.action, e.side,
       e.order_id, e.new_order_id,
       e.price / i.price_unit as price,
       e.size / i.size_unit as size,
       e.trade_id, e.flags, e.placed_ns
from market._book_events e
join ref.instruments i on i.instrument_id = e.instrument_id;
comment on view market.book_events is
    'Order-by-order events in decimals; the total order of a feed is (ts, ns, source_id, seq).';
comment on column market.book_events.action is
    'add: a new order; modify: it has this price and size now; reduce: size was taken off without a trade; execute: size was traded; delete: it is gone; replace: new_order_id stands in its place, at the end of the queue; clear: every order of the instrument is gone.';
comment on column market.book_events.flags is
    '1: part of a snapshot; 2: hidden from the book''s display; 4: the source''s own end of an event with more than one row; 8: tells of a fill that another event takes off the book.';
comment on column market.book_events.placed_ns is
    'When the order of a snapshot row got its place in the queue, in nanoseconds since 1970-01-01 UTC.';
grant select on market.book_events to tsdb_reader, tsdb_venue;
