-- Whether a step fails on an input: null if it does not, else the error's SQLSTATE and message.
create or replace function signal._try_step(
    p_strategy signal.strategies,
    p_state jsonb,
    p_input signal.step_input,
    p_parameters jsonb,
    out sql_state text,
    out message text
)
language plpgsql
stable
set search_path = pg_catalog, pg_temp
as $$
begin
    execute format('select %s from (select $1 as state, $2 as input, $3 as parameters) d', signal._step_call(p_strategy))
    using p_state, p_input, p_parameters;
exception when others or assert_failure then
    if signal._is_transient(sqlstate) then
        raise;
    end if;
    sql_state := sqlstate;
    message := sqlerrm;
end
$$;
comment on function signal._try_step(signal.strategies, jsonb, signal.step_input, jsonb) is
    'Whether a step fails on an input, and how.';
