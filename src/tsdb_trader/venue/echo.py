"""An echo session: for certifying a participant's session layer without a market.

Orders, security definitions and e-mails come back as they were sent; an order marked PossResend
comes back only if its ClOrdID is new to this connection. Anything else is not supported. Nothing
is journaled.
"""

from __future__ import annotations

from typing import Any

import quickfix

_ORDER = "D"
_OTHERS = ("d", "C")


class Echo:
    """Answers for the echo sessions of a process."""

    def __init__(self) -> None:
        self._seen: dict[str, set[str]] = {}

    def answer(self, message: Any, session_id: Any) -> None:
        """Send a message back.

        Raises
        ------
        quickfix.UnsupportedMessageType
            It is of no type that is echoed.
        """
        header = message.getHeader()
        kind = header.getField(35)
        if kind == _ORDER:
            repeated = header.isSetField(97) and header.getField(97) == "Y"
            seen = self._seen.setdefault(session_id.toString(), set())
            cl_ord_id = message.getField(11)
            if repeated and cl_ord_id in seen:
                return
            seen.add(cl_ord_id)
        elif kind not in _OTHERS:
            raise quickfix.UnsupportedMessageType
        quickfix.Session.sendToTarget(quickfix.Message(message), session_id)

    def forget(self, fix_session: str) -> None:
        """Forget the orders of a connection that has ended."""
        self._seen.pop(fix_session, None)
