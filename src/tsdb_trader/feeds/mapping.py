"""What the columns of a file mean: said by a mapping file (mapping_file.py), or built in."""

from __future__ import annotations

from collections.abc import Mapping as Dict
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Literal

from tsdb_trader.feeds.base import Definition, Kind

UNITS = {"s": 9, "ms": 6, "us": 3, "ns": 0}
"""Units of times that are numbers, and the decimal places to nanoseconds."""
Ambiguous = Literal["reject", "first", "second"]
REQUIRED: Dict[str, frozenset[str]] = {
    "quotes": frozenset(),
    "trades": frozenset({"price", "size"}),
    "book_events": frozenset({"action"}),
    "bars": frozenset({"close"}),
    "series": frozenset({"value"}),
}


@dataclass(frozen=True)
class Number:
    """A column of numbers.

    Attributes
    ----------
    decimals
        How many of its digits are decimals: 4 for prices times 10,000.
    factor
        What one of its units is, such as 100 for sizes in round lots.
    """

    column: str
    decimals: int = 0
    factor: int = 1


@dataclass(frozen=True)
class Words:
    """A column of text, or the same text in every row (`constant`).

    `values` translates; a text that is not in it stays as it is.
    """

    column: str | None = None
    constant: str = ""
    values: Dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Flag:
    """Rows that have one of the `texts` in a column."""

    column: str
    texts: frozenset[str]


@dataclass(frozen=True)
class Time:
    """How a row says its time.

    Attributes
    ----------
    columns
        One column, or one of dates and one of times of the day.
    form
        A key of `UNITS`, ``iso``, or a pattern of strptime. A number counts from 1970 in UTC, or
        from midnight when `day` or a column of dates is given.
    zone
        IANA name of the zone of times that do not say theirs.
    ambiguous
        What becomes of local times that the end of summer time repeats: rejected, or taken as the
        first or second of the two.
    """

    columns: tuple[str, ...]
    form: str = "iso"
    zone: str = "UTC"
    day: date | None = None
    ambiguous: Ambiguous = "reject"


@dataclass(frozen=True)
class Output:
    """What a row becomes; a row may become several."""

    kind: Kind
    numbers: Dict[str, Number]
    texts: Dict[str, Words] = field(default_factory=dict)


@dataclass(frozen=True)
class Layout:
    """How text files are laid out. `names` None: the first line has them."""

    delimiter: str = ","
    quote: str = '"'
    encoding: str = "utf-8"
    names: tuple[str, ...] | None = None


@dataclass(frozen=True)
class Mapping:
    """What the columns of a file mean.

    Attributes
    ----------
    symbol
        None when the file itself is of one instrument.
    nulls
        Texts that stand for no value.
    zero_is_null
        A price of 0 is no price, as in TAQ.
    in_order
        Rows whose time runs backwards, by instrument, are rejected.
    """

    outputs: Sequence[Output]
    time: Time
    recv_time: Time | None = None
    symbol: Words | None = None
    definition: Definition = field(default_factory=Definition)
    vocabulary: str = ""
    layout: Layout = field(default_factory=Layout)
    nulls: frozenset[str] = frozenset({""})
    zero_is_null: bool = False
    in_order: bool = True
    suspicious: Flag | None = None
    cancelled: Flag | None = None
    series: Series | None = None

    @property
    def columns(self) -> list[str]:
        """Every column of the file that is used."""
        found: list[str] = [*self.time.columns]
        if self.recv_time is not None:
            found += self.recv_time.columns
        for output in self.outputs:
            found += [number.column for number in output.numbers.values()]
            found += [w.column for w in output.texts.values() if w.column is not None]
        found += [flag.column for flag in (self.suspicious, self.cancelled) if flag is not None]
        if self.symbol is not None and self.symbol.column is not None:
            found.append(self.symbol.column)
        if self.series is not None:
            found += self.series.columns
        return list(dict.fromkeys(found))


@dataclass(frozen=True)
class Series:
    """A numeric series: its name, its values, and their unit.

    Its event time is the row's time, the time of its publication the row's `recv_time`.
    """

    name: Words
    value: str
    unit: Words = Words()

    @property
    def columns(self) -> list[str]:
        """Every column that is used."""
        words = (self.name.column, self.unit.column)
        return [self.value, *(column for column in words if column is not None)]
