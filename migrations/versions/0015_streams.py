"""Streams: where their own numbering stands, and ticks that came too late for a session."""

from __future__ import annotations

from alembic import op

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None

SQL = """
alter table market.sources add column sequence bigint;
comment on column market.sources.sequence is
    'The last sequence number of a stream that has its own beside our row numbers; null: it has none.';

create table market.late_ticks (
    session_id uuid primary key references ops.sessions,
    ticks bigint not null check (ticks > 0),
    updated_at timestamptz not null default clock_timestamp()
);
comment on table market.late_ticks is
    'Per live session, how many ticks of its feed were stored and not handed over, because a batch had passed their time.';
"""


def upgrade() -> None:
    op.get_bind().connection.driver_connection.execute(SQL)
