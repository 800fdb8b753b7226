"""The signal worker: steps the strategies of every open session on its next batch.

Signals, targets and orders of a batch commit together with the record that it was consumed, so a
crash repeats a batch whole or not at all.
"""

from __future__ import annotations

from typing import Any
from uuid import UUID

from tsdb_trader.api import sessions, strategies
from tsdb_trader.config import settings
from tsdb_trader.db import Connection
from tsdb_trader.strategies import Loaded, load_all


class SignalsWorker:
    """Consumes batches in order, one transaction each."""

    kind = "signals"
    lease = "signals"
    channels = ("market_batches", "oms_executions", "venue_progress", "ops_sessions")
    poll_s = 1.0

    def __init__(self) -> None:
        self._sessions: list[UUID] = []
        self._batches = 0
        self._signals = 0
        self._classes: dict[str, Loaded] = {}
        # Sessions without any in Python: what a session trades is fixed with its first batch.
        self._in_sql: set[UUID] = set()

    def start(self, conn: Connection) -> None:
        """Load the strategies in Python; what was consumed stands in the database.

        Raises
        ------
        ConfigurationError
            A class cannot be loaded.
        """
        self._classes = load_all(settings().strategies)

    def step(self, conn: Connection) -> bool:
        """Consume the next batch of each open session."""
        if self._consume(conn):
            return True
        found = sessions.open_session_ids(conn)
        if found == self._sessions:
            return False
        self._sessions = found
        return self._consume(conn)

    def _consume(self, conn: Connection) -> bool:
        consumed = [
            signals
            for session_id in self._sessions
            if (signals := self._consume_batch(conn, session_id)) is not None
        ]
        self._batches += len(consumed)
        self._signals += sum(consumed)
        return bool(consumed)

    def _consume_batch(self, conn: Connection, session_id: UUID) -> int | None:
        if session_id in self._in_sql:
            return sessions.consume_batch(conn, session_id)
        if strategies.runs_python(conn, session_id) is False:
            self._in_sql.add(session_id)
        return strategies.consume_batch(conn, session_id, self._classes)

    def stop(self) -> None:
        """Nothing is held outside the database."""

    def detail(self) -> dict[str, Any]:
        """Return what was consumed since the start."""
        return {
            "sessions": len(self._sessions),
            "batches": self._batches,
            "signals": self._signals,
        }
