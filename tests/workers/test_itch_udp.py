"""TotalView-ITCH over a UDP that loses, repeats, shuffles and sends garbage."""

from __future__ import annotations

import random
import socket
import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psycopg
import pytest
from psycopg.types.json import Jsonb
from tests.workers.helpers import eventually
from tests.workers.stream_helpers import Worker

from itch_reference import frames
from tsdb_trader.errors import InputError
from tsdb_trader.feeds import loader
from tsdb_trader.feeds.itch_encode import encode
from tsdb_trader.feeds.itch_generate import generate
from tsdb_trader.feeds.itch_udp import ItchUdpStream
from tsdb_trader.feeds.moldudp import downstream
from tsdb_trader.feeds.store import SourceWriter, build

SESSION = "TEST000001"
CONTENT = f"2022-12-28/{SESSION}"


@dataclass
class ManualClock:
    """Time passes when the test says so."""

    seconds: float = 0.0

    def now(self) -> datetime:
        return datetime(2022, 12, 28, 15, tzinfo=UTC) + timedelta(seconds=self.seconds)

    def monotonic(self) -> float:
        return self.seconds


@dataclass
class Server:
    """Has the messages of a session, and sends those again that it is asked for."""

    messages: list[bytes]
    lost_for_good: set[int] = field(default_factory=set)
    asked: int = 0

    def __post_init__(self) -> None:
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind(("127.0.0.1", 0))
        self.socket.setblocking(False)

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.socket.getsockname()[1]}"

    def packet(self, first: int, count: int) -> bytes:
        return downstream(SESSION, first, self.messages[first - 1 : first - 1 + count])

    def answer(self) -> None:
        """Answer the requests that have come, a packet of up to 30 messages each."""
        while True:
            try:
                request, sender = self.socket.recvfrom(100)
            except BlockingIOError:
                return
            self.asked += 1
            session, first, count = struct.unpack(">10sQH", request)
            assert session == SESSION.encode()
            for number in range(first, first + count):
                if number in self.lost_for_good:
                    count = number - first
                    break
            if count:
                self.socket.sendto(self.packet(first, min(count, 30)), sender)


