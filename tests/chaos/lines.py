"""A TCP line in the middle, which can be reset, cut in a message, fall silent, or be slow."""

from __future__ import annotations

import contextlib
import select
import socket
import struct
import threading
import time
from dataclasses import dataclass, field

_BUFFER = 1 << 20
_RESET = struct.pack("ii", 1, 0)


@dataclass(eq=False)
class _Flow:
    """One direction of a connection."""

    source: socket.socket
    sink: socket.socket
    chunks: list[tuple[float, bytes]] = field(default_factory=list)

    def waiting(self) -> int:
        return sum(len(data) for _, data in self.chunks)


@dataclass(eq=False)
class _Link:
    flows: tuple[_Flow, _Flow]
    silent: bool = False


class Line:
    """Listens on a port of its own and passes everything on to another one.

    One thread does all of it, so that a reset takes effect at once, in the middle of anything.
    """

    def __init__(self, port: int) -> None:
        self._target = ("127.0.0.1", port)
        self._server = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._server.getsockname()[1]
        self._links: list[_Link] = []
        self._lock = threading.Lock()
        self._silent = self._cut = self._closed = False
        self._delay_s = 0.0
        self._thread = threading.Thread(target=self._run, name=f"line {port}", daemon=True)
        self._thread.start()

    def reset(self) -> None:
        """Break every connection with RST."""
        with self._lock:
            for link in self._links[:]:
                self._break(link)

    def cut(self) -> None:
        """Let only half of the next message through, then break its connection."""
        self._cut = True

    def silence(self) -> None:
        """Let nothing through and say nothing, on new connections either: half-open."""
        with self._lock:
            self._silent = True
            for link in self._links:
                link.silent = True

    def delay(self, seconds: float) -> None:
        """Let everything arrive so much later."""
        self._delay_s = seconds

    def heal(self) -> None:
        """Work again. Connections that were silent are gone, as a network forgets them."""
        with self._lock:
            self._silent = self._cut = False
            self._delay_s = 0.0
            for link in [k for k in self._links if k.silent]:
                self._break(link)

    def close(self) -> None:
        """End."""
        self._closed = True
        self._thread.join()
        self.reset()
        self._server.close()

    def _run(self) -> None:
        while not self._closed:
            with self._lock:
                links = [k for k in self._links if not k.silent]
            flows = [f for k in links for f in k.flows]
            now = time.monotonic()
            readers = {f.source: f for f in flows if f.waiting() < _BUFFER}
            writers = {f.sink: f for f in flows if f.chunks and f.chunks[0][0] <= now}
            wait_s = 0.005 if any(f.chunks for f in flows) else 0.05
            try:
                readable, writable, _ = select.select(
                    [self._server, *readers], [*writers], [], wait_s
                )
            except (OSError, ValueError):
                continue  # a connection was broken meanwhile
            with self._lock:
                if self._server in readable:
                    self._accept()
                for link in links:
                    if link in self._links:
                        self._serve(link, set(readable), set(writable))

    def _accept(self) -> None:
        near, _ = self._server.accept()
        if self._silent:
            # Never connected on the other side: nothing comes back.
            far = socket.socket()
        else:
            try:
                far = socket.create_connection(self._target, timeout=5)
            except OSError:
                _reset(near)
                return
        for line in (near, far):
            line.setblocking(False)
            with contextlib.suppress(OSError):
                line.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._links.append(_Link((_Flow(near, far), _Flow(far, near)), self._silent))

    def _serve(
        self, link: _Link, readable: set[socket.socket], writable: set[socket.socket]
    ) -> None:
        try:
            for flow in link.flows:
                if flow.source in readable and not self._read(flow):
                    self._break(link)
                    return
                if flow.sink in writable and flow.chunks:
                    at, data = flow.chunks.pop(0)
                    sent = flow.sink.send(data)
                    if sent < len(data):
                        flow.chunks.insert(0, (at, data[sent:]))
        except BlockingIOError:
            return
        except OSError:
            self._break(link)

    def _read(self, flow: _Flow) -> bool:
        data = flow.source.recv(65536)
        if self._cut and len(data) > 1:
            self._cut = False
            with contextlib.suppress(OSError):
                flow.sink.send(data[: len(data) // 2])
            return False
        if data:
            flow.chunks.append((time.monotonic() + self._delay_s, data))
        elif flow.waiting():
            # What was sent before the end arrives.
            for _, rest in flow.chunks:
                flow.sink.send(rest)
        return bool(data)

    def _break(self, link: _Link) -> None:
        self._links.remove(link)
        for flow in link.flows:
            _reset(flow.source)


def _reset(line: socket.socket) -> None:
    with contextlib.suppress(OSError):
        line.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
    line.close()
