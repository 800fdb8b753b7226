-- Makes a strategy of a Python class, or replaces its code: its row; a worker steps it. Returns its id.
--
-- p_class        module:Class, as TSDB_TRADER_STRATEGIES names it.
-- p_hash         of the source of its module: a worker that has another one does not step it.
-- p_state, p_parameters   the fields of its state and of its parameters: arrays of objects of name, kind
--                (number, integer, string, boolean, array, object) and nullable.
-- p_inputs       the name of its inputs function; see signal.register_strategy, which says what that is.
-- Errors: TT001 a name, hash, field or function that will not do, TT002 no such function, TT004 a strategy
-- of the platform or in SQL, or fields other than those that it has.
create or replace function signal.register_python_strategy(
    p_strategy text,
    p_description text,
    p_class text,
    p_hash text,
    p_state jsonb,
    p_parameters jsonb,
    p_inputs text default null,
    p_lookback interval default '1 day'
)
returns integer
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_inputs constant regprocedure := to_regprocedure(p_inputs || '(integer[], timestamptz, timestamptz)');
    v_wrong text;
    v_old signal.strategies;
    v_strategy_id integer;
begin
    perform ops._audit('signal.register_python_strategy', p_strategy, jsonb_build_object(
        'class', p_class, 'hash', p_hash, 'inputs', p_inputs, 'lookback', p_lookback));
    if p_inputs is not null and v_inputs is null then
        raise exception 'there is no inputs function %(integer[], timestamptz, timestamptz)', p_inputs
            using errcode = 'TT002';
    end if;
    v_wrong := case
        when p_strategy !~ '^[a-z][a-z0-9_]{0,31}$' or p_strategy is null
            then 'a name is of lower-case letters, digits and _, at most 32, a letter first'
        when coalesce(p_description, '') = '' then 'a strategy needs a description'
        when (p_class ~ '^[A-Za-z_][A-Za-z0-9_.]*:[A-Za-z_][A-Za-z0-9_]*$') is not true
            then 'a class is named module:Class'
        when (p_hash ~ '^[0-9a-f]{64}$') is not true then 'the hash is a SHA-256 in hexadecimal'
        when (p_lookback >= interval '0') is not true then 'lookback must not be negative'
        else coalesce(signal._judge_fields('state', p_state), signal._judge_fields('parameters', p_parameters))
    end;
    if v_wrong is null and v_inputs is not null then
        v_wrong := signal._judge_inputs(v_inputs);
    end if;
    if v_wrong is not null then
        raise exception '%', v_wrong using errcode = 'TT001';
    end if;
    select * into v_old from signal.strategies s where s.strategy = p_strategy;
    if v_old.strategy_id is not null and v_old.python_class is null then
        raise exception 'strategy "%" is not one in Python: choose another name', p_strategy using errcode = 'TT004';
    elsif (v_old.state_fields, v_old.parameter_fields) <> (p_state, p_parameters) then
        raise exception 'strategy "%" has other fields in its state or parameters: give new ones a new name', p_strategy
            using errcode = 'TT004';
    end if;

    insert into signal.strategies as s
        (strategy, description, inputs, lookback, state_type, python_class, python_hash, state_fields,
         parameter_fields, registered_by, registered_at)
    values (p_strategy, p_description, signal._function_name(v_inputs), p_lookback, 'signal.python_state', p_class,
            p_hash, p_state, p_parameters, session_user, clock_timestamp())
    on conflict (strategy) do update
        set description = excluded.description, inputs = excluded.inputs, lookback = excluded.lookback,
            python_class = excluded.python_class, python_hash = excluded.python_hash,
            registered_by = excluded.registered_by, registered_at = excluded.registered_at
    returning s.strategy_id into v_strategy_id;
    update signal.strategies s set code_hash = signal.code_hash(p_strategy) where s.strategy_id = v_strategy_id;
    return v_strategy_id;
end
$$;
comment on function signal.register_python_strategy(text, text, text, text, jsonb, jsonb, text, interval) is
    'Makes a strategy of a Python class, which a worker steps; returns its id.';
grant execute on function signal.register_python_strategy(text, text, text, text, jsonb, jsonb, text, interval)
to tsdb_ops;
