-- Steps the strategies of a session on its next batch, submits the orders of its signals and evaluates its
-- rules, in one transaction. Returns the number of signals, or null when no batch waits, or when the session replays
-- in lock-step and a resting order has yet to meet the batch's market: its fill comes before the signal.
-- A batch without a signal commits without waiting for the disk: lost with the server, it is stepped
-- again to the same end. A batch with signals waits, because its orders leave the machine.
create or replace function ops.consume_batch(p_session_id uuid)
returns integer
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_durable text := current_setting('synchronous_commit');
    v_batch_id bigint;
    v_signals integer;
begin
    v_batch_id := ops._due_batch(p_session_id);
    if v_batch_id is null then
        return null;
    end if;
    v_signals := signal.on_batch(v_batch_id);
    if v_signals > 0 then
        perform oms.submit_signals(v_batch_id);
    end if;
    perform signal.evaluate_rules(v_batch_id);
    perform set_config(
        'synchronous_commit', case when v_signals > 0 then v_durable else 'off' end, true);
    perform pg_notify('signal_consumed_batches', '');
    return v_signals;
end
$$;
comment on function ops.consume_batch(uuid) is
    'Consumes the next batch of a session with its signals and orders; null when none waits.';
grant execute on function ops.consume_batch(uuid) to tsdb_worker_signals;
