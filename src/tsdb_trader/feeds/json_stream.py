"""What streams of JSON messages have in common whose senders keep nothing for us."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from tsdb_trader.clock import Clock, SystemClock
from tsdb_trader.feeds.base import Block
from tsdb_trader.feeds.json_mapping import read_json_mapping
from tsdb_trader.feeds.json_rows import JsonRows, Received

CONTENT = "messages"
BLOCK = 10_000
"""Messages of one block at most."""


class JsonStream:
    """One content, whose rows are numbered by us as they come.

    Parameters
    ----------
    heartbeat_s
        The default of how long silence may last; 0: for ever.
    """

    def __init__(
        self,
        configuration: Mapping[str, Any],
        name: str,
        *,
        heartbeat_s: float,
        clock: Clock | None,
    ) -> None:
        mapping = read_json_mapping(configuration.get("mapping"), f"{name} mapping")
        self._heartbeat_s = float(configuration.get("heartbeat_s", heartbeat_s))
        self._max_bytes = int(configuration.get("max_bytes", 1 << 20))
        self._clock: Clock = clock or SystemClock()
        self._rows = JsonRows(mapping, self._clock)
        self.definition, self.vocabulary = mapping.definition, mapping.vocabulary
        self.rules = self._rows.rules
        self._next = 0
        self._heard = 0.0

    @property
    def sequences(self) -> dict[str, int]:
        """The source's own last sequence number, if its messages have one."""
        last = self._rows.sequence.last
        return {} if last is None else {CONTENT: last}

    @sequences.setter
    def sequences(self, last: dict[str, int]) -> None:
        self._rows.sequence.last = last.get(CONTENT)

    def _begin(self, next_rows: Mapping[str, int]) -> None:
        """Number rows on from there."""
        self._rows.rules = self.rules
        self._next = next_rows.get(CONTENT, 0)

    def _connected(self) -> None:
        """Take what is numbered lower from here on for a sender that started anew."""
        self._rows.sequence.reconnected()
        self._heard = self._clock.monotonic()

    def _blocks(self, received: Sequence[Received]) -> Sequence[tuple[str, Block]]:
        """Turn what came into a block.

        Raises
        ------
        ConnectionError
            Nothing came for too long.
        """
        now = self._clock.monotonic()
        if not received:
            if self._heartbeat_s and now - self._heard > self._heartbeat_s:
                raise ConnectionError(f"silent for {self._heartbeat_s:g} s")
            return []
        self._heard = now
        block = self._rows.decode(received, self._next)
        self._next = block.stop
        if block.stop == block.start and not (block.gaps or block.filled or block.duplicates):
            return []
        return [(CONTENT, block)]

    def stored(self) -> None:
        """Nothing to tell the source."""

    def detail(self) -> dict[str, Any]:
        """Return counts of messages."""
        found: dict[str, Any] = {"messages": self._rows.messages, "ignored": self._rows.ignored}
        if self._rows.sequence.last is not None:
            found["sequence"] = self._rows.sequence.last
        if self._rows.sequence.restarts:
            found["sequence_restarts"] = self._rows.sequence.restarts
        return found
