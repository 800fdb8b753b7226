"""Kafka streams against librdkafka's mock cluster: offsets, holes, lost brokers, kills."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from tests.workers.helpers import eventually
from tests.workers.kafka_mock import MockCluster
from tests.workers.stream_helpers import Worker, one

import nursery
from tsdb_trader import embedded, schema
from tsdb_trader.config import Settings
from tsdb_trader.errors import InputError
from tsdb_trader.feeds.base import Gap
from tsdb_trader.feeds.kafka import KafkaStream

MAPPING = {
    "ignore": [{"type": "ack"}],
    "rows": [
        {
            "where": {"type": "trade"},
            "kind": "trades",
            "symbol": "s",
            "time": {"column": "t", "format": "ms"},
            "columns": {"price": "p", "size": "q", "trade_id": "id"},
        }
    ],
}


def trade(n: int, **changes: Any) -> dict[str, Any]:
    return {
        "type": "trade",
        "s": "AAA",
        "t": 1_700_000_000_000 + n,
        "p": "10.25",
        "q": 1,
        "id": n,
    } | changes


@pytest.fixture(scope="module")
def cluster() -> Iterator[MockCluster]:
    made = MockCluster()
    yield made
    made.close()


@pytest.fixture
def topic(cluster: MockCluster, request: pytest.FixtureRequest) -> str:
    name = "".join(c if c.isalnum() else "-" for c in request.node.name)
    cluster.create(name, 2)
    return name


def configuration(cluster: MockCluster, topic: str, **changes: Any) -> dict[str, Any]:
    fast = {"fetch.wait.max.ms": 20, "reconnect.backoff.max.ms": 200}
    return {
        "servers": cluster.servers,
        "topics": [topic],
        "options": fast,
        "mapping": MAPPING,
    } | changes


@pytest.fixture
def stream(cluster: MockCluster, topic: str) -> Iterator[Callable[..., KafkaStream]]:
    opened: list[KafkaStream] = []

    def start(next_rows: dict[str, int] | None = None, **changes: Any) -> KafkaStream:
        made = KafkaStream(configuration(cluster, topic, **changes))
        opened.append(made)
        made.open(next_rows or {})
        return made

    yield start
    for made in opened:
        made.close()


def read(stream: KafkaStream, rows: int) -> dict[str, list[Any]]:
    """Read until so many offsets are covered."""
    found: dict[str, list[Any]] = {}
    done = 0
    while done < rows:
        for content, block in stream.read(1):
            block.check()
            found.setdefault(content, []).append(block)
            done += block.stop - block.start
    return found


def offsets(blocks: list[Any]) -> list[int]:
    return [seq for block in blocks for ticks in block.ticks for seq in ticks.seq.tolist()]


def test_kafka_partitions_are_contents_and_offsets_rows(cluster, topic, stream) -> None:
    cluster.produce(topic, [trade(n) for n in range(5)], 0)
    cluster.produce(topic, [trade(n) for n in range(3)], 1)
    found = read(stream(), 8)
    assert offsets(found[f"{topic}/0"]) == [0, 1, 2, 3, 4]
    assert offsets(found[f"{topic}/1"]) == [0, 1, 2]


def test_kafka_goes_on_behind_what_is_stored(cluster, topic, stream) -> None:
    cluster.produce(topic, [trade(n) for n in range(5)], 0)
    cluster.produce(topic, [trade(n) for n in range(3)], 1)
    found = read(stream({f"{topic}/0": 3}), 5)
    assert offsets(found[f"{topic}/0"]) == [3, 4]
    assert offsets(found[f"{topic}/1"]) == [0, 1, 2], "a partition not known yet, from its start"


def test_kafka_latest_starts_with_what_comes_next(cluster, topic, stream) -> None:
    cluster.produce(topic, [trade(n) for n in range(5)], 0)
    cluster.produce(topic, [trade(n) for n in range(3)], 1)
    opened = stream(start="latest")
    cluster.produce(topic, [trade(5)], 0)
    cluster.produce(topic, [trade(3)], 1)
    found = read(opened, 2)
    assert {content: offsets(blocks) for content, blocks in found.items()} == {
        f"{topic}/0": [5],
        f"{topic}/1": [3],
    }


def test_kafka_garbage_is_rejected_and_the_uninteresting_missing(cluster, topic, stream) -> None:
    garbage = [b"", b"\xff", b"{", b"[]", trade(1, p="x"), trade(2, t=10**15)]
    cluster.produce(topic, [*garbage, {"type": "ack"}, trade(3)])
    (blocks,) = read(stream(), 8).values()
    reasons = [row.reason for block in blocks for row in block.rejected]
    assert reasons == [
        "malformed", "not_utf8", "malformed", "unknown_type", "not_a_number", "absurd_time",
    ]  # fmt: skip
    assert offsets(blocks) == [7]
    assert sum(block.missing for block in blocks) == 1
    assert not [gap for block in blocks for gap in block.gaps]


def test_kafka_offsets_deleted_unread_are_a_gap(cluster, topic, stream) -> None:
    """The mock keeps 5 MB of a partition."""
    cluster.produce(topic, [trade(n, pad="x" * 100_000) for n in range(80)])
    (blocks,) = read(stream({f"{topic}/0": 2, f"{topic}/1": 0}), 78).values()
    first = blocks[0]
    assert (first.start, first.stop, first.missing) == (2, first.stop, first.stop - 2)
    assert first.gaps == [Gap(2, first.stop - 1)]
    assert 2 < first.stop < 80
    assert offsets(blocks) == list(range(first.stop, 80))


def test_kafka_topic_made_anew_is_refused(cluster, topic, stream) -> None:
    """More is stored than the topic has: going on would mix two histories."""
    cluster.produce(topic, [trade(n) for n in range(2)])
    opened = stream({f"{topic}/0": 100})
    with pytest.raises(InputError, match="was made anew"):
        read(opened, 3)


def test_kafka_topic_that_is_not_there_is_tried_again(cluster) -> None:
    made = KafkaStream(
        configuration(cluster, "nowhere", options={"allow.auto.create.topics": False})
    )
    try:
        made.open({})
    except OSError:
        made.close()
    else:
        made.close()  # the mock creates topics whatever it is asked


def test_kafka_that_does_not_answer_is_tried_again(monkeypatch) -> None:
    monkeypatch.setattr("tsdb_trader.feeds.kafka._ASK_S", 0.2)
    made = KafkaStream({"servers": "127.0.0.1:1", "topics": ["t"], "mapping": MAPPING})
    with pytest.raises(ConnectionError, match="no answer from Kafka"):
        made.open({})
    made.close()


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"options": {"enable.auto.commit": True}}, "options cannot set enable.auto.commit"),
        ({"options": {"no.such": 1}}, "No such configuration property"),
        ({"start": "middle"}, "neither earliest nor latest"),
        ({"topics": []}, 'give "servers" and "topics"'),
        ({"mapping": MAPPING | {"sequence": "n"}}, "offsets are the sequence"),
    ],
)
def test_kafka_configuration_that_cannot_be_says_why(cluster, changes: Any, says: str) -> None:
    with pytest.raises(InputError, match=says):
        KafkaStream(configuration(cluster, "t", **changes)).open({})


# With the worker and the database ---------------------------------------------------------------


def add(conn: psycopg.Connection, cluster: MockCluster, topic: str) -> None:
    conn.execute(
        "select ops.add_feed('k', 'kafka', %s)",
        (psycopg.types.json.Jsonb(configuration(cluster, topic)),),
    )


def seqs(conn: psycopg.Connection, topic: str, partition: int) -> list[int]:
    rows = conn.execute(
        """select t.seq from market._trades t
           join market.sources s on s.source_id = t.source_id and s.instrument_id = t.instrument_id
           join market.sources p on p.source_id = s.parent_id
           where p.content = %s order by t.seq""",
        (f"{topic}/{partition}",),
    )
    return [row[0] for row in rows]


def test_kafka_feed_broker_vanishes_and_returns(conn, cluster, topic, role_url) -> None:
    add(conn, cluster, topic)
    worker = Worker(role_url("tsdb_worker_feeds"))
    try:
        cluster.produce(topic, [trade(n) for n in range(10)])
        eventually(lambda: seqs(conn, topic, 0) == list(range(10)))
        cluster.down()
        eventually(lambda: one(conn, "select state from ops.feed_status") == "connecting")
        assert "Kafka" in one(conn, "select last_error from ops.feed_status")
        cluster.up()
        cluster.produce(topic, [trade(n) for n in range(10, 20)])
        eventually(lambda: seqs(conn, topic, 0) == list(range(20)), 60)
        eventually(lambda: one(conn, "select state from ops.feed_status") == "running")
    finally:
        cluster.up()
        worker.stop()


class Process:
    """A feeds worker in a process of its own."""

    def __init__(self, url: str, folder: Path) -> None:
        self._log = (folder / "feeds.log").open("ab")
        self.process = nursery.start(
            Path(__file__).with_name("feeds_process.py"), url, stdout=self._log, stderr=self._log
        )

    def kill(self) -> None:
        """End it at once."""
        os.kill(self.process.pid, signal.SIGKILL)
        self.process.wait(10)
        self._log.close()


@pytest.mark.slow
def test_kafka_feed_killed_loses_and_repeats_nothing(
    conn, cluster, topic, role_url, tmp_path
) -> None:
    add(conn, cluster, topic)
    url = role_url("tsdb_worker_feeds")
    total = 0
    for _ in range(3):
        process = Process(url, tmp_path)
        for _ in range(10):
            cluster.produce(topic, [trade(n) for n in range(total, total + 300)], 0)
            cluster.produce(topic, [trade(n) for n in range(total, total + 300)], 1)
            total += 300
        # In the middle: some of it is stored, most is not.
        before = len(seqs(conn, topic, 0))
        eventually(lambda before=before: len(seqs(conn, topic, 0)) > before)
        process.kill()
    process = Process(url, tmp_path)
    try:
        for partition in (0, 1):
            eventually(lambda p=partition: len(seqs(conn, topic, p)) >= total, 60)
            assert seqs(conn, topic, partition) == list(range(total))
        assert one(conn, "select count(*) from market.gaps") == 0
    finally:
        process.kill()


@pytest.fixture
def own_server(tmp_path: Path) -> Iterator[Settings]:
    """Start a private server that nobody else uses, with its own home."""
    if os.environ.get("TSDB_TRADER_DATABASE_URL"):
        pytest.skip("needs a private server to stop: unset TSDB_TRADER_DATABASE_URL")
    config = Settings(home=tmp_path / "home")
    embedded.ensure_running(config)
    yield config
    embedded.reset(config)
    embedded.stop(config, immediate=True)


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_kafka_feed_with_server_and_worker_dying_loses_nothing(
    own_server, cluster, topic, tmp_path
) -> None:
    """The server is stopped at once and the worker killed, in turn, while messages come."""
    owner = embedded.database_url(config=own_server)
    schema.migrate(owner)
    with psycopg.connect(owner, autocommit=True) as conn:
        add(conn, cluster, topic)
    url = embedded.database_url("tsdb_worker_feeds", config=own_server)
    process = Process(url, tmp_path)
    total = 0
    try:
        for turn in range(4):
            for _ in range(5):
                cluster.produce(topic, [trade(n) for n in range(total, total + 100)])
                total += 100
            if turn % 2:
                process.kill()
                process = Process(url, tmp_path)
            else:
                embedded.stop(own_server, immediate=True)
                cluster.produce(topic, [trade(n) for n in range(total, total + 100)])
                total += 100
                embedded.ensure_running(own_server)
        with psycopg.connect(owner, autocommit=True) as conn:
            eventually(lambda: len(seqs(conn, topic, 0)) >= total, 120)
            assert seqs(conn, topic, 0) == list(range(total))
            assert one(
                conn,
                "select sum(rows_read), sum(rows_missing) from market.sources where parent_id is null",
            ) == (total, 0)
    finally:
        process.kill()
