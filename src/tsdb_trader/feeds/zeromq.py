"""JSON over ZeroMQ: SUB or PULL sockets, with topics and sequence frames.

Configuration (row of ops.feeds)::

    {"connect": ["tcp://10.0.0.5:5556"],    or "bind": [...]
     "socket": "sub",                       or "pull"
     "topics": ["trades."],                 prefixes of the first frame; of SUB alone
     "frames": ["topic", "sequence", "data"],   what each frame is, by default the last is data
     "heartbeat_s": 0,                      silent for so long: connect again; 0: silence is fine
     "mapping": {...}}                      see feeds/json_mapping.py

A sequence frame is an unsigned integer of 8 bytes, big-endian, or decimal text. Publishers drop
what a slow subscriber does not take, so only sequence numbers show what is missing. Rows are
numbered by us.
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from typing import Any

import zmq
from zmq.utils.monitor import recv_monitor_message

from tsdb_trader.clock import Clock
from tsdb_trader.errors import InputError
from tsdb_trader.feeds.base import Block
from tsdb_trader.feeds.json_rows import Received
from tsdb_trader.feeds.json_sequence import number
from tsdb_trader.feeds.json_stream import BLOCK, JsonStream
from tsdb_trader.feeds.stream_registry import expect

_QUEUE = 100_000
_FRAMES = ("topic", "sequence", "data", "skip")


class ZeroMqStream(JsonStream):
    """Reads one ZeroMQ socket."""

    def __init__(self, configuration: Mapping[str, Any], clock: Clock | None = None) -> None:
        expect(
            configuration,
            "zeromq",
            connect=list,
            bind=list,
            socket=str,
            topics=list,
            frames=list,
            heartbeat_s=(int, float),
            max_bytes=int,
            mapping=dict,
        )
        self._connect = [str(a) for a in configuration.get("connect", [])]
        self._bind = [str(a) for a in configuration.get("bind", [])]
        self._kind = configuration.get("socket", "sub")
        self._topics = [str(t) for t in configuration.get("topics", [])]
        self._frames = tuple(configuration.get("frames", ()))
        self._check()
        super().__init__(configuration, "zeromq", heartbeat_s=0.0, clock=clock)
        self._context: zmq.Context[zmq.Socket[bytes]] | None = None
        self._socket: zmq.Socket[bytes] | None = None
        self._monitor: zmq.Socket[bytes] | None = None
        self.connections = self.reconnects = 0

    def _check(self) -> None:
        if not self._connect and not self._bind:
            raise InputError('zeromq: give "connect" or "bind", a list of addresses')
        if self._kind not in ("sub", "pull"):
            raise InputError(f"zeromq: socket {self._kind!r} is neither sub nor pull")
        if self._kind == "pull" and self._topics:
            raise InputError("zeromq: a pull socket has no topics")
        if self._frames and (
            set(self._frames) - set(_FRAMES)
            or self._frames.count("data") != 1
            or self._frames.count("sequence") > 1
        ):
            raise InputError(f"zeromq: frames are {', '.join(_FRAMES)}, with data once")

    def open(self, next_rows: Mapping[str, int]) -> None:
        """Make the socket; ZeroMQ connects, and connects again, by itself."""
        self._begin(next_rows)
        self._context = zmq.Context()
        socket = self._context.socket(zmq.SUB if self._kind == "sub" else zmq.PULL)
        self._socket = socket
        socket.set(zmq.LINGER, 0)
        socket.set(zmq.RCVHWM, _QUEUE)
        socket.set(zmq.MAXMSGSIZE, self._max_bytes)
        socket.set(zmq.RECONNECT_IVL, 100)
        socket.set(zmq.RECONNECT_IVL_MAX, 30_000)
        # A peer that vanished without a word is noticed by heartbeats of the protocol.
        socket.set(zmq.HEARTBEAT_IVL, 5_000)
        socket.set(zmq.HEARTBEAT_TIMEOUT, 15_000)
        monitored = zmq.Event.HANDSHAKE_SUCCEEDED | zmq.Event.DISCONNECTED
        self._monitor = socket.get_monitor_socket(monitored)
        try:
            for topic in self._topics or ([""] if self._kind == "sub" else []):
                socket.set(zmq.SUBSCRIBE, topic.encode())
            for address in self._bind:
                socket.bind(address)
            for address in self._connect:
                socket.connect(address)
        except zmq.ZMQError as error:
            if error.errno in (zmq.EADDRINUSE, zmq.EADDRNOTAVAIL):
                raise ConnectionError(f"cannot bind: {error}") from None
            raise InputError(f"zeromq: {error}; addresses are like tcp://host:5556") from None
        self._connected()

    def read(self, timeout_s: float) -> Sequence[tuple[str, Block]]:
        """Return what came; the rest of what waits comes without waiting for more."""
        socket = self._socket
        if socket is None:
            raise ConnectionError("not connected")
        self._watch()
        received: list[Received] = []
        if socket.poll(int(timeout_s * 1000)):
            with contextlib.suppress(zmq.Again):
                while len(received) < BLOCK:
                    received.append(self._message(socket.recv_multipart(zmq.NOBLOCK)))
        return self._blocks(received)

    def _message(self, frames: list[bytes]) -> Received:
        now = self._rows.now()
        if not self._frames:
            return Received(frames[-1], now)
        if len(frames) != len(self._frames):
            return Received(b"\n".join(frames), now, unusable="malformed")
        data = frames[self._frames.index("data")]
        if "sequence" not in self._frames:
            return Received(data, now)
        frame = frames[self._frames.index("sequence")]
        if (seq := _sequence(frame)) is None:
            return Received(b"\n".join(frames), now, unusable="bad_sequence")
        return Received(data, now, sequence=seq)

    def _watch(self) -> None:
        """Count connections made and lost."""
        monitor = self._monitor
        while monitor is not None and monitor.poll(0):
            event = recv_monitor_message(monitor)["event"]
            if event == zmq.Event.HANDSHAKE_SUCCEEDED:
                self.reconnects += self.connections > 0
                self.connections += 1
                # What is numbered lower from here on may be a publisher that started anew.
                self._rows.sequence.reconnected()

    def close(self) -> None:
        """Disconnect."""
        socket, self._socket = self._socket, None
        monitor, self._monitor = self._monitor, None
        context, self._context = self._context, None
        if socket is not None:
            with contextlib.suppress(zmq.ZMQError):
                socket.disable_monitor()
            socket.close(0)
        if monitor is not None:
            monitor.close(0)
        if context is not None:
            context.destroy(0)

    def detail(self) -> dict[str, Any]:
        """Return counts of messages and connections."""
        return super().detail() | {
            "connections": self.connections,
            "reconnects": self.reconnects,
        }


def _sequence(frame: bytes) -> int | None:
    if len(frame) == 8 and not frame.isdigit():
        found = int.from_bytes(frame, "big")
        return found if found < 2**62 else None
    return number(frame.decode("latin-1"))
