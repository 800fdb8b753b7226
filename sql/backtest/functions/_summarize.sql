-- Fills in the summary of a run from its executions and equity; definitions in backtest.run.
create or replace function backtest._summarize(p_run_id bigint)
returns void
language sql
set search_path = pg_catalog, pg_temp
as $$
    with run as (
        select r.run_id, (r.parameters->>'capital')::float8 as capital,
               -- Steps of at least a minute: faster ones mostly measure the quotes' bounce.
               greatest(date_part('epoch', (r.parameters->>'grid')::interval), 60) as step_s
        from backtest.runs r where r.run_id = p_run_id
    ),
    traded as (
        select count(*) as trades, coalesce(sum(x.quantity * x.price), 0)::float8 as value,
               coalesce(sum(x.fee + x.slippage), 0)::float8 as costs
        from backtest.executions x where x.run_id = p_run_id
    ),
    peaks as (
        select e.as_of, e.equity,
               greatest(max(e.equity) over (order by e.as_of rows unbounded preceding), 0) as peak
        from backtest.equity e where e.run_id = p_run_id
    ),
    -- Times are the ends of their intervals, so a minute is open at its start.
    sampled as (
        select distinct on (g.bucket) g.bucket, e.equity
        from run, backtest.equity e
        cross join lateral (
            select ceil(date_part('epoch', e.as_of) / run.step_s) as bucket) g
        where e.run_id = run.run_id
        order by g.bucket, e.as_of desc
    ),
    changes as (
        select s.equity - lag(s.equity) over (order by s.bucket) as change from sampled s
    ),
    moments as (
        select avg(c.change) as mean, stddev_samp(c.change) as deviation from changes c
    )
    update backtest.runs r
    set trades = t.trades,
        total_return = coalesce((select p.equity from peaks p order by p.as_of desc limit 1), 0) / n.capital,
        sharpe = m.mean / nullif(m.deviation, 0) * sqrt(252 * 390 * 60 / n.step_s),
        max_drawdown = coalesce((select max((p.peak - p.equity) / (n.capital + p.peak)) from peaks p), 0),
        turnover = t.value / n.capital,
        cost_amount = t.costs
    from run n, traded t, moments m
    where r.run_id = n.run_id
$$;
comment on function backtest._summarize(bigint) is 'Fills in the summary of a run.';
