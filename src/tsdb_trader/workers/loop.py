"""The loop of every worker: listen, drain, then wait for a wake-up, the poll interval or the end.

Notifications only wake the loop up; what is to be done stands in the tables, so a lost one costs
at most a poll interval. A worker whose database is away waits for it and says so; a worker that
meets anything it does not understand ends, and the supervisor starts a new one.
"""

from __future__ import annotations

import os
import random
import socket
from collections.abc import Callable
from datetime import datetime
from typing import Any, Protocol, runtime_checkable

import psycopg

from tsdb_trader import db, logs
from tsdb_trader.api import ops
from tsdb_trader.clock import Clock, SystemClock
from tsdb_trader.db import Connection, Listener
from tsdb_trader.errors import DatabaseUnavailableError
from tsdb_trader.workers.leases import Lease
from tsdb_trader.workers.stopping import Stop

_BEAT_S = 1.0
_GRACE_S = 15.0
_STANDBY_S = 1.0
_MAX_DELAY_S = 30.0


class Worker(Protocol):
    """What a worker provides; the loop provides connections, wake-ups, heartbeats and the end.

    Connections are in autocommit mode: a step that changes several things opens its own
    `conn.transaction()`.
    """

    @property
    def kind(self) -> str:
        """What sort of worker it is, and its name unless it has an attribute `name`."""

    @property
    def channels(self) -> tuple[str, ...]:
        """The notification channels that wake it up."""

    @property
    def poll_s(self) -> float:
        """Seconds after which it looks at the tables without having been woken."""

    def start(self, conn: Connection) -> None:
        """Prepare; called once, before the first step."""

    def step(self, conn: Connection) -> bool:
        """Do one short piece of work; return True to be called again at once."""

    def stop(self) -> None:
        """Let go of everything outside the database; called once, at the end."""

    def detail(self) -> dict[str, Any]:
        """Return what the heartbeat shows."""


@runtime_checkable
class Wakeable(Protocol):
    """A worker with threads of its own, which wake the loop up when there is something to do."""

    def bind_wake(self, wake: Callable[[], None]) -> None:
        """Keep `wake`, which is safe to call from any thread."""


@runtime_checkable
class Leased(Protocol):
    """A worker that only one process at a time may be; the others stand by."""

    @property
    def lease(self) -> str:
        """The name of the lease."""


@runtime_checkable
class LeaseHolder(Leased, Protocol):
    """A leased worker that looks at its lease itself before it does what cannot be taken back."""

    def bind_lease(self, lease: Lease) -> None:
        """Keep the lease; the loop acquires and renews it."""


@runtime_checkable
class Finite(Protocol):
    """A worker whose work comes to an end."""

    def finished(self) -> bool:
        """Say whether the loop may end."""


def backoff(attempt: int, rng: random.Random, first_s: float = 0.5) -> float:
    """Return the seconds to wait before a retry, growing, capped and spread."""
    return float(min(_MAX_DELAY_S, first_s * 2 ** min(attempt, 16)) * rng.uniform(0.5, 1.0))


