"""Auctions of simulated venues by an exchange's calendar."""

from __future__ import annotations

from alembic import op

revision = "0020"
down_revision = "0019"
branch_labels = None
depends_on = None

SQL = """
alter table venue._settings add column calendar text references ref.calendars (exchange);
comment on column venue._settings.calendar is
    'Exchange whose sessions time the auctions that opens_at and closes_at leave open; null: none.';
"""


def upgrade() -> None:
    op.get_bind().connection.driver_connection.execute(SQL)
