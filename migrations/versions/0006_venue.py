"""The journal of the simulated venues."""

from __future__ import annotations

from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

SQL = """
-- No key points out of this schema: a venue is a counterparty, and its books are its own.
create table venue._messages (
    message_no bigint generated always as identity primary key,
    venue text not null,
    fix_session text not null,
    seqnum bigint not null,
    msg_type text not null,
    participant text not null,
    cl_ord_id text,
    raw text not null,
    recorded_at timestamptz not null default clock_timestamp()
);
create index on venue._messages (venue, participant, cl_ord_id);
comment on table venue._messages is
    'Application messages a venue has taken, each written in the transaction that acts on it.';

create table venue._orders (
    venue text not null,
    order_no bigint not null,
    participant text not null,
    fix_session text not null,
    cl_ord_id text not null,
    cancel_cl_ord_id text,
    session_id uuid,
    instrument_id integer,
    account text,
    symbol text not null,
    side text not null check (status = 'rejected' or side in ('buy', 'sell', 'sell_short')),
    quantity numeric not null,
    order_type text not null,
    limit_price numeric,
    time_in_force text not null,
    status text not null check (status in
        ('new', 'partially_filled', 'filled', 'cancelled', 'rejected', 'expired')),
    cumulative_quantity numeric not null,
    notional numeric not null,
    rank bigint not null,
    reason text,
    as_of timestamptz not null,
    recorded_at timestamptz not null default clock_timestamp(),
    updated_at timestamptz not null default clock_timestamp(),
    primary key (venue, order_no),
    unique (venue, participant, cl_ord_id),
    check (cumulative_quantity between 0 and greatest(quantity, 0))
) with (fillfactor = 70);
create index on venue._orders (venue, participant, cancel_cl_ord_id)
    where cancel_cl_ord_id is not null;
create index on venue._orders (venue, order_no) where status in ('new', 'partially_filled');
comment on table venue._orders is 'Every order of a venue, rejected ones included.';
comment on column venue._orders.rank is 'Time priority in the book.';
comment on column venue._orders.notional is 'Sum of price * quantity of its executions.';

create table venue._reports (
    venue text not null,
    report_no bigint not null,
    participant text not null,
    fix_session text not null,
    msg_type text not null,
    exec_id text,
    exec_type text,
    order_no bigint,
    session_id uuid,
    cl_ord_id text,
    quantity numeric,
    price numeric,
    ts timestamptz not null,
    fields jsonb not null,
    sent boolean not null default false,
    recorded_at timestamptz not null default clock_timestamp(),
    primary key (venue, report_no),
    check ((exec_type = 'F') = (quantity is not null and price is not null) or exec_type is null)
);
create index on venue._reports (venue, fix_session, report_no) where not sent;
create index on venue._reports (venue, order_no) where exec_type = 'F';
comment on table venue._reports is
    'Messages owed to participants, written before they are sent. exec_type F: an execution.';
comment on column venue._reports.fields is 'The body of the FIX message, by tag.';
comment on column venue._reports.sent is
    'Handed to the FIX engine, which keeps it; marked afterwards, so a report may go out twice.';

create table venue._progress (
    venue text not null,
    session_id uuid not null,
    batch_no bigint not null,
    as_of timestamptz not null,
    primary key (venue, session_id)
);
comment on table venue._progress is
    'Up to which batch the journaled books of a session have seen the market.';

create table venue._books (
    venue text not null,
    session_id uuid not null,
    instrument_id integer not null,
    next_rank bigint not null,
    bid_price bigint,
    bid_size bigint,
    bid_left bigint,
    bid_rank bigint,
    ask_price bigint,
    ask_size bigint,
    ask_left bigint,
    ask_rank bigint,
    primary key (venue, session_id, instrument_id)
) with (fillfactor = 50);
comment on table venue._books is
    'Displayed quote of a book and what is left of it, at the batch in venue._progress.';
"""


def upgrade() -> None:
    op.get_bind().connection.driver_connection.execute(SQL)
