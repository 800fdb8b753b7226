-- Records that a worker is alive, and what it is doing.
create or replace function ops.beat(
    p_worker text,
    p_kind text,
    p_pid integer,
    p_host text,
    p_status text,
    p_detail jsonb,
    p_started_at timestamptz
) returns void
language sql
security definer
set search_path = pg_catalog, pg_temp
as $$
    insert into ops.heartbeats (worker, kind, pid, host, status, detail, started_at, beat_at)
    values (p_worker, p_kind, p_pid, p_host, p_status, p_detail, p_started_at, clock_timestamp())
    on conflict (worker) do update
        set kind = excluded.kind, pid = excluded.pid, host = excluded.host, status = excluded.status,
            detail = excluded.detail, started_at = excluded.started_at, beat_at = excluded.beat_at
$$;
comment on function ops.beat(text, text, integer, text, text, jsonb, timestamptz) is
    'One heartbeat of a worker; status such as running, waiting, stopped.';
grant execute on function ops.beat(text, text, integer, text, text, jsonb, timestamptz)
    to tsdb_worker_any, tsdb_venue;
