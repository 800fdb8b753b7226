"""ZeroMQ streams against sockets of pyzmq: SUB and PULL, sequence frames, lost publishers."""

from __future__ import annotations

import json
import struct
from collections.abc import Callable, Iterator
from typing import Any

import psycopg
import pytest
import zmq
from tests.workers.helpers import eventually
from tests.workers.stream_helpers import Worker, one

from tsdb_trader.errors import InputError
from tsdb_trader.feeds.base import Gap
from tsdb_trader.feeds.json_stream import CONTENT
from tsdb_trader.feeds.zeromq import ZeroMqStream

MAPPING = {
    "rows": [
        {
            "kind": "trades",
            "symbol": "s",
            "time": {"column": "t", "format": "ms"},
            "columns": {"price": "p", "size": "q"},
        }
    ]
}
FRAMES = ["topic", "sequence", "data"]


def trade(n: int = 0, **changes: Any) -> bytes:
    message = {"s": "AAA", "t": 1_700_000_000_000 + n, "p": "10.25", "q": 1} | changes
    return json.dumps(message).encode()


class Publisher:
    """A PUB or PUSH socket that the test may end and bind again."""

    def __init__(self, kind: int = zmq.XPUB) -> None:
        self._context = zmq.Context()
        self._kind = kind
        self.address = "tcp://127.0.0.1:*"
        self.start()

    def start(self) -> None:
        """Bind, at the same address as before."""
        self.socket = self._context.socket(self._kind)
        self.socket.set(zmq.LINGER, 0)
        if self._kind == zmq.XPUB:
            # Every subscriber is told of, also the same one again.
            self.socket.set(zmq.XPUB_VERBOSE, 1)
        # The port is free again when the old socket's thread has got to it.
        eventually(self._bound)
        self.address = self.socket.get(zmq.LAST_ENDPOINT).decode()

    def _bound(self) -> bool:
        try:
            self.socket.bind(self.address)
        except zmq.ZMQError:
            return False
        return True

    def subscribed(self, by: ZeroMqStream | None = None) -> bytes:
        """Wait for a subscription: what is published before it is nobody's.

        A subscriber subscribes again only while it is read.
        """
        eventually(lambda: self.socket.poll(20) or (by is not None and by.read(0.01)))
        return self.socket.recv()

    def stop(self) -> None:
        """Vanish."""
        self.socket.close(0)

    def close(self) -> None:
        """End for good."""
        self._context.destroy(0)


@pytest.fixture
def publisher() -> Iterator[Publisher]:
    made = Publisher()
    yield made
    made.close()


@pytest.fixture
def stream() -> Iterator[Callable[..., ZeroMqStream]]:
    opened: list[ZeroMqStream] = []

    def start(next_row: int = 0, **configuration: Any) -> ZeroMqStream:
        made = ZeroMqStream({"mapping": MAPPING} | configuration)
        opened.append(made)
        made.open({CONTENT: next_row} if next_row else {})
        return made

    yield start
    for made in opened:
        made.close()


def read(stream: ZeroMqStream, rows: int) -> list[Any]:
    blocks: list[Any] = []
    while sum(block.stop - block.start for block in blocks) < rows:
        blocks += [block for _, block in stream.read(0.2)]
    return blocks


def numbered(publisher: Publisher, *numbers: int) -> None:
    for n in numbers:
        publisher.socket.send_multipart([b"t.AAA", struct.pack(">Q", n), trade(n)])


def test_zeromq_subscriber_gets_its_topics_alone(publisher, stream) -> None:
    opened = stream(7, connect=[publisher.address], topics=["t."], frames=["topic", "data"])
    assert publisher.subscribed() == b"\x01t."
    publisher.socket.send_multipart([b"q.AAA", b"not for us"])
    publisher.socket.send_multipart([b"t.AAA", trade()])
    (block,) = read(opened, 1)
    assert (block.start, block.stop, block.stored) == (7, 8, 1)
    assert block.ticks[0].numbers["price"].tolist() == [102_500]
    assert opened.detail()["connections"] == 1


def test_zeromq_puller_shares_the_work(stream) -> None:
    publisher = Publisher(zmq.PUSH)
    try:
        opened = stream(connect=[publisher.address], socket="pull")
        for n in range(100):
            publisher.socket.send(trade(n))
        assert sum(block.stored for block in read(opened, 100)) == 100
    finally:
        publisher.close()


