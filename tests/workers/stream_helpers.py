"""Streams whose script the test writes, and feeds workers that run them."""

from __future__ import annotations

import queue
import random
import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import psycopg

from tsdb_trader.clock import SystemClock
from tsdb_trader.feeds.base import EPOCH, Block, Definition, Text, Ticks, constant
from tsdb_trader.workers.feeds import FeedsWorker
from tsdb_trader.workers.loop import Loop
from tsdb_trader.workers.stopping import Stop


def micros(time: Any) -> int:
    """Return a time as in `Ticks`."""
    delta = time - EPOCH
    return (delta.days * 86_400 + delta.seconds) * 1_000_000 + delta.microseconds


def quotes(start: int, rows: Sequence[tuple[Any, str, int, int]]) -> Block:
    """Return a block of quotes (time, symbol, bid, ask in 1e-4), row numbers from `start`."""
    symbols = sorted({row[1] for row in rows})
    count = len(rows)

    def column(n: int) -> np.ndarray:
        return np.array([row[n] for row in rows], dtype=np.int64)

    return Block(
        start,
        start + count,
        [
            Ticks(
                "quotes",
                np.array([micros(row[0]) for row in rows], dtype=np.int64),
                np.arange(start, start + count),
                {
                    "bid_price": column(2),
                    "ask_price": column(3),
                    "bid_size": np.full(count, 100),
                    "ask_size": np.full(count, 100),
                },
                np.full(count, 3, dtype=np.int16),
                {"exchange": constant("", count), "conditions": constant("", count)},
                Text(symbols, np.array([symbols.index(r[1]) for r in rows], dtype=np.int32)),
            )
        ],
    )


class Script:
    """What the streams of one feed deliver: blocks, errors, or functions of the next row."""

    def __init__(self) -> None:
        self.items: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self.opened: list[dict[str, int]] = []
        self.closed = 0
        self.stored = threading.Semaphore(0)
        self.reads = 0

    def put(self, *items: Any) -> None:
        """Add to the script."""
        for item in items:
            self.items.put(item)

    def make(self, file_format: str, configuration: Mapping[str, Any]) -> ScriptedStream:
        """Make a stream that follows the script."""
        return ScriptedStream(self)


class ScriptedStream:
    """A stream that delivers what its script says."""

    definition = Definition()
    vocabulary = ""

    def __init__(self, script: Script) -> None:
        self._script = script

    def open(self, next_rows: Mapping[str, int]) -> None:
        """Note where reading goes on."""
        self._script.opened.append(dict(next_rows))

    def read(self, timeout_s: float) -> list[tuple[str, Block]]:
        """Deliver the next block, or raise the next error."""
        self._script.reads += 1
        try:
            item = self._script.items.get(timeout=timeout_s)
        except queue.Empty:
            return []
        if isinstance(item, BaseException):
            raise item
        return item if isinstance(item, list) else [("c", item)]

    def stored(self) -> None:
        """Count."""
        self._script.stored.release()

    def close(self) -> None:
        """Count."""
        self._script.closed += 1

    def detail(self) -> dict[str, Any]:
        """Say something."""
        return {"scripted": True}


class Worker:
    """A feeds worker in its loop, in a thread."""

    def __init__(
        self,
        url: str,
        make: Callable[..., Any] | None = None,
        owner: str | None = None,
    ) -> None:
        self.stop_flag = Stop()
        self.clock = SystemClock()
        given = {} if make is None else {"make": make}
        self.worker = FeedsWorker(url, rng=random.Random(1), owner=owner, **given)
        self._loop = Loop(self.worker, url=url, stop=self.stop_flag, rng=random.Random(1))
        self._thread = threading.Thread(target=self._loop.run, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End it."""
        self.stop_flag.request()
        self._thread.join(30)
        assert not self._thread.is_alive()


def one(conn: psycopg.Connection, statement: str, *values: object) -> Any:
    """Return the first row's only column, or the row."""
    row = conn.execute(statement, values).fetchone()
    if row is None:
        return None
    return row[0] if len(row) == 1 else row
