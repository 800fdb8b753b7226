"""docs/sql_api.md says what the database says."""

from __future__ import annotations

from tsdb_trader import schema
from tsdb_trader.commands.docs import reference


def test_sql_reference_is_current(conn):
    written = (schema.root() / "docs" / "sql_api.md").read_text()
    assert reference(conn) == written, "run `make docs` on a migrated database"
