"""The engine's log as we use it: a look at what passes, nothing that is kept."""

from __future__ import annotations

from typing import Any

import quickfix


class EngineLog(quickfix.Log):  # type: ignore[misc]
    """A log that keeps nothing; a subclass looks at what comes, goes and happens."""

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
