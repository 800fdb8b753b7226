"""One stream in a thread of its own: its lease, its connection, what goes wrong and comes back.

Source and database fail apart and are retried apart: while the database is away the stream is
read on, until as many rows wait as may; while the source is away the heartbeat goes on.
"""

from __future__ import annotations

import contextlib
import os
import random
import socket
import threading
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

import psycopg

from tsdb_trader import db, logs
from tsdb_trader.api import feeds, market, ops
from tsdb_trader.api.feeds import Feed
from tsdb_trader.clock import Clock
from tsdb_trader.db import Connection
from tsdb_trader.errors import (
    ConflictError,
    DatabaseUnavailableError,
    LeaseLostError,
    TraderError,
)
from tsdb_trader.feeds.base import Rules, Stream
from tsdb_trader.feeds.stream_registry import Ruled, Sequenced, make_stream
from tsdb_trader.workers.feeds_alerts import OFFLINE_S, Retry, one_line, raise_alert
from tsdb_trader.workers.feeds_backlog import Backlog, RunOptions
from tsdb_trader.workers.leases import Lease
from tsdb_trader.workers.loop import backoff

Make = Callable[[str, Mapping[str, Any]], Stream]

_READ_S = 0.25
_TICK_S = 0.1
_BEAT_S = 1.0
_STANDBY_S = 1.0
_STABLE_S = 5.0
# What a person has to mend is tried again this often, in case it was mended elsewhere.
_FAILED_S = 30.0


