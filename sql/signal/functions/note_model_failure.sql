-- Records that a version could not be scored for a window, and raises model_failed.
create or replace function signal.note_model_failure(
    p_version_id bigint,
    p_from timestamptz,
    p_to timestamptz,
    p_error text
)
returns void
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
begin
    insert into signal.model_runs (version_id, from_ts, to_ts, error) values (p_version_id, p_from, p_to, p_error);
    perform ops.raise_alert('model_failed', 'warning', 'model ' || m.model || ' cannot be scored',
        jsonb_build_object('model', m.model, 'version', v.version, 'error', p_error))
    from signal.model_versions v join signal.models m using (model_id)
    where v.version_id = p_version_id;
end
$$;
comment on function signal.note_model_failure(bigint, timestamptz, timestamptz, text) is
    'Records that a version could not be scored, and raises model_failed.';
grant execute on function signal.note_model_failure(bigint, timestamptz, timestamptz, text)
    to tsdb_worker_scheduler, tsdb_ops;
