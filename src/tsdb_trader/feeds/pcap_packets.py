"""Packets of a capture file, and the UDP datagrams in them.

Sources: "PCAP Capture File Format" and "PCAP Now Generic (pcapng)", IETF drafts; LINKTYPE values
of tcpdump.org.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from ipaddress import ip_address
from struct import Struct, error, unpack_from
from typing import BinaryIO

NANOSECOND = 10**9
_LARGEST = 1 << 26
"""No packet and no block is larger; a length that says so is damaged."""

# First four bytes of the file as they stand there: byte order, and ticks of a second.
_CLASSIC = {
    b"\xa1\xb2\xc3\xd4": (">", 10**6),
    b"\xd4\xc3\xb2\xa1": ("<", 10**6),
    b"\xa1\xb2\x3c\x4d": (">", NANOSECOND),
    b"\x4d\x3c\xb2\xa1": ("<", NANOSECOND),
}
_SECTION = b"\x0a\x0d\x0d\x0a"
_ORDERS = {b"\x1a\x2b\x3c\x4d": ">", b"\x4d\x3c\x2b\x1a": "<"}
_INTERFACE, _OBSOLETE, _SIMPLE, _ENHANCED = 1, 2, 3, 6
_RESOLUTION, _OFFSET = 9, 14

_ETHERNET, _LOOPBACK, _LOOP, _SLL, _SLL2 = 1, 0, 108, 113, 276
_RAW = frozenset({12, 14, 101, 228, 229})
_VLAN = frozenset({0x8100, 0x88A8, 0x9100})
_IPV4, _IPV6 = 0x0800, 0x86DD
_UDP = 17
_EXTENSIONS = frozenset({0, 43, 60})
_FRAGMENT = 44


class NotACaptureError(ValueError):
    """The file begins with nothing that a capture begins with."""


@dataclass(frozen=True)
class Captured:
    """A packet, or (`damage` not empty) what stands where one should.

    Attributes
    ----------
    time_ns
        When it was captured, nanoseconds since 1970; None where the file does not say.
    whole
        Whether all of it was captured.
    damage
        A reason of `base.REASONS`; nothing follows.
    lost
        Bytes after damage that were not looked at.
    """

    data: bytes
    time_ns: int | None = None
    link: int = -1
    whole: bool = True
    damage: str = ""
    lost: int = 0


@dataclass(frozen=True)
class Datagram:
    """The payload of a UDP packet, and where it went."""

    address: str
    port: int
    payload: bytes


class _DamagedError(ValueError):
    """The file cannot be read on; the bytes are those that were read last."""

    def __init__(self, data: bytes, reason: str) -> None:
        super().__init__(reason)
        self.data, self.reason = data, reason


def is_capture(begin: bytes) -> bool:
    """Say whether the first four bytes of a file are those of a capture."""
    return begin[:4] in _CLASSIC or begin[:4] == _SECTION


def packets(content: BinaryIO) -> Iterator[Captured]:
    """Yield the packets of a capture, classic or pcapng.

    Raises
    ------
    NotACaptureError
        It is none.
    """
    begin = content.read(4)
    if not is_capture(begin):
        raise NotACaptureError
    try:
        yield from (
            _classic(content, begin) if begin in _CLASSIC else _NextGeneration(content).read()
        )
    except _DamagedError as damage:
        # Where the next packet begins is not known any more.
        yield Captured(damage.data, damage=damage.reason, lost=_length(content))


def _length(content: BinaryIO) -> int:
    size = 0
    while more := content.read(1 << 20):
        size += len(more)
    return size


def _exactly(content: BinaryIO, count: int, before: bytes = b"") -> bytes:
    data = content.read(count)
    if len(data) < count:
        raise _DamagedError(before + data, "truncated")
    return data


def _classic(content: BinaryIO, begin: bytes) -> Iterator[Captured]:
    order, ticks = _CLASSIC[begin]
    header = _exactly(content, 20, begin)
    # The upper bits say how frame check sequences were kept.
    link = int(unpack_from(order + "I", header, 16)[0]) & 0xFFFF
    record = Struct(order + "IIII")
    while head := content.read(record.size):
        if len(head) < record.size:
            raise _DamagedError(head, "truncated")
        seconds, fraction, size, original = record.unpack(head)
        if size > _LARGEST:
            raise _DamagedError(head, "malformed")
        data = _exactly(content, size, head)
        time_ns = seconds * NANOSECOND + fraction * (NANOSECOND // ticks)
        yield Captured(data, time_ns, link, size >= original)


@dataclass
class _Interface:
    link: int
    longest: int
    ticks: int = 10**6
    offset_s: int = 0


@dataclass
class _NextGeneration:
    """Reads a pcapng file whose first four bytes have been read."""

    content: BinaryIO
    order: str = "<"
    interfaces: list[_Interface] = field(default_factory=list)

    def read(self) -> Iterator[Captured]:
        kind = _SECTION
        while kind:
            if len(kind) < 4:
                raise _DamagedError(kind, "truncated")
            number = int(unpack_from(self.order + "I", kind)[0])
            body = self._section(kind) if kind == _SECTION else self._body(kind)
            try:
                if number == _INTERFACE:
                    self.interfaces.append(self._interface(body))
                elif number in (_ENHANCED, _OBSOLETE, _SIMPLE) and kind != _SECTION:
                    yield self._packet(number, body)
            except (error, IndexError):
                raise _DamagedError(kind + body, "malformed") from None
            kind = self.content.read(4)

    def _section(self, kind: bytes) -> bytes:
        """Read the head of a section, which fixes the byte order of what follows."""
        size, magic = _exactly(self.content, 4, kind), _exactly(self.content, 4, kind)
        if magic not in _ORDERS:
            raise _DamagedError(kind + size + magic, "malformed")
        self.order = _ORDERS[magic]
        self.interfaces.clear()
        return self._rest(kind + size, magic)

    def _body(self, kind: bytes) -> bytes:
        return self._rest(kind + _exactly(self.content, 4, kind), b"")

    def _rest(self, head: bytes, before: bytes) -> bytes:
        """Return the body of a block, without its lengths; `before` of it has been read."""
        size = int(unpack_from(self.order + "I", head, 4)[0])
        if size < 12 + len(before) or size % 4 or size > _LARGEST:
            raise _DamagedError(head + before, "malformed")
        body = _exactly(self.content, size - 8 - len(before), head + before)
        return before + body[:-4]

    def _interface(self, body: bytes) -> _Interface:
        link, _, longest = unpack_from(self.order + "HHI", body)
        found = _Interface(link, longest)
        place = 8
        while place + 4 <= len(body):
            code, size = unpack_from(self.order + "HH", body, place)
            value = body[place + 4 : place + 4 + size]
            if code == _RESOLUTION and size == 1:
                power = value[0] & 0x7F
                found.ticks = 2**power if value[0] & 0x80 else 10**power
            elif code == _OFFSET and size == 8:
                found.offset_s = int(unpack_from(self.order + "q", value)[0])
            place += 4 + size + -size % 4
        return found

    def _packet(self, number: int, body: bytes) -> Captured:
        if number == _SIMPLE:
            interface = self.interfaces[0]
            (original,) = unpack_from(self.order + "I", body)
            size = min(original, interface.longest or original, len(body) - 4)
            return Captured(body[4 : 4 + size], None, interface.link, size >= original)
        layout = "IIIII" if number == _ENHANCED else "HHIIII"
        which, *rest = unpack_from(self.order + layout, body)
        high, low, size, original = rest[-4:]
        interface = self.interfaces[which]
        if 20 + size > len(body):
            raise IndexError
        time_ns = (high << 32 | low) * NANOSECOND // interface.ticks
        time_ns += interface.offset_s * NANOSECOND
        return Captured(body[20 : 20 + size], time_ns, interface.link, size >= original)


def datagram(packet: Captured) -> Datagram | str:
    """Return the UDP datagram in a packet, or the reason (`base.REASONS`) why there is none."""
    try:
        found = _network(packet)
        if found is None:
            return "unknown_type"
        version, place = found
        return _ipv6(packet, place) if version == _IPV6 else _ipv4(packet, place)
    except (error, IndexError):
        return "malformed" if packet.whole else "truncated"


def _network(packet: Captured) -> tuple[int, int] | None:
    """Return which internet protocol a packet has, and where it begins."""
    data = packet.data
    if packet.link in _RAW:
        return (_IPV6 if data[0] >> 4 == 6 else _IPV4), 0
    if packet.link in (_LOOPBACK, _LOOP):
        return (_IPV6 if data[4] >> 4 == 6 else _IPV4), 4
    if packet.link == _ETHERNET:
        kind, place = unpack_from(">H", data, 12)[0], 14
    elif packet.link == _SLL:
        kind, place = unpack_from(">H", data, 14)[0], 16
    elif packet.link == _SLL2:
        kind, place = unpack_from(">H", data, 0)[0], 20
    else:
        return None
    while kind in _VLAN:
        kind, place = unpack_from(">H", data, place + 2)[0], place + 4
    return (kind, place) if kind in (_IPV4, _IPV6) else None


def _ipv4(packet: Captured, place: int) -> Datagram | str:
    data = packet.data
    head, _, total, _, fragment, _, protocol = unpack_from(">BBHHHBB", data, place)
    size = (head & 15) * 4
    if head >> 4 != 4 or size < 20:
        return "malformed"
    if protocol != _UDP:
        return "unknown_type"
    # Neither the rest of a fragment nor its beginning is a datagram.
    if fragment & 0x3FFF:
        return "malformed"
    # A length of 0 is left to the network card by the machine that captured its own packets.
    end = place + total if total else len(data)
    return _udp(packet, place + size, end, data[place + 16 : place + 20])


def _ipv6(packet: Captured, place: int) -> Datagram | str:
    data = packet.data
    head, size, following = unpack_from(">IHB", data, place)
    if head >> 28 != 6:
        return "malformed"
    end = place + 40 + size if size else len(data)
    target, at = data[place + 24 : place + 40], place + 40
    while following in _EXTENSIONS:
        following, at = data[at], at + 8 + data[at + 1] * 8
    if following == _FRAGMENT:
        return "malformed"
    return _udp(packet, at, end, target) if following == _UDP else "unknown_type"


def _udp(packet: Captured, place: int, end: int, target: bytes) -> Datagram | str:
    _, port, size = unpack_from(">HHH", packet.data, place)
    stop = place + size
    if size < 8 or stop > end:
        return "malformed"
    if stop > len(packet.data):
        return "malformed" if packet.whole else "truncated"
    return Datagram(str(ip_address(target)), port, packet.data[place + 8 : stop])
