"""A Kafka cluster inside this process: the mock of librdkafka, which confluent-kafka carries."""

from __future__ import annotations

import ctypes
import json
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import confluent_kafka
import pytest

_PRODUCER = 0


def _library() -> ctypes.CDLL:
    folder = Path(confluent_kafka.__file__).parent.with_name("confluent_kafka.libs")
    found = sorted(folder.glob("librdkafka*"))
    if not found:
        pytest.skip("confluent-kafka is not a wheel that carries librdkafka")
    library = ctypes.CDLL(str(found[0]))
    for name in ("rd_kafka_conf_new", "rd_kafka_new", "rd_kafka_mock_cluster_new"):
        getattr(library, name).restype = ctypes.c_void_p
    library.rd_kafka_mock_cluster_bootstraps.restype = ctypes.c_char_p
    return library


class MockCluster:
    """Brokers that live in threads of this process, as long as it does not `close` them."""

    def __init__(self, brokers: int = 1) -> None:
        self._library = _library()
        words = ctypes.create_string_buffer(512)
        conf = ctypes.c_void_p(self._library.rd_kafka_conf_new())
        self._handle = ctypes.c_void_p(
            self._library.rd_kafka_new(_PRODUCER, conf, words, ctypes.c_size_t(512))
        )
        self._cluster = ctypes.c_void_p(
            self._library.rd_kafka_mock_cluster_new(self._handle, brokers)
        )
        self._brokers = range(1, brokers + 1)
        self.servers = str(self._library.rd_kafka_mock_cluster_bootstraps(self._cluster).decode())
        self._producer = confluent_kafka.Producer(
            {"bootstrap.servers": self.servers, "log_level": 2}
        )

    def create(self, topic: str, partitions: int = 1) -> None:
        """Create a topic."""
        assert not self._library.rd_kafka_mock_topic_create(
            self._cluster, topic.encode(), partitions, 1
        )

    def produce(self, topic: str, messages: Sequence[Any], partition: int = 0) -> None:
        """Send messages, objects as JSON, and wait until the brokers have them."""
        failed: list[Any] = []

        def delivered(error: Any, _message: Any) -> None:
            if error is not None:
                failed.append(error)

        for message in messages:
            raw = message if isinstance(message, bytes) else json.dumps(message).encode()
            self._producer.produce(topic, raw, partition=partition, on_delivery=delivered)
        assert self._producer.flush(60) == 0
        assert not failed

    def down(self) -> None:
        """Let every broker vanish: connections end, and new ones are refused."""
        for broker in self._brokers:
            self._library.rd_kafka_mock_broker_set_down(self._cluster, broker)

    def up(self) -> None:
        """Bring the brokers back."""
        for broker in self._brokers:
            self._library.rd_kafka_mock_broker_set_up(self._cluster, broker)

    def close(self) -> None:
        """End the brokers."""
        # Slow where consumers still hold on, and nothing depends on it.
        threading.Thread(target=self._destroy, daemon=True).start()

    def _destroy(self) -> None:
        self._library.rd_kafka_mock_cluster_destroy(self._cluster)
        self._library.rd_kafka_destroy(self._handle)
