"""No training row's label overlaps a test row's, and nothing of the embargo is trained on."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tsdb_trader.errors import InputError
from tsdb_trader.research import splits

DAY = np.timedelta64(1, "D")


def rows(days: list[int], horizon: int) -> tuple[splits.Times, splits.Times]:
    """Return the start and end times of rows whose label looks `horizon` days ahead."""
    starts = np.datetime64("2015-01-01T20:00:00", "us") + np.array(sorted(days)) * DAY
    return starts, starts + horizon * DAY


@given(
    days=st.lists(st.integers(0, 200), min_size=30, max_size=120),
    horizon=st.integers(0, 20),
    embargo=st.integers(0, 20),
    folds=st.integers(2, 5),
    scheme=st.sampled_from(sorted(splits.SCHEMES)),
)
def test_split_train_and_test_labels_never_overlap(days, horizon, embargo, folds, scheme):
    starts, ends = rows(days, horizon)
    if np.unique(starts).size <= folds:
        return
    tested = []
    for split in splits.SCHEMES[scheme](starts, ends, folds, embargo * DAY):
        tested += split.test.tolist()
        first, last = starts[split.test].min(), ends[split.test].max()
        before = starts[split.train] < first
        assert np.all(ends[split.train][before] < first)
        # Of what follows a test, the embargo after its last label is left out.
        assert np.all(starts[split.train][~before] > last + embargo * DAY)
        if scheme == "walk_forward":
            assert before.all()
            assert np.all(ends[split.train] + embargo * DAY < first)
    assert len(tested) == len(set(tested))


def test_walk_forward_trains_on_all_of_the_past_that_may_be():
    starts, ends = rows(list(range(60)), 5)
    found = list(splits.walk_forward(starts, ends, 5, 2 * DAY))
    # Blocks of ten days; of the past, the last label day must lie more than two days before.
    assert [s.test.tolist() for s in found] == [
        list(range(10 * n, 10 * n + 10)) for n in range(1, 6)
    ]
    assert [s.train.tolist() for s in found] == [list(range(10 * n - 7)) for n in range(1, 6)]


def test_k_fold_trains_on_both_sides():
    starts, ends = rows(list(range(60)), 5)
    found = list(splits.k_fold(starts, ends, 3, 2 * DAY))
    assert found[1].test.tolist() == list(range(20, 40))
    # The test's last label is known on day 44, and two days of embargo follow.
    assert found[1].train.tolist() == [*range(15), *range(47, 60)]


def test_split_rows_of_one_time_stay_together():
    starts, ends = rows([day for day in range(12) for _ in range(7)], 1)
    for split in splits.walk_forward(starts, ends, 3, 0 * DAY):
        inside = set(starts[split.test].tolist())
        assert not inside & set(starts[split.train].tolist())
        assert split.test.size == 7 * len(inside)


@pytest.mark.parametrize(
    ("days", "horizon", "embargo", "says"),
    [
        ([0, 1, 2], 1, 0, "cannot be cut into 6 blocks"),
        (list(range(20)), 1, -1, "embargo must not be negative"),
        (list(range(20)), -1, 0, "ends before it starts"),
    ],
)
def test_split_that_cannot_be_is_refused(days, horizon, embargo, says):
    starts, ends = rows(days, horizon)
    with pytest.raises(InputError, match=says):
        list(splits.walk_forward(starts, ends, 5, embargo * DAY))


def train_times(labels: pd.Series, tested: pd.Series) -> pd.Series:
    """Drop the labels that meet a tested interval: the three cases of López de Prado, snippet 7.1.

    Written from the text: a label (start in the index, end as the value) is dropped where it starts
    within, ends within, or envelops an interval of the test.
    """
    left = labels
    for first, last in tested.items():
        starts_within = (first <= left.index) & (left.index <= last)
        ends_within = (first <= left) & (left <= last)
        envelops = (left.index <= first) & (last <= left)
        left = left[~(starts_within | ends_within | envelops)]
    return left


def apart(start: np.datetime64, end: np.datetime64, starts: Any, ends: Any) -> bool:
    """Whether one label interval meets none of others, each compared by itself."""
    return all(end < s or start > e for s, e in zip(starts, ends, strict=True))


labels_of_any_length = st.lists(
    st.tuples(st.integers(0, 60), st.integers(0, 9)), min_size=10, max_size=80
).filter(lambda rows: len({start for start, _ in rows}) > 6)


@given(
    rows=labels_of_any_length,
    embargo=st.integers(0, 6),
    folds=st.integers(2, 5),
    scheme=st.sampled_from(["walk_forward", "k_fold"]),
)
def test_split_is_that_of_the_definitions_for_labels_of_any_length(rows, embargo, folds, scheme):
    day = np.timedelta64(1, "D")
    starts = np.datetime64("2015-01-01", "us") + np.array([s for s, _ in rows]) * day
    ends = starts + np.array([length for _, length in rows]) * day
    found = list(splits.SCHEMES[scheme](starts, ends, folds, embargo * day))
    assert len(found) == folds
    tested = np.concatenate([split.test for split in found])
    assert len(set(tested)) == tested.size
    if scheme == "k_fold":
        assert set(tested) == set(range(len(rows)))
    for split in found:
        test_starts, test_ends = starts[split.test], ends[split.test]
        expected = [
            n
            for n in range(len(rows))
            if n not in split.test
            and apart(starts[n], ends[n], test_starts, test_ends)
            and not test_ends.max() < starts[n] <= test_ends.max() + embargo * day
            and (scheme == "k_fold" or ends[n] + embargo * day < test_starts.min())
        ]
        assert split.train.tolist() == expected
        if scheme == "k_fold":
            labels = pd.Series(ends, index=starts)
            interval = pd.Series([test_ends.max() + embargo * day], index=[test_starts.min()])
            left = train_times(labels, interval)
            assert sorted(zip(left.index, left, strict=True)) == sorted(
                zip(starts[split.train], ends[split.train], strict=True)
            )
