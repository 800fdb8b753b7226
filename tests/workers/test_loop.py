"""The loop of all workers: wake-ups, lost connections, heartbeats, the end."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable, Iterator

import psycopg
import pytest
from structlog.testing import capture_logs
from tests.workers.helpers import LeasedProbe, Probe, eventually

from tsdb_trader.errors import LeaseLostError
from tsdb_trader.workers.loop import Loop, backoff
from tsdb_trader.workers.stopping import Stop

RoleUrl = Callable[[str | None], str]


class Running:
    """Loops in threads, and how they ended."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.stop = Stop()
        self.errors: list[BaseException] = []
        self._threads: list[threading.Thread] = []

    def start(self, worker: Probe, url: str | None = None) -> threading.Thread:
        loop = Loop(worker, url=url or self.url, stop=self.stop, rng=random.Random(1))

        def run() -> None:
            try:
                loop.run()
            except BaseException as error:
                self.errors.append(error)

        thread = threading.Thread(target=run)
        thread.start()
        self._threads.append(thread)
        return thread

    def end(self) -> None:
        self.stop.request()
        for thread in self._threads:
            thread.join(30)
            assert not thread.is_alive()


@pytest.fixture
def running(role_url: RoleUrl) -> Iterator[Running]:
    loops = Running(role_url("tsdb_worker_signals"))
    yield loops
    loops.end()


def _terminate(url: str, application: str) -> int:
    with psycopg.connect(url) as conn:
        row = conn.execute(
            "select count(pg_terminate_backend(pid)) from pg_stat_activity "
            "where application_name = %s and datname = current_database()",
            (application,),
        ).fetchone()
    assert row is not None
    return int(row[0])


def _connected(conn: psycopg.Connection, application: str) -> bool:
    row = conn.execute(
        "select count(*) from pg_stat_activity "
        "where application_name = %s and datname = current_database()",
        (application,),
    ).fetchone()
    return row is not None and row[0] > 0


def test_loop_notification_steps_without_waiting_for_the_poll(
    conn: psycopg.Connection, running: Running
) -> None:
    worker = Probe(poll_s=3600)
    running.start(worker)
    eventually(lambda: worker.steps == 1)
    conn.execute("notify market_batches")
    eventually(lambda: worker.steps == 2)
    assert worker.started == 1


def test_loop_more_to_do_steps_again_at_once(running: Running) -> None:
    left = iter([True] * 99)
    worker = Probe(poll_s=3600, step=lambda conn: next(left, False))
    running.start(worker)
    eventually(lambda: worker.steps == 100)


def test_loop_lost_notification_is_made_up_for_by_the_poll(running: Running) -> None:
    worker = Probe(channels=(), poll_s=0.01)
    running.start(worker)
    eventually(lambda: worker.steps > 3)


def test_loop_writes_heartbeats_and_says_goodbye(
    conn: psycopg.Connection, running: Running
) -> None:
    def beat() -> tuple[str, int] | None:
        return conn.execute(
            "select status, (detail->>'steps')::integer from ops.heartbeats where worker = 'probe'"
        ).fetchone()

    worker = Probe()
    running.start(worker)
    eventually(lambda: beat() == ("running", 1))
    running.end()
    assert beat() == ("stopped", 1)
    assert worker.stopped.is_set()


def test_loop_listener_dies_comes_back_and_says_so(
    conn: psycopg.Connection, running: Running
) -> None:
    worker = Probe(poll_s=3600)
    with capture_logs() as lines:
        running.start(worker)
        eventually(lambda: worker.steps == 1)
        assert _terminate(running.url, "tsdb-trader probe listener") == 1
        eventually(lambda: any(e["event"] == "listener down" for e in lines))
        eventually(lambda: any(e["event"] == "listener is back" for e in lines))
    before = worker.steps
    conn.execute("notify market_batches")
    eventually(lambda: worker.steps > before)
    assert worker.started == 1


