-- One-minute bars of trades. Stored in integers; the public view shows decimals. Open and close
-- follow the total order of ticks, so they are the same on every run and on both editions.
select market.declare_rollup(
    'bars_1m', 'market._trades', '1 minute', 'instrument_id, feed_id',
    '(min(market._tick_order(ts, ns, source_id, seq, price)))[5] as open,
     max(price) as high,
     min(price) as low,
     (max(market._tick_order(ts, ns, source_id, seq, price)))[5] as close,
     sum(size)::bigint as volume,
     count(*) as trade_count,
     sum(price::numeric * size) as notional',
    'r.instrument_id, r.bucket,
     r.open / i.price_unit as open,
     r.high / i.price_unit as high,
     r.low / i.price_unit as low,
     r.close / i.price_unit as close,
     r.volume / i.size_unit as volume,
     r.trade_count,
     r.notional::double precision / r.volume / i.price_unit as vwap,
     r.feed_id
     from $rollup join ref.instruments i on i.instrument_id = r.instrument_id');
comment on view market.bars_1m is
    'One-minute bars of all trades: decimals, volume in units, vwap weighted by size. bucket is the minute''s start.';
