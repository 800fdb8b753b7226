-- Gaps and quarantined rows per feed and day, one row per reason. What is lost has no time of its
-- own: a file's counts on the day that its first tick is of, a stream's when it was seen to be lost.
create or replace view market._quality_losses as
select g.feed_id, market._quality_day(
           case when f.kind = 'file' then coalesce(s.first_ts, g.detected_at)
                else g.detected_at end) as day,
       null::text as reason, 0::bigint as quarantined,
       count(*) filter (where g.filled_at is null) as gaps_open,
       count(g.filled_at) as gaps_filled,
       coalesce(sum(g.last_missing - g.first_missing + 1)
           filter (where g.filled_at is null), 0)::bigint as missing
from market.gaps g
join ops.feeds f on f.feed_id = g.feed_id
left join market.sources s on s.source_id = g.source_id
group by 1, 2
union all
select q.feed_id, market._quality_day(
           case when f.kind = 'file' then coalesce(s.first_ts, q.recorded_at)
                else q.recorded_at end),
       q.reason, count(*), 0, 0, 0
from market.quarantine q
join ops.feeds f on f.feed_id = q.feed_id
left join market.sources s on s.source_id = q.source_id
group by 1, 2, 3;
-- Read through market.quality with its owner's rights.
