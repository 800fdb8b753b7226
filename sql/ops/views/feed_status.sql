-- Every feed with what was stored of it, and for streams what their worker last said.
-- state: of the heartbeat; stale when a running one has not beaten for 10 seconds.
create or replace view ops.feed_status as
select
    f.feed,
    f.kind,
    f.format,
    f.status,
    case
        when f.kind = 'file' then 'stored'
        when h.beat_at is null then case f.status when 'active' then 'waiting' else 'stopped' end
        when h.status <> 'stopped' and h.beat_at < clock_timestamp() - interval '10 seconds'
            then 'stale'
        else h.status
    end as state,
    coalesce(s.sources, 0) as sources,
    coalesce(s.rows_stored, 0) as rows_stored,
    coalesce(s.rows_quarantined, 0) as rows_quarantined,
    coalesce(s.rows_duplicate, 0) as rows_duplicate,
    coalesce(s.rows_missing, 0) as rows_missing,
    coalesce(g.open_gaps, 0) as open_gaps,
    coalesce(g.gap_rows, 0) as gap_rows,
    coalesce(l.late_ticks, 0) as late_ticks,
    s.last_ts,
    coalesce((h.detail->>'reconnects')::bigint, 0) as reconnects,
    h.detail->>'error' as last_error,
    h.beat_at
from ops.feeds f
left join ops.heartbeats h on f.kind = 'stream' and h.worker = 'feed:' || f.feed
left join lateral (
    select count(*) as sources, sum(s.rows_stored)::bigint as rows_stored,
           sum(s.rows_quarantined)::bigint as rows_quarantined,
           sum(s.rows_duplicate)::bigint as rows_duplicate,
           sum(s.rows_missing)::bigint as rows_missing, max(s.last_ts) as last_ts
    from market.sources s
    where s.feed_id = f.feed_id and s.parent_id is null) s on true
left join lateral (
    select count(*) as open_gaps, sum(g.last_missing - g.first_missing + 1)::bigint as gap_rows
    from market.gaps g
    where g.feed_id = f.feed_id and g.filled_at is null) g on true
left join lateral (
    select sum(l.ticks)::bigint as late_ticks
    from market.late_ticks l
    join ops.sessions o on o.session_id = l.session_id
    where o.feed_id = f.feed_id) l on true;
comment on view ops.feed_status is
    'Every feed: rows stored, quarantined, duplicate and missing, open gaps, last tick, and what the worker of a stream says.';
grant select on ops.feed_status to tsdb_reader;