def test_zeromq_sequence_frame_shows_gaps(publisher, stream) -> None:
    opened = stream(connect=[publisher.address], frames=FRAMES)
    publisher.subscribed()
    numbered(publisher, 1, 2, 5)
    publisher.socket.send_multipart([b"t", b"6", trade()])
    blocks = read(opened, 4)
    assert [gap for block in blocks for gap in block.gaps] == [Gap(3, 4)]
    assert opened.sequences == {CONTENT: 6}


def test_zeromq_garbage_is_rejected_and_reading_goes_on(publisher, stream) -> None:
    opened = stream(connect=[publisher.address], frames=FRAMES)
    publisher.subscribed()
    for frames in (
        [b"t"],
        [b"t", b"1", b"x", b"y"],
        [b"t", b"one", trade()],
        [b"t", b"\xff" * 8, trade()],
        [b"t", b"1", b"\xff\xfe"],
        [b"t", b"2", b""],
        [b"t", b"3", trade(p=0)],
        [b"t", b"4", trade()],
    ):
        publisher.socket.send_multipart(frames)
    blocks = read(opened, 8)
    assert [row.reason for block in blocks for row in block.rejected] == [
        "malformed", "malformed", "bad_sequence", "bad_sequence", "not_utf8", "malformed",
        "zero_price",
    ]  # fmt: skip
    assert sum(block.stored for block in blocks) == 1


def test_zeromq_publisher_vanishes_and_returns(publisher, stream) -> None:
    opened = stream(connect=[publisher.address], frames=FRAMES)
    publisher.subscribed()
    numbered(publisher, 8, 9)
    read(opened, 2)
    publisher.stop()
    publisher.start()
    publisher.subscribed(opened)
    # It numbers anew, as after a restart.
    numbered(publisher, 1, 2, 4)
    blocks = read(opened, 3)
    assert sum(block.stored for block in blocks) == 3
    assert [gap for block in blocks for gap in block.gaps] == [Gap(3, 3)]
    detail = opened.detail()
    assert (detail["connections"], detail["reconnects"]) == (2, 1)


def test_zeromq_silence_is_given_up_where_it_must_not_be(publisher, stream) -> None:
    opened = stream(connect=[publisher.address], heartbeat_s=0.1)
    with pytest.raises(ConnectionError, match="silent"):
        read(opened, 1)


def test_zeromq_address_in_use_is_tried_again(publisher) -> None:
    made = ZeroMqStream({"bind": [publisher.address], "mapping": MAPPING})
    with pytest.raises(ConnectionError, match="cannot bind"):
        made.open({})
    made.close()


def _open(configuration: Any) -> None:
    made = ZeroMqStream({"mapping": MAPPING} | configuration)
    try:
        made.open({})
    finally:
        made.close()


@pytest.mark.parametrize(
    ("configuration", "says"),
    [
        ({}, 'give "connect" or "bind"'),
        ({"connect": ["tcp://a:1"], "socket": "pull", "topics": ["t"]}, "has no topics"),
        ({"connect": ["tcp://a:1"], "frames": ["topic"]}, "with data once"),
        ({"connect": ["tcp://a:1"], "frames": ["head", "data"]}, "frames are topic"),
        ({"connect": ["nonsense"]}, "addresses are like"),
        ({"connect": "tcp://a:1"}, "connect must be list"),
    ],
)
def test_zeromq_configuration_that_cannot_be_says_why(configuration: Any, says: str) -> None:
    with pytest.raises(InputError, match=says):
        _open(configuration)


def test_zeromq_feed_is_stored_across_a_restart_of_its_publisher(
    conn: psycopg.Connection, publisher, role_url
) -> None:
    configuration = {"connect": [publisher.address], "frames": FRAMES, "mapping": MAPPING}
    conn.execute(
        "select ops.add_feed('z', 'zeromq', %s)", (psycopg.types.json.Jsonb(configuration),)
    )
    worker = Worker(role_url("tsdb_worker_feeds"))
    try:
        publisher.subscribed()
        numbered(publisher, 1, 2, 4)
        eventually(lambda: one(conn, "select count(*) from market._trades") == 3)
        publisher.stop()
        publisher.start()
        publisher.subscribed()
        numbered(publisher, 7)
        eventually(lambda: one(conn, "select count(*) from market._trades") == 4)
        assert conn.execute(
            "select first_missing, last_missing from market.gaps order by 1"
        ).fetchall() == [(3, 3), (5, 6)]
        eventually(lambda: one(conn, "select reconnects from ops.feed_status") == 1)
    finally:
        worker.stop()
