"""Rows of one content of a FIX feed on their way into a block."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from tsdb_trader.feeds.base import (
    TABLES,
    Block,
    Gap,
    Kind,
    Message,
    Rejected,
    Text,
    Ticks,
    constant,
)
from tsdb_trader.fix.market_data_codec import Stamp


@dataclass(frozen=True, slots=True)
class Tick:
    """One row of ticks: numbers and texts as in `base.TABLES`."""

    kind: Kind
    row: int
    stamp: Stamp
    recv: int
    numbers: Mapping[str, int]
    texts: Mapping[str, str]
    flags: int = 0


@dataclass
class Rows:
    """The rows from `start` on that were read and are not in a block yet."""

    symbol: str | None
    start: int
    stop: int = -1
    ticks: list[Tick] = field(default_factory=list)
    messages: list[Message] = field(default_factory=list)
    rejected: list[Rejected] = field(default_factory=list)
    corrections: list[tuple[str, int]] = field(default_factory=list)
    gaps: list[Gap] = field(default_factory=list)
    missing: int = 0
    duplicates: int = 0

    def __post_init__(self) -> None:
        self.stop = self.start

    @property
    def empty(self) -> bool:
        """Whether there is nothing to tell."""
        return self.stop == self.start and not self.duplicates

    def miss(self, until: int) -> None:
        """Give up the rows before `until`."""
        if until > self.stop:
            self.gaps.append(Gap(self.stop, until - 1))
            self.missing += until - self.stop
            self.stop = until

    def block(self) -> Block:
        """Return the rows as a block."""
        kinds = dict.fromkeys(tick.kind for tick in self.ticks)
        return Block(
            self.start,
            self.stop,
            [_columns(kind, self.symbol, self.ticks) for kind in kinds],
            list(self.messages),
            list(self.rejected),
            list(self.corrections),
            gaps=list(self.gaps),
            missing=self.missing,
            duplicates=self.duplicates,
        )


def _columns(kind: Kind, symbol: str | None, ticks: Sequence[Tick]) -> Ticks:
    rows = [tick for tick in ticks if tick.kind == kind]
    table = TABLES[kind]

    def column(values: list[int], dtype: Any = np.int64) -> Any:
        return np.array(values, dtype=dtype)

    return Ticks(
        kind,
        column([tick.stamp.ts for tick in rows]),
        column([tick.row for tick in rows]),
        {
            name: column([tick.numbers[name] for tick in rows])
            for name in table.numbers
            if name in rows[0].numbers
        },
        column([tick.flags for tick in rows], np.int16),
        {name: _text([tick.texts.get(name, "") for tick in rows]) for name in table.texts},
        None if symbol is None else constant(symbol, len(rows)),
        column([tick.stamp.ns for tick in rows], np.int16),
        column([tick.recv for tick in rows]),
    )


def _text(values: Sequence[str]) -> Text:
    known = list(dict.fromkeys(values))
    place = {value: code for code, value in enumerate(known)}
    return Text(known, np.array([place[value] for value in values], dtype=np.int32))
