"""Which rows are good: each is rejected for the first thing found wrong."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from tsdb_trader.feeds.base import NULL, Integers, Rejected, Rules

Mask: TypeAlias = NDArray[np.bool_]


class Checks:
    """The rows of a block, good until rejected."""

    def __init__(self, rows: int) -> None:
        self.good: Mask = np.ones(rows, dtype=np.bool_)
        self._found: list[tuple[str, NDArray[np.intp]]] = []

    def reject(self, reason: str, wrong: Mask) -> None:
        """Reject those of the marked rows that are good so far."""
        if wrong.any():
            self.reject_rows(reason, np.flatnonzero(wrong & self.good))

    def reject_rows(self, reason: str, rows: NDArray[Any]) -> None:
        """Reject rows, all of them good so far."""
        if len(rows):
            self.good[rows] = False
            self._found.append((reason, rows))

    def adopt(self, other: Checks, renamed: Mapping[str, str]) -> None:
        """Reject what another check of the same rows rejected, some of it for another reason."""
        for reason, rows in other._found:
            self.reject_rows(renamed.get(reason, reason), rows[self.good[rows]])

    def rejected(self, numbers: Integers, raw: Callable[[int], str]) -> list[Rejected]:
        """Return what was rejected; row i has the number ``numbers[i]`` in the source.

        Parameters
        ----------
        raw
            Returns the text of row i.
        """
        return [
            Rejected(int(numbers[row]), reason, raw(int(row)))
            for reason, rows in self._found
            for row in rows
        ]


def crossed(bid: Integers, ask: Integers, scale: int, rules: Rules) -> Mask:
    """Mark quotes with both sides whose bid is above the ask beyond the tolerance."""
    both: Mask = (bid != NULL) & (ask != NULL) & (bid > ask)
    if not both.any():
        return both
    excess = np.where(both, bid - ask, 0)
    absolute = rules.cross_absolute * 10**scale
    both &= (excess > absolute) & (excess > rules.cross_relative * ask)
    return both
