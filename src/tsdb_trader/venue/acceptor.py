"""The QuickFIX acceptor in front of one exchange or several.

Threads: the engine's, in which requests arrive, the worker's, which follows the market, and
timers. One lock per exchange guards it and its journal and is never held while a message is sent.
Reports leave in the order they were journaled, whichever thread hands them over.

Every callback is wrapped: an exception that reaches the engine leaves a dead session in a process
that still says it is logged on. A process that ends inside `fromApp` has not consumed the message,
so the participant sends it again.
"""

from __future__ import annotations

import functools
import os
import time
from collections.abc import Callable, Sequence
from typing import Any, ParamSpec, TypeVar

import psycopg
import quickfix

from tsdb_trader import logs
from tsdb_trader.clock import Clock
from tsdb_trader.errors import ConfigurationError
from tsdb_trader.venue import passwords, versions
from tsdb_trader.venue.echo import Echo
from tsdb_trader.venue.engine_log import EngineLogs
from tsdb_trader.venue.engine_settings import EngineSettings
from tsdb_trader.venue.exchange import Exchange
from tsdb_trader.venue.house import House
from tsdb_trader.venue.journal import Journal
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
_LOGON, _HEARTBEAT = "A", "0"
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


class Callbacks(quickfix.Application):  # type: ignore[misc]
    """FIX callbacks → exchanges."""

    def __init__(self, houses: Sequence[House], layer: SessionLayer) -> None:
        super().__init__()
        self._houses = {house.exchange.venue: house for house in houses}
        self._only = houses[0]
        self._layer = layer
        self._echo = Echo()

    def _house(self, session_id: Any) -> House:
        """Return the venue that a session is with; a CompID of its own means the first."""
        return self._houses.get(session_id.getSenderCompID().getValue(), self._only)

    @fatal
    def onCreate(self, session_id: Any) -> None:
        self._house(session_id).outbox.sessions[session_id.toString()] = quickfix.SessionID(
            session_id.getBeginString().getValue(),
            session_id.getSenderCompID().getValue(),
            session_id.getTargetCompID().getValue(),
        )

    @fatal
    def onLogon(self, session_id: Any) -> None:
        fix_session = session_id.toString()
        house = self._house(session_id)
        with house.lock:
            owed = house.exchange.unsent(fix_session)
            house.outbox.put(owed)
        _log.info("logged on", fix_session=fix_session, owed=len(owed))
        # Not in the engine's thread: what is owed may be a lot, and others want to log on.
        house.outbox.drain_aside()

    @fatal
    def onLogout(self, session_id: Any) -> None:
        fix_session = session_id.toString()
        house = self._house(session_id)
        with house.lock:
            house.exchange.market_data.drop(fix_session)
            house.outbox.logged_out(fix_session)
            # To others, too: what is cancelled may have been shown.
            house.put(house.exchange.disconnected(fix_session))
        self._echo.forget(fix_session)
        self._layer.logged_out(session_id)
        _log.info("logged out", fix_session=fix_session)
        house.outbox.drain()

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
        kind = message.getHeader().getField(35)
        if kind == _LOGON:
            self._check_password(message, session_id)
        if kind != _HEARTBEAT or not message.isSetField(112):
            return
        fix_session = session_id.toString()
        house = self._house(session_id)
        with house.lock:
            if house.outbox.caught_up(fix_session, message.getField(112)):
                house.exchange.market_data.refresh(fix_session)
                house.put([])
        house.outbox.drain()

    def _check_password(self, message: Any, session_id: Any) -> None:
        """Refuse a wrong password; in FIX 4.2 RawData has it, after the user's name and a colon."""
        participant = self._house(session_id).exchange.participants.get(
            session_id.getTargetCompID().getValue()
        )
        if session_id.getBeginString().getValue() == versions.FIX42:
            name, _, password = _text(message, 96).rpartition(":")
        else:
            name, password = _text(message, 553), _text(message, 554)
        refusal = passwords.refusal(participant, name, password)
        if refusal is not None:
            raise quickfix.RejectLogon(refusal)

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
        house = self._house(session_id)
        request = parse_request(storable(message.toString()), fix_session)
        try:
            with house.lock:
                house.put(house.exchange.handle(request))
        except UnsupportedError:
            raise quickfix.UnsupportedMessageType from None
        house.outbox.drain()


def _text(message: Any, tag: int) -> str:
    return str(message.getField(tag)) if message.isSetField(tag) else ""


class Acceptor:
    """Venues that listen. Make it once per process."""

    def __init__(
        self, venues: Sequence[tuple[Exchange, Journal]], config: EngineSettings, clock: Clock
    ) -> None:
        self._houses = [House(exchange, journal, clock, fatal) for exchange, journal in venues]
        self._config = config
        layer = SessionLayer(config.sessions)
        # The engine keeps pointers to these and owns none of them.
        self._callbacks = Callbacks(self._houses, layer)
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
        for house in self._houses:
            house.exchange.listen_to(list(house.outbox.sessions))
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
        # Every house gets its turn, whatever the others say.
        return any([house.follow() for house in self._houses])

    def working(self) -> dict[str, int]:
        """Return the number of orders that can still trade, by venue."""
        return {house.exchange.venue: house.exchange.working() for house in self._houses}

    def stop(self) -> None:
        """Write what is left to write, then end the sessions; the process should end afterwards."""
        try:
            for house in self._houses:
                house.flush()
        except psycopg.OperationalError as error:
            # Only the marks of sent reports are lost: those go out again, with the same ExecID.
            _log.warning("journal not written", error=str(error).splitlines()[0])
        self._log_out()

    def _log_out(self) -> None:
        """End the sessions, and leave the rest of the engine to the end of the process.

        Its own stop() closes the listening server in this thread while its thread deletes it, and
        so crashes the process now and then (quickfix 1.16, SocketAcceptor::onStop and onStart).
        """
        ids = [i for house in self._houses for i in house.outbox.sessions.values()]
        sessions = [s for i in ids if (s := quickfix.Session.lookupSession(i)) is not None]
        for session in sessions:
            session.logout()
        deadline = time.monotonic() + _LOGOUT_S
        while time.monotonic() < deadline and any(s.isLoggedOn() for s in sessions):
            time.sleep(_POLL_S)
