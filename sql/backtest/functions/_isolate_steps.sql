-- The states of one instance of a run of which some raises: those before the first step that raises, and that
-- step with its error as the problem. Which it is is found by halves, with the fold itself, so that the states
-- before it have the bits that they have without an error.
-- p_query gives found (backtest.run_state) of $1 instance_id, $2 instruments, $3 moments, $4 inputs and $5 p_values.
create or replace function backtest._isolate_steps(
    p_query text, p_instance_id bigint, p_instruments integer[], p_moments integer[], p_inputs signal.step_input[],
    p_values jsonb
)
returns setof backtest.run_state
language plpgsql
stable
set search_path = pg_catalog, pg_temp
as $$
declare
    v_good integer := 0;
    v_bad integer := cardinality(p_moments);
    v_middle integer;
    v_states backtest.run_state[];
    v_try record;
    v_error record;
begin
    v_try := backtest._try_fold(p_query, p_instance_id, p_instruments, p_moments, p_inputs, p_values, v_bad);
    if v_try.sql_state is null then
        return query select * from unnest(v_try.states);
        return;
    end if;
    v_error := v_try;
    while v_bad - v_good > 1 loop
        v_middle := (v_good + v_bad) / 2;
        v_try := backtest._try_fold(p_query, p_instance_id, p_instruments, p_moments, p_inputs, p_values, v_middle);
        if v_try.sql_state is null then
            v_good := v_middle;
            v_states := v_try.states;
        else
            v_bad := v_middle;
            v_error := v_try;
        end if;
    end loop;
    return query
    select * from unnest(v_states)
    union all
    select p_instance_id, p_moments[v_bad], (p_inputs[v_bad]).as_of, null, null, null, null, p_instruments, null, null,
           v_error.sql_state, v_error.message;
end
$$;
comment on function backtest._isolate_steps(
    text, bigint, integer[], integer[], signal.step_input[], jsonb) is
    'The states of an instance of a run up to the step that raises.';
