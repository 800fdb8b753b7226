-- Quality per feed, instrument and day: what was measured, and days that changed since, measured as
-- they are read. Name a day, feed or symbol: then only its ticks are looked at, if any.
create or replace view market.quality_by_instrument as
select q.day, q.feed, q.symbol, q.feed_id, q.instrument_id, q.rows, q.quotes, q.trades,
       q.book_events, q.duplicate_quotes, q.duplicate_trades, q.duplicates, q.suspicious,
       q.cancelled, q.late, q.quotes_in_hours, q.no_bid, q.no_ask, q.locked, q.crossed, q.wide,
       q.max_spread, q.trades_in_hours, q.outside, q.jumps, q.max_jump, q.max_jump_ts, q.stale,
       q.max_silence_s, q.max_silence_from, q.latency_count, q.latency_p50_s, q.latency_p99_s,
       q.latency_max_s, q.latencies, q.first_ts, q.last_ts, q.measured_at
from market._quality_by_instrument q
where q.state <> 'outdated';
comment on view market.quality_by_instrument is
    'Quality per feed, instrument and day of New York. Quotes, trades and silences are judged in the session''s hours; thresholds: market.quality_rules. Name a day.';
comment on column market.quality_by_instrument.late is 'Ticks that came after a later one of their source.';
comment on column market.quality_by_instrument.stale is
    'Silences in the session''s hours longer than rule stale_s, also before the first tick and after the last.';
comment on column market.quality_by_instrument.latency_p50_s is
    'From the source''s time to ours, within 1%; null where ours is not known.';
comment on column market.quality_by_instrument.outside is
    'Trades outside of the last usable quote by more than rule outside_relative.';
grant select on market.quality_by_instrument to tsdb_reader;
