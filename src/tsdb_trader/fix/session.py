"""The QuickFIX initiator: callbacks in, messages out, nothing remembered that a restart would miss.

Every callback is wrapped: an exception that reaches the engine leaves a dead session in a process
that still says it is logged on. Messages in callbacks are borrowed and copied as text.
"""

from __future__ import annotations

import functools
from collections import OrderedDict, deque
from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar

import quickfix
from pydantic import SecretStr

from tsdb_trader import logs
from tsdb_trader.clock import Clock
from tsdb_trader.errors import TraderError
from tsdb_trader.fix import codec
from tsdb_trader.fix.codec import CodecError, Fields, Outgoing
from tsdb_trader.fix.engine_log import EngineLog, OneLog
from tsdb_trader.fix.inbound import Inbox, leave
from tsdb_trader.fix.session_settings import SessionSettings
from tsdb_trader.fix.store import MessageStore
from tsdb_trader.model import FixMessage

_P = ParamSpec("_P")
_R = TypeVar("_R")
_log = logs.get("gateway")
# What the engine says, in an event or to the other side, of a number it has seen before.
_TOO_LOW = "MsgSeqNum too low"
# What it says of its message store; a file that has failed once refuses everything from then on.
_STORE_FAILED = "IO Error"
# Session messages are archived as well as can be; this many wait while the database is away.
_QUEUE = 10_000
# What the engine sends of its own accord.
_OWN_TYPES = codec.ADMIN_TYPES | {codec.BUSINESS_REJECT}
# Messages kept between the wire and the callback, and of sent messages a reject may refer to.
_KEPT = 20_000


class SendError(TraderError):
    """The FIX engine refused to store or send a message."""


def _fatal(callback: Callable[_P, _R]) -> Callable[_P, _R]:
    """End the process when a callback fails; only DoNotSend may reach the engine."""

    @functools.wraps(callback)
    def wrapped(*args: _P.args, **kwargs: _P.kwargs) -> _R:
        try:
            return callback(*args, **kwargs)
        except quickfix.DoNotSend:
            raise
        except BaseException:
            _log.exception("callback failed", callback=callback.__name__, action="exit")
            leave()

    return wrapped


class _Wire(EngineLog):
    """Sees every message as it is on the wire, which the engine's own objects no longer show."""

    def __init__(
        self,
        archive: deque[FixMessage],
        fix_session: str,
        password: SecretStr | None,
        store: MessageStore,
        clock: Clock,
    ) -> None:
        super().__init__(clock)
        self._archive = archive
        self._store = store
        self._fix_session = fix_session
        self._secret = password.get_secret_value() if password is not None else None
        self._incoming: OrderedDict[tuple[str, bool], tuple[FixMessage, Fields]] = OrderedDict()
        self.refusals: deque[str] = deque(maxlen=100)
        self.last_event = ""
        self.numbers_lost = ""
        self.store_failure = ""

    def take(
        self, seqnum: str, possible_duplicate: bool
    ) -> tuple[FixMessage, Fields] | tuple[None, None]:
        """Return an incoming message and its fields, once."""
        return self._incoming.pop((seqnum, possible_duplicate), (None, None))

    @_fatal
    def onIncoming(self, raw: str) -> None:
        self.note_time()
        try:
            raw, fields = self._read(raw)
            message = codec.describe("in", self._fix_session, raw, fields)
        except CodecError:
            return  # the engine refuses it too, and says so in an event
        if message.msg_type in codec.ADMIN_TYPES and message.msg_type != codec.REJECT:
            self._archive.append(message)
            if message.msg_type == codec.LOGOUT and _TOO_LOW in fields.get(58, ""):
                self.numbers_lost = f"the venue says: {fields[58]}"
            return
        self._incoming[fields[34], codec.possible_duplicate(fields)] = message, fields
        if len(self._incoming) > _KEPT:
            self._incoming.popitem(last=False)

    @_fatal
    def onOutgoing(self, raw: str) -> None:
        self.note_time()
        if codec.type_of(raw) not in _OWN_TYPES:
            return  # archived by whoever sends it
        raw, fields = self._read(raw)
        message = codec.describe("out", self._fix_session, raw, fields)
        if message.msg_type == codec.LOGON:
            # The engine has stored it, and sends it after this.
            self._store.scrub()
        self._archive.append(message)
        if message.msg_type in (codec.REJECT, codec.BUSINESS_REJECT):
            number = fields.get(45, "")
            refused = self.take(number, False)[0] or self.take(number, True)[0]
            if refused is not None:
                self._archive.append(refused)
            self.refusals.append(f"{fields.get(45)}: {fields.get(58, 'no reason')}")

    @_fatal
    def onEvent(self, text: str) -> None:
        self.note_time()
        if self._secret is not None:
            text = text.replace(self._secret, "***")
        self.last_event = text
        if _TOO_LOW in text:
            self.numbers_lost = codec.storable(text)
        if text.startswith(_STORE_FAILED):
            self.store_failure = codec.storable(text)
        # A Logon that the connection did not wait for is stored, and tells of itself here only.
        self._store.scrub()
        _log.info("fix event", fix_session=self._fix_session, event_text=codec.storable(text))

    def _read(self, raw: str) -> tuple[str, Fields]:
        """Return a message without our password, and its fields."""
        fields = codec.parse(raw)
        if self._secret is None or fields.get(35) not in codec.ADMIN_TYPES:
            return raw, fields
        raw = codec.masked(raw, self._secret)
        return raw, codec.parse(raw)


