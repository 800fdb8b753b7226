-- What became of each recorded forecast. basis hypothetical: what the recorded positions earned on the date,
-- unchanged, without fees; actual: the change of marked P&L after fees, from the last mark before the date (risk
-- monitor, portfolio.pnl_history) to its last, whatever was traded. pnl is null where it is not known (yet).
create or replace view risk.var_outcomes as
with hypothetical as (
    select p.session_id, p.account, p.strategy_id, p.trading_date,
        case when bool_and(x.earned is not null) then sum(u.position_value * x.earned) end as pnl
    from risk.var_portfolios p
    join ref.accounts a using (account)
    cross join lateral unnest(p.instrument_ids, p.position_values) as u (instrument_id, position_value)
    join ref.instruments i on i.instrument_id = u.instrument_id
    left join risk.returns r on r.instrument_id = u.instrument_id and r.date = p.trading_date
    cross join lateral (
        select case when i.currency = a.currency then r.simple_return
            else risk._converted_return(r.simple_return, i.currency, a.currency, r.since, r.date) end as earned) x
    group by p.session_id, p.account, p.strategy_id, p.trading_date),
marks as (
    select h.session_id, h.account, h.strategy_id, h.as_of,
        risk._trading_date(h.as_of, (select c.calendar from risk.var_settings c order by c.settings_id desc limit 1)) as trading_date,
        h.realized_pnl + h.unrealized_pnl - h.fees as total
    from portfolio.pnl_history h),
closes as (
    select distinct on (m.session_id, m.account, m.strategy_id, m.trading_date) m.*
    from marks m
    order by m.session_id, m.account, m.strategy_id, m.trading_date, m.as_of desc),
changes as (
    select c.session_id, c.account, c.strategy_id, c.trading_date,
        c.total - lag(c.total) over (partition by c.session_id, c.account, c.strategy_id order by c.trading_date) as pnl
    from closes c),
actual as (
    select c.session_id, c.account, c.strategy_id, c.trading_date,
        case when bool_and(c.pnl is not null) then sum(c.pnl)::double precision end as pnl
    from changes c
    group by grouping sets (
        (c.session_id, c.account, c.trading_date), (c.session_id, c.account, c.strategy_id, c.trading_date)))
select h.session_id, h.account, h.strategy_id, h.trading_date, h.method, h.confidence, h.var, h.expected_shortfall,
    b.basis, b.pnl, b.pnl < -h.var as is_exception
from risk.var_history h
left join hypothetical p on p.session_id = h.session_id and p.account = h.account
    and p.strategy_id is not distinct from h.strategy_id and p.trading_date = h.trading_date
left join actual a on a.session_id = h.session_id and a.account = h.account
    and a.strategy_id is not distinct from h.strategy_id and a.trading_date = h.trading_date
cross join lateral (values ('hypothetical', p.pnl), ('actual', a.pnl)) as b (basis, pnl);
comment on view risk.var_outcomes is
    'What became of each forecast of risk.var_history: the P&L of its date, with positions unchanged (hypothetical) or as traded (actual), and whether the loss was beyond the forecast.';
