"""`tsdb-trader backtest`: run a strategy, sweep its parameters, compare runs, look for leaks."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterable
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperGroup

from tsdb_trader.commands.session import parse_time
from tsdb_trader.errors import InputError, InvariantError

if TYPE_CHECKING:
    from tsdb_trader.backtest import Swept


class _RunByDefault(TyperGroup):
    """`backtest pairs` means `backtest run pairs`."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Put in the command's name where a strategy stands in its place."""
        if args and not args[0].startswith("-") and args[0] not in self.commands:
            args = ["run", *args]
        return super().parse_args(ctx, args)


app = typer.Typer(cls=_RunByDefault, no_args_is_help=True, help="Backtest a strategy.")

Strategy = Annotated[str, typer.Argument(help="The strategy: pairs, or one of your own.")]
Start = Annotated[str | None, typer.Option("--from", help="Start, excluded.")]
End = Annotated[str | None, typer.Option("--to", help="End, included.")]
Costs = Annotated[str, typer.Option(help="Cost model: none, percentage, realistic.")]
Feed = Annotated[str | None, typer.Option(help="The feed, if there are several.")]
Source = Annotated[str | None, typer.Option(help="quotes, bars or daily (default: what is there).")]
Changes = Annotated[
    list[str] | None, typer.Option("--set", help="A parameter: entry=2.5, grid='5 minutes'.")
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]


@app.command("run")
def run(
    strategy: Strategy,
    session: Annotated[str | None, typer.Option(help="Step on this session's batches.")] = None,
    source: Source = None,
    feed: Feed = None,
    start: Start = None,
    end: End = None,
    costs: Costs = "realistic",
    changes: Changes = None,
    as_json: AsJson = False,
) -> None:
    """Backtest a strategy with one query, backtest.run(...), and print its summary."""
    from tsdb_trader import db
    from tsdb_trader.api import backtest
    from tsdb_trader.api import strategies as api
    from tsdb_trader.config import settings
    from tsdb_trader.strategies import load_all

    parameters = _read_parameters(
        {"session_id": session, "source": source, "feed": feed}, changes or []
    )
    begin = None if start is None else parse_time(start)
    finish = None if end is None else parse_time(end)
    with db.connect(application_name="tsdb-trader backtest") as conn:
        classes = load_all(settings().strategies)
        summary = api.run(conn, classes, strategy, parameters, begin, finish, costs)
        warnings = backtest.warnings(conn, summary.run_id)
    if as_json:
        typer.echo(json.dumps(dataclasses.asdict(summary)))
        return
    for name, value in (
        ("run", str(summary.run_id)),
        ("trades", str(summary.trades)),
        ("return", f"{summary.total_return:.4%}"),
        ("sharpe", _figure(summary.sharpe, ".2f")),
        ("drawdown", f"{summary.max_drawdown:.4%}"),
        ("turnover", f"{summary.turnover:.2f}"),
        ("costs", f"{summary.costs:.2f}"),
        ("elapsed", f"{summary.elapsed_ms:.0f} ms"),
    ):
        typer.echo(f"{name:<10}{value}")
    for warning in warnings:
        details = ", ".join(f"{key} {value}" for key, value in warning.items() if key != "kind")
        typer.echo(f"warning   {warning['kind']}: {details}")


Grid = Annotated[
    list[str], typer.Option("--grid", help="A parameter's values: entry=1.5,2,2.5; repeatable.")
]
Count = Annotated[
    int, typer.Option("--connections", help="How many points are run at once.", min=1, max=64)
]
Blocks = Annotated[int, typer.Option(help="Blocks of the test for overfitting.")]


@app.command("sweep")
def sweep(
    strategy: Strategy,
    grid: Grid,
    start: Start = None,
    end: End = None,
    source: Source = None,
    feed: Feed = None,
    costs: Costs = "realistic",
    changes: Changes = None,
    connections: Count = 2,
    blocks: Blocks = 16,
    as_json: AsJson = False,
) -> None:
    """Run a grid of parameters on several connections, or on Dask, and judge the best."""
    from tsdb_trader import backtest

    parameters = _read_parameters({"source": source, "feed": feed}, changes or [])
    begin = None if start is None else parse_time(start)
    finish = None if end is None else parse_time(end)
    _print_sweep(
        backtest.sweep(
            strategy, parameters, _read_grid(grid), begin, finish, costs,
            connections=connections, blocks=blocks,
        ),
        as_json,
    )  # fmt: skip


@app.command("resume")
def resume(
    sweep_id: Annotated[int, typer.Argument(help="The sweep.")],
    connections: Count = 2,
    blocks: Blocks = 16,
    as_json: AsJson = False,
) -> None:
    """Run the points of a sweep that have no run yet, and judge the best."""
    from tsdb_trader import backtest

    _print_sweep(backtest.resume(sweep_id, connections=connections, blocks=blocks), as_json)


