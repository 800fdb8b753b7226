"""The little of the market, of instruments and of calendars that a simulated venue reads."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from uuid import UUID

from psycopg.rows import class_row, scalar_row

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


@dataclass(frozen=True, slots=True)
class Hours:
    """When an exchange opens and closes on a day; None where it does not."""

    opens_at: datetime | None = None
    closes_at: datetime | None = None


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


def read_hours(conn: Connection, exchange: str, day: date) -> Hours:
    """Return the session of an exchange on a day; without times if there is none."""
    cur = conn.cursor(row_factory=class_row(Hours))
    found = cur.execute(
        "select opens_at, closes_at from ref.calendar_days "
        "where exchange = %s and date = %s and superseded_at = 'infinity'",
        (exchange, day),
    ).fetchone()
    return found or Hours()


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
