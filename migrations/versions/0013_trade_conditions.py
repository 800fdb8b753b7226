"""Trade conditions and more rollups."""

from __future__ import annotations

from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None

SQL = """
select 1;
"""


def upgrade() -> None:
    op.get_bind().connection.driver_connection.execute(SQL)
