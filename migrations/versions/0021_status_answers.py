"""The orders a venue is asked about come with every ClOrdID they had."""

from __future__ import annotations

from alembic import op

revision = "0021"
down_revision = "0020"
branch_labels = None
depends_on = None

SQL = """
-- sql/ has the new one, with another column.
drop function if exists oms.begin_recovery(text);
"""


def upgrade() -> None:
    op.get_bind().connection.driver_connection.execute(SQL)
