"""Book events for tests: written as a source's blocks are, and generated at random."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np
import psycopg

from book_reference import Book
from tsdb_trader.feeds.base import EPOCH, NULL, Block, Text, Ticks
from tsdb_trader.feeds.store import SourceWriter, build

START = datetime(2024, 3, 4, 14, 30, tzinfo=UTC)
START_US = int((START - EPOCH).total_seconds()) * 10**6


@dataclass(frozen=True)
class Event:
    """A book event; `ts` counts microseconds from `START`, prices are stored integers."""

    ts: int
    action: str
    order_id: int | None = None
    side: str = ""
    price: int | None = None
    size: int | None = None
    new_order_id: int | None = None
    ns: int = 0
    flags: int = 0
    placed_ns: int | None = None


def _text(values: Sequence[str]) -> Text:
    known = sorted(set(values))
    return Text(known, np.array([known.index(v) for v in values], dtype=np.int32))


def ticks(events: Sequence[Event], first_seq: int, symbol: str = "AAA") -> Ticks:
    """Return events as a decoder would."""
    columns = ("order_id", "new_order_id", "price", "size", "placed_ns")
    ts = np.array([START_US + e.ts for e in events], dtype=np.int64)
    return Ticks(
        "book_events",
        ts,
        first_seq + np.arange(len(events), dtype=np.int64),
        {
            name: np.array(
                [NULL if (v := getattr(e, name)) is None else v for e in events], dtype=np.int64
            )
            for name in columns
        },
        np.array([e.flags for e in events], dtype=np.int16),
        {"action": _text([e.action for e in events]), "side": _text([e.side for e in events])},
        _text([symbol] * len(events)),
        np.array([e.ns for e in events], dtype=np.int16),
        ts + 5,
    )


def write(
    conn: psycopg.Connection,
    *blocks: Sequence[Event],
    feed: str = "itch",
    content: str = "a",
    symbol: str = "AAA",
) -> SourceWriter:
    """Store blocks of events as one more source, or the next rows of a known one."""
    writer = SourceWriter(conn, feed, "test", "stream", content, "test")
    row = writer.source.next_row
    for events in blocks:
        stop = row + len(events)
        writer.write(build(Block(row, stop, [ticks(events, row, symbol)])))
        row = stop
    return writer


def instrument(conn: psycopg.Connection, symbol: str = "AAA") -> int:
    """Return the id of a symbol."""
    [found] = conn.execute("select ref.instrument_id(%s)", (symbol,)).fetchone()
    return int(found)


def apply(book: Book, number: int, event: Event) -> None:
    """Apply an event to the book in Python."""
    book.itch(
        number,
        event.action,
        event.order_id or 0,
        new_key=event.new_order_id or 0,
        side=event.side,
        price=event.price or 0,
        size=event.size or 0,
    )


def generate(seed: int, count: int, *, wild: bool = True) -> list[Event]:
    """Return random events of one book; wild ones name unknown orders and take too much."""
    chance = random.Random(seed)
    book = Book()
    events: list[Event] = []
    ts = 0
    next_id = 1
    ns = 0
    for number in range(count):
        # Half of the events share a time with the one before, and half of these its nanosecond.
        if chance.random() < 0.5:
            ts, ns = ts + chance.randrange(1, 1000), chance.randrange(1000)
        elif chance.random() < 0.5:
            ns = min(999, ns + 1)
        unknown = wild and chance.random() < 0.03
        known = chance.choice(list(book.orders)) if book.orders else None
        key = 10**9 + number if unknown or known is None else known
        order = book.orders.get(key)
        side = order.side if order else chance.choice(("bid", "ask"))
        price = 10_000 + chance.randrange(-8, 9) * 25 + (100 if side == "ask" else -100)
        size = chance.randrange(1, 50)
        left = order.size if order else 10
        action = chance.choices(
            ("add", "execute", "reduce", "delete", "replace", "modify", "clear"),
            (40, 15, 8, 12, 12, 12, 0.3),
        )[0]
        if action == "add":
            again = wild and chance.random() < 0.02 and known is not None
            key, next_id = (known if again else next_id), next_id + 1
            event = Event(ts, action, key, side, price, size, ns=ns)
        elif action in ("execute", "reduce"):
            most = left + (5 if wild and chance.random() < 0.1 else 0)
            event = Event(ts, action, key, "", None, chance.randrange(1, most + 1), ns=ns)
        elif action == "delete":
            event = Event(ts, action, key, side, ns=ns)
        elif action == "replace":
            same = wild and chance.random() < 0.05
            new, next_id = (key if same else next_id), next_id + 1
            event = Event(ts, action, key, side, price, size, new, ns=ns)
        elif action == "modify":
            keep = order is not None and chance.random() < 0.5
            price, size = (order.price, chance.randrange(1, left + 1)) if keep else (price, size)
            shown = side if order is None or chance.random() < 0.5 else ""
            event = Event(ts, action, key, shown, price, size, ns=ns)
        else:
            event = Event(ts, "clear", ns=ns)
        apply(book, number, event)
        events.append(event)
    return events
