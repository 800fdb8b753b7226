"""What came of a session: the figures of its summary and whether every promise was kept."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import Any
from uuid import UUID

from psycopg.rows import class_row

from tsdb_trader.db import Connection


@dataclass(frozen=True)
class Position:
    """A row of ``portfolio.pnl``: money in account currency, before fees but for total_pnl."""

    account: str
    strategy: str
    symbol: str
    quantity: Decimal
    average_price: Decimal | None
    mark: Decimal | None
    realized_pnl: Decimal
    unrealized_pnl: Decimal | None
    fees: Decimal
    total_pnl: Decimal | None


@dataclass(frozen=True)
class Latency:
    """A row of ``ops.latency``, in milliseconds of wall time."""

    stage: str
    samples: int
    p50_ms: float
    p99_ms: float


@dataclass(frozen=True)
class Invariant:
    """A row of ``ops.check_invariants``."""

    invariant: str
    passed: bool
    detail: str


@dataclass(frozen=True)
class Summary:
    """A session in figures."""

    batches: int
    quotes: int
    trades: int
    signals: dict[str, int]
    orders: dict[str, int]
    denials: dict[str, int]
    fills: int
    filled_quantity: Decimal
    filled_value: Decimal
    positions: list[Position]
    latencies: list[Latency]
    open_breaks: int


def summary(conn: Connection, session_id: UUID) -> Summary:
    """Return the figures of a session."""
    batches, quotes, trades = _row(
        conn,
        "select count(*), coalesce(sum(quote_count), 0), coalesce(sum(trade_count), 0) "
        "from market.batches where session_id = %s",
        session_id,
    )
    fills, quantity, value = _row(
        conn,
        "select count(*), coalesce(sum(quantity), 0), coalesce(sum(quantity * price), 0) "
        "from oms.executions where session_id = %s",
        session_id,
    )
    (breaks,) = _row(
        conn,
        "select count(*) from oms.breaks where session_id = %s and resolved_at is null",
        session_id,
    )
    return Summary(
        batches=batches,
        quotes=quotes,
        trades=trades,
        signals=_counts(
            conn,
            "select event, count(*) from signal.signals where session_id = %s "
            "group by event order by event",
            session_id,
        ),
        orders=_counts(
            conn,
            "select status, count(*) from oms.orders where session_id = %s "
            "group by status order by status",
            session_id,
        ),
        denials=_counts(
            conn,
            "select reason, count(*) from oms.orders o, unnest(o.reasons) reason "
            "where o.session_id = %s and o.status = 'denied' group by reason order by reason",
            session_id,
        ),
        fills=fills,
        filled_quantity=quantity,
        filled_value=value,
        positions=_positions(conn, session_id),
        latencies=_latencies(conn, session_id),
        open_breaks=breaks,
    )


def counts(conn: Connection, session_id: UUID) -> tuple[int, int, int]:
    """Return the numbers of signals, orders and fills of a session so far."""
    signals, orders, fills = _row(
        conn,
        "select (select count(*) from signal.signals g where g.session_id = s.session_id), "
        "(select count(*) from oms.orders o where o.session_id = s.session_id), "
        "(select count(*) from oms.executions e where e.session_id = s.session_id) "
        "from ops.sessions s where s.session_id = %s",
        session_id,
    )
    return signals, orders, fills


def check_invariants(conn: Connection, session_id: UUID) -> list[Invariant]:
    """Check every promise of the platform on a session (``ops.check_invariants``)."""
    cur = conn.cursor(row_factory=class_row(Invariant))
    return cur.execute("select * from ops.check_invariants(%s)", (session_id,)).fetchall()


def lineage_query(session_id: UUID) -> str:
    """Return a query to start from: the first executions with all that led to them."""
    return f"select * from oms.lineage where session_id = '{session_id}' limit 5"  # noqa: S608


def _positions(conn: Connection, session_id: UUID) -> list[Position]:
    cur = conn.cursor(row_factory=class_row(Position))
    return cur.execute(
        "select account, strategy, symbol, quantity, average_price, mark, realized_pnl, "
        "unrealized_pnl, fees, total_pnl from portfolio.pnl where session_id = %s "
        "order by account, strategy, symbol",
        (session_id,),
    ).fetchall()


def _latencies(conn: Connection, session_id: UUID) -> list[Latency]:
    cur = conn.cursor(row_factory=class_row(Latency))
    return cur.execute(
        "select stage, samples, p50_ms, p99_ms from ops.latency where session_id = %s "
        "order by stage_no",
        (session_id,),
    ).fetchall()


def _row(conn: Connection, query: Any, session_id: UUID) -> tuple[Any, ...]:
    row: Any = conn.execute(query, (session_id,)).fetchone()
    return tuple(row)


def _counts(conn: Connection, query: Any, session_id: UUID) -> dict[str, int]:
    return dict(conn.execute(query, (session_id,)).fetchall())
