-- Takes the states of the Python strategies' instances after a batch, for signal.on_batch, and returns how
-- many. p_steps: an array of objects of instance_id and either state (event, quantities, score, body) or
-- sql_state and message of what failed, which stops the instance; with strategy instead of instance_id the
-- whole of it. Errors: TT001 a state that cannot be, TT002 unknown batch, TT004 a batch without its inputs read
-- or an instance that is not a Python strategy's of the session.
create or replace function signal.hand_over_steps(p_batch_id bigint, p_steps jsonb)
returns integer
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
set extra_float_digits = 1
set timezone = 'UTC'
set intervalstyle = 'postgres'
as $$
declare
    v_batch market.batches;
    v_failed record;
    v_wrong text;
    v_count integer;
begin
    select * into v_batch from market.batches b where b.batch_id = p_batch_id;
    if not found then
        raise exception 'batch % does not exist', p_batch_id using errcode = 'TT002';
    elsif not exists (
        select from signal.python_batches b where b.session_id = v_batch.session_id and b.batch_no = v_batch.batch_no)
        or signal.next_batch(v_batch.session_id) is distinct from p_batch_id
    then
        raise exception 'the inputs of batch % were not read, or it is consumed', v_batch.batch_no using errcode = 'TT004';
    end if;
    select coalesce(p.instance_id::text, p.strategy, 'null') into v_wrong
    from jsonb_to_recordset(p_steps) p (instance_id bigint, strategy text)
    left join signal.session_instances si on si.session_id = v_batch.session_id and si.instance_id = p.instance_id
    left join signal.instances n on n.instance_id = si.instance_id
    left join signal._python_strategies(v_batch.session_id) s
        on s.strategy_id = n.strategy_id or p.instance_id is null and s.strategy = p.strategy
    where s.strategy_id is null limit 1;
    if v_wrong is not null then
        raise exception '% is no instance of a Python strategy of the session', v_wrong using errcode = 'TT004';
    end if;
    for v_failed in
        select coalesce(n.strategy_id, s.strategy_id) as strategy_id, p.instance_id, p.sql_state, p.message
        from jsonb_to_recordset(p_steps) p (instance_id bigint, strategy text, state jsonb, sql_state text, message text)
        left join signal.instances n on n.instance_id = p.instance_id
        left join signal.strategies s on p.instance_id is null and s.strategy = p.strategy
        where p.state is null
        order by p.instance_id
    loop
        perform signal._record_error(v_batch, v_failed.strategy_id, v_failed.instance_id, v_failed.sql_state, v_failed.message);
    end loop;
    begin
        insert into signal.python_steps (session_id, instance_id, batch_no, as_of, state)
        select v_batch.session_id, p.instance_id, v_batch.batch_no, v_batch.as_of,
               to_jsonb(jsonb_populate_record(null::signal.python_state, p.state))
        from jsonb_to_recordset(p_steps) p (instance_id bigint, state jsonb)
        where p.state is not null;
    exception when data_exception or invalid_parameter_value then
        raise exception 'a state cannot be read: %', sqlerrm using errcode = 'TT001';
    end;
    get diagnostics v_count = row_count;
    return v_count;
end
$$;
comment on function signal.hand_over_steps(bigint, jsonb) is
    'Takes the states of the Python strategies'' instances after a batch; returns how many.';
grant execute on function signal.hand_over_steps(bigint, jsonb) to tsdb_worker_signals;
