"""`tsdb-trader migrate`."""

from __future__ import annotations

import typer


def migrate() -> None:
    """Bring the database to this program's schema; safe to run at any time."""
    from tsdb_trader import schema

    done = schema.migrate()
    typer.echo(
        f"schema at revision {done.revision}: "
        f"{done.files_applied} SQL files applied, {done.files_unchanged} unchanged"
    )
