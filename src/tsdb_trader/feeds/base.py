"""What every source of market data has in common: blocks of column arrays, and what yields them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any, BinaryIO, Literal, Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

Kind: TypeAlias = Literal["quotes", "trades", "book_events", "bars"]
"""What is stored in columns of integers."""
MessageKind: TypeAlias = Literal["statuses", "news", "series"]
"""What is too rare or too irregular for that."""
Integers: TypeAlias = NDArray[np.int64]

# PostgreSQL counts microseconds from here.
EPOCH = datetime(2000, 1, 1, tzinfo=UTC)

BLOCK_ROWS = 200_000
"""Rows of a file's block: large enough that commits cost nothing, small enough to lose little."""

NULL = int(np.iinfo(np.int64).min)
"""Stands for a value that is not there, in columns of `Ticks.numbers`."""

BID_SET, ASK_SET, SUSPICIOUS, DUPLICATE = 1, 2, 4, 8
NOT_LAST, NOT_HIGH_LOW, NOT_VOLUME, CANCELLED = 16, 32, 64, 128
"""Trades: what a trade does not count for (`ref.trade_conditions`), and whether it was undone."""
SNAPSHOT, REPORT = 1, 8
"""Book events: part of a snapshot; tells of a fill that another event takes off the book."""

REASONS = {
    "malformed": "wrong number of fields, or a flag or text that the format does not have",
    "not_utf8": "the row is no UTF-8 text",
    "not_a_number": "a numeric field holds something else",
    "not_an_integer": "a numeric field holds a decimal number where the format has integers",
    "nan": "a numeric field holds NaN or an infinity",
    "out_of_range": "a number of more than 15 digits",
    "too_precise": "more decimals than the instrument's price_scale or size_scale keeps",
    "zero_price": "no price, or a size without one",
    "negative_price": "a price below zero",
    "zero_size": "a price without a size",
    "negative_size": "a size below zero",
    "crossed": "both sides in one row, the bid above the ask beyond the tolerance",
    "time_out_of_day": "a time before or after the file's day",
    "time_backwards": "earlier than a row before it, or later than most rows after it",
    "absurd_time": "a time that cannot be: before 1970, or far in the future",
    "not_a_time": "a time field holds something else",
    "skipped_time": "a local time that the change of clocks skips",
    "ambiguous_time": "a local time that the change of clocks repeats",
    "too_long": "a text of more than 4095 bytes",
    "bad_symbol": "no symbol, or one that cannot be",
    "bad_bar": "high below low, or open or close outside of them beyond the tolerance",
    "missing_value": "a field that must be there is empty",
    "truncated": "the input ends inside the message",
    "wrong_length": "the message is longer or shorter than its type says",
    "unknown_type": "a message type that the format does not have",
    "unknown_order": "refers to an order that was never added",
    "excess_quantity": "takes more from an order than it has left",
    "duplicate_order": "adds an order that is there already",
    "not_an_order": "a price level where the book is told order by order",
    "other_venue": "an order of a second venue: the books of two are never mixed",
    "out_of_sequence": "came after it had been given up, or from before the first one wanted",
    "request_refused": "the source refuses what it was asked for",
    "book_unknown": "a change to a book of which earlier changes are missing",
    "unknown_instrument": "refers to an instrument that was never announced",
    "bad_sequence": "a sequence number that cannot be one",
    "sequence_backwards": "a sequence number that had come before, with other content",
    "tied_rows": "a message whose rows cannot be told apart by instrument and time",
}
"""Why a row is in market.quarantine: codes are stable, texts are not."""


@dataclass(frozen=True)
class Text:
    """A text column, dictionary encoded: row i is ``values[codes[i]]``."""

    values: Sequence[str]
    codes: NDArray[np.int32]

    def part(self, rows: slice | NDArray[Any]) -> Text:
        """Return the given rows."""
        return Text(self.values, self.codes[rows])


def constant(value: str, rows: int) -> Text:
    """Return a text column that holds the same value everywhere."""
    return Text([value], np.zeros(rows, dtype=np.int32))


@dataclass(frozen=True)
class Table:
    """The columns of a kind; of its numbers, prices and sizes are scaled, others are not."""

    name: str
    prices: tuple[str, ...]
    sizes: tuple[str, ...]
    others: tuple[str, ...]
    nullable: frozenset[str]
    texts: tuple[str, ...]

    @property
    def numbers(self) -> tuple[str, ...]:
        """Every column of `Ticks.numbers`."""
        return (*self.prices, *self.sizes, *self.others)


