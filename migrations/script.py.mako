"""${message}"""

from __future__ import annotations

from alembic import op

revision = ${repr(up_revision)}
down_revision = ${repr(down_revision)}
branch_labels = None
depends_on = None

SQL = """
"""


def upgrade() -> None:
    op.get_bind().connection.driver_connection.execute(SQL)
