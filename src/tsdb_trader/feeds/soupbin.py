"""SoupBinTCP 3.00 and 4.x: packets on a TCP stream, pure.

A packet is a length (2 bytes big-endian, counts what follows), a type and a payload. The server
numbers its sequenced packets from 1 in each session; a client that logs in again names the number
it wants next, so that it loses none. `soupbin_session` speaks it over sockets.
"""

from __future__ import annotations

from dataclasses import dataclass

from tsdb_trader.errors import TraderError

DEBUG, LOGIN_ACCEPTED, LOGIN_REJECTED, SEQUENCED = "+", "A", "J", "S"
SERVER_HEARTBEAT, END_OF_SESSION = "H", "Z"
LOGIN_REQUEST, UNSEQUENCED, CLIENT_HEARTBEAT, LOGOUT = "L", "U", "R", "O"
FROM_SERVER = frozenset(
    (DEBUG, LOGIN_ACCEPTED, LOGIN_REJECTED, SEQUENCED, SERVER_HEARTBEAT, END_OF_SESSION)
)
FROM_CLIENT = frozenset((DEBUG, LOGIN_REQUEST, UNSEQUENCED, CLIENT_HEARTBEAT, LOGOUT))

HEARTBEAT_S = 1.0
"""A side that has sent nothing for so long sends a heartbeat."""
TIMEOUT_S = 15.0
"""A side that has heard nothing for so long gives the connection up."""

_USERNAME, _PASSWORD, _SESSION, _NUMBER = 6, 10, 10, 20
_LOGIN_TIMEOUT = 5
_LENGTHS = {
    LOGIN_ACCEPTED: (_SESSION + _NUMBER,),
    LOGIN_REJECTED: (1,),
    # Version 4 ends with a heartbeat timeout in milliseconds.
    LOGIN_REQUEST: (
        _USERNAME + _PASSWORD + _SESSION + _NUMBER,
        _USERNAME + _PASSWORD + _SESSION + _NUMBER + _LOGIN_TIMEOUT,
    ),
    SERVER_HEARTBEAT: (0,),
    CLIENT_HEARTBEAT: (0,),
    END_OF_SESSION: (0,),
    LOGOUT: (0,),
}
_MAX_PAYLOAD = 0xFFFF - 1


class SoupError(TraderError):
    """Bytes that are not SoupBinTCP; where a stream is wrong once, nothing after it can be read."""

    def __init__(self, reason: str, text: str, raw: bytes = b"") -> None:
        super().__init__(f"{text}: {raw.hex()}" if raw else text)
        self.reason = reason
        self.raw = raw.hex()


@dataclass(frozen=True, slots=True)
class Packet:
    """A packet."""

    type: str
    payload: bytes = b""


@dataclass(frozen=True, slots=True)
class Login:
    """A login request; `sequence` 0 asks for what comes from now on, `session` '' for any."""

    username: str
    password: str
    session: str = ""
    sequence: int = 1
    timeout_ms: int | None = None


@dataclass(frozen=True, slots=True)
class Accepted:
    """A login accepted: the session, and the number of the next sequenced packet."""

    session: str
    sequence: int


def encode(packet: Packet) -> bytes:
    """Write a packet.

    Raises
    ------
    SoupError
        There is no such type, or its payload has another length.
    """
    _check(packet, FROM_SERVER | FROM_CLIENT)
    body = packet.type.encode("ascii") + packet.payload
    return len(body).to_bytes(2, "big") + body


def login_request(login: Login) -> Packet:
    """Return the packet of a login request, of version 4 if it has a timeout."""
    payload = (
        _padded(login.username, _USERNAME)
        + _padded(login.password, _PASSWORD)
        + _right(login.session, _SESSION)
        + _right(str(login.sequence), _NUMBER)
    )
    if login.timeout_ms is not None:
        payload += _right(str(login.timeout_ms), _LOGIN_TIMEOUT)
    return Packet(LOGIN_REQUEST, payload)