TABLES: Mapping[Kind, Table] = {
    "quotes": Table(
        "_quotes",
        prices=("bid_price", "ask_price"),
        sizes=("bid_size", "ask_size"),
        others=(),
        nullable=frozenset({"bid_price", "bid_size", "ask_price", "ask_size"}),
        texts=("exchange", "conditions"),
    ),
    "trades": Table(
        "_trades",
        prices=("price",),
        sizes=("size",),
        others=("trade_id",),
        nullable=frozenset({"trade_id"}),
        texts=("exchange", "conditions"),
    ),
    "book_events": Table(
        "_book_events",
        prices=("price",),
        sizes=("size",),
        others=("order_id", "new_order_id", "trade_id", "placed_ns"),
        nullable=frozenset({"price", "size", "order_id", "new_order_id", "trade_id", "placed_ns"}),
        texts=("action", "side"),
    ),
    "bars": Table(
        "_source_bars",
        prices=("open", "high", "low", "close"),
        sizes=("volume",),
        others=(),
        nullable=frozenset({"open", "high", "low", "close", "volume"}),
        texts=("resolution", "side"),
    ),
}


@dataclass(frozen=True)
class Ticks:
    """Rows of one kind, in source order.

    Attributes
    ----------
    ts
        Event time, microseconds since `EPOCH`.
    seq
        Row numbers in the source, increasing (not strictly: a row may give several).
    numbers
        The kind's number columns (`TABLES`), prices and sizes as integers in the file's scale
        (`DataFile.definition`). `NULL` is a value not there; a nullable column may be left out.
    texts
        The kind's text columns, each at most 4095 bytes.
    symbols
        The instrument of each row; None when the whole file is of one.
    ns
        Nanoseconds 0 to 999 that `ts` does not hold; None for zeros.
    recv_ts
        Receive time like `ts`; None when it is not known, as in archives: then `ts` is stored.
    """

    kind: Kind
    ts: Integers
    seq: Integers
    numbers: Mapping[str, Integers]
    flags: NDArray[np.int16]
    texts: Mapping[str, Text]
    symbols: Text | None = None
    ns: NDArray[np.int16] | None = None
    recv_ts: Integers | None = None

    def __len__(self) -> int:
        return len(self.ts)

    def part(self, rows: slice | NDArray[Any]) -> Ticks:
        """Return some rows; a slice copies nothing."""
        return Ticks(
            self.kind,
            self.ts[rows],
            self.seq[rows],
            {name: column[rows] for name, column in self.numbers.items()},
            self.flags[rows],
            {name: text.part(rows) for name, text in self.texts.items()},
            None if self.symbols is None else self.symbols.part(rows),
            None if self.ns is None else self.ns[rows],
            None if self.recv_ts is None else self.recv_ts[rows],
        )


@dataclass(frozen=True)
class Message:
    """A row of market.statuses, market.news or market.alt_series.

    `columns` are the table's own, without ts, recv_ts, ns, seq and the ids. Times are as in
    `Ticks`. `symbol` None is no instrument in particular.
    """

    kind: MessageKind
    ts: int
    seq: int
    columns: Mapping[str, Any]
    symbol: str | None = None
    ns: int = 0
    recv_ts: int | None = None


@dataclass(frozen=True)
class Rejected:
    """A row that cannot be right: its number in the source, a key of `REASONS`, and its text.

    `raw` must be text that the database can hold; see `as_text` for bytes.
    """

    position: int
    reason: str
    raw: str


def as_text(raw: bytes) -> str:
    """Return bytes as text that any database can hold; what is no text is escaped."""
    return raw.decode("utf-8", "backslashreplace").replace("\0", "\\x00")


@dataclass(frozen=True)
class Gap:
    """Rows of a stream that did not come in their turn, both ends included."""

    first: int
    last: int


@dataclass(frozen=True)
class Block:
    """A run of a source's rows: start <= row < stop.

    Every row is in `ticks` or `messages` (several times, if it says several things), or in
    `rejected`, or in `missing`. One block is one transaction.

    Attributes
    ----------
    corrections
        Trades undone: (symbol, trade_id). Their flag `CANCELLED` is set.
    gaps, filled
        Gaps newly seen, and seen ones that came after all; neither need lie within the block.
    missing
        How many of the block's rows never came, and are given up.
    duplicates
        Messages dropped because they had come before; they are no rows of the block.
    """

    start: int
    stop: int
    ticks: Sequence[Ticks] = ()
    messages: Sequence[Message] = ()
    rejected: Sequence[Rejected] = ()
    corrections: Sequence[tuple[str, int]] = ()
    gaps: Sequence[Gap] = ()
    filled: Sequence[Gap] = ()
    missing: int = 0
    duplicates: int = 0

    @property
    def stored(self) -> int:
        """How many rows are stored."""
        return self.stop - self.start - len(self.rejected) - self.missing

    def part(self, start: int, stop: int) -> Block:
        """Return the rows start <= row < stop, without copying ticks.

        Corrections stay with the first part. Not for blocks of streams, which have gaps.
        """
        start, stop = max(start, self.start), min(stop, self.stop)
        kept = [
            ticks.part(slice(*np.searchsorted(ticks.seq, (start, stop)).tolist()))
            for ticks in self.ticks
        ]
        return Block(
            start,
            stop,
            [ticks for ticks in kept if len(ticks)],
            [m for m in self.messages if start <= m.seq < stop],
            [r for r in self.rejected if start <= r.position < stop],
            self.corrections if start == self.start else (),
        )

    def check(self) -> None:
        """Count the rows, so that a decoder's mistake cannot lose one silently.

        Raises
        ------
        AssertionError
            A row is in no place or in two. A defect of the decoder, never of the input.
        """
        one = len(self.ticks) == 1 and not self.messages
        if one and bool((np.diff(self.ticks[0].seq) > 0).all()):
            stored = len(self.ticks[0])
        else:
            rows = [t.seq for t in self.ticks]
            rows.append(np.array([m.seq for m in self.messages], dtype=np.int64))
            stored = len(np.unique(np.concatenate(rows)))
        if stored != self.stored:
            raise AssertionError(
                f"rows {self.start} to {self.stop}: {stored} stored, {len(self.rejected)} "
                f"rejected, {self.missing} missing"
            )


