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
