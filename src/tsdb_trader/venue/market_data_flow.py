"""Keeps a slow listener from filling the venue's memory: market data is sent on credit.

The engine queues what a socket does not take, without a limit. So every few messages a listener
is asked for a sign (TestRequest); one that owes too many gets no more updates. When it has caught
up it gets snapshots instead of what it missed; their RptSeq says how much that was.
"""

from __future__ import annotations

import threading
from collections import deque
from dataclasses import dataclass, field

SIGN = "MD"
"""How the TestReqID (112) of our questions starts."""


@dataclass
class _Listener:
    sent: int = 0
    asked: deque[int] = field(default_factory=deque)
    behind: bool = False


@dataclass
class Flow:
    """Counts messages per FIX session. Any thread may call.

    Attributes
    ----------
    ask_every
        Messages after which a sign is asked for.
    most
        Messages that may be under way.
    """

    ask_every: int = 200
    most: int = 2_000
    _listeners: dict[str, _Listener] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def allows(self, fix_session: str) -> bool:
        """Say whether another message may be sent; a session that gets a no is behind."""
        with self._lock:
            listener = self._listeners.setdefault(fix_session, _Listener())
            if listener.asked and listener.sent - listener.asked[0] >= self.most - self.ask_every:
                listener.behind = True
            return not listener.behind

    def sent(self, fix_session: str) -> str | None:
        """Count a message; return the TestReqID of the question that is due after it, if any."""
        with self._lock:
            listener = self._listeners.setdefault(fix_session, _Listener())
            listener.sent += 1
            if listener.sent % self.ask_every:
                return None
            listener.asked.append(listener.sent)
            return f"{SIGN}{listener.sent}"

    def answered(self, fix_session: str, sign: str) -> bool:
        """Take an answer; True when the session was behind and has caught up."""
        number = sign.removeprefix(SIGN)
        with self._lock:
            listener = self._listeners.get(fix_session)
            if listener is None or number == sign or not number.isdecimal():
                return False
            while listener.asked and listener.asked[0] <= int(number):
                listener.asked.popleft()
            if listener.asked or not listener.behind:
                return False
            listener.behind = False
            return True

    def forget(self, fix_session: str) -> None:
        """Forget a session that logged out."""
        with self._lock:
            self._listeners.pop(fix_session, None)
