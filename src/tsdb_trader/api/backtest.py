"""Schema backtest: runs as a query, and parity of live and recomputed."""

from __future__ import annotations

from collections.abc import Mapping
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
