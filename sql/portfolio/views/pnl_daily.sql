-- P&L by session, account, strategy, instrument and trading date, as known now; for one session say which:
-- the days of a session are computed when they are asked for.
create or replace view portfolio.pnl_daily as
-- s.session_id, not the function's: a filter on it spares the other sessions.
select
    s.session_id, d.account, d.strategy_id, d.strategy, d.instrument_id, d.symbol, d.trading_date,
    d.currency, d.opening_quantity, d.closing_quantity, d.opening_mark, d.closing_mark,
    d.mark_source, d.realized, d.unrealized_change, d.fees, d.dividends, d.funding, d.total,
    d.account_currency, d.rate, d.price_pnl, d.fx, d.total_account, d.flows, d.flows_account,
    d.value_account
from ops.sessions s
cross join lateral portfolio.pnl_daily_at(s.session_id) d;
comment on view portfolio.pnl_daily is
    'P&L by day, account, strategy and instrument at average cost; rows without an instrument are cash, by currency. Marks: the day''s close, else the session''s last usable quote of the day (mark_source), null where there is neither. As known at a time: portfolio.pnl_daily_at.';
comment on column portfolio.pnl_daily.total is
    'realized + unrealized_change - fees + dividends + funding, in currency.';
comment on column portfolio.pnl_daily.price_pnl is 'total at the closing rate of the day, in account_currency.';
comment on column portfolio.pnl_daily.fx is
    'Opening value times the change of the rate since the day before, in account_currency.';
comment on column portfolio.pnl_daily.total_account is 'price_pnl + fx.';
comment on column portfolio.pnl_daily.flows is 'Deposits, withdrawals and transfers: no P&L.';
comment on column portfolio.pnl_daily.value_account is
    'Closing market value, of cash its balance, at the closing rate, in account_currency.';
grant select on portfolio.pnl_daily to tsdb_reader;
