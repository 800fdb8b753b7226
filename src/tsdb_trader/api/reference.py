"""Schema ref: facts with their time of knowledge, calendars; daily series adjusted by them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Literal, TypeAlias

from psycopg.rows import class_row
from psycopg.types.json import Jsonb

from tsdb_trader.db import Connection, translated

Value: TypeAlias = str | int | Decimal | date | bool | None
"""A column of a fact."""


@dataclass(frozen=True)
class CalendarDay:
    """A session of an exchange."""

    date: date
    opens_at: datetime
    closes_at: datetime
    break_starts_at: datetime | None
    break_ends_at: datetime | None
    early_close: bool


@dataclass(frozen=True)
class Member:
    """An instrument of an index, with its symbol of that day."""

    instrument_id: int
    symbol: str
    weight: Decimal | None


@dataclass(frozen=True)
class AdjustedBar:
    """A daily bar; prices and volume adjusted, the factors as they were applied."""

    date: date
    open: float | None
    high: float | None
    low: float | None
    close: float | None
    volume: float | None
    split_factor: Decimal
    price_factor: Decimal
    unadjusted_close: float | None


def record(
    conn: Connection, kind: str, fact: Mapping[str, Value], known_at: datetime | None = None
) -> str:
    """Record a fact of `ref.fact_kinds`, or correct it.

    Returns
    -------
    str
        recorded, unchanged, corrected or withdrawn.

    Raises
    ------
    InputError
        It cannot be a fact.
    UnknownObjectError
        It names an instrument that is not there.
    ConflictError
        It contradicts another one, such as two instruments with one symbol.
    """
    # Numbers and dates go as text: JSON would make floats of them.
    columns = {k: v if isinstance(v, bool | None) else str(v) for k, v in fact.items()}
    with translated():
        row = conn.execute(
            "select ref.record(%s, %s, %s)", (kind, Jsonb(columns), known_at)
        ).fetchone()
    assert row is not None  # noqa: S101 - the function returns its row or raises
    return str(row[0])


def register(conn: Connection, symbols: Sequence[str]) -> int:
    """Register those symbols that are not, as equities in US dollars; return how many."""
    with translated():
        rows = conn.execute(
            """select ref.add_instrument(s.symbol)
               from unnest(%s::text[]) s (symbol)
               where ref._find_instrument(s.symbol, current_date) is null
                   and not exists (select from ref.instruments i where i.symbol = s.symbol)""",
            (list(symbols),),
        ).fetchall()
    return len(rows)


def set_sectors(conn: Connection, sectors: Mapping[str, str]) -> int:
    """Say which sector instruments are in, by their present symbols; return how many.

    Raises
    ------
    UnknownObjectError
        A symbol is not registered.
    """
    with translated():
        rows = conn.execute(
            """select ref.set_sector(s.symbol, s.sector)
               from unnest(%s::text[], %s::text[]) s (symbol, sector)""",
            (list(sectors.keys()), list(sectors.values())),
        ).fetchall()
    return len(rows)


def set_status(conn: Connection, symbol: str, status: str, reason: str) -> None:
    """Say whether an instrument may be traded: active, inactive, restricted or halted.

    Raises
    ------
    InputError
        There is no reason.
    UnknownObjectError
        There is no such symbol or status.
    """
    with translated():
        conn.execute("select ref.set_status(%s, %s, %s)", (symbol, status, reason))


def instrument_ids(conn: Connection, names: Sequence[str]) -> dict[str, int]:
    """Return the ids of instruments by their present symbols."""
    rows = conn.execute(
        "select i.symbol, i.instrument_id from ref.instruments i where i.symbol = any (%s)",
        (list(names),),
    )
    return {str(symbol): int(instrument_id) for symbol, instrument_id in rows}


def misattributed(conn: Connection) -> list[str]:
    """Return the sources stored under an instrument whose symbol was another's on their day."""
    rows = conn.execute(
        """select s.name || ': ' || i.symbol || ' was the symbol of instrument '
               || c.instrument_id || ' on ' || s.first_ts::date || ', the ticks are stored under '
               || s.instrument_id
           from market.sources s
           join ref.instruments i using (instrument_id)
           join ref.symbols c on c.symbol = i.symbol and c.instrument_id <> i.instrument_id
               and c.superseded_at = 'infinity' and s.first_ts::date >= c.valid_from
               and s.first_ts::date < c.valid_to
           order by s.source_id"""
    )
    return [str(row[0]) for row in rows]


