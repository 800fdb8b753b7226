"""The gateway process: FIX sessions of `oms.fix_sessions`, each in a thread of its own.

Any number of such processes may run: a lease per session decides who keeps it, the others stand by.
A session that is added or made inactive is started or ended by itself. A thread that fails ends
the process, and a changed row lets it begin anew: nothing is lost by that. The engine knows its
sessions by their names for as long as the process lives, so none can be opened a second time.
"""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Sequence
from typing import Any

from tsdb_trader import db, logs
from tsdb_trader.api import fix_sessions
from tsdb_trader.api.fix_sessions import FixSession
from tsdb_trader.clock import Clock, SystemClock
from tsdb_trader.db import Connection
from tsdb_trader.errors import TraderError, UnknownObjectError
from tsdb_trader.workers.dead_man import Pulse
from tsdb_trader.workers.gateway_orders import OrderSession
from tsdb_trader.workers.gateway_session import DropCopySession, SessionWorker
from tsdb_trader.workers.loop import Loop
from tsdb_trader.workers.stopping import Stop

_log = logs.get("gateway")
_END_S = 10.0
_FAILED = 70
_KINDS: dict[str, type[SessionWorker]] = {"order": OrderSession, "drop_copy": DropCopySession}


class SessionThread:
    """One session and the loop that runs it."""

    def __init__(self, worker: SessionWorker, url: str) -> None:
        self.worker = worker
        self._stop = Stop()
        self._url = url
        self._thread = threading.Thread(target=self._run, name=worker.name, daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def stop(self) -> None:
        """Ask for a clean end."""
        self._stop.request()

    def join(self, timeout_s: float) -> None:
        """Wait for the end."""
        self._thread.join(timeout_s)

    def _run(self) -> None:
        try:
            Loop(self.worker, url=self._url, stop=self._stop).run()
        except Exception as failure:
            _log.exception("session failed", session=self.worker.name, action="exit")
            first = (str(failure).strip() or "no message").splitlines()[0]
            print(f"error: {type(failure).__name__}: {first}", file=sys.stderr, flush=True)
            # At once: the other sessions lose nothing, and one that is missing is not noticed.
            os._exit(failure.exit_status if isinstance(failure, TraderError) else _FAILED)


class GatewayWorker:
    """Runs the active FIX sessions, or some of them.

    Parameters
    ----------
    names
        The sessions to run; none means all that are active.
    url
        The database, for the connections of every session.
    patience_s, answer_timeout_s
        As in `SessionWorker`.
    """

    kind = "gateway"
    channels = ("oms_fix_sessions",)
    poll_s = 1.0

    def __init__(
        self,
        names: Sequence[str] = (),
        url: str | None = None,
        *,
        clock: Clock | None = None,
        patience_s: float = 30.0,
        answer_timeout_s: float = 5.0,
    ) -> None:
        self._names = frozenset(names)
        self._url = url or db.database_url("tsdb_worker_gateway")
        self._clock: Clock = clock or SystemClock()
        self._pulse = Pulse(self._clock)
        self._patience_s = patience_s
        self._answer_timeout_s = answer_timeout_s
        self._changed = False
        self._running: dict[str, SessionThread] = {}
        self._ending: dict[str, SessionThread] = {}

    def start(self, conn: Connection) -> None:
        """Check that the sessions named exist.

        Raises
        ------
        UnknownObjectError
            One of them does not.
        """
        known = {row.fix_session for row in fix_sessions.list_sessions(conn)}
        missing = sorted(self._names - known)
        if missing:
            raise UnknownObjectError(
                f"no FIX session is called {', '.join(missing)}: see `tsdb-trader fix list`"
            )

    def step(self, conn: Connection) -> bool:
        """Start what is active, end what is not any more; notice what changed in between."""
        wanted = {row.fix_session: row for row in fix_sessions.list_sessions(conn)}
        wanted = {name: row for name, row in wanted.items() if self._is_ours(row)}
        self._pulse.touch()
        changed = [
            name
            for name, row in wanted.items()
            if name in self._ending
            or (name in self._running and self._running[name].worker.row != row)
        ]
        if changed:
            _log.info("sessions changed", fix_sessions=changed, action="restart")
            self._changed = True
            return False
        for name in self._running.keys() - wanted.keys():
            self._ending[name] = self._running.pop(name)
            self._ending[name].stop()
            _log.info("session ended", fix_session=name)
        for name in wanted.keys() - self._running.keys():
            self._running[name] = self._open(wanted[name])
        return False

    def finished(self) -> bool:
        """Say whether the process is to begin anew."""
        return self._changed

    def stop(self) -> None:
        """Log every session out."""
        threads = [*self._running.values(), *self._ending.values()]
        for thread in threads:
            thread.stop()
        deadline = self._clock.monotonic() + _END_S
        for thread in threads:
            thread.join(max(0.0, deadline - self._clock.monotonic()))

    def detail(self) -> dict[str, Any]:
        """Return how many sessions run here, and those that are not logged on."""
        off = [name for name, t in self._running.items() if not t.worker.logged_on()]
        return {"sessions": len(self._running), "logged_on": not off, "not_logged_on": off}

    def _is_ours(self, row: FixSession) -> bool:
        return row.status == "active" and (not self._names or row.fix_session in self._names)

    def _open(self, row: FixSession) -> SessionThread:
        worker = _KINDS[row.kind](
            row,
            self._url,
            clock=self._clock,
            pulse=self._pulse,
            patience_s=self._patience_s,
            answer_timeout_s=self._answer_timeout_s,
        )
        thread = SessionThread(worker, self._url)
        thread.start()
        _log.info("session started", fix_session=row.fix_session, venue=row.venue)
        return thread
