"""The gateway: the outbox on one side, a FIX session on the other.

A pending action is intent that may have been sent. This process sends it once; a process that
starts, or gets its connection back, asks the venue first (`Gate`), and the answers decide.
"""

from __future__ import annotations

import os
import uuid
from collections import OrderedDict
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import psycopg

from tsdb_trader import db, logs, schema
from tsdb_trader.api import oms, ops
from tsdb_trader.clock import Clock, SystemClock
from tsdb_trader.config import fix_login, settings
from tsdb_trader.db import Connection
from tsdb_trader.errors import DatabaseUnavailableError
from tsdb_trader.fix import codec, codec_orders
from tsdb_trader.fix.inbound import Inbox
from tsdb_trader.fix.recovery import Gate
from tsdb_trader.fix.session import Engine
from tsdb_trader.fix.session_settings import SessionSettings
from tsdb_trader.model import FixMessage
from tsdb_trader.workers.leases import Lease

_log = logs.get("gateway")
_BURST = 100
_CHUNK = 2_000
_ALL = 1_000_000
_SENDER = "TSDB"
_OFFLINE_S = 30.0
# Actions sent and not yet recorded; far more than can ever wait at once.
_HANDED = 100_000


class GatewayWorker:
    """Sends the pending actions of one venue and records what comes back.

    Parameters
    ----------
    venue
        The venue's name, also its CompID.
    url
        The database for the engine's own connection, the worker role's by default.
    patience_s
        How long an incoming message may wait for the database before the process ends.
    answer_timeout_s
        How long the venue may take to answer for an order.
    """

    kind = "gateway"
    channels = ("oms_order_actions",)
    poll_s = 1.0

    def __init__(
        self,
        venue: str = "SIM",
        url: str | None = None,
        *,
        clock: Clock | None = None,
        patience_s: float = 30.0,
        answer_timeout_s: float = 5.0,
    ) -> None:
        self.lease = f"gateway:{venue}"
        self._venue = venue
        self._clock: Clock = clock or SystemClock()
        config, login = settings(), fix_login(venue)
        self._session = SessionSettings(
            template=schema.root() / "fixcfg" / "gateway.cfg",
            host=config.fix_host,
            port=config.fix_port,
            sender=_SENDER,
            target=venue,
            store=Path(config.fix_dir) / "gateway",
            user_name=login.user_name if login else None,
            password=login.password if login else None,
        )
        self._store = self._session.message_store()
        self._gate = Gate(self._clock, uuid.uuid4().hex[:12], timeout_s=answer_timeout_s)
        self._held = Lease(self.lease, self._clock)
        self._url = url or db.database_url("tsdb_worker")
        self._inbox = Inbox(
            venue=venue,
            fix_session=self._session.fix_session,
            url=self._url,
            gate=self._gate,
            clock=self._clock,
            sent=self._store.read,
            patience_s=patience_s,
        )
        self._engine: Engine | None = None
        self._handed: OrderedDict[int, None] = OrderedDict()
        self._unrecorded: list[dict[str, Any]] = []
        self._unarchived: list[FixMessage] = []
        self._offline_since = self._clock.monotonic()
        self._sent = 0
        self._halted = False

    def bind_wake(self, wake: Callable[[], None]) -> None:
        """Let the engine's thread wake the worker's loop up."""
        self._inbox.wake = wake

    def bind_lease(self, lease: Lease) -> None:
        """Send nothing without this lease."""
        self._held = lease

    def start(self, conn: Connection) -> None:
        """Complete the archive, list the orders in doubt, then connect."""
        self._session.render()
        self._complete_archive(conn)
        self._list(conn)
        self._offline_since = self._clock.monotonic()
        self._engine = Engine(self._session, self._inbox, self._gate, self._held.valid)
        self._engine.start()

    def step(self, conn: Connection) -> bool:
        """Record what was sent, ask what is in doubt, send what is pending."""
        engine = self._running()
        self._record(conn)
        if self._halted or self._halt(conn, engine):
            return False
        if self._gate.needs_list():
            self._list(conn)
        if self._ask(engine):
            self._record(conn)
        # Orders first: what is only archived or watched can wait for a quiet moment.
        if self._gate.is_open and self._send(conn, engine):
            return True
        self._watch(conn, engine)
        self._flush(conn, engine)
        return False

    def stop(self) -> None:
        """Log out, and archive the session's last messages if the database answers."""
        if self._engine is None:
            return
        if not self._halted:
            self._engine.stop()
        try:
            with db.connect(self._url, autocommit=True) as conn:
                self._record(conn)
                self._flush(conn, self._engine)
        except (psycopg.OperationalError, DatabaseUnavailableError) as error:
            _log.warning("last messages not archived", error=str(error).splitlines()[0])
        self._inbox.close()

    def detail(self) -> dict[str, Any]:
        """Return what the heartbeat shows."""
        engine = self._engine
        return {
            "venue": self._venue,
            "fix_session": self._session.fix_session,
            "logged_on": engine is not None and engine.logged_on(),
            "gate": "halted" if self._halted else "open" if self._gate.is_open else "shut",
            "unanswered": self._gate.open_questions,
            "sent": self._sent,
            "received": self._inbox.received,
        }

    def _running(self) -> Engine:
        if self._engine is None:
            raise RuntimeError("step before start")
        return self._engine

    def _complete_archive(self, conn: Connection) -> None:
        """Archive what a dead gateway stored and did not record."""
        pending = {a.cl_ord_id: a for a in oms.pending_actions(conn, self._venue, _ALL)}
        added = 0
        for chunk in self._stored():
            missing = oms.find_unarchived(conn, self._session.fix_session, "out", chunk)
            self._held.keep(conn)
            for message in (m for m in chunk if m.seqnum in missing):
                action = pending.get(message.cl_ord_id or "")
                if action is not None and message.msg_type != codec.STATUS_REQUEST:
                    oms.record_sent(conn, [message.as_json(action_id=action.action_id)])
                else:
                    oms.archive_messages(conn, [message.as_json()])
                added += 1
        if added:
            _log.warning("archive completed from the message store", messages=added)

    def _stored(self) -> Iterator[list[FixMessage]]:
        name = self._session.fix_session
        messages = (codec.describe("out", name, raw) for _, raw in self._store.messages())
        ours = (m for m in messages if m.msg_type not in codec.ADMIN_TYPES)
        while chunk := list(islice(ours, _CHUNK)):
            yield chunk

    def _list(self, conn: Connection) -> None:
        """List the orders in doubt; from here on only the venue's answers decide about them."""
        generation = self._gate.generation
        doubtful = oms.begin_recovery(conn, self._venue)
        self._handed.clear()
        self._gate.load(generation, doubtful)
        _log.info("orders to ask about", count=len(doubtful))

    def _ask(self, engine: Engine) -> bool:
        asked = False
        while engine.logged_on() and self._held.valid():
            ask = self._gate.next_ask()
            if ask is None:
                break
            outgoing = codec_orders.encode_question(
                ask.question, ask.request_id, self._session.version
            )
            self._unarchived.append(engine.send(outgoing))
            asked = True
        return asked

    def _send(self, conn: Connection, engine: Engine) -> bool:
        actions = oms.pending_actions(conn, self._venue, _BURST)
        handed = 0
        for row in actions:
            if row.action_id in self._handed:
                continue
            if not (self._held.valid() and engine.logged_on() and self._gate.is_open):
                break
            message = engine.send(codec_orders.encode_action(row, self._session.version))
            self._hand(row.action_id)
            self._unrecorded.append(message.as_json(action_id=row.action_id))
            handed += 1
        self._sent += handed
        self._record(conn)
        return handed > 0

    def _hand(self, action_id: int) -> None:
        self._handed[action_id] = None
        if len(self._handed) > _HANDED:
            self._handed.popitem(last=False)

    def _record(self, conn: Connection) -> None:
        """Record what has gone; kept and tried again until it is committed."""
        if self._unrecorded:
            oms.record_sent(conn, self._unrecorded)
            self._unrecorded = []
        if self._unarchived:
            oms.archive_messages(conn, [m.as_json() for m in self._unarchived])
            self._unarchived = []

    def _flush(self, conn: Connection, engine: Engine) -> None:
        """Archive session-level messages."""
        queue = engine.archive
        batch = [queue.popleft() for _ in range(min(len(queue), _CHUNK))]
        if not batch:
            return
        try:
            oms.archive_messages(conn, [m.as_json() for m in batch])
        except psycopg.Error:
            queue.extendleft(reversed(batch))
            raise

    def _halt(self, conn: Connection, engine: Engine) -> bool:
        """Stop for good when a message store was lost: trying again would count up to a match."""
        if not engine.numbers_lost:
            return False
        text = (
            f"trading with {self._venue} is stopped: sequence numbers do not match "
            f"({engine.numbers_lost}); reconcile, reset both message stores, restart the gateway"
        )
        ops.raise_alert(conn, "fix_sequence", "critical", text, {"pid": os.getpid()})
        _log.error("halted", reason=text)
        engine.stop()
        self._halted = True
        self._flush(conn, engine)
        return True

    def _watch(self, conn: Connection, engine: Engine) -> None:
        """Tell a person about silence and refusals."""
        for ask in self._gate.overdue():
            text = f"{self._venue} does not answer for order {ask.question.order_id}"
            order = {"order_id": ask.question.order_id}
            ops.raise_alert(conn, "status_unanswered", "critical", text, order)
        for refusal in engine.refusals():
            text = f"we had to refuse message {refusal}"
            ops.raise_alert(conn, "message_refused", "critical", f"{self._venue}: {text}", {})
        now = self._clock.monotonic()
        if engine.logged_on():
            self._offline_since = now
        elif now - self._offline_since > _OFFLINE_S:
            detail = {"engine": engine.last_event, "venue": self._venue, "pid": os.getpid()}
            text = f"no FIX session with {self._venue} for {_OFFLINE_S:.0f} s"
            ops.raise_alert(conn, "gateway_offline", "critical", text, detail)
            self._offline_since = now
