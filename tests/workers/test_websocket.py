"""WebSocket streams against a server of the websockets library, well-behaved and not."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Callable, Iterator
from typing import Any

import psycopg
import pytest
from tests.workers.helpers import eventually
from tests.workers.stream_helpers import Worker, one
from websockets.exceptions import ConnectionClosed
from websockets.sync.server import Server, ServerConnection, serve

from tsdb_trader.errors import InputError
from tsdb_trader.feeds.base import Gap
from tsdb_trader.feeds.json_stream import CONTENT
from tsdb_trader.feeds.websocket import WebSocketStream

MAPPING = {
    "sequence": "n",
    "ignore": [{"type": "ack"}],
    "rows": [
        {
            "where": {"type": "quote"},
            "kind": "quotes",
            "symbol": "s",
            "time": {"column": "t", "format": "ms"},
            "columns": {"bid_price": "b", "bid_size": "bs", "ask_price": "a", "ask_size": "as"},
        },
        {
            "where": {"type": "news"},
            "kind": "news",
            "time": {"column": "t", "format": "ms"},
            "columns": {"headline": "h", "symbols": "s"},
        },
    ],
}


def quote(n: int, **changes: Any) -> str:
    return json.dumps(
        {"type": "quote", "n": n, "s": "AAA", "t": 1_700_000_000_000 + n, "b": "10.25", "bs": 3,
         "a": 10.5, "as": 4} | changes
    )  # fmt: skip


class Source:
    """A server that does with each connection what the test says."""

    def __init__(self) -> None:
        self.handlers: list[Callable[[ServerConnection], None]] = []
        self.received: list[str] = []
        self.headers: list[Any] = []
        self.connections = 0
        self.end = threading.Event()
        self._server: Server = serve(self._handle, "127.0.0.1", 0, close_timeout=0.1)
        self.url = f"ws://127.0.0.1:{self._server.socket.getsockname()[1]}/stream"
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()

    def _handle(self, connection: ServerConnection) -> None:
        self.connections += 1
        self.headers.append(connection.request.headers if connection.request else None)
        try:
            if self.handlers:
                self.handlers.pop(0)(connection)
            else:
                self.wait(connection)
        except ConnectionClosed:
            pass

    def wait(self, connection: ServerConnection) -> None:
        """Keep a connection, noting what comes."""
        while not self.end.is_set():
            try:
                self.received.append(str(connection.recv(0.05)))
            except TimeoutError:
                continue

    def sends(self, *messages: Any, then: Callable[..., None] | None = None) -> None:
        """Let the next connection get messages; then it is kept, or what `then` does."""

        def handle(connection: ServerConnection) -> None:
            for message in messages:
                connection.send(message, text=True if isinstance(message, bytes) else None)
            (then or self.wait)(connection)

        self.handlers.append(handle)

    def stop(self) -> None:
        """End the server."""
        self.end.set()
        self._server.shutdown()
        self._thread.join(10)


@pytest.fixture
def source() -> Iterator[Source]:
    server = Source()
    yield server
    server.stop()


@pytest.fixture
def stream(source: Source) -> Iterator[Callable[..., WebSocketStream]]:
    """Open streams on the source."""
    opened: list[WebSocketStream] = []

    def start(next_row: int = 0, **changes: Any) -> WebSocketStream:
        made = WebSocketStream({"url": source.url, "mapping": MAPPING} | changes)
        opened.append(made)
        made.open({CONTENT: next_row} if next_row else {})
        return made

    yield start
    for one_ in opened:
        one_.close()


def read(stream: WebSocketStream, rows: int) -> list[Any]:
    """Read until so many rows came."""
    blocks = []
    while sum(block.stop - block.start for block in blocks) < rows:
        blocks += [block for _, block in stream.read(0.1)]
    return blocks


def test_websocket_subscribes_and_reads(source, stream) -> None:
    source.sends(json.dumps({"type": "ack"}), quote(1), quote(2))
    opened = stream(5, subscribe=[{"op": "subscribe"}, "plain"], headers={"X-Key": "k"})
    blocks = read(opened, 2)
    assert (blocks[0].start, blocks[-1].stop) == (5, 7)
    assert blocks[0].ticks[0].numbers["bid_price"].tolist()[0] == 102_500
    eventually(lambda: len(source.received) == 2)
    assert source.received == ['{"op": "subscribe"}', "plain"]
    assert source.headers[0]["X-Key"] == "k"
    assert opened.detail() == {"messages": 3, "ignored": 1, "sequence": 2}


def test_websocket_garbage_is_rejected_and_reading_goes_on(source, stream) -> None:
    garbage = [b"\xff\xfe\x00", "", "{", "null", quote(1, b="NaN"), quote(2, t=-5), "\0" * 100]
    source.sends(*garbage, quote(3))
    blocks = read(stream(), len(garbage) + 1)
    reasons = [row.reason for block in blocks for row in block.rejected]
    assert reasons == [
        "not_utf8", "malformed", "malformed", "unknown_type", "nan", "absurd_time", "malformed",
    ]  # fmt: skip
    assert sum(block.stored for block in blocks) == 1


def test_websocket_fragments_are_put_together(source, stream) -> None:
    text = quote(1)

    def in_parts(connection: ServerConnection) -> None:
        connection.send(iter([text[:7], text[7:30], text[30:]]))
        source.wait(connection)

    source.handlers.append(in_parts)
    (block,) = read(stream(), 1)
    assert block.stored == 1


@pytest.mark.parametrize("code", [1000, 1001, 1011])
def test_websocket_closed_by_the_server_is_a_lost_connection(source, stream, code: int) -> None:
    source.sends(quote(1), then=lambda c: c.close(code))
    opened = stream()
    read(opened, 1)
    with pytest.raises(ConnectionError, match=f"closed: .*{code}"):
        opened.read(10)


def test_websocket_too_large_a_message_ends_the_connection(source, stream) -> None:
    source.sends(quote(1), quote(2, s="A" * 5000))
    opened = stream(max_bytes=2000)
    assert sum(block.stored for block in read(opened, 1)) == 1
    with pytest.raises(ConnectionError, match="closed"):
        opened.read(10)


def test_websocket_silent_but_alive_is_given_up(source, stream) -> None:
    """It answers pings, and says nothing: subscriptions get lost like that."""
    opened = stream(heartbeat_s=0.3)
    with pytest.raises(ConnectionError, match="silent"):
        read(opened, 1)


def test_websocket_that_answers_no_ping_is_given_up() -> None:
    """The other side hangs, or the network swallows everything."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        opened = WebSocketStream(
            {
                "url": f"ws://127.0.0.1:{listener.getsockname()[1]}",
                "mapping": MAPPING,
                "heartbeat_s": 0.4,
            }
        )
        thread = threading.Thread(target=_shake_hands, args=(listener,), daemon=True)
        thread.start()
        opened.open({})
        with pytest.raises(ConnectionError, match=r"silent|closed"):
            read(opened, 1)
        opened.close()
        thread.join(10)


