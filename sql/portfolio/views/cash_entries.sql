-- The cash ledger of every session, as known now; for one session say which.
create or replace view portfolio.cash_entries as
-- s.session_id, not the function's: a filter on it spares the other sessions.
select
    s.session_id, e.account, e.strategy_id, e.instrument_id, e.kind, e.currency, e.amount,
    e.trade_date, e.ts, e.recorded_at, e.execution_id, e.entry_id, e.reference
from ops.sessions s
cross join lateral portfolio.cash_entries_at('infinity', 'infinity', s.session_id) e;
comment on view portfolio.cash_entries is
    'All cash, as known now: executions and their fees, what corporate actions brought (announced ones included, with their dates), and what portfolio.book_cash booked. As of a time: portfolio.cash_entries_at.';
grant select on portfolio.cash_entries to tsdb_reader;
