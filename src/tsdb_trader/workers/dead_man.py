"""The dead-man's switch: when the database falls silent, the venue is asked to cancel everything.

A thread of its own, because every other one may be waiting for the database. Why it is as it is:
docs/decisions/0006-dead-mans-switch.md.
"""

from __future__ import annotations

import threading
from typing import Final, Protocol

from tsdb_trader import logs
from tsdb_trader.clock import Clock
from tsdb_trader.fix.session import SendError

_log = logs.get("gateway")
MARK: Final = "-DM-"
"""In a ClOrdID: of the switch, not of the database, whose ClOrdIDs end in a number."""
_TICK_S = 0.1
# Without a valid lease nothing may leave, so the switch does not wait for the lease's end.
_LEASE_LEFT_S = 1.0
# Renewals come every second: so much silence and a lease that runs out is no coincidence.
_NOTICE_S = 2.0


class Pulse:
    """When the database last answered any part of the process."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._at = clock.monotonic()

    def touch(self) -> None:
        """Note an answer; safe from any thread."""
        self._at = self._clock.monotonic()

    def age(self) -> float:
        """Return the seconds since the last answer."""
        return self._clock.monotonic() - self._at


class Guarded(Protocol):
    """What the switch needs of a session."""

    pulse: Pulse

    def lease_left(self) -> float:
        """Return for how many seconds more messages may leave."""

    def may_send(self) -> bool:
        """Say whether a message would leave at once, and may."""

    def cancel_everything(self, *, singly: bool = False) -> int:
        """Ask the venue to cancel everything; return the number of messages."""


class DeadMan:
    """Watches the database for one session, and fires once per silence."""

    def __init__(self, session: Guarded, silence_s: float) -> None:
        self._session = session
        self._silence_s = silence_s
        self._ended = threading.Event()
        self._refused = False
        self.fired = False
        self._thread = threading.Thread(target=self._run, name="dead-man", daemon=True)

    def start(self) -> None:
        """Start watching."""
        self._thread.start()

    def stop(self) -> None:
        """Stop watching."""
        self._ended.set()
        self._thread.join()

    def refused(self) -> None:
        """Note that the venue does not do a mass cancel; safe from any thread."""
        self._refused = True

    def look(self) -> None:
        """Fire if it is time to."""
        age = self._session.pulse.age()
        if self.fired and self._refused:
            self._refused = False
            self._fire(age, singly=True)
        if age < min(self._silence_s, _NOTICE_S):
            self.fired = self._refused = False
        elif not self.fired and self._session.may_send():
            runs_out = age >= _NOTICE_S and self._session.lease_left() < _LEASE_LEFT_S
            if age >= self._silence_s or runs_out:
                self.fired = True
                self._fire(age, singly=False)

    def _fire(self, age: float, *, singly: bool) -> None:
        _log.critical("database silent", action="cancel everything", silence_s=round(age, 1))
        try:
            count = self._session.cancel_everything(singly=singly)
        except SendError as error:
            _log.critical("cancel not sent", error=str(error))
            self.fired = False
        else:
            _log.critical("venue asked to cancel everything", messages=count)

    def _run(self) -> None:
        while not self._ended.wait(_TICK_S):
            self.look()
