-- Makes a strategy of a step function, or replaces its functions: its row, and the aggregate
-- signal.run_<strategy>(input, parameters), which folds the step over inputs in order. Returns its id.
--
-- p_step       step(S, signal.step_input, P) returns S: immutable, not strict. S is a composite type with
--              event text and quantities bigint[] (a target per leg); a field score double precision,
--              if it has one, is kept with each signal and ranks entries in a portfolio. P is a
--              composite type or a domain over one, whose checks are the parameters' ranges.
-- p_inputs     a stable or immutable function (p_instruments integer[], p_from timestamptz, p_to
--              timestamptz) returns table (as_of timestamptz, instrument_id integer, features double
--              precision[]): what became known in (p_from, p_to].
-- p_lookback   how long before the first step features are asked for.
--
-- The functions run with the rights of the owner of the schema, so they must be the owner's, and none
-- of pg_temp. They are called without a search path: every name in them is qualified.
-- Errors: TT001 a name or function that will not do, TT004 a strategy of the platform.
create or replace function signal.register_strategy(
    p_strategy text,
    p_description text,
    p_step regprocedure,
    p_inputs regprocedure default null,
    p_lookback interval default '1 day'
)
returns integer
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_step pg_proc;
    v_wrong text;
    v_state text;
    v_parameters text;
    v_old signal.strategies;
    v_run text := format('signal.%I', 'run_' || p_strategy);
    v_strategy_id integer;
begin
    perform ops._audit('signal.register_strategy', p_strategy,
        jsonb_build_object('step', p_step::text, 'inputs', p_inputs::text, 'lookback', p_lookback));
    select * into v_step from pg_proc p where p.oid = p_step;
    v_wrong := case
        when p_strategy !~ '^[a-z][a-z0-9_]{0,31}$' or p_strategy is null
            then 'a name is of lower-case letters, digits and _, at most 32, a letter first'
        when coalesce(p_description, '') = '' then 'a strategy needs a description'
        when (p_lookback >= interval '0') is not true then 'lookback must not be negative'
        else signal._judge_step(p_step)
    end;
    if v_wrong is null and p_inputs is not null then
        v_wrong := signal._judge_inputs(p_inputs);
    end if;
    if v_wrong is not null then
        raise exception '%', v_wrong using errcode = 'TT001';
    end if;
    select * into v_old from signal.strategies s where s.strategy = p_strategy;
    if v_old.strategy_id is not null and v_old.registered_by is null then
        raise exception 'strategy "%" is one of the platform: choose another name', p_strategy
            using errcode = 'TT004';
    end if;
    v_state := format_type(v_step.prorettype, null);
    v_parameters := format_type(v_step.proargtypes[2], null);
    if v_old.state_type is not null and (v_old.state_type, v_old.parameters_type) <> (v_state, v_parameters) then
        raise exception 'strategy "%" has states of % and parameters of %: give new types a new name',
            p_strategy, v_old.state_type, v_old.parameters_type using errcode = 'TT004';
    end if;

    execute format('create or replace aggregate %s(signal.step_input, %s) (sfunc = %s, stype = %s)',
        v_run, v_parameters, v_step.oid::regproc, v_state);
    execute format('comment on aggregate %s(signal.step_input, %s) is %L', v_run, v_parameters,
        format('%s folded over inputs in order.', v_step.oid::regproc));
    execute format('grant execute on function %s(signal.step_input, %s) to tsdb_reader', v_run, v_parameters);

    insert into signal.strategies as s
        (strategy, description, step, inputs, lookback, state_type, parameters_type, registered_by, registered_at)
    values (p_strategy, p_description, signal._function_name(p_step), signal._function_name(p_inputs),
            p_lookback, v_state, v_parameters, session_user, clock_timestamp())
    on conflict (strategy) do update
        set description = excluded.description, step = excluded.step, inputs = excluded.inputs,
            lookback = excluded.lookback, state_type = excluded.state_type,
            parameters_type = excluded.parameters_type, registered_by = excluded.registered_by,
            registered_at = excluded.registered_at
    returning s.strategy_id into v_strategy_id;
    update signal.strategies s set code_hash = signal.code_hash(p_strategy) where s.strategy_id = v_strategy_id;
    return v_strategy_id;
end
$$;
comment on function signal.register_strategy(text, text, regprocedure, regprocedure, interval) is
    'Makes a strategy of a step function and, optionally, a function that gives it features; returns its id.';
grant execute on function signal.register_strategy(text, text, regprocedure, regprocedure, interval) to tsdb_ops;