def load_calendar(
    conn: Connection,
    exchange: str,
    time_zone: str,
    library: str,
    dates: tuple[date, date],
    days: Sequence[CalendarDay],
) -> tuple[int, int, int]:
    """Store all sessions of an exchange in a range of dates, both ends included.

    Returns
    -------
    tuple
        How many sessions were added, changed and withdrawn.

    Raises
    ------
    InputError
        The range does not touch what is there, or a session lies outside of it.
    """
    with translated():
        row = conn.execute(
            """select * from ref.load_calendar(%s, %s, %s, %s, %s, %s::date[], %s::timestamptz[],
                   %s::timestamptz[], %s::timestamptz[], %s::timestamptz[], %s::boolean[])""",
            (
                *(exchange, time_zone, library, *dates),
                [d.date for d in days],
                [d.opens_at for d in days],
                [d.closes_at for d in days],
                [d.break_starts_at for d in days],
                [d.break_ends_at for d in days],
                [d.early_close for d in days],
            ),
        ).fetchone()
    assert row is not None  # noqa: S101 - the function returns its row or raises
    added, changed, withdrawn = row
    return added, changed, withdrawn


def is_open(conn: Connection, exchange: str, at: datetime) -> bool:
    """Say whether an exchange is in a regular session.

    Raises
    ------
    UnknownObjectError
        Its calendar is not loaded for that time.
    """
    with translated():
        row = conn.execute("select ref.is_open(%s, %s)", (exchange, at)).fetchone()
    assert row is not None  # noqa: S101 - the function returns its row or raises
    return bool(row[0])


def trading_days(conn: Connection, exchange: str, first: date, last: date) -> list[date]:
    """Return the trading dates of an exchange, both ends included.

    Raises
    ------
    UnknownObjectError
        Its calendar is not loaded for these dates.
    """
    with translated():
        rows = conn.execute("select ref.trading_days(%s, %s, %s)", (exchange, first, last))
        return [row[0] for row in rows]


def universe(
    conn: Connection, index: str, as_of: date, known_at: datetime | None = None
) -> list[Member]:
    """Return the members of an index on a day, as known at a time (now by default).

    Raises
    ------
    UnknownObjectError
        Nobody recorded members of the index.
    """
    with translated():
        return (
            conn.cursor(row_factory=class_row(Member))
            .execute(
                "select * from ref.universe(%s, %s, coalesce(%s::timestamptz, now()))",
                (index, as_of, known_at),
            )
            .fetchall()
        )


def adjusted_daily(
    conn: Connection,
    symbol: str,
    first: date,
    last: date,
    *,
    known_at: datetime | None = None,
    adjust: Literal["all", "capital", "splits", "none"] = "all",
    feed: str | None = None,
    bars: Literal["vendor", "ticks"] = "vendor",
) -> list[AdjustedBar]:
    """Return daily bars of who had `symbol` on the last day, adjusted for corporate actions.

    Those count that were known at `known_at` (all by default).

    Raises
    ------
    InputError
        A factor cannot be known, or several feeds have bars and none is named.
    UnknownObjectError
        Nobody had the symbol on the last day.
    """
    with translated():
        return (
            conn.cursor(row_factory=class_row(AdjustedBar))
            .execute(
                """select * from market.adjusted_daily(
                       ref.instrument_id(%s, %s), %s, %s,
                       coalesce(%s::timestamptz, 'infinity'), %s, %s, %s)""",
                (symbol, last, first, last, known_at, adjust, feed, bars),
            )
            .fetchall()
        )
