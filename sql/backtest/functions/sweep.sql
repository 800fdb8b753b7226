-- Runs a grid of parameters, one point after the other, and returns a row per point, the best Sharpe ratio
-- first. A point that fails has its reason in error (kept in backtest.sweep_failures), and the others go on; where
-- all fail, the first failure is raised and nothing is kept. tsdb-trader backtest sweep runs the points on several
-- connections at once, or on Dask, and strategies in Python. What the best is worth after so many trials:
-- backtest.judge_sweep. p_grid as in backtest.open_sweep, the rest as in backtest.run.
-- Errors: as backtest.open_sweep and backtest.run; TT004 a strategy in Python.
create or replace function backtest.sweep(
    p_strategy text,
    p_parameters jsonb,
    p_grid jsonb,
    p_from timestamptz,
    p_to timestamptz,
    p_costs text default 'realistic'
)
returns table (
    sweep_id bigint, run_id bigint, point jsonb, trades bigint, total_return double precision,
    sharpe double precision, max_drawdown double precision, turnover double precision, costs double precision,
    elapsed_ms double precision, error text
)
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_sweep_id constant bigint := backtest.open_sweep(p_strategy, p_parameters, p_grid, p_from, p_to, p_costs);
    v_point jsonb;
    v_first_state text;
    v_first_message text;
begin
    perform backtest._check_steps_here(p_strategy, 'tsdb-trader backtest sweep');
    for v_point in select g.point from backtest.sweep_points(p_grid) g (point) loop
        begin
            perform backtest.run_point(v_sweep_id, v_point);
        exception when others then
            if signal._is_transient(sqlstate) then
                raise;
            end if;
            v_first_state := coalesce(v_first_state, sqlstate);
            v_first_message := coalesce(v_first_message, sqlerrm);
            perform backtest.fail_point(v_sweep_id, v_point, sqlstate, sqlerrm);
        end;
    end loop;
    if not exists (select from backtest.runs r where r.sweep_id = v_sweep_id) then
        raise exception '%', v_first_message using errcode = v_first_state;
    end if;
    return query select * from backtest.sweep_results(v_sweep_id);
end
$$;
comment on function backtest.sweep(text, jsonb, jsonb, timestamptz, timestamptz, text) is
    'Runs every point of a grid of parameters; the best Sharpe ratio first.';
grant execute on function backtest.sweep(text, jsonb, jsonb, timestamptz, timestamptz, text) to tsdb_quant;
