-- Positions by session, account, strategy and instrument.
create or replace view portfolio.positions as
select
    p.session_id, p.account, p.strategy_id, s.strategy, p.instrument_id, i.symbol, i.currency,
    p.quantity,
    p.cost / nullif(p.quantity, 0) as average_price,
    p.cost, p.realized_pnl, p.fees, p.cash, p.bought_quantity, p.sold_quantity, p.updated_at
from portfolio._positions p
join ref.instruments i using (instrument_id)
join signal.strategies s using (strategy_id);
comment on view portfolio.positions is
    'Positions by average cost. quantity is negative when short; cash and realized_pnl in the instrument''s currency, cash after fees, realized_pnl before.';
