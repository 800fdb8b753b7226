"""Findings in the bars of a vendor, and the known traps of the recorded daily file."""

from __future__ import annotations

from collections import defaultdict
from datetime import UTC, datetime

import numpy as np
import pytest

from tsdb_trader.api import quality
from tsdb_trader.feeds import loader
from tsdb_trader.feeds.base import NULL, Block, Ticks, constant
from tsdb_trader.feeds.store import SourceWriter, build

SPAN = (datetime(2000, 1, 1, tzinfo=UTC), datetime(2018, 12, 31, tzinfo=UTC))
DAY = 86_400_000_000


def bars(conn, symbol: str, days: list[tuple[int | None, ...]], first: int = 0) -> None:
    """Store daily bars (open, high, low, close, volume)."""
    columns = [
        np.array([NULL if row[i] is None else row[i] for row in days], dtype=np.int64)
        for i in range(5)
    ]
    count = len(days)
    names = ("open", "high", "low", "close", "volume")
    ticks = Ticks(
        "bars",
        (np.arange(count) + first) * DAY,
        np.arange(count),
        dict(zip(names, columns, strict=True)),
        np.zeros(count, dtype=np.int16),
        {"resolution": constant("1d", count), "side": constant("trade", count)},
    )
    writer = SourceWriter(conn, "v", "test", symbol, symbol, "made up", "bars", symbol)
    writer.write(build(Block(0, count, [ticks])), complete=True)


def flat(close: int = 100) -> tuple[int, ...]:
    return close, close, close, close, 10


def test_check_finds_what_is_wrong_with_bars(conn):
    bars(conn, "SPIKE", [flat(), flat(40), flat(101), flat(99)])
    bars(conn, "JUMP", [flat(), flat(), flat(150), flat(151)])
    bars(conn, "CELLS", [flat(), (100, None, None, 100, 10), (100, 100, 100, 100, 0), flat()])
    bars(conn, "OUTSIDE", [flat(), (100, 99, 98, 100, 10), flat(), flat()])
    bars(conn, "SHORT", [flat(), flat()], first=2)
    found = [(f.symbol, f.rule, f.ts.day, f.observed) for f in quality.check(conn, "v", *SPAN)]
    assert sorted(found) == [
        ("CELLS", "bar_missing", 2, 2),
        ("CELLS", "bar_no_volume", 3, 1),
        ("JUMP", "bar_jump", 3, 0.5),
        ("OUTSIDE", "bar_outside", 2, pytest.approx(0.01)),
        ("SHORT", "bar_absent_share", 3, 0.5),
        ("SPIKE", "bar_jump", 2, pytest.approx(0.6)),
        ("SPIKE", "bar_jump", 3, pytest.approx(1.525)),
        ("SPIKE", "bar_spike", 2, pytest.approx(0.6)),
    ]
    quality.set_rule(conn, "bar_jump", 2, "wild", {"symbol": "SPIKE"})
    left = {(f.symbol, f.rule) for f in quality.check(conn, "v", *SPAN)}
    assert ("SPIKE", "bar_jump") not in left
    assert ("JUMP", "bar_jump") in left


@pytest.mark.needs_data
@pytest.mark.slow
def test_check_finds_the_known_traps_of_the_recorded_daily_bars(conn, data_folder):
    loader.load(conn, "daily", [data_folder / "sp500_daily"])
    found = defaultdict(set)
    missing = 0.0
    for finding in quality.check(conn, "daily", *SPAN):
        found[finding.rule].add((finding.symbol, finding.ts.date().isoformat()))
        missing += finding.observed * (finding.rule == "bar_missing")
    # Spin-offs and true jumps; which is which, corporate actions know.
    assert found["bar_jump"] >= {
        *(("EBAY", "2015-07-20"), ("BAX", "2015-07-01"), ("NI", "2015-07-02")),
        *(("DISCA", "2014-08-07"), ("DISCK", "2014-08-07")),
        *(("AMD", "2016-04-22"), ("VRTX", "2013-04-19")),
    }
    assert len(found["bar_jump"]) == 11
    # Four stocks fell by a fifth to a third on one day and were back the next; nobody had listed them.
    assert found["bar_spike"] == {(s, "2017-09-14") for s in ("MPC", "MRO", "NWL", "FLR")}
    assert (len(found["bar_missing"]), missing) == (11, 27)
    assert len(found["bar_no_volume"]) == 4
    assert len(found["bar_absent_share"]) == 35
    # The ninth close outside of its day's range is LNT's bad tick, which loading had refused.
    assert len(found["bar_outside"]) == 8
    assert conn.execute(
        "select count(*) from market.quarantine where reason = 'bad_bar' and raw like '2016-05-19,%LNT'"
    ).fetchone() == (1,)
