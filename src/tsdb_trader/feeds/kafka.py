"""JSON from Kafka: every partition is a content, its offsets are the row numbers.

Configuration (row of ops.feeds)::

    {"servers": "kafka-1:9092,kafka-2:9092",
     "topics": ["trades"],            all partitions of each
     "start": "earliest",             or "latest": where a partition begins that is new to us
     "options": {"security.protocol": "SSL"},   further settings of librdkafka
     "mapping": {...}}                see feeds/json_mapping.py

The resume point is the offset committed in the database with the rows, never one in Kafka: after
any crash reading goes on right behind the last stored message. A message is a row, wholly stored
or quarantined. Offsets that hold no message (compaction, transactions) and messages of no interest
count as missing, and are no gaps; messages that Kafka deleted before they were read are gaps.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from confluent_kafka import (
    OFFSET_BEGINNING,
    Consumer,
    KafkaError,
    KafkaException,
    TopicPartition,
)

from tsdb_trader.clock import Clock, SystemClock
from tsdb_trader.errors import InputError
from tsdb_trader.feeds.base import Block, Gap
from tsdb_trader.feeds.json_mapping import read_json_mapping
from tsdb_trader.feeds.json_rows import JsonRows, Received
from tsdb_trader.feeds.stream_registry import expect

_BLOCK = 10_000
_ASK_S = 10.0
_REFRESH_S = 30.0
# Set by us: with any of them Kafka would decide where reading goes on.
_OURS = {"enable.auto.commit": False, "enable.auto.offset.store": False, "group.id": "tsdb-trader"}
_RESET = {KafkaError.OFFSET_OUT_OF_RANGE, KafkaError._AUTO_OFFSET_RESET}


class KafkaStream:
    """Reads all partitions of some topics."""

    def __init__(self, configuration: Mapping[str, Any], clock: Clock | None = None) -> None:
        expect(
            configuration,
            "kafka",
            servers=str,
            topics=list,
            start=str,
            options=dict,
            mapping=dict,
        )
        self._servers = str(configuration.get("servers", ""))
        self._topics = [str(topic) for topic in configuration.get("topics", [])]
        self._start = configuration.get("start", "earliest")
        self._options = dict(configuration.get("options", {}))
        if not self._servers or not self._topics:
            raise InputError('kafka: give "servers" and "topics"')
        if self._start not in ("earliest", "latest"):
            raise InputError(f"kafka: start {self._start!r} is neither earliest nor latest")
        if wrong := sorted(set(self._options) & {*_OURS, "auto.offset.reset", "bootstrap.servers"}):
            raise InputError(f"kafka: options cannot set {', '.join(wrong)}")
        mapping = read_json_mapping(configuration.get("mapping"), "kafka mapping")
        if mapping.sequence is not None:
            raise InputError("kafka: offsets are the sequence; leave it out of the mapping")
        self._clock: Clock = clock or SystemClock()
        self._rows = JsonRows(mapping, self._clock)
        self.definition, self.vocabulary = mapping.definition, mapping.vocabulary
        self.rules = self._rows.rules
        self._consumer: Consumer | None = None
        self._next: dict[str, int] = {}
        self._fresh = True
        self._partitions: dict[str, TopicPartition] = {}
        self._refresh_at = 0.0
        self._trouble: KafkaError | None = None
        self._broker_errors = 0

    def open(self, next_rows: Mapping[str, int]) -> None:
        """Connect, and read each partition from its next row."""
        self._rows.rules = self.rules
        self._next = dict(next_rows)
        self._fresh = not next_rows
        self._partitions, self._trouble = {}, None
        settings = {
            # Its own log would say every second what error_cb counts and the heartbeat shows.
            "log_level": 2,
            **self._options,
            **_OURS,
            "bootstrap.servers": self._servers,
            # An offset that is gone is told, never jumped over.
            "auto.offset.reset": "error",
            "error_cb": self._note,
        }
        try:
            self._consumer = Consumer(settings)
        except (KafkaException, ValueError, TypeError) as error:
            raise InputError(f"kafka: {_words(error)}") from None
        self._assign(self._consumer)

    def _note(self, error: KafkaError) -> None:
        self._broker_errors += 1
        if error.fatal() or error.code() == KafkaError._ALL_BROKERS_DOWN:
            self._trouble = error

    def _assign(self, consumer: Consumer) -> None:
        """Read every partition there is; partitions added later are found here, too."""
        self._refresh_at = self._clock.monotonic() + _REFRESH_S
        try:
            for topic in self._topics:
                found = consumer.list_topics(topic, timeout=_ASK_S).topics[topic]
                if found.error is not None:
                    raise ConnectionError(f"topic {topic}: {found.error.str()}")
                for number in sorted(found.partitions):
                    content = f"{topic}/{number}"
                    if content not in self._partitions:
                        offset = self._first(consumer, topic, number, content)
                        self._next[content] = offset
                        place = TopicPartition(topic, number, offset)
                        self._partitions[content] = place
                        consumer.incremental_assign([place])
        except KafkaException as error:
            raise ConnectionError(f"no answer from Kafka: {_words(error)}") from None

    def _first(self, consumer: Consumer, topic: str, number: int, content: str) -> int:
        if content in self._next:
            return self._next[content]
        place = TopicPartition(topic, number, OFFSET_BEGINNING)
        low, high = consumer.get_watermark_offsets(place, timeout=_ASK_S)
        # A partition that came later is new to everybody: read from its beginning.
        return int(high if self._start == "latest" and self._fresh else low)

    def read(self, timeout_s: float) -> Sequence[tuple[str, Block]]:
        """Return what came of every partition."""
        consumer = self._consumer
        if consumer is None:
            raise ConnectionError("not connected")
        if self._clock.monotonic() >= self._refresh_at:
            self._assign(consumer)
        try:
            found = consumer.consume(1, timeout_s)
            if found:
                found += consumer.consume(_BLOCK, 0)
        except KafkaException as error:
            raise ConnectionError(_words(error)) from None
        received: dict[str, list[Received]] = {}
        blocks: list[tuple[str, Block]] = []
        for message in found:
            content = f"{message.topic()}/{message.partition()}"
            if (failure := message.error()) is not None:
                blocks.append((content, self._failed(consumer, failure, content)))
                continue
            self._trouble = None
            received.setdefault(content, []).append(
                Received(message.value() or b"", self._rows.now(), message.offset())
            )
        blocks += [(c, self._block(c, messages)) for c, messages in received.items()]
        if self._trouble is not None and not blocks:
            raise ConnectionError(f"Kafka is away: {self._trouble.str()}")
        return blocks

    def _block(self, content: str, messages: list[Received]) -> Block:
        start = self._next[content]
        # A fetch may begin before the offset asked for, inside a compressed batch.
        wanted = [m for m in messages if m.row is not None and m.row >= start]
        stop = max((m.row + 1 for m in wanted if m.row is not None), default=start)
        self._next[content] = stop
        return self._rows.decode(wanted, start, stop)

    def _failed(self, consumer: Consumer, error: KafkaError, content: str) -> Block:
        """Go on behind messages that were deleted unread, and return them as a gap."""
        if error.code() not in _RESET or content not in self._partitions:
            raise ConnectionError(f"{content}: {error.str()}")
        place = self._partitions[content]
        low, high = consumer.get_watermark_offsets(place, timeout=_ASK_S)
        start = self._next[content]
        if not start < low:
            raise InputError(
                f"kafka: {content} ends at {high} and {start} is stored: the topic was made anew; "
                "add a feed of another name for it"
            )
        self._next[content] = low
        place.offset = low
        consumer.incremental_unassign([place])
        consumer.incremental_assign([place])
        return Block(start, low, gaps=[Gap(start, low - 1)], missing=low - start)

    def stored(self) -> None:
        """Nothing to tell Kafka: the offsets are in the database."""

    def close(self) -> None:
        """Disconnect."""
        consumer, self._consumer = self._consumer, None
        if consumer is not None:
            consumer.close()

    def detail(self) -> dict[str, Any]:
        """Return counts of messages and of what brokers complained about."""
        return {
            "messages": self._rows.messages,
            "ignored": self._rows.ignored,
            "partitions": len(self._partitions),
            "broker_errors": self._broker_errors,
        }


def _words(error: Exception) -> str:
    found = error.args[0] if error.args else error
    text = found.str() if isinstance(found, KafkaError) else str(found)
    return (text or type(error).__name__).splitlines()[0][:200]
