-- Whether forecasts held: exceptions of all dates on which both forecast and P&L are known, with the tests of
-- Kupiec and Christoffersen, and the Basel zone of the last 250 of them, for forecasts at 99% once there are 250.
create or replace view risk.var_backtest as
with counted as (
    select o.session_id, o.account, o.strategy_id, o.method, o.confidence, o.basis,
        count(*)::integer as observations,
        count(*) filter (where o.is_exception)::integer as exceptions,
        array_agg(o.is_exception order by o.trading_date) as hits,
        min(o.trading_date) as first_date, max(o.trading_date) as last_date
    from risk.var_outcomes o
    where o.is_exception is not null
    group by o.session_id, o.account, o.strategy_id, o.method, o.confidence, o.basis)
select c.session_id, c.account, c.strategy_id, t.strategy, c.method, c.confidence, c.basis, c.observations, c.exceptions,
    c.observations * (1 - c.confidence) as expected_exceptions,
    k.statistic as kupiec_statistic, k.p_value as kupiec_p_value,
    i.statistic as independence_statistic, i.p_value as independence_p_value,
    v.statistic as coverage_statistic, v.p_value as coverage_p_value,
    case when c.confidence = 0.99 and c.observations >= 250 then risk.basel_zone((
        select count(*)::integer from unnest(c.hits[c.observations - 249:]) hit where hit)) end as basel_zone,
    c.first_date, c.last_date
from counted c
left join signal.strategies t using (strategy_id)
cross join lateral risk.kupiec_pof(c.observations, c.exceptions, 1 - c.confidence) k
-- Of a single day independence cannot be told.
left join lateral risk.christoffersen(c.hits, 1 - c.confidence) i
    on c.observations > 1 and i.test = 'independence'
left join lateral risk.christoffersen(c.hits, 1 - c.confidence) v
    on c.observations > 1 and v.test = 'conditional_coverage';
comment on view risk.var_backtest is
    'Exceptions of recorded value at risk by session, account, strategy (null: all), method and basis of P&L, with the tests of Kupiec and Christoffersen and the Basel zone of the last 250 days.';
