-- What the Python strategies of a session are to be stepped on with a batch: every due instance with its
-- state (null before its first step), input and parameters. Their features are asked for here; what
-- signal.hand_over_steps is given is then what signal.on_batch takes as their states, in the same transaction.
-- Errors: TT002 unknown batch, TT004 a batch that is not the next one.
create or replace function signal.python_inputs(p_batch_id bigint)
returns table (
    strategy text, python_class text, python_hash text, instance_id bigint, state jsonb, as_of timestamptz,
    mids double precision[], features double precision[], parameters jsonb
)
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_batch market.batches;
    v_strategy signal.strategies;
begin
    select * into v_batch from market.batches b where b.batch_id = p_batch_id;
    if not found then
        raise exception 'batch % does not exist', p_batch_id using errcode = 'TT002';
    end if;
    perform pg_advisory_xact_lock(hashtextextended('signal.on_batch ' || v_batch.session_id, 0));
    if signal.next_batch(v_batch.session_id) is distinct from p_batch_id then
        raise exception 'batch % is not the next one of its session', v_batch.batch_no using errcode = 'TT004';
    end if;
    insert into signal.python_batches (session_id, batch_no) values (v_batch.session_id, v_batch.batch_no);
    for v_strategy in select * from signal._python_strategies(v_batch.session_id) loop
        continue when not signal._know_features(v_batch, v_strategy);
        return query
        select v_strategy.strategy, v_strategy.python_class, v_strategy.python_hash, d.instance_id, d.state,
               (d.input).as_of, (d.input).mids, (d.input).features, d.parameters
        from signal._due_instances(
            v_batch.session_id, v_strategy.strategy_id, p_batch_id, v_batch.batch_no, v_batch.as_of) d
        order by d.instance_id;
    end loop;
end
$$;
comment on function signal.python_inputs(bigint) is
    'What the Python strategies of a session are to be stepped on with its next batch.';
grant execute on function signal.python_inputs(bigint) to tsdb_worker_signals;
