"""`tsdb-trader fix list|add|set`: FIX sessions of the gateway."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from tsdb_trader.commands.feed import read_configuration

app = typer.Typer(no_args_is_help=True, help="List, add and change FIX sessions of the gateway.")

Set = Annotated[
    list[str] | None,
    typer.Option("--set", help="One setting, such as throttle_per_s=50.", metavar="K=V"),
]


@app.command()
def add(
    name: Annotated[str, typer.Argument(help="A name for the session.")],
    venue: Annotated[str, typer.Argument(help="The venue at the other end.")],
    values: Set = None,
) -> None:
    """Register a session; a running gateway opens it at once."""
    from tsdb_trader import db
    from tsdb_trader.api import fix_sessions

    settings = read_configuration(None, values or [])
    with db.connect(application_name="tsdb-trader fix", autocommit=True) as conn:
        fix_sessions.add_session(conn, name, venue, settings)


@app.command("set")
def change(
    name: Annotated[str, typer.Argument(help="See `tsdb-trader fix list`.")],
    values: Annotated[
        list[str], typer.Argument(help="Settings, such as throttle_per_s=50 or status=inactive.")
    ],
) -> None:
    """Change settings of a session; its gateway starts anew with them."""
    from tsdb_trader import db
    from tsdb_trader.api import fix_sessions

    with db.connect(application_name="tsdb-trader fix", autocommit=True) as conn:
        fix_sessions.configure_session(conn, name, read_configuration(None, values))


@app.command("list")
def list_sessions(
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Show every session and its settings."""
    from dataclasses import asdict

    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    from tsdb_trader import db
    from tsdb_trader.api import fix_sessions

    with db.connect(application_name="tsdb-trader fix", autocommit=True) as conn:
        found = fix_sessions.list_sessions(conn)
    if as_json:
        typer.echo(json.dumps({"fix_sessions": [asdict(session) for session in found]}))
        return
    table = Table("session", "venue", "kind", "version", "from → to", "address", "status")
    for session in found:
        table.add_row(
            escape(session.fix_session),
            escape(session.venue),
            session.kind,
            session.version,
            f"{escape(session.sender)} → {escape(session.target)}",
            f"{session.host or 'settings'}:{session.port or 'settings'}",
            session.status,
        )
    Console(highlight=False).print(table)
