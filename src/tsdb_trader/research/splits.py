"""Walk-forward and k-fold splits of overlapping labels, purged and embargoed.

A label that looks h bars ahead is known only when these have passed, so neighbours share most of
what they are made of. López de Prado, Advances in Financial Machine Learning (2018), chapter 7:
training rows whose label interval overlaps that of a test row are purged, and those that
follow a test within an embargo are left out, because features remember as well.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tsdb_trader.errors import InputError

Times = npt.NDArray[np.datetime64]
Rows = npt.NDArray[np.intp]


@dataclass(frozen=True)
class Split:
    """Row numbers to train on and to test with."""

    train: Rows
    test: Rows


def walk_forward(
    starts: Times, ends: Times, folds: int, embargo: np.timedelta64
) -> Iterator[Split]:
    """Yield splits that train on the past only.

    The distinct start times are cut into `folds` + 1 blocks of nearly the same number; each but the
    first is tested once, on training rows whose labels ended at least `embargo` before its start.

    Parameters
    ----------
    starts, ends
        When each row's features and label became known, shape (n,).

    Raises
    ------
    InputError
        Fewer times than blocks, or a label that ends before it starts.
    """
    for block in _blocks(starts, ends, folds + 1, embargo)[1:]:
        test = (starts >= block[0]) & (starts <= block[-1])
        train = ends + embargo < block[0]
        yield Split(np.flatnonzero(train), np.flatnonzero(test))


def k_fold(starts: Times, ends: Times, folds: int, embargo: np.timedelta64) -> Iterator[Split]:
    """Yield splits in which every block of time is tested once, on what lies around it.

    Training rows whose label interval meets that of any test row are purged, on both sides; those
    that start after the last test label and not later than `embargo` after it are left out.

    Raises
    ------
    InputError
        As in `walk_forward`.
    """
    for block in _blocks(starts, ends, folds, embargo):
        test = (starts >= block[0]) & (starts <= block[-1])
        last = ends[test].max()
        train = ~test & ((ends < block[0]) | (starts > last + embargo))
        yield Split(np.flatnonzero(train), np.flatnonzero(test))


SCHEMES = {"walk_forward": walk_forward, "k_fold": k_fold}


def _blocks(starts: Times, ends: Times, blocks: int, embargo: np.timedelta64) -> list[Times]:
    if embargo < np.timedelta64(0, "s"):
        raise InputError("the embargo must not be negative")
    if np.any(ends < starts):
        raise InputError("a label ends before it starts")
    times = np.unique(starts)
    if blocks < 2 or times.size < blocks:
        raise InputError(f"{times.size} times of rows cannot be cut into {blocks} blocks")
    return np.array_split(times, blocks)
