"""market.cross_check against pandas, on made-up and on recorded quotes."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pandas as pd
import psycopg
import pytest

from quality_data import Tick, store
from tsdb_trader.api import quality
from tsdb_trader.errors import InputError, UnknownObjectError
from tsdb_trader.feeds import loader
from tsdb_trader.feeds.base import Options

START = datetime(2014, 5, 1, tzinfo=UTC)
SECOND = timedelta(seconds=1)


def walk(seed: int, seconds: int, *, every: float = 0.7, lag: float = 0.0) -> list[Tick]:
    """Return quotes of one true price, looked at at random times and `lag` seconds late."""
    truth = np.cumsum(np.random.default_rng(0).integers(-40, 41, seconds + 60)) + 1_000_000
    rng = np.random.default_rng(seed)
    times = np.sort(rng.uniform(0, seconds, int(seconds / every)))
    ticks = []
    for time in times:
        mid = int(truth[max(int(time - lag), 0)]) + int(rng.integers(-3, 4))
        half = int(rng.integers(-2, 12))
        ticks.append(Tick(START + timedelta(seconds=float(time)), bid=mid - half, ask=mid + half))
    return ticks


def frame(conn: psycopg.Connection, feed: str) -> pd.DataFrame:
    rows = conn.execute(
        """select ts, bid_price, ask_price from market.quotes
           where feed_id = (select feed_id from ops.feeds where feed = %s)
           order by ts, ns, source_id, seq""",
        (feed,),
    ).fetchall()
    found = pd.DataFrame(rows, columns=["ts", "bid", "ask"])
    found["ts"] = pd.DatetimeIndex(found["ts"]).as_unit("us")
    return found


def by_pandas(
    a: pd.DataFrame, b: pd.DataFrame, to: datetime, bucket: str, lags: int, silent: str = "60s"
) -> dict[tuple[str, str | None], Any]:
    """Compute the same measures with merge_asof, quantile and corr."""
    grid = pd.DataFrame({"ts": pd.date_range(START, to, freq=bucket).as_unit("us")})
    tolerance = pd.Timedelta(silent)
    sides = [
        pd.merge_asof(grid, quotes, on="ts", tolerance=tolerance).set_index("ts")
        for quotes in (a, b)
    ]
    mids = [(side.bid + side.ask) / 2 for side in sides]
    both = mids[0].notna() & mids[1].notna()
    difference = (mids[0] - mids[1])[both]
    apart = (sides[0].bid > sides[1].ask) | (sides[1].bid > sides[0].ask)
    changes = [mid.diff() for mid in mids]
    found: dict[tuple[str, str | None], Any] = {
        ("buckets", None): both.sum(),
        ("mid_difference_mean", None): difference.mean(),
        ("apart", None): apart[both].mean(),
        ("correlation", None): changes[0].corr(changes[1]),
        ("lags", None): {
            lag: changes[0].corr(changes[1].shift(-lag)) for lag in range(-lags, lags + 1)
        },
    }
    bps = 1e4 * difference / ((mids[0] + mids[1]) / 2)[both]
    for name, quantile in (("p50", 0.5), ("p99", 0.99), ("max", 1)):
        found[f"mid_difference_{name}", None] = difference.abs().quantile(quantile)
        found[f"mid_difference_{name}_bps", None] = bps.abs().quantile(quantile)
    for name, quotes in (("a", a), ("b", b)):
        held = quotes.ts.shift(-1).fillna(pd.Timestamp(to)) - quotes.ts
        held = held.clip(upper=tolerance)
        crossed = quotes.bid > quotes.ask
        found["rows", name] = len(quotes)
        found["crossed_rows", name] = crossed.sum()
        found["crossed_time", name] = held[crossed].sum() / held.sum()
    return found


def compare(
    conn: psycopg.Connection, to: datetime, bucket: timedelta, lags: int, **kinds: Any
) -> dict:
    row = conn.execute("select instrument_id from market.quotes limit 1").fetchone()
    assert row is not None
    ours = quality.cross_check(conn, row[0], ("a", "b"), START, to, bucket, lags)
    found = {(m.measure, m.feed): m for m in ours}
    theirs = by_pandas(frame(conn, "a"), frame(conn, "b"), to, f"{bucket.total_seconds()}s", lags)
    for key, value in theirs.items():
        if key[0] != "lags":
            assert found[key].value == pytest.approx(value, rel=1e-9, abs=1e-12), key
    correlations = theirs["lags", None]
    lead = found["lead", None]
    if max(correlations.values()) > 0.1:
        best = max(correlations, key=lambda lag: correlations[lag])
        assert lead.value == pytest.approx(best * bucket.total_seconds())
        assert lead.detail is not None
        for lag, value in correlations.items():
            assert lead.detail[str(lag)] == pytest.approx(value, abs=1e-9)
    else:
        assert lead.value is None
    return found


def test_cross_check_equals_pandas_and_sees_who_leads(conn):
    store(conn, walk(1, 3000), feed="a")
    store(conn, walk(2, 3000, lag=4), feed="b")
    found = compare(conn, START + timedelta(seconds=3000), SECOND, 8)
    assert found["lead", None].value == 4
    assert (found["lead", None].threshold, found["lead", None].beyond) == (2, True)
    assert found["crossed_time", "a"].beyond is True
    assert found["rows", "a"].beyond is None


def test_cross_check_missing_stretches_are_those_in_which_the_other_went_on(conn):
    def quotes(*seconds: int) -> list[Tick]:
        return [Tick(START + timedelta(seconds=s), bid=100, ask=102) for s in seconds]

    # Both are silent from 300 to 500; a alone from 600 to 700, b alone at the end.
    store(conn, quotes(*range(0, 301, 10), *range(500, 601, 10), *range(700, 1001, 10)), feed="a")
    store(conn, quotes(*range(0, 301, 10), *range(500, 901, 10)), feed="b")
    instrument = conn.execute("select min(instrument_id) from ref.instruments").fetchone()[0]
    measures = quality.cross_check(
        conn, instrument, ("a", "b"), START, START + timedelta(seconds=1000)
    )
    found = {m.feed: m for m in measures if m.measure == "missing_time"}
    assert (found["a"].value, found["b"].value) == (0.1, 0.1)
    assert found["a"].detail == {
        "stretches": 1,
        "longest": [
            {"from": "2014-05-01T00:10:00+00:00", "to": "2014-05-01T00:11:40+00:00", "seconds": 100}
        ],
    }


def test_cross_check_quotes_older_than_the_rule_are_not_compared(conn):
    store(conn, [Tick(START, bid=100, ask=102)], feed="a")
    store(conn, [Tick(START + SECOND * s, bid=100, ask=102) for s in range(300)], feed="b")
    instrument = conn.execute("select min(instrument_id) from ref.instruments").fetchone()[0]
    to = START + timedelta(seconds=299)

    def buckets() -> float:
        measures = quality.cross_check(conn, instrument, ("a", "b"), START, to)
        return next(m.value for m in measures if m.measure == "buckets")

    assert buckets() == 61
    quality.set_rule(conn, "cross_silent_s", 100, "slow feed", {"symbol": "ABC"})
    assert buckets() == 101


def test_cross_check_of_no_use_is_refused(conn, connect_as):
    store(conn, [Tick(START, bid=100, ask=102)], feed="a")
    store(conn, [Tick(START, bid=100, ask=102)], feed="b")
    reader = connect_as("tsdb_readonly")
    instrument = conn.execute("select min(instrument_id) from ref.instruments").fetchone()[0]
    to = START + timedelta(hours=1)
    good: dict[str, Any] = {
        "instrument_id": instrument,
        "feeds": ("a", "b"),
        "from_ts": START,
        "to_ts": to,
    }
    assert len(quality.cross_check(reader, **good)) == 20
    for change, error, message in (
        ({"instrument_id": -1}, UnknownObjectError, "unknown instrument"),
        ({"feeds": ("a", "c")}, UnknownObjectError, "unknown feed c"),
        ({"feeds": ("a", "a")}, InputError, "with itself"),
        ({"to_ts": START}, InputError, "no span of time"),
        ({"bucket": timedelta(0)}, InputError, "no span of time"),
        ({"bucket": timedelta(microseconds=1)}, InputError, "longer bucket"),
        ({"lags": -1}, InputError, "lags"),
    ):
        with pytest.raises(error, match=message):
            quality.cross_check(reader, **good | change)


@pytest.mark.needs_data
@pytest.mark.slow
@pytest.mark.parametrize(("zone", "lead"), [(None, 0), ("UTC", 5 * 3600)])
def test_cross_check_of_two_brokers_equals_pandas_and_finds_a_wrong_clock(
    conn, data_folder, zone, lead
):
    """The payrolls of 2014-05-02, 12:30 UTC, stand in FXCM's archive at 07:30."""
    for feed, broker in (("a", "fxcm"), ("b", "oanda")):
        archives = data_folder / "fx_ticks" / broker
        options = Options(timezone=zone if broker == "fxcm" else None)
        loader.load(conn, "lean", [archives], feed=feed, options=options)
    to = datetime(2014, 5, 3, tzinfo=UTC)
    found = compare(conn, to, SECOND, 2)
    assert found["rows", "a"].value == 147_459
    assert found["rows", "b"].value == 73_520
    assert found["crossed_rows", "a"].value == 16_052
    assert found["crossed_rows", "b"].value == 0
    assert (found["apart", None].value > 0.9) == bool(lead)
    found = compare(conn, to, timedelta(minutes=1), 330 if lead else 10)
    assert found["lead", None].value == lead
    assert found["lead", None].detail[str(lead // 60)] > 0.9
