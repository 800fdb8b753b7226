"""`tsdb-trader backtest`."""

from __future__ import annotations

import dataclasses
import json
from typing import Annotated, Any

import typer

from tsdb_trader.commands.session import parse_time
from tsdb_trader.errors import InputError


def backtest(
    strategy: Annotated[str, typer.Argument(help="The strategy: pairs.")],
    session: Annotated[str | None, typer.Option(help="Step on this session's batches.")] = None,
    source: Annotated[str | None, typer.Option(help="Else quotes (default) or bars.")] = None,
    feed: Annotated[str | None, typer.Option(help="The feed, if there are several.")] = None,
    start: Annotated[str | None, typer.Option("--from", help="Start, excluded.")] = None,
    end: Annotated[str | None, typer.Option("--to", help="End, included.")] = None,
    costs: Annotated[str, typer.Option(help="Cost model: none or realistic.")] = "realistic",
    changes: Annotated[
        list[str] | None, typer.Option("--set", help="A parameter: entry=2.5, grid='5 minutes'.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Backtest a strategy with one query, backtest.run(...), and print its summary."""
    from tsdb_trader import db
    from tsdb_trader.api import backtest as api

    given = {"session_id": session, "source": source, "feed": feed}
    parameters: dict[str, Any] = {key: value for key, value in given.items() if value is not None}
    parameters |= dict(_read_change(text) for text in changes or [])
    begin = None if start is None else parse_time(start)
    finish = None if end is None else parse_time(end)
    with db.connect(application_name="tsdb-trader backtest") as conn:
        summary = api.run(conn, strategy, parameters, begin, finish, costs)
    if as_json:
        typer.echo(json.dumps(dataclasses.asdict(summary)))
        return
    sharpe = "-" if summary.sharpe is None else f"{summary.sharpe:.2f}"
    for name, value in (
        ("run", str(summary.run_id)),
        ("trades", str(summary.trades)),
        ("return", f"{summary.total_return:.4%}"),
        ("sharpe", sharpe),
        ("drawdown", f"{summary.max_drawdown:.4%}"),
        ("turnover", f"{summary.turnover:.2f}"),
        ("costs", f"{summary.costs:.2f}"),
        ("elapsed", f"{summary.elapsed_ms:.0f} ms"),
    ):
        typer.echo(f"{name:<10}{value}")


def _read_change(text: str) -> tuple[str, Any]:
    key, separator, value = text.partition("=")
    if not separator or not key:
        raise InputError(f"cannot read {text!r}: write it as entry=2.5")
    try:
        return key, json.loads(value)
    except json.JSONDecodeError:
        return key, value
