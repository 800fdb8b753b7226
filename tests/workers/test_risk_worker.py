"""The risk worker: marks on every batch, acts in time, and carries plans through its own death."""

from __future__ import annotations

import os
import random
import signal
import threading
import uuid
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg.types.json import Jsonb
from tests import factories
from tests.workers.helpers import eventually

import nursery
from tsdb_trader.workers.risk import RiskWorker

RoleUrl = Callable[[str | None], str]
START = datetime(2013, 10, 8, 14, 0, tzinfo=UTC)


class Clock:
    """Times set by the test."""

    def __init__(self) -> None:
        self.time = 0.0

    def monotonic(self) -> float:
        return self.time

    def now(self) -> datetime:
        return at(self.time)


class Feed:
    """A session whose batches the test writes, one quote each."""

    def __init__(self, conn: psycopg.Connection, kind: str = "paper", **parameters: Any) -> None:
        self.conn = conn
        self.instrument = factories.add_instrument(conn)
        conn.execute(
            "insert into ops.feeds (feed, format) values ('test', 'test') on conflict do nothing"
        )
        row = conn.execute(
            "select ops.open_session(%s, %s, 'test', %s, %s, p_parameters => %s)",
            (kind, uuid.uuid4().hex, START, at(86400), Jsonb(parameters)),
        ).fetchone()
        assert row is not None
        self.session = row[0]
        self.count = 0
        conn.execute(
            """insert into market.sources (feed_id, sha256, content, name, kind, instrument_id, status,
                first_ts, last_ts, next_row, rows_read, rows_stored)
            select feed_id, 'x', 'x', 'x', 'quotes', %s, 'complete', %s, %s, 0, 0, 0 from ops.feeds
            on conflict do nothing""",
            (self.instrument, START, at(86400)),
        )

    def batch(self, seconds: float, mid: float = 100.0) -> None:
        """Store a quote half a second before a batch of these seconds, and write the batch."""
        price = round(mid * 10_000)
        self.count += 1
        self.conn.execute(
            """insert into market._quotes (ts, recv_ts, seq, bid_price, bid_size, ask_price,
                ask_size, instrument_id, source_id, feed_id, ns, flags)
            select %s, now(), %s, %s, 1000, %s, 1000, s.instrument_id, s.source_id, s.feed_id, 0, 3
            from market.sources s""",
            (at(seconds - 0.5), self.count, price - 100, price + 100),
        )
        row = self.conn.execute(
            "select market.write_batch(%s, %s, %s)", (self.session, at(seconds - 1), at(seconds))
        ).fetchone()
        assert row is not None
        assert row[0] is not None

    def hold(self, quantity: int, seconds: float) -> None:
        """Buy at 100."""
        spec = factories.order(self.session, quantity=str(quantity), limit_price="100.01")
        [(order_id, status, reasons)] = factories.submit(self.conn, spec, as_of=at(seconds))
        assert status == "pending_new", reasons
        factories.Venue(self.conn, order_id).fill(quantity)

    def marked(self) -> list[datetime]:
        rows = self.conn.execute(
            "select as_of from portfolio.pnl_history where session_id = %s order by as_of",
            (self.session,),
        ).fetchall()
        return [as_of for (as_of,) in rows]


