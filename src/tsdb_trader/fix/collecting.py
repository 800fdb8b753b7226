"""Answers that come in several messages: mass status and trade capture. Pure bookkeeping.

The engine's thread adds what comes, the worker's thread opens a collection and closes it when it is
complete, refused, or was silent for too long.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date, datetime

from tsdb_trader.clock import Clock

Items = Sequence[dict[str, str]]


@dataclass(slots=True)
class Collection:
    """What has come of the answer to one request.

    `kind` is recovery, working or trades; `asked_at` is the database's time; `day` the trade date
    asked for; `generation` the gate's when it was asked.
    """

    request_id: str
    kind: str
    asked_at: datetime
    generation: int = 0
    day: date | None = None
    parts: dict[str, Items] = field(default_factory=dict)
    expected: int | None = None
    ended: bool = False
    failure: str = ""
    unsupported: bool = False
    heard_at: float = 0.0

    @property
    def complete(self) -> bool:
        """Whether everything the venue announced is here."""
        return self.ended or (self.expected is not None and len(self.parts) >= self.expected)

    def items(self) -> list[dict[str, str]]:
        """Return what has come."""
        return [item for part in self.parts.values() for item in part]


class Collections:
    """The open collections of a session, by the id of their request."""

    def __init__(self, clock: Clock, *, timeout_s: float = 5.0) -> None:
        self._clock = clock
        self._timeout_s = timeout_s
        self._open: dict[str, Collection] = {}
        self._lock = threading.Lock()

    def open(self, collection: Collection) -> None:
        """Wait for the answer to a request that is about to leave."""
        with self._lock:
            collection.heard_at = self._clock.monotonic()
            self._open[collection.request_id] = collection

    def kind(self, request_id: str | None) -> str | None:
        """Return what a request is for, None when nobody waits for its answer."""
        with self._lock:
            found = self._open.get(request_id or "")
            return found.kind if found is not None else None

    def waits(self, kind: str) -> bool:
        """Say whether a request of this kind is under way."""
        with self._lock:
            return any(c.kind == kind for c in self._open.values())

    def add(
        self,
        request_id: str,
        key: str,
        items: Items,
        *,
        expected: int | None = None,
        ended: bool = False,
    ) -> bool:
        """Take one message of an answer; say whether the answer is complete.

        `key` tells messages apart: one that comes again counts once.
        """
        with self._lock:
            found = self._open.get(request_id)
            if found is None:
                return False
            found.heard_at = self._clock.monotonic()
            found.parts[key] = items
            if expected is not None:
                found.expected = expected
            found.ended = found.ended or ended
            return found.complete

    def announce(self, request_id: str | None, expected: int | None) -> bool:
        """Note how many messages will come; say whether the answer is complete."""
        with self._lock:
            found = self._open.get(request_id or "")
            if found is None or expected is None:
                return False
            found.heard_at = self._clock.monotonic()
            found.expected = expected
            return found.complete

    def fail(self, request_id: str | None, reason: str, *, unsupported: bool = False) -> bool:
        """Note that a request was refused; say whether anybody waited for it."""
        with self._lock:
            found = self._open.get(request_id or "")
            if found is None:
                return False
            found.failure, found.unsupported = reason or "refused", unsupported
            return True

    def ready(self) -> list[Collection]:
        """Return what is complete, refused or silent for too long; it stays until it is closed."""
        now = self._clock.monotonic()
        with self._lock:
            for found in self._open.values():
                if not found.complete and now - found.heard_at >= self._timeout_s:
                    found.failure = found.failure or f"no answer for {self._timeout_s:g} s"
            return [c for c in self._open.values() if c.complete or c.failure]

    def close(self, collection: Collection) -> None:
        """Wait for an answer no more."""
        with self._lock:
            self._open.pop(collection.request_id, None)

    def clear(self) -> None:
        """Wait for nothing any more: the connection is lost, and the answers with it."""
        with self._lock:
            self._open.clear()
