"""Which instrument a record of a DBN file is of: ids to symbols, by day."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import date
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tsdb_trader.feeds.base import Integers

_DAY_NS = 86_400 * 10**9
_EPOCH = date(1970, 1, 1)
_SYMBOL = re.compile(r"[A-Z0-9][A-Z0-9 ./+=#^$*:_@-]{0,31}")


def usable(symbol: str) -> bool:
    """Return whether an instrument can have this symbol (the check of ref.instruments)."""
    return _SYMBOL.fullmatch(symbol) is not None


@dataclass
class Symbols:
    """Ids and their symbols.

    Attributes
    ----------
    intervals
        Of each id: (first day, day after the last, symbol) in days since 1970, from the metadata.
    announced
        What records of the file say, for ids that the metadata do not have: (row number, symbol).
    """

    intervals: dict[int, list[tuple[int, int, str]]] = field(default_factory=dict)
    announced: dict[int, list[tuple[int, str]]] = field(default_factory=dict)

    @classmethod
    def of(cls, metadata: Any) -> Symbols:
        """Read the mappings of a file's metadata, which go from what was asked for to ids.

        A file asked for by id maps the other way round. Continuous symbols are written in capitals
        (ES.c.0 is ES.C.0).
        """
        found = cls()
        for asked, intervals in dict(metadata.mappings).items():
            for interval in intervals:
                symbol, number = str(asked), str(interval["symbol"])
                if not _is_id(number):
                    symbol, number = number, symbol
                if _is_id(number) and symbol:
                    first = (interval["start_date"] - _EPOCH).days
                    last = (interval["end_date"] - _EPOCH).days
                    known = found.intervals.setdefault(int(number), [])
                    known.append((first, last, symbol.upper()))
        return found

    def announce(self, number: int, row: int, symbol: str) -> None:
        """Note that a record named an instrument; it counts from its row on."""
        self.announced.setdefault(number, []).append((row, symbol))

    def names(
        self, ids: NDArray[np.uint32], times: NDArray[np.uint64], rows: Integers
    ) -> tuple[list[str], NDArray[np.int32]]:
        """Return symbols, and of each record its place among them, -1 where there is none.

        Parameters
        ----------
        times
            Nanoseconds since 1970, whose day decides.
        rows
            Numbers of the records.
        """
        places: dict[str, int] = {}
        codes = np.full(len(ids), -1, dtype=np.int32)
        days = (times // np.uint64(_DAY_NS)).astype(np.int64)
        for number in np.unique(ids).tolist():
            of_id = ids == number
            for first, last, symbol in self.intervals.get(number, ()):
                here = of_id & (days >= first) & (days < last)
                if here.any():
                    codes[here] = places.setdefault(symbol, len(places))
            if number not in self.intervals:
                # In the order of the rows: the last one before a record stays.
                for row, symbol in self.announced.get(number, ()):
                    here = of_id & (rows >= row)
                    if here.any():
                        codes[here] = places.setdefault(symbol, len(places))
        return list(places), codes

    def name(self, number: int, time: int, row: int) -> str | None:
        """Return the symbol of one record, None when nobody named its instrument."""
        names, codes = self.names(
            np.array([number], dtype=np.uint32),
            np.array([time], dtype=np.uint64),
            np.array([row], dtype=np.int64),
        )
        return names[codes[0]] if codes[0] >= 0 else None


def _is_id(text: str) -> bool:
    return text.isascii() and text.isdigit() and int(text) < 2**32
