-- The states that a fold over the first p_last steps of an instance finds (p_query as in
-- backtest._isolate_steps), or what it raised.
create or replace function backtest._try_fold(
    p_query text, p_instance_id bigint, p_instruments integer[], p_moments integer[], p_inputs signal.step_input[],
    p_values jsonb, p_last integer,
    out states backtest.run_state[], out sql_state text, out message text
)
language plpgsql
stable
set search_path = pg_catalog, pg_temp
as $$
begin
    execute format('select array_agg(f.found) from (%s) f', p_query)
    into states using p_instance_id, p_instruments, p_moments[:p_last], p_inputs[:p_last], p_values;
exception when others or assert_failure then
    if signal._is_transient(sqlstate) then
        raise;
    end if;
    sql_state := sqlstate;
    message := sqlerrm;
end
$$;
comment on function backtest._try_fold(
    text, bigint, integer[], integer[], signal.step_input[], jsonb, integer) is
    'The states of the first steps of an instance, or what a step raised.';