@app.command("walk")
def walk(
    strategy: Strategy,
    grid: Grid,
    start: Annotated[str, typer.Option("--from", help="Start of the first training, excluded.")],
    end: Annotated[str, typer.Option("--to", help="End, included.")],
    train: Annotated[str, typer.Option(help="Length of a training: '1 year'.")],
    test: Annotated[str, typer.Option(help="Length of a test: '3 months'.")],
    source: Source = None,
    feed: Feed = None,
    costs: Costs = "realistic",
    changes: Changes = None,
    connections: Count = 2,
    as_json: AsJson = False,
) -> None:
    """Walk a grid forward: the best of each training is run over the span after it."""
    from tsdb_trader import backtest

    parameters = _read_parameters({"source": source, "feed": feed}, changes or [])
    steps = backtest.walk_forward(
        strategy, parameters, _read_grid(grid), parse_time(start), parse_time(end), train, test,
        costs, connections=connections,
    )  # fmt: skip
    if as_json:
        typer.echo(json.dumps([dataclasses.asdict(step) for step in steps], default=str))
        return
    typer.echo(f"{'test from':<12}{'run':>8}{'trained':>9}{'sharpe':>9}{'return':>10}  point")
    for step in steps:
        typer.echo(
            f"{step.test_from:%Y-%m-%d}  {step.run_id or '-':>8}"
            f"{_figure(step.train_sharpe, '.2f'):>9}{_figure(step.sharpe, '.2f'):>9}"
            f"{_figure(step.total_return, '.2%'):>10}"
            f"  {json.dumps(step.point)}"
        )


def _print_sweep(swept: Swept, as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps(dataclasses.asdict(swept)))
        return
    typer.echo(f"{'run':>8}{'sharpe':>9}{'return':>10}{'drawdown':>10}{'trades':>8}  point")
    for run in swept.runs:
        typer.echo(
            f"{run.run_id:>8}{_figure(run.sharpe, '.2f'):>9}{run.total_return:>10.2%}"
            f"{run.max_drawdown:>10.2%}{run.trades:>8}  {json.dumps(run.point)}"
        )
    for failure in swept.failures:
        typer.echo(f"{'failed':>8}  {json.dumps(failure.point)}: {failure.error}")
    if swept.best is None:
        typer.echo(f"sweep {swept.sweep_id}: {swept.not_judged}")
    else:
        typer.echo(
            f"sweep {swept.sweep_id}: deflated Sharpe ratio "
            f"{_figure(swept.best.deflated_sharpe, '.3f')}, probability of overfitting "
            f"{swept.best.pbo:.3f}"
        )


@app.command("compare")
def compare(run_a: int, run_b: int, as_json: AsJson = False) -> None:
    """Print two runs beside each other."""
    from tsdb_trader import db
    from tsdb_trader.api import backtest as api

    with db.connect(application_name="tsdb-trader backtest") as conn:
        measures = api.compare(conn, run_a, run_b)
    if as_json:
        typer.echo(json.dumps([dataclasses.asdict(m) for m in measures]))
        return
    for m in measures:
        figures = "".join(f"{_figure(x, '.6g'):>14}" for x in (m.a, m.b, m.difference))
        typer.echo(f"{m.measure:<28}{figures}  {'' if m.detail is None else json.dumps(m.detail)}")


@app.command("check")
def check(
    strategy: Strategy,
    start: Annotated[str, typer.Option("--from", help="Start, excluded.")],
    end: Annotated[str, typer.Option("--to", help="End, included.")],
    source: Source = None,
    feed: Feed = None,
    changes: Changes = None,
) -> None:
    """Look for decisions that use what was not known yet; one is an error (status 6)."""
    from tsdb_trader import db
    from tsdb_trader.api import backtest as api

    parameters = _read_parameters({"source": source, "feed": feed}, changes or [])
    with db.connect(application_name="tsdb-trader backtest") as conn:
        leaks = api.check_lookahead(conn, strategy, parse_time(start), parse_time(end), parameters)
    for leak in leaks:
        typer.echo(
            f"{leak.kind} {leak.instance_id or leak.instrument_id or ''} at {leak.as_of} "
            f"uses something that was not known at {leak.known_at}"
        )
    if leaks:
        raise InvariantError(f"{strategy} looks ahead: {len(leaks)} findings")
    typer.echo("nothing found")


def _figure(value: float | None, form: str) -> str:
    return "-" if value is None else format(value, form)


def _read_parameters(given: dict[str, str | None], changes: Iterable[str]) -> dict[str, Any]:
    parameters: dict[str, Any] = {key: value for key, value in given.items() if value is not None}
    return parameters | read_changes(changes)


def read_changes(changes: Iterable[str]) -> dict[str, Any]:
    """Return parameters given as ``name=value``, the values as JSON where they are.

    Raises
    ------
    InputError
        One is not written so.
    """
    return dict(_read_change(text) for text in changes)


def _read_change(text: str) -> tuple[str, Any]:
    key, separator, value = text.partition("=")
    if not separator or not key:
        raise InputError(f"cannot read {text!r}: write it as entry=2.5")
    return key, _read_value(value)


def _read_grid(texts: Iterable[str]) -> dict[str, list[Any]]:
    axes = [_read_axis(text) for text in texts]
    grid = dict(axes)
    if len(grid) < len(axes):
        raise InputError("a parameter has two --grid options: give all its values in one")
    return grid


def _read_axis(text: str) -> tuple[str, list[Any]]:
    key, separator, values = text.partition("=")
    if not separator or not key or not values:
        raise InputError(f"cannot read {text!r}: write it as entry=1.5,2,2.5")
    return key, [_read_value(value) for value in values.split(",")]


def _read_value(value: str) -> Any:
    try:
        return json.loads(value)
    except json.JSONDecodeError:
        return value
