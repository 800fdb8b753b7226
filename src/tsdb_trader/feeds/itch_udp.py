"""TotalView-ITCH over MoldUDP64: listens to UDP, asks for what is missing, stores in sequence.

Configuration (row of ops.feeds)::

    {"listen": "0.0.0.0:26477",          address to bind
     "group": "233.54.12.111",           multicast group, none for unicast
     "interface": "10.0.0.5",            address of the interface that joins it
     "request": "207.251.255.168:26477", server that sends messages again, none: no requests
     "exchange": "Q", "day": "2022-12-28",   day of the session, by default today in New York
     "retry_s": 0.25, "give_up_s": 10,       when to ask again; when to give a gap up
     "block_messages": 20000,                messages stored together
     "replay": true}                         see below

Executions name orders that were added at any time of the day, so after a restart the messages
from number 1 on are asked for again and decoded, but not stored, if there is a server to ask
(`replay`). Without it, messages about orders from before the restart are quarantined.
"""

from __future__ import annotations

import random
import selectors
import socket
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from typing import Any

import numpy as np

from tsdb_trader.clock import Clock, SystemClock
from tsdb_trader.errors import InputError
from tsdb_trader.feeds import moldudp
from tsdb_trader.feeds.base import EPOCH, Block, Definition, Gap
from tsdb_trader.feeds.itch_decode import NEW_YORK, Decoder
from tsdb_trader.feeds.itch_frames import Frames
from tsdb_trader.feeds.moldudp import Hole, MalformedPacketError, Reassembler

_LARGEST_PACKET = 65_535
_RECEIVE_BUFFER = 8 << 20
_SLOWEST_RETRY_S = 5.0
_MOST_ASKED = 60_000
"""A request has 16 bits for the count, of which the highest is the end of the session."""


@dataclass(frozen=True)
class Configuration:
    """What the feed's row says."""

    listen: tuple[str, int]
    request: tuple[str, int] | None = None
    group: str | None = None
    interface: str = "0.0.0.0"  # noqa: S104 - the system's choice of interface
    exchange: str = "Q"
    day: date | None = None
    retry_s: float = 0.25
    give_up_s: float = 10.0
    block_messages: int = 20_000
    replay: bool = True

    @staticmethod
    def read(values: Mapping[str, Any]) -> Configuration:
        """Check the configuration's values.

        Raises
        ------
        InputError
            One is missing, unknown or unusable.
        """
        known = Configuration.__dataclass_fields__
        if unknown := sorted(set(values) - set(known)):
            raise InputError(f"itch_udp: unknown {', '.join(unknown)}; use {', '.join(known)}")
        if "listen" not in values:
            raise InputError('itch_udp: no "listen": give the address to bind, such as ":26477"')
        read: dict[str, Any] = {}
        for name, value in values.items():
            try:
                read[name] = _READERS[name](value)
            except (TypeError, ValueError) as error:
                raise InputError(f"itch_udp: {name} cannot be {value!r} ({error})") from None
        return Configuration(**read)


def _address(value: str) -> tuple[str, int]:
    host, _, port = value.rpartition(":")
    if not 0 <= int(port) <= 65_535:
        raise ValueError("no such port")
    return host or "0.0.0.0", int(port)  # noqa: S104 - as the user asked


def _group(value: str) -> str:
    if not 224 <= socket.inet_aton(value)[0] < 240:
        raise ValueError("no multicast address")
    return value


def _positive(value: float) -> float:
    if not float(value) > 0:
        raise ValueError("must be above 0")
    return float(value)


def _flag(value: object) -> bool:
    if not isinstance(value, bool):
        raise ValueError("must be true or false")
    return value


_READERS: Mapping[str, Any] = {
    "listen": _address,
    "request": lambda value: None if value is None else _address(value),
    "group": lambda value: None if value is None else _group(value),
    "interface": lambda value: socket.inet_ntoa(socket.inet_aton(value)),
    "exchange": str,
    "day": lambda value: None if value is None else date.fromisoformat(value),
    "retry_s": _positive,
    "give_up_s": _positive,
    "block_messages": lambda value: int(_positive(value)),
    "replay": _flag,
}


@dataclass
class _Session:
    """A session of the source: its messages in sequence, and what they are about.

    `stored` is the next row to store; those before are decoded for the orders they tell of.
    """

    content: str
    decoder: Decoder
    messages: Reassembler
    stored: int
    duplicates: int = 0
    ended: bool = False