class Loop:
    """Runs one worker until it is asked to stop."""

    def __init__(
        self,
        worker: Worker,
        *,
        url: str,
        stop: Stop,
        clock: Clock | None = None,
        rng: random.Random | None = None,
        grace_s: float = _GRACE_S,
    ) -> None:
        self.worker = worker
        self.name = str(getattr(worker, "name", worker.kind))
        self._url = url
        self._stop = stop
        self._clock: Clock = clock or SystemClock()
        self._rng = rng or random.Random()  # noqa: S311 - spreads retries, no secret
        self._grace_s = grace_s
        self._log = logs.get(self.name)
        self._conn: Connection | None = None
        self._listener: Listener | None = None
        self._failures = 0
        self._relisten_at = 0.0
        self._relisten_failures = 0
        self._beat_at = -_BEAT_S
        self._status = "starting"
        self._started_at: datetime = self._clock.now()
        self._lease = Lease(worker.lease, self._clock) if isinstance(worker, Leased) else None

    def run(self) -> None:
        """Run until asked to stop, or until a finite worker is done.

        Raises
        ------
        LeaseLostError
            The worker's lease is gone; whatever it was about to do is left to the new owner.
        Exception
            Whatever a step raises, other than the loss of the database.
        """
        done = self._stop.end_within(self._grace_s)
        if isinstance(self.worker, Wakeable):
            self.worker.bind_wake(self._stop.wake)
        if isinstance(self.worker, LeaseHolder) and self._lease is not None:
            self.worker.bind_lease(self._lease)
        started = False
        try:
            while not self._stop.is_set():
                try:
                    conn = self._connection()
                    self._listen()
                    if not self._may_work(conn):
                        # It answers: the next loss of it is a first one.
                        self._failures = 0
                        self._wait(_STANDBY_S)
                        continue
                    if not started:
                        self.worker.start(conn)
                        started = True
                    self._drain(conn)
                    if isinstance(self.worker, Finite) and self.worker.finished():
                        break
                    self._wait(self.worker.poll_s)
                except (psycopg.OperationalError, DatabaseUnavailableError) as error:
                    self._recover(error)
        finally:
            self._end(started)
            done.set()

    def _drain(self, conn: Connection) -> None:
        deaf = self.worker.channels and self._listener is None
        self._status = "no listener" if deaf else "running"
        while not self._stop.is_set():
            if self._lease is not None:
                self._lease.keep(conn)
            self._beat(conn)
            more = self.worker.step(conn)
            self._failures = 0
            if not more:
                return

    def _may_work(self, conn: Connection) -> bool:
        if self._lease is None or self._lease.epoch is not None:
            return True
        if self._lease.acquire(conn):
            return True
        if self._status != "standby":
            self._log.info("standing by", lease=self._lease.name)
            self._status = "standby"
        return False

    def _connection(self) -> Connection:
        if self._conn is None or self._conn.closed:
            self._conn = db.connect(
                self._url, autocommit=True, application_name=f"tsdb-trader {self.name}"
            )
        return self._conn

    def _listen(self) -> None:
        """Listen before looking at the tables, so that nothing falls between the two."""
        if self._listener is not None or not self.worker.channels:
            return
        now = self._clock.monotonic()
        if now < self._relisten_at:
            return
        try:
            self._listener = Listener(
                self._url, self.worker.channels, f"tsdb-trader {self.name} listener"
            )
        except (psycopg.OperationalError, DatabaseUnavailableError) as error:
            self._lost_listener(error)
            return
        if self._relisten_failures:
            self._log.info("listener is back", attempts=self._relisten_failures)
        self._relisten_failures = 0

    def _lost_listener(self, error: Exception) -> None:
        if self._listener is not None:
            self._listener.close()
            self._listener = None
        delay = backoff(self._relisten_failures, self._rng)
        self._relisten_failures += 1
        self._relisten_at = self._clock.monotonic() + delay
        self._status = "no listener"
        self._log.warning(
            "listener down", action="relisten", delay=round(delay, 3), error=_one_line(error)
        )

    def _wait(self, poll_s: float) -> None:
        """Wait for a wake-up or the poll interval, beating meanwhile."""
        poll_at = self._clock.monotonic() + poll_s
        while not self._stop.is_set():
            sockets = [self._listener.fileno()] if self._listener else []
            until = poll_at
            if self._listener is None and self.worker.channels:
                until = min(until, self._relisten_at)
            next_at = min(until, self._beat_at + _BEAT_S)
            if self._stop.wait(next_at - self._clock.monotonic(), sockets):
                self._receive()
                return
            if self._clock.monotonic() >= until:
                return
            if self._conn is not None:
                self._keep_alive(self._conn)

    def _keep_alive(self, conn: Connection) -> None:
        if self._lease is not None and self._lease.epoch is not None:
            self._lease.keep(conn)
        self._beat(conn)

    def _receive(self) -> None:
        if self._listener is None:
            return
        try:
            while self._listener.wait(0):
                pass
        except psycopg.OperationalError as error:
            self._lost_listener(error)

    def _beat(self, conn: Connection) -> None:
        now = self._clock.monotonic()
        if now < self._beat_at + _BEAT_S:
            return
        self._beat_at = now
        # The heartbeat of this name is the owner's.
        if self._status != "standby":
            self._write_beat(conn)

    def _write_beat(self, conn: Connection) -> None:
        ops.beat(
            conn,
            self.name,
            self.worker.kind,
            os.getpid(),
            socket.gethostname(),
            self._status,
            self.worker.detail(),
            self._started_at,
        )

    def _recover(self, error: Exception) -> None:
        """Say what is wrong with the database, wait a little longer each time, and go on."""
        lost = self._conn is None or self._conn.closed
        if lost:
            self._conn = None
        delay = backoff(self._failures, self._rng)
        self._failures += 1
        self._log.warning(
            "database unavailable" if lost else "step failed",
            action="reconnect" if lost else "retry",
            delay=round(delay, 3),
            error=_one_line(error),
        )
        retry_at = self._clock.monotonic() + delay
        while not self._stop.is_set() and (left := retry_at - self._clock.monotonic()) > 0:
            self._stop.wait(left)

    def _end(self, started: bool) -> None:
        """Stop the worker, then say so in the database if it still answers."""
        try:
            if started:
                self.worker.stop()
        finally:
            if self._listener is not None:
                self._listener.close()
            if self._conn is not None and not self._conn.closed:
                self._say_goodbye(self._conn)

    def _say_goodbye(self, conn: Connection) -> None:
        try:
            if self._status != "standby":
                self._status = "stopped"
                self._write_beat(conn)
            if self._lease is not None:
                self._lease.release(conn)
        except psycopg.OperationalError as error:
            self._log.warning("could not say goodbye", error=_one_line(error))
        conn.close()


def _one_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]
