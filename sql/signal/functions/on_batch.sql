-- Steps every pair and instance of the session of which a leg had a quote in the batch: states, signals
-- with their targets, and the record that the batch was consumed. All pairs are one statement, and so
-- are the instances of every other strategy. Returns the number of signals.
-- A consumed batch returns 0 and changes nothing. Batches are consumed in the order of batch_no.
-- A step that fails stops its instance for the rest of the session (signal.strategy_errors, alert
-- strategy_error); the others go on. Notifies signal_signals once, when there is a signal.
-- Errors: TT002 unknown batch, TT001 a batch before its turn, TT004 Python strategies that were not stepped
-- before (signal.python_inputs, signal.hand_over_steps).
create or replace function signal.on_batch(p_batch_id bigint)
returns integer
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
-- A state kept as jsonb must come back to the last bit.
set extra_float_digits = 1
set timezone = 'UTC'
set intervalstyle = 'postgres'
as $$
declare
    v_batch market.batches;
    v_last bigint;
    v_pairs record;
    v_others record;
    v_decisions signal.decision[];
    v_signals integer := 0;
begin
    select * into v_batch from market.batches b where b.batch_id = p_batch_id;
    if not found then
        raise exception 'batch % does not exist', p_batch_id using errcode = 'TT002';
    end if;
    -- Two workers of one session queue up here; the next statement sees what the first one did.
    perform pg_advisory_xact_lock(hashtextextended('signal.on_batch ' || v_batch.session_id, 0));
    select max(c.consumption_no) into v_last from signal.consumed_batches c
    where c.session_id = v_batch.session_id;
    if v_batch.batch_no <= v_last then
        return 0;
    elsif v_batch.batch_no > coalesce(v_last, 0) + 1 then
        raise exception 'batch % of session % comes after batch %, which is not consumed: use signal.next_batch',
            v_batch.batch_no, v_batch.session_id, coalesce(v_last, 0) + 1 using errcode = 'TT001';
    end if;

    begin
        v_pairs := signal._step_pairs(v_batch);
    exception when others or assert_failure then
        if signal._is_transient(sqlstate) or signal._isolate_pairs(v_batch) = 0 then
            raise;
        end if;
        v_pairs := signal._step_pairs(v_batch);
    end;
    v_others := signal._step_strategies(v_batch);
    v_decisions := v_pairs.decisions || v_others.decisions;
    if cardinality(v_decisions) > 0 then
        v_signals := signal._record_signals(v_batch, signal._settle_decisions(v_batch, v_decisions));
        perform pg_notify('signal_signals', '');
    end if;
    insert into signal.consumed_batches (session_id, batch_id, consumption_no, pairs_stepped, signals)
    values (v_batch.session_id, p_batch_id, v_batch.batch_no, v_pairs.stepped + v_others.stepped, v_signals);
    return v_signals;
end
$$;
comment on function signal.on_batch(bigint) is
    'Steps every pair and instance of the session that had a quote in the batch; returns the number of signals. Idempotent.';
grant execute on function signal.on_batch(bigint) to tsdb_worker_signals;
