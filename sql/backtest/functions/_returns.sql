-- The changes of a run's equity as shares of its capital, from trading day to trading day, or where a run has
-- fewer than three days from step to step; period counts them from 1.
create or replace function backtest._returns(p_run_id bigint)
returns table (period integer, change double precision)
language sql
stable
set search_path = pg_catalog, pg_temp
as $$
    with kind as (
        select count(distinct e.trading_date) >= 3 as is_daily, min(r.parameters->>'capital')::numeric as capital
        from backtest.runs r join backtest.equity e using (run_id) where r.run_id = p_run_id
    ),
    kept as (
        select distinct on (k.bucket) k.bucket, e.as_of, e.equity
        from backtest.equity e
        cross join kind
        cross join lateral (
            select case when kind.is_daily then e.trading_date::timestamptz else e.as_of end as bucket) k
        where e.run_id = p_run_id
        order by k.bucket, e.as_of desc
    )
    select (row_number() over (order by c.as_of))::integer, (c.change / kind.capital)::float8
    from (
        select k.as_of, k.equity - lag(k.equity) over (order by k.as_of) as change from kept k) c
    cross join kind
    where c.change is not null
$$;
comment on function backtest._returns(bigint) is 'Returns of a run by period.';