class _Callbacks(quickfix.Application):  # type: ignore[misc]
    """Callbacks → inbox."""

    def __init__(
        self,
        inbox: Inbox,
        fix_session: str,
        wire: _Wire,
        may_send: Callable[[], bool],
        login: codec.Pairs,
    ) -> None:
        super().__init__()
        self._inbox = inbox
        self._fix_session = fix_session
        self._wire = wire
        self._may_send = may_send
        self._login = login
        self.captured: dict[str, str] = {}

    @_fatal
    def onCreate(self, _session: Any) -> None:
        return

    @_fatal
    def onLogon(self, _session: Any) -> None:
        _log.info("logged on", fix_session=self._fix_session)
        self._inbox.connected()

    @_fatal
    def onLogout(self, _session: Any) -> None:
        _log.warning("connection lost", fix_session=self._fix_session, reason=self._wire.last_event)
        self._inbox.disconnected()

    @_fatal
    def toAdmin(self, message: Any, _session: Any) -> None:
        self._check_lease()
        if message.getHeader().getField(35) == codec.LOGON:
            for tag, value in self._login:
                message.setField(quickfix.StringField(tag, value))

    @_fatal
    def toApp(self, message: Any, _session: Any) -> None:
        header = message.getHeader()
        # The engine's own replay. An order that goes again goes through the gate, after the venue
        # was asked; the number is filled with a gap. A question may be repeated, and has to be when
        # the venue missed it: the gate waits for its answer.
        if header.isSetField(43) and header.getField(43) == "Y":
            if header.getField(35) in codec.QUESTIONS:
                return
            raise quickfix.DoNotSend
        self._check_lease()
        tag = codec.reference_tag(header.getField(35))
        if message.isSetField(tag):
            self.captured[message.getField(tag)] = message.toString()

    @_fatal
    def fromAdmin(self, message: Any, _session: Any) -> None:
        header = message.getHeader()
        self._inbox.heard(header.getField(52))
        if header.getField(35) == codec.REJECT:
            self._receive(message)

    @_fatal
    def fromApp(self, message: Any, _session: Any) -> None:
        self._receive(message)

    def _check_lease(self) -> None:
        """Leave, rather than write into the store and the session of another gateway."""
        if not self._may_send():
            _log.error("lease not renewed in time", action="exit")
            leave()

    def _receive(self, message: Any) -> None:
        header = message.getHeader()
        duplicate = bool(header.isSetField(43)) and header.getField(43) == "Y"
        received, fields = self._wire.take(header.getField(34), duplicate)
        if received is None or fields is None:
            self._inbox.receive_text(str(message.toString()))
        else:
            self._inbox.receive(received, fields)


