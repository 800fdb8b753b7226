"""MoldUDP64: sequenced messages over UDP, and the way back to their sequence.

Source: "MoldUDP64 Protocol Specification" 1.00, Nasdaq. A packet has the session, the sequence
number of its first message, and each message after its length in two bytes; one without messages
says which number is next. Packets get lost, come twice, or in another order.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, field
from struct import Struct

from tsdb_trader.feeds.base import Gap

_HEADER = Struct(">10sQH")
_LENGTH = Struct(">H")
END_OF_SESSION = 0xFFFF
_LARGEST_SEQUENCE = (1 << 63) - 1


class MalformedPacketError(ValueError):
    """The bytes are no MoldUDP64 packet."""


@dataclass(frozen=True)
class Packet:
    """A downstream packet; without messages a heartbeat, or the end of the session."""

    session: str
    sequence: int
    messages: Sequence[bytes] = ()
    end: bool = False


def parse(data: bytes) -> Packet:
    """Read a downstream packet.

    Raises
    ------
    MalformedPacketError
        It is shorter or longer than it says, or its session is no text.
    """
    if len(data) < _HEADER.size:
        raise MalformedPacketError("shorter than a header")
    session, sequence, count = _HEADER.unpack_from(data)
    name = session.replace(b"\0", b" ").strip()
    if not name.isalnum() and name:
        raise MalformedPacketError("the session is no text")
    if sequence + count > _LARGEST_SEQUENCE:
        raise MalformedPacketError("an absurd sequence number")
    end = count == END_OF_SESSION
    messages, place = [], _HEADER.size
    for _ in range(0 if end else count):
        if place + _LENGTH.size > len(data):
            raise MalformedPacketError("ends before its last message")
        start = place + _LENGTH.size
        place = start + _LENGTH.unpack_from(data, place)[0]
        messages.append(data[start:place])
    if place != len(data):
        raise MalformedPacketError("longer or shorter than its messages")
    return Packet(name.decode("ascii"), sequence, messages, end)


def downstream(session: str, sequence: int, messages: Sequence[bytes], end: bool = False) -> bytes:
    """Return a packet with messages, without any a heartbeat or the end of the session."""
    parts = [part for m in messages for part in (_LENGTH.pack(len(m)), m)]
    count = END_OF_SESSION if end else len(messages)
    return _HEADER.pack(session.ljust(10).encode("ascii"), sequence, count) + b"".join(parts)


def request(session: str, sequence: int, count: int) -> bytes:
    """Return the packet that asks for messages again."""
    return _HEADER.pack(session.ljust(10).encode("ascii"), sequence, count)


@dataclass
class Hole:
    """Messages that others have overtaken, both ends included; `since` moves when it shrinks."""

    first: int
    last: int
    since: float
    ask_at: float
    asked: int = 0


@dataclass
class Reassembler:
    """Brings the messages of one session back into sequence.

    Parameters
    ----------
    next_sequence
        The first message wanted.
    most_waiting
        How many messages may wait for earlier ones; more are dropped, and asked for later.
    largest_jump
        A packet further ahead is believed when another one confirms it.

    Attributes
    ----------
    high
        The number after the last one heard of.
    duplicates
        Messages that had come before.
    implausible, dropped
        Packets not believed; packets for which there was no room.
    late
        Messages that came after they were given up, or from before the first one wanted.
    new_gaps, filled
        What happened since they were last taken.
    given_up
        Messages that were skipped.
    """

    next_sequence: int = 1
    most_waiting: int = 1_000_000
    largest_jump: int = 1_000_000
    duplicates: int = 0
    implausible: int = 0
    dropped: int = 0
    new_gaps: list[Gap] = field(default_factory=list)
    filled: list[Gap] = field(default_factory=list)
    holes: list[Hole] = field(default_factory=list)
    late: list[bytes] = field(default_factory=list)
    given_up: list[Gap] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.high = self._begin = self.next_sequence
        self._waiting: dict[int, tuple[bytes, int]] = {}
        self._far: int | None = None

    @property
    def waiting(self) -> int:
        """How many messages wait for earlier ones, or to be taken."""
        return len(self._waiting)

    def add(self, packet: Packet, recv_ts: int, now: float) -> None:
        """Take note of a packet of this session that came at a time (monotonic seconds)."""
        first, stop = packet.sequence, packet.sequence + len(packet.messages)
        if not self._plausible(first):
            self.implausible += 1
            return
        if first > self.next_sequence and len(self._waiting) >= self.most_waiting:
            self.dropped += 1
            return
        if first > self.high:
            self.new_gaps.append(Gap(self.high, first - 1))
            self.holes.append(Hole(self.high, first - 1, now, now))
        for number, message in enumerate(packet.messages, first):
            if number < self.next_sequence and self._skipped(number):
                self.late.append(message)
            elif number < self.next_sequence or number in self._waiting:
                self.duplicates += 1
            else:
                self._waiting[number] = message, recv_ts
        if self.holes and packet.messages:
            self._fill(first, stop - 1, now)
        self.high = max(self.high, stop)

    def take(self, most: int) -> tuple[int, list[bytes], list[int]]:
        """Return what is next in sequence: its first number, messages and receive times."""
        first = self.next_sequence
        messages: list[bytes] = []
        times: list[int] = []
        while len(messages) < most and (found := self._waiting.pop(self.next_sequence, None)):
            messages.append(found[0])
            times.append(found[1])
            self.next_sequence += 1
        return first, messages, times

    def give_up(self, before: float) -> Gap | None:
        """Skip the hole at the next number if nothing of it came since a time; return it."""
        if not self.holes or self.holes[0].since > before:
            return None
        hole = self.holes[0]
        if hole.first != self.next_sequence:
            return None
        self.holes.pop(0)
        self.next_sequence = hole.last + 1
        gap = Gap(hole.first, hole.last)
        self.given_up.append(gap)
        return gap

    def _skipped(self, number: int) -> bool:
        """Say whether a message from before the next one never came in its turn."""
        place = bisect_right(self.given_up, number, key=lambda gap: gap.first) - 1
        return number < self._begin or (place >= 0 and number <= self.given_up[place].last)

    def _plausible(self, first: int) -> bool:
        """Say whether a sequence number can be believed."""
        if first - self.high <= self.largest_jump:
            self._far = None
            return True
        confirmed = self._far is not None and 0 <= first - self._far <= self.largest_jump
        self._far = None if confirmed else first
        return confirmed

    def _fill(self, first: int, last: int, now: float) -> None:
        """Cut messages that came out of the holes."""
        rest: list[Hole] = []
        start = max(bisect_right(self.holes, first, key=lambda hole: hole.first) - 1, 0)
        stop = start
        for hole in self.holes[start:]:
            if hole.first > last:
                break
            stop += 1
            low, high = max(first, hole.first), min(last, hole.last)
            if low > high:
                rest.append(hole)
                continue
            self.filled.append(Gap(low, high))
            if hole.first < low:
                rest.append(Hole(hole.first, low - 1, now, hole.ask_at, hole.asked))
            if high < hole.last:
                rest.append(Hole(high + 1, hole.last, now, hole.ask_at, hole.asked))
        self.holes[start:stop] = rest