@dataclass
class _Counts:
    packets: int = 0
    malformed: int = 0
    requests: int = 0
    messages: int = 0
    given_up: int = 0
    late: int = 0
    last_packet: str | None = None
    last_error: str | None = None


class ItchUdpStream:
    """Receives TotalView-ITCH 5.0 over MoldUDP64."""

    definition = Definition()
    vocabulary = "itch"
    first_row = 1

    def __init__(self, configuration: Mapping[str, Any], clock: Clock | None = None) -> None:
        self._configuration = Configuration.read(configuration)
        self._clock = clock or SystemClock()
        self._next_rows: Mapping[str, int] = {}
        self._sessions: dict[str, _Session] = {}
        self._selector: selectors.BaseSelector | None = None
        self._listener: socket.socket | None = None
        self._asker: socket.socket | None = None
        self._counts = _Counts()

    @property
    def address(self) -> tuple[str, int]:
        """The address that packets are received at."""
        assert self._listener is not None  # noqa: S101 - only while it is open
        host, port = self._listener.getsockname()
        return str(host), int(port)

    def open(self, next_rows: Mapping[str, int]) -> None:
        """Bind, and join the group.

        Raises
        ------
        OSError
            The address cannot be used now.
        """
        self.close()
        self._next_rows = dict(next_rows)
        self._selector = selectors.DefaultSelector()
        self._listener = self._socket()
        self._listener.bind(self._configuration.listen)
        if self._configuration.group is not None:
            join = socket.inet_aton(self._configuration.group)
            join += socket.inet_aton(self._configuration.interface)
            self._listener.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, join)
        # Answers come to where the request came from, while many may listen to the group.
        self._asker = self._socket()

    def _socket(self) -> socket.socket:
        assert self._selector is not None  # noqa: S101 - made just before
        made = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        made.setblocking(False)
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _RECEIVE_BUFFER)
        self._selector.register(made, selectors.EVENT_READ)
        return made

    def close(self) -> None:
        """Stop listening; messages that wait for others are forgotten and come again."""
        for opened in (self._selector, self._listener, self._asker):
            if opened is not None:
                opened.close()
        self._selector = self._listener = self._asker = None
        self._sessions = {}

    def read(self, timeout_s: float) -> Sequence[tuple[str, Block]]:
        """Wait at most so long, and return the messages that are next in sequence."""
        deadline = self._clock.monotonic() + timeout_s
        found: list[tuple[str, Block]] = []
        while True:
            self._receive(max(min(deadline - self._clock.monotonic(), self._pause()), 0))
            for session in self._sessions.values():
                found.extend((session.content, block) for block in self._blocks(session))
            if found or self._clock.monotonic() >= deadline:
                return found

    def _pause(self) -> float:
        """Return how long to wait for packets before looking after holes."""
        holes = any(session.messages.holes for session in self._sessions.values())
        return self._configuration.retry_s / 2 if holes else 1.0

    def stored(self) -> None:
        """Take no notice: sequence numbers are the resume point."""

    def detail(self) -> dict[str, Any]:
        """Return counts of packets and messages, and what is missing."""
        reassemblers = [session.messages for session in self._sessions.values()]
        return vars(self._counts) | {
            "sessions": {s.content: s.messages.next_sequence for s in self._sessions.values()},
            "implausible": sum(r.implausible for r in reassemblers),
            "dropped": sum(r.dropped for r in reassemblers),
            "waiting": sum(r.waiting for r in reassemblers),
            "missing": sum(h.last - h.first + 1 for r in reassemblers for h in r.holes),
            "live_orders": sum(len(s.decoder.orders) for s in self._sessions.values()),
        }

    def _receive(self, timeout_s: float) -> None:
        """Take what comes in within a time, at most about a block of messages."""
        assert self._selector is not None  # noqa: S101 - only while it is open
        before = self._counts.messages
        for key, _ in self._selector.select(timeout_s):
            received = key.fileobj
            assert isinstance(received, socket.socket)  # noqa: S101 - nothing else is registered
            while self._counts.messages - before < self._configuration.block_messages:
                try:
                    data = received.recv(_LARGEST_PACKET)
                except BlockingIOError:
                    break
                except ConnectionError as error:
                    # The request server is not there; asking goes on.
                    self._counts.last_error = str(error)
                    break
                self._take(data)
        for session in self._sessions.values():
            self._ask(session)

    def _take(self, data: bytes) -> None:
        now = self._clock.now()
        self._counts.packets += 1
        self._counts.last_packet = now.isoformat()
        try:
            packet = moldudp.parse(data)
        except MalformedPacketError as error:
            self._counts.malformed += 1
            self._counts.last_error = f"malformed packet: {error}"
            return
        session = self._sessions.get(packet.session) or self._begin(packet.session)
        received = (now - EPOCH) // timedelta(microseconds=1)
        session.messages.add(packet, received, self._clock.monotonic())
        session.ended |= packet.end
        self._counts.messages += len(packet.messages)

    def _begin(self, name: str) -> _Session:
        day = self._configuration.day or self._clock.now().astimezone(NEW_YORK).date()
        content = f"{day.isoformat()}/{name}"
        stored = self._next_rows.get(content, self.first_row)
        replay = self._configuration.replay and self._configuration.request is not None
        decoder = Decoder(day, self._configuration.exchange)
        messages = Reassembler(self.first_row if replay else stored)
        self._sessions[name] = _Session(content, decoder, messages, stored)
        return self._sessions[name]

    def _ask(self, session: _Session) -> None:
        """Ask again for what is missing, ever more slowly."""
        server, now = self._configuration.request, self._clock.monotonic()
        if server is None:
            return
        name = session.content.partition("/")[2]
        for hole in session.messages.holes:
            if hole.ask_at <= now:
                self._send(hole, name, server)
                delay = min(self._configuration.retry_s * 2**hole.asked, _SLOWEST_RETRY_S)
                hole.asked = min(hole.asked + 1, 10)
                hole.ask_at = now + delay * random.uniform(0.5, 1.0)  # noqa: S311 - spreads load

    def _send(self, hole: Hole, name: str, server: tuple[str, int]) -> None:
        assert self._asker is not None  # noqa: S101 - only while it is open
        count = min(hole.last - hole.first + 1, _MOST_ASKED)
        try:
            self._asker.sendto(moldudp.request(name, hole.first, count), server)
        except OSError as error:
            # Nothing else depends on the server; the hole is asked for again, or given up.
            self._counts.last_error = f"request server {server[0]}:{server[1]}: {error}"
        self._counts.requests += 1

    def _blocks(self, session: _Session) -> Iterator[Block]:
        """Yield the blocks that can be stored now."""
        messages = session.messages
        while True:
            # No block is stored in part, so one ends where storing begins.
            most = self._configuration.block_messages
            if messages.next_sequence < session.stored:
                most = min(most, session.stored - messages.next_sequence)
            first, taken, times = messages.take(most)
            if taken:
                block = _decoded(session.decoder, first, taken, times)
            elif (gap := self._given_up(messages)) is not None:
                block = Block(max(gap.first, session.stored), gap.last + 1)
                block = replace(block, missing=block.stop - block.start)
            else:
                break
            if block.stop > session.stored:
                yield _with_notes(session, block)
        self._counts.late += len(messages.late)
        messages.late.clear()
        if messages.new_gaps or messages.filled:
            notes = _with_notes(session, Block(session.stored, session.stored))
            if notes.gaps or notes.filled:
                yield notes

    def _given_up(self, messages: Reassembler) -> Gap | None:
        gap = messages.give_up(self._clock.monotonic() - self._configuration.give_up_s)
        if gap is not None:
            self._counts.given_up += gap.last - gap.first + 1
        return gap


def _decoded(
    decoder: Decoder, first: int, messages: Sequence[bytes], times: Sequence[int]
) -> Block:
    stop = first + len(messages)
    found = decoder.decode(
        Frames.of(messages), np.arange(first, stop), recv_ts=np.array(times, dtype=np.int64)
    )
    return Block(first, stop, found.ticks, found.messages, found.rejected, found.corrections)


def _with_notes(session: _Session, block: Block) -> Block:
    """Add what happened to the sequence meanwhile, as far as it is about rows not stored yet."""
    messages, stored = session.messages, session.stored
    gaps, filled = (
        [Gap(max(gap.first, stored), gap.last) for gap in noted if gap.last >= stored]
        for noted in (messages.new_gaps, messages.filled)
    )
    messages.new_gaps, messages.filled = [], []
    duplicates = messages.duplicates - session.duplicates
    session.duplicates, session.stored = messages.duplicates, block.stop
    return replace(block, gaps=gaps, filled=filled, duplicates=duplicates)
