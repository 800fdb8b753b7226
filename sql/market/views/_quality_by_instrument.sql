-- What market.quality_by_instrument shows and what it hides. state: measured, and nothing changed
-- since; outdated, measured before a change; fresh, measured as it is read.
create or replace view market._quality_by_instrument as
with changed as (
    select distinct c.feed_id, f.feed, c.day, i.instrument_id, i.symbol
    from market.quality_changes c
    join ops.feeds f on f.feed_id = c.feed_id
    join ref.instruments i on i.instrument_id = any (c.instrument_ids)
),
measured as (
    select f.feed, i.symbol, case when exists (
               select from market.quality_changes c
               where c.feed_id = d.feed_id and c.day = d.day
                   and d.instrument_id = any (c.instrument_ids))
               then 'outdated' else 'measured' end as state, d.*
    from market.quality_days d
    join ops.feeds f on f.feed_id = d.feed_id
    join ref.instruments i on i.instrument_id = d.instrument_id
    union all
    select c.feed, c.symbol, 'fresh', m.*
    from changed c
    -- The equalities take the reader's conditions down to what is measured.
    join lateral market._measure_quality(c.feed_id, c.instrument_id, c.day) m
        on m.feed_id = c.feed_id and m.instrument_id = c.instrument_id and m.day = c.day
)
select d.state, d.day, d.feed, d.symbol, d.feed_id, d.instrument_id,
       d.quotes + d.trades + d.book_events as rows,
       d.quotes, d.trades, d.book_events,
       d.duplicate_quotes, d.duplicate_trades, d.duplicate_quotes + d.duplicate_trades as duplicates,
       d.suspicious, d.cancelled, d.late,
       d.quotes_in_hours, d.no_bid, d.no_ask,
       d.locked, d.crossed, d.wide, d.max_spread,
       d.trades_in_hours, d.outside, d.jumps, d.max_jump, d.max_jump_ts,
       d.stale + coalesce(e.seconds > d.stale_s, false)::integer as stale,
       greatest(d.max_silence_s, e.seconds) as max_silence_s,
       case when e.seconds > d.max_silence_s then e.since else d.max_silence_from end
           as max_silence_from,
       d.latency_count,
       market._latency_quantile(array[d.latencies], 0.5) as latency_p50_s,
       market._latency_quantile(array[d.latencies], 0.99) as latency_p99_s,
       d.latency_max_s, d.latencies, d.first_ts, d.last_ts, d.measured_at
from measured d
left join lateral (
    -- The silence after the last tick: up to the close, or to what the feed has of other instruments.
    select greatest(d.last_ts, d.session_open) as since,
           coalesce(extract(epoch from least(d.session_close, s.last_ts)
               - greatest(d.last_ts, d.session_open)), 0)::double precision as seconds
    from (
        select s.last_ts from market.sources s
        where s.feed_id = d.feed_id and s.last_ts is not null
        order by s.last_ts desc limit 1
    ) s
) e on true;
-- Called by functions with the rights of their caller.
grant select on market._quality_by_instrument to tsdb_reader;
