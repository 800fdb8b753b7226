"""The journal of a simulated venue, and how it is set up."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, time
from decimal import Decimal
from typing import Any
from uuid import UUID

from psycopg.rows import class_row, scalar_row
from psycopg.types.json import Jsonb

from tsdb_trader.db import Connection

_ZERO = Decimal(0)


@dataclass(slots=True)
class OrderRow:
    """A row of ``venue._orders``; quantities and prices in decimals."""

    order_no: int
    participant: str
    fix_session: str
    cl_ord_id: str
    root_cl_ord_id: str
    account: str | None
    symbol: str
    side: str
    quantity: Decimal
    order_type: str
    time_in_force: str
    status: str
    as_of: datetime
    cancel_cl_ord_id: str | None = None
    session_id: UUID | None = None
    instrument_id: int | None = None
    limit_price: Decimal | None = None
    stop_price: Decimal | None = None
    expire_at: datetime | None = None
    peg_reference: str | None = None
    peg_offset: Decimal = _ZERO
    post_only: bool = False
    display_quantity: Decimal | None = None
    min_quantity: Decimal | None = None
    pending: str | None = None
    cumulative_quantity: Decimal = _ZERO
    notional: Decimal = _ZERO
    rank: int = 0
    reason: str | None = None
    book: dict[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class VenueSettings:
    """How a venue works: a row of ``venue._settings``."""

    venue: str
    matching: str = "price_time"
    self_trade: str = "allow"
    static_band: int | None = None
    dynamic_band: int | None = None
    minimum_share: int = 0
    top_order: bool = False
    opening_auction: bool = False
    opens_at: time | None = None
    closing_auction: bool = False
    closes_at: time | None = None
    calendar: str | None = None
    throttle_messages: int | None = None
    throttle_mode: str = "reject"
    cancel_on_disconnect: bool = False
    latency_ms: int = 0
    pending_ms: int | None = None
    maker_fee: Decimal = _ZERO
    taker_fee: Decimal = _ZERO


@dataclass(frozen=True, slots=True)
class Participant:
    """What a venue knows of a participant: a row of ``venue._participants``."""

    participant: str
    username: str | None = None
    password_hash: str | None = None
    password_from: str | None = None
    drop_copy: bool = False
    cancel_on_disconnect: bool | None = None


@dataclass(frozen=True, slots=True)
class WaitingRow:
    """A request that was put off."""

    message_no: int
    fix_session: str
    raw: str
    due_at: datetime
    acknowledged: bool


@dataclass(frozen=True, slots=True)
class Command:
    """What an operator asks of a venue."""

    command_no: int
    kind: str
    parameters: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Fault:
    """A fault that a venue is to have."""

    fault_no: int
    kind: str
    parameters: dict[str, Any]


@dataclass(frozen=True, slots=True)
class ExecutionRow:
    """An execution as it was first reported, and whether it still stands."""

    report_no: int
    exec_id: str
    order_no: int
    quantity: Decimal
    price: Decimal
    fee: Decimal | None
    ts: datetime
    busted: bool


@dataclass(frozen=True, slots=True)
class ReportRow:
    """A report that was not handed to the FIX engine yet."""

    report_no: int
    fix_session: str
    msg_type: str
    fields: dict[str, Any]
    exec_type: str | None


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
    state: dict[str, Any] | None


_ORDER = """
    select o.order_no, o.participant, o.fix_session, o.cl_ord_id, o.root_cl_ord_id,
        o.cancel_cl_ord_id, o.session_id, o.instrument_id, o.account, o.symbol, o.side, o.quantity,
        o.order_type, o.limit_price, o.stop_price, o.time_in_force, o.expire_at, o.peg_reference,
        o.peg_offset, o.post_only, o.display_quantity, o.min_quantity, o.status, o.pending,
        o.cumulative_quantity, o.notional, o.rank, o.reason, o.book, o.as_of
    from venue._orders o
"""
SETTINGS = """
    select venue, matching, self_trade, static_band, dynamic_band, minimum_share, top_order,
        opening_auction, opens_at, closing_auction, closes_at, calendar, throttle_messages,
        throttle_mode, cancel_on_disconnect, latency_ms, pending_ms, maker_fee, taker_fee
    from venue.settings
"""
_LIVE = "o.status not in ('filled', 'cancelled', 'rejected', 'expired')"
# What an execution is now: the latest correction stands for it, a bust leaves nothing.
_EXECUTION = """
    select r.report_no, r.exec_id, r.order_no, r.quantity, r.price, r.fee, r.ts,
        exists (
            select from venue._reports b
            where b.venue = r.venue and b.reference_no = r.report_no
                and b.copy_of is null) as busted
    from venue._reports r
