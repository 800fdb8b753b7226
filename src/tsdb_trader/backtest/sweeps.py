"""Sweeps and walks forward of any strategy, on connections of this process or on Dask."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Protocol

from tsdb_trader import db
from tsdb_trader.api import strategies
from tsdb_trader.api import sweeps as api
from tsdb_trader.api.strategies import Classes
from tsdb_trader.api.sweeps import FailedPoint, Judgement, Point, Sweep
from tsdb_trader.backtest.connections import Connections
from tsdb_trader.backtest.on_dask import Dask, connected
from tsdb_trader.config import settings
from tsdb_trader.db import Connection
from tsdb_trader.errors import InputError
from tsdb_trader.strategies import load_all

_APPLICATION = "tsdb-trader backtest"


@dataclass(frozen=True)
class Swept:
    """What a sweep came to: its runs, the best first, and the points that could not be run."""

    sweep_id: int
    runs: list[Point]
    failures: list[FailedPoint]
    best: Judgement | None
    not_judged: str | None
    """Why there is no judgement: fewer than two runs, too few periods."""


@dataclass(frozen=True)
class WalkStep:
    """A step of a walk forward, as ``backtest.walk_forward`` returns it.

    `point` and the figures of the test are None where the training had no Sharpe ratio.
    """

    train_from: datetime
    test_from: datetime
    test_to: datetime
    sweep_id: int
    point: dict[str, Any] | None = None
    train_sharpe: float | None = None
    run_id: int | None = None
    trades: int | None = None
    total_return: float | None = None
    sharpe: float | None = None
    max_drawdown: float | None = None


class _Runner(Protocol):
    def run(self, sweep: Sweep, points: Sequence[dict[str, Any]]) -> None: ...


def sweep(
    strategy: str,
    parameters: Mapping[str, Any],
    grid: Mapping[str, Sequence[Any]],
    start: datetime | None = None,
    end: datetime | None = None,
    costs: str = "realistic",
    *,
    connections: int = 2,
    blocks: int = 16,
) -> Swept:
    """Run every point of a grid, on Dask where ``TSDB_TRADER_DASK`` says so, and judge the best.

    Every point is one transaction: a sweep that is stopped keeps those that are done.

    Raises
    ------
    InputError
        The grid cannot be, or no point of it could be run.
    UnknownObjectError
        The strategy or cost model does not exist, or its class is not loaded.
    ConfigurationError
        Dask is configured and cannot be used.
    """
    _check_blocks(blocks)
    classes = load_all(settings().strategies)
    with _runner(connections, classes) as runner, _connected() as conn:
        strategies.check_loaded(conn, classes, strategy)
        sweep_id = api.open_sweep(conn, strategy, parameters, grid, start, end, costs)
        return _judge(conn, _run(conn, runner, sweep_id), blocks)


def resume(sweep_id: int, *, connections: int = 2, blocks: int = 16) -> Swept:
    """Run the points of a sweep that have no run yet, and judge the best.

    Raises
    ------
    UnknownObjectError
        The sweep does not exist, or its strategy's class is not loaded.
    InputError, ConfigurationError
        As ``sweep``.
    """
    _check_blocks(blocks)
    classes = load_all(settings().strategies)
    with _connected() as conn:
        strategies.check_loaded(conn, classes, api.find_sweep(conn, sweep_id).strategy)
        with _runner(connections, classes) as runner:
            return _judge(conn, _run(conn, runner, sweep_id), blocks)


def walk_forward(
    strategy: str,
    parameters: Mapping[str, Any],
    grid: Mapping[str, Sequence[Any]],
    start: datetime,
    end: datetime,
    train: str,
    test: str,
    costs: str = "realistic",
    *,
    connections: int = 2,
) -> list[WalkStep]:
    """Walk a grid forward as ``backtest.walk_forward`` does, its trainings as ``sweep`` runs them.

    Raises
    ------
    InputError
        The spans or the grid cannot be, or no point of a training could be run.
    UnknownObjectError, ConfigurationError
        As ``sweep``.
    """
    classes = load_all(settings().strategies)
    steps = []
    with _runner(connections, classes) as runner, _connected() as conn:
        strategies.check_loaded(conn, classes, strategy)
        for span in api.walk_spans(conn, start, end, train, test):
            sweep_id = api.open_sweep(
                conn, strategy, parameters, grid, span.train_from, span.test_from, costs
            )
            best = _run(conn, runner, sweep_id).runs[0]
            step = WalkStep(span.train_from, span.test_from, span.test_to, sweep_id)
            if best.sharpe is not None:
                chosen = dict(parameters) | best.point
                window = (span.test_from, span.test_to)
                found = strategies.run(conn, classes, strategy, chosen, *window, costs)
                step = replace(
                    step,
                    point=best.point,
                    train_sharpe=best.sharpe,
                    run_id=found.run_id,
                    trades=found.trades,
                    total_return=found.total_return,
                    sharpe=found.sharpe,
                    max_drawdown=found.max_drawdown,
                )
            steps.append(step)
    return steps


def _run(conn: Connection, runner: _Runner, sweep_id: int) -> Swept:
    runner.run(api.find_sweep(conn, sweep_id), api.missing_points(conn, sweep_id))
    runs, failures = api.sweep_results(conn, sweep_id), api.sweep_failures(conn, sweep_id)
    if not runs:
        raise InputError(
            f"none of the {len(failures)} points of sweep {sweep_id} could be run; the first: "
            f"{failures[0].error}"
        )
    return Swept(sweep_id, runs, failures, None, "a judgement needs two runs")


def _judge(conn: Connection, swept: Swept, blocks: int) -> Swept:
    if len(swept.runs) < 2:
        return swept
    try:
        best = api.judge_sweep(conn, swept.sweep_id, blocks)
    except InputError as error:
        return replace(swept, not_judged=str(error))
    return replace(swept, best=best, not_judged=None)


def _check_blocks(blocks: int) -> None:
    if blocks % 2 or not 2 <= blocks <= 16:
        raise InputError("blocks must be an even number from 2 to 16")


@contextmanager
def _runner(connections: int, classes: Classes) -> Iterator[_Runner]:
    address = settings().dask
    if not address:
        yield Connections(connections, classes)
        return
    with connected(address, connections) as client:
        yield Dask(client, classes)


@contextmanager
def _connected() -> Iterator[Connection]:
    with db.connect(autocommit=True, application_name=_APPLICATION) as conn:
        yield conn
