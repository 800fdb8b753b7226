"""Ticks for tests of their quality."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np
import psycopg

from tsdb_trader.feeds.base import EPOCH, NULL, Block, Definition, Rejected, Ticks, constant
from tsdb_trader.feeds.store import SourceWriter, build


@dataclass(frozen=True)
class Tick:
    """A quote (bid, ask) or a trade (price), in stored integers; None is a side not there."""

    ts: datetime
    bid: int | None = None
    ask: int | None = None
    price: int | None = None
    flags: int = 0
    delay_us: int = 0


def us(time: datetime) -> int:
    """Return a time as columns of ticks have it."""
    return (time - EPOCH) // timedelta(microseconds=1)


def store(
    conn: psycopg.Connection,
    ticks: Sequence[Tick],
    *,
    feed: str = "f",
    symbol: str = "ABC",
    definition: Definition | None = None,
    rejected: int = 0,
    stream: bool = False,
    complete: bool = True,
) -> None:
    """Store ticks in their order as a source of its own."""
    key = uuid.uuid4().hex
    for kind in ("quotes", "trades"):
        rows = [t for t in ticks if (t.price is not None) == (kind == "trades")]
        if not rows:
            continue
        writer = SourceWriter(
            conn,
            *(feed, "test", "stream" if stream else key, f"{key}/{kind}", "made up"),
            *(kind, symbol, definition or Definition()),
        )
        count = len(rows)
        ts = np.array([us(t.ts) for t in rows])
        if kind == "quotes":
            numbers = {
                "bid_price": column([t.bid for t in rows]),
                "ask_price": column([t.ask for t in rows]),
                "bid_size": column([100] * count),
                "ask_size": column([100] * count),
            }
        else:
            numbers = {"price": column([t.price for t in rows]), "size": column([100] * count)}
        stored = Ticks(
            kind,
            ts,
            np.arange(count, dtype=np.int64),
            numbers,
            np.array([t.flags for t in rows], dtype=np.int16),
            {"exchange": constant("", count), "conditions": constant("", count)},
            recv_ts=ts + np.array([t.delay_us for t in rows]),
        )
        bad = [Rejected(count + i, "malformed", "bad") for i in range(rejected)]
        block = Block(0, count + len(bad), [stored], rejected=bad)
        writer.write(build(block), complete=complete)


def column(values: Sequence[int | None]) -> np.ndarray:
    """Return a nullable column."""
    return np.array([NULL if v is None else v for v in values], dtype=np.int64)
