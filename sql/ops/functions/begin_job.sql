-- Records that a scheduled job starts; returns the id of the run for ops.end_job.
create or replace function ops.begin_job(p_job text)
returns bigint
language sql
security definer
set search_path = pg_catalog, pg_temp
as $$
    insert into ops.jobs (job) values (p_job) returning job_run_id
$$;
comment on function ops.begin_job(text) is 'Records the start of a scheduled job and returns its run id.';
grant execute on function ops.begin_job(text) to tsdb_worker_scheduler;
