-- The text of a strategy's step, called on the columns state, input and parameters of a relation d.
create or replace function signal._step_call(p_strategy signal.strategies)
returns text
language sql
immutable
set search_path = pg_catalog, pg_temp
as $$
    select format('%s(jsonb_populate_record(null::%s, d.state), d.input, jsonb_populate_record(null::%s, d.parameters))',
        p_strategy.step, p_strategy.state_type, p_strategy.parameters_type)
$$;
comment on function signal._step_call(signal.strategies) is 'The text of a call of a strategy''s step.';
