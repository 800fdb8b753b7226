"""Snapshots of order books, and how far quotes are derived from their events."""

from __future__ import annotations

from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

SQL = """
alter table market._book_events
    add column placed_ns bigint,
    add constraint book_events_action_check check (action in
        ('add', 'modify', 'reduce', 'execute', 'delete', 'replace', 'clear')),
    -- Nobody could say later on which side an order of these stands.
    add constraint book_events_side_check check (
        side in ('bid', 'ask') or (side = '' and action not in ('add', 'replace')));
comment on column market._book_events.placed_ns is
    'When the order of a snapshot row got its place in the queue, in nanoseconds since 1970-01-01 UTC; null: not before the event.';
comment on column market._book_events.flags is
    '1: part of a snapshot; 2: hidden from the book''s display; 4: the source''s own end of an event with more than one row; 8: tells of a fill that another event takes off the book.';
-- A book is rebuilt from no earlier than its last clear.
create index on market._book_events (instrument_id, ts) where action = 'clear';

-- The total order of a feed's book events.
create type market.book_position as (ts timestamptz, ns smallint, source_id integer, seq bigint);
comment on type market.book_position is
    'A place in the total order of a feed''s book events (ts, ns, source_id, seq).';

-- A plain table: the last one before an instant is found at once, however many chunks of events
-- there are.
create table market.book_snapshots (
    ts timestamptz not null,
    ns smallint not null,
    source_id integer not null,
    seq bigint not null,
    instrument_id integer not null,
    feed_id integer not null,
    event_count bigint not null,
    order_ids bigint[] not null,
    sides text[] not null,
    prices bigint[] not null,
    sizes bigint[] not null,
    placed_ns bigint[] not null,
    recorded_at timestamptz not null default clock_timestamp(),
    primary key (instrument_id, feed_id, ts, ns, source_id, seq)
);
comment on table market.book_snapshots is
    'Live orders of a book after an event (ts, ns, source_id, seq), in the order of their queues: what market.book_at starts from. Made by market.snapshot_book; dropped when earlier events arrive or change.';
comment on column market.book_snapshots.event_count is 'Events of the book up to here.';

create table market.derived_quotes (
    book_source_id integer primary key references market.sources,
    source_id integer not null unique references market.sources,
    through market.book_position not null
);
comment on table market.derived_quotes is
    'Quotes (source_id) derived from book events (book_source_id) up to the event named through.';
"""


def upgrade() -> None:
    op.get_bind().connection.driver_connection.execute(SQL)
