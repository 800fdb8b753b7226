-- Runs a grid of parameters, one point after the other, and returns a row per run, the best Sharpe ratio
-- first. tsdb-trader backtest sweep runs the points on several connections at once. What the best is worth
-- after so many trials: backtest.judge_sweep. p_grid as in backtest.open_sweep, the rest as in backtest.run.
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
    elapsed_ms double precision
)
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_sweep_id constant bigint := backtest.open_sweep(p_strategy, p_parameters, p_grid, p_from, p_to, p_costs);
begin
    perform backtest.run_point(v_sweep_id, g.point) from backtest.sweep_points(p_grid) g (point);
    return query
    select r.sweep_id, r.run_id, r.changes, r.trades, r.total_return, r.sharpe, r.max_drawdown, r.turnover,
           r.cost_amount, r.elapsed_ms
    from backtest.runs r where r.sweep_id = v_sweep_id
    order by r.sharpe desc nulls last, r.run_id;
end
$$;
comment on function backtest.sweep(text, jsonb, jsonb, timestamptz, timestamptz, text) is
    'Runs every point of a grid of parameters; the best Sharpe ratio first.';
grant execute on function backtest.sweep(text, jsonb, jsonb, timestamptz, timestamptz, text) to tsdb_quant;
