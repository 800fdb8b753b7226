-- Walks a grid of parameters forward: for every p_test from p_from + p_train on, the grid is run over the
-- p_train before it, the point with the best Sharpe ratio there (of equals the first by its values) is run over the p_test
-- after, and so on until p_to. A row per step; run_id is the run over the test, sweep_id the sweep before it.
-- A training without any Sharpe ratio has no test: point and the figures of the test are null.
-- A strategy in Python is walked by tsdb-trader backtest walk.
-- Errors: as backtest.sweep; TT001 spans that cannot be.
create or replace function backtest.walk_forward(
    p_strategy text,
    p_parameters jsonb,
    p_grid jsonb,
    p_from timestamptz,
    p_to timestamptz,
    p_train interval,
    p_test interval,
    p_costs text default 'realistic'
)
returns table (
    train_from timestamptz, test_from timestamptz, test_to timestamptz, sweep_id bigint, point jsonb,
    train_sharpe double precision, run_id bigint, trades bigint, total_return double precision,
    sharpe double precision, max_drawdown double precision
)
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
begin
    perform backtest._check_steps_here(p_strategy, 'tsdb-trader backtest walk');
    for train_from, test_from, test_to in
        select w.train_from, w.test_from, w.test_to from backtest.walk_spans(p_from, p_to, p_train, p_test) w
    loop
        sweep_id := null;
        run_id := null;
        select s.sweep_id, s.point, s.sharpe into sweep_id, point, train_sharpe
        from backtest.sweep(p_strategy, p_parameters, p_grid, train_from, test_from, p_costs) s limit 1;
        if train_sharpe is null then
            point := null;
            trades := null;
            total_return := null;
            sharpe := null;
            max_drawdown := null;
        else
            select r.run_id, r.trades, r.total_return, r.sharpe, r.max_drawdown
            into run_id, trades, total_return, sharpe, max_drawdown
            from backtest.run(p_strategy, p_parameters || point, test_from, test_to, p_costs) r;
        end if;
        return next;
    end loop;
end
$$;
comment on function backtest.walk_forward(
    text, jsonb, jsonb, timestamptz, timestamptz, interval, interval, text) is
    'Walks a grid of parameters forward: the best of each training span is run over the span after it.';
grant execute on function backtest.walk_forward(
    text, jsonb, jsonb, timestamptz, timestamptz, interval, interval, text) to tsdb_quant;
