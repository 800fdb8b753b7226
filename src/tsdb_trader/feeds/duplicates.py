"""Which rows equal an earlier one: flagged, never dropped."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from tsdb_trader.feeds import base
from tsdb_trader.feeds.base import Integers, Text

_MULTIPLIER = np.uint64(0x9E3779B97F4A7C15)
_SHIFT = np.uint64(29)


class Duplicates:
    """Marks rows that equal an earlier row of the same instrument and time in all columns.

    Of each instrument the rows of its latest time are remembered from block to block, so equal
    rows are found wherever blocks end as long as no instrument's time runs backwards.
    """

    def __init__(self) -> None:
        self._tail: list[Integers] = []

    def mark(
        self, ts: Integers, columns: Sequence[Integers], symbols: Integers | None = None
    ) -> NDArray[np.bool_]:
        """Mark the duplicates among the next rows.

        Parameters
        ----------
        columns
            All that makes a row, as it was in the source; the same columns at each call.
        symbols
            The same number for the same instrument at each call; None when there is only one.
        """
        new = len(ts)
        if not new:
            return np.zeros(0, dtype=np.bool_)
        own = np.zeros(new, dtype=np.int64) if symbols is None else symbols
        rows = [own, ts, *columns]
        if self._tail:
            rows = [np.concatenate(pair) for pair in zip(self._tail, rows, strict=True)]
        found = _repeated(rows if symbols is not None else rows[1:])
        # A bound, should a whole file have a single time.
        tail = np.flatnonzero(~found & _latest(rows[0], rows[1]))[-base.BLOCK_ROWS :]
        self._tail = [column[tail] for column in rows]
        return found[len(found) - new :]


def text_numbers(text: Text) -> Integers:
    """Return a number per row that is equal for equal texts, whatever their codes."""
    hashed = [hashlib.blake2b(value.encode(), digest_size=8).digest() for value in text.values]
    return np.frombuffer(b"".join(hashed), dtype=np.int64)[text.codes]


def _latest(symbols: Integers, ts: Integers) -> NDArray[np.bool_]:
    latest = np.full(int(symbols.max()) + 1, np.iinfo(np.int64).min)
    if len(latest) == 1:
        latest[0] = ts.max()
    else:
        np.maximum.at(latest, symbols, ts)
    found: NDArray[np.bool_] = ts == latest[symbols]
    return found


def _repeated(rows: Sequence[Integers]) -> NDArray[np.bool_]:
    """Mark rows equal to an earlier one.

    Rows are sorted by a hash whose low bits give way to the row number: one fast sort of plain
    integers, with the earlier of two equal rows first. Neighbours are then compared in full.
    """
    count = len(rows[0])
    found = np.zeros(count, dtype=np.bool_)
    bits = np.uint64(count.bit_length())
    mask = (np.uint64(1) << bits) - np.uint64(1)
    keys = _hashes(rows) & ~mask
    keys |= np.arange(count, dtype=np.uint64)
    keys.sort()
    hits = np.flatnonzero((keys[1:] ^ keys[:-1]) <= mask)
    if not len(hits):
        return found
    later, earlier = ((keys[hits + step] & mask).astype(np.int64) for step in (1, 0))
    equal = np.ones(len(hits), dtype=np.bool_)
    for column in rows:
        equal &= column[later] == column[earlier]
    if not equal.all():
        return _repeated_exactly(rows)
    found[later] = True
    return found


def _hashes(rows: Sequence[Integers]) -> NDArray[np.uint64]:
    mixed = np.zeros(len(rows[0]), dtype=np.uint64)
    for column in rows:
        mixed ^= np.ascontiguousarray(column).view(np.uint64)
        mixed *= _MULTIPLIER
        mixed ^= mixed >> _SHIFT
    return mixed


def _repeated_exactly(rows: Sequence[Integers]) -> NDArray[np.bool_]:
    """Mark the same by comparing everything: for the rare block in which two hashes are equal."""
    _, firsts = np.unique(np.stack(rows, axis=1), axis=0, return_index=True)
    found = np.ones(len(rows[0]), dtype=np.bool_)
    found[firsts] = False
    return found
