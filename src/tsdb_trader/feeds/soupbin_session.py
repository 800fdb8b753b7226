"""SoupBinTCP over sockets: a client that resumes, and a server to simulate a venue with."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from tsdb_trader.clock import Clock, SystemClock
from tsdb_trader.errors import InputError
from tsdb_trader.feeds import soupbin
from tsdb_trader.feeds.soupbin import Accepted, Decoder, Login, Packet, SoupError

_READ = 65_536
_REJECTIONS = {"A": "the user or password is wrong", "S": "the session is not available"}


class EndOfSessionError(Exception):
    """The server has ended the session: nothing more will come of it."""


@dataclass
class SoupClient:
    """A connection to a SoupBinTCP server, for one thread.

    Attributes
    ----------
    session, next_sequence
        Where to go on: '' and 1 for the whole of the current session. Set by the server's answer
        and by `read`; keep them with what was done about the messages.
    """

    address: tuple[str, int]
    username: str
    password: str
    session: str = ""
    next_sequence: int = 1
    heartbeat_s: float = soupbin.HEARTBEAT_S
    timeout_s: float = soupbin.TIMEOUT_S
    clock: Clock = field(default_factory=SystemClock)

    def __post_init__(self) -> None:
        self._socket: socket.socket | None = None
        self._decoder = Decoder(soupbin.FROM_SERVER)
        self._packets: list[Packet] = []
        self._heard = self._spoken = 0.0
        self.debug_texts: list[str] = []

    def open(self) -> None:
        """Connect, log in, and ask for what comes from `next_sequence`.

        Raises
        ------
        OSError
            The server cannot be reached, does not answer, or starts at another message.
        InputError
            It refuses the login.
        """
        self.close()
        self._decoder, self._packets = Decoder(soupbin.FROM_SERVER), []
        self._socket = socket.create_connection(self.address, timeout=self.timeout_s)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._heard = self.clock.monotonic()
        login = Login(self.username, self.password, self.session, self.next_sequence)
        self._send(soupbin.login_request(login))
        try:
            self._log_in()
        except (OSError, InputError):
            self.close()
            raise

    def read(self, timeout_s: float) -> list[tuple[int, bytes]]:
        """Wait at most so long and return the sequenced messages, with their numbers.

        Heartbeats are sent from here, so call it more often than the server's patience lasts.

        Raises
        ------
        OSError
            The connection is lost, silent for too long, or garbled; `open` goes on after the
            last message returned.
        EndOfSessionError
            The session is over.
        """
        deadline = self.clock.monotonic() + timeout_s
        while True:
            messages = self._take()
            left = deadline - self.clock.monotonic()
            if messages or left <= 0:
                return messages
            self._receive(min(left, self.heartbeat_s))

    def send(self, payload: bytes) -> None:
        """Send an unsequenced message; only the server's answer proves that it arrived.

        Raises
        ------
        OSError
            The connection is lost; the message may have arrived or not.
        """
        self._send(Packet(soupbin.UNSEQUENCED, payload))

    def close(self) -> None:
        """Log out and disconnect."""
        if self._socket is None:
            return
        with contextlib.suppress(OSError):
            self._socket.sendall(soupbin.encode(Packet(soupbin.LOGOUT)))
        self._socket.close()
        self._socket = None

    def _log_in(self) -> None:
        deadline = self.clock.monotonic() + self.timeout_s
        while True:
            while self._packets:
                packet = self._packets.pop(0)
                if packet.type == soupbin.LOGIN_ACCEPTED:
                    self._resume(soupbin.read_accepted(packet))
                    return
                if packet.type == soupbin.LOGIN_REJECTED:
                    reason = packet.payload.decode("latin-1")
                    raise InputError(f"login refused: {_REJECTIONS.get(reason, reason)}")
                self._note(packet)
            if self.clock.monotonic() >= deadline:
                raise TimeoutError("no answer to the login")
            self._receive(min(1.0, self.timeout_s))

    def _resume(self, accepted: Accepted) -> None:
        wanted = self.next_sequence
        if self.session and accepted.session != self.session:
            raise InputError(f"session {accepted.session} instead of {self.session}")
        if wanted and accepted.sequence != wanted:
            raise ConnectionError(f"the server starts at {accepted.sequence} instead of {wanted}")
        self.session, self.next_sequence = accepted.session, accepted.sequence

    def _take(self) -> list[tuple[int, bytes]]:
        messages: list[tuple[int, bytes]] = []
        while self._packets:
            if self._packets[0].type == soupbin.END_OF_SESSION and messages:
                break
            packet = self._packets.pop(0)
            if packet.type == soupbin.SEQUENCED:
                messages.append((self.next_sequence, packet.payload))
                self.next_sequence += 1
            elif packet.type == soupbin.END_OF_SESSION:
                raise EndOfSessionError(self.session)
            else:
                self._note(packet)
        return messages

    def _note(self, packet: Packet) -> None:
        if packet.type == soupbin.DEBUG:
            self.debug_texts = [*self.debug_texts[-9:], packet.payload.decode("latin-1")]

    def _receive(self, timeout_s: float) -> None:
        line = self._line()
        line.settimeout(max(timeout_s, 0.001))
        try:
            data = line.recv(_READ)
            if not data:
                raise ConnectionError("the server has closed the connection")
            self._heard = self.clock.monotonic()
            self._packets += self._decoder.feed(data)
        except TimeoutError:
            if self.clock.monotonic() - self._heard >= self.timeout_s:
                raise TimeoutError(f"nothing heard for {self.timeout_s:g} s") from None
        except SoupError as error:
            raise ConnectionError(f"the stream is garbled: {error}") from None
        if self.clock.monotonic() - self._spoken >= self.heartbeat_s:
            self._send(Packet(soupbin.CLIENT_HEARTBEAT))

    def _send(self, packet: Packet) -> None:
        line = self._line()
        line.settimeout(self.timeout_s)
        line.sendall(soupbin.encode(packet))
        self._spoken = self.clock.monotonic()

    def _line(self) -> socket.socket:
        if self._socket is None:
            raise ConnectionError("not connected")
        return self._socket


class SoupServer:
    """One session for one client at a time, with every sequenced message kept in memory.

    For tests and simulation. `pieces` splits what is written, as a network may.
    """

    def __init__(
        self,
        session: str,
        users: dict[str, str],
        received: Callable[[bytes], Sequence[bytes]],
        *,
        pieces: Callable[[bytes], Sequence[bytes]] = lambda data: [data],
        heartbeat_s: float = soupbin.HEARTBEAT_S,
    ) -> None:
        """`received` is called with each unsequenced message and returns sequenced answers."""
        self._session, self._users, self._received = session, users, received
        self._pieces, self._heartbeat_s = pieces, heartbeat_s
        self._messages: list[bytes] = []
        self._sent = 0
        self._lock = threading.RLock()
        self._client: socket.socket | None = None
        self._server = socket.create_server(("127.0.0.1", 0))
        self.address: tuple[str, int] = self._server.getsockname()
        self.logins: list[Login] = []
        self.heartbeats = 0
        threading.Thread(target=self._serve, daemon=True).start()

    def publish(self, *payloads: bytes) -> None:
        """Add sequenced messages, and send them to the client that is logged in."""
        with self._lock:
            self._messages += payloads
            self._flush()

    def drop(self) -> None:
        """Cut the connection."""
        with self._lock:
            self._hang_up()

    def end(self) -> None:
        """End the session."""
        with self._lock:
            self._write(Packet(soupbin.END_OF_SESSION))

    def write_raw(self, data: bytes) -> None:
        """Write bytes that may be no packet."""
        with self._lock:
            if self._client is not None:
                self._client.sendall(data)

    def close(self) -> None:
        """Stop."""
        self._server.close()
        self.drop()

    def _serve(self) -> None:
        while True:
            try:
                line, _ = self._server.accept()
            except OSError:
                return
            with contextlib.suppress(OSError, SoupError):
                self._attend(line)
            self.drop()
            line.close()

    def _attend(self, line: socket.socket) -> None:
        decoder = Decoder(soupbin.FROM_CLIENT)
        line.settimeout(self._heartbeat_s)
        while True:
            try:
                data = line.recv(_READ)
            except TimeoutError:
                with self._lock:
                    self._write(Packet(soupbin.SERVER_HEARTBEAT))
                continue
            if not data:
                return
            for packet in decoder.feed(data):
                if packet.type == soupbin.LOGOUT or not self._answer(line, packet):
                    return

    def _answer(self, line: socket.socket, packet: Packet) -> bool:
        """Act on a packet; False when the client may not go on."""
        with self._lock:
            if packet.type == soupbin.LOGIN_REQUEST:
                return self._log_in(line, soupbin.read_login(packet))
            if packet.type == soupbin.CLIENT_HEARTBEAT:
                self.heartbeats += 1
            elif packet.type == soupbin.UNSEQUENCED:
                if self._client is None:
                    return False
                self.publish(*self._received(packet.payload))
            return True

    def _log_in(self, line: socket.socket, login: Login) -> bool:
        self.logins.append(login)
        wrong = self._users.get(login.username) != login.password
        elsewhere = login.session not in ("", self._session)
        if wrong or elsewhere or login.sequence > len(self._messages) + 1:
            reason = b"A" if wrong else b"S"
            line.sendall(soupbin.encode(Packet(soupbin.LOGIN_REJECTED, reason)))
            return False
        first = login.sequence or len(self._messages) + 1
        self._client, self._sent = line, first - 1
        self._write(soupbin.login_accepted(Accepted(self._session, first)))
        self._flush()
        return True

    def _flush(self) -> None:
        while self._client is not None and self._sent < len(self._messages):
            self._sent += 1
            self._write(Packet(soupbin.SEQUENCED, self._messages[self._sent - 1]))

    def _write(self, packet: Packet) -> None:
        try:
            for piece in self._pieces(soupbin.encode(packet)):
                if self._client is not None:
                    self._client.sendall(piece)
        except OSError:
            self._hang_up()

    def _hang_up(self) -> None:
        if self._client is not None:
            with contextlib.suppress(OSError):
                self._client.shutdown(socket.SHUT_RDWR)
            self._client = None