@pytest.fixture(scope="module")
def session(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return generate(tmp_path_factory.mktemp("itch"), messages=3000, symbols=4).path


@pytest.fixture
def origin(session: Path) -> Iterator[Server]:
    made = Server(frames(session.read_bytes())[0])
    yield made
    made.socket.close()


@dataclass
class Feed:
    """A stream whose blocks are stored, and the network before it."""

    conn: psycopg.Connection
    server: Server
    configuration: dict
    clock: ManualClock = field(default_factory=ManualClock)

    def __post_init__(self) -> None:
        self.start()

    def start(self) -> None:
        """Start, from what the database has."""
        self.stream = ItchUdpStream({"listen": "127.0.0.1:0", **self.configuration}, self.clock)
        rows = self.conn.execute(
            "select content, next_row from market.sources where parent_id is null and sha256 = 'stream'"
        )
        self.stream.open(dict(rows.fetchall()))
        self.writers: dict[str, SourceWriter] = {}

    def send(self, data: bytes) -> None:
        self.server.socket.sendto(data, self.stream.address)

    def read(self) -> int:
        """Store what can be stored; return how many rows."""
        rows = 0
        for content, block in self.stream.read(0):
            if content not in self.writers:
                self.writers[content] = SourceWriter(
                    self.conn,
                    *("udp", "itch_udp", "stream", content, "udp"),
                    first_row=self.stream.first_row,
                )
            self.writers[content].write(build(block))
            self.stream.stored()
            rows += block.stop - block.start
        return rows

    def settle(self) -> None:
        """Let time pass and requests be answered until nothing is missing."""
        for _ in range(2000):
            self.clock.seconds += 0.3
            self.read()
            self.server.answer()
            if not self.read() and not self.stream.detail()["missing"]:
                return
        raise AssertionError(self.stream.detail())


@pytest.fixture
def feed(conn, origin) -> Iterator[Feed]:
    made = Feed(conn, origin, {"day": "2022-12-28", "request": origin.address, "retry_s": 0.1})
    yield made
    made.stream.close()


def cut(count: int, source: random.Random) -> list[tuple[int, int]]:
    """Cut so many messages into packets: first, count."""
    found, first = [], 1
    while first <= count:
        size = min(source.randint(1, 20), count + 1 - first)
        found.append((first, size))
        first += size
    return found


def send_badly(feed: Feed, packets: list[tuple[int, int]], source: random.Random) -> None:
    """Lose a tenth, repeat a tenth, shuffle neighbours, read now and then."""
    came = [p for p in packets for _ in range(source.choice((0, *(1,) * 8, 2)))]
    for i in range(len(came) - 1):
        j = min(i + source.randrange(3), len(came) - 1)
        came[i], came[j] = came[j], came[i]
    for first, count in came:
        feed.send(feed.server.packet(first, count))
        feed.clock.seconds += 0.001
        if source.random() < 0.3:
            feed.read()
            feed.server.answer()


def stored(conn: psycopg.Connection, feed: str) -> list:
    """Return what is stored of a feed, without receive times; rows of a file begin with 0."""
    return conn.execute(
        """select x.ts, x.ns, x.seq, x.symbol, x.what, x.side, x.price, x.size, x.order_id,
                  x.new_order_id, x.trade_id
           from (
               select b.ts, b.ns, b.seq, i.symbol, b.action as what, b.side, b.price, b.size,
                      b.order_id, b.new_order_id, b.trade_id, b.feed_id
               from market._book_events b join ref.instruments i using (instrument_id)
               union all
               select t.ts, t.ns, t.seq, i.symbol, t.conditions, t.flags::text, t.price, t.size,
                      t.trade_id, null, null, t.feed_id
               from market._trades t join ref.instruments i using (instrument_id)
               union all
               select s.ts, s.ns, s.seq, i.symbol, s.kind, s.code || s.detail::text, null, null,
                      null, null, null, s.feed_id
               from market.statuses s left join ref.instruments i using (instrument_id)
           ) x join ops.feeds f using (feed_id) where f.feed = %s order by x.seq, x.what""",
        (feed,),
    ).fetchall()


def same_but_numbers(udp: list, file: list) -> bool:
    """Compare rows; those of a stream begin with 1."""
    return [(*r[:2], r[2] - 1, *r[3:]) for r in udp] == file


def gaps(conn: psycopg.Connection) -> tuple[int, int]:
    row = conn.execute(
        "select count(*) filter (where filled_at is not null), count(*) filter (where filled_at is null) from market.gaps"
    ).fetchone()
    assert row is not None
    return row


def test_read_through_a_bad_network_stores_every_message_once(conn, feed, session):
    source = random.Random(5)
    send_badly(feed, cut(3000, source), source)
    feed.send(downstream(SESSION, 3001, [], end=True))
    feed.settle()
    filled, still_open = gaps(conn)
    assert filled > 5
    assert still_open == 0
    source_row = conn.execute(
        """select next_row, rows_read, rows_missing, rows_duplicate > 0 from market.sources
           where content = %s""",
        (CONTENT,),
    ).fetchone()
    assert source_row == (3001, 3000, 0, True)
    loader.load(conn, "itch", [session])
    assert same_but_numbers(stored(conn, "udp"), stored(conn, "itch"))
    assert len(stored(conn, "udp")) > 3000


def test_read_after_a_restart_knows_the_orders_from_before(conn, feed, session):
    source = random.Random(6)
    packets = cut(3000, source)
    send_badly(feed, packets[:150], source)
    feed.settle()
    before = conn.execute(
        "select next_row from market.sources where content = %s", (CONTENT,)
    ).fetchone()
    feed.stream.close()
    feed.start()
    send_badly(feed, packets[150:], source)
    feed.send(downstream(SESSION, 3001, []))
    feed.settle()
    assert before is not None
    assert 1 < before[0] < 3001
    assert gaps(conn)[1] == 0
    assert conn.execute("select count(*) from market.quarantine").fetchone() == (0,)
    loader.load(conn, "itch", [session])
    assert same_but_numbers(stored(conn, "udp"), stored(conn, "itch"))


def test_read_after_a_restart_without_replay_quarantines_what_it_cannot_know(conn, origin):
    feed = Feed(conn, origin, {"day": "2022-12-28"})
    for first in range(1, 3001, 20):
        if first == 1501:
            feed.read()
            feed.stream.close()
            feed.start()
        feed.send(origin.packet(first, 20))
        feed.read()
    row = conn.execute(
        "select next_row, rows_read, rows_stored, rows_quarantined, rows_missing from market.sources where content = %s",
        (CONTENT,),
    ).fetchone()
    assert row is not None
    assert row[:2] == (3001, 3000)
    assert row[4] == 0
    reasons = conn.execute("select distinct reason from market.quarantine").fetchall()
    assert reasons == [("unknown_order",)]
    feed.stream.close()


def test_read_gap_that_is_never_filled_is_given_up_and_the_stream_goes_on(conn, feed):
    feed.server.lost_for_good = set(range(101, 108))
    for first in [*range(1, 101, 10), *range(111, 201, 10)]:
        feed.send(feed.server.packet(first, 10))
    feed.read()
    assert feed.stream.detail()["missing"] == 10
    feed.clock.seconds += 1
    feed.server.answer()
    feed.read()
    assert feed.server.asked > 0
    assert conn.execute("select max(seq) from market._book_events").fetchone()[0] <= 100
    feed.settle()
    feed.send(feed.server.packet(201, 10))
    feed.read()
    row = conn.execute(
        "select next_row, rows_read, rows_missing from market.sources where content = %s",
        (CONTENT,),
    ).fetchone()
    assert row[0] == 211
    assert row[1] + row[2] == 210
    open_gaps = conn.execute(
        "select first_missing, last_missing from market.gaps where filled_at is null"
    ).fetchall()
    assert sum(last - first + 1 for first, last in open_gaps) == row[2] >= 7
    detail = feed.stream.detail()
    assert (detail["given_up"], detail["missing"]) == (row[2], 0)
    # What comes too late is counted, and stored no more.
    feed.send(feed.server.packet(101, 1))
    assert feed.read() == 0
    assert feed.stream.detail()["late"] == 1


def test_read_garbage_is_counted_and_the_stream_goes_on(conn, feed):
    source = random.Random(1)
    feed.send(feed.server.packet(1, 10))
    for _ in range(200):
        feed.send(source.randbytes(source.randrange(200)))
    feed.send(downstream(SESSION, 2**60, [b"x"]))
    feed.send(feed.server.packet(11, 10))
    feed.read()
    detail = feed.stream.detail()
    assert detail["malformed"] == 200
    assert detail["implausible"] == 1
    assert conn.execute(
        "select next_row from market.sources where content = %s", (CONTENT,)
    ).fetchone() == (21,)


def test_read_message_that_is_none_is_quarantined(conn, feed):
    message = encode(b"D", 1, 5, 77)[2:]
    feed.send(downstream(SESSION, 1, [b"?what", message, b""]))
    feed.read()
    assert conn.execute(
        "select position, reason, raw from market.quarantine order by 1"
    ).fetchall() == [
        (1, "unknown_type", "hex:3f77686174"),
        (2, "unknown_order", f"hex:{message.hex()}"),
        (3, "wrong_length", "hex:"),
    ]


def test_read_two_sessions_are_two_contents(conn, feed):
    for name in ("A", "B"):
        feed.send(downstream(name, 1, feed.server.messages[:5]))
    feed.read()
    assert conn.execute(
        "select content, next_row from market.sources where parent_id is null order by 1"
    ).fetchall() == [("2022-12-28/A", 6), ("2022-12-28/B", 6)]


def test_read_request_server_that_is_gone_is_no_end(conn, feed):
    feed.server.socket.close()
    feed.server.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    feed.send(feed.server.packet(5, 5))
    for _ in range(4):
        feed.clock.seconds += 4
        feed.read()
    feed.send(feed.server.packet(10, 5))
    feed.read()
    assert conn.execute(
        "select next_row, rows_missing from market.sources where parent_id is null"
    ).fetchone() == (15, 4)


def test_open_multicast_group_receives_what_is_sent_to_it(session):
    group = "239.255.77.7"
    stream = ItchUdpStream(
        {"listen": "0.0.0.0:0", "group": group, "interface": "127.0.0.1", "day": "2022-12-28"}
    )
    sender = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sender.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, socket.inet_aton("127.0.0.1"))
    try:
        stream.open({})
        data = downstream(SESSION, 1, frames(session.read_bytes())[0][:5])
        sender.sendto(data, (group, stream.address[1]))
        [(content, block)] = stream.read(10)
    except OSError as error:
        pytest.skip(f"no multicast on this machine: {error}")
    finally:
        stream.close()
        sender.close()
    assert (content, block.start, block.stop) == (CONTENT, 1, 6)


