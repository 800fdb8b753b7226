-- Quality per feed and day. Name a day, or a feed and a day.
create or replace view market.quality as
with parts as (
    select q.feed_id, q.feed, q.day, 1 as instruments, q.rows, q.quotes, q.trades, q.book_events,
           q.duplicates, q.suspicious, q.cancelled, q.late, q.quotes_in_hours, q.no_bid, q.no_ask,
           q.locked, q.crossed, q.wide, q.max_spread, q.trades_in_hours, q.outside, q.jumps,
           q.max_jump, q.stale, q.max_silence_s, q.latency_count, q.latencies, q.latency_max_s,
           q.first_ts, q.last_ts, 0::bigint as gaps_open, 0::bigint as gaps_filled,
           0::bigint as missing, null::text as reason, 0::bigint as quarantined
    from market.quality_by_instrument q
    union all
    select s.feed_id, f.feed, s.day, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, null, 0, 0, 0, null,
           0, null, 0, null, null, null, null, s.gaps_open, s.gaps_filled, s.missing, s.reason,
           s.quarantined
    from market._quality_losses s
    join ops.feeds f on f.feed_id = s.feed_id
)
select p.day, p.feed, p.feed_id, sum(p.instruments) as instruments,
       sum(p.rows)::bigint as rows, sum(p.quotes)::bigint as quotes,
       sum(p.trades)::bigint as trades, sum(p.book_events)::bigint as book_events,
       sum(p.duplicates)::bigint as duplicates, sum(p.suspicious)::bigint as suspicious,
       sum(p.cancelled)::bigint as cancelled, sum(p.late)::bigint as late,
       sum(p.quotes_in_hours)::bigint as quotes_in_hours,
       sum(p.no_bid)::bigint as no_bid, sum(p.no_ask)::bigint as no_ask,
       sum(p.locked)::bigint as locked, sum(p.crossed)::bigint as crossed,
       sum(p.wide)::bigint as wide, max(p.max_spread) as max_spread,
       sum(p.trades_in_hours)::bigint as trades_in_hours, sum(p.outside)::bigint as outside,
       sum(p.jumps)::bigint as jumps, max(p.max_jump) as max_jump,
       sum(p.stale)::bigint as stale, max(p.max_silence_s) as max_silence_s,
       sum(p.gaps_open)::bigint as gaps_open, sum(p.gaps_filled)::bigint as gaps_filled,
       sum(p.missing)::bigint as missing,
       sum(p.quarantined)::bigint as quarantined,
       coalesce(jsonb_object_agg(p.reason, p.quarantined) filter (where p.reason is not null), '{}')
           as quarantined_by_reason,
       sum(p.latency_count)::bigint as latency_count,
       market._latency_quantile(array_agg(p.latencies), 0.5) as latency_p50_s,
       market._latency_quantile(array_agg(p.latencies), 0.99) as latency_p99_s,
       max(p.latency_max_s) as latency_max_s,
       min(p.first_ts) as first_ts, max(p.last_ts) as last_ts
from parts p
group by p.day, p.feed_id, p.feed;
comment on view market.quality is
    'Quality per feed and day of New York: rows, duplicates (kept), locked, crossed, wide, outside, stale, late, gaps, quarantined, latency. market.quality_by_instrument has the instruments. Name a day.';
comment on column market.quality.missing is 'Sequence numbers of gaps that nothing has filled.';
comment on column market.quality.quarantined is
    'Rows of files count on the day that the file begins, those of streams on the day they came.';
grant select on market.quality to tsdb_reader;
