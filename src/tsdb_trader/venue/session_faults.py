"""Faults of a FIX session: gaps, lost state, a logout without reason, silence."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from typing import Any

import quickfix

from tsdb_trader.api.venue import Fault
from tsdb_trader.venue.faults import concerns, number


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
            milliseconds = number(fault.parameters, "milliseconds", 1000)
            timer = threading.Timer(milliseconds / 1000, session.logon)
            timer.daemon = True
            timer.start()
        case "silence":
            # Without a way out the engine goes on as if it had spoken.
            session.setResponder(None)
