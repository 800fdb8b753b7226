"""Orders, executions and FIX messages."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from psycopg.rows import class_row
from psycopg.types.json import Jsonb

from tsdb_trader.db import Connection
from tsdb_trader.model import Action, FixMessage, Question


@dataclass(frozen=True)
class Submitted:
    """What became of an order: pending_new, or denied with the reasons."""

    order_id: int
    status: str
    reasons: list[str]


@dataclass(frozen=True)
class Applied:
    """What a report did; the order is None when nobody knows it."""

    order_id: int | None
    status: str | None
    applied: bool


def submit_order(
    conn: Connection, order: dict[str, Any], request_id: UUID, as_of: datetime
) -> Submitted:
    """Submit one order; idempotent by `request_id`. Keys and errors: ``oms.submit_order``."""
    cur = conn.cursor(row_factory=class_row(Submitted))
    row = cur.execute(
        "select * from oms.submit_order(%s, %s, %s)", (Jsonb(order), request_id, as_of)
    ).fetchone()
    assert row is not None  # noqa: S101 - one row per order, by the function's contract
    return row


def submit_basket(
    conn: Connection, orders: list[dict[str, Any]], request_id: UUID, as_of: datetime
) -> list[Submitted]:
    """Submit several orders, all or none; idempotent by `request_id`."""
    cur = conn.cursor(row_factory=class_row(Submitted))
    return cur.execute(
        "select * from oms.submit_basket(%s, %s, %s)", (Jsonb(orders), request_id, as_of)
    ).fetchall()


def cancel_order(conn: Connection, order_id: int, request_id: UUID, as_of: datetime) -> Submitted:
    """Ask the venue to cancel an order; idempotent by `request_id`."""
    cur = conn.cursor(row_factory=class_row(Submitted))
    row = cur.execute(
        "select * from oms.cancel_order(%s, %s, %s)", (order_id, request_id, as_of)
    ).fetchone()
    assert row is not None  # noqa: S101 - the function raises for an unknown order
    return row


def submit_signals(conn: Connection, batch_id: int) -> int:
    """Submit the orders for a batch's signals; return how many."""
    row = conn.execute("select oms.submit_signals(%s)", (batch_id,)).fetchone()
    return int(row[0]) if row else 0


def pending_actions(conn: Connection, venue: str, limit: int) -> list[Action]:
    """Return what is to be sent to a venue, oldest first."""
    cur = conn.cursor(row_factory=class_row(Action))
    return cur.execute("select * from oms.pending_actions(%s, %s)", (venue, limit)).fetchall()


def record_sent(conn: Connection, messages: list[dict[str, Any]]) -> int:
    """Archive sent messages, each with its action_id, and mark the actions sent."""
    row = conn.execute("select oms.record_sent(%s)", (Jsonb(messages),)).fetchone()
    return int(row[0]) if row else 0


def archive_messages(conn: Connection, messages: list[dict[str, Any]]) -> int:
    """Archive messages that change nothing else; keys: ``oms.archive_messages``."""
    row = conn.execute("select oms.archive_messages(%s)", (Jsonb(messages),)).fetchone()
    return int(row[0]) if row else 0


def record_report(
    conn: Connection, venue: str, message: dict[str, Any], report: dict[str, Any]
) -> Applied:
    """Archive and apply an execution report or cancel reject; keys: ``oms.record_report``."""
    return _apply(conn, "select * from oms.record_report(%s, %s, %s)", venue, message, report)


def resolve_status(
    conn: Connection, venue: str, message: dict[str, Any], report: dict[str, Any]
) -> Applied:
    """Apply the answer to an order status request; keys: ``oms.record_report``."""
    return _apply(conn, "select * from oms.resolve_status(%s, %s, %s)", venue, message, report)


def _apply(
    conn: Connection, statement: str, venue: str, message: dict[str, Any], report: dict[str, Any]
) -> Applied:
    cur = conn.cursor(row_factory=class_row(Applied))
    row = cur.execute(statement, (venue, Jsonb(message), Jsonb(report))).fetchone()
    assert row is not None  # noqa: S101 - one row, by the functions' contract
    return row


def begin_recovery(conn: Connection, venue: str) -> list[Question]:
    """Mark orders in doubt as unknown; return all that the venue is to be asked about."""
    cur = conn.cursor(row_factory=class_row(Question))
    return cur.execute("select * from oms.begin_recovery(%s)", (venue,)).fetchall()


def find_unarchived(
    conn: Connection, fix_session: str, direction: str, messages: Iterable[FixMessage]
) -> set[int]:
    """Return the numbers of the messages that the archive lacks."""
    keys = [
        {"seqnum": m.seqnum, "sending_time": m.sending_time and m.sending_time.isoformat()}
        for m in messages
    ]
    rows = conn.execute(
        "select oms.find_unarchived(%s, %s, %s)", (fix_session, direction, Jsonb(keys))
    ).fetchall()
    return {int(row[0]) for row in rows}


@dataclass(frozen=True)
class OrderView:
    """An order as people look at it."""

    order_id: int
    status: str
    account: str
    strategy: str
    symbol: str
    venue: str | None
    side: str
    quantity: Decimal
    order_type: str
    limit_price: Decimal | None
    stop_price: Decimal | None
    time_in_force: str
    cumulative_quantity: Decimal
    leaves_quantity: Decimal
    average_price: Decimal | None
    cl_ord_id: str | None
    client_ref: str | None
    reasons: list[str]
    recorded_at: datetime


def replace_order(
    conn: Connection, order_id: int, changes: dict[str, Any], request_id: UUID, as_of: datetime
) -> Submitted:
    """Ask the venue to change an order. Keys and errors: ``oms.replace_order``."""
    cur = conn.cursor(row_factory=class_row(Submitted))
    row = cur.execute(
        "select * from oms.replace_order(%s, %s, %s, %s)",
        (order_id, Jsonb(changes), request_id, as_of),
    ).fetchone()
    assert row is not None  # noqa: S101 - the function raises for an unknown order
    return row


def cancel_all(
    conn: Connection, scope: dict[str, Any], request_id: UUID, as_of: datetime
) -> list[Submitted]:
    """Cancel every live or held order of a scope; ``{}`` is everything."""
    cur = conn.cursor(row_factory=class_row(Submitted))
    return cur.execute(
        "select * from oms.cancel_all(%s, %s, %s)", (Jsonb(scope), request_id, as_of)
    ).fetchall()


def list_orders(conn: Connection, *, live: bool = True, limit: int = 100) -> list[OrderView]:
    """Return the orders that can still trade, or the latest of all, newest first."""
    cur = conn.cursor(row_factory=class_row(OrderView))
    return cur.execute(
        "select o.order_id, o.status, o.account, s.strategy, i.symbol, v.venue, o.side, "
        "o.quantity, o.order_type, o.limit_price, o.stop_price, o.time_in_force, "
        "o.cumulative_quantity, o.leaves_quantity, o.average_price, o.cl_ord_id, o.client_ref, "
        "o.reasons, o.recorded_at "
        "from oms.orders o join signal.strategies s using (strategy_id) "
        "join ref.instruments i using (instrument_id) left join ref.venues v using (venue_id) "
        "where o.is_live or o.status = 'held' or not %s order by o.order_id desc limit %s",
        (live, limit),
    ).fetchall()
