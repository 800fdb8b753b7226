"""Rules of the session layer that the engine leaves to its application.

They look at messages that the engine has validated. What they find is raised to the engine as an
exception it knows, or answered by a Reject (35=3) of our own where it has none for the reason that
FIX asks for.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import quickfix

from tsdb_trader.venue.engine_settings import SessionRules
from tsdb_trader.venue.protocol import parse_time

LOGON, LOGOUT, RESEND_REQUEST, SEQUENCE_RESET, REJECT = "A", "5", "2", "4", "3"
_REQUIRED_TAG_MISSING = 1
_ACCURACY_PROBLEM = 10
_INVALID_VERSION = 18
# SessionRejectReason (373) ends at 11 in FIX 4.2, and there is none before.
_LAST_REASON_OF_42 = 11


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a message is rejected: SessionRejectReason, the tag it is about, and a text.

    `ends` says that the session has to end as well.
    """

    reason: int
    tag: int | None
    text: str
    ends: bool = False


_NO_RULES = SessionRules()


class SessionLayer:
    """Applies the rules to the messages of all sessions."""

    def __init__(self, sessions: Mapping[str, SessionRules]) -> None:
        self._sessions = sessions
        self._ended: set[str] = set()
        self._due: dict[str, int] = {}

    def rules(self, fix_session: str) -> SessionRules:
        """Return what is configured for a session."""
        return self._sessions.get(fix_session, _NO_RULES)

    def from_admin(self, message: Any, session_id: Any) -> None:
        """Check a session message.

        Raises
        ------
        quickfix.RejectLogon, quickfix.IncorrectTagValue
            The engine answers with a Logout or a Reject.
        """
        kind = message.getHeader().getField(35)
        if kind == LOGON:
            self._check_logon(message, session_id)
        elif kind == RESEND_REQUEST:
            _check_resend_request(message, session_id)
        elif kind == SEQUENCE_RESET:
            _check_gap_fill(message)
        else:
            if kind == LOGOUT:
                self._note_logout(message, session_id)
            refusal = _possible_duplicate(message)
            if refusal is not None:
                self._refuse(message, session_id, refusal)

    def from_application(self, message: Any, session_id: Any) -> bool:
        """Check an application message; False if it was rejected and must not be acted on."""
        refusal = _possible_duplicate(message) or self._version(message, session_id)
        if refusal is not None:
            self._refuse(message, session_id, refusal)
        return refusal is None

    def logged_out(self, session_id: Any) -> None:
        """Let a participant log on again, and expect the number that is due then."""
        name = session_id.toString()
        session: Any = quickfix.Session.lookupSession(session_id)
        if name in self._ended:
            self._ended.remove(name)
            session.logon()
        due = self._due.pop(name, None)
        if due is not None and session.getExpectedTargetNum() == due + 1:
            session.setNextTargetMsgSeqNum(due)

    def _note_logout(self, message: Any, session_id: Any) -> None:
        """Keep the number that is due: the engine counts a Logout that comes out of turn."""
        due = quickfix.Session.lookupSession(session_id).getExpectedTargetNum()
        if _number(message.getHeader(), 34) != due:
            self._due[session_id.toString()] = due

    def _refuse(self, message: Any, session_id: Any, refusal: Refusal) -> None:
        send_reject(message, session_id, refusal)
        if refusal.ends:
            self.end(session_id, refusal.text)

    def end(self, session_id: Any, reason: str) -> None:
        """Have the engine log out: it refuses a Logon until the connection is gone."""
        session: Any = quickfix.Session.lookupSession(session_id)
        if not session.isLoggedOn():
            session.disconnect()
            return
        self._ended.add(session_id.toString())
        session.logout(reason)

    def _check_logon(self, message: Any, session_id: Any) -> None:
        heartbeat, method = _number(message, 108), _number(message, 98)
        if heartbeat is not None and heartbeat < 0:
            raise quickfix.RejectLogon("HeartBtInt (108) is negative")
        if method:
            raise quickfix.RejectLogon("EncryptMethod (98) must be 0: use TLS")
        if _get(message, 141) == "Y" and _number(message.getHeader(), 34) != 1:
            raise quickfix.RejectLogon("MsgSeqNum (34) must be 1 with ResetSeqNumFlag (141)")
        versions = self.rules(session_id.toString()).versions
        version = _get(message, 1137)
        if not versions or version is None:
            return
        if version not in versions:
            raise quickfix.RejectLogon(f"DefaultApplVerID (1137) {version} is not served")
        # Answers come in the version that the participant asked for.
        quickfix.Session.lookupSession(session_id).setSenderDefaultApplVerID(version)

    def _version(self, message: Any, session_id: Any) -> Refusal | None:
        version = _get(message.getHeader(), 1128)
        versions = self.rules(session_id.toString()).versions
        if version is None or not versions or version in versions:
            return None
        return Refusal(_INVALID_VERSION, 1128, f"Application version {version} is not served")


def send_reject(message: Any, session_id: Any, refusal: Refusal) -> None:
    """Send a Reject (35=3) about a message."""
    begin_string = session_id.getBeginString().getValue()
    reject = quickfix.Message()
    reject.reverseRoute(message.getHeader())
    reject.getHeader().setField(quickfix.MsgType(REJECT))
    reject.setField(quickfix.StringField(45, message.getHeader().getField(34)))
    text = refusal.text
    if begin_string >= "FIX.4.2":
        reject.setField(quickfix.StringField(372, message.getHeader().getField(35)))
        if refusal.tag is not None:
            reject.setField(quickfix.StringField(371, str(refusal.tag)))
        if begin_string > "FIX.4.2" or refusal.reason <= _LAST_REASON_OF_42:
            reject.setField(quickfix.StringField(373, str(refusal.reason)))
    elif refusal.tag is not None:
        text = f"{text} ({refusal.tag})"
    reject.setField(quickfix.StringField(58, text))
    quickfix.Session.sendToTarget(reject, session_id)


def _possible_duplicate(message: Any) -> Refusal | None:
    """Look at PossDupFlag in a message that is new all the same: the engine does not."""
    header = message.getHeader()
    if _get(header, 43) != "Y":
        return None
    original = _get(header, 122)
    if original is None:
        return Refusal(_REQUIRED_TAG_MISSING, 122, "Required tag missing")
    then, now = parse_time(original), parse_time(_get(header, 52) or "")
    if then is not None and now is not None and then > now:
        return Refusal(_ACCURACY_PROBLEM, None, "SendingTime accuracy problem", ends=True)
    return None


def _check_resend_request(message: Any, session_id: Any) -> None:
    begin, end = _number(message, 7), _number(message, 16)
    if begin is None or end is None:
        return
    sent = quickfix.Session.lookupSession(session_id).getExpectedSenderNum() - 1
    if begin < 1 or begin > sent:
        raise quickfix.IncorrectTagValue(7)
    # Up to FIX 4.1 the end of time is 999999, from 4.2 on 0.
    if end != 0 and end < begin:
        raise quickfix.IncorrectTagValue(16)


def _check_gap_fill(message: Any) -> None:
    number, new = _number(message.getHeader(), 34), _number(message, 36)
    if _get(message, 123) != "Y" or number is None or new is None:
        return
    if new <= number:
        raise quickfix.IncorrectTagValue(36)


def _get(fields: Any, tag: int) -> str | None:
    return fields.getField(tag) if fields.isSetField(tag) else None


def _number(fields: Any, tag: int) -> int | None:
    text = _get(fields, tag)
    try:
        return None if text is None else int(text)
    except ValueError:
        return None