class FeedRun:
    """Runs one feed until told to stop; parameters as of `FeedsWorker`."""

    def __init__(
        self,
        feed: Feed,
        url: str,
        clock: Clock,
        *,
        rng: random.Random,
        owner: str | None = None,
        make: Make = make_stream,
    ) -> None:
        self.feed = feed
        self._url = url
        self._clock = clock
        self._rng = rng
        self._make = make
        self._name = f"feed:{feed.feed}"
        self._log = logs.get(self._name)
        self._lease = Lease(self._name, clock, owner)
        self._held: int | None = None
        self._lease_at = 0.0
        self._conn: Connection | None = None
        self._stream: Stream | None = None
        # Closed, to be opened again: it remembers what it has seen.
        self._closed: Stream | None = None
        self._options = RunOptions()
        self._backlog = Backlog(feed)
        self._source, self._database = Retry(), Retry()
        self._state, self._error = "starting", ""
        self._alerts: list[tuple[str, str]] = []
        self._alarmed = True
        self._opened = 0
        self._opened_at = self._online_at = self._data_at = clock.monotonic()
        self._confirm = False
        self._beat_at = -_BEAT_S
        self._rate = (clock.monotonic(), 0)
        self._started_at: datetime = clock.now()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name=self._name, daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """Ask for the end; `alive` tells when it has come."""
        self._stop.set()

    def join(self, timeout: float) -> None:
        """Wait for the end."""
        self._thread.join(timeout)

    @property
    def alive(self) -> bool:
        """Whether the thread still runs."""
        return self._thread.is_alive()

    @property
    def state(self) -> str:
        """Return starting, standby, running, connecting or failed."""
        return self._state

    def _run(self) -> None:
        try:
            while not self._stop.is_set():
                connected = self._try_store()
                if self._stream is not None and not self._backlog.full:
                    self._try_read()
                elif connected and self._may_open():
                    self._try_open()
                else:
                    self._stop.wait(_TICK_S)
        finally:
            self._end()

    # The source -------------------------------------------------------------------------------

    def _may_open(self) -> bool:
        # Rows that wait come first, or the stream would be asked for them again.
        due = self._clock.monotonic() >= self._source.at
        return self._stream is None and due and not self._backlog.rows

    def _try_open(self) -> None:
        conn = self._conn
        if conn is None:
            return
        try:
            positions = feeds.positions(conn, self.feed.feed_id)
            rules = Rules(**market.read_rules(conn, self.feed.feed))
        except psycopg.Error as error:
            self._lost_database(error)
            return
        try:
            self._options, configuration = RunOptions.split(self.feed.configuration)
            self._backlog.set_options(self._options)
            stream = self._closed or self._make(self.feed.format, configuration)
            self._closed = None
            if isinstance(stream, Ruled):
                stream.rules = rules
            if isinstance(stream, Sequenced):
                stream.sequences = {
                    c: last for c, (_, last) in positions.items() if last is not None
                }
            self._stream = stream
            stream.open({content: row for content, (row, _) in positions.items()})
            self._backlog.use(stream)
        except Exception as error:
            self._lost_source(error)
            return
        self._opened += 1
        self._opened_at = self._clock.monotonic()
        self._state = "running"
        self._log.info("stream open", feed=self.feed.feed, positions=len(positions))

    def _try_read(self) -> None:
        stream = self._stream
        if stream is None:
            return
        try:
            if self._confirm:
                self._confirm = False
                stream.stored()
            blocks = stream.read(_READ_S)
            self._backlog.add(blocks, stream)
        except Exception as error:
            self._lost_source(error)
            return
        now = self._clock.monotonic()
        self._online_at = now
        if blocks:
            self._data_at = now
        if blocks or now - self._opened_at > _STABLE_S:
            self._source.failures = 0

    def _lost_source(self, error: Exception) -> None:
        """Close the stream, say what is wrong, and put the next attempt off."""
        stream = self._stream
        self._close_stream()
        # What failed in another way is in a state that nobody knows.
        self._closed = stream if isinstance(error, OSError) else None
        now = self._clock.monotonic()
        self._error = f"{type(error).__name__}: {one_line(error)}"
        if isinstance(error, OSError):
            self._state = "connecting"
            delay = self._source.put_off(now, backoff(self._source.failures, self._rng))
            self._log.warning("source lost", action="reconnect", delay=delay, error=self._error)
            if now - self._online_at > OFFLINE_S:
                self._alerts.append(("offline", self._error))
            return
        self._state = "failed"
        self._alarmed = True
        if isinstance(error, TraderError):
            delay = self._source.put_off(now, _FAILED_S)
            self._log.error("feed cannot run", action="retry", delay=delay, error=self._error)
            self._alerts.append(("failed", self._error))
            return
        delay = self._source.put_off(now, backoff(self._source.failures, self._rng))
        self._log.error(
            "stream failed", action="restart", delay=delay, error=self._error, exc_info=error
        )
        self._alerts.append(("error", self._error))

    def _close_stream(self) -> None:
        stream, self._stream = self._stream, None
        self._confirm = False
        if stream is not None:
            with contextlib.suppress(Exception):
                stream.close()

    # The database -----------------------------------------------------------------------------

    def _try_store(self) -> bool:
        """Store what waits and tell how the feed is; return whether the database is there."""
        if self._clock.monotonic() < self._database.at:
            return False
        try:
            conn = self._connection()
            if not self._own(conn):
                return False
            if self._backlog.flush(conn):
                self._confirm = True
            elif self._quiet():
                self._backlog.finish_interval(conn)
            self._database.failures = 0
            self._tell(conn)
        except ConflictError as error:
            self._give_up(str(error))
        except (psycopg.OperationalError, DatabaseUnavailableError) as error:
            self._lost_database(error)
            return False
        except (psycopg.Error, TraderError) as error:
            self._refused(error)
        return True

    def _connection(self) -> Connection:
        if self._conn is None or self._conn.closed:
            self._conn = db.connect(
                self._url, autocommit=True, application_name=f"tsdb-trader {self._name}"
            )
            self._backlog.reconnected()
        return self._conn

    def _lost_database(self, error: Exception) -> None:
        if self._conn is not None:
            self._conn.close()
            self._conn = None
        now = self._clock.monotonic()
        delay = self._database.put_off(now, backoff(self._database.failures, self._rng))
        self._log.warning(
            "database unavailable",
            action="reconnect",
            delay=delay,
            waiting=self._backlog.rows,
            error=one_line(error),
        )

    def _refused(self, error: Exception) -> None:
        """Keep rows that the database does not take, until a person has looked."""
        self._error = f"{type(error).__name__}: {one_line(error)}"
        self._state = "failed"
        self._alarmed = True
        self._alerts.append(("failed", self._error))
        self._backlog.reconnected()
        delay = self._database.put_off(
            self._clock.monotonic(), backoff(self._database.failures, self._rng)
        )
        self._log.error("rows cannot be stored", action="retry", delay=delay, error=self._error)
        if self._conn is not None:
            with contextlib.suppress(psycopg.Error):
                self._tell(self._conn)

    def _quiet(self) -> bool:
        quiet = self._options.quiet_s + self._options.lateness_s
        return self._clock.monotonic() - self._data_at >= quiet

    def _own(self, conn: Connection) -> bool:
        """Keep or take the lease; without it nothing is read and nothing stored."""
        if self._lease.epoch is not None:
            try:
                self._lease.keep(conn)
            except LeaseLostError as error:
                # Nobody may have noticed, as when the database was away for both of us.
                self._log.warning("lease lost", action="acquire", error=str(error))
                self._lease.epoch = None
            else:
                return True
        now = self._clock.monotonic()
        if now < self._lease_at:
            return False
        self._lease_at = now + _STANDBY_S
        if not self._lease.acquire(conn):
            if self._held is not None:
                self._give_up("another process has taken the lease")
                self._held = None
            self._state = "standby"
            return False
        if self._held not in (None, self._lease.epoch):
            self._give_up("another process had the lease meanwhile")
        self._held = self._lease.epoch
        self._lease_at = 0.0
        if self._state == "standby":
            self._state = "starting"
        return True

    def _give_up(self, why: str) -> None:
        """Start again from what is stored; rows still in memory may be gone for good."""
        self._close_stream()
        lost = self._backlog.drop()
        self._log.warning("starting again from what is stored", why=why, dropped=lost)
        if lost:
            self._alerts.append(("error", f"{why}: {lost} rows in memory were given up"))

    # What it says about itself ----------------------------------------------------------------

    def _tell(self, conn: Connection) -> None:
        """Raise and resolve alerts, and beat when it is time."""
        while self._alerts:
            kind, error = self._alerts[0]
            raise_alert(conn, self.feed, kind, error)
            self._alerts.pop(0)
            self._alarmed = True
        # Connected, and the first read did not fail.
        if self._alarmed and self._state == "running" and self._online_at > self._opened_at:
            feeds.resolve_alerts(conn, self.feed.feed)
            self._alarmed = False
        elif self._state == "failed" and self._stream is not None and not self._database.failures:
            self._state = "running"
        now = self._clock.monotonic()
        if now >= self._beat_at + _BEAT_S:
            self._beat_at = now
            self._beat(conn, self._state)

    def _beat(self, conn: Connection, status: str) -> None:
        ops.beat(
            conn,
            self._name,
            "feed",
            os.getpid(),
            socket.gethostname(),
            status,
            self.detail(),
            self._started_at,
        )

    def detail(self) -> dict[str, Any]:
        """Return what the heartbeat shows; rows are those of this run."""
        now, stored = self._clock.monotonic(), self._backlog.stored
        since, before = self._rate
        if now - since >= _BEAT_S:
            self._rate = (now, stored)
        rate = (stored - before) / (now - since) if now > since else 0.0
        stream = {} if self._stream is None else self._stream.detail()
        reconnects = max(0, self._opened - 1) + int(stream.pop("reconnects", 0))
        backlog = self._backlog
        return {
            "format": self.feed.format,
            "rows": stored,
            "rate": round(rate, 1),
            "quarantined": backlog.quarantined,
            "missing": backlog.missing,
            "duplicates": backlog.duplicates,
            "gaps": backlog.gaps,
            "late": backlog.late,
            "batches": backlog.batches,
            "waiting": backlog.rows,
            "next_rows": dict(list(backlog.next_rows.items())[:20]),
            "reconnects": reconnects,
            **({"error": self._error} if self._error else {}),
            **stream,
        }

    def _end(self) -> None:
        """Store what still waits if the database answers, and say goodbye."""
        try:
            if self._conn is not None and not self._conn.closed and self._lease.epoch is not None:
                self._backlog.flush(self._conn)
                self._beat(self._conn, "stopped")
                self._lease.release(self._conn)
        except (psycopg.Error, TraderError) as error:
            self._log.warning("could not say goodbye", error=one_line(error))
        finally:
            self._close_stream()
            if self._conn is not None:
                self._conn.close()
