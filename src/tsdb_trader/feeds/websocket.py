"""JSON over WebSocket: connects, subscribes, notices silence, and turns messages into rows.

Configuration (row of ops.feeds)::

    {"url": "wss://example.org/stream",
     "subscribe": [{"op": "subscribe", "channel": "trades"}],  sent after connecting
     "headers": {"Authorization": {"env": "TSDB_TRADER_FEED_TOKEN"}},
     "heartbeat_s": 30,        silent for so long, not answering a ping: connect again
     "connect_s": 10,          how long connecting may take
     "max_bytes": 1048576,     larger messages end the connection
     "mapping": {...}}         see feeds/json_mapping.py

A WebSocket cannot be asked for what was missed: rows are numbered by us, and what the source sent
while nobody was connected shows as a gap only if its messages carry sequence numbers.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Mapping, Sequence
from typing import Any

from websockets.exceptions import ConnectionClosed, InvalidURI, WebSocketException
from websockets.sync.client import ClientConnection, connect

from tsdb_trader.clock import Clock
from tsdb_trader.errors import InputError
from tsdb_trader.feeds.base import Block
from tsdb_trader.feeds.json_rows import Received
from tsdb_trader.feeds.json_stream import BLOCK, JsonStream
from tsdb_trader.feeds.stream_registry import expect

# Messages that wait in memory while a block is stored; then the connection is not read, and the
# sender's side fills.
_QUEUE = 4 * BLOCK
_NUMBER = (int, float)


class WebSocketStream(JsonStream):
    """Reads one WebSocket."""

    def __init__(self, configuration: Mapping[str, Any], clock: Clock | None = None) -> None:
        expect(
            configuration,
            "websocket",
            url=str,
            subscribe=list,
            headers=dict,
            heartbeat_s=_NUMBER,
            connect_s=_NUMBER,
            max_bytes=int,
            mapping=dict,
        )
        self._url = str(configuration.get("url", ""))
        if not self._url.startswith(("ws://", "wss://")):
            raise InputError('websocket: "url" must begin with ws:// or wss://')
        self._subscribe = [
            item if isinstance(item, str) else json.dumps(item)
            for item in configuration.get("subscribe", [])
        ]
        self._headers = {str(k): str(v) for k, v in configuration.get("headers", {}).items()}
        self._connect_s = float(configuration.get("connect_s", 10.0))
        super().__init__(configuration, "websocket", heartbeat_s=30.0, clock=clock)
        if min(self._heartbeat_s, self._connect_s, self._max_bytes) <= 0:
            raise InputError("websocket: heartbeat_s, connect_s and max_bytes must be above 0")
        self._socket: ClientConnection | None = None
        self._connection = contextlib.ExitStack()

    def open(self, next_rows: Mapping[str, int]) -> None:
        """Connect and subscribe."""
        self._begin(next_rows)
        connection = contextlib.ExitStack()
        try:
            opening = connect(
                self._url,
                additional_headers=self._headers,
                open_timeout=self._connect_s,
                # Pings go out by themselves; an answer that does not come ends the connection.
                ping_interval=self._heartbeat_s / 2,
                ping_timeout=self._heartbeat_s / 2,
                close_timeout=1,
                max_size=self._max_bytes,
                max_queue=_QUEUE,
            )
            socket = connection.enter_context(opening)
        except InvalidURI as error:
            raise InputError(f"websocket: {error}") from None
        except (WebSocketException, TimeoutError, EOFError) as error:
            raise ConnectionError(f"cannot connect: {_words(error)}") from None
        self._socket, self._connection = socket, connection
        self._connected()
        try:
            for message in self._subscribe:
                socket.send(message)
        except ConnectionClosed as error:
            raise ConnectionError(f"closed while subscribing: {_words(error)}") from None

    def read(self, timeout_s: float) -> Sequence[tuple[str, Block]]:
        """Return what came; the rest of what waits comes without waiting for more."""
        socket = self._socket
        if socket is None:
            raise ConnectionError("not connected")
        received: list[Received] = []
        try:
            while len(received) < BLOCK:
                # Not decoded: text that is no UTF-8 is the mapping's to reject.
                raw = socket.recv(0 if received else timeout_s, decode=False)
                received.append(Received(bytes(raw), self._rows.now()))
        except TimeoutError:
            pass
        except ConnectionClosed as error:
            # What came before is kept; the next read finds the connection closed again.
            if not received:
                raise ConnectionError(f"connection closed: {_words(error)}") from None
        return self._blocks(received)

    def close(self) -> None:
        """Disconnect."""
        self._socket = None
        with contextlib.suppress(WebSocketException, OSError):
            self._connection.close()


def _words(error: Exception) -> str:
    # The text may hold what was sent, but never the URL or headers, where secrets are.
    return (str(error) or type(error).__name__).splitlines()[0][:200]
