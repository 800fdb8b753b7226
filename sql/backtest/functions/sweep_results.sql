-- The runs of a sweep, the best Sharpe ratio first, of equals the point that comes first by its values; then the
-- points that could not be run, with the reason. The order does not depend on which run ended first.
create or replace function backtest.sweep_results(p_sweep_id bigint)
returns table (
    sweep_id bigint, run_id bigint, point jsonb, trades bigint, total_return double precision,
    sharpe double precision, max_drawdown double precision, turnover double precision, costs double precision,
    elapsed_ms double precision, error text
)
language sql
stable
security definer
set search_path = pg_catalog, pg_temp
as $$
    select x.*
    from (
        select r.sweep_id, r.run_id, r.changes as point, r.trades, r.total_return, r.sharpe, r.max_drawdown, r.turnover,
               r.cost_amount, r.elapsed_ms, null::text as error
        from backtest.runs r where r.sweep_id = p_sweep_id
        union all
        select f.sweep_id, null, f.point, null, null, null, null, null, null, null, f.message
        from backtest.sweep_failures f where f.sweep_id = p_sweep_id) x
    order by x.error is not null, x.sharpe desc nulls last, x.point
$$;
comment on function backtest.sweep_results(bigint) is
    'The runs of a sweep, the best Sharpe ratio first, and the points that could not be run.';
grant execute on function backtest.sweep_results(bigint) to tsdb_reader;
