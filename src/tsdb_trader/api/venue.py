"""The journal of a simulated venue, and the little of the market that it reads."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from psycopg.rows import class_row, scalar_row
from psycopg.types.json import Jsonb

from tsdb_trader.db import Connection


@dataclass(frozen=True, slots=True)
class MarketRow:
    """A quote in stored integers or, without instrument, where the session stands."""

    batch_no: int
    as_of: datetime | None
    instrument_id: int | None
    bid_price: int | None
    bid_size: int | None
    ask_price: int | None
    ask_size: int | None
    is_open: bool | None
    behind: bool | None
    ts: datetime | None


@dataclass(frozen=True, slots=True)
class Instrument:
    """What a venue must know of an instrument."""

    instrument_id: int
    symbol: str
    price_scale: int
    size_scale: int
    tick_size: Decimal
    lot_size: Decimal
    status: str


@dataclass(slots=True)
class OrderRow:
    """A row of ``venue._orders``; quantities and prices in decimals."""

    order_no: int
    participant: str
    fix_session: str
    cl_ord_id: str
    cancel_cl_ord_id: str | None
    session_id: UUID | None
    instrument_id: int | None
    account: str | None
    symbol: str
    side: str
    quantity: Decimal
    order_type: str
    limit_price: Decimal | None
    time_in_force: str
    status: str
    cumulative_quantity: Decimal
    notional: Decimal
    rank: int
    reason: str | None
    as_of: datetime


@dataclass(frozen=True, slots=True)
class ReportRow:
    """A report that was not handed to the FIX engine yet."""

    report_no: int
    fix_session: str
    msg_type: str
    fields: dict[str, str]


@dataclass(frozen=True, slots=True)
class ProgressRow:
    """Up to where the journaled books of a session have seen the market."""

    session_id: UUID
    batch_no: int
    as_of: datetime


@dataclass(frozen=True, slots=True)
class BookRow:
    """The displayed quote of a journaled book."""

    session_id: UUID
    instrument_id: int
    next_rank: int
    bid_price: int | None
    bid_size: int | None
    bid_left: int | None
    bid_rank: int | None
    ask_price: int | None
    ask_size: int | None
    ask_left: int | None
    ask_rank: int | None


_ORDER = """
    select order_no, participant, fix_session, cl_ord_id, cancel_cl_ord_id, session_id,
        instrument_id, account, symbol, side, quantity, order_type, limit_price, time_in_force,
        status, cumulative_quantity, notional, rank, reason, as_of
    from venue._orders
"""


def lock_venue(conn: Connection, venue: str) -> bool:
    """Take the venue for the life of this connection; False if another connection has it."""
    cur = conn.cursor(row_factory=scalar_row)
    return bool(
        cur.execute(
            "select pg_try_advisory_lock(hashtextextended('venue ' || %s, 0))", (venue,)
        ).fetchone()
    )


def read_prefix(conn: Connection) -> str:
    """Return the installation's prefix: what makes ids unique beyond this database."""
    cur = conn.cursor(row_factory=scalar_row)
    return str(cur.execute("select prefix from ops.installation").fetchone())


def last_numbers(conn: Connection, venue: str) -> tuple[int, int]:
    """Return the last order number and the last report number the venue has used, or 0."""
    row = conn.execute(
        "select coalesce((select max(order_no) from venue._orders where venue = %(venue)s), 0), "
        "coalesce((select max(report_no) from venue._reports where venue = %(venue)s), 0)",
        {"venue": venue},
    ).fetchone()
    return (int(row[0]), int(row[1])) if row else (0, 0)


def working_orders(conn: Connection, venue: str) -> list[OrderRow]:
    """Return every order that can still trade, in the order of entry."""
    cur = conn.cursor(row_factory=class_row(OrderRow))
    return cur.execute(
        f"{_ORDER} where venue = %s and status in ('new', 'partially_filled') order by order_no",
        (venue,),
    ).fetchall()


def find_order(conn: Connection, venue: str, participant: str, cl_ord_id: str) -> OrderRow | None:
    """Return the participant's order that was entered, or cancelled, under a ClOrdID."""
    cur = conn.cursor(row_factory=class_row(OrderRow))
    return cur.execute(
        f"{_ORDER} where venue = %(venue)s and participant = %(participant)s "
        "and (cl_ord_id = %(id)s or cancel_cl_ord_id = %(id)s)",
        {"venue": venue, "participant": participant, "id": cl_ord_id},
    ).fetchone()


def read_progress(conn: Connection, venue: str) -> list[ProgressRow]:
    """Return how far the journaled books of each session that has working orders are."""
    cur = conn.cursor(row_factory=class_row(ProgressRow))
    return cur.execute(
        "select session_id, batch_no, as_of from venue._progress where venue = %s", (venue,)
    ).fetchall()


def read_books(conn: Connection, venue: str, session_id: UUID) -> list[BookRow]:
    """Return the journaled books of a session."""
    cur = conn.cursor(row_factory=class_row(BookRow))
    return cur.execute(
        "select session_id, instrument_id, next_rank, bid_price, bid_size, bid_left, bid_rank, "
        "ask_price, ask_size, ask_left, ask_rank from venue._books "
        "where venue = %s and session_id = %s",
        (venue, session_id),
    ).fetchall()


def unsent_reports(conn: Connection, venue: str, fix_session: str) -> list[ReportRow]:
    """Return the reports of a FIX session that may not have been handed to the engine."""
    cur = conn.cursor(row_factory=class_row(ReportRow))
    return cur.execute(
        "select report_no, fix_session, msg_type, fields from venue._reports "
        "where venue = %s and fix_session = %s and not sent order by report_no",
        (venue, fix_session),
    ).fetchall()


def find_instrument(conn: Connection, symbol: str) -> Instrument | None:
    """Return an instrument by its symbol."""
    cur = conn.cursor(row_factory=class_row(Instrument))
    return cur.execute(
        "select instrument_id, symbol, price_scale, size_scale, tick_size, lot_size, status "
        "from ref.instruments where symbol = %s",
        (symbol,),
    ).fetchone()


def list_instruments(conn: Connection, ids: Sequence[int] | None = None) -> list[Instrument]:
    """Return all instruments by symbol, or some by id."""
    cur = conn.cursor(row_factory=class_row(Instrument))
    return cur.execute(
        "select instrument_id, symbol, price_scale, size_scale, tick_size, lot_size, status "
        "from ref.instruments where %(ids)s::integer[] is null or instrument_id = any (%(ids)s) "
        "order by symbol",
        {"ids": None if ids is None else list(ids)},
    ).fetchall()


def open_sessions(conn: Connection) -> list[UUID]:
    """Return the trading sessions that are open."""
    cur = conn.cursor(row_factory=scalar_row)
    return cur.execute("select session_id from ops.sessions where status = 'open'").fetchall()


def write_journal(conn: Connection, venue: str, entry: dict[str, Any]) -> None:
    """Write what one step of the venue did; on an autocommit connection it is durable then."""
    conn.execute("select venue.write_journal(%s, %s)", (venue, Jsonb(entry)))


def read_market(
    conn: Connection,
    session_id: UUID,
    after: int,
    active: Sequence[int],
    quiet: Sequence[int],
    limit: int,
) -> list[MarketRow]:
    """Return the quotes the venue has not seen, then where the session stands; [] if unknown."""
    cur = conn.cursor(row_factory=class_row(MarketRow))
    return cur.execute(
        "select * from venue.read_market(%s, %s, %s::integer[], %s::integer[], %s)",
        (session_id, after, list(active), list(quiet), limit),
    ).fetchall()
