"""Our books against those of others: breaks, and what people decide about them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any
from uuid import UUID

from psycopg.rows import class_row, scalar_row
from psycopg.types.json import Jsonb

from tsdb_trader.db import Connection, translated


@dataclass(frozen=True)
class Break:
    """A difference between somebody's books and ours; see the comments on ``oms.breaks``."""

    break_id: int
    kind: str
    source: str
    venue: str | None
    order_id: int | None
    reference: str
    ours: dict[str, Any]
    theirs: dict[str, Any]
    first_seen: datetime
    last_seen: datetime
    resolved_at: datetime | None
    resolved_by: str | None
    resolution: str | None


def _count(conn: Connection, statement: str, *arguments: Any) -> int:
    with translated():
        row = conn.execute(statement, arguments).fetchone()
    return int(row[0]) if row else 0


def record_venue_trades(
    conn: Connection,
    venue: str,
    source: str,
    trades: Sequence[dict[str, Any]],
    trade_date: date | None = None,
    complete: bool = False,
) -> int:
    """Take executions as others have them; return how many were new."""
    return _count(
        conn,
        "select oms.record_venue_trades(%s, %s, %s, %s, %s)",
        venue,
        source,
        Jsonb(list(trades)),
        trade_date,
        complete,
    )


def reconcile_trades(conn: Connection, venue: str, grace: timedelta = timedelta(seconds=5)) -> int:
    """Compare our executions at a venue with those others have told; return the differences."""
    return _count(conn, "select oms.reconcile_trades(%s, %s)", venue, grace)


def reconcile_flows(conn: Connection, venue: str, grace: timedelta = timedelta(seconds=5)) -> int:
    """Compare what positions changed by with complete lists of trades; return the differences."""
    return _count(conn, "select oms.reconcile_flows(%s, %s)", venue, grace)


def compared_venues(conn: Connection) -> list[str]:
    """Return the venues of which others have told executions."""
    cur = conn.cursor(row_factory=scalar_row)
    return cur.execute(
        "select v.venue from ref.venues v where exists ("
        "select from oms.venue_trades t where t.venue_id = v.venue_id) order by v.venue_id"
    ).fetchall()


def reconcile_orders(
    conn: Connection,
    venue: str,
    source: str,
    asked_at: datetime,
    orders: Sequence[dict[str, Any]],
) -> int:
    """Compare our working orders with a venue's complete list; return the differences."""
    return _count(
        conn,
        "select oms.reconcile_orders(%s, %s, %s, %s)",
        venue,
        source,
        asked_at,
        Jsonb(list(orders)),
    )


def reconcile_positions(
    conn: Connection, session_id: UUID, source: str, positions: Sequence[dict[str, Any]]
) -> int:
    """Compare the positions of a session with a statement of them; return the differences."""
    return _count(
        conn,
        "select oms.reconcile_positions(%s, %s, %s)",
        session_id,
        source,
        Jsonb(list(positions)),
    )


_BREAKS = """
    select b.break_id, b.kind, b.source, v.venue, b.order_id, b.reference, b.ours, b.theirs,
        b.first_seen, b.last_seen, b.resolved_at, b.resolved_by, b.resolution
    from oms.breaks b left join ref.venues v using (venue_id)
"""


def list_breaks(conn: Connection, *, resolved: bool = False) -> list[Break]:
    """Return the open breaks, or all of them, oldest first."""
    cur = conn.cursor(row_factory=class_row(Break))
    where = "" if resolved else "where b.resolved_at is null "
    return cur.execute(f"{_BREAKS} {where} order by b.break_id").fetchall()


def resolve_break(conn: Connection, break_id: int, action: str, reason: str) -> None:
    """Resolve a break: keep_ours or take_theirs. Errors: ``oms.resolve_break``."""
    conn.execute("select oms.resolve_break(%s, %s, %s)", (break_id, action, reason))


def settle_order(conn: Connection, order_id: int, status: str, reason: str) -> None:
    """End an order whose venue will never answer for it. Errors: ``oms.settle_order``."""
    conn.execute("select oms.settle_order(%s, %s, %s)", (order_id, status, reason))