class Engine:
    """The FIX session: start, send, stop.

    `send` is safe from several threads, also while a callback waits for the database: the engine
    holds no lock while it calls us.
    """

    def __init__(
        self,
        settings: SessionSettings,
        inbox: Inbox,
        may_send: Callable[[], bool],
        clock: Clock,
    ) -> None:
        self._fix_session = settings.fix_session
        self.archive: deque[FixMessage] = deque(maxlen=_QUEUE)
        self._store = settings.message_store()
        # A process that was killed may have left a password.
        self._store.scrub()
        self._wire = _Wire(
            self.archive, settings.fix_session, settings.password, self._store, clock
        )
        self._callbacks = _Callbacks(
            inbox, settings.fix_session, self._wire, may_send, settings.login()
        )
        self._id = quickfix.SessionID(
            settings.version.begin_string, settings.sender, settings.target
        )
        # The engine keeps references to all of these and owns none of them.
        self._configuration = quickfix.SessionSettings(str(settings.write()))
        self._stores = quickfix.FileStoreFactory(self._configuration)
        self._logs = OneLog(self._wire)
        self._initiator = quickfix.SocketInitiator(
            self._callbacks, self._stores, self._configuration, self._logs
        )
        # Tearing the engine's objects down can crash the process, which ends with os._exit anyway.
        for owned in (self._initiator, self._stores, self._logs, self._callbacks):
            owned.this.disown()

    def start(self) -> None:
        """Start connecting."""
        self._initiator.start()

    def stop(self) -> None:
        """Log out and stop; the process should end afterwards."""
        self._initiator.stop()
        # A Logon may have been stored that did not leave any more.
        self._store.scrub()

    def logged_on(self) -> bool:
        """Say whether messages leave at once."""
        session = quickfix.Session.lookupSession(self._id)
        return session is not None and bool(session.isLoggedOn())

    def refusals(self) -> list[str]:
        """Take what was refused of the venue's messages, as ``number: reason``."""
        found = []
        while self._wire.refusals:
            found.append(self._wire.refusals.popleft())
        return found

    @property
    def last_event(self) -> str:
        """The engine's last word, for alerts."""
        return self._wire.last_event

    def set_back_s(self) -> float:
        """Return by how much the clock was set back; the engine stands still for so long."""
        return self._wire.set_back_s()

    @property
    def numbers_lost(self) -> str:
        """Why the sequence numbers of both sides cannot be reconciled, '' while they can."""
        return self._wire.numbers_lost

    @property
    def store_failure(self) -> str:
        """Why nothing can be stored, and so sent, any more; '' while it can."""
        return self._wire.store_failure

    def send(self, outgoing: Outgoing) -> FixMessage:
        """Hand a message to the engine and return it as it was stored.

        Returning means stored, not received: only the venue's answer proves that.

        Raises
        ------
        SendError
            The engine did not take it.
        """
        message = as_message(outgoing)
        captured = self._callbacks.captured
        captured.pop(outgoing.reference, None)
        taken = quickfix.Session.sendToTarget(message, self._id)
        raw = captured.pop(outgoing.reference, None)
        if not taken or raw is None:
            raise SendError(f"the FIX engine did not take {outgoing.reference}: {self.last_event}")
        return codec.describe("out", self._fix_session, raw)


def as_message(outgoing: Outgoing) -> Any:
    """Return a message as the engine's own object."""
    message = quickfix.Message()
    header = message.getHeader()
    header.setField(quickfix.StringField(35, outgoing.msg_type))
    for tag, value in outgoing.header:
        header.setField(quickfix.StringField(tag, value))
    for tag, value in outgoing.body:
        message.setField(quickfix.StringField(tag, value))
    for group in outgoing.groups:
        for entry in group.entries:
            added = quickfix.Group(group.count_tag, group.first_tag)
            for tag, value in entry:
                added.setField(quickfix.StringField(tag, value))
            message.addGroup(added)
    return message
