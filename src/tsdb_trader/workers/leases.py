"""Leases: at most one process does a singleton job, and it knows when it no longer may."""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta

import psycopg

from tsdb_trader import logs
from tsdb_trader.api import ops, watch
from tsdb_trader.clock import Clock
from tsdb_trader.db import Connection
from tsdb_trader.errors import LeaseLostError

_log = logs.get("lease")
TTL_S = 10.0
# Often enough that most of it is left whenever the database falls silent: see docs/decisions/0006.
_RENEW_S = 1.0
# An owner stops before its lease ends in the database, by its own clock, counted from before the
# renewal was sent: no difference between clocks or network delay lets two owners overlap.
_MARGIN_S = 1.0
# What cannot be taken back stops earlier still.
_SAFE_S = TTL_S - 2.0


@dataclass(frozen=True)
class ProcessName:
    """Who owns a lease: enough to tell, on the same machine, whether that process still lives."""

    host: str
    pid: int
    started: str

    @classmethod
    def own(cls) -> ProcessName:
        """Return the name of this process."""
        return cls(f"{socket.gethostname()}/{_pid_namespace()}", os.getpid(), _started(os.getpid()))

    @classmethod
    def parse(cls, owner: str) -> ProcessName | None:
        """Read what `str` wrote; None for an owner that is no process."""
        host, _, rest = owner.partition("#")
        pid, _, started = rest.partition("@")
        return cls(host, int(pid), started) if pid.isdigit() and started else None

    def __str__(self) -> str:
        return f"{self.host}#{self.pid}@{self.started}"

    def surely_dead(self) -> bool:
        """Say whether the process ran here and is gone."""
        here = self.own()
        return self.host == here.host and _started(self.pid) != self.started


def _pid_namespace() -> str:
    return os.readlink("/proc/self/ns/pid").strip("pid:[]")


def _started(pid: int) -> str:
    """Return the start time of a live process in clock ticks since boot, '' if there is none."""
    try:
        with open(f"/proc/{pid}/stat", encoding="latin-1") as file:
            fields = file.read().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return ""
    return "" if fields[0] in ("Z", "X") else fields[19]


class Lease:
    """A lease held by this process while `keep` succeeds."""

    def __init__(self, name: str, clock: Clock, owner: str | None = None) -> None:
        self.name = name
        self.owner = owner or str(ProcessName.own())
        self.epoch: int | None = None
        self._clock = clock
        self._renewed = 0.0

    def acquire(self, conn: Connection) -> bool:
        """Take the lease if it is free, ran out, or its owner died on this machine."""
        asked = self._clock.monotonic()
        self.epoch = ops.acquire_lease(conn, self.name, self.owner, timedelta(seconds=TTL_S))
        if self.epoch is None and self._release_of_dead_owner(conn):
            self.epoch = ops.acquire_lease(conn, self.name, self.owner, timedelta(seconds=TTL_S))
        self._renewed = asked
        if self.epoch is not None:
            _log.info("lease acquired", lease=self.name, epoch=self.epoch)
        return self.epoch is not None

    def keep(self, conn: Connection) -> None:
        """Renew the lease when that is due.

        Raises
        ------
        LeaseLostError
            Another process owns it, or this one could not renew it in time.
        """
        now = self._clock.monotonic()
        age = now - self._renewed
        if age > TTL_S - _MARGIN_S:
            raise LeaseLostError(f"lease {self.name}: not renewed for {age:.1f} s, ending")
        if age < _RENEW_S:
            return
        if self.epoch is None or not ops.renew_lease(
            conn, self.name, self.owner, self.epoch, timedelta(seconds=TTL_S)
        ):
            raise LeaseLostError(f"lease {self.name}: another process owns it, ending")
        self._renewed = now

    @contextmanager
    def kept(self, conn: Connection) -> Iterator[None]:
        """Renew the lease from a thread while the caller is busy with what it cannot interrupt.

        Raises
        ------
        LeaseLostError
            As `keep`, when the caller is done.
        """
        done = threading.Event()

        def renew() -> None:
            try:
                while not done.wait(_RENEW_S):
                    self.keep(conn)
            except (LeaseLostError, psycopg.Error) as error:
                _log.warning("lease not renewed", lease=self.name, error=str(error))

        thread = threading.Thread(target=renew, name=f"lease {self.name}", daemon=True)
        thread.start()
        try:
            yield
        finally:
            done.set()
            thread.join()
        self.keep(conn)

    def valid(self) -> bool:
        """Say whether what cannot be taken back may be done now; safe to call from any thread."""
        return self.left() > 0

    def left(self) -> float:
        """Return for how many seconds more `valid` holds if the lease is not renewed."""
        if self.epoch is None:
            return 0.0
        return self._renewed + _SAFE_S - self._clock.monotonic()

    def release(self, conn: Connection) -> None:
        """Give the lease up, so that the next process need not wait for its end."""
        if self.epoch is not None:
            ops.release_lease(conn, self.name, self.owner, self.epoch)
            self.epoch = None

    def _release_of_dead_owner(self, conn: Connection) -> bool:
        holder = watch.lease_holder(conn, self.name)
        process = ProcessName.parse(holder[0]) if holder else None
        if holder is None or process is None or not process.surely_dead():
            return False
        _log.warning("lease owner died", lease=self.name, owner=holder[0], action="release")
        ops.release_lease(conn, self.name, *holder)
        return True
