-- Extends a lease the caller still owns under this epoch; false means it is lost: stop at once.
create or replace function ops.renew_lease(p_lease text, p_owner text, p_epoch bigint, p_ttl interval)
returns boolean
language sql
security definer
set search_path = pg_catalog, pg_temp
as $$
    with renewed as (
        update ops.leases set expires_at = clock_timestamp() + p_ttl, renewed_at = clock_timestamp()
        where lease = p_lease and owner = p_owner and epoch = p_epoch
            and expires_at > clock_timestamp()
        returning 1)
    select exists (select from renewed)
$$;
comment on function ops.renew_lease(text, text, bigint, interval) is
    'Extends a lease; false when it expired or has another owner.';
grant execute on function ops.renew_lease(text, text, bigint, interval) to tsdb_worker_any, tsdb_venue;
