"""`tsdb-trader feed add|configure|list|start|stop`: streams of market data."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

app = typer.Typer(no_args_is_help=True, help="Add, start and stop streams of market data.")

Config = Annotated[
    Path | None, typer.Option(help="File with the configuration: JSON, or TOML if named .toml.")
]
Set = Annotated[
    list[str] | None,
    typer.Option("--set", help="One value, such as heartbeat_s=30.", metavar="K=V"),
]
Name = Annotated[str, typer.Argument(help="See `tsdb-trader feed list`.")]


@app.command()
def add(
    name: Annotated[str, typer.Argument(help="A name for the feed.")],
    file_format: Annotated[str, typer.Argument(metavar="FORMAT", help="Such as websocket, kafka.")],
    config: Config = None,
    values: Set = None,
) -> None:
    """Register a stream; a running feeds worker starts it at once."""
    from tsdb_trader import db
    from tsdb_trader.api import feeds
    from tsdb_trader.errors import InputError
    from tsdb_trader.feeds.stream_registry import STREAMS

    if file_format not in STREAMS:
        known = ", ".join(sorted(STREAMS))
        raise InputError(f"no stream is of format {file_format!r}: use one of {known}")
    configuration = read_configuration(config, values or [])
    with db.connect(application_name="tsdb-trader feed", autocommit=True) as conn:
        feeds.add_feed(conn, name, file_format, configuration)


@app.command()
def configure(name: Name, config: Config = None, values: Set = None) -> None:
    """Give a stream another configuration; a running one starts anew with it."""
    from tsdb_trader import db
    from tsdb_trader.api import feeds

    configuration = read_configuration(config, values or [])
    with db.connect(application_name="tsdb-trader feed", autocommit=True) as conn:
        feeds.configure_feed(conn, name, configuration)


@app.command()
def start(name: Name) -> None:
    """Let the feeds worker run a stream."""
    _set_status(name, "active")


@app.command()
def stop(name: Name) -> None:
    """Stop a stream; what is stored stays."""
    _set_status(name, "inactive")


@app.command("list")
def list_feeds(
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Show every feed, files and streams."""
    from dataclasses import asdict

    from tsdb_trader import db
    from tsdb_trader.api import feeds
    from tsdb_trader.commands.status import print_feeds

    with db.connect(application_name="tsdb-trader feed", autocommit=True) as conn:
        found = feeds.feed_status(conn)
    if as_json:
        typer.echo(json.dumps({"feeds": [asdict(feed) for feed in found]}, default=str))
    else:
        print_feeds(found)


def _set_status(name: str, status: str) -> None:
    from tsdb_trader import db
    from tsdb_trader.api import feeds

    with db.connect(application_name="tsdb-trader feed", autocommit=True) as conn:
        feeds.set_feed_status(conn, name, status)


def read_configuration(file: Path | None, values: list[str]) -> dict[str, Any]:
    """Return a configuration from a file, with single values on top.

    Raises
    ------
    InputError
        The file cannot be read, or a value is not like key=value.
    """
    from tsdb_trader.errors import InputError

    found: Any = {} if file is None else _read(file)
    if not isinstance(found, dict):
        raise InputError(f'{file}: no object; write it like {{"url": …}}')
    for value in values:
        key, equals, text = value.partition("=")
        if not equals or not key:
            raise InputError(f"--set {value}: write it like key=value")
        try:
            found[key] = json.loads(text)
        except ValueError:
            found[key] = text
    return found


def _read(file: Path) -> Any:
    import tomllib

    from tsdb_trader.errors import InputError

    try:
        text = file.read_text("utf-8")
        return tomllib.loads(text) if file.suffix == ".toml" else json.loads(text)
    except OSError as error:
        raise InputError(f"{file}: cannot be read ({error.strerror}); check the path") from None
    except ValueError as error:
        form = "TOML" if file.suffix == ".toml" else "JSON"
        raise InputError(f"{file}: no {form} ({error})") from None
