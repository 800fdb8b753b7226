"""Spreads per minute from the bars of both legs."""

from __future__ import annotations

import math
from collections.abc import Callable
from datetime import timedelta

import psycopg
import pytest

from pair_market import NEXT_OPEN, OPEN, load_wave, save_pair

MINUTE = timedelta(minutes=1)


def test_spreads_1m_equal_the_last_quotes_of_each_minute(
    conn: psycopg.Connection, connect_as: Callable[..., psycopg.Connection]
) -> None:
    load_wave(conn, NEXT_OPEN, 400)
    pair = save_pair(conn, hedge_ratio=0.9, mean=0.01, deviation=0.002)
    rows = (
        connect_as("tsdb_readonly")
        .execute(
            """select pair_id, symbol_a, symbol_b, feed, bucket, mid_a, mid_b, spread, z_score
           from signal.spreads_1m where bucket >= %s and bucket < %s order by bucket""",
            (NEXT_OPEN, NEXT_OPEN + 5 * MINUTE),
        )
        .fetchall()
    )
    assert [r[4] for r in rows] == [NEXT_OPEN + n * MINUTE for n in range(5)]
    for row in rows:
        assert row[:4] == (pair, "A", "B", "test")
        mids = conn.execute(
            """select (array_agg((q.bid_price + q.ask_price) / 2.0 order by q.ts desc, q.seq desc))[1]
               from market._quotes q join ref.instruments i using (instrument_id)
               where q.ts >= %s and q.ts < %s group by i.symbol order by i.symbol""",
            (row[4], row[4] + MINUTE),
        ).fetchall()
        a, b = (float(m[0]) / 10_000 for m in mids)
        assert (row[5], row[6]) == pytest.approx((a, b), rel=1e-12)
        spread = math.log(a) - 0.9 * math.log(b)
        assert row[7] == pytest.approx(spread, abs=1e-12)
        assert row[8] == pytest.approx((spread - 0.01) / 0.002, abs=1e-6)


def test_spreads_1m_show_active_pairs_within_their_validity(conn: psycopg.Connection) -> None:
    load_wave(conn, NEXT_OPEN, 200)
    first = save_pair(conn)
    count = "select pair_id, count(*), count(z_score) from signal.spreads_1m group by 1 order by 1"
    assert conn.execute(count).fetchall() == [(first, 4, 0)]
    # A later calibration takes over in the middle; minutes are of the one valid at their start.
    later = save_pair(conn, calibrated=(OPEN, NEXT_OPEN + 2 * MINUTE), mean=0.0)
    shortened = conn.execute(count).fetchall()
    assert sorted(r[1:] for r in shortened) == [(2, 0), (2, 2)]
    assert (later, 2, 2) in shortened
    conn.execute("update signal.pairs set enabled = false where pair_id = %s", (later,))
    assert len(conn.execute(count).fetchall()) == 1
    conn.execute("update signal.strategies set status = 'disabled' where strategy = 'pairs'")
    assert conn.execute(count).fetchall() == []


def test_spreads_1m_a_bound_on_bucket_reaches_the_bars(conn: psycopg.Connection) -> None:
    load_wave(conn, NEXT_OPEN, 100)
    save_pair(conn)
    conn.execute("select market.refresh_rollups()")
    plan = "\n".join(
        row[0]
        for row in conn.execute(
            "explain select * from signal.spreads_1m where bucket >= '2013-10-08 13:31+00' "
            "and bucket < '2013-10-08 13:32+00'"
        ).fetchall()
    )
    # The bound itself, not the comparison with a pair's validity, and where an index is read.
    bounds = [line for line in plan.splitlines() if "bucket >= '" in line and "Index Cond" in line]
    assert bounds, plan
    # The minutes that are stored: a table of ours, or what a continuous aggregate keeps.
    assert "_bars_1m_quotes" in plan or "_hyper_" in plan, plan
