-- Bars as their vendor made them, in decimals; our own are market.bars_*.
create or replace view market.source_bars as
select b.instrument_id, b.ts, b.resolution, b.side,
       b.open / i.price_unit as open,
       b.high / i.price_unit as high,
       b.low / i.price_unit as low,
       b.close / i.price_unit as close,
       b.volume / i.size_unit as volume,
       b.seq, b.feed_id, b.source_id, b.recv_ts, b.flags
from market._source_bars b
join ref.instruments i on i.instrument_id = b.instrument_id;
comment on view market.source_bars is
    'Bars as their vendor made them, in decimals; ts is the start of the bar. Our own are market.bars_*.';
comment on column market.source_bars.side is
    'trade, bid or ask: what the bar is of. Volume of a quote bar is its last size.';
grant select on market.source_bars to tsdb_reader, tsdb_venue;
