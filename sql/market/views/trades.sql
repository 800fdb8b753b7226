-- Trades with decimal prices and sizes.
create or replace view market.trades as
select t.instrument_id, t.ts, t.recv_ts, t.ns, t.seq, t.feed_id,
       t.price / i.price_unit as price,
       t.size / i.size_unit as size,
       t.conditions, t.source_id, t.exchange, t.flags
from market._trades t
join ref.instruments i on i.instrument_id = t.instrument_id;
comment on view market.trades is
    'Trades in decimals; the total order is (ts, ns, feed_id, source_id, seq), quotes before trades.';
comment on column market.trades.flags is '4: marked suspicious by the source.';
grant select on market.trades to tsdb_reader, tsdb_venue;
