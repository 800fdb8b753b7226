-- Raises an alert of kind data_quality for every feed and rule that is beyond its threshold on a day
-- measured since the last call, or, of a stream, yesterday or today; a stream's alert is resolved when
-- both are right again. Alerts on files are of severity info: nobody trades on them. Returns how many
-- findings there were. For the scheduler, after market.refresh_quality.
create or replace function market.watch_quality(p_as_of timestamptz)
returns integer
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_feed record;
    v_findings integer := 0;
    v_found integer;
begin
    for v_feed in
        select f.feed_id, f.feed, f.kind,
               least(d.from_day, case f.kind when 'stream' then s.day - 1 end) as from_day,
               greatest(d.to_day, case f.kind when 'stream' then s.day end) as to_day
        from ops.feeds f
        cross join (select market._quality_day(p_as_of) as day) s
        left join (
            select d.feed_id, min(d.day) as from_day, max(d.day) as to_day
            from market.quality_days d where d.checked_at is null group by d.feed_id
        ) d on d.feed_id = f.feed_id
        where d.feed_id is not null or (f.kind = 'stream' and f.status = 'active')
    loop
        with findings as materialized (
            select c.*
            from market.check_quality(
                v_feed.feed, v_feed.from_day::timestamp at time zone 'America/New_York',
                (v_feed.to_day + 1)::timestamp at time zone 'America/New_York', true) c
        ),
        broken as materialized (
            select c.rule,
                   format('feed %s is beyond quality rule %s', v_feed.feed, c.rule) as message,
                   count(*) as findings, min(c.ts) as first_ts, max(c.ts) as last_ts,
                   (array_agg(jsonb_build_object(
                       'symbol', c.symbol, 'ts', c.ts, 'observed', c.observed,
                       'threshold', c.threshold) order by c.observed desc))[1] as worst
            from findings c group by c.rule
        ),
        raised as (
            select ops.raise_alert(
                'data_quality', case v_feed.kind when 'stream' then 'warning' else 'info' end,
                b.message, jsonb_build_object(
                    'feed', v_feed.feed, 'rule', b.rule, 'findings', b.findings,
                    'first_ts', b.first_ts, 'last_ts', b.last_ts, 'worst', b.worst))
            from broken b
        ),
        resolved as (
            update ops.alerts a set resolved_at = clock_timestamp()
            where v_feed.kind = 'stream' and a.kind = 'data_quality' and a.resolved_at is null
                and a.detail->>'feed' = v_feed.feed
                and not exists (select from broken b where b.message = a.message)
            returning 1
        )
        select coalesce(sum(b.findings), 0) into v_found
        from broken b, (select count(*) from raised) r, (select count(*) from resolved) x;
        v_findings := v_findings + v_found;
        update market.quality_days d set checked_at = clock_timestamp()
        where d.feed_id = v_feed.feed_id and d.checked_at is null;
    end loop;
    return v_findings;
end
$$;
comment on function market.watch_quality(timestamptz) is
    'Raises and resolves alerts of kind data_quality about days measured since the last call; returns the number of findings.';
grant execute on function market.watch_quality(timestamptz) to tsdb_worker_scheduler;
