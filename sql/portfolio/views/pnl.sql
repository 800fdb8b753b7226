-- Positions marked at the mid of the session's latest usable quote; total_pnl = cash + quantity * mark.
create or replace view portfolio.pnl as
select
    p.session_id, p.account, p.strategy_id, p.strategy, p.instrument_id, p.symbol, p.currency,
    p.quantity, p.average_price, m.mark, m.marked_at,
    p.realized_pnl,
    case when p.quantity = 0 then 0 else p.quantity * m.mark - p.cost end as unrealized_pnl,
    p.fees,
    case when p.quantity = 0 then p.cash else p.cash + p.quantity * m.mark end as total_pnl,
    p.cash,
    case when p.quantity = 0 then 0 else abs(p.quantity * m.mark) end as exposure,
    p.dividends, p.funding,
    case when p.quantity = 0 then p.cash else p.cash + p.quantity * m.mark end + p.dividends + p.funding
        as net_pnl
from portfolio.positions p
left join lateral (
    -- Exact: integers over a power of ten, halved.
    select (q.bid_price + q.ask_price)::numeric / (2 * i.price_unit::numeric) as mark, q.ts as marked_at
    from market.latest_quotes q
    join ref.instruments i using (instrument_id)
    where q.session_id = p.session_id and q.instrument_id = p.instrument_id
) m on true;
comment on view portfolio.pnl is
    'Realized and unrealized P&L per position, fees apart; null where a position has no mark. total_pnl is that of trading; net_pnl adds dividends and funding.';
