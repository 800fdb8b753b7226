-- What the best run of a sweep is worth: its Sharpe ratio, deflated for the number of trials and their
-- variance (backtest.deflated_sharpe, all points of the grid as independent trials, which is strict: similar
-- points are fewer trials), and the probability that choosing it was overfitting (backtest.overfitting).
-- sharpe is of one period. Which run ended first changes no bit of it. Errors: as backtest.overfitting.
create or replace function backtest.judge_sweep(p_sweep_id bigint, p_blocks integer default 16)
returns table (
    run_id bigint, point jsonb, trials integer, periods integer, sharpe double precision, skewness double precision,
    kurtosis double precision, variance double precision, deflated_sharpe double precision, pbo double precision
)
language plpgsql
stable
security definer
set search_path = pg_catalog, pg_temp
as $$
begin
    -- The join below asks for nothing where the sweep has no run.
    if not exists (select from backtest.runs r where r.sweep_id = p_sweep_id) then
        perform backtest.overfitting(p_sweep_id, p_blocks);
    end if;
    return query
    with moments as (
        select r.run_id, r.changes, count(m.change)::integer as n, avg(m.change order by m.period) as mean,
               stddev_samp(m.change order by m.period) as deviation,
               avg((m.change - m.center) ^ 3 order by m.period) as third,
               avg((m.change - m.center) ^ 4 order by m.period) as fourth,
               var_pop(m.change order by m.period) as spread
        from backtest.runs r
        cross join lateral (
            select x.period, x.change, avg(x.change) over (
                order by x.period rows between unbounded preceding and unbounded following) as center
            from backtest._returns(r.run_id) x) m
        where r.sweep_id = p_sweep_id
        group by r.run_id
    ),
    ratios as (
        select m.*, m.mean / nullif(m.deviation, 0) as ratio from moments m
    ),
    trials as (
        select count(*)::integer as n, var_samp(t.ratio order by t.changes) as variance from ratios t
    )
    select t.run_id, t.changes, k.n, t.n, t.ratio, t.third / nullif(t.spread, 0) ^ 1.5,
           t.fourth / nullif(t.spread, 0) ^ 2, k.variance,
           case when t.n >= 2 then backtest.deflated_sharpe(t.ratio, t.n, t.third / nullif(t.spread, 0) ^ 1.5,
               t.fourth / nullif(t.spread, 0) ^ 2, k.n, coalesce(k.variance, 0)) end,
           o.pbo
    from backtest.overfitting(p_sweep_id, p_blocks) o
    cross join trials k
    cross join lateral (select * from ratios x order by x.ratio desc nulls last, x.changes limit 1) t;
end
$$;
comment on function backtest.judge_sweep(bigint, integer) is
    'What the best run of a sweep is worth after so many trials: deflated Sharpe ratio and probability of overfitting.';
grant execute on function backtest.judge_sweep(bigint, integer) to tsdb_reader;
