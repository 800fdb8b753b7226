"""Market data of the simulated venue; OUCH ports and what their reference numbers stand for."""

from __future__ import annotations

from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None

SQL = """
-- Its new form, with the time of each quote, comes with the manifest.
drop function if exists venue.read_market(uuid, bigint, integer[], integer[], integer);

-- OUCH names an order by a number (UserRefNum) that is unique in one port and day, increases with
-- every order sent, and is too short for a ClOrdID. The port hands numbers out, and here stands
-- which ClOrdID each one is.
create table oms.ouch_ports (
    port text primary key,
    venue_id integer not null references ref.venues,
    trade_date date not null,
    soup_session text not null default '',
    next_sequence bigint not null default 1,
    last_user_ref bigint not null default 0 check (last_user_ref < 4294967296)
);
comment on table oms.ouch_ports is
    'OUCH accounts at venues. next_sequence: the SoupBinTCP message to go on with, moved in the transaction that acts on the one before.';

create table oms.ouch_orders (
    port text not null references oms.ouch_ports,
    trade_date date not null,
    user_ref_num bigint not null,
    cl_ord_id text not null,
    root_cl_ord_id text not null,
    cancel_cl_ord_id text,
    symbol text not null,
    side text not null,
    quantity bigint not null,
    executed bigint not null default 0,
    canceled bigint not null default 0,
    recorded_at timestamptz not null default clock_timestamp(),
    primary key (port, trade_date, user_ref_num),
    unique (port, trade_date, cl_ord_id)
) with (fillfactor = 70);
comment on table oms.ouch_orders is
    'What the reference numbers of an OUCH port stand for, and how much of each order is done: OUCH tells of changes only.';
comment on column oms.ouch_orders.root_cl_ord_id is
    'The ClOrdID under which we know the order: that of the first one in a chain of replacements.';
"""


def upgrade() -> None:
    op.get_bind().connection.driver_connection.execute(SQL)
