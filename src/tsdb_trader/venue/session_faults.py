"""Faults of a FIX session: gaps, lost state, a logout without reason, silence."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from typing import Any

import quickfix

from tsdb_trader.api.venue import Fault
from tsdb_trader.venue.faults import concerns, number

_LOGOUT_S = 5.0
_POLL_S = 0.05


def have(fault: Fault, sessions: Mapping[str, Any]) -> bool:
    """Have a fault in every session it concerns; False if none of them is logged on."""
    found = [
        session
        for name, session_id in sessions.items()
        if concerns(fault, name.rpartition(">")[2])
        and (session := quickfix.Session.lookupSession(session_id)) is not None
        and session.isLoggedOn()
    ]
    for session in found:
        _have(fault, session)
    return bool(found)


def _have(fault: Fault, session: Any) -> None:
    match fault.kind:
        case "gap":
            left_out = number(fault.parameters, "numbers", 1)
            session.setNextSenderMsgSeqNum(session.getExpectedSenderNum() + left_out)
        case "lost_state":
            session.disconnect()
            session.setNextSenderMsgSeqNum(1)
            session.setNextTargetMsgSeqNum(1)
        case "logout":
            session.logout(str(fault.parameters.get("text", "the venue is closing")))
            seconds = number(fault.parameters, "milliseconds", 1000) / 1000
            threading.Thread(target=_let_in_after, args=(session, seconds), daemon=True).start()
        case "silence":
            # Without a way out the engine goes on as if it had spoken.
            session.setResponder(None)


def _let_in_after(session: Any, seconds: float) -> None:
    """Keep a session out for a while, from when the engine has ended it: it looks once a second."""
    deadline = time.monotonic() + _LOGOUT_S
    while session.isLoggedOn() and time.monotonic() < deadline:
        time.sleep(_POLL_S)
    time.sleep(seconds)
    session.logon()
