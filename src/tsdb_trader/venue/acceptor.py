"""The QuickFIX acceptor in front of an exchange.

Two threads: the engine's, in which requests arrive, and the worker's, which follows the market.
One lock guards exchange and journal and is never held while a message is sent. Reports leave in
the order they were journaled, whichever thread hands them over.

Every callback is wrapped: an exception that reaches the engine leaves a dead session in a process
that still says it is logged on. A process that ends inside `fromApp` has not consumed the message,
so the participant sends it again.
"""

from __future__ import annotations

import functools
import os
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from typing import Any, ParamSpec, TypeVar

import psycopg
import quickfix

from tsdb_trader import logs
from tsdb_trader.errors import ConfigurationError
from tsdb_trader.venue.echo import Echo
from tsdb_trader.venue.engine_log import EngineLogs
from tsdb_trader.venue.engine_settings import EngineSettings
from tsdb_trader.venue.exchange import Exchange
from tsdb_trader.venue.journal import Journal, Report
from tsdb_trader.venue.market_data import MarketMessage
from tsdb_trader.venue.market_data_flow import Flow
from tsdb_trader.venue.protocol import UnsupportedError, parse_request
from tsdb_trader.venue.session_rules import SessionLayer

_P = ParamSpec("_P")
_R = TypeVar("_R")
_log = logs.get("venue")
# EX_SOFTWARE: the supervisor starts a new process, which restores itself from the journal.
_EXIT_STATUS = 70
# What the engine accepts from a callback and answers on its own.
_ANSWERED = (
    quickfix.DoNotSend,
    quickfix.FieldNotFound,
    quickfix.IncorrectDataFormat,
    quickfix.IncorrectTagValue,
    quickfix.RejectLogon,
    quickfix.UnsupportedMessageType,
)
# Reject and Logout: their text says why a session does not work.
_TELLING = ("3", "5")
# Market data is of its moment: the engine may never send it again.
_FLEETING = ("W", "X", "Y", "f", "y")
# The engine answers once a second, and gives up on a silent participant after LogoutTimeout.
_LOGOUT_S = 5.0
_POLL_S = 0.05


def fatal(function: Callable[_P, _R]) -> Callable[_P, _R]:
    """End the process when the function fails: memory and journal may differ from then on."""

    @functools.wraps(function)
    def wrapped(*args: _P.args, **kwargs: _P.kwargs) -> _R:
        try:
            return function(*args, **kwargs)
        except _ANSWERED:
            raise
        except BaseException:
            try:
                _log.exception("venue failed", where=function.__name__, action="exit")
            finally:
                os._exit(_EXIT_STATUS)

    return wrapped


def storable(raw: str) -> str:
    """Return text the database can hold: bytes that are no UTF-8 and NULs become U+FFFD."""
    text = raw.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
    return text.replace("\x00", "\ufffd")


class Outbox:
    """Hands messages to the engine in order, from whichever thread comes first."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self._waiting: deque[Report | MarketMessage] = deque()
        self._sending = threading.Lock()
        self._flow = Flow()
        self.sessions: dict[str, Any] = {}

    def put(self, messages: Sequence[Report | MarketMessage]) -> None:
        """Queue messages; call with the exchange's lock held, so that order is kept."""
        self._waiting.extend(messages)

    def drain(self) -> None:
        """Send what waits, unless another thread is at it and will see it.

        The lock is only ever tried, so no thread can wait here for the engine's own locks.
        """
        while self._waiting and self._sending.acquire(blocking=False):
            try:
                while self._waiting:
                    self._send(self._waiting.popleft())
            finally:
                self._sending.release()

    def _send(self, message: Report | MarketMessage) -> None:
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
        elif self._flow.allows(message.fix_session):
            quickfix.Session.sendToTarget(_market_message(message), session_id)
            sign = self._flow.sent(message.fix_session)
            if sign is not None:
                quickfix.Session.sendToTarget(_message("1", ((112, sign),)), session_id)

    def caught_up(self, fix_session: str, sign: str) -> bool:
        """Take a participant's sign; True when it may have market data again."""
        return self._flow.answered(fix_session, sign)

    def logged_out(self, fix_session: str) -> None:
        """Forget what a participant owed."""
        self._flow.forget(fix_session)


def _message(msg_type: str, body: Iterable[tuple[int, str]]) -> Any:
    message = quickfix.Message()
    message.getHeader().setField(quickfix.MsgType(msg_type))
    for tag, value in body:
        message.setField(quickfix.StringField(tag, value))
    return message


def _report(report: Report) -> Any:
    message = _message(report.msg_type, ((int(t), v) for t, v in report.fields.items()))
    if report.possible_resend:
        message.getHeader().setField(quickfix.PossResend(True))
    return message


def _market_message(wanted: MarketMessage) -> Any:
    message = _message(wanted.msg_type, wanted.body)
    if wanted.count_tag and not wanted.groups:
        message.setField(quickfix.StringField(wanted.count_tag, "0"))
    for entry in wanted.groups:
        group = quickfix.Group(wanted.count_tag, entry[0][0])
        for tag, value in entry:
            group.setField(quickfix.StringField(tag, value))
        message.addGroup(group)
    return message


