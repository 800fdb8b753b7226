"""One FIX session of the gateway: what sessions with orders and drop copies have in common."""

from __future__ import annotations

import os
import uuid
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import psycopg

from tsdb_trader import db, logs, schema
from tsdb_trader.api import oms, ops
from tsdb_trader.api.fix_sessions import FixSession
from tsdb_trader.clock import Clock, SystemClock
from tsdb_trader.config import fix_login, settings
from tsdb_trader.db import Connection
from tsdb_trader.errors import DatabaseUnavailableError, TraderError
from tsdb_trader.fix import codec
from tsdb_trader.fix.codec import Outgoing
from tsdb_trader.fix.collecting import Collections
from tsdb_trader.fix.engine_log import SET_BACK_S
from tsdb_trader.fix.inbound import CopyInbox, Inbox
from tsdb_trader.fix.recovery import Gate
from tsdb_trader.fix.session import Engine
from tsdb_trader.fix.session_settings import SessionSettings
from tsdb_trader.fix.store import StoreError
from tsdb_trader.fix.throttle import Throttle
from tsdb_trader.fix.versions import version_named
from tsdb_trader.model import FixMessage
from tsdb_trader.workers.dead_man import MARK, Pulse
from tsdb_trader.workers.leases import Lease

_log = logs.get("gateway")
_CHUNK = 2_000
# More is no matter of the network.
_CLOCKS_S = 60.0
_OFFLINE_S = 30.0


class ClockError(TraderError):
    """The wall clock was set back, and the FIX engine would wait until its old time comes again."""


def session_settings(row: FixSession) -> SessionSettings:
    """Return what the engine needs, from a row, the settings and the environment."""
    config, login = settings(), fix_login(row.fix_session)
    return SessionSettings(
        template=schema.root() / "fixcfg" / "gateway.cfg",
        host=row.host or config.fix_host,
        port=row.port or config.fix_port,
        sender=row.sender,
        target=row.target,
        store=Path(config.fix_dir) / "gateway",
        version=version_named(row.version),
        heartbeat_s=row.heartbeat_s,
        user_name=login.user_name if login else None,
        password=login.password if login else None,
    )


