-- Resolves what a feeds worker raised about a stream that runs again; returns how many alerts.
create or replace function ops.resolve_feed_alerts(p_feed text)
returns integer
language sql
security definer
set search_path = pg_catalog, pg_temp
as $$
    with resolved as (
        update ops.alerts a set resolved_at = clock_timestamp()
        where a.kind in ('feed_failed', 'feed_offline') and a.detail->>'feed' = p_feed
            and a.resolved_at is null
        returning 1)
    select count(*)::integer from resolved
$$;
comment on function ops.resolve_feed_alerts(text) is
    'Resolves the alerts feed_failed and feed_offline of a stream that runs again.';
grant execute on function ops.resolve_feed_alerts(text) to tsdb_worker_feeds;
