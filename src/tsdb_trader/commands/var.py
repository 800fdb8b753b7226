"""`tsdb-trader var refresh|prepare`."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Annotated, Any

import typer

app = typer.Typer(no_args_is_help=True, help="Value at risk: the daily returns behind it.")


@app.command("refresh")
def refresh(
    first: Annotated[
        datetime | None,
        typer.Option("--from", formats=["%Y-%m-%d"], help="First date (default: all bars)."),
    ] = None,
    last: Annotated[
        datetime | None,
        typer.Option("--to", formats=["%Y-%m-%d"], help="Last date (default: all bars)."),
    ] = None,
    feed: Annotated[
        str | None, typer.Option(help="Whose daily bars, where several feeds have some.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Make daily returns of loaded bars, and prepare the latest history with its factors."""
    from tsdb_trader import db, schema
    from tsdb_trader.research import factors

    schema.check_current()
    with db.connect(autocommit=True, application_name="tsdb-trader var") as conn:
        changed = factors.refresh(
            conn, first.date() if first else None, last.date() if last else None, feed
        )
        sets = factors.prepare(conn, datetime.now(UTC))
    _show({"changed": changed, "sets": sets}, as_json)


@app.command("prepare")
def prepare(
    as_of: Annotated[
        datetime,
        typer.Argument(formats=["%Y-%m-%d", "%Y-%m-%dT%H:%M:%S"], help="A time, in UTC."),
    ],
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Prepare the history as it was known at a time, for a replay of that day."""
    from tsdb_trader import db, schema
    from tsdb_trader.research import factors

    schema.check_current()
    with db.connect(autocommit=True, application_name="tsdb-trader var") as conn:
        sets = factors.prepare(conn, as_of.replace(tzinfo=UTC))
    _show({"sets": sets}, as_json)


def _show(found: dict[str, Any], as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps(found))
        return
    if "changed" in found:
        typer.echo(f"returns changed: {found['changed']:,}")
    typer.echo(f"history: {', '.join(f'set {n}' for n in found['sets']) or 'none'}")
