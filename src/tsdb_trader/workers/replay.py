"""The replay worker: hands stored ticks to open replay sessions as batches, at their pace.

The only progress it has is `market.batches`, so a restart goes on after the last batch. A session
with the parameter ``speed`` = 'max' runs in lock-step: the next batch is written when the last one
was consumed and every order is settled, so that decisions meet the market of their own time. Any
other speed is a multiple of real time.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from tsdb_trader import logs
from tsdb_trader.api import sessions
from tsdb_trader.clock import Clock, SystemClock
from tsdb_trader.db import Connection
from tsdb_trader.errors import InputError

_log = logs.get("replay")
# Timed sessions look at their clock this often, and those in lock-step at orders that were answered
# without a fill, which nothing notifies of.
_TICK_S = 0.02


@dataclass
class Pace:
    """How far a session may be, by a clock that started when this worker met it."""

    speed: float
    wall_start: float
    session_start: datetime

    def until(self, now: float) -> datetime:
        """Return the session time reached at the monotonic time `now`."""
        return self.session_start + timedelta(seconds=(now - self.wall_start) * self.speed)


def parse_speed(text: str) -> float | None:
    """Return the multiple of real time, None for 'max'.

    Raises
    ------
    InputError
        The text is neither 'max' nor a number above 0.
    """
    if text == "max":
        return None
    try:
        speed = float(text)
    except ValueError:
        speed = 0.0
    if not 0 < speed < float("inf"):
        raise InputError(f"speed {text!r}: give 'max' or a multiple of real time, such as 10")
    return speed


class ReplayWorker:
    """Writes the batches of every open replay session."""

    kind = "replay"
    lease = "replay"
    channels = ("signal_consumed_batches", "oms_executions", "venue_progress", "ops_sessions")
    poll_s = 0.25

    def __init__(self, clock: Clock | None = None) -> None:
        self._clock: Clock = clock or SystemClock()
        self._paces: dict[UUID, Pace | None] = {}
        self._batches = 0
        self._waiting: dict[UUID, str] = {}

    def start(self, conn: Connection) -> None:
        """Nothing to prepare: progress stands in `market.batches`."""

    def step(self, conn: Connection) -> bool:
        """Advance each open replay session by one batch."""
        if self._advance_all(conn):
            return True
        return self._refresh(conn) and self._advance_all(conn)

    def _refresh(self, conn: Connection) -> bool:
        found = {s.session_id: s for s in sessions.sessions(conn, "open", "replay")}
        if found.keys() == self._paces.keys():
            return False
        now = self._clock.monotonic()
        for gone in self._paces.keys() - found.keys():
            self._forget(gone)
        for session_id in found.keys() - self._paces.keys():
            session = found[session_id]
            speed = parse_speed(str(session.parameters.get("speed", "max")))
            start = session.as_of or session.from_ts
            self._paces[session_id] = (
                Pace(speed, now, start) if speed is not None and start is not None else None
            )
            _log.info("replaying", session_id=session_id, session=session.name, speed=speed)
        self.poll_s = _TICK_S if self._paces else type(self).poll_s
        return True

    def _advance_all(self, conn: Connection) -> bool:
        results = [self._advance(conn, session_id) for session_id in list(self._paces)]
        return any(results)

    def _advance(self, conn: Connection, session_id: UUID) -> bool:
        pace = self._paces[session_id]
        until = None if pace is None else pace.until(self._clock.monotonic())
        state = sessions.advance_replay(conn, session_id, until)
        self._waiting[session_id] = state
        match state:
            case "batch":
                self._batches += 1
                return True
            case "end":
                return self._close(conn, session_id)
            case "closed":
                self._forget(session_id)
        return False

    def _close(self, conn: Connection, session_id: UUID) -> bool:
        """Cancel what still works, then write the last marks and close; True once closed."""
        if sessions.finish_session(conn, session_id) == "closed":
            _log.info("session closed", session_id=session_id)
            self._forget(session_id)
            return True
        return False

    def _forget(self, session_id: UUID) -> None:
        self._paces.pop(session_id, None)
        self._waiting.pop(session_id, None)

    def stop(self) -> None:
        """Nothing is held outside the database."""

    def detail(self) -> dict[str, Any]:
        """Return what was written since the start, and what each session waits for."""
        return {
            "sessions": len(self._paces),
            "batches": self._batches,
            "waiting": {str(k): v for k, v in self._waiting.items()},
        }
