"""Made-up events and sessions for tests of rules: ticks and headlines at given milliseconds."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import psycopg
from psycopg.types.json import Jsonb

from factories import add_instrument
from quality_data import us
from tsdb_trader.feeds.base import Block, Message
from tsdb_trader.feeds.store import SourceWriter, build

OPEN = datetime(2013, 10, 7, 13, 30, tzinfo=UTC)  # 09:30 in New York


@dataclass(frozen=True)
class Quote:
    """A quote, at milliseconds after the open; prices in units, None: no such side."""

    ms: int
    bid: float | None
    ask: float | None
    bid_size: int = 100
    ask_size: int = 100
    symbol: str = "A"


@dataclass(frozen=True)
class Trade:
    """A trade, at milliseconds after the open."""

    ms: int
    price: float
    size: int = 100
    symbol: str = "A"


@dataclass(frozen=True)
class News:
    """A headline, published at milliseconds after the open and received `late` after that."""

    ms: int
    headline: str = "news"
    sentiment: float = 0.0
    symbols: tuple[str, ...] = ("A",)
    late: int = 0


Event = Quote | Trade | News


def at(ms: float) -> datetime:
    """Return a time after the open."""
    return OPEN + timedelta(milliseconds=ms)


def store(conn: psycopg.Connection, events: Sequence[Event], feed: str = "test") -> None:
    """Store ticks, one source per symbol and kind in their given order, and headlines."""
    conn.execute(
        "insert into ops.feeds (feed, format) values (%s, 'test') on conflict do nothing", (feed,)
    )
    for kind, name in ((Quote, "quotes"), (Trade, "trades")):
        for symbol in sorted({e.symbol for e in events if isinstance(e, kind)}):
            _store_ticks(
                conn, [e for e in events if isinstance(e, kind) and e.symbol == symbol], name, feed
            )
    news = [e for e in events if isinstance(e, News)]
    if news:
        store_news(conn, news)


def _store_ticks(conn: psycopg.Connection, ticks: Sequence[Any], kind: str, feed: str) -> None:
    key = uuid.uuid4().hex
    instrument_id = add_instrument(conn, ticks[0].symbol)
    row = conn.execute(
        """insert into market.sources (feed_id, sha256, content, name, kind, instrument_id, status,
               next_row, rows_read, rows_stored, first_ts, last_ts)
           select f.feed_id, %(key)s, %(key)s, %(key)s, %(kind)s, %(instrument)s, 'complete',
               %(rows)s, %(rows)s, %(rows)s, %(first)s, %(last)s
           from ops.feeds f where f.feed = %(feed)s returning source_id, feed_id""",
        {
            "key": key,
            "kind": kind,
            "instrument": instrument_id,
            "rows": len(ticks),
            "first": at(min(t.ms for t in ticks)),
            "last": at(max(t.ms for t in ticks)),
            "feed": feed,
        },
    ).fetchone()
    assert row is not None
    columns = "bid_price, bid_size, ask_price, ask_size" if kind == "quotes" else "price, size"
    with (
        conn.cursor() as cursor,
        cursor.copy(
            f"copy market._{kind} (ts, recv_ts, seq, {columns}, instrument_id, source_id, feed_id,"
            " ns, flags) from stdin"
        ) as copy,
    ):
        for seq, tick in enumerate(ticks):
            values = (
                (_fixed(tick.bid), tick.bid_size, _fixed(tick.ask), tick.ask_size)
                if kind == "quotes"
                else (_fixed(tick.price), tick.size)
            )
            copy.write_row((at(tick.ms), at(tick.ms), seq, *values, instrument_id, *row, 0, 0))


def _fixed(price: float | None) -> int | None:
    return None if price is None else round(price * 10_000)


def store_news(conn: psycopg.Connection, items: Sequence[News], feed: str = "wire") -> None:
    """Store headlines as a source of their own."""
    key = uuid.uuid4().hex
    writer = SourceWriter(conn, feed, "news", key, key, "made up")
    messages = []
    for row, item in enumerate(items):
        for symbol in item.symbols:
            add_instrument(conn, symbol)
        columns = {
            "headline": item.headline,
            "symbols": list(item.symbols),
            "headline_id": None,
            "sentiment": Decimal(str(item.sentiment)),
            "model": "m",
            "model_version": "1",
        }
        messages.append(
            Message("news", us(at(item.ms)), row, columns, recv_ts=us(at(item.ms + item.late)))
        )
    writer.write(build(Block(0, len(messages), messages=messages)), complete=True)


def open_session(conn: psycopg.Connection, feed: str = "test") -> uuid.UUID:
    """Open a replay session of the day."""
    row = conn.execute(
        "select ops.open_session('replay', 'rules', %s, %s, %s)",
        (feed, at(-1), at(86_400_000)),
    ).fetchone()
    assert row is not None
    return uuid.UUID(str(row[0]))


def save(conn: psycopg.Connection, rule: str, definition: dict[str, Any], **arguments: Any) -> int:
    """Save a rule; its id."""
    row = conn.execute(
        "select signal.save_rule(%s, %s, %s, %s)",
        (rule, Jsonb(definition), arguments.get("description", ""), arguments.get("enabled")),
    ).fetchone()
    assert row is not None
    return int(row[0])


def step(conn: psycopg.Connection, session: uuid.UUID, from_ms: float, to_ms: float) -> int | None:
    """Write a batch and evaluate the rules on it; the number of matches, None without ticks."""
    row = conn.execute(
        "select market.write_batch(%s, %s, %s)", (session, at(from_ms), at(to_ms))
    ).fetchone()
    assert row is not None
    if row[0] is None:
        return None
    row = conn.execute("select signal.evaluate_rules(%s)", row).fetchone()
    assert row is not None
    return int(row[0])


def run(conn: psycopg.Connection, session: uuid.UUID, ends: Sequence[float]) -> None:
    """Evaluate the rules on batches that end at these milliseconds."""
    for start, end in zip([-1, *ends], ends, strict=False):
        step(conn, session, start, end)


def matches(
    conn: psycopg.Connection, session: uuid.UUID, rule: str
) -> list[tuple[float, str | None]]:
    """Return the recorded matches of a rule: milliseconds after the open, and the symbol."""
    rows = conn.execute(
        """select m.as_of, i.symbol from signal.rule_matches m
        join signal.rules r using (rule_id)
        left join ref.instruments i using (instrument_id)
        where m.session_id = %s and r.rule = %s order by m.as_of, m.instrument_id""",
        (session, rule),
    ).fetchall()
    return [((as_of - OPEN) / timedelta(milliseconds=1), symbol) for as_of, symbol in rows]


def events_of(conn: psycopg.Connection, session: uuid.UUID, rule: str) -> list[list[Any]]:
    """Return the events of a rule's matches: step, milliseconds after the open, kind and place.

    The place is that in the source, which is that among the events of its kind and symbol.
    """
    rows = conn.execute(
        """select m.events from signal.rule_matches m join signal.rules r using (rule_id)
        where m.session_id = %s and r.rule = %s order by m.as_of, m.instrument_id""",
        (session, rule),
    ).fetchall()
    return [
        [
            (
                e["step"],
                (datetime.fromisoformat(e["ts"]) - OPEN) / timedelta(milliseconds=1),
                e.get("kind"),
                e.get("seq"),
            )
            for e in events
        ]
        for (events,) in rows
    ]


def parity(conn: psycopg.Connection, session: uuid.UUID) -> list[Any]:
    """Return the differences between matches recorded and scanned."""
    return conn.execute("select * from signal.rule_parity(%s)", (session,)).fetchall()
