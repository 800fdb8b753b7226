"""From a signal's targets to orders: the difference to what the pair holds, as one basket."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import Any

import psycopg
import pytest

from factories import AS_OF, Venue, open_session, set_quote


class Pair:
    """A session with one bound pair whose signals the test writes itself."""

    def __init__(self, conn: psycopg.Connection) -> None:
        self.conn = conn
        self.session_id = open_session(conn)
        self.batch_no = 0
        self.legs = [
            set_quote(conn, self.session_id, "AAA", 99.99, 100.01),
            set_quote(conn, self.session_id, "BBB", 49.99, 50.01),
        ]
        row = conn.execute(
            """insert into signal.pairs (strategy_id, instrument_a, instrument_b, parameters,
                calibrated_from, calibrated_to, code_version, valid_from)
            values (1, %s, %s, row(1, 0, 1, 2, 0.5, 6, 60, 0, 300, 10000, null, null), '2013-10-07',
                '2013-10-08', 'test', '2013-10-08') returning pair_id""",
            self.legs,
        ).fetchone()
        assert row is not None
        self.pair_id = row[0]
        conn.execute(
            "insert into signal.session_pairs values (%s, %s, 'main', '')",
            (self.session_id, self.pair_id),
        )

    def batch(self) -> int:
        """Write a batch a second after the last one, with fresh quotes."""
        self.batch_no += 1
        as_of = AS_OF + timedelta(seconds=self.batch_no)
        set_quote(self.conn, self.session_id, "AAA", 99.99, 100.01, ts=as_of)
        set_quote(self.conn, self.session_id, "BBB", 49.99, 50.01, ts=as_of)
        row = self.conn.execute(
            """insert into market.batches (session_id, batch_no, from_ts, as_of, quote_count,
                trade_count, digest) values (%s, %s, %s, %s, 2, 0, 0) returning batch_id""",
            (self.session_id, self.batch_no, as_of - timedelta(seconds=1), as_of),
        ).fetchone()
        assert row is not None
        return int(row[0])

    def signal(self, batch_id: int, *targets: int) -> None:
        """Write the pair's signal of a batch."""
        row = self.conn.execute(
            """insert into signal.signals (as_of, session_id, strategy_id, pair_id, batch_id,
                batch_no, event, target, spread, z_score)
            select as_of, session_id, 1, %s, batch_id, batch_no, 'enter_long', 1, 0, -3
            from market.batches where batch_id = %s returning signal_id, as_of""",
            (self.pair_id, batch_id),
        ).fetchone()
        assert row is not None
        for leg, (instrument_id, target) in enumerate(zip(self.legs, targets, strict=True), 1):
            self.conn.execute(
                "insert into signal.targets values (%s, %s, %s, %s, %s, 1, %s, 0, 1, 1)",
                (row[1], row[0], leg, instrument_id, target, row[1]),
            )

    def submit(self, batch_id: int) -> int:
        """Submit the batch's signals."""
        row = self.conn.execute("select oms.submit_signals(%s)", (batch_id,)).fetchone()
        assert row is not None
        return int(row[0])

    def trade(self, *targets: int) -> list[tuple[Any, ...]]:
        """Signal targets in a new batch; return (side, quantity, limit, status) of its orders."""
        batch_id = self.batch()
        self.signal(batch_id, *targets)
        before = self.count()
        self.submit(batch_id)
        return self.conn.execute(
            "select side, quantity, limit_price, status from oms.orders order by order_id offset %s",
            (before,),
        ).fetchall()

    def count(self) -> int:
        """Return the number of orders."""
        row = self.conn.execute("select count(*) from oms.orders").fetchone()
        assert row is not None
        return int(row[0])

    def orders(self, status: str) -> list[int]:
        """Return the orders in a status."""
        return [
            r[0]
            for r in self.conn.execute(
                "select order_id from oms.orders where status = %s order by 1", (status,)
            ).fetchall()
        ]


