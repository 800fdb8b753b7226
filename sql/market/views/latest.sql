-- Per session and instrument, the last usable quote (both sides, not crossed) in decimals.
create or replace view market.latest as
select l.session_id, l.instrument_id, i.symbol, l.ts, l.ns,
       l.bid_price / i.price_unit as bid_price,
       l.bid_size / i.size_unit as bid_size,
       l.ask_price / i.price_unit as ask_price,
       l.ask_size / i.size_unit as ask_size,
       (l.bid_price + l.ask_price) / 2.0::double precision / i.price_unit as mid,
       l.batch_id, l.batch_no, l.feed_id, l.source_id, l.seq
from market.latest_quotes l
join ref.instruments i on i.instrument_id = l.instrument_id;
comment on view market.latest is
    'The last usable quote of each instrument a session has seen, in decimals.';
grant select on market.latest to tsdb_reader, tsdb_venue;