def _shake_hands(listener: socket.socket) -> None:
    from websockets.server import ServerProtocol

    connection, _ = listener.accept()
    with connection:
        protocol = ServerProtocol()
        while not (events := protocol.events_received()):
            protocol.receive_data(connection.recv(4096))
        protocol.send_response(protocol.accept(events[0]))
        for data in protocol.data_to_send():
            connection.sendall(data)
        while connection.recv(4096):
            pass


@pytest.mark.parametrize(
    "answer", [b"", b"HTTP/1.1 403 Forbidden\r\n\r\n", b"\x00\xff garbage\r\n"]
)
def test_websocket_that_cannot_be_opened_is_tried_again(answer: bytes) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve_once() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.recv(4096)
                connection.sendall(answer)

        thread = threading.Thread(target=serve_once, daemon=True)
        thread.start()
        opened = WebSocketStream(
            {
                "url": f"ws://127.0.0.1:{listener.getsockname()[1]}",
                "mapping": MAPPING,
                "connect_s": 2,
            }
        )
        with pytest.raises(OSError, match=r"."):
            opened.open({})
        thread.join(10)
    with pytest.raises(OSError, match=r"."):
        opened.open({})


def test_websocket_url_that_cannot_be_is_a_mistake() -> None:
    with pytest.raises(InputError, match=r"websocket: "):
        WebSocketStream({"url": "ws://", "mapping": MAPPING}).open({})


def test_websocket_reconnect_shows_what_was_missed(source, stream) -> None:
    source.sends(quote(1), quote(2), then=lambda c: c.close())
    source.sends(quote(6))
    opened = stream()
    read(opened, 2)
    with pytest.raises(ConnectionError):
        opened.read(10)
    opened.close()
    opened.open({CONTENT: 2})
    (block,) = read(opened, 1)
    assert (block.start, block.gaps) == (2, [Gap(3, 5)])


# With the worker and the database ---------------------------------------------------------------


@pytest.fixture
def worker(role_url: Callable[[str | None], str]) -> Iterator[Worker]:
    made = Worker(role_url("tsdb_worker_feeds"))
    yield made
    made.stop()


def test_websocket_feed_survives_a_bad_day(conn: psycopg.Connection, source, worker) -> None:
    """Garbage, a close, a vanished server: every message is stored, quarantined or in a gap."""
    source.sends(quote(1), b"\xff", quote(2), then=lambda c: c.close(1011))
    source.sends(quote(5), json.dumps({"type": "news", "n": 6, "t": 1_700_000_000_000, "h": "Up", "s": ["AAA"]}),
                 "{", then=lambda c: c.socket.close())  # fmt: skip
    source.sends(quote(3), quote(7))
    conn.execute(
        "select ops.add_feed('ws', 'websocket', %s)",
        (psycopg.types.json.Jsonb({"url": source.url, "mapping": MAPPING}),),
    )
    eventually(lambda: one(conn, "select count(*) from market._quotes") == 5)
    assert one(conn, "select count(*) from market.news") == 1
    assert one(
        conn,
        "select rows_read, rows_stored, rows_quarantined, next_row, sequence from market.sources "
        "where parent_id is null",
    ) == (8, 6, 2, 8, 7)
    assert conn.execute(
        "select first_missing, last_missing, filled_at is not null from market.gaps order by 1, 3"
    ).fetchall() == [(3, 3, True), (4, 4, False)]
    assert one(conn, "select array_agg(reason order by position) from market.quarantine") == [
        "not_utf8",
        "malformed",
    ]
    eventually(
        lambda: (
            one(conn, "select state, reconnects from ops.feed_status where feed = 'ws'")
            == ("running", 2)
        )
    )
    assert one(conn, "select bid_price, ask_size from market.quotes limit 1") == (10.25, 4)


def test_websocket_feed_restarted_knows_its_sequence(conn, source, role_url) -> None:
    conn.execute(
        "select ops.add_feed('ws', 'websocket', %s)",
        (psycopg.types.json.Jsonb({"url": source.url, "mapping": MAPPING}),),
    )
    for n in (1, 4):
        source.sends(quote(n))
        running = Worker(role_url("tsdb_worker_feeds"))
        eventually(lambda n=n: one(conn, "select max(sequence) from market.sources") == n)
        running.stop()
    assert conn.execute("select first_missing, last_missing from market.gaps").fetchall() == [
        (2, 3)
    ]
