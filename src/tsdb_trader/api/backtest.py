"""Schema backtest: runs as a query, and parity of live and recomputed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from psycopg.rows import class_row
from psycopg.types.json import Jsonb

from tsdb_trader.db import Connection, translated


@dataclass(frozen=True)
class Difference:
    """Something that live and recomputed do not agree on; see ``backtest.parity`` for the kinds."""

    kind: str
    batch_no: int | None
    pair_id: int | None
    detail: dict[str, Any]


@dataclass(frozen=True)
class Summary:
    """What a run came to; definitions in ``backtest.run``. Costs are in account currency."""

    run_id: int
    trades: int
    total_return: float
    sharpe: float | None
    max_drawdown: float
    turnover: float
    costs: float
    elapsed_ms: float


def parity(conn: Connection, session_id: UUID) -> list[Difference]:
    """Recompute a session from its ticks; every difference from what was recorded live.

    Raises
    ------
    UnknownObjectError
        The session does not exist.
    """
    with translated():
        cursor = conn.cursor(row_factory=class_row(Difference))
        return cursor.execute("select * from backtest.parity(%s)", (session_id,)).fetchall()


def run(
    conn: Connection,
    strategy: str,
    parameters: Mapping[str, Any],
    start: datetime | None = None,
    end: datetime | None = None,
    costs: str = "realistic",
) -> Summary:
    """Run a backtest in the database and keep it.

    Raises
    ------
    InputError
        A parameter is unknown or cannot be.
    UnknownObjectError
        The strategy, cost model, session, feed or a pair does not exist.
    """
    with translated():
        cursor = conn.cursor(row_factory=class_row(Summary))
        summary = cursor.execute(
            "select * from backtest.run(%s, %s, %s, %s, %s)",
            (strategy, Jsonb(dict(parameters)), start, end, costs),
        ).fetchone()
    assert summary is not None  # noqa: S101 - the function returns its row or raises
    return summary


def warnings(conn: Connection, run_id: int) -> list[dict[str, Any]]:
    """Return what a run could not do, or did otherwise than expected; see ``backtest.runs``."""
    with translated():
        row = conn.execute(
            "select warnings from backtest.runs where run_id = %s", (run_id,)
        ).fetchone()
    return [] if row is None else row[0]


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
class Measure:
    """One line of the comparison of two runs."""

    measure: str
    a: float | None
    b: float | None
    difference: float | None
    detail: Any


@dataclass(frozen=True)
class Leak:
    """A first use of what was not known yet; see ``backtest.check_lookahead``."""

    kind: str
    instance_id: int | None
    instrument_id: int | None
    as_of: datetime
    known_at: datetime


def compare(conn: Connection, run_a: int, run_b: int) -> list[Measure]:
    """Return two runs beside each other.

    Raises
    ------
    UnknownObjectError
        A run does not exist.
    """
    with translated():
        cursor = conn.cursor(row_factory=class_row(Measure))
        return cursor.execute("select * from backtest.compare(%s, %s)", (run_a, run_b)).fetchall()


def check_lookahead(
    conn: Connection,
    strategy: str,
    start: datetime,
    end: datetime,
    parameters: Mapping[str, Any] | None = None,
) -> list[Leak]:
    """Take away what was not known yet, step again, and return what differs.

    Raises
    ------
    InputError
        A parameter is unknown or cannot be, or there are no prices.
    UnknownObjectError
        The strategy or the feed does not exist.
    """
    with translated():
        cursor = conn.cursor(row_factory=class_row(Leak))
        return cursor.execute(
            "select * from backtest.check_lookahead(%s, %s, %s, %s)",
            (strategy, start, end, Jsonb(dict(parameters or {}))),
        ).fetchall()


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


def sweep_points(conn: Connection, sweep_id: int) -> list[dict[str, Any]]:
    """Return the points of a sweep."""
    with translated():
        rows = conn.execute(
            """select p.point from backtest.sweeps s
               cross join lateral backtest.sweep_points(s.grid) p (point) where s.sweep_id = %s""",
            (sweep_id,),
        ).fetchall()
    return [row[0] for row in rows]


def run_point(conn: Connection, sweep_id: int, point: Mapping[str, Any]) -> int:
    """Run one point of a sweep, if it was not run yet; its run_id.

    Raises
    ------
    InputError
        A parameter is unknown or cannot be.
    UnknownObjectError
        The sweep, or something it names, does not exist.
    """
    with translated():
        row = conn.execute(
            "select backtest.run_point(%s, %s)", (sweep_id, Jsonb(dict(point)))
        ).fetchone()
    assert row is not None  # noqa: S101 - the function returns its id or raises
    return int(row[0])


def sweep_results(conn: Connection, sweep_id: int) -> list[Point]:
    """Return the runs of a sweep, the best Sharpe ratio first."""
    with translated():
        cursor = conn.cursor(row_factory=class_row(Point))
        return cursor.execute(
            """select run_id, changes as point, trades, total_return, sharpe, max_drawdown,
                   turnover, cost_amount as costs, elapsed_ms
               from backtest.runs where sweep_id = %s order by sharpe desc nulls last, run_id""",
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
