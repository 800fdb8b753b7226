-- Raises the first problem among states of a run, with its instance and time (TT001).
create or replace function backtest._raise_problem(p_run jsonb, p_states backtest.run_state[])
returns void
language plpgsql
stable
set search_path = pg_catalog, pg_temp
as $$
declare
    v_state record;
begin
    select * into v_state from unnest(p_states) s where s.problem is not null
    order by s.moment, s.instance_id limit 1;
    if found then
        raise exception 'instance % of % failed at %: %',
            v_state.instance_id, p_run->>'strategy', v_state.as_of, v_state.problem using errcode = 'TT001';
    end if;
end
$$;
comment on function backtest._raise_problem(jsonb, backtest.run_state[]) is
    'Raises the first problem among states of a run.';