@pytest.mark.parametrize(
    ("configuration", "message"),
    [
        ({}, "listen"),
        ({"listen": "nowhere"}, "listen cannot be 'nowhere'"),
        ({"listen": ":70000"}, "no such port"),
        ({"listen": ":1", "group": "10.0.0.1"}, "no multicast address"),
        ({"listen": ":1", "day": "28.12.2022"}, "day cannot be"),
        ({"listen": ":1", "give_up_s": -1}, "must be above 0"),
        ({"listen": ":1", "replay": "yes"}, "true or false"),
        ({"listen": ":1", "colour": 1}, "unknown colour; use listen"),
    ],
)
def test_stream_configuration_that_cannot_be_used_is_an_error(configuration, message):
    with pytest.raises(InputError, match=message):
        ItchUdpStream(configuration)


def test_feeds_worker_runs_the_stream_under_its_own_role(conn, role_url, origin):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    listen = {"listen": f"127.0.0.1:{port}", "day": "2022-12-28"}
    configuration = listen | {"derive_quotes": True, "quiet_s": 0.2}
    conn.execute("select ops.add_feed('udp', 'itch_udp', %s)", (Jsonb(configuration),))
    conn.execute(
        "select ops.open_session('paper', 'live', 'udp', '2022-12-28', null, interval '1 minute')"
    )
    worker = Worker(role_url("tsdb_worker_feeds"))

    def all_stored() -> bool:
        # Sent again until the worker listens; what it has it drops.
        for first in range(1, 1001, 20):
            origin.socket.sendto(origin.packet(first, 20), ("127.0.0.1", port))
        row = conn.execute(
            "select next_row, rows_quarantined, rows_missing from market.sources where content = %s",
            (CONTENT,),
        ).fetchone()
        return row == (1001, 0, 0)

    def all_handed_over() -> bool:
        return conn.execute(
            """select (select sum(quote_count) from market.batches)
                      = (select count(*) from market.quotes)"""
        ).fetchone() == (True,)

    try:
        eventually(all_stored)
        eventually(all_handed_over)
    finally:
        worker.stop()
    # A directory message empties its book.
    expected = sum(m[:1] in b"RAFECXDU" for m in origin.messages[:1000])
    assert conn.execute("select count(*) from market._book_events").fetchone() == (expected,)
    columns = "i.instrument_id, q.ts, q.seq, q.bid_price, q.bid_size, q.ask_price, q.ask_size"
    quotes = conn.execute(
        f"select {columns} from market.quotes q join ref.instruments i using (instrument_id) "
        "order by 1, 2, 3"
    ).fetchall()
    changes = conn.execute(
        f"""select {columns} from ref.instruments i
            cross join lateral market.bbo(i.instrument_id, '2022-12-28', '2022-12-30') q
            order by 1, 2, 3"""
    ).fetchall()
    assert quotes == changes
    assert conn.execute("select count(*) from market.late_ticks").fetchone() == (0,)