def test_loop_listener_back_looks_at_the_tables(conn: psycopg.Connection, running: Running) -> None:
    worker = Probe(poll_s=3600)
    running.start(worker)
    eventually(lambda: worker.steps == 1)
    _terminate(running.url, "tsdb-trader probe listener")
    # A notification sent now would be lost; the step after listening again makes up for it.
    eventually(lambda: worker.steps >= 2)
    eventually(lambda: _connected(conn, "tsdb-trader probe listener"))


def test_loop_connection_dies_reconnects(running: Running) -> None:
    worker = Probe(poll_s=0.01, step=lambda c: c.execute("select 1") is None)
    with capture_logs() as lines:
        running.start(worker)
        eventually(lambda: worker.steps > 1)
        assert _terminate(running.url, "tsdb-trader probe") == 1
        eventually(lambda: any(e["event"] == "database unavailable" for e in lines))
        before = worker.steps
        eventually(lambda: worker.steps > before + 1)
    assert worker.started == 1
    assert not running.errors


def test_loop_server_unreachable_waits_says_so_and_stops(running: Running) -> None:
    worker = Probe()
    with capture_logs() as lines:
        thread = running.start(worker, "postgresql://ann:secret@127.0.0.1:1/nowhere")
        eventually(lambda: sum(e["event"] == "database unavailable" for e in lines) >= 2)
        running.stop.request()
        thread.join(30)
    assert not thread.is_alive()
    assert worker.started == 0
    assert all(e["action"] == "reconnect" for e in lines)
    assert "secret" not in str(lines)


def test_loop_unexpected_error_ends_the_worker(running: Running) -> None:
    def fail(conn: psycopg.Connection) -> bool:
        raise ZeroDivisionError

    worker = Probe(step=fail)
    running.start(worker).join(30)
    assert [type(e) for e in running.errors] == [ZeroDivisionError]
    assert worker.stopped.is_set()


def test_loop_failed_statement_is_retried(running: Running) -> None:
    failures = iter([True])

    def step(conn: psycopg.Connection) -> bool:
        if next(failures, False):
            raise psycopg.errors.DeadlockDetected("deadlock detected")
        return False

    worker = Probe(step=step)
    running.start(worker)
    eventually(lambda: worker.steps == 1)


def test_loop_second_owner_stands_by_until_the_first_ends(
    conn: psycopg.Connection, role_url: RoleUrl, running: Running
) -> None:
    conn.execute("select ops.acquire_lease('probe', 'somebody', '1 hour')")
    worker = LeasedProbe()
    with capture_logs() as lines:
        running.start(worker)
        eventually(lambda: any(e["event"] == "standing by" for e in lines))
    assert worker.started == 0
    conn.execute("select ops.release_lease('probe', 'somebody', 1)")
    eventually(lambda: worker.started == 1)
    running.end()
    row = conn.execute("select expires_at <= clock_timestamp() from ops.leases").fetchone()
    assert row == (True,)


def test_loop_standing_by_looks_again_at_once_after_each_lost_connection(
    conn: psycopg.Connection, running: Running
) -> None:
    conn.execute("select ops.acquire_lease('probe', 'somebody', '1 hour')")
    with capture_logs() as lines:
        running.start(LeasedProbe())
        for loss in range(1, 4):
            eventually(lambda: _connected(conn, "tsdb-trader probe"))
            _terminate(running.url, "tsdb-trader probe")
            eventually(
                lambda count=loss: sum(e["event"] == "database unavailable" for e in lines) == count
            )
    delays = [e["delay"] for e in lines if e["event"] == "database unavailable"]
    assert max(delays) <= 0.5


def test_loop_lost_lease_ends_the_worker(conn: psycopg.Connection, running: Running) -> None:
    worker = LeasedProbe()
    thread = running.start(worker)
    eventually(lambda: worker.steps == 1)
    conn.execute("update ops.leases set owner = 'thief', epoch = epoch + 1")
    thread.join(60)
    assert [type(e) for e in running.errors] == [LeaseLostError]


def test_backoff_grows_up_to_a_cap() -> None:
    rng = random.Random(1)
    delays = [backoff(attempt, rng) for attempt in range(20)]
    assert 0.25 <= delays[0] <= 0.5
    assert all(15 <= delay <= 30 for delay in delays[7:])
