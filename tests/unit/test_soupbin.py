"""SoupBinTCP: packets out of any split of a stream, and a session that resumes."""

from __future__ import annotations

import queue
import socket
import threading
from collections.abc import Callable, Iterator, Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tsdb_trader.errors import InputError
from tsdb_trader.feeds import soupbin
from tsdb_trader.feeds.soupbin import Accepted, Decoder, Login, Packet, SoupError
from tsdb_trader.feeds.soupbin_session import EndOfSessionError, SoupClient, SoupServer

ALL = soupbin.FROM_CLIENT | soupbin.FROM_SERVER
WAIT_S = 20.0

names = st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E), max_size=6)
packets = st.one_of(
    st.builds(Packet, st.sampled_from("+SU"), st.binary(max_size=300)),
    st.sampled_from("HRZO").map(Packet),
    st.sampled_from([Packet("J", b"A"), Packet("J", b"S")]),
    st.builds(
        Login,
        names,
        names,
        names,
        st.integers(0, 10**20 - 1),
        st.none() | st.integers(0, 99_999),
    ).map(soupbin.login_request),
    st.builds(Accepted, names, st.integers(0, 10**20 - 1)).map(soupbin.login_accepted),
)


def cut(data: bytes, sizes: Sequence[int]) -> Iterator[bytes]:
    """Cut bytes into pieces of the given sizes, again and again."""
    position, turn = 0, 0
    while position < len(data):
        size = sizes[turn % len(sizes)] if sizes else len(data)
        yield data[position : position + size]
        position, turn = position + size, turn + 1


def decode_split(sent: list[Packet], sizes: list[int]) -> None:
    decoder = Decoder(ALL)
    stream = b"".join(soupbin.encode(packet) for packet in sent)
    assert [p for piece in cut(stream, sizes) for p in decoder.feed(piece)] == sent
    assert decoder.pending == 0


def decode_garbage(data: bytes, sizes: list[int]) -> None:
    """The packets do not depend on how the bytes were cut, and neither does the error."""
    found = []
    for pieces in (list(cut(data, sizes)), [data]):
        decoder, taken, reason = Decoder(ALL), [], ""
        for piece in [*pieces, b""]:
            try:
                taken += decoder.feed(piece)
            except SoupError as error:
                reason = error.reason
        found.append((taken, reason))
    assert found[0] == found[1]


@given(st.lists(packets, max_size=8), st.lists(st.integers(1, 40), max_size=5))
@settings(max_examples=600, deadline=None)
def test_decoder_any_split_gives_the_packets_that_were_sent(
    sent: list[Packet], sizes: list[int]
) -> None:
    decode_split(sent, sizes)


garbage = st.lists(
    packets.map(soupbin.encode)
    | st.binary(max_size=10)
    | st.binary(max_size=6).map(lambda b: len(b).to_bytes(2, "big") + b),
    max_size=6,
).map(b"".join)


@given(garbage, st.lists(st.integers(1, 20), max_size=4))
@settings(max_examples=600, deadline=None)
def test_decoder_garbage_gives_packets_then_one_error(data: bytes, sizes: list[int]) -> None:
    decode_garbage(data, sizes)


@pytest.mark.long
@given(st.lists(packets, max_size=8), garbage, st.lists(st.integers(1, 40), max_size=5))
@settings(max_examples=10_000, deadline=None)
def test_decoder_long_fuzz_never_fails(sent: list[Packet], data: bytes, sizes: list[int]) -> None:
    decode_split(sent, sizes)
    decode_garbage(data, sizes)


@pytest.mark.parametrize(
    ("login", "payload"),
    [
        (Login("me", "secret"), b"me    secret    " + b" " * 29 + b"1"),
        (
            Login("me", "secret", "DAY1", 57, 15_000),
            b"me    secret    " + b"      DAY1" + b"57".rjust(20) + b"15000",
        ),
    ],
)
def test_login_request_both_versions_read_back(login: Login, payload: bytes) -> None:
    packet = soupbin.login_request(login)
    assert packet.payload == payload
    assert soupbin.read_login(packet) == login


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        ("0000", "wrong_length"),
        ("000158", "unknown_type"),
        ("00024800", "wrong_length"),
        ("00014a", "wrong_length"),
    ],
)
def test_decoder_broken_packet_is_refused_for_good(data: str, reason: str) -> None:
    decoder = Decoder(soupbin.FROM_SERVER)
    for piece in (bytes.fromhex(data), b"\x00\x01H"):
        with pytest.raises(SoupError) as caught:
            decoder.feed(piece)
        assert caught.value.reason == reason


def test_read_accepted_with_letters_for_a_number_is_refused() -> None:
    with pytest.raises(SoupError, match="is no number"):
        soupbin.read_accepted(Packet("A", b"      DAY1" + b"x".rjust(20)))


