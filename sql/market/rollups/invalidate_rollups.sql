-- Notes that ticks of p_source (a base table) between p_first_ts and p_last_ts changed, in the
-- transaction that changed them, for the rollups of every level. Rollups that TimescaleDB keeps have
-- a log of their own. Buckets whose source was dropped (market.retention) stay as they are.
create or replace function market.invalidate_rollups(
    p_source regclass, p_first_ts timestamptz, p_last_ts timestamptz
)
returns void
language sql
security definer
set search_path = pg_catalog, pg_temp
as $$
    insert into market.rollup_invalidations (rollup, from_bucket, to_bucket)
    select r.rollup, s.from_bucket, s.to_bucket
    from market.rollups r
    left join market.retention t on t.hypertable = r.source
    cross join lateral (
        select market._bucket_of(r.bucket, t.dropped_before, r.timezone) as bucket
    ) f
    cross join lateral (
        select greatest(
                   market._bucket_of(r.bucket, p_first_ts, r.timezone),
                   case when f.bucket = t.dropped_before then f.bucket
                        else market._bucket_end(f.bucket, r.bucket, r.timezone) end) as from_bucket,
               market._bucket_end(
                   market._bucket_of(r.bucket, p_last_ts, r.timezone), r.bucket,
                   r.timezone) as to_bucket
    ) s
    where not r.native and r.base::regclass = p_source and p_first_ts <= p_last_ts
        and s.from_bucket < s.to_bucket
$$;
comment on function market.invalidate_rollups(regclass, timestamptz, timestamptz) is
    'Notes that ticks of a base table between two times changed, so that rollups follow.';
grant execute on function market.invalidate_rollups(regclass, timestamptz, timestamptz) to tsdb_worker_feeds;
