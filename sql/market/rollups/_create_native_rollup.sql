-- Community edition: a continuous aggregate that shows what is not materialised yet, refreshed by
-- TimescaleDB's own policy. Late ticks show after the next refresh.
create or replace function market._create_native_rollup(
    p_table text, p_current text, p_query text, p_bucket interval
)
returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
begin
    execute format(
        'create materialized view %s with (timescaledb.continuous, '
        'timescaledb.materialized_only = false) as %s with no data', p_table, p_query);
    execute format(
        'select public.add_continuous_aggregate_policy(%L, start_offset => null, '
        'end_offset => interval ''2 minutes'', schedule_interval => %L::interval)',
        p_table, least(greatest(p_bucket, interval '1 minute'), interval '1 hour'));
    execute format('create view %s as select * from %s', p_current, p_table);
end
$$;
