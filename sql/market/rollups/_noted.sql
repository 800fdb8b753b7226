-- The buckets of a rollup whose ticks changed since they were materialised.
create or replace function market._noted(p_rollup text)
returns tstzmultirange
language sql
stable
as $$
    select coalesce(range_agg(tstzrange(i.from_bucket, i.to_bucket)), '{}')
    from market.rollup_invalidations i where i.rollup = p_rollup
$$;
-- Called from views, where the reader's rights count.
grant execute on function market._noted(text) to tsdb_reader;
