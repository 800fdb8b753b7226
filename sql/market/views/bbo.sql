-- Per instrument and feed, the best bid and offer of the book after its last event, in decimals; a
-- side without orders is null. Each book is rebuilt when its row is read: name the instrument.
create or replace view market.bbo as
select b.instrument_id, b.feed_id, t.ts, t.ns,
       t.bid_price / i.price_unit as bid_price,
       t.bid_size / i.size_unit as bid_size,
       t.bid_orders,
       t.ask_price / i.price_unit as ask_price,
       t.ask_size / i.size_unit as ask_size,
       t.ask_orders
from (
    select s.instrument_id, s.feed_id
    from market.sources s
    where s.kind = 'book_events' and s.instrument_id is not null and s.last_ts is not null
    group by s.instrument_id, s.feed_id
) b
join ref.instruments i on i.instrument_id = b.instrument_id
cross join lateral market._book_top(b.instrument_id, b.feed_id) t;
comment on view market.bbo is
    'The current best bid and offer of every book (instrument and feed), in decimals; name the instrument, each book is rebuilt when it is read.';
grant select on market.bbo to tsdb_reader, tsdb_venue;
