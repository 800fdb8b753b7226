"""Replay and signal worker together: lock-step, pace, gaps, restart, the end."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import psycopg
import pytest
from tests import factories

from tsdb_trader.api import sessions
from tsdb_trader.errors import InputError
from tsdb_trader.workers.replay import ReplayWorker, parse_speed
from tsdb_trader.workers.risk import RiskWorker
from tsdb_trader.workers.signals import SignalsWorker

START = datetime(2013, 10, 8, 14, 0, tzinfo=UTC)


class Clock:
    """Monotonic time set by the test."""

    def __init__(self) -> None:
        self.time = 0.0

    def monotonic(self) -> float:
        return self.time


@dataclass(frozen=True)
class Logins:
    """One connection per worker, each as that worker's role."""

    replay: psycopg.Connection
    signals: psycopg.Connection
    risk: psycopg.Connection


@pytest.fixture
def logins(connect_as: Callable[..., psycopg.Connection]) -> Logins:
    roles = ("tsdb_worker_replay", "tsdb_worker_signals", "tsdb_worker_risk")
    return Logins(*(connect_as(role) for role in roles))


def _feed(conn: psycopg.Connection, *seconds: float) -> None:
    """Store a quote of IBM at each of these seconds after the start."""
    instrument = factories.add_instrument(conn, "IBM")
    conn.execute("insert into ops.feeds (feed, format) values ('test', 'test')")
    times = [START + timedelta(seconds=s) for s in seconds]
    conn.execute(
        """insert into market.sources (feed_id, sha256, content, name, kind, instrument_id, status,
            next_row, rows_read, rows_stored, first_ts, last_ts)
        select feed_id, 'x', 'x', 'x', 'quotes', %s, 'complete', %s, %s, %s, %s, %s
        from ops.feeds where feed = 'test'""",
        (instrument, len(times), len(times), len(times), times[0], times[-1]),
    )
    conn.execute(
        """insert into market._quotes (ts, recv_ts, seq, bid_price, bid_size, ask_price, ask_size,
            instrument_id, source_id, feed_id, ns, flags)
        select t.ts, t.ts, t.n - 1, 999900, 100, 1000100, 100, s.instrument_id, s.source_id,
            s.feed_id, 0, 3
        from market.sources s, unnest(%s) with ordinality t(ts, n)""",
        (times,),
    )


def _open(conn: psycopg.Connection, length_s: float = 60, **parameters: object) -> uuid.UUID:
    return sessions.open_session(
        conn,
        "replay",
        "test",
        feed="test",
        from_ts=START,
        to_ts=START + timedelta(seconds=length_s),
        parameters={"speed": "max", **parameters},
    )


def _batches(conn: psycopg.Connection) -> list[tuple[int, float, float]]:
    rows = conn.execute(
        "select batch_no, extract(epoch from from_ts - %s)::float8, "
        "extract(epoch from as_of - %s)::float8 from market.batches order by batch_no",
        (START, START),
    ).fetchall()
    return [(int(n), float(a), float(b)) for n, a, b in rows]


def _status(conn: psycopg.Connection, session_id: uuid.UUID) -> str:
    session = sessions.session(conn, session_id)
    assert session is not None
    return session.status


def test_replay_lock_step_writes_the_next_batch_when_the_last_is_consumed(
    conn: psycopg.Connection, logins: Logins
) -> None:
    _feed(conn, 0.5, 1.0, 1.5)
    _open(conn)
    replay, signals = ReplayWorker(), SignalsWorker()
    assert replay.step(logins.replay)
    assert not replay.step(logins.replay)
    assert _batches(conn) == [(1, 0, 1)]
    assert signals.step(logins.signals)
    assert not signals.step(logins.signals)
    assert replay.step(logins.replay)
    assert _batches(conn) == [(1, 0, 1), (2, 1, 2)]


def test_replay_skips_empty_intervals_and_stays_on_the_grid(
    conn: psycopg.Connection, logins: Logins
) -> None:
    _feed(conn, 0.5, 10.0, 20.000001, 59.5)
    _open(conn)
    _run_to_the_end(logins)
    assert _batches(conn) == [(1, 0, 1), (2, 9, 10), (3, 20, 21), (4, 59, 60)]


def test_replay_closes_the_session_after_the_window(
    conn: psycopg.Connection, logins: Logins
) -> None:
    _feed(conn, 0.5, 5.0, 90.0)
    session_id = _open(conn)
    _run_to_the_end(logins)
    assert _status(conn, session_id) == "closed"
    assert [no for no, _, _ in _batches(conn)] == [1, 2]


def test_replay_restarted_goes_on_after_the_last_batch(
    conn: psycopg.Connection, logins: Logins
) -> None:
    _feed(conn, 0.5, 1.5, 2.5)
    _open(conn)
    ReplayWorker().step(logins.replay)
    SignalsWorker().step(logins.signals)
    ReplayWorker().step(logins.replay)
    assert _batches(conn) == [(1, 0, 1), (2, 1, 2)]


