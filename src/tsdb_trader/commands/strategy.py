"""`tsdb-trader strategy`: strategies written in Python, registered and given instances."""

from __future__ import annotations

from typing import Annotated

import typer

from tsdb_trader.commands.backtest import read_changes
from tsdb_trader.commands.session import parse_time

app = typer.Typer(no_args_is_help=True, help="Strategies written in Python.")

Path = Annotated[str, typer.Argument(metavar="MODULE:CLASS", help="Where the class stands.")]


@app.command("register")
def register(path: Path) -> None:
    """Make a strategy of a class, or replace its code; the worker steps no other code."""
    from tsdb_trader import db
    from tsdb_trader.api import strategies
    from tsdb_trader.strategies import load

    loaded = load(path)
    with db.connect(application_name="tsdb-trader strategy") as conn:
        strategies.register(conn, loaded)
    typer.echo(f"{loaded.name} is {loaded.path}, code {loaded.code_hash[:12]}")


@app.command("save")
def save(
    path: Path,
    symbols: Annotated[list[str], typer.Argument(help="Its legs, in the order of the step.")],
    feed: Annotated[str, typer.Option(help="The feed it trades.")],
    start: Annotated[str, typer.Option("--from", help="Since when it is valid.")],
    changes: Annotated[
        list[str] | None, typer.Option("--set", help="A parameter: fast_s=5; repeatable.")
    ] = None,
) -> None:
    """Save an instance, valid from a time on; its class checks the parameters."""
    from tsdb_trader import db
    from tsdb_trader.api import strategies
    from tsdb_trader.strategies import load

    loaded = load(path)
    parameters = read_changes(changes or [])
    with db.connect(application_name="tsdb-trader strategy") as conn:
        instance_id = strategies.save_instance(
            conn, loaded, symbols, feed, parameters, parse_time(start)
        )
    typer.echo(f"instance {instance_id}")
