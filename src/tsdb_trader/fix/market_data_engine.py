"""The QuickFIX initiator of a feed: what comes goes into a queue, nothing is decided here.

An engine lives as long as its process: taking one down can crash it, so a feed that closes only
logs out, one that opens again with the same settings gets the same engine, and the process has to
end with `os._exit`, as every worker does. Callbacks are wrapped; messages are kept as the text on
the wire.
"""

from __future__ import annotations

import contextlib
import functools
import queue
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from string import Template
from typing import Any, Literal, ParamSpec, TypeVar
from xml.etree import ElementTree

import quickfix

from tsdb_trader import logs
from tsdb_trader.clock import Clock
from tsdb_trader.errors import ConfigurationError
from tsdb_trader.feeds.base import EPOCH
from tsdb_trader.fix import codec
from tsdb_trader.fix.codec import CodecError
from tsdb_trader.fix.engine_log import SET_BACK_S, EngineLog, OneLog
from tsdb_trader.fix.inbound import leave
from tsdb_trader.fix.market_data_codec import Row
from tsdb_trader.fix.session_settings import dictionary

_P = ParamSpec("_P")
_R = TypeVar("_R")
_log = logs.get("fix_market_data")
_BEGIN_STRING = "FIX.4.4"
_QUEUE = 200_000
_KEPT = 1_000
_PUT_S = 0.5


@dataclass(frozen=True)
class Connection:
    """Where a feed connects, as fixcfg/market_data.cfg wants it."""

    template: Path
    host: str
    port: int
    sender: str
    target: str
    store: Path
    heartbeat_s: int = 10


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened to the session; `raw` is a message, or why a logout came.

    refused: the engine itself has refused the message, which then reaches nobody else.
    """

    kind: Literal["logon", "logout", "message", "refused"]
    recv: int = 0
    raw: str = ""


def guarded(callback: Callable[_P, _R]) -> Callable[_P, _R]:
    """End the process when a callback fails: the engine would go on as a dead session."""

    @functools.wraps(callback)
    def wrapped(*args: _P.args, **kwargs: _P.kwargs) -> _R:
        try:
            return callback(*args, **kwargs)
        except BaseException:
            _log.exception("callback failed", callback=callback.__name__, action="exit")
            leave()

    return wrapped


class Inbox:
    """Events on their way from the engine's thread to the feed's."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._events: queue.Queue[Event] = queue.Queue(_QUEUE)
        self.open = False

    def put(self, kind: Literal["logon", "logout", "message", "refused"], raw: str = "") -> None:
        """Add an event; a full queue holds the engine, and so the venue, up."""
        recv = (self._clock.now() - EPOCH) // timedelta(microseconds=1)
        while self.open:
            with contextlib.suppress(queue.Full):
                self._events.put(Event(kind, recv, raw), timeout=_PUT_S)
                return

    def get(self, timeout_s: float) -> Event | None:
        """Return the next event, None when there is none in time."""
        with contextlib.suppress(queue.Empty):
            return self._events.get(timeout=timeout_s) if timeout_s else self._events.get_nowait()
        return None

    def clear(self) -> None:
        """Forget what waits."""
        while self.get(0.0) is not None:
            pass


class _Wire(EngineLog):
    """Sees messages as they are on the wire, and which of them the engine refuses."""

    def __init__(self, inbox: Inbox, clock: Clock) -> None:
        super().__init__(clock)
        self._inbox = inbox
        self._incoming: OrderedDict[str, str] = OrderedDict()
        self.last_event = ""

    def take(self, number: str) -> str | None:
        """Return the text of an incoming message, once."""
        return self._incoming.pop(number, None)

    @guarded
    def onIncoming(self, raw: str) -> None:
        self.note_time()
        try:
            fields = codec.parse(raw)
        except CodecError:
            return  # the engine does not take it, and asks for it again
        if fields.get(35, "") in codec.ADMIN_TYPES:
            return
        self._incoming[fields.get(34, "")] = raw
        if len(self._incoming) > _KEPT:
            self._incoming.popitem(last=False)

    @guarded
    def onOutgoing(self, raw: str) -> None:
        fields = codec.parse(raw)
        if fields.get(35) in (codec.REJECT, codec.BUSINESS_REJECT):
            refused = self.take(fields.get(45, ""))
            if refused is not None:
                self._inbox.put("refused", f"{fields.get(58, 'refused')}: {refused}")

    @guarded
    def onEvent(self, text: str) -> None:
        self.note_time()
        self.last_event = codec.storable(text)