def test_replay_waits_for_an_order_without_an_answer(
    conn: psycopg.Connection, logins: Logins
) -> None:
    _feed(conn, 0.5, 1.5)
    session_id = _open(conn)
    replay = ReplayWorker()
    replay.step(logins.replay)
    SignalsWorker().step(logins.signals)
    order = factories.order(session_id, quantity="10", limit_price="100.00")
    ((order_id, status, reasons),) = factories.submit(
        conn, order, as_of=START + timedelta(seconds=1)
    )
    assert status == "pending_new", reasons
    assert not replay.step(logins.replay)
    assert replay.detail()["waiting"] == {str(session_id): "waiting"}
    factories.Venue(conn, order_id).report("new")
    assert replay.step(logins.replay)
    assert len(_batches(conn)) == 2


def test_replay_end_cancels_what_rests_before_it_closes(
    conn: psycopg.Connection, logins: Logins
) -> None:
    _feed(conn, 0.5)
    session_id = _open(conn)
    replay = ReplayWorker()
    replay.step(logins.replay)
    SignalsWorker().step(logins.signals)
    order = factories.order(session_id, quantity="10", limit_price="100.00")
    ((order_id, _, _),) = factories.submit(conn, order, as_of=START + timedelta(seconds=1))
    venue = factories.Venue(conn, order_id)
    venue.report("new")
    venue.fill(4, "100.00")
    replay.step(logins.replay)
    row = conn.execute("select status from oms.orders").fetchone()
    assert row == ("pending_cancel",)
    assert _status(conn, session_id) == "open"
    venue.report("cancelled", cum_qty="4")
    replay.step(logins.replay)
    assert _status(conn, session_id) == "closed"
    marks = conn.execute("select as_of, fees from portfolio.pnl_history").fetchall()
    assert [as_of for as_of, _ in marks] == [START + timedelta(seconds=1)]


def test_replay_timed_session_follows_the_clock(conn: psycopg.Connection, logins: Logins) -> None:
    _feed(conn, 0.5, 1.5, 9.5)
    _open(conn, speed="10")
    clock = Clock()
    replay = ReplayWorker(clock)  # type: ignore[arg-type]
    assert not replay.step(logins.replay)
    clock.time = 0.25
    while replay.step(logins.replay):
        pass
    assert _batches(conn) == [(1, 0, 1), (2, 1, 2)]
    clock.time = 1.0
    while replay.step(logins.replay):
        pass
    assert len(_batches(conn)) == 3


def test_replay_does_not_touch_a_session_that_was_closed(
    conn: psycopg.Connection, logins: Logins
) -> None:
    _feed(conn, 0.5, 1.5)
    session_id = _open(conn)
    replay = ReplayWorker()
    replay.step(logins.replay)
    SignalsWorker().step(logins.signals)
    sessions.close_session(conn, session_id)
    assert not replay.step(logins.replay)
    assert len(_batches(conn)) == 1


def test_risk_monitor_marks_a_time_once(conn: psycopg.Connection, logins: Logins) -> None:
    _feed(conn, 0.5)
    session_id = _open(conn)
    ReplayWorker().step(logins.replay)
    order = factories.order(session_id, quantity="10", limit_price="100.00")
    ((order_id, _, _),) = factories.submit(conn, order, as_of=START + timedelta(seconds=1))
    factories.Venue(conn, order_id).fill(10, "99.99")
    RiskWorker().step(logins.risk)
    RiskWorker().step(logins.risk)
    assert conn.execute("select unrealized_pnl from portfolio.pnl_history").fetchall() == [
        (Decimal("0.1"),)
    ]


def test_risk_monitor_alerts_on_a_worker_that_stopped_beating(
    conn: psycopg.Connection, logins: Logins
) -> None:
    def alerts() -> list[tuple[str, bool]]:
        return conn.execute(
            "select kind, resolved_at is not null from ops.alerts order by alert_id"
        ).fetchall()

    beat = "select ops.beat('gateway', 'gateway', 1, 'here', 'running', '{}', clock_timestamp())"
    conn.execute(beat)
    conn.execute("update ops.heartbeats set beat_at = beat_at - interval '1 minute'")
    RiskWorker().step(logins.risk)
    RiskWorker().step(logins.risk)
    assert alerts() == [("stale_heartbeat", False)]
    conn.execute(beat)
    RiskWorker().step(logins.risk)
    assert alerts() == [("stale_heartbeat", True)]


@pytest.mark.parametrize("text", ["fast", "0", "-1", "nan", "inf", ""])
def test_speed_that_cannot_be_is_refused(text: str) -> None:
    with pytest.raises(InputError, match="give 'max' or a multiple"):
        parse_speed(text)


def test_speed_is_a_multiple_or_max() -> None:
    assert parse_speed("max") is None
    assert parse_speed("2.5") == 2.5


def _run_to_the_end(logins: Logins) -> None:
    replay, signals = ReplayWorker(), SignalsWorker()
    while replay.step(logins.replay) or signals.step(logins.signals):
        pass
