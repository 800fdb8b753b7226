"""The engine's own log: the only way to hear what it decides without its application.

A Logon that fails the dictionary cannot be rejected, and the engine leaves its connection open:
nobody else could log on as that participant. It is closed here, as FIX wants it.
"""

from __future__ import annotations

from typing import Any

import quickfix

from tsdb_trader import logs

_log = logs.get("venue")
_REJECT_BEFORE_LOGON = "Tried to send a reject while not logged on"
_NO_SESSION = "Session not found for incoming message: "


class EngineLog(quickfix.Log):  # type: ignore[misc]
    """The log of one session, or, without one, of the listening engine."""

    def __init__(self, session_id: Any = None) -> None:
        super().__init__()
        self._session_id = session_id and quickfix.SessionID(
            session_id.getBeginString().getValue(),
            session_id.getSenderCompID().getValue(),
            session_id.getTargetCompID().getValue(),
        )
        self._name = self._session_id.toString() if session_id else ""

    def clear(self) -> None:
        """Do nothing: nothing is kept."""

    def backup(self) -> None:
        """Do nothing: nothing is kept."""

    def onIncoming(self, message: str) -> None:
        """Do nothing: the journal has what matters."""

    def onOutgoing(self, message: str) -> None:
        """Do nothing: the journal has what matters."""

    def onEvent(self, text: str) -> None:
        """Pass an event on, and end a connection whose Logon was refused without an answer."""
        if text.startswith(_NO_SESSION):
            _log.warning("connection refused", reason="no such session, or it is logged on")
        elif text == _REJECT_BEFORE_LOGON and self._session_id is not None:
            _log.warning("logon refused", fix_session=self._name, reason="message not valid")
            quickfix.Session.lookupSession(self._session_id).disconnect()
        else:
            _log.debug("engine", fix_session=self._name, text=text)


class EngineLogs(quickfix.LogFactory):  # type: ignore[misc]
    """Makes the logs, and keeps them: the engine has pointers to them only."""

    def __init__(self) -> None:
        super().__init__()
        self._made: list[EngineLog] = []

    def create(self, session_id: Any = None) -> EngineLog:
        """Return the log of a session."""
        made = EngineLog(session_id)
        made.this.disown()
        self._made.append(made)
        return made

    def destroy(self, log: Any) -> None:
        """Do nothing: logs live as long as the process."""
