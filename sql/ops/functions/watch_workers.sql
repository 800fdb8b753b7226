-- Raises an alert for every worker that is not stopped and has not beaten for p_stale, and resolves
-- the alerts of those that beat again. Returns the number of stale workers. For the risk monitor.
create or replace function ops.watch_workers(p_stale interval)
returns integer
language sql
security definer
set search_path = pg_catalog, pg_temp
as $$
    with stale as (
        select h.worker, 'worker ' || h.worker || ' has stopped beating' as message,
            jsonb_build_object('worker', h.worker, 'pid', h.pid, 'host', h.host,
                'beat_at', h.beat_at) as detail
        from ops.heartbeats h
        where h.status <> 'stopped' and h.beat_at < clock_timestamp() - p_stale),
    raised as (
        select ops.raise_alert('stale_heartbeat', 'warning', s.message, s.detail) from stale s),
    resolved as (
        update ops.alerts a set resolved_at = clock_timestamp()
        where a.kind = 'stale_heartbeat' and a.resolved_at is null
            and not exists (select from stale s where s.message = a.message)
        returning 1)
    select count(*)::integer from stale, (select count(*) from raised) r, (select count(*) from resolved) x
$$;
comment on function ops.watch_workers(interval) is
    'Raises and resolves alerts of kind stale_heartbeat; returns the number of stale workers.';
grant execute on function ops.watch_workers(interval) to tsdb_worker_risk;
