-- Gives a lease back before it expires; no effect unless the caller owns it under this epoch.
create or replace function ops.release_lease(p_lease text, p_owner text, p_epoch bigint)
returns void
language sql
security definer
set search_path = pg_catalog, pg_temp
as $$
    update ops.leases set expires_at = clock_timestamp()
    where lease = p_lease and owner = p_owner and epoch = p_epoch and expires_at > clock_timestamp()
$$;
comment on function ops.release_lease(text, text, bigint) is 'Lets a lease expire now.';
grant execute on function ops.release_lease(text, text, bigint) to tsdb_worker_any, tsdb_venue;
