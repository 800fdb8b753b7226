"""Stores the blocks of a source, file or stream: each one transaction, with its resume point."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime, timedelta
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from tsdb_trader.api import market, rollups
from tsdb_trader.db import Connection
from tsdb_trader.errors import InputError
from tsdb_trader.feeds import pgcopy, sentiment
from tsdb_trader.feeds.base import EPOCH, Block, Definition, Kind, Message, MessageKind, Ticks

Then: TypeAlias = Callable[[Sequence[market.PartAdvance]], None]


@dataclass
class Counts:
    """Rows of this run; read = stored + quarantined, but for rows of a stream that never came."""

    read: int = 0
    stored: int = 0
    quarantined: int = 0

    def add(self, other: Counts) -> None:
        """Add another count to this one."""
        self.read += other.read
        self.stored += other.stored
        self.quarantined += other.quarantined


@dataclass(frozen=True)
class Built:
    """A block with its records built: all that needs no database."""

    block: Block
    records: Sequence[list[pgcopy.Records]]


def build(block: Block) -> Built:
    """Check a block's counts, score its headlines and build its records."""
    block.check()
    if block.messages:
        block = replace(block, messages=sentiment.scored(block.messages))
    return Built(block, [list(pgcopy.build(ticks)) for ticks in block.ticks])