class _Callbacks(quickfix.Application):  # type: ignore[misc]
    def __init__(self, inbox: Inbox, wire: _Wire) -> None:
        super().__init__()
        self._inbox = inbox
        self._wire = wire

    @guarded
    def onCreate(self, _session: Any) -> None:
        return

    @guarded
    def onLogon(self, _session: Any) -> None:
        self._inbox.put("logon")

    @guarded
    def onLogout(self, _session: Any) -> None:
        self._inbox.put("logout", self._wire.last_event)

    @guarded
    def toAdmin(self, _message: Any, _session: Any) -> None:
        return

    @guarded
    def toApp(self, _message: Any, _session: Any) -> None:
        return

    @guarded
    def fromAdmin(self, message: Any, _session: Any) -> None:
        if message.getHeader().getField(35) == codec.REJECT:
            self._inbox.put("message", str(message.toString()))

    @guarded
    def fromApp(self, message: Any, _session: Any) -> None:
        raw = self._wire.take(message.getHeader().getField(34))
        self._inbox.put("message", str(message.toString()) if raw is None else raw)


class Engine:
    """A FIX session that is switched on and off."""

    def __init__(self, connection: Connection, qualifier: str, clock: Clock) -> None:
        self.inbox = Inbox(clock)
        self._wire = _Wire(self.inbox, clock)
        self._callbacks = _Callbacks(self.inbox, self._wire)
        self._id = quickfix.SessionID(
            _BEGIN_STRING, connection.sender, connection.target, qualifier
        )
        self._settings = quickfix.SessionSettings(str(_configure(connection, qualifier)))
        self._stores = quickfix.FileStoreFactory(self._settings)
        self._logs = OneLog(self._wire)
        self._initiator = quickfix.SocketInitiator(
            self._callbacks, self._stores, self._settings, self._logs
        )
        for owned in (self._initiator, self._stores, self._logs, self._callbacks):
            owned.this.disown()
        self._started = False

    def switch_on(self) -> None:
        """Connect, and again whenever the connection is lost."""
        self.inbox.clear()
        self.inbox.open = True
        if self._started:
            self._session().logon()
            return
        self._started = True
        self._initiator.start()

    def switch_off(self) -> None:
        """Log out, and forget what has not been read."""
        self.inbox.open = False
        if self._started:
            self._session().logout()
        self.inbox.clear()

    def check_clock(self) -> None:
        """End the process when the clock was set back: a new engine knows no later time."""
        set_back_s = self._wire.set_back_s()
        if set_back_s > SET_BACK_S:
            _log.error("the clock was set back", seconds=round(set_back_s, 1), action="exit")
            leave()

    def send(
        self, msg_type: str, body: Row, groups: Sequence[tuple[int, Sequence[Row]]] = ()
    ) -> None:
        """Send a message.

        Raises
        ------
        ConnectionError
            The session is not logged on.
        """
        message = quickfix.Message()
        message.getHeader().setField(quickfix.MsgType(msg_type))
        for tag, value in body:
            message.setField(quickfix.StringField(tag, value))
        for count_tag, entries in groups:
            for entry in entries:
                group = quickfix.Group(count_tag, entry[0][0])
                for tag, value in entry:
                    group.setField(quickfix.StringField(tag, value))
                message.addGroup(group)
        if not self._session().isLoggedOn() or not quickfix.Session.sendToTarget(message, self._id):
            raise ConnectionError(f"not logged on: {self.last_event}")

    @property
    def last_event(self) -> str:
        """The engine's last word."""
        return self._wire.last_event

    def _session(self) -> Any:
        return quickfix.Session.lookupSession(self._id)


_engines: dict[Connection, Engine] = {}


def engine_for(connection: Connection, clock: Clock) -> Engine:
    """Return this process's engine with such settings.

    Raises
    ------
    ConfigurationError
        The settings are unusable, or another feed of this process has the same ones.
    """
    engine = _engines.get(connection)
    if engine is None:
        engine = _engines[connection] = Engine(connection, f"md{len(_engines) + 1}", clock)
    if engine.inbox.open:
        name = f"{connection.sender}->{connection.target}"
        raise ConfigurationError(f"another feed of this process uses the FIX session {name}")
    return engine


def _configure(connection: Connection, qualifier: str) -> Path:
    """Write the engine's configuration and dictionary, and return the configuration's path."""
    if not connection.template.is_file():
        raise ConfigurationError(f"{connection.template} is missing: install from a checkout")
    folder = connection.store / f"{connection.sender}-{connection.target}-{qualifier}"
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    values = {
        "host": connection.host,
        "port": connection.port,
        "heartbeat": connection.heartbeat_s,
        "store": folder,
        "dictionary": _dictionary(folder),
        "sender": connection.sender,
        "target": connection.target,
        "qualifier": qualifier,
    }
    path = folder / "market_data.cfg"
    path.write_text(Template(connection.template.read_text()).substitute(values))
    return path


def _dictionary(folder: Path) -> Path:
    """Write the dictionary with RptSeq (83), which FIX 4.4 has not and every venue uses."""
    tree = ElementTree.parse(dictionary())  # noqa: S314 - a file of the library itself
    for place in ("messages/message[@msgtype='W']", "components/component[@name='MDIncGrp']/group"):
        found = tree.find(place)
        if found is None:
            raise ConfigurationError(
                "the FIX dictionary has no market data: install quickfix again"
            )
        ElementTree.SubElement(found, "field", {"name": "RptSeq", "required": "N"})
    path = folder / "dictionary.xml"
    tree.write(path)
    return path
