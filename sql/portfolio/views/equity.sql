-- Equity by session, account and trading date, as known now; for one session say which.
create or replace view portfolio.equity as
-- s.session_id, not the function's: a filter on it spares the other sessions.
select
    s.session_id, e.account, e.trading_date, e.currency, e.cash, e.market_value, e.equity, e.flows,
    e.pnl, e.high_water_mark, e.drawdown
from ops.sessions s
cross join lateral portfolio.equity_at(s.session_id) e;
comment on view portfolio.equity is
    'Cash, market value and equity by account and day in the account''s currency; high_water_mark is moved by deposits and withdrawals. Null where a mark or rate is missing. As known at a time: portfolio.equity_at.';
grant select on portfolio.equity to tsdb_reader;
