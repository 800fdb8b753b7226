"""The engine's log as we use it: a look at what passes, nothing that is kept."""

from __future__ import annotations

from typing import Any

import quickfix

from tsdb_trader.clock import Clock

SET_BACK_S = 5.0
"""How far a clock may be set back before its engine has to be made anew: see `EngineLog`."""


class EngineLog(quickfix.Log):  # type: ignore[misc]
    """A log that keeps nothing; a subclass looks at what comes, goes and happens.

    The engine reckons with the wall time of its last attempt to connect and of the last messages.
    When the clock is set back after that, it neither connects, nor sends heartbeats, nor misses
    any, until that time has come again: after a jump of an hour, for an hour.
    """

    def __init__(self, clock: Clock) -> None:
        super().__init__()
        self._clock = clock
        self._latest = float("-inf")

    def note_time(self) -> None:
        """Note that the engine has seen the present wall time."""
        self._latest = max(self._latest, self._wall_ahead())

    def set_back_s(self) -> float:
        """Return by how much the clock was set back since the latest time the engine has seen."""
        return max(0.0, self._latest - self._wall_ahead())

    def _wall_ahead(self) -> float:
        return self._clock.now().timestamp() - self._clock.monotonic()

    def clear(self) -> None:
        """Nothing is kept that could be cleared."""

    def backup(self) -> None:
        """Nothing is kept that could be backed up."""


class OneLog(quickfix.LogFactory):  # type: ignore[misc]
    """Gives the engine one log for everything."""

    def __init__(self, log: EngineLog) -> None:
        super().__init__()
        self._log = log
        # The binding frees a lock of the whole process when it takes ownership of a log: a second
        # engine or session in the process would hang or crash.
        log.this.disown()

    def create(self, *_session: Any) -> EngineLog:
        """Return the log, for a session or for the engine itself."""
        return self._log

    def destroy(self, _log: Any) -> None:
        """The engine does not own it."""
