"""Sweeps in schema backtest: grids of parameters, their points, and what the best is worth."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import psycopg
from psycopg.rows import class_row
from psycopg.types.json import Jsonb

from tsdb_trader.db import Connection, translated
from tsdb_trader.errors import InputError, UnknownObjectError


@dataclass(frozen=True)
class Sweep:
    """A grid of parameters that was opened."""

    sweep_id: int
    strategy: str
    parameters: dict[str, Any]
    grid: dict[str, list[Any]]
    from_ts: datetime | None
    to_ts: datetime | None
    costs: str
    recorded_at: datetime

    @property
    def application_name(self) -> str:
        """What its connections are called."""
        return f"tsdb-trader sweep {self.sweep_id}"


@dataclass(frozen=True)
class Point:
    """A run of a sweep: its point of the grid and what it came to."""

    run_id: int
    point: dict[str, Any]
    trades: int
    total_return: float
    sharpe: float | None
    max_drawdown: float
    turnover: float
    costs: float
    elapsed_ms: float


@dataclass(frozen=True)
class Judgement:
    """What the best run of a sweep is worth; definitions in ``backtest.judge_sweep``."""

    run_id: int
    point: dict[str, Any]
    trials: int
    periods: int
    sharpe: float | None
    skewness: float | None
    kurtosis: float | None
    variance: float | None
    deflated_sharpe: float | None
    pbo: float


@dataclass(frozen=True)
class FailedPoint:
    """A point of a sweep that could not be run."""

    point: dict[str, Any]
    error: str


@dataclass(frozen=True)
class Span:
    """A step of a walk forward."""

    train_from: datetime
    test_from: datetime
    test_to: datetime


def open_sweep(
    conn: Connection,
    strategy: str,
    parameters: Mapping[str, Any],
    grid: Mapping[str, Sequence[Any]],
    start: datetime | None = None,
    end: datetime | None = None,
    costs: str = "realistic",
) -> int:
    """Note a grid of parameters to run; its id.

    Raises
    ------
    InputError
        The grid cannot be.
    UnknownObjectError
        The strategy does not exist.
    """
    with translated():
        row = conn.execute(
            "select backtest.open_sweep(%s, %s, %s, %s, %s, %s)",
            (strategy, Jsonb(dict(parameters)), Jsonb(dict(grid)), start, end, costs),
        ).fetchone()
    assert row is not None  # noqa: S101 - the function returns its id or raises
    return int(row[0])


def find_sweep(conn: Connection, sweep_id: int) -> Sweep:
    """Return a sweep.

    Raises
    ------
    UnknownObjectError
        It does not exist.
    """
    cursor = conn.cursor(row_factory=class_row(Sweep))
    found = cursor.execute(
        """select sweep_id, strategy, parameters, grid, from_ts, to_ts, costs, recorded_at
           from backtest.sweeps where sweep_id = %s""",
        (sweep_id,),
    ).fetchone()
    if found is None:
        raise UnknownObjectError(f"sweep {sweep_id} does not exist: see backtest.sweeps")
    return found


def missing_points(conn: Connection, sweep_id: int) -> list[dict[str, Any]]:
    """Return the points of a sweep that have no run."""
    rows = conn.execute(
        """select p.point from backtest.sweeps s
           cross join lateral backtest.sweep_points(s.grid) with ordinality p (point, place)
           where s.sweep_id = %(sweep_id)s and p.point not in (
               select r.changes from backtest.runs r where r.sweep_id = %(sweep_id)s)
           order by p.place""",
        {"sweep_id": sweep_id},
    ).fetchall()
    return [row[0] for row in rows]


def claim_point(conn: Connection, sweep_id: int, point: Mapping[str, Any]) -> int | None:
    """Lock a point until the end of the transaction; its run_id, None where it was not run yet."""
    with translated():
        row = conn.execute(
            "select backtest.claim_point(%s, %s)", (sweep_id, Jsonb(dict(point)))
        ).fetchone()
    assert row is not None  # noqa: S101 - one row, whatever the function returns
    return None if row[0] is None else int(row[0])


def fail_point(
    conn: Connection, sweep_id: int, point: Mapping[str, Any], sql_state: str, message: str
) -> None:
    """Record why a point could not be run."""
    with translated():
        conn.execute(
            "select backtest.fail_point(%s, %s, %s, %s)",
            (sweep_id, Jsonb(dict(point)), sql_state, message.replace("\0", "")),
        )


def sweep_failures(conn: Connection, sweep_id: int) -> list[FailedPoint]:
    """Return the points of a sweep that could not be run."""
    cursor = conn.cursor(row_factory=class_row(FailedPoint))
    return cursor.execute(
        "select point, error from backtest.sweep_results(%s) where error is not null", (sweep_id,)
    ).fetchall()


def end_connections(conn: Connection, sweep: Sweep) -> int:
    """End the connections that run points of a sweep, and roll these back; how many there were."""
    rows = conn.execute(
        """select pg_terminate_backend(a.pid) from pg_stat_activity a
           where a.application_name = %s and a.datname = current_database()
               and a.pid <> pg_backend_pid()""",
        (sweep.application_name,),
    ).fetchall()
    return len(rows)


def walk_spans(
    conn: Connection, start: datetime, end: datetime, train: str, test: str
) -> list[Span]:
    """Return the steps of a walk forward; `train` and `test` are intervals such as 1 year.

    Raises
    ------
    InputError
        The spans cannot be.
    """
    cursor = conn.cursor(row_factory=class_row(Span))
    try:
        with translated():
            return cursor.execute(
                "select * from backtest.walk_spans(%s, %s, %s, %s)", (start, end, train, test)
            ).fetchall()
    except psycopg.DataError as error:
        said = error.diag.message_primary
        raise InputError(f"{said}: write a span as '1 year' or '3 months'") from None


def run_point(
    conn: Connection,
    sweep_id: int,
    point: Mapping[str, Any],
    decisions: Sequence[Sequence[Any]] | None = None,
) -> int:
    """Run one point of a sweep, if it was not run yet; its run_id.

    `decisions` are those of a strategy in Python, as ``backtest.run`` takes them.

    Raises
    ------
    InputError
        A parameter is unknown or cannot be, or the point is none of the grid.
    UnknownObjectError
        The sweep, or something it names, does not exist.
    """
    with translated():
        row = conn.execute(
            "select backtest.run_point(%s, %s, %s)",
            (sweep_id, Jsonb(dict(point)), None if decisions is None else Jsonb(decisions)),
        ).fetchone()
    assert row is not None  # noqa: S101 - the function returns its id or raises
    return int(row[0])


def sweep_results(conn: Connection, sweep_id: int) -> list[Point]:
    """Return the runs of a sweep, the best Sharpe ratio first."""
    cursor = conn.cursor(row_factory=class_row(Point))
    return cursor.execute(
        """select run_id, point, trades, total_return, sharpe, max_drawdown, turnover, costs,
               elapsed_ms
           from backtest.sweep_results(%s) where error is null""",
        (sweep_id,),
    ).fetchall()


def judge_sweep(conn: Connection, sweep_id: int, blocks: int = 16) -> Judgement:
    """Return what the best run of a sweep is worth.

    Raises
    ------
    InputError
        It has fewer than two runs, or too few periods for the blocks.
    UnknownObjectError
        The sweep does not exist.
    """
    with translated():
        cursor = conn.cursor(row_factory=class_row(Judgement))
        found = cursor.execute(
            "select * from backtest.judge_sweep(%s, %s)", (sweep_id, blocks)
        ).fetchone()
    assert found is not None  # noqa: S101 - the function returns its row or raises
    return found