@dataclass(frozen=True)
class Rules:
    """Thresholds of `market.quality_rules` that decide what is stored.

    A quote crossed by more than both of the `cross_*` cannot be right; one crossed by less is kept
    and counted. Times more than `future_s` after now cannot be right.
    """

    cross_absolute: float = 0.02
    cross_relative: float = 0.0025
    bar_relative: float = 0.05
    future_s: float = 86_400.0


@dataclass(frozen=True)
class Definition:
    """What a file's format knows about its instruments; new ones are registered with it.

    `price_scale` and `size_scale` are also the decimals of the integers in `Ticks.numbers`.
    `as_of` is the ISO date on which the symbols of the file were in use, when it is of one day.
    """

    kind: str = "equity"
    currency: str = "USD"
    price_scale: int = 4
    size_scale: int = 0
    as_of: str | None = None


@dataclass(frozen=True)
class DataFile:
    """A file, known by its name and options alone so far.

    Attributes
    ----------
    content
        What the bytes are about, such as AIG/2013-10-07/quotes: a feed has it once.
    kind, symbol
        None when the file holds many.
    vocabulary
        Which rows of ref.trade_conditions explain the conditions of its trades.
    note
        What the user should know about how the file is read.
    by_name
        Nothing but the file's name, up to the first slash of `content`, tells it from others of
        its kind: the same bytes by another name are the same file.
    """

    path: Path
    content: str
    kind: Kind | None = None
    symbol: str | None = None
    definition: Definition = field(default_factory=Definition)
    vocabulary: str = ""
    note: str = ""
    by_name: bool = False

    @property
    def identity(self) -> str:
        """What the same bytes must share to be the same file."""
        return self.content.partition("/")[2] if self.by_name else self.content


@dataclass(frozen=True)
class Options:
    """What a user may say about files that say too little about themselves."""

    mapping: Path | None = None
    day: date | None = None
    symbol: str | None = None
    timezone: str | None = None


class Format(Protocol):
    """A way to store market data in files. Made with `Options`, for one load."""

    name: str

    def discover(self, paths: Iterable[Path]) -> list[DataFile]:
        """Find the files behind the given files and folders, and check each one's container."""

    def open(self, file: DataFile) -> BinaryIO:
        """Return a file's uncompressed content, from its first byte."""

    def decode(self, file: DataFile, content: BinaryIO, rules: Rules) -> Iterator[Block]:
        """Turn a file's content into blocks, row 0 first, without gaps between them.

        The same content gives the same blocks, or a load could not go on where one stopped. A
        format keeps no more of the file than a few blocks in memory.
        """


class Stream(Protocol):
    """A live source, used by one thread. Made from the `configuration` of its row in ops.feeds.

    A stream has one or several contents (partitions, channels, sessions), each with row numbers
    of its own.
    """

    definition: Definition
    vocabulary: str

    def open(self, next_rows: Mapping[str, int]) -> None:
        """Connect, and go on with the given row of each content known so far.

        Raises
        ------
        OSError
            It cannot be reached now; called again later.
        InputError
            Its configuration cannot be used.
        """

    def read(self, timeout_s: float) -> Sequence[tuple[str, Block]]:
        """Wait at most so long, and return what came, with the content it belongs to.

        Raises
        ------
        OSError
            The connection is lost; `close` and `open` follow.
        """

    def stored(self) -> None:
        """Note that everything returned so far is committed."""

    def close(self) -> None:
        """Disconnect."""

    def detail(self) -> dict[str, Any]:
        """Return what the heartbeat shows: counts of messages, reconnects, what went wrong."""
