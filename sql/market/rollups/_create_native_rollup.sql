-- Community edition: a continuous aggregate that shows what is not materialised yet, refreshed by
-- TimescaleDB's own policy. Late ticks show after the next refresh.
create or replace function market._create_native_rollup(
    p_table text, p_current text, p_query text, p_bucket interval
)
returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
    v_job integer;
begin
    execute format(
        'create materialized view %s with (timescaledb.continuous, '
        'timescaledb.materialized_only = false) as %s with no data', p_table, p_query);
    v_job := public.add_continuous_aggregate_policy(
        p_table::regclass, start_offset => null, end_offset => interval '2 minutes',
        schedule_interval => least(greatest(p_bucket, interval '1 minute'), interval '1 hour'));
    -- In one go: in batches, TimescaleDB 2.23 walks over every bucket of the window, and a window
    -- that market.apply_retention bounded has hundreds of millions of them.
    perform public.alter_job(v_job, config => j.config || '{"buckets_per_batch": 0}')
    from timescaledb_information.jobs j where j.job_id = v_job;
    execute format('create view %s as select * from %s', p_current, p_table);
end
$$;
