"""A made-up market of two legs, A and B, whose spread reverts; for tests of signals and backtests."""

from __future__ import annotations

import random
import uuid
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
from psycopg.types.json import Jsonb

DAY = datetime(2013, 10, 7, tzinfo=UTC)
OPEN = DAY.replace(hour=13, minute=30)  # 09:30 in New York
NEXT_OPEN = OPEN + timedelta(days=1)
PARAMETERS: dict[str, float | None] = {
    "hedge_ratio": 1.0,
    "mean": None,
    "deviation": 0.001,
    "entry": 2.0,
    "exit": 0.5,
    "stop": 6.0,
    "half_life_s": 60.0,
    "warm_up_s": 20.0,
    "max_gap_s": 300.0,
    "notional": 10_000.0,
}


def add_source(
    conn: psycopg.Connection,
    symbol: str,
    quotes: Sequence[tuple[datetime, int, int]],
    feed: str = "test",
) -> int:
    """Store quotes (ts, bid, ask in 1e-4) of a symbol, creating what is missing; the source's id."""
    conn.execute(
        "insert into ops.feeds (feed, format) values (%s, 'test') on conflict do nothing", (feed,)
    )
    conn.execute(
        "insert into ref.instruments (symbol) values (%s) on conflict do nothing", (symbol,)
    )
    rows = len(quotes)
    row = conn.execute(
        """insert into market.sources (feed_id, sha256, content, name, kind, instrument_id, status,
               next_row, rows_read, rows_stored, first_ts, last_ts)
           select f.feed_id, %(sha)s, %(sha)s, %(sha)s, 'quotes', i.instrument_id, 'complete',
               %(rows)s, %(rows)s, %(rows)s, %(first)s, %(last)s
           from ops.feeds f, ref.instruments i where f.feed = %(feed)s and i.symbol = %(symbol)s
           returning source_id, feed_id, instrument_id""",
        {
            "sha": uuid.uuid4().hex,
            "rows": rows,
            "first": quotes[0][0],
            "last": quotes[-1][0],
            "feed": feed,
            "symbol": symbol,
        },
    ).fetchone()
    assert row is not None
    source_id, feed_id, instrument_id = row
    with (
        conn.cursor() as cursor,
        cursor.copy(
            "copy market._quotes (ts, recv_ts, seq, bid_price, bid_size, ask_price, ask_size, "
            "instrument_id, source_id, feed_id, ns, flags) from stdin"
        ) as copy,
    ):
        for seq, (ts, bid, ask) in enumerate(quotes):
            copy.write_row(
                (ts, ts, seq, bid, 100, ask, 100, instrument_id, source_id, feed_id, 0, 3)
            )
    return int(source_id)


def add_trade_source(conn: psycopg.Connection, symbol: str, start: datetime, count: int) -> None:
    """Store one trade a second."""
    source_id = add_source(conn, symbol, [(start, 1, 2)])
    conn.execute("delete from market._quotes where source_id = %s", (source_id,))
    conn.execute("update market.sources set kind = 'trades' where source_id = %s", (source_id,))
    conn.execute(
        """insert into market._trades (ts, recv_ts, seq, price, size, instrument_id, source_id,
               feed_id, ns, flags)
           select %(start)s + n * interval '1 s', %(start)s, n, 1000000 + n, 100, instrument_id,
               source_id, feed_id, 0, 0
           from market.sources, generate_series(1, %(count)s) n where source_id = %(source)s""",
        {"start": start, "count": count, "source": source_id},
    )
    conn.execute(
        "update market.sources set last_ts = %s where source_id = %s",
        (start + timedelta(seconds=count), source_id),
    )


def wave(start: datetime, seconds: int, seed: int = 7) -> tuple[list[Any], list[Any]]:
    """Return quotes of A and B, one a second with holes: A swings around B, so the pair trades."""
    rng = random.Random(seed)
    spread = 0.0
    leg_a, leg_b = [], []
    for second in range(1, seconds + 1):
        ts = start + timedelta(seconds=second)
        spread += -0.05 * spread + rng.gauss(0, 0.0007)
        price_b = 500_000 + round(300 * rng.random())
        price_a = round(price_b * 2 * (1 + spread))
        if rng.random() < 0.8:
            leg_a.append(
                (ts - timedelta(milliseconds=rng.randrange(900)), price_a - 50, price_a + 50)
            )
        if rng.random() < 0.6:
            leg_b.append(
                (ts - timedelta(milliseconds=rng.randrange(900)), price_b - 50, price_b + 50)
            )
    return leg_a, leg_b


def load_wave(conn: psycopg.Connection, start: datetime, seconds: int, seed: int = 7) -> None:
    """Store a wave as feed test, symbols A and B."""
    leg_a, leg_b = wave(start, seconds, seed)
    add_source(conn, "A", leg_a)
    add_source(conn, "B", leg_b)


def save_pair(
    conn: psycopg.Connection,
    *,
    symbols: tuple[str, str] = ("A", "B"),
    calibrated: tuple[datetime, datetime] = (OPEN, OPEN + timedelta(hours=6)),
    **changes: float | None,
) -> int:
    """Save a calibrated pair; its id."""
    row = conn.execute(
        "select signal.save_pair(%s, %s, 'test', %s, '{}', %s, %s, '[]', 'test')",
        (*symbols, Jsonb(PARAMETERS | changes), *calibrated),
    ).fetchone()
    assert row is not None
    return int(row[0])


def open_replay(conn: psycopg.Connection, start: datetime, seconds: int) -> uuid.UUID:
    """Open a replay session of the feed test."""
    row = conn.execute(
        "select ops.open_session('replay', 'test', 'test', %s, %s)",
        (start, start + timedelta(seconds=seconds)),
    ).fetchone()
    assert row is not None
    return uuid.UUID(str(row[0]))


def write_batches(
    conn: psycopg.Connection, session_id: uuid.UUID, start: datetime, seconds: int
) -> list[int]:
    """Write one batch a second; the ids of those that had ticks."""
    rows = [
        conn.execute(
            "select market.write_batch(%s, %s, %s)",
            (session_id, start + timedelta(seconds=n), start + timedelta(seconds=n + 1)),
        ).fetchone()
        for n in range(seconds)
    ]
    return [row[0] for row in rows if row is not None and row[0] is not None]


def trade_session(conn: psycopg.Connection, seconds: int = 400) -> uuid.UUID:
    """Calibrate, replay and step a whole session on the next day; its id."""
    load_wave(conn, NEXT_OPEN, seconds)
    save_pair(conn)
    session_id = open_replay(conn, NEXT_OPEN, seconds)
    conn.execute("select signal.bind_pairs(%s)", (session_id,))
    for batch_id in write_batches(conn, session_id, NEXT_OPEN, seconds):
        conn.execute("select signal.on_batch(%s)", (batch_id,))
    return session_id
