"""Alembic's entry: runs the versions over the connection that `tsdb-trader migrate` hands in."""

from __future__ import annotations

from alembic import context

connection = context.config.attributes.get("connection")
if connection is None:
    raise SystemExit(
        "run `tsdb-trader migrate`: it brings the connection, the lock and the SQL files"
    )

context.configure(connection=connection, version_table_schema="ops")
with context.begin_transaction():
    context.run_migrations()
