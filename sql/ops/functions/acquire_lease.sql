-- Takes a lease that is free, expired or already the caller's; returns its epoch, which rises with
-- every new owner, or null while somebody else holds it.
create or replace function ops.acquire_lease(p_lease text, p_owner text, p_ttl interval)
returns bigint
language sql
security definer
set search_path = pg_catalog, pg_temp
as $$
    insert into ops.leases as l (lease, owner, epoch, expires_at, renewed_at)
    values (p_lease, p_owner, 1, clock_timestamp() + p_ttl, clock_timestamp())
    on conflict (lease) do update
        set owner = excluded.owner,
            epoch = l.epoch + (l.owner <> excluded.owner)::integer,
            expires_at = excluded.expires_at,
            renewed_at = excluded.renewed_at
        where l.owner = excluded.owner or l.expires_at < clock_timestamp()
    returning l.epoch
$$;
comment on function ops.acquire_lease(text, text, interval) is
    'Takes a free or expired lease and returns its epoch; null while another owner holds it.';
grant execute on function ops.acquire_lease(text, text, interval) to tsdb_worker_any, tsdb_venue;
