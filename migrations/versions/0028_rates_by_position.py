"""Limits over time are counted into arrays."""

from __future__ import annotations

from alembic import op

revision = "0028"
down_revision = "0027"
branch_labels = None
depends_on = None

SQL = """
-- An internal function whose result changes.
drop function if exists risk._check_rates(
    risk.order_request, timestamptz, risk.order_request[], boolean, risk.limit_over_time[]);
"""


def upgrade() -> None:
    op.get_bind().connection.driver_connection.execute(SQL)
