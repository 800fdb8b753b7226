"""Which instrument a message is about: its stock field, or its locate code."""

from __future__ import annotations

import re
import sys

import numpy as np
from numpy.typing import NDArray

from tsdb_trader.feeds.base import Integers, Text

_SYMBOL = re.compile(rb"[A-Z0-9][A-Z0-9 ./+=#^$*:_@-]{0,7}")
BAD = -1


class Symbols:
    """Codes of symbols, in the order they are met.

    Locate codes are good for one day. 0 is that of no instrument.
    """

    def __init__(self) -> None:
        self.names: list[str] = []
        self._codes: dict[int, int] = {}
        # As long as the highest locate met so far asks for.
        self._stock_of_locate = np.zeros(0, dtype=np.uint64)
        self._code_of_locate = np.zeros(0, dtype=np.int32)
        self._announced = np.zeros(0, dtype=np.int32)

    def codes(self, stocks: NDArray[np.bytes_], locates: Integers) -> NDArray[np.int32]:
        """Return the code of each stock, `BAD` for a text that cannot be a symbol."""
        self._make_room(locates)
        raw = np.ascontiguousarray(stocks).view(np.uint64)
        codes = self._code_of_locate[locates]
        # Nearly always the locate says it; comparing is much cheaper than looking up texts.
        other = np.flatnonzero(self._stock_of_locate[locates] != raw)
        if len(other):
            found, inverse = np.unique(raw[other], return_inverse=True)
            new = np.array([self._code(int(value)) for value in found], dtype=np.int32)
            codes[other] = new[inverse]
            self._stock_of_locate[locates[other]] = raw[other]
            self._code_of_locate[locates[other]] = codes[other]
        return codes

    def announce(self, locates: Integers, codes: NDArray[np.int32]) -> None:
        """Note which codes messages gave to their locates, in their order."""
        self._make_room(locates)
        self._announced[locates] = codes

    def of_locates(self, locates: Integers) -> NDArray[np.int32]:
        """Return the code last announced for each locate, `BAD` where there is none."""
        self._make_room(locates)
        return np.where(locates == 0, np.int32(BAD), self._announced[locates])

    def text(self, codes: NDArray[np.int32]) -> Text:
        """Return codes as a text column that lists no more symbols than it uses."""
        used = np.zeros(len(self.names), dtype=np.bool_)
        used[codes] = True
        places = np.flatnonzero(used)
        compact = np.empty(len(self.names), dtype=np.int32)
        compact[places] = np.arange(len(places), dtype=np.int32)
        return Text([self.names[place] for place in places.tolist()], compact[codes])

    def _make_room(self, locates: Integers) -> None:
        more = int(locates.max(initial=-1)) + 1 - len(self._code_of_locate)
        if more > 0:
            more += len(self._code_of_locate)
            self._stock_of_locate = np.pad(self._stock_of_locate, (0, more))
            self._code_of_locate = np.pad(self._code_of_locate, (0, more), constant_values=BAD)
            self._announced = np.pad(self._announced, (0, more), constant_values=BAD)

    def _code(self, raw: int) -> int:
        if raw not in self._codes:
            stock = raw.to_bytes(8, sys.byteorder).rstrip(b" ")
            good = _SYMBOL.fullmatch(stock) is not None
            if good:
                self.names.append(stock.decode("ascii"))
            self._codes[raw] = len(self.names) - 1 if good else BAD
        return self._codes[raw]