def at(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


@pytest.fixture
def worker_conn(role_url: RoleUrl) -> Iterator[psycopg.Connection]:
    with psycopg.connect(role_url("tsdb_worker"), autocommit=True) as connection:
        yield connection


class Process:
    """A risk worker in a process of its own."""

    def __init__(self, url: str, folder: Path) -> None:
        self._log = (folder / "risk.log").open("ab")
        self.process = nursery.start(
            Path(__file__).with_name("risk_process.py"), url, stdout=self._log, stderr=self._log
        )

    def kill(self) -> None:
        """End it at once."""
        os.kill(self.process.pid, signal.SIGKILL)
        self.process.wait(10)
        self._log.close()


def test_worker_marks_on_every_batch_and_says_what_it_skipped(conn, worker_conn):
    feed = Feed(conn)
    clock = Clock()
    worker = RiskWorker(clock)
    feed.batch(1)
    feed.hold(10, 1)
    for second in (2, 3):
        worker.step(worker_conn)
        feed.batch(second)
    worker.step(worker_conn)
    assert feed.marked() == [at(1), at(2), at(3)]
    for second in (4, 5, 6):
        feed.batch(second)
    worker.step(worker_conn)
    assert feed.marked() == [at(1), at(2), at(3), at(6)]
    assert worker.detail()["skipped_batches"] == 2


def test_worker_follows_a_replay_at_full_speed_at_its_own_pace(conn, worker_conn):
    feed = Feed(conn, "replay", speed="max")
    clock = Clock()
    worker = RiskWorker(clock)
    feed.batch(1)
    feed.hold(10, 1)
    worker.step(worker_conn)
    feed.batch(2)
    worker.step(worker_conn)
    assert feed.marked() == [at(1)]
    clock.time = 0.3
    worker.step(worker_conn)
    assert feed.marked() == [at(1), at(2)]


def test_worker_judges_a_live_session_by_the_clock_when_its_feed_is_silent(conn, worker_conn):
    feed = Feed(conn, "live")
    clock = Clock()
    worker = RiskWorker(clock)
    feed.batch(1)
    feed.hold(10, 1)
    conn.execute("select risk.set_monitor_limit('mark_age', '{}', 5, 10, 'test')")
    while clock.time < 20:
        worker.step(worker_conn)
        clock.time += 0.5
    levels = conn.execute("select level from risk.breaches order by breach_id").fetchall()
    assert levels == [("soft",), ("hard",)]
    # And a batch that comes then is looked at again.
    clock.time = 30
    feed.batch(40)
    worker.step(worker_conn)
    assert feed.marked()[-1] == at(40)


def test_worker_started_anew_keeps_the_opening_and_the_high_water_mark(conn, worker_conn):
    feed = Feed(conn)
    feed.batch(1)
    feed.hold(100, 1)
    conn.execute("select risk.set_monitor_limit('drawdown', '{}', 249, 1000, 'test')")
    for second, mid in ((2, 100), (3, 102), (4, 100), (5, 99.5)):
        feed.batch(second, mid)
        RiskWorker(Clock()).step(worker_conn)
    rows = conn.execute("select since, measure, level from risk.breaches").fetchall()
    assert rows == [(at(5), "drawdown", "soft")]


def test_breach_in_a_batch_alerts_and_sets_the_state_within_five_seconds(conn, role_url, tmp_path):
    feed = Feed(conn)
    feed.batch(1)
    feed.hold(100, 1)
    process = Process(role_url("tsdb_worker"), tmp_path)
    try:
        eventually(feed.marked)
        for n in range(1, 7):
            # A new limit each time, and a batch within it that ends the breach before.
            conn.execute(
                "select risk.set_monitor_limit('daily_loss', '{}', %s, %s, 'test')",
                (n * 50 - 20, n * 50 - 10),
            )
            conn.execute(
                "update risk.halts set resumed_at = clock_timestamp(), resumed_by = 'test' "
                "where resumed_at is null"
            )
            feed.batch(n * 100 - 10, 100 - (n - 1) * 0.5)
            eventually(lambda n=n: at(n * 100 - 10) in feed.marked())
            feed.batch(n * 100, 100 - n * 0.5)
            eventually(lambda n=n: at(n * 100) in feed.marked())
    finally:
        process.kill()
    rows = conn.execute(
        """select extract(epoch from a.raised_at - b.recorded_at)::float8,
            extract(epoch from h.halted_at - b.recorded_at)::float8
        from risk.breaches x
        join market.batches b on b.session_id = x.session_id and b.as_of = x.since
        join ops.alerts a using (alert_id)
        cross join lateral (
            select min(h.halted_at) as halted_at from risk.halts h
            where h.scope = x.scope and h.state = 'halted' and h.halted_at > b.recorded_at) h
        where x.level = 'hard'"""
    ).fetchall()
    alerts, states = ([row[i] for row in rows] for i in (0, 1))
    print("batch to alert, to state, s: median", sorted(alerts)[3], sorted(states)[3])
    print("worst", max(alerts), max(states))
    assert len(rows) == 6
    assert max(alerts) < 5
    assert max(states) < 5


class Market:
    """Fills and cancels the child orders of plans as a venue would, at random."""

    def __init__(self, conn: psycopg.Connection, seed: int) -> None:
        self.conn = conn
        self.random = random.Random(seed)
        self.venues: dict[int, factories.Venue] = {}

    def act(self, seconds: float) -> None:
        """Answer every cancel, and fill a part of each working order."""
        rows = self.conn.execute(
            "select order_id, status, leaves_quantity, cumulative_quantity from oms.orders "
            "where origin = 'plan' and is_live"
        ).fetchall()
        for order_id, status, leaves, filled in rows:
            venue = self.venues.setdefault(order_id, factories.Venue(self.conn, order_id))
            if status == "pending_cancel" and self.random.random() < 0.7:
                venue.report("cancelled", cum_qty=str(filled))
            elif self.random.random() < 0.7:
                venue.fill(
                    self.random.randint(1, int(leaves)), transact_time=at(seconds).isoformat()
                )


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_worker_killed_in_mid_plan_makes_no_child_twice_and_ends_at_the_target(
    conn, role_url, tmp_path
):
    feed = Feed(conn)
    feed.batch(1)
    feed.hold(200, 1)
    conn.execute(
        "select risk.plan_reduction(%s, 'main', 'manual', '{\"IBM\": 50}', "
        "'{\"bucket_s\": 5, \"max_quantity\": 20}', 'test', %s)",
        (feed.session, at(2)),
    )
    market = Market(conn, 11)
    url = role_url("tsdb_worker")
    process = Process(url, tmp_path)
    pick = random.Random(5)
    kills, second = 0, 2

    def done() -> bool:
        row = conn.execute("select status from risk.reduction_plans").fetchone()
        return row == ("done",)

    try:
        while not done():
            second += 1
            assert second < 600, "the plan does not come to an end"
            feed.batch(second)
            if kills < 4 and second % 8 == 0:
                # In the middle of what this batch makes it do, or beside it.
                threading.Event().wait(pick.uniform(0, 0.02))
                process.kill()
                kills += 1
                process = Process(url, tmp_path)
            eventually(lambda second=second: at(second) in feed.marked() or done())
            market.act(second)
    finally:
        process.kill()
    assert kills == 4
    check_plan(conn, bucket_s=5, cap=20, target=50)


def check_plan(conn: psycopg.Connection, bucket_s: int, cap: int, target: int) -> None:
    """Assert that a plan kept to its caps, made each child once, never flipped, ended exactly."""
    row = conn.execute(
        "select count(*), count(distinct (plan_id, leg, bucket_no)), count(order_id), "
        "(select count(*) from oms.orders where origin = 'plan') from risk.reduction_slices"
    ).fetchone()
    assert row is not None
    assert len(set(row)) == 1, row
    rows = conn.execute(
        "select e.ts, e.side, e.quantity from oms.executions e order by e.execution_id"
    ).fetchall()
    position, buckets = Decimal(0), dict[int, Decimal]()
    for ts, side, quantity in rows:
        position += quantity if side == "buy" else -quantity
        assert position >= target
        if side == "sell":
            bucket = int((ts - at(2)).total_seconds() // bucket_s)
            buckets[bucket] = buckets.get(bucket, Decimal(0)) + quantity
    assert max(buckets.values()) <= cap
    assert len(buckets) > 5
    assert position == target
