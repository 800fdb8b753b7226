-- Notes that ticks of p_source (a base table) between p_first_ts and p_last_ts changed, in the
-- transaction that changed them. Rollups that TimescaleDB keeps have a log of their own.
create or replace function market.invalidate_rollups(
    p_source regclass, p_first_ts timestamptz, p_last_ts timestamptz
)
returns void
language sql
security definer
set search_path = pg_catalog, pg_temp
as $$
    insert into market.rollup_invalidations (rollup, from_bucket, to_bucket)
    select r.rollup, public.time_bucket(r.bucket, p_first_ts),
           public.time_bucket(r.bucket, p_last_ts) + r.bucket
    from market.rollups r
    where not r.native and r.source::regclass = p_source and p_first_ts <= p_last_ts
$$;
comment on function market.invalidate_rollups(regclass, timestamptz, timestamptz) is
    'Notes that ticks of a base table between two times changed, so that rollups follow.';
grant execute on function market.invalidate_rollups(regclass, timestamptz, timestamptz)
    to tsdb_worker;
