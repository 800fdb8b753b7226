"""Market data of the simulated venue."""

from __future__ import annotations

from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None

SQL = """
-- Its new form, with the time of each quote, comes with the manifest.
drop function if exists venue.read_market(uuid, bigint, integer[], integer[], integer);
"""


def upgrade() -> None:
    op.get_bind().connection.driver_connection.execute(SQL)
