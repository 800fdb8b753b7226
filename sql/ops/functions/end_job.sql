-- Records how a run of a scheduled job ended; a failure is an alert too.
create or replace function ops.end_job(p_job_run_id bigint, p_succeeded boolean, p_detail jsonb default '{}')
returns void
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_job text;
begin
    update ops.jobs
    set finished_at = clock_timestamp(), succeeded = p_succeeded, detail = p_detail
    where job_run_id = p_job_run_id
    returning job into v_job;
    if not p_succeeded then
        perform ops.raise_alert(
            'job_failed', 'warning', 'job ' || v_job || ' failed', p_detail);
    end if;
end
$$;
comment on function ops.end_job(bigint, boolean, jsonb) is 'Records the end of a scheduled job.';
grant execute on function ops.end_job(bigint, boolean, jsonb) to tsdb_worker_scheduler;
