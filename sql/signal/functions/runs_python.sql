-- Whether a session trades instances of Python strategies; null while that is open, before its first batch.
create or replace function signal.runs_python(p_session_id uuid)
returns boolean
language sql
stable
security definer
set search_path = pg_catalog, pg_temp
as $$
    select case when exists (select from signal.consumed_batches c where c.session_id = p_session_id) then exists (
        select from signal.session_instances si
        join signal.instances n on n.instance_id = si.instance_id
        join signal.strategies s on s.strategy_id = n.strategy_id
        where si.session_id = p_session_id and s.python_class is not null) end
$$;
comment on function signal.runs_python(uuid) is
    'Whether a session trades Python strategies; null while that is open, before its first batch.';
grant execute on function signal.runs_python(uuid) to tsdb_worker_signals;
