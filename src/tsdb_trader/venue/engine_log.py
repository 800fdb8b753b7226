"""The engine's own log: the only way to hear what it decides without its application.

A Logon that fails the dictionary cannot be rejected, and the engine leaves its connection open:
nobody else could log on as that participant. A message whose MsgSeqNum is missing or unreadable
is dropped without a word. Both end the session here, as FIX wants it.
"""

from __future__ import annotations

import re
from typing import Any

import quickfix

from tsdb_trader import logs
from tsdb_trader.venue.session_rules import SessionLayer

_log = logs.get("venue")
_REJECT_BEFORE_LOGON = "Tried to send a reject while not logged on"
_NO_NUMBER = re.compile("Incorrect data format for value with tag: 34(:|$)")
_NO_SESSION = "Session not found for incoming message: "


class EngineLog(quickfix.Log):  # type: ignore[misc]
    """The log of one session, or, without one, of the listening engine."""

    def __init__(self, layer: SessionLayer, session_id: Any = None) -> None:
        super().__init__()
        self._layer = layer
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
        """Pass an event on, and end the session where the engine should have."""
        if text.startswith(_NO_SESSION):
            _log.warning("connection refused", reason="no such session, or it is logged on")
        elif text == _REJECT_BEFORE_LOGON and self._session_id is not None:
            _log.warning("logon refused", fix_session=self._name, reason="message not valid")
            quickfix.Session.lookupSession(self._session_id).disconnect()
        elif _NO_NUMBER.match(text) and self._session_id is not None:
            self._layer.end(self._session_id, "MsgSeqNum (34) is missing or no number")
        else:
            _log.debug("engine", fix_session=self._name, text=text)


class EngineLogs(quickfix.LogFactory):  # type: ignore[misc]
    """Makes the logs, and keeps them: the engine has pointers to them only."""

    def __init__(self, layer: SessionLayer) -> None:
        super().__init__()
        self._layer = layer
        self._made: list[EngineLog] = []

    def create(self, session_id: Any = None) -> EngineLog:
        """Return the log of a session."""
        made = EngineLog(self._layer, session_id)
        made.this.disown()
        self._made.append(made)
        return made

    def destroy(self, log: Any) -> None:
        """Do nothing: logs live as long as the process."""
