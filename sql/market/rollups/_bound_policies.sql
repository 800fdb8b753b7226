-- Community edition: keeps TimescaleDB's own policies from refreshing bars whose source was dropped,
-- which would take the bars away too. The bound is relative to the clock, so it is set anew at every
-- run of market.apply_retention; between two runs it only moves away from what was dropped.
create or replace function market._bound_policies(p_table text, p_dropped_before timestamptz)
returns void
language sql
set search_path = pg_catalog, pg_temp
as $$
    select public.alter_job(
        j.job_id,
        config => jsonb_set(
            j.config, '{start_offset}',
            to_jsonb((clock_timestamp() - p_dropped_before - interval '1 second')::text)))
    from market.rollups r
    join _timescaledb_catalog.continuous_agg v
        on v.user_view_schema = 'market' and v.user_view_name = '_' || r.rollup
    join timescaledb_information.jobs j
        on j.proc_name = 'policy_refresh_continuous_aggregate'
        and (j.config ->> 'mat_hypertable_id')::integer = v.mat_hypertable_id
    where r.native and r.source = p_table
$$;
