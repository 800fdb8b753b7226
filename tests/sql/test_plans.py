"""Queries touch what they ask for, however much is stored; bench_queries.py has the times."""

from __future__ import annotations

import pytest

from rollup_checks import is_native, stop_policies
from stored_ticks import QUERIES, store, touched


@pytest.mark.slow
def test_queries_of_ten_times_the_ticks_touch_as_many_chunks_and_pages(conn):
    if is_native(conn):
        stop_policies(conn)
    ends, seen = [], []
    # 30,000 and 320,000 quotes: of other instruments, and of other days.
    for instruments, days in ((2, 3), (4, 16)):
        ends.append(store(conn, instruments, days, 5_000))
        seen.append({name: touched(conn, query, ends[0]) for name, query in QUERIES.items()})
    few, many = seen
    for name in QUERIES:
        print(name, few[name], many[name])
        assert many[name].chunks == few[name].chunks <= 2
        # The indexes may be a level deeper, once for each chunk and side of the query.
        assert many[name].buffers <= few[name].buffers + 4
    # And the latest day is no dearer than the first ones were.
    for name, query in QUERIES.items():
        latest = touched(conn, query, ends[1])
        assert latest.chunks == few[name].chunks
        assert latest.buffers <= few[name].buffers + 4
