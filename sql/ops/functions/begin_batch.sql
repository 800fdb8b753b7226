-- The batch that ops.consume_batch would consume now, null when none; nobody else consumes one of the session
-- until the transaction ends. For a worker that steps Python strategies before it consumes the batch.
create or replace function ops.begin_batch(p_session_id uuid)
returns bigint
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
begin
    perform pg_advisory_xact_lock(hashtextextended('signal.on_batch ' || p_session_id, 0));
    return ops._due_batch(p_session_id);
end
$$;
comment on function ops.begin_batch(uuid) is 'The batch that ops.consume_batch would consume now, kept for the transaction.';
grant execute on function ops.begin_batch(uuid) to tsdb_worker_signals;
