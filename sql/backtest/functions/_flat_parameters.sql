-- What a run was given, as one level of keys: the parameters it read, those of the strategy that were
-- changed, its window, costs and code, not its data. p_run is a row of backtest.runs.
create or replace function backtest._flat_parameters(p_run jsonb)
returns jsonb
language sql
immutable
set search_path = pg_catalog, pg_temp
as $$
    select ((p_run->'parameters') - array['changes', 'costs', 'instances']) || (p_run->'parameters'->'changes')
        || jsonb_build_object(
            'strategy', p_run->'strategy', 'from', p_run->'from_ts', 'to', p_run->'to_ts', 'cost_model', p_run->'costs',
            'costs', p_run->'parameters'->'costs', 'code_hash', p_run->'code_hash',
            'instances', jsonb_array_length(p_run->'parameters'->'instances'))
$$;
comment on function backtest._flat_parameters(jsonb) is 'What a run was given, as one level of keys.';
