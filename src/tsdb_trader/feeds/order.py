"""Which rows to give up so that time does not run backwards."""

from __future__ import annotations

from bisect import bisect_right

import numpy as np
from numpy.typing import NDArray

from tsdb_trader.feeds.base import Integers


def keep_in_order(times: Integers) -> NDArray[np.bool_]:
    """Mark a longest non-decreasing subsequence; of several the one that keeps earlier rows.

    Patience sorting from the right gives the longest run that starts at each row (Fredman 1975,
    "On computing the length of longest increasing subsequences"); a walk from the left then takes
    the first row that can still complete it.
    """
    keep = np.ones(len(times), dtype=np.bool_)
    falls = np.flatnonzero(times[1:] < times[:-1])
    if not len(falls):
        return keep
    # Rows before the first and after the last that any fall can concern are kept as they are.
    earliest = int(np.minimum.reduce(times[falls[0] + 1 :]))
    latest = int(np.maximum.reduce(times[: falls[-1] + 1]))
    first = int(np.searchsorted(times[: falls[0] + 1], earliest, side="right"))
    last = int(falls[-1]) + 1 + int(np.searchsorted(times[falls[-1] + 1 :], latest, side="left"))
    keep[first:last] = _longest(times[first:last].tolist())
    return keep


def _longest(times: list[int]) -> NDArray[np.bool_]:
    # best[k]: minus the largest time that starts a run of k + 1 rows, so it grows with k.
    best: list[int] = []
    length = [0] * len(times)
    for i in range(len(times) - 1, -1, -1):
        k = bisect_right(best, -times[i])
        if k == len(best):
            best.append(-times[i])
        else:
            best[k] = -times[i]
        length[i] = k + 1
    keep = np.zeros(len(times), dtype=np.bool_)
    wanted, previous = len(best), None
    for i, time in enumerate(times):
        if length[i] == wanted and (previous is None or time >= previous):
            keep[i] = True
            wanted, previous = wanted - 1, time
    return keep


class InOrder:
    """Gives up rows whose time runs backwards, block by block, with a look at the block ahead.

    A row is judged in a window of its own block and the next, and may not be before the last one
    kept of its instrument. So rows far ahead of their time are given up rather than the rows after
    them, wherever a block ends, as long as fewer rows are wrong than right ones follow in the same
    and the next block. A longer run of wrong times is believed: then the right rows after it are
    rejected, until time has caught up.
    """

    def __init__(self) -> None:
        self._last: Integers = np.empty(0, dtype=np.int64)

    def keep(
        self,
        times: Integers,
        ahead: Integers,
        symbols: Integers | None = None,
        symbols_ahead: Integers | None = None,
    ) -> NDArray[np.bool_]:
        """Mark the rows to keep.

        Parameters
        ----------
        ahead
            Times of the next block's rows; empty after the last.
        symbols, symbols_ahead
            The same small number for the same instrument at each call; None when there is only one.
        """
        if symbols is None and self._go_on(times, ahead):
            return np.ones(len(times), dtype=np.bool_)
        window = np.concatenate((times, ahead))
        if symbols is None or symbols_ahead is None:
            codes = np.zeros(len(window), dtype=np.int64)
        else:
            codes = np.concatenate((symbols, symbols_ahead))
        grown = int(codes.max(initial=-1)) + 1 - len(self._last)
        if grown > 0:
            start = np.full(grown, np.iinfo(np.int64).min)
            self._last = np.concatenate((self._last, start))
        keep = window >= self._last[codes]
        rows = np.flatnonzero(keep)
        if symbols is not None and (np.diff(window[rows]) < 0).any():
            rows = rows[np.argsort(codes[rows], kind="stable")]
        for group in _disordered(window[rows], codes[rows]):
            keep[rows[group]] = keep_in_order(window[rows[group]])
        mine = keep[: len(times)]
        np.maximum.at(self._last, codes[: len(times)][mine], times[mine])
        return mine

    def _go_on(self, times: Integers, ahead: Integers) -> bool:
        """Whether time never falls: by far the most blocks of one instrument are like that."""
        if not len(times) or (len(self._last) and times[0] < self._last[0]):
            return False
        if (times[1:] < times[:-1]).any() or (ahead[1:] < ahead[:-1]).any():
            return False
        if len(ahead) and ahead[0] < times[-1]:
            return False
        self._last = times[-1:].copy()
        return True


def _disordered(times: Integers, codes: Integers) -> list[slice]:
    """Return the instruments, as slices of rows, in which a time falls."""
    falls = np.flatnonzero((np.diff(times) < 0) & (np.diff(codes) == 0))
    if not len(falls):
        return []
    if not codes.any():
        return [slice(0, len(times))]
    return [
        slice(*(int(np.searchsorted(codes, code, side)) for side in ("left", "right")))
        for code in np.unique(codes[falls]).tolist()
    ]
