-- Quotes with decimal prices and sizes. A side the row did not set is carried forward; flags says
-- which (1 bid set, 2 ask set, 4 suspicious). Null: the side was not known yet.
create or replace view market.quotes as
select q.instrument_id, q.ts, q.recv_ts, q.ns, q.seq, q.feed_id,
       q.bid_price / i.price_unit as bid_price,
       q.bid_size / i.size_unit as bid_size,
       q.ask_price / i.price_unit as ask_price,
       q.ask_size / i.size_unit as ask_size,
       q.source_id, q.exchange, q.conditions, q.flags
from market._quotes q
join ref.instruments i on i.instrument_id = q.instrument_id;
comment on view market.quotes is
    'Quotes in decimals; the total order is (ts, ns, feed_id, source_id, seq).';
comment on column market.quotes.flags is
    '1: the row set the bid; 2: it set the ask; 4: marked suspicious by the source.';
grant select on market.quotes to tsdb_reader, tsdb_venue;
