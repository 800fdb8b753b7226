-- Steps every instance of a run of another strategy than pairs, as backtest._step_pairs does: in one query, and
-- instance by instance only where that raises.
-- Errors: with p_all what a step raised, with its instance and time; TT001 the strategy's inputs function raised.
create or replace function backtest._step_instances(
    p_run jsonb, p_times timestamptz[], p_series backtest.price_series[], p_from timestamptz, p_to timestamptz,
    p_all boolean
)
returns setof backtest.run_state
language plpgsql
stable
rows 20000
set search_path = pg_catalog, pg_temp
as $$
declare
    v_strategy signal.strategies;
    v_states backtest.run_state[];
    v_query text;
    v_one record;
begin
    select * into v_strategy from signal.strategies s where s.strategy = p_run->>'strategy';
    v_query := backtest._fold_query(v_strategy, 'backtest._step_inputs($1, $2, $3, $4, $5)', p_all);
    begin
        if p_all then
            return query execute format('select (f.found).* from (%s) f', v_query)
                using p_run, p_times, p_series, p_from, p_to;
        else
            -- What a query returned before it raised would stay returned.
            execute format('select array_agg(f.found) from (%s) f', v_query)
            into v_states using p_run, p_times, p_series, p_from, p_to;
            return query select * from unnest(v_states);
        end if;
        return;
    exception when others or assert_failure then
        if signal._is_transient(sqlstate) then
            raise;
        end if;
    end;
    v_query := backtest._fold_query(v_strategy,
        '(select $1 as instance_id, u.moment, $2 as instruments, row(u.as_of, u.mids, u.features)::signal.step_input as input,
                 $5 as parameters
          from unnest($3, $4) u (moment, as_of, mids, features))', false);
    for v_one in
        select n.instance_id, n.instruments, n.parameters, array_agg(n.moment order by n.moment) as moments,
               array_agg(n.input order by n.moment) as inputs
        from backtest._step_inputs(p_run, p_times, p_series, p_from, p_to) n
        group by n.instance_id, n.instruments, n.parameters
        order by n.instance_id
    loop
        v_states := array(
            select s from backtest._isolate_steps(
                v_query, v_one.instance_id, v_one.instruments, v_one.moments, v_one.inputs, v_one.parameters) s);
        if p_all then
            perform backtest._raise_problem(p_run, v_states);
        else
            return query select * from unnest(v_states);
        end if;
    end loop;
exception when others or assert_failure then
    if signal._is_transient(sqlstate) or sqlstate like 'TT%' or v_strategy.inputs is null or p_all then
        raise;
    end if;
    -- No step is what raised.
    raise exception 'inputs function % of strategy "%" failed: %', v_strategy.inputs, v_strategy.strategy, sqlerrm
        using errcode = 'TT001';
end
$$;
comment on function backtest._step_instances(
    jsonb, timestamptz[], backtest.price_series[], timestamptz, timestamptz, boolean) is
    'States of a run''s instances.';
