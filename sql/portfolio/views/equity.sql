-- Equity by session, account and trading date, as known now; for one session say which.
create or replace view portfolio.equity as
select e.*
from ops.sessions s
cross join lateral portfolio.equity_at(s.session_id) e;
comment on view portfolio.equity is
    'Cash, market value and equity by account and day in the account''s currency; high_water_mark is moved by deposits and withdrawals. Null where a mark or rate is missing. As known at a time: portfolio.equity_at.';
grant select on portfolio.equity to tsdb_worker, tsdb_quant, tsdb_readonly, tsdb_operator;