@pytest.fixture
def pair(conn: psycopg.Connection) -> Pair:
    return Pair(conn)


def test_entry_submits_both_legs_beyond_the_adverse_quote(pair):
    assert pair.trade(100, -200) == [
        ("buy", 100, Decimal("100.07"), "pending_new"),
        ("sell_short", 200, Decimal("49.96"), "pending_new"),
    ]


def test_same_batch_twice_submits_once(pair):
    batch_id = pair.batch()
    pair.signal(batch_id, 100, -200)
    assert pair.submit(batch_id) == 2
    assert pair.submit(batch_id) == 2
    assert pair.count() == 2


def test_exit_after_partial_fills_undoes_what_was_filled_and_cancels_the_rest(conn, pair):
    pair.trade(100, -200)
    first, second = pair.orders("pending_new")
    Venue(conn, first).fill(100)
    Venue(conn, second).fill(150)
    assert [row[:2] for row in pair.trade(0, 0)] == [("sell", 100), ("buy", 150)]
    assert pair.orders("pending_cancel") == [second]


def test_reversal_crosses_zero_with_one_order_per_leg(conn, pair):
    pair.trade(100, -200)
    for order_id in pair.orders("pending_new"):
        venue = Venue(conn, order_id)
        venue.fill(100 if venue.side == "buy" else 200)
    assert [row[:2] for row in pair.trade(-100, 200)] == [("sell_short", 200), ("buy", 400)]


def test_target_already_held_submits_nothing(conn, pair):
    pair.trade(100, 0)
    Venue(conn, pair.orders("pending_new")[0]).fill(100)
    assert pair.trade(100, 0) == []


def test_signal_of_a_batch_that_waited_trades_at_the_sessions_time(conn, pair):
    late = pair.batch()
    pair.signal(late, 100, -200)
    pair.batch()
    assert pair.submit(late) == 2
    rows = conn.execute(
        "select status, as_of - signal_as_of from oms.orders order by order_id"
    ).fetchall()
    assert rows == [("pending_new", timedelta(seconds=1))] * 2


def test_denied_leg_denies_the_other_and_the_next_signal_tries_again(conn, pair):
    conn.execute("""select risk.halt('{"symbol": "BBB"}', 'test')""")
    assert [row[3] for row in pair.trade(100, -200)] == ["denied", "denied"]
    conn.execute("""select risk.resume('{"symbol": "BBB"}', 'test')""")
    assert [row[3] for row in pair.trade(100, -200)] == ["pending_new", "pending_new"]


def test_pairs_that_share_a_stock_hold_their_own_part(conn, pair):
    pair.trade(100, -200)
    Venue(conn, pair.orders("pending_new")[0]).fill(100)
    other = Pair.__new__(Pair)
    other.__dict__.update(pair.__dict__)
    row = conn.execute(
        """insert into signal.pairs (strategy_id, instrument_a, instrument_b, parameters,
            calibrated_from, calibrated_to, code_version, valid_from)
        select strategy_id, instrument_a, instrument_b, parameters, calibrated_from, calibrated_to,
            'other', valid_from from signal.pairs returning pair_id"""
    ).fetchone()
    assert row is not None
    other.pair_id = row[0]
    conn.execute(
        "insert into signal.session_pairs values (%s, %s, 'main', '')",
        (pair.session_id, other.pair_id),
    )
    assert [r[:2] for r in other.trade(-50, 0)] == [("sell", 50)], "its own 50, from flat"


def test_sale_at_a_bid_of_one_tick_is_limited_to_that_tick(conn, pair):
    batch = pair.batch()
    set_quote(conn, pair.session_id, "BBB", 0.01, 0.02, ts=AS_OF + timedelta(seconds=1))
    pair.signal(batch, 100, -200)
    assert conn.execute("select oms.submit_signals(%s)", (batch,)).fetchone() == (2,)
    assert conn.execute(
        "select limit_price from oms.orders where instrument_id = %s", (pair.legs[1],)
    ).fetchone() == (Decimal("0.01"),)