class SessionWorker:
    """Keeps one FIX session and archives its messages; what the session is for is up to a subclass.

    Parameters
    ----------
    row
        The session as configured.
    url
        The database for the engine's own connection, the worker role's by default.
    pulse
        Learns of every answer of the database.
    patience_s
        How long an incoming message may wait for the database before the process ends.
    answer_timeout_s
        How long the venue may take to answer.
    """

    kind = "fix_session"
    channels: tuple[str, ...] = ()
    inbox_type: type[Inbox] = Inbox

    def __init__(
        self,
        row: FixSession,
        url: str | None = None,
        *,
        clock: Clock | None = None,
        pulse: Pulse | None = None,
        patience_s: float = 30.0,
        answer_timeout_s: float = 5.0,
    ) -> None:
        self.lease = f"fix:{row.fix_session}"
        self.name = self.lease
        self.poll_s = 1.0
        self.row = row
        self._clock: Clock = clock or SystemClock()
        self.pulse = pulse or Pulse(self._clock)
        self._session = session_settings(row)
        # Before there is a lease to keep: a large dictionary takes seconds.
        self._session.write()
        self._store = self._session.message_store()
        self._run_id = uuid.uuid4().hex[:12]
        self._gate = Gate(self._clock, self._run_id, timeout_s=answer_timeout_s)
        self._collections = Collections(self._clock, timeout_s=answer_timeout_s)
        self._throttle = Throttle(row.throttle_per_s, self._clock)
        self._held = Lease(self.lease, self._clock)
        self._url = url or db.database_url("tsdb_worker_gateway")
        self._inbox = self.inbox_type(
            venue=row.venue,
            fix_session=self._session.fix_session,
            url=self._url,
            gate=self._gate,
            collections=self._collections,
            clock=self._clock,
            sent=self._store.read,
            committed=self.pulse.touch,
            patience_s=patience_s,
        )
        self._engine: Engine | None = None
        self._unarchived: list[FixMessage] = []
        self._offline_since = self._clock.monotonic()
        self._halted = False

    def bind_wake(self, wake: Callable[[], None]) -> None:
        """Let the engine's thread wake the worker's loop up."""
        self._inbox.wake = wake

    def bind_lease(self, lease: Lease) -> None:
        """Send nothing without this lease."""
        self._held = lease

    def start(self, conn: Connection) -> None:
        """Complete the archive and prepare, then connect."""
        self._store.mend()
        self._complete_archive(conn)
        self._prepare(conn)
        self._held.keep(conn)
        self._offline_since = self._clock.monotonic()
        if self._engine is None:
            # The engine reads a large dictionary for seconds, and its logon needs the lease.
            with self._held.kept(conn):
                self._engine = Engine(self._session, self._inbox, self._held.valid, self._clock)
        self._engine.start()

    def step(self, conn: Connection) -> bool:
        """Record what was sent, then do what the session is for."""
        # The loop has just renewed the lease.
        self.pulse.touch()
        engine = self._running()
        self._record(conn)
        if self._halted or self._halt(conn, engine):
            return False
        try:
            if self._work(conn, engine):
                return True
        finally:
            self._check_store(conn, engine)
        self._check_clock(conn, engine)
        self._watch(conn, engine)
        self._flush(conn, engine)
        self.pulse.touch()
        return False

    def stop(self) -> None:
        """Log out, and archive the session's last messages if the database answers."""
        if self._engine is None:
            return
        if not self._halted:
            self._say_goodbye(self._engine)
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
        return {
            "venue": self.row.venue,
            "kind": self.row.kind,
            "fix_session": self._session.fix_session,
            "logged_on": self.logged_on(),
            "gate": "halted" if self._halted else "open" if self._gate.is_open else "shut",
            "received": self._inbox.received,
        }

    def logged_on(self) -> bool:
        """Say whether messages leave at once."""
        return self._engine is not None and self._engine.logged_on()

    def _prepare(self, conn: Connection) -> None:
        """Do what has to be done before the first logon."""

    def _work(self, conn: Connection, engine: Engine) -> bool:
        """Do one short piece of what the session is for; return True to be called at once."""
        raise NotImplementedError

    def _say_goodbye(self, engine: Engine) -> None:
        """Send what has to be sent before a clean logout."""

    def _running(self) -> Engine:
        if self._engine is None:
            raise RuntimeError("step before start")
        return self._engine

    def may_send(self) -> bool:
        """Say whether a message would leave at once, and may."""
        return self._held.valid() and self.logged_on()

    def send(self, outgoing: Outgoing) -> FixMessage:
        """Send a message that is only archived; safe from any thread."""
        message = self._running().send(outgoing)
        self._throttle.note()
        self._unarchived.append(message)
        return message

    def _complete_archive(self, conn: Connection) -> None:
        """Archive what a dead gateway stored and did not record."""
        pending = {a.cl_ord_id: a for a in oms.pending_actions(conn, self.row.venue, 1_000_000)}
        added = 0
        for chunk in self._stored():
            missing = oms.find_unarchived(conn, self._session.fix_session, "out", chunk)
            self._held.keep(conn)
            self.pulse.touch()
            for message in (m for m in chunk if m.seqnum in missing):
                action = pending.get(message.cl_ord_id or "")
                if action is not None and message.msg_type not in codec.QUESTIONS:
                    oms.record_sent(conn, [message.as_json(action_id=action.action_id)])
                else:
                    oms.archive_messages(conn, [message.as_json()])
                    self._tell_of_dead_man(conn, message)
                added += 1
        if added:
            _log.warning("archive completed from the message store", messages=added)

    def _stored(self) -> Iterator[list[FixMessage]]:
        name = self._session.fix_session
        messages = (codec.describe("out", name, raw) for _, raw in self._store.messages())
        ours = (m for m in messages if m.msg_type not in codec.ADMIN_TYPES)
        while chunk := list(islice(ours, _CHUNK)):
            yield chunk

    def _record(self, conn: Connection) -> None:
        """Archive what has gone; kept and tried again until it is committed."""
        batch = self._unarchived[:]
        if batch:
            oms.archive_messages(conn, [m.as_json() for m in batch])
            # Another thread may have added to it meanwhile.
            del self._unarchived[: len(batch)]
            for message in batch:
                self._tell_of_dead_man(conn, message)

    def _tell_of_dead_man(self, conn: Connection, message: FixMessage) -> None:
        """Alert when a message is one of the dead-man's switch: it is archived just now."""
        prefix, mark, rest = (message.cl_ord_id or "").partition(MARK)
        if not mark:
            return
        # One alert per firing, however many cancels it took.
        text = (
            f"the database was silent, {self.row.venue} was asked to cancel everything "
            f"({prefix}{mark}{rest.partition('-')[0]})"
        )
        ops.raise_alert(
            conn, "dead_man", "critical", text, {"fix_session": self._session.fix_session}
        )

    def _flush(self, conn: Connection, engine: Engine) -> None:
        """Archive session-level messages, and answers that changed nothing."""
        for queue in (engine.archive, self._inbox.unarchived):
            batch = [queue.popleft() for _ in range(min(len(queue), _CHUNK))]
            if not batch:
                continue
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
            f"session {self.row.fix_session} with {self.row.venue} is stopped: sequence numbers do "
            f"not match ({engine.numbers_lost}); reconcile, reset both message stores, restart the "
            "gateway"
        )
        ops.raise_alert(conn, "fix_sequence", "critical", text, {"pid": os.getpid()})
        _log.error("halted", reason=text)
        engine.stop()
        self._halted = True
        self._flush(conn, engine)
        return True

    def _check_store(self, conn: Connection, engine: Engine) -> None:
        """End when the message store failed: only a new engine writes again, if it can be."""
        if engine.store_failure:
            detail = {"engine": engine.store_failure, "fix_session": self._session.fix_session}
            text = f"session {self.row.fix_session} cannot write its message store: nothing leaves"
            ops.raise_alert(conn, "fix_store", "critical", text, detail)
            raise StoreError(f"{text}: {engine.store_failure}")

    def _check_clock(self, conn: Connection, engine: Engine) -> None:
        """End when the clock was set back: see `EngineLog`; a new engine knows no later time."""
        set_back_s = engine.set_back_s()
        if set_back_s > SET_BACK_S:
            text = (
                f"the clock of session {self.row.fix_session} was set back by {set_back_s:.0f} s: "
                "its gateway starts anew"
            )
            ops.raise_alert(conn, "clocks", "critical", text, {"fix_session": self.row.fix_session})
            raise ClockError(text)

    def _watch(self, conn: Connection, engine: Engine) -> None:
        """Tell a person about silence and refusals."""
        for refusal in engine.refusals():
            text = f"{self.row.venue}: we had to refuse message {refusal}"
            ops.raise_alert(conn, "message_refused", "critical", text, {})
        apart_s = self._inbox.clocks_apart_s
        if abs(apart_s) > _CLOCKS_S:
            text = (
                f"the clocks of {self.row.venue} and ours differ, or its messages are that late: "
                f"{apart_s:.0f} s"
            )
            ops.raise_alert(conn, "clocks", "critical", text, {"fix_session": self.row.fix_session})
            self._inbox.clocks_apart_s = 0.0
        now = self._clock.monotonic()
        if engine.logged_on():
            self._offline_since = now
        elif now - self._offline_since > _OFFLINE_S:
            detail = {
                "engine": engine.last_event,
                "venue": self.row.venue,
                "fix_session": self._session.fix_session,
                "pid": os.getpid(),
            }
            text = (
                f"no FIX session {self.row.fix_session} with {self.row.venue} "
                f"for {_OFFLINE_S:.0f} s"
            )
            ops.raise_alert(conn, "gateway_offline", "critical", text, detail)
            self._offline_since = now


class DropCopySession(SessionWorker):
    """Takes copies of executions for comparison; no order leaves here."""

    inbox_type = CopyInbox

    def _prepare(self, conn: Connection) -> None:
        self._gate.load(self._gate.generation, [])

    def _work(self, conn: Connection, engine: Engine) -> bool:
        # What was missed comes again by itself: the engine asks for it.
        if self._gate.needs_list():
            self._gate.load(self._gate.generation, [])
        return False
