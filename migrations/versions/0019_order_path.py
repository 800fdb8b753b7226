"""Functions of the order path and of reconciliation whose results or arguments have another form."""

from __future__ import annotations

from alembic import op

revision = "0019"
down_revision = "0018"
branch_labels = None
depends_on = None

SQL = """
-- sql/ has the new ones.
drop function if exists oms._archive(jsonb);
drop function if exists oms._find_order(integer, jsonb);
drop function if exists oms._claim_execution(oms.orders, integer, date, jsonb);
drop function if exists risk._record_decision(bigint, timestamptz, risk.verdict, boolean, text);
drop function if exists oms.reconcile_trades(text, interval);

create index on oms.executions (venue_id, trade_date);
-- Reports that name no ClOrdID of ours, such as a venue's own expiry of everything.
create index orders_venue_order_idx on oms.orders (venue_order_id) where venue_order_id is not null;
create index venue_trades_told_idx on oms.venue_trades (venue_id, first_seen);

-- Fired by statements of the order path, which have pinned the path; a function with a SET clause of its
-- own costs microseconds at every call. Every name in them is qualified.
alter function oms._check_order() reset search_path;
alter function oms._check_transition() reset search_path;
"""


def upgrade() -> None:
    op.get_bind().connection.driver_connection.execute(SQL)