@dataclass
class SourceWriter:
    """Writes one source.

    Attributes
    ----------
    conn
        An autocommit connection; each block is a transaction of its own.
    kind, symbol
        None for a source of many: its instruments and kinds get parts as they come.
    """

    conn: Connection
    feed: str
    file_format: str
    sha256: str
    content: str
    name: str
    kind: Kind | None = None
    symbol: str | None = None
    definition: Definition = field(default_factory=Definition)
    vocabulary: str = ""
    known_only: bool = False
    first_row: int = 0

    def __post_init__(self) -> None:
        self.stored_by_kind: dict[str, int] = {}
        self._parts: dict[tuple[str, str | None], market.Part] = {}
        self._fresh: dict[tuple[str, str | None], market.Part] = {}
        self._flags: dict[str, int] = {}
        self.source = market.open_source(
            self.conn,
            feed=self.feed,
            file_format=self.file_format,
            sha256=self.sha256,
            content=self.content,
            name=self.name,
            kind=self.kind or "many",
            symbol=self.symbol,
            known_only=self.known_only,
            definition=asdict(self.definition),
            first_row=self.first_row,
        )
        if self.source.part is not None and self.kind is not None:
            self._check_scale(self.symbol, self.source.part)
            self._parts[self.kind, None] = self._parts[self.kind, self.symbol] = self.source.part

    def write(self, built: Built, *, complete: bool = False, then: Then | None = None) -> Counts:
        """Store a block.

        Parameters
        ----------
        complete
            It is the last one.
        then
            Called before the commit, in the same transaction, with the parts written to.

        Raises
        ------
        ConflictError
            Another process moved the source's resume point meanwhile.
        InputError
            An instrument keeps fewer decimals than the source has.
        """
        block = built.block
        self._fresh = {}
        advances: dict[int, market.PartAdvance] = {}
        with self.conn.transaction():
            self._open_parts(block)
            for ticks, records in zip(block.ticks, built.records, strict=True):
                self._copy(ticks, records)
                self._note(advances, ticks)
            self._messages(block.messages, advances)
            if block.rejected:
                rows = ((r.position, r.reason, r.raw) for r in block.rejected)
                market.quarantine(self.conn, self.source, self.name, rows)
            market.advance_source(
                self.conn,
                self.source.source_id,
                market.Advance(
                    block.start,
                    block.stop,
                    block.stored,
                    len(block.rejected),
                    block.missing,
                    block.duplicates,
                    complete,
                    list(advances.values()),
                ),
            )
            if block.corrections:
                market.cancel_trades(self.conn, self.source.source_id, block.corrections)
            if block.gaps or block.filled:
                market.note_gaps(
                    self.conn,
                    self.source.source_id,
                    [(gap.first, gap.last) for gap in block.gaps],
                    [(gap.first, gap.last) for gap in block.filled],
                )
            if then is not None:
                then(list(advances.values()))
        self._parts |= self._fresh
        for advance in advances.values():
            kind = advance.kind
            self.stored_by_kind[kind] = self.stored_by_kind.get(kind, 0) + advance.count
        return Counts(block.stop - block.start - block.missing, block.stored, len(block.rejected))

    def _open_parts(self, block: Block) -> None:
        wanted: dict[tuple[str, str | None], None] = {}
        for ticks in block.ticks:
            symbols = [None] if ticks.symbols is None else ticks.symbols.values
            wanted |= dict.fromkeys((ticks.kind, symbol) for symbol in symbols)
        wanted |= dict.fromkeys((m.kind, m.symbol) for m in block.messages)
        missing = [key for key in wanted if key not in self._parts]
        if not missing:
            return
        for part in market.open_parts(
            self.conn, self.source.source_id, missing, asdict(self.definition), self.known_only
        ):
            if part.symbol is not None:
                self._check_scale(part.symbol, part)
            self._fresh[part.kind, part.symbol] = part

    def _part(self, kind: str, symbol: str | None) -> market.Part:
        key = kind, symbol
        return self._parts[key] if key in self._parts else self._fresh[key]

    def _check_scale(self, symbol: str | None, part: market.Part) -> None:
        wanted = self.definition
        if part.price_scale < wanted.price_scale or part.size_scale < wanted.size_scale:
            raise InputError(
                f"{self.name}: prices and sizes have {wanted.price_scale} and {wanted.size_scale} "
                f"decimals, and {symbol} keeps {part.price_scale} and {part.size_scale}; register "
                "it with these scales"
            )

    def _targets(self, ticks: Ticks) -> list[pgcopy.Target]:
        symbols = [None] if ticks.symbols is None else ticks.symbols.values
        parts = [self._part(ticks.kind, symbol) for symbol in symbols]
        return [
            pgcopy.Target(
                part.instrument_id or 0,
                part.source_id,
                self.source.feed_id,
                10 ** (part.price_scale - self.definition.price_scale),
                10 ** (part.size_scale - self.definition.size_scale),
            )
            for part in parts
        ]

    def _copy(self, ticks: Ticks, records: list[pgcopy.Records]) -> None:
        market.copy_ticks(
            self.conn,
            ticks.kind,
            pgcopy.COLUMNS[ticks.kind],
            pgcopy.address(ticks.kind, records, self._targets(ticks), self._condition_flags(ticks)),
        )

    def _condition_flags(self, ticks: Ticks) -> NDArray[np.int16] | None:
        """Return what each trade does not count for; None when all of them are regular."""
        texts = ticks.texts.get("conditions")
        if ticks.kind != "trades" or texts is None or not self.vocabulary:
            return None
        unknown = sorted({text for text in texts.values if text not in self._flags})
        if unknown:
            found = rollups.condition_flags(self.conn, self.vocabulary, unknown)
            self._flags |= dict(zip(unknown, found, strict=True))
        lookup = np.array([self._flags[text] for text in texts.values], dtype=np.int16)
        return lookup[texts.codes] if lookup.any() else None

    def _note(self, advances: dict[int, market.PartAdvance], ticks: Ticks) -> None:
        """Note the count and times of every part in some ticks."""
        if ticks.symbols is None or len(ticks.symbols.values) == 1:
            symbol = None if ticks.symbols is None else ticks.symbols.values[0]
            lowest, highest = int(ticks.ts.min()), int(ticks.ts.max())
            self._advance(advances, ticks.kind, symbol, len(ticks), lowest, highest)
            return
        size = len(ticks.symbols.values)
        codes = ticks.symbols.codes
        counts = np.bincount(codes, minlength=size)
        first = np.full(size, np.iinfo(np.int64).max)
        last = np.full(size, np.iinfo(np.int64).min)
        np.minimum.at(first, codes, ticks.ts)
        np.maximum.at(last, codes, ticks.ts)
        for code in np.flatnonzero(counts).tolist():
            symbol = ticks.symbols.values[code]
            self._advance(
                advances, ticks.kind, symbol, int(counts[code]), int(first[code]), int(last[code])
            )

    def _advance(
        self,
        advances: dict[int, market.PartAdvance],
        kind: str,
        symbol: str | None,
        count: int,
        first: int,
        last: int,
    ) -> None:
        part = self._part(kind, symbol)
        known = advances.get(part.source_id)
        first_ts, last_ts = as_time(first), as_time(last)
        if known is not None:
            count += known.count
            first_ts, last_ts = min(first_ts, known.first_ts), max(last_ts, known.last_ts)
        advances[part.source_id] = market.PartAdvance(
            part.source_id, kind, count, first_ts, last_ts
        )

    def _messages(
        self, messages: Sequence[Message], advances: dict[int, market.PartAdvance]
    ) -> None:
        by_kind: dict[MessageKind, list[Mapping[str, object]]] = {}
        for message in messages:
            part = self._part(message.kind, message.symbol)
            received = message.ts if message.recv_ts is None else message.recv_ts
            by_kind.setdefault(message.kind, []).append(
                {
                    "ts": as_time(message.ts),
                    "recv_ts": as_time(received),
                    "ns": message.ns,
                    "seq": message.seq,
                    "instrument_id": part.instrument_id,
                    "source_id": part.source_id,
                    "feed_id": self.source.feed_id,
                    **message.columns,
                }
            )
            self._advance(advances, message.kind, message.symbol, 1, message.ts, message.ts)
        for kind, rows in by_kind.items():
            market.insert_messages(self.conn, kind, rows)


def as_time(microseconds: int) -> datetime:
    """Return a time of `Ticks` as a datetime."""
    return EPOCH + timedelta(microseconds=microseconds)
