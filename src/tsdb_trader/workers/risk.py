"""The risk monitor: marks positions and raises the alerts a person must see."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from tsdb_trader.api import sessions, watch
from tsdb_trader.clock import Clock, SystemClock
from tsdb_trader.db import Connection

STALE = timedelta(seconds=10)
STUCK = timedelta(seconds=30)
_MARK_S = 0.25
_WATCH_S = 2.0


class RiskWorker:
    """Marks every open session at the time of its newest batch, and watches workers and orders.

    It polls: a replay at full speed writes hundreds of batches a second, and marking each would
    cost more than stepping it.
    """

    kind = "risk"
    lease = "risk"
    channels = ("ops_sessions",)
    poll_s = _MARK_S

    def __init__(self, clock: Clock | None = None) -> None:
        self._clock: Clock = clock or SystemClock()
        self._marked: dict[UUID, datetime] = {}
        self._watched_at = float("-inf")
        self._marks = 0
        self._due = 0
        self._stale = 0

    def start(self, conn: Connection) -> None:
        """Nothing to prepare: a time that was marked is not marked again."""

    def step(self, conn: Connection) -> bool:
        """Mark what moved; look at workers and orders every now and then."""
        for session in sessions.sessions(conn, "open"):
            last = self._marked.get(session.session_id)
            if session.as_of is None or (
                last is not None and session.as_of < last + timedelta(seconds=1)
            ):
                continue
            self._marks += sessions.mark_session(conn, session.session_id, session.as_of)
            self._marked[session.session_id] = session.as_of
        now = self._clock.monotonic()
        if now >= self._watched_at + _WATCH_S:
            self._watched_at = now
            self._stale = watch.watch_workers(conn, STALE)
            self._due = watch.watch_orders(conn, STUCK)
        return False

    def stop(self) -> None:
        """Nothing is held outside the database."""

    def detail(self) -> dict[str, Any]:
        """Return what was marked since the start and what is wrong now."""
        return {"marks": self._marks, "stale_workers": self._stale, "order_alerts": self._due}
