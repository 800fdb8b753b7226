"""What a stream delivered and is not committed yet, and its way into the database.

Blocks stay here until their transaction is known to be committed, so a database that goes away
costs nothing. A commit whose answer was lost is recognised by the source's resume point.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Any

import numpy as np

from tsdb_trader.api import books, feeds
from tsdb_trader.api.feeds import Feed
from tsdb_trader.api.market import PartAdvance
from tsdb_trader.db import Connection
from tsdb_trader.errors import ConflictError, InputError
from tsdb_trader.feeds.base import EPOCH, Block, Definition, Integers, Stream
from tsdb_trader.feeds.store import Built, SourceWriter, as_time, build
from tsdb_trader.feeds.stream_registry import Sequenced

BATCHES = 1000
"""Batches per transaction, so that a long backlog does not hold one for minutes."""


@dataclass(frozen=True)
class RunOptions:
    """Keys of a feed's configuration that are the worker's, whatever its format.

    Attributes
    ----------
    lateness_s
        How far behind the last tick live batches stay, to wait for ticks that come out of order.
    quiet_s
        After so long without a tick, live sessions get what is left of an interval.
    pending_rows
        How many rows wait in memory while the database is away; then the source has to wait.
    derive_quotes
        Whether the changes of the best bid and offer that book events make become quotes.
    """

    lateness_s: float = 0.0
    quiet_s: float = 1.0
    pending_rows: int = 100_000
    derive_quotes: bool = False

    @classmethod
    def split(cls, configuration: Mapping[str, Any]) -> tuple[RunOptions, dict[str, Any]]:
        """Return the worker's options, and what is left for the stream.

        Raises
        ------
        InputError
            A value is no number or below 0, or not true or false.
        """
        own = {k: v for k, v in configuration.items() if k in cls.__dataclass_fields__}
        for key, value in own.items():
            if key == "derive_quotes":
                if not isinstance(value, bool):
                    raise InputError(f"{key} must be true or false, not {value!r}")
            elif (
                isinstance(value, bool)
                or not isinstance(value, int | float)
                or not 0 <= value < 1e9
            ):
                raise InputError(f"{key} must be a number from 0, not {value!r}")
        rest = {k: v for k, v in configuration.items() if k not in own}
        return cls(**own), rest


@dataclass(frozen=True)
class _Waiting:
    content: str
    built: Built
    sequence: int | None


class Backlog:
    """The blocks of one feed on their way to the database."""

    def __init__(self, feed: Feed) -> None:
        self._feed = feed
        self._options = RunOptions()
        self._waiting: deque[_Waiting] = deque()
        self._writers: dict[str, SourceWriter] = {}
        self._definition = Definition()
        self._vocabulary = ""
        self._watermark: datetime | None = None
        self._unfinished = True
        self.next_rows: dict[str, int] = {}
        self.rows = 0
        self.stored = self.quarantined = self.missing = self.duplicates = 0
        self.gaps = self.late = self.batches = 0

    @property
    def full(self) -> bool:
        """Whether reading must stop."""
        return self.rows >= max(1, self._options.pending_rows)

    @property
    def _ticks(self) -> Set[str]:
        """What live sessions are handed, or what that is derived from."""
        return {"quotes", "trades"} | ({"book_events"} if self._options.derive_quotes else set())

    def set_options(self, options: RunOptions) -> None:
        """Follow these options from now on."""
        self._options = options

    def use(self, stream: Stream) -> None:
        """Take blocks from this stream from now on."""
        self._definition, self._vocabulary = stream.definition, stream.vocabulary

    def add(self, blocks: Sequence[tuple[str, Block]], stream: Stream) -> None:
        """Keep what a stream returned."""
        sequences = stream.sequences if isinstance(stream, Sequenced) else {}
        for content, block in blocks:
            self._waiting.append(_Waiting(content, build(block), sequences.get(content)))
            self.rows += block.stop - block.start

    def reconnected(self) -> None:
        """Look up every resume point anew: a commit may have been lost, or only its answer."""
        self._writers.clear()

    def drop(self) -> int:
        """Forget what waits; return how many rows that were."""
        rows, self.rows = self.rows, 0
        self._waiting.clear()
        self._writers.clear()
        return rows

    def flush(self, conn: Connection) -> bool:
        """Store what waits; return whether there was anything.

        Raises
        ------
        ConflictError
            Another process stored rows of this feed.
        """
        if not self._waiting:
            return False
        latest = [_latest(item.built.block, self._ticks) for item in self._waiting]
        times = [time for time in latest if time is not None]
        if times:
            self._watermark, self._unfinished = as_time(max(times)), True
        while self._waiting:
            item = self._waiting[0]
            writer = self._writer(conn, item)
            # Rows behind the resume point are those of a commit whose answer was lost.
            if item.built.block.start >= self.next_rows[item.content]:
                self._write(conn, writer, item)
            self._waiting.popleft()
            self.rows -= item.built.block.stop - item.built.block.start
        # What is left of a long backlog, in transactions of their own.
        while self._hand_over(conn, quiet=False) == BATCHES:
            pass
        return True

    def finish_interval(self, conn: Connection) -> None:
        """Hand live sessions what is left, because nothing has come for a while."""
        if not self._unfinished or self._waiting:
            return
        if self._watermark is None:
            self._watermark = feeds.last_tick(conn, self._feed.feed_id)
        while self._hand_over(conn, quiet=True) == BATCHES:
            pass
        self._unfinished = False

    def _writer(self, conn: Connection, item: _Waiting) -> SourceWriter:
        if item.content not in self._writers:
            writer = SourceWriter(
                conn,
                self._feed.feed,
                self._feed.format,
                "stream",
                item.content,
                f"{self._feed.feed}/{item.content}",
                definition=self._definition,
                vocabulary=self._vocabulary,
                first_row=item.built.block.start,
            )
            self._writers[item.content] = writer
            self.next_rows[item.content] = writer.source.next_row
        return self._writers[item.content]

    def _write(self, conn: Connection, writer: SourceWriter, item: _Waiting) -> None:
        block = item.built.block
        if block.start != self.next_rows[item.content]:
            raise ConflictError(
                f"feed {self._feed.feed}, {item.content}: rows from {block.start} do not follow "
                f"what is stored up to {self.next_rows[item.content]}"
            )
        late: list[int] = []
        batches: list[int] = []

        def then(advances: Sequence[PartAdvance]) -> None:
            if self._options.derive_quotes:
                for advance in advances:
                    if advance.kind == "book_events":
                        books.derive_quotes(conn, advance.source_id)
            if item.sequence is not None:
                feeds.note_sequence(conn, writer.source.source_id, item.sequence)
            late.append(self._count_late(conn, block))
            if len(self._waiting) == 1:
                batches.append(self._write_batches(conn, quiet=False))

        counts = writer.write(item.built, then=then)
        self.next_rows[item.content] = block.stop
        self.stored += counts.stored
        self.quarantined += counts.quarantined
        self.missing += block.missing
        self.duplicates += block.duplicates
        self.gaps += len(block.gaps)
        self.late += sum(late)
        self.batches += sum(batches)

    def _count_late(self, conn: Connection, block: Block) -> int:
        times = [t.ts for t in block.ticks if t.kind in self._ticks]
        if not times:
            return 0
        found = 0
        for session in feeds.live_sessions(conn, self._feed.feed_id):
            if session.as_of is None:
                continue
            between = partial(_count_between, _micros(session.start), _micros(session.as_of))
            if late := sum(map(between, times)):
                feeds.note_late_ticks(conn, session.session_id, late)
                found += late
        return found

    def _hand_over(self, conn: Connection, *, quiet: bool) -> int:
        with conn.transaction():
            written = self._write_batches(conn, quiet=quiet)
        self.batches += written
        return written

    def _write_batches(self, conn: Connection, *, quiet: bool) -> int:
        if self._watermark is None:
            return 0
        behind = timedelta(0) if quiet else timedelta(seconds=self._options.lateness_s)
        return feeds.write_batches(
            conn, self._feed.feed_id, self._watermark - behind, quiet=quiet, limit=BATCHES
        )


def _latest(block: Block, kinds: Set[str]) -> int | None:
    times = [int(t.ts.max()) for t in block.ticks if t.kind in kinds and len(t)]
    return max(times, default=None)


def _micros(time: datetime) -> int:
    return (time - EPOCH) // timedelta(microseconds=1)


def _count_between(after: int, until: int, times: Integers) -> int:
    return int(np.count_nonzero((times > after) & (times <= until)))
