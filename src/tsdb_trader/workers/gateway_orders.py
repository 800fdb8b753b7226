"""A FIX session with orders: the outbox on one side, the venue on the other.

A pending action is intent that may have been sent. This session sends it once; one that starts, or
gets its connection back, asks the venue first (`Gate`), and the answers decide.
"""

from __future__ import annotations

import threading
import uuid
from typing import Any

from tsdb_trader import logs
from tsdb_trader.api import fix_sessions, oms, ops
from tsdb_trader.api.fix_sessions import FixSession, WorkingOrder
from tsdb_trader.api.venue import read_prefix
from tsdb_trader.db import Connection
from tsdb_trader.fix import codec_orders, codec_requests
from tsdb_trader.fix.codec import MASS_CANCEL_REQUEST
from tsdb_trader.fix.session import Engine
from tsdb_trader.model import Action
from tsdb_trader.workers.dead_man import MARK, DeadMan
from tsdb_trader.workers.gateway_checks import Checks
from tsdb_trader.workers.gateway_outbox import Outbox
from tsdb_trader.workers.gateway_session import SessionWorker

_log = logs.get("gateway")
_SNAPSHOT_S = 1.0
_POLL_S = 1.0
_GOODBYE = "-CD-"


class OrderSession(SessionWorker):
    """Sends the pending actions of one venue and records what comes back."""

    channels = ("oms_order_actions",)

    def __init__(self, row: FixSession, url: str | None = None, **options: Any) -> None:
        super().__init__(row, url, **options)
        version = self._session.version
        self._outbox = Outbox(row, version, self._throttle, self._clock)
        self._checks = Checks(
            row, version, self._gate, self._collections, self._clock, self._run_id, self.send
        )
        self._prefix = ""
        self._pause = threading.Event()
        self._working: dict[str, WorkingOrder] = {}
        self._working_at = -_SNAPSHOT_S
        self._dead_man = DeadMan(self, row.silence_s) if row.silence_s is not None else None

    def detail(self) -> dict[str, Any]:
        """Return what the heartbeat shows."""
        return super().detail() | {
            "unanswered": self._gate.open_questions,
            "sent": self._outbox.sent,
            "queued": self._outbox.queued,
            "oldest_s": self._outbox.oldest_s,
            "differences": self._checks.differences,
        }

    def start(self, conn: Connection) -> None:
        """Complete the archive, list the orders in doubt, connect, and watch the database."""
        self._prefix = read_prefix(conn)
        super().start(conn)
        if self._dead_man is not None:
            self._inbox.mass_cancel_refused = self._dead_man.refused
            self._dead_man.start()

    def stop(self) -> None:
        """Log out; before that cancel everything, if that is configured."""
        if self._dead_man is not None and self._engine is not None:
            self._dead_man.stop()
        super().stop()

    def _prepare(self, conn: Connection) -> None:
        self._list(conn)

    def _work(self, conn: Connection, engine: Engine) -> bool:
        """Ask what is in doubt, send what is pending, compare in quiet moments."""
        if self._gate.needs_list():
            self._list(conn)
        if self._ask(conn):
            self._record(conn)
        self._checks.finish(conn)
        self._snapshot(conn)
        if self._gate.is_open and self._outbox.send(conn, engine, self._may_leave, self._note):
            return True
        # A full throttle lets the next message go in a moment.
        self.poll_s = self._throttle.wait_s() or _POLL_S
        if self._gate.is_open and self.may_send() and self._throttle.room() > 0:
            self._checks.compare(conn)
        return False

    def _may_leave(self) -> bool:
        return self._gate.is_open and self.may_send()

    def _record(self, conn: Connection) -> None:
        self._outbox.record(conn)
        super()._record(conn)

    def _list(self, conn: Connection) -> None:
        """List the orders in doubt; from here on only the venue's answers decide about them."""
        generation = self._gate.generation
        doubtful = oms.begin_recovery(conn, self.row.venue)
        self._outbox.forget()
        self._checks.connected_anew()
        self._gate.load(generation, doubtful, in_bulk=self._checks.in_bulk)
        _log.info("orders to ask about", fix_session=self.row.fix_session, count=len(doubtful))

    def _ask(self, conn: Connection) -> bool:
        asked = False
        while self.may_send() and self._throttle.room() > 0:
            if self._checks.recover(conn):
                asked = True
                continue
            ask = self._gate.next_ask()
            if ask is None:
                break
            self.send(
                codec_orders.encode_question(ask.question, ask.request_id, self._session.version)
            )
            asked = True
        return asked

    def _watch(self, conn: Connection, engine: Engine) -> None:
        for ask in self._gate.overdue():
            text = f"{self.row.venue} does not answer for order {ask.question.order_id}"
            order = {"order_id": ask.question.order_id}
            ops.raise_alert(conn, "status_unanswered", "critical", text, order)
        super()._watch(conn, engine)

    def lease_left(self) -> float:
        """Return for how many seconds more messages may leave."""
        return self._held.left()

    def cancel_everything(self, *, mark: str = MARK, singly: bool = False) -> int:
        """Ask the venue to cancel everything; return the number of messages.

        Safe from any thread, and without the database: ClOrdIDs are made here, and cannot be any
        of the database's. Orders are in doubt from here on.
        """
        self._gate.doubt()
        version, stem = self._session.version, f"{self._prefix}{mark}{uuid.uuid4().hex[:8]}"
        has = self.row.has_mass_cancel and MASS_CANCEL_REQUEST in version.requests
        if has and not singly:
            now = self._clock.now()
            self.send(codec_requests.encode_mass_cancel(stem, now, version))
            return 1
        count = 0
        for order in list(self._working.values()):
            while (wait_s := self._throttle.wait_s()) > 0:
                self._pause.wait(wait_s)
            if not self.may_send():
                break
            count += 1
            cancel = _cancel(order, f"{stem}-{count}")
            self.send(codec_orders.encode_action(cancel, version))
        return count

    def _say_goodbye(self, engine: Engine) -> None:
        if self.row.cancel_on_disconnect and self.may_send():
            count = self.cancel_everything(mark=_GOODBYE)
            _log.info("cancelled before the logout", messages=count)

    def _snapshot(self, conn: Connection) -> None:
        """Keep what it takes to cancel every order one by one."""
        now = self._clock.monotonic()
        needed = self._dead_man is not None or self.row.cancel_on_disconnect
        if needed and now - self._working_at >= _SNAPSHOT_S:
            self._working_at = now
            found = fix_sessions.working_orders(conn, self.row.venue)
            self._working = {order.cl_ord_id: order for order in found}

    def _note(self, action: Action) -> None:
        """Keep in mind what has just left: the next snapshot has it."""
        if action.kind == "new":
            self._working[action.cl_ord_id] = WorkingOrder(
                action.cl_ord_id,
                None,
                action.session_id,
                action.account,
                action.symbol,
                action.side,
                action.quantity,
                action.as_of,
            )


def _cancel(order: WorkingOrder, cl_ord_id: str) -> Action:
    return Action(
        action_id=0,
        kind="cancel",
        order_id=0,
        cl_ord_id=cl_ord_id,
        orig_cl_ord_id=order.cl_ord_id,
        session_id=order.session_id,
        account=order.account,
        symbol=order.symbol,
        side=order.side,
        quantity=order.quantity,
        order_type="market",
        limit_price=None,
        time_in_force="day",
        possible_resend=False,
        as_of=order.as_of,
        status="new",
        venue_order_id=order.venue_order_id,
    )