class Callbacks(quickfix.Application):  # type: ignore[misc]
    """FIX callbacks → exchange."""

    def __init__(
        self, exchange: Exchange, outbox: Outbox, lock: threading.Lock, layer: SessionLayer
    ) -> None:
        super().__init__()
        self._exchange = exchange
        self._outbox = outbox
        self._lock = lock
        self._layer = layer
        self._echo = Echo()

    @fatal
    def onCreate(self, session_id: Any) -> None:
        self._outbox.sessions[session_id.toString()] = quickfix.SessionID(
            session_id.getBeginString().getValue(),
            session_id.getSenderCompID().getValue(),
            session_id.getTargetCompID().getValue(),
        )

    @fatal
    def onLogon(self, session_id: Any) -> None:
        fix_session = session_id.toString()
        with self._lock:
            owed = self._exchange.unsent(fix_session)
            self._outbox.put(owed)
        _log.info("logged on", fix_session=fix_session, owed=len(owed))
        self._outbox.drain()

    @fatal
    def onLogout(self, session_id: Any) -> None:
        fix_session = session_id.toString()
        with self._lock:
            self._exchange.market_data.drop(fix_session)
            self._outbox.logged_out(fix_session)
        self._echo.forget(fix_session)
        self._layer.logged_out(session_id)
        _log.info("logged out", fix_session=fix_session)

    @fatal
    def toAdmin(self, message: Any, session_id: Any) -> None:
        kind = message.getHeader().getField(35)
        if kind in _TELLING and message.isSetField(58):
            text = message.getField(58)
            _log.warning(
                "session message", fix_session=session_id.toString(), msg_type=kind, text=text
            )

    @fatal
    def fromAdmin(self, message: Any, session_id: Any) -> None:
        self.toAdmin(message, session_id)
        self._layer.from_admin(message, session_id)
        if message.getHeader().getField(35) != "0" or not message.isSetField(112):
            return
        fix_session = session_id.toString()
        with self._lock:
            if self._outbox.caught_up(fix_session, message.getField(112)):
                self._exchange.market_data.refresh(fix_session)
                self._outbox.put(self._exchange.market_data.take())
        self._outbox.drain()

    @fatal
    def toApp(self, message: Any, session_id: Any) -> None:
        header = message.getHeader()
        if header.getField(35) in _FLEETING and header.isSetField(43):
            raise quickfix.DoNotSend

    @fatal
    def fromApp(self, message: Any, session_id: Any) -> None:
        fix_session = session_id.toString()
        if not self._layer.from_application(message, session_id):
            return
        if self._layer.rules(fix_session).echo:
            self._echo.answer(message, session_id)
            return
        request = parse_request(storable(message.toString()), fix_session)
        try:
            with self._lock:
                self._outbox.put(self._exchange.handle(request))
                self._outbox.put(self._exchange.market_data.take())
        except UnsupportedError:
            raise quickfix.UnsupportedMessageType from None
        self._outbox.drain()


class Acceptor:
    """A venue that listens. Make it once per process."""

    def __init__(self, exchange: Exchange, journal: Journal, config: EngineSettings) -> None:
        self._exchange = exchange
        self._config = config
        self._lock = threading.Lock()
        self._outbox = Outbox(journal)
        layer = SessionLayer(config.sessions)
        # The engine keeps pointers to these and owns none of them.
        self._callbacks = Callbacks(exchange, self._outbox, self._lock, layer)
        self._logs = EngineLogs(layer)
        try:
            self._settings = quickfix.SessionSettings(str(config.write()))
            self._store = quickfix.FileStoreFactory(self._settings)
            self._engine = quickfix.SocketAcceptor(
                self._callbacks, self._store, self._settings, self._logs
            )
        except (quickfix.ConfigError, quickfix.RuntimeError) as error:
            raise ConfigurationError(f"{config.source}: {error}") from None
        # Tearing the engine's objects down can crash the process, so it never happens.
        for owned in (self._engine, self._store, self._settings, self._callbacks, self._logs):
            owned.this.disown()

    def start(self) -> None:
        """Listen.

        Raises
        ------
        ConfigurationError
            A port cannot be had.
        """
        try:
            self._engine.start()
        except (RuntimeError, quickfix.RuntimeError, quickfix.ConfigError) as error:
            ports = ", ".join(map(str, self._config.ports))
            raise ConfigurationError(
                f"the venue cannot listen on port {ports} ({error}): "
                "choose another TSDB_TRADER_FIX_PORT, or SocketAcceptPort in its --config"
            ) from None

    @fatal
    def follow(self) -> bool:
        """Let resting orders meet the market; say whether more of it waits."""
        with self._lock:
            reports, more = self._exchange.follow()
            self._outbox.put(reports)
            self._outbox.put(self._exchange.market_data.take())
        self._outbox.drain()
        return more

    def working(self) -> int:
        """Return the number of orders that can still trade."""
        return self._exchange.working()

    def stop(self) -> None:
        """Write what is left to write, then end the sessions; the process should end afterwards."""
        try:
            with self._lock:
                self._exchange.flush()
        except psycopg.OperationalError as error:
            # Only the marks of sent reports are lost: those go out again, with the same ExecID.
            _log.warning("journal not written", error=str(error).splitlines()[0])
        self._log_out()

    def _log_out(self) -> None:
        """End the sessions, and leave the rest of the engine to the end of the process.

        Its own stop() closes the listening server in this thread while its thread deletes it, and
        so crashes the process now and then (quickfix 1.16, SocketAcceptor::onStop and onStart).
        """
        ids = list(self._outbox.sessions.values())
        sessions = [s for i in ids if (s := quickfix.Session.lookupSession(i)) is not None]
        for session in sessions:
            session.logout()
        deadline = time.monotonic() + _LOGOUT_S
        while time.monotonic() < deadline and any(s.isLoggedOn() for s in sessions):
            time.sleep(_POLL_S)
