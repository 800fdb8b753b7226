-- The thresholds in force for a feed and symbol as one object: {rule: threshold}.
create or replace function market._quality_thresholds(p_feed text, p_symbol text)
returns jsonb
language sql
stable
as $$
    select pg_catalog.jsonb_object_agg(r.rule, r.threshold)
    from market.read_quality_rules(p_feed, p_symbol) r
$$;
grant execute on function market._quality_thresholds(text, text) to tsdb_reader, tsdb_worker_feeds;
