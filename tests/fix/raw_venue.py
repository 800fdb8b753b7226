"""A FIX acceptor on a bare socket: no engine, so it can send what no engine would."""

from __future__ import annotations

import contextlib
import queue
import re
import socket
import threading
from datetime import UTC, datetime, timedelta

SOH = b"\x01"
Fields = list[tuple[int, object]]
WAIT_S = 20.0
_END = re.compile(rb"\x0110=\d{3}\x01")


class RawVenue:
    """Serves one client at a time as SIM; every application message it gets is kept.

    Parameters
    ----------
    client
        CompID of the client.
    begin
        BeginString: no FIXT, whose Logon has more.
    resets
        Both sides count from 1 with every Logon.

    Attributes
    ----------
    ahead
        How far its clock is from the right time.
    """

    def __init__(
        self,
        port: int = 0,
        *,
        client: str = "TSDBMD",
        begin: str = "FIX.4.4",
        resets: bool = True,
    ) -> None:
        self._client, self._begin, self._resets = client, begin.encode(), resets
        self.ahead = timedelta()
        self._server = socket.create_server(("127.0.0.1", port))
        self.port = int(self._server.getsockname()[1])
        self.received: queue.Queue[list[tuple[int, str]]] = queue.Queue()
        self.logon: dict[int, str] = {}
        self._line: socket.socket | None = None
        self._number = 0
        self._lock = threading.Lock()
        threading.Thread(target=self._serve, daemon=True).start()

    def message(self, kind: str) -> dict[int, str]:
        """Return the next application message, which must be of this type."""
        fields = dict(reversed(self.received.get(timeout=WAIT_S)))
        assert fields[35] == kind, fields
        return fields

    def send(self, kind: str, *fields: tuple[int, object]) -> None:
        """Send a message with the right header and trailer."""
        with self._lock:
            self._number += 1
            head: Fields = [(35, kind), (34, self._number), (49, "SIM"), (56, self._client)]
            # Engines refuse a message whose SendingTime is not now.
            now = f"{datetime.now(UTC) + self.ahead:%Y%m%d-%H:%M:%S}"
            self._write([*head, (52, now), *fields])

    def send_bytes(self, data: bytes) -> None:
        """Send anything."""
        with self._lock:
            assert self._line is not None
            self._line.sendall(data)

    def drop(self) -> None:
        """Cut the line."""
        with self._lock:
            if self._line is not None:
                self._line.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """Stop listening."""
        self._server.close()
        with contextlib.suppress(OSError):
            self.drop()

    def _write(self, fields: Fields) -> None:
        body = b"".join(b"%d=%b\x01" % (tag, _bytes(value)) for tag, value in fields)
        text = b"8=%b\x019=%d\x01" % (self._begin, len(body)) + body
        assert self._line is not None
        self._line.sendall(text + b"10=%03d\x01" % (sum(text) % 256))

    def _serve(self) -> None:
        while True:
            try:
                line, _ = self._server.accept()
            except OSError:
                return
            with self._lock:
                self._line = line
                if self._resets:
                    self._number = 0
            with contextlib.suppress(OSError):
                self._attend(line)
            line.close()

    def _attend(self, line: socket.socket) -> None:
        data = b""
        while chunk := line.recv(65_536):
            data += chunk
            while (end := _END.search(data)) is not None:
                self._take(data[: end.end()])
                data = data[end.end() :]

    def _take(self, message: bytes) -> None:
        parts = (part.partition(b"=") for part in message.split(SOH)[:-1])
        fields = [(int(tag), value.decode()) for tag, _, value in parts]
        found = dict(reversed(fields))
        match found[35]:
            case "A":
                self.logon = found
                reset = [(141, "Y")] if self._resets else []
                self.send("A", (98, 0), (108, found[108]), *reset)
            case "1":
                self.send("0", (112, found[112]))
            case "5":
                self.send("5")
            case "0":
                pass
            case _:
                self.received.put(fields)


def _bytes(value: object) -> bytes:
    return value if isinstance(value, bytes) else str(value).encode()
