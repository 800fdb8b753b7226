-- Fills in the summary of a run from its executions and equity; definitions in backtest.run.
create or replace function backtest._summarize(p_run_id bigint)
returns void
language sql
set search_path = pg_catalog, pg_temp
as $$
    with run as (
        select r.run_id, (r.parameters->>'capital')::numeric as capital, r.parameters->>'source' = 'daily' as is_daily,
               -- Steps of at least a minute: faster ones mostly measure the quotes' bounce.
               greatest(date_part('epoch', (r.parameters->>'grid')::interval), 60) as step_s
        from backtest.runs r where r.run_id = p_run_id
    ),
    traded as (
        select count(*) as trades, coalesce(sum(x.quantity * x.price), 0)::float8 as value,
               coalesce(sum(x.fee + x.slippage), 0)::float8 as costs
        from backtest.executions x where x.run_id = p_run_id
    ),
    -- Times are the ends of their intervals, so a minute is open at its start.
    sampled as (
        select distinct on (g.bucket) g.bucket, e.equity
        from run, backtest.equity e
        cross join lateral (
            select case when run.is_daily then date_part('epoch', e.as_of)
                        else ceil(date_part('epoch', e.as_of) / run.step_s) end as bucket) g
        where e.run_id = run.run_id
        order by g.bucket, e.as_of desc
    ),
    changes as (
        select s.bucket, (s.equity - lag(s.equity) over (order by s.bucket))::float8 as change from sampled s
    ),
    moments as (
        select avg(c.change order by c.bucket) as mean, stddev_samp(c.change order by c.bucket) as deviation from changes c
    ),
    worst as (
        select max(e.drawdown / e.high_water_mark)::float8 as drawdown,
               (array_agg(e.equity order by e.as_of desc))[1] as final
        from backtest.equity e where e.run_id = p_run_id
    )
    update backtest.runs r
    set trades = t.trades,
        final_equity = coalesce(w.final, n.capital),
        total_return = coalesce((w.final - n.capital) / n.capital, 0),
        sharpe = m.mean / nullif(m.deviation, 0)
            * case when n.is_daily then sqrt(252) else sqrt(252 * 390 * 60 / n.step_s) end,
        max_drawdown = coalesce(w.drawdown, 0),
        turnover = t.value / n.capital::float8,
        cost_amount = t.costs
    from run n, traded t, moments m, worst w
    where r.run_id = n.run_id
$$;
comment on function backtest._summarize(bigint) is 'Fills in the summary of a run.';
