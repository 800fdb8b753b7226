"""The risk monitor: marks and judges positions, reduces them by plan, and alerts."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from tsdb_trader.api import monitor, watch
from tsdb_trader.clock import Clock, SystemClock
from tsdb_trader.db import Connection

STALE = timedelta(seconds=10)
STUCK = timedelta(seconds=30)
_POLL_S = 0.25
_FULL_SPEED_S = 0.25
_SILENT_S = 2.0
_WATCH_S = 2.0


@dataclass
class _Seen:
    """How far a session was looked at: batch, session time, and when by our own clock."""

    batch_no: int
    as_of: datetime
    at: float
    silent_since: float


class RiskWorker:
    """Marks every open session on each batch, acts on its limits and carries out its plans.

    Marks are those of the newest batch, so one that cannot keep up, or follows a replay at full
    speed, which would be slower for being looked at hundreds of times a second, goes on with the
    newest; the heartbeat says how many batches were never looked at. A live session without a
    batch is judged by the clock: marks grow old when a feed falls silent.

    It has no lease: two of them do no harm, and one that died would stop its successor from
    alerting in time.
    """

    kind = "risk"
    channels = ("market_batches", "ops_sessions")
    poll_s = _POLL_S

    def __init__(self, clock: Clock | None = None) -> None:
        self._clock: Clock = clock or SystemClock()
        self._seen: dict[UUID, _Seen] = {}
        self._watched_at = float("-inf")
        self._marks = 0
        self._skipped = 0
        self._breaches = 0
        self._orders = 0
        self._due = 0
        self._stale = 0

    def start(self, conn: Connection) -> None:
        """Nothing to prepare: a time that was looked at is not looked at again."""

    def step(self, conn: Connection) -> bool:
        """Judge what moved and step the plans; look at workers and orders every now and then."""
        found = monitor.open_sessions(conn)
        for session in found:
            as_of = self._due_time(session)
            if as_of is not None:
                self._breaches += monitor.monitor_session(conn, session.session_id, as_of)
                self._marks += 1
            newest = max(session.as_of, self._seen[session.session_id].as_of)
            self._orders += monitor.step_plans(conn, session.session_id, newest)
        still_open = {session.session_id for session in found}
        self._seen = {key: seen for key, seen in self._seen.items() if key in still_open}
        now = self._clock.monotonic()
        if now >= self._watched_at + _WATCH_S:
            self._watched_at = now
            self._stale = watch.watch_workers(conn, STALE)
            self._due = watch.watch_orders(conn, STUCK)
            monitor.watch_sessions(conn)
            for session in found:
                monitor.record_var(conn, session.session_id, self._seen[session.session_id].as_of)
        return False

    def _due_time(self, session: monitor.Open) -> datetime | None:
        """Return the session time to look at now, None when there is nothing new."""
        now = self._clock.monotonic()
        seen = self._seen.get(session.session_id)
        if seen is None:
            # What was before this worker is not its to have skipped.
            self._seen[session.session_id] = _Seen(session.batch_no, session.as_of, now, now)
            return session.as_of
        if session.batch_no > seen.batch_no:
            if session.at_full_speed and now < seen.at + _FULL_SPEED_S:
                return None
            self._skipped += session.batch_no - seen.batch_no - 1
            seen.batch_no, seen.at, seen.silent_since = session.batch_no, now, now
        elif session.kind == "live" and now >= max(seen.at, seen.silent_since) + _SILENT_S:
            seen.at = now
            if self._clock.now() <= seen.as_of:
                return None
            seen.as_of = self._clock.now()
            return seen.as_of
        else:
            return None
        seen.as_of = max(seen.as_of, session.as_of)
        return seen.as_of

    def stop(self) -> None:
        """Nothing is held outside the database."""

    def detail(self) -> dict[str, Any]:
        """Return what was done since the start and what is wrong now."""
        return {
            "marks": self._marks,
            "skipped_batches": self._skipped,
            "breaches": self._breaches,
            "plan_orders": self._orders,
            "stale_workers": self._stale,
            "order_alerts": self._due,
        }
