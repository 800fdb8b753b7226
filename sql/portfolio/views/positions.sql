-- Positions by session, account, strategy and instrument.
create or replace view portfolio.positions as
select
    p.session_id, p.account, p.strategy_id, s.strategy, p.instrument_id, i.symbol, i.currency,
    p.quantity,
    p.cost / nullif(p.quantity, 0) as average_price,
    p.cost, p.realized_pnl, p.fees, p.cash, p.bought_quantity, p.sold_quantity, p.updated_at, p.dividends,
    f.funding
from portfolio._positions p
join ref.instruments i using (instrument_id)
join signal.strategies s using (strategy_id)
cross join lateral (
    select case
        when count(*) = 0 then 0
        when bool_and(x.rate is not null) then sum(c.amount * x.rate) end as funding
    from portfolio._cash_entries c
    cross join lateral (select ref.fx_rate(c.currency, i.currency, c.trade_date) as rate) x
    where c.session_id = p.session_id and c.account = p.account and c.strategy_id = p.strategy_id
        and c.instrument_id = p.instrument_id and c.kind not in ('deposit', 'withdrawal', 'transfer')) f;
comment on view portfolio.positions is
    'Positions by average cost. quantity is negative when short; cash and realized_pnl in the instrument''s currency, cash after fees, realized_pnl before. dividends: of corporate actions applied; funding: what portfolio.book_cash booked to the position; null without a rate.';
