"""Hands what a venue says to the FIX engine: in order, and as late as the venue is configured.

Messages are queued with the exchange's lock held and sent without it, by whichever thread comes
first; what is not due yet is sent by a thread of the outbox's own.
"""

from __future__ import annotations

import heapq
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeAlias

import quickfix

from tsdb_trader.venue.faults import Tampering
from tsdb_trader.venue.journal import Journal, Report
from tsdb_trader.venue.market_data import MarketMessage
from tsdb_trader.venue.market_data_flow import Flow

_Message: TypeAlias = Report | MarketMessage
Guard: TypeAlias = Callable[[Callable[[], None]], Callable[[], None]]


class Outbox:
    """The messages of one venue that wait to be sent.

    Parameters
    ----------
    latency_ms
        How much later everything leaves.
    guard
        Wraps what runs in the outbox's own thread.
    """

    def __init__(self, journal: Journal, latency_ms: int, guard: Guard) -> None:
        self._journal = journal
        self._in_thread = guard(self._run)
        self._latency_s = latency_ms / 1000
        self._waiting: list[tuple[float, int, _Message, bool]] = []
        self._count = 0
        self._lock = threading.Lock()
        self._sending = threading.Lock()
        self._wake = threading.Event()
        self._sender: threading.Thread | None = None
        self._flow = Flow()
        self.tampering = Tampering()
        self.sessions: dict[str, Any] = {}

    def put(self, messages: Sequence[_Message]) -> None:
        """Queue messages; call with the exchange's lock held, so that order is kept."""
        now = time.monotonic() + self._latency_s
        with self._lock:
            for message in messages:
                if isinstance(message, Report):
                    for passed in self.tampering.through(message):
                        self._push(now + passed.delay_ms / 1000, passed.report, passed.cut)
                else:
                    self._push(now, message, False)
            for fault_no in self.tampering.fired:
                self._journal.mark_fired(fault_no)
            self.tampering.fired.clear()

    def _push(self, due: float, message: _Message, cut: bool) -> None:
        self._count += 1
        heapq.heappush(self._waiting, (due, self._count, message, cut))

    def drain(self) -> None:
        """Send what is due, unless another thread is at it and will see it.

        The lock is only ever tried, so no thread can wait here for the engine's own locks.
        """
        while self._next_due() <= 0 and self._sending.acquire(blocking=False):
            try:
                while (found := self._pop()) is not None:
                    self._send(*found)
            finally:
                self._sending.release()
        if self._next_due() > 0:
            self.drain_aside()

    def _next_due(self) -> float:
        """Return the seconds until the next message is due; negative infinity for none."""
        with self._lock:
            if not self._waiting:
                return float("inf")
            return max(0.0, self._waiting[0][0] - time.monotonic())

    def _pop(self) -> tuple[_Message, bool] | None:
        with self._lock:
            if not self._waiting or self._waiting[0][0] > time.monotonic():
                return None
            _, _, message, cut = heapq.heappop(self._waiting)
            return message, cut

    def drain_aside(self) -> None:
        """Have the outbox's own thread send what there is, when it is due."""
        if self._next_due() == float("inf"):
            return
        if self._sender is None:
            self._sender = threading.Thread(
                target=self._in_thread, daemon=True, name="venue sender"
            )
            self._sender.start()
        self._wake.set()

    def _run(self) -> None:
        while True:
            due = self._next_due()
            if due == float("inf"):
                self._wake.wait()
            elif due > 0:
                self._wake.wait(due)
            self._wake.clear()
            if self._next_due() <= 0:
                self.drain()

    def _send(self, message: _Message, cut: bool) -> None:
        """Send one message. A report whose participant is away stays owed, until it logs on."""
        session_id = self.sessions.get(message.fix_session)
        if session_id is None:
            return
        session = quickfix.Session.lookupSession(session_id)
        if session is None or not session.isLoggedOn():
            return
        if isinstance(message, Report):
            if quickfix.Session.sendToTarget(_report(message), session_id):
                self._journal.mark_sent(message.report_no)
            if cut:
                session.disconnect()
        elif self._flow.allows(message.fix_session):
            quickfix.Session.sendToTarget(_market_message(message), session_id)
            sign = self._flow.sent(message.fix_session)
            if sign is not None:
                quickfix.Session.sendToTarget(_message("1", ((112, sign),)), session_id)

    def caught_up(self, fix_session: str, sign: str) -> bool:
        """Take a participant's sign; True when it may have market data again."""
        return self._flow.answered(fix_session, sign)

    def logged_out(self, fix_session: str) -> None:
        """Forget what a participant owed, and what is on its way to it: reports stay owed."""
        self._flow.forget(fix_session)
        with self._lock:
            self.tampering.forget(fix_session)
            self._waiting = [w for w in self._waiting if w[2].fix_session != fix_session]
            heapq.heapify(self._waiting)


def _message(msg_type: str, body: Iterable[tuple[int, str]]) -> Any:
    message = quickfix.Message()
    message.getHeader().setField(quickfix.MsgType(msg_type))
    for tag, value in body:
        message.setField(quickfix.StringField(tag, value))
    return message


def _report(report: Report) -> Any:
    plain = ((int(t), v) for t, v in report.fields.items() if isinstance(v, str))
    message = _message(report.msg_type, plain)
    for tag, entries in report.fields.items():
        if not isinstance(entries, str):
            for entry in entries:
                _add_group(message, int(tag), ((int(t), v) for t, v in entry))
    if report.possible_resend:
        message.getHeader().setField(quickfix.PossResend(True))
    return message


def _market_message(wanted: MarketMessage) -> Any:
    message = _message(wanted.msg_type, wanted.body)
    if wanted.count_tag and not wanted.groups:
        message.setField(quickfix.StringField(wanted.count_tag, "0"))
    for entry in wanted.groups:
        _add_group(message, wanted.count_tag, entry)
    return message


def _add_group(message: Any, count_tag: int, entry: Iterable[tuple[int, str]]) -> None:
    pairs = tuple(entry)
    group = quickfix.Group(count_tag, pairs[0][0])
    for tag, value in pairs:
        group.setField(quickfix.StringField(tag, value))
    message.addGroup(group)
