"""Schema market: order books, their snapshots, and quotes derived from them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from psycopg.rows import class_row

from tsdb_trader.db import Connection, translated

SNAPSHOT_EVENTS = 5_000
"""Events between two snapshots of a book; reading one costs about as much as so many events."""


@dataclass(frozen=True)
class Level:
    """A price level of a book, 1 being the best; price and size in decimals."""

    side: Literal["bid", "ask"]
    level: int
    price: float
    size: float
    orders: int


@dataclass(frozen=True)
class Order:
    """A live order of a book: its level, and its place in the level's queue (1 is first).

    `priority_ts` and the nanoseconds it does not hold say when it got its place.
    """

    side: Literal["bid", "ask"]
    level: int
    place: int
    order_id: int
    price: float
    size: float
    priority_ts: datetime
    priority_ns: int


def book_at(
    conn: Connection, instrument_id: int, as_of: datetime, depth: int, feed: str | None = None
) -> list[Level]:
    """Return the book of an instrument after every event up to a time, bids first.

    Raises
    ------
    InputError
        The depth is below 1.
    UnknownObjectError
        There is no such instrument or feed.
    """
    with translated():
        return (
            conn.cursor(row_factory=class_row(Level))
            .execute(
                "select * from market.book_at(%s, %s, %s, %s)", (instrument_id, as_of, depth, feed)
            )
            .fetchall()
        )


def orders_at(
    conn: Connection, instrument_id: int, as_of: datetime, feed: str | None = None
) -> list[Order]:
    """Return the live orders of a book after every event up to a time, in queue order.

    Raises
    ------
    UnknownObjectError
        There is no such instrument or feed.
    """
    with translated():
        return (
            conn.cursor(row_factory=class_row(Order))
            .execute("select * from market.orders_at(%s, %s, %s)", (instrument_id, as_of, feed))
            .fetchall()
        )


def snapshot_books(conn: Connection, every: int = SNAPSHOT_EVENTS) -> int:
    """Make the snapshots that are due, one per so many events of a book; return how many.

    Each is a transaction of its own, so the connection must be outside of one.

    Raises
    ------
    InputError
        `every` is below 1.
    """
    with translated():
        row = conn.execute("call market.snapshot_books(%s)", (every,)).fetchone()
    return 0 if row is None else int(row[0])


def derive_quotes(conn: Connection, source_id: int, limit: int = 100_000) -> int:
    """Write what book events of a source did to best bid and offer as quotes, to the last event.

    Parameters
    ----------
    source_id
        Of book events of one instrument, or of a file or stream that holds some.
    limit
        Events of one call of the database, which is one transaction on an autocommit connection.

    Returns
    -------
    int
        How many events were new.

    Raises
    ------
    UnknownObjectError
        There is no such source.
    InputError
        It holds no book events.
    """
    parts = conn.execute(
        """select s.source_id from market.sources s
           where s.parent_id = %s and s.kind = 'book_events' order by s.source_id""",
        (source_id,),
    ).fetchall()
    total = 0
    for (part,) in parts or [(source_id,)]:
        while taken := _derive(conn, part, limit):
            total += taken
    return total


def derive_feed_quotes(conn: Connection, feed: str, limit: int = 100_000) -> int:
    """Do what `derive_quotes` does for every book of a feed; return how many events were new."""
    sources = conn.execute(
        """select s.source_id from market.sources s
           where s.feed_id = (select f.feed_id from ops.feeds f where f.feed = %s)
               and s.kind = 'book_events' and s.instrument_id is not null
           order by s.source_id""",
        (feed,),
    ).fetchall()
    return sum(derive_quotes(conn, source_id, limit) for (source_id,) in sources)


def _derive(conn: Connection, source_id: int, limit: int) -> int:
    with translated():
        row = conn.execute("select market.derive_quotes(%s, %s)", (source_id, limit)).fetchone()
    return 0 if row is None else int(row[0])
