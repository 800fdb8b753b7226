"""Pre-trade controls: their codes, and the messages of an account, a strategy and a venue over time."""

from __future__ import annotations

from alembic import op

revision = "0027"
down_revision = "0026"
branch_labels = None
depends_on = None

SQL = """
-- Internal functions that change their signature.
drop function if exists oms._add_cancel(oms.orders, uuid);

create type risk.limit_over_time as (control text, value numeric, period interval);
create type risk.exposure as (
    gross numeric, net numeric, sector numeric, name numeric, credit numeric, capital numeric, buying_power numeric);
create type risk.loss as (daily numeric, drawdown numeric);

-- Message rates are counted in session time, by what sent the message. Rows from before count for nothing:
-- no window reaches back to them.
alter table oms.order_actions
    add column session_id uuid,
    add column account text,
    add column strategy_id integer,
    add column as_of timestamptz;
create index order_actions_rate_idx on oms.order_actions (session_id, as_of) where session_id is not null;
comment on column oms.order_actions.as_of is 'Session time of the request: message rates are counted by it.';

insert into risk.controls (control, unit, needs_limit, is_required, is_floor, is_soft, period, description) values
    ('restricted', '', false, false, false, false, null, 'the instrument is not on a restricted list for the account and side'),
    ('price_band', '', false, false, false, false, null, 'the price (of a market order the adverse quote) is within the price band in force'),
    ('tick_size', '', false, false, false, false, null, 'limit price, stop price and peg offset are multiples of the tick size'),
    ('lot_size', '', false, false, false, false, null, 'the quantity is a multiple of the lot size'),
    ('clock_skew', 's', true, false, false, false, null, 'difference between the time of the order and of the session''s newest batch'),
    ('min_quantity', 'units', true, false, true, false, null, 'quantity of one order, at least'),
    ('min_value', 'account currency', true, false, true, false, null, 'value of one order, at least'),
    ('price_walk', 'fraction', true, false, false, true, '5 min', 'distance of the price from that of the account''s first execution of the instrument in the period'),
    ('message_rate_account', 'messages', true, false, false, false, '1 s', 'messages (new, replace, cancel) of the account in the period, this one included'),
    ('message_rate_strategy', 'messages', true, false, false, false, '1 s', 'messages of the strategy in the period, this one included'),
    ('message_rate_venue', 'messages', true, false, false, false, '1 s', 'messages to the venue in the period, this one included'),
    ('submit_rate', 'orders', true, false, false, false, '1 s', 'new orders of the account in the period, this one included'),
    ('duplicate_order', 'orders', true, false, false, true, '1 s', 'orders of the account with the same instrument, side, quantity, type and prices in the period, this one included'),
    ('repeated_execution', 'executions', true, false, false, false, '1 min', 'executions of the strategy in the instrument and side in the period and since a person enabled it, the one of this order included; over it the strategy is disabled'),
    ('gross_exposure', 'account currency', true, false, false, true, null, 'sum over the account''s instruments of the larger of long and short value, working orders filled on the worse side'),
    ('net_exposure', 'account currency', true, false, false, true, null, 'long less short value of the account, working orders filled on the worse side'),
    ('sector_exposure', 'account currency', true, false, false, true, null, 'gross exposure of the account in the instrument''s sector'),
    ('name_exposure', 'account currency', true, false, false, true, null, 'gross exposure of the account in the instrument'),
    ('credit', 'account currency', true, false, false, false, null, 'value of the account''s positions and of all its working orders, nothing netted'),
    ('capital', 'account currency', true, false, false, false, null, 'gross exposure of all accounts and strategies of the session together'),
    ('buying_power', 'account currency', true, false, false, false, null, 'what the account has paid, net of what it received, if its working buys fill'),
    ('locate', 'units', true, false, false, false, null, 'shares sold short beyond what is located for the trading date'),
    ('self_match', 'orders', true, false, false, false, null, 'working orders of ours on the other side that the order could trade with'),
    ('daily_loss', 'account currency', true, false, false, false, null, 'loss of the trading day: realized, unrealized and fees'),
    ('drawdown', 'account currency', true, false, false, false, null, 'fall of the total P&L from its highest mark'),
    ('incremental_var', 'account currency', true, false, false, true, null, 'what the order adds to the account''s value at risk of one day at 99%');
"""


def upgrade() -> None:
    op.get_bind().connection.driver_connection.execute(SQL)
