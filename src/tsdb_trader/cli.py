"""The command line `tsdb-trader`: finds the command, and turns every failure into one line.

Commands are imported when they are called, so that `--help` needs none of their libraries.
"""

from __future__ import annotations

import importlib
import os
import sys
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

from tsdb_trader import __version__
from tsdb_trader.config import settings
from tsdb_trader.errors import TraderError

_UNEXPECTED = 70  # EX_SOFTWARE of sysexits.h
_INTERRUPTED = 130


@dataclass(frozen=True)
class _Entry:
    help: str
    module: str
    attribute: str


def _entry(module: str, attribute: str, text: str) -> _Entry:
    return _Entry(text, f"tsdb_trader.commands.{module}", attribute)


_COMMANDS = {
    "demo": _entry("demo", "demo", "Trade a session from recorded or generated ticks; print it."),
    "db": _entry("db", "app", "The private database server."),
    "migrate": _entry("migrate", "migrate", "Bring the database to this program's schema."),
    "load": _entry("load", "load", "Load tick files."),
    "sample": _entry("sample", "sample", "Generate sample tick files."),
    "calibrate": _entry("calibrate", "calibrate", "Calibrate the pairs strategy."),
    "backtest": _entry(
        "backtest", "app", "Backtest a strategy with one query; sweep, compare, check."
    ),
    "strategy": _entry("strategy", "app", "Strategies in Python: register, save instances."),
    "model": _entry("model", "app", "Models: train, look at, let answer, score, watch."),
    "parity": _entry("calibrate", "parity", "Compare a session's signals with recomputed ones."),
    "news": _entry("news", "app", "Scores and symbols of stored headlines."),
    "ref": _entry("reference", "app", "Reference data: calendars, symbols, corporate actions."),
    "var": _entry("var", "app", "Value at risk: the daily returns behind it."),
    "order": _entry("order", "app", "Look at orders, cancel, replace and settle them."),
    "breaks": _entry("breaks", "app", "Differences between the books of others and ours."),
    "plan": _entry("plan", "app", "Orderly reductions: plan, list, pause, resume, cancel."),
    "portfolio": _entry("portfolio", "app", "Positions, lots, P&L by day, equity and cash."),
    "risk": _entry("risk", "app", "The kill switch, trading states, limits, strategies."),
    "rule": _entry("rule", "app", "Rules over ticks and news, and what they found."),
    "session": _entry("session", "app", "Open, close and list sessions."),
    "feed": _entry("feed", "app", "Add, start and stop streams of market data."),
    "fix": _entry("fix", "app", "List, add and change FIX sessions of the gateway."),
    "venue": _entry("venue", "app", "Simulated venues: commands, settings, participants, faults."),
    "up": _entry("up", "up", "Run the venue and all workers; ctrl-c stops them."),
    "worker": _entry("worker", "worker", "Run one worker in the foreground."),
    "status": _entry("status", "status", "Show workers and open sessions."),
    "docs": _entry("docs", "docs", "Write docs/sql_api.md from the comments in the database."),
}


def _options(
    debug: Annotated[
        bool, typer.Option("--debug", help="Show the traceback of an unexpected error.")
    ] = False,
) -> None:
    if debug:
        os.environ["TSDB_TRADER_DEBUG"] = "1"


def _print_version() -> None:
    """Print the program's version."""
    typer.echo(__version__)


def _stub() -> None:
    raise AssertionError("a command that was not imported was called")


def build(called: str | None) -> typer.Typer:
    """Return the application with the one command that is `called` imported."""
    app = typer.Typer(
        name="tsdb-trader",
        help="A trading platform centred on a time-series database.",
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
        rich_markup_mode=None,
        callback=_options,
    )
    for name, entry in _COMMANDS.items():
        if name != called:
            app.command(name, help=entry.help)(_stub)
            continue
        target: Any = getattr(importlib.import_module(entry.module), entry.attribute)
        if isinstance(target, typer.Typer):
            app.add_typer(target, name=name, help=entry.help)
        else:
            command: Callable[..., Any] = target
            app.command(name)(command)
    app.command("version", help="Print the program's version.")(_print_version)
    return app


def called_command(arguments: Sequence[str]) -> str | None:
    """Return the first argument that is no option: all global options are flags."""
    return next((a for a in arguments if not a.startswith("-")), None)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line; the exit status tells the kind of failure (see errors.py)."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    try:
        build(called_command(given))(given)
    except KeyboardInterrupt:
        _fail("interrupted", _INTERRUPTED)
    except BrokenPipeError:
        # The reader went away, as in `tsdb-trader status | head`; nothing more can be said.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except Exception as error:
        _report(error)


def _report(error: Exception) -> None:
    if os.environ.get("TSDB_TRADER_DEBUG"):
        traceback.print_exc()
    known = _known(error)
    if known is not None:
        _fail(str(known), known.exit_status)
    first = (str(error).strip() or "no message").splitlines()[0]
    _fail(
        f"unexpected {type(error).__name__}: {first}; {_keep_traceback(error)}",
        _UNEXPECTED,
    )


def _known(error: Exception) -> TraderError | None:
    if isinstance(error, TraderError):
        return error
    # Only a program that uses the database can fail in it: nothing is imported for the others.
    psycopg = sys.modules.get("psycopg")
    if psycopg is None or not isinstance(error, psycopg.Error):
        return None
    from tsdb_trader import db, errors, schema

    ours = errors.from_database(error) or schema.behind(error)
    if ours is None and isinstance(error, psycopg.OperationalError):
        try:
            return db.unavailable(db.database_url(), error)
        except TraderError as unconfigured:
            return unconfigured
    return ours


def _keep_traceback(error: Exception) -> str:
    if os.environ.get("TSDB_TRADER_DEBUG"):
        return "please report it"
    try:
        folder = settings().home / "logs"
        folder.mkdir(parents=True, exist_ok=True)
        path: Path = folder / "cli.log"
        with path.open("a") as file:
            traceback.print_exception(error, file=file)
    except (OSError, TraderError):
        return "see the traceback with `tsdb-trader --debug`"
    return f"its traceback is at the end of {path}"


def _fail(message: str, status: int) -> None:
    print(f"error: {message}", file=sys.stderr)
    sys.exit(status)


if __name__ == "__main__":
    main()