class Line:
    """A scripted server and clients of it, with the clock in the test's hands."""

    def __init__(self, pieces: Callable[[bytes], Sequence[bytes]]) -> None:
        self.received: queue.Queue[bytes] = queue.Queue()
        self.server = SoupServer(
            "DAY1", {"me": "secret"}, self._take, pieces=pieces, heartbeat_s=0.05
        )
        self.clients: list[SoupClient] = []

    def _take(self, payload: bytes) -> list[bytes]:
        self.received.put(payload)
        return [b"answer to " + payload]

    def client(self, **changes: object) -> SoupClient:
        settings = {"username": "me", "password": "secret", "heartbeat_s": 0.05} | changes
        client = SoupClient(self.server.address, **settings)  # type: ignore[arg-type]
        self.clients.append(client)
        return client

    def close(self) -> None:
        for client in self.clients:
            client.close()
        self.server.close()


@pytest.fixture
def line() -> Iterator[Line]:
    line = Line(lambda data: list(cut(data, [1, 2, 3])))
    yield line
    line.close()


def read(client: SoupClient, count: int) -> list[tuple[int, bytes]]:
    found: list[tuple[int, bytes]] = []
    while len(found) < count:
        got = client.read(WAIT_S)
        assert got, f"{len(found)} of {count} messages"
        found += got
    return found


def test_client_resumes_after_a_cut_line_with_every_message_once(line: Line) -> None:
    client = line.client()
    line.server.publish(b"one", b"two")
    client.open()
    assert read(client, 2) == [(1, b"one"), (2, b"two")]
    client.send(b"order")
    assert line.received.get(timeout=WAIT_S) == b"order"
    assert read(client, 1) == [(3, b"answer to order")]
    line.server.drop()
    line.server.publish(b"four", b"five")
    with pytest.raises(ConnectionError, match="closed"):
        read(client, 1)
    client.open()
    assert read(client, 2) == [(4, b"four"), (5, b"five")]
    assert [(login.session, login.sequence) for login in line.server.logins] == [
        ("", 1),
        ("DAY1", 4),
    ]


def test_client_new_process_resumes_where_the_old_one_stored(line: Line) -> None:
    line.server.publish(*(f"{n}".encode() for n in range(1, 8)))
    client = line.client(session="DAY1", next_sequence=6)
    client.open()
    assert read(client, 2) == [(6, b"6"), (7, b"7")]


def test_client_and_server_keep_an_idle_line_alive_with_heartbeats(line: Line) -> None:
    client = line.client(timeout_s=5.0)
    client.open()
    while line.server.heartbeats < 3:
        assert client.read(0.2) == []
    line.server.publish(b"one")
    assert read(client, 1) == [(1, b"one")]


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"password": "wrong"}, "user or password"),
        ({"session": "DAY0", "next_sequence": 3}, "session is not available"),
        ({"session": "DAY1", "next_sequence": 9}, "session is not available"),
    ],
)
def test_client_refused_login_is_told(line: Line, changes: dict[str, object], why: str) -> None:
    with pytest.raises(InputError, match=why):
        line.client(**changes).open()


def test_client_garbled_stream_gives_what_came_before_then_an_error(line: Line) -> None:
    client = line.client()
    client.open()
    line.server.publish(b"one")
    line.server.write_raw(b"\x00\x00\x00")
    assert read(client, 1) == [(1, b"one")]
    with pytest.raises(ConnectionError, match="garbled"):
        read(client, 1)
    line.server.publish(b"two")
    client.open()
    assert read(client, 1) == [(2, b"two")]


def test_client_end_of_session_comes_after_its_last_message(line: Line) -> None:
    client = line.client()
    client.open()
    line.server.publish(b"last")
    line.server.end()
    assert read(client, 1) == [(1, b"last")]
    with pytest.raises(EndOfSessionError, match="DAY1"):
        read(client, 1)


class Ticking:
    """A clock that moves at every look."""

    def __init__(self) -> None:
        self.time = 0.0

    def now(self) -> None:
        raise NotImplementedError

    def monotonic(self) -> float:
        self.time += 1.0
        return self.time


def test_client_silent_server_is_given_up_after_the_timeout() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        accepted = threading.Event()

        def mute() -> None:
            line, _ = server.accept()
            with line:
                line.recv(100)
                line.sendall(soupbin.encode(soupbin.login_accepted(Accepted("DAY1", 1))))
                accepted.wait(WAIT_S)

        thread = threading.Thread(target=mute)
        thread.start()
        client = SoupClient(
            server.getsockname(), "me", "secret", heartbeat_s=0.001, clock=Ticking()
        )  # type: ignore[arg-type]
        client.open()
        with pytest.raises(TimeoutError, match="nothing heard for 15 s"):
            client.read(1_000.0)
        accepted.set()
        client.close()
        thread.join(WAIT_S)