"""


def read_settings(conn: Connection, venue: str) -> VenueSettings | None:
    """Return how a venue works, None if there is none of that name."""
    cur = conn.cursor(row_factory=class_row(VenueSettings))
    return cur.execute(f"{SETTINGS} where venue = %s", (venue,)).fetchone()


def list_venues(conn: Connection) -> list[str]:
    """Return the names of the simulated venues that are active."""
    cur = conn.cursor(row_factory=scalar_row)
    return cur.execute(
        "select s.venue from venue._settings s join ref.venues v on v.venue = s.venue "
        "where v.status = 'active' order by v.venue_id"
    ).fetchall()


def read_participants(conn: Connection, venue: str) -> list[Participant]:
    """Return what the venue knows of its participants."""
    cur = conn.cursor(row_factory=class_row(Participant))
    return cur.execute(
        "select participant, username, password_hash, password_from, drop_copy, "
        "cancel_on_disconnect from venue._participants where venue = %s",
        (venue,),
    ).fetchall()


def read_inbox(conn: Connection, venue: str) -> tuple[list[Command], list[Fault]]:
    """Return the commands that nobody acted on and the faults that did not happen, in order."""
    rows = conn.execute(
        "select true, command_no, kind, parameters from venue._commands "
        "where venue = %(venue)s and done_at is null "
        "union all select false, fault_no, kind, parameters from venue._faults "
        "where venue = %(venue)s and fired_at is null order by 2",
        {"venue": venue},
    ).fetchall()
    commands = [Command(number, kind, given) for asked, number, kind, given in rows if asked]
    return commands, [
        Fault(number, kind, given) for asked, number, kind, given in rows if not asked
    ]


def waiting_requests(conn: Connection, venue: str) -> list[WaitingRow]:
    """Return the requests that were put off, in the order of their time."""
    cur = conn.cursor(row_factory=class_row(WaitingRow))
    return cur.execute(
        "select message_no, fix_session, raw, due_at, acknowledged from venue._messages "
        "where venue = %s and not handled order by due_at, message_no",
        (venue,),
    ).fetchall()


def find_execution(conn: Connection, venue: str, exec_id: str) -> ExecutionRow | None:
    """Return an execution or correction by the ExecID it was reported under."""
    cur = conn.cursor(row_factory=class_row(ExecutionRow))
    return cur.execute(
        f"{_EXECUTION} where r.venue = %s and r.exec_id = %s and r.exec_type in ('F', 'G') "
        "and r.copy_of is null",
        (venue, exec_id),
    ).fetchone()


def list_executions(conn: Connection, venue: str, participant: str) -> list[ExecutionRow]:
    """Return the executions of a participant that stand, as corrected, in order."""
    cur = conn.cursor(row_factory=class_row(ExecutionRow))
    rows = cur.execute(
        f"{_EXECUTION} join venue._orders o on o.venue = r.venue and o.order_no = r.order_no "
        "where r.venue = %s and o.participant = %s and r.exec_type in ('F', 'G') "
        "and r.copy_of is null order by r.report_no",
        (venue, participant),
    ).fetchall()
    return [row for row in rows if not row.busted]


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
    """Return every order that is not over, in the order of entry."""
    cur = conn.cursor(row_factory=class_row(OrderRow))
    return cur.execute(
        f"{_ORDER} where o.venue = %s and {_LIVE} order by o.order_no", (venue,)
    ).fetchall()


def find_order(conn: Connection, venue: str, participant: str, cl_ord_id: str) -> OrderRow | None:
    """Return the participant's order that ever had a ClOrdID."""
    cur = conn.cursor(row_factory=class_row(OrderRow))
    return cur.execute(
        f"{_ORDER} join venue._cl_ord_ids i on i.venue = o.venue and i.order_no = o.order_no "
        "where i.venue = %s and i.participant = %s and i.cl_ord_id = %s",
        (venue, participant, cl_ord_id),
    ).fetchone()


def read_order(conn: Connection, venue: str, order_no: int) -> OrderRow | None:
    """Return an order by its number."""
    cur = conn.cursor(row_factory=class_row(OrderRow))
    return cur.execute(
        f"{_ORDER} where o.venue = %s and o.order_no = %s", (venue, order_no)
    ).fetchone()


def orders_named(conn: Connection, venue: str, cl_ord_id: str) -> list[OrderRow]:
    """Return the orders of all participants that ever had a ClOrdID."""
    cur = conn.cursor(row_factory=class_row(OrderRow))
    return cur.execute(
        f"{_ORDER} join venue._cl_ord_ids i on i.venue = o.venue and i.order_no = o.order_no "
        "where i.venue = %s and i.cl_ord_id = %s order by o.order_no",
        (venue, cl_ord_id),
    ).fetchall()


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
        "ask_price, ask_size, ask_left, ask_rank, state from venue._books "
        "where venue = %s and session_id = %s",
        (venue, session_id),
    ).fetchall()


def unsent_reports(conn: Connection, venue: str, fix_session: str) -> list[ReportRow]:
    """Return the reports of a FIX session that may not have been handed to the engine."""
    cur = conn.cursor(row_factory=class_row(ReportRow))
    return cur.execute(
        "select report_no, fix_session, msg_type, fields, exec_type from venue._reports "
        "where venue = %s and fix_session = %s and not sent order by report_no",
        (venue, fix_session),
    ).fetchall()


def write_journal(conn: Connection, venue: str, entry: dict[str, Any]) -> None:
    """Write what one step of the venue did; on an autocommit connection it is durable then."""
    conn.execute("select venue.write_journal(%s, %s)", (venue, Jsonb(entry)))
