"""What every source of ticks has in common, and what the loader works with."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal, Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

Kind: TypeAlias = Literal["quotes", "trades"]
Integers: TypeAlias = NDArray[np.int64]

# PostgreSQL counts microseconds from here.
EPOCH = datetime(2000, 1, 1, tzinfo=UTC)

BID_SET, ASK_SET, SUSPICIOUS = 1, 2, 4

REASONS = {
    "malformed": "wrong number of fields, or a flag or text that the format does not have",
    "not_utf8": "the row is no UTF-8 text",
    "not_a_number": "a numeric field holds something else",
    "not_an_integer": "a numeric field holds a decimal number where the format has integers",
    "nan": "a numeric field holds NaN or an infinity",
    "out_of_range": "a number of more than 15 digits",
    "zero_price": "no price, or a size without one",
    "negative_price": "a price below zero",
    "zero_size": "a price without a size",
    "negative_size": "a size below zero",
    "crossed": "both sides in one row, the bid above the ask beyond the tolerance",
    "time_out_of_day": "a time before or after the file's day",
    "time_backwards": "earlier than a row before it, or later than most rows after it",
}
"""Why a row is in market.quarantine: codes are stable, texts are not."""


@dataclass(frozen=True)
class Text:
    """A text column, dictionary encoded: row i is ``values[codes[i]]``."""

    values: Sequence[str]
    codes: NDArray[np.int32]

    def part(self, rows: slice) -> Text:
        """Return the given rows."""
        return Text(self.values, self.codes[rows])


@dataclass(frozen=True)
class Ticks:
    """Rows of one kind, in file order.

    Attributes
    ----------
    ts
        Microseconds since `EPOCH`, never decreasing.
    seq
        Row numbers in the source, increasing.
    numbers
        Prices and sizes as integers in the format's scale. For quotes ``bid_price``,
        ``bid_size``, ``ask_price``, ``ask_size``, where 0 is a side not known yet; for trades
        ``price``, ``size``.
    """

    kind: Kind
    ts: Integers
    seq: Integers
    numbers: dict[str, Integers]
    flags: NDArray[np.int16]
    exchange: Text
    conditions: Text

    def __len__(self) -> int:
        return len(self.ts)

    def part(self, start: int, stop: int) -> Ticks:
        """Return rows start to stop, without copying."""
        rows = slice(start, stop)
        return Ticks(
            self.kind,
            self.ts[rows],
            self.seq[rows],
            {name: column[rows] for name, column in self.numbers.items()},
            self.flags[rows],
            self.exchange.part(rows),
            self.conditions.part(rows),
        )


@dataclass(frozen=True)
class Rejected:
    """A row that cannot be right: its number in the source, a key of `REASONS`, and its text."""

    position: int
    reason: str
    raw: str


@dataclass(frozen=True)
class Decoded:
    """A whole file: every one of its `rows` is in `ticks` or in `rejected`."""

    rows: int
    ticks: Ticks
    rejected: Sequence[Rejected]


@dataclass(frozen=True)
class TickFile:
    """A file of ticks of one instrument, known by its name alone so far."""

    path: Path
    kind: Kind
    symbol: str
    content: str


class Format(Protocol):
    """A way to store ticks in files."""

    name: str
    price_scale: int

    def discover(self, paths: Iterable[Path]) -> list[TickFile]:
        """Find the files behind the given files and folders, and check each one's container."""

    def read(self, file: TickFile) -> bytes:
        """Return a file's uncompressed content."""

    def decode(self, file: TickFile, content: bytes) -> Decoded:
        """Turn a file's content into ticks."""