def read_login(packet: Packet) -> Login:
    """Read a login request.

    Raises
    ------
    SoupError
        It cannot be read.
    """
    parts = _split(packet, _USERNAME, _PASSWORD, _SESSION, _NUMBER)
    timeout = packet.payload[_USERNAME + _PASSWORD + _SESSION + _NUMBER :]
    return Login(
        parts[0],
        parts[1],
        parts[2],
        _integer(parts[3], packet),
        _integer(_ascii(timeout, packet), packet) if timeout else None,
    )


def login_accepted(accepted: Accepted) -> Packet:
    """Return the packet of an accepted login."""
    payload = _right(accepted.session, _SESSION) + _right(str(accepted.sequence), _NUMBER)
    return Packet(LOGIN_ACCEPTED, payload)


def read_accepted(packet: Packet) -> Accepted:
    """Read an accepted login.

    Raises
    ------
    SoupError
        It cannot be read.
    """
    session, number = _split(packet, _SESSION, _NUMBER)
    return Accepted(session, _integer(number, packet))


class Decoder:
    """Cuts a stream into packets, however TCP has split it."""

    def __init__(self, allowed: frozenset[str]) -> None:
        """Take packets of the given types: `FROM_SERVER` or `FROM_CLIENT`."""
        self._allowed = allowed
        self._buffer = bytearray()
        self._error: SoupError | None = None

    def feed(self, data: bytes) -> list[Packet]:
        """Return the packets that are complete now.

        Raises
        ------
        SoupError
            The stream is broken. Packets before the broken one are returned first; the error
            comes with the next call.
        """
        packets: list[Packet] = []
        if self._error is None:
            self._buffer += data
            try:
                while (packet := self._next()) is not None:
                    packets.append(packet)
            except SoupError as error:
                self._error = error
        if self._error is not None and not packets:
            raise self._error
        return packets

    def _next(self) -> Packet | None:
        length = int.from_bytes(self._buffer[:2], "big")
        if len(self._buffer) >= 2 and length == 0:
            raise SoupError("wrong_length", "a packet without a type")
        if len(self._buffer) < 3 or len(self._buffer) < 2 + length:
            return None
        packet = Packet(chr(self._buffer[2]), bytes(self._buffer[3 : 2 + length]))
        _check(packet, self._allowed)
        del self._buffer[: 2 + length]
        return packet

    @property
    def pending(self) -> int:
        """How many bytes wait for the rest of their packet."""
        return len(self._buffer)


def _check(packet: Packet, allowed: frozenset[str]) -> None:
    if packet.type not in allowed:
        raise SoupError("unknown_type", f"packet type {packet.type!r}", packet.payload)
    lengths = _LENGTHS.get(packet.type)
    if lengths is not None and len(packet.payload) not in lengths:
        raise SoupError(
            "wrong_length", f"packet {packet.type} of {len(packet.payload)} bytes", packet.payload
        )
    if len(packet.payload) > _MAX_PAYLOAD:
        raise SoupError("wrong_length", f"a payload of {len(packet.payload)} bytes")


def _padded(text: str, size: int) -> bytes:
    if len(text) > size or not text.isascii() or not text.isprintable():
        raise SoupError("malformed", f"{text!r} has over {size} characters, or is no ASCII")
    return text.ljust(size).encode("ascii")


def _right(text: str, size: int) -> bytes:
    return _padded(text, size).strip().rjust(size)


def _ascii(part: bytes, packet: Packet) -> str:
    if any(not 0x20 <= byte < 0x7F for byte in part):
        raise SoupError("malformed", "a text is no ASCII", packet.payload)
    return part.decode("ascii").strip(" ")


def _split(packet: Packet, *sizes: int) -> list[str]:
    parts, position = [], 0
    for size in sizes:
        parts.append(_ascii(packet.payload[position : position + size], packet))
        position += size
    return parts


def _integer(text: str, packet: Packet) -> int:
    if not text.isdigit():
        raise SoupError("not_a_number", f"{text!r} is no number", packet.payload)
    return int(text)
