"""Turns JSON messages into blocks, as a mapping says: columns at a time, exactly, nothing guessed.

Streams whose rows we number (WebSocket, ZeroMQ) have a row for everything a message says; where
the source numbers messages (Kafka's offsets), a message is a row, and wholly good or rejected.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import numpy as np

from tsdb_trader.clock import Clock, SystemClock
from tsdb_trader.feeds import json_groups
from tsdb_trader.feeds.base import EPOCH, Block, Gap, Rejected, Rules, as_text
from tsdb_trader.feeds.json_groups import Group
from tsdb_trader.feeds.json_mapping import JsonMapping
from tsdb_trader.feeds.json_parse import UnusableError, parse
from tsdb_trader.feeds.json_sequence import Sequence as Numbers
from tsdb_trader.feeds.json_sequence import number


@dataclass(frozen=True)
class Received:
    """A message as received.

    Attributes
    ----------
    recv_ts
        When, in microseconds since `EPOCH`.
    row
        Its row, if it has one of its own.
    sequence
        Its sequence number, if that stands beside it.
    unusable
        Why it cannot be used, if that is known already.
    """

    raw: bytes
    recv_ts: int
    row: int | None = None
    sequence: int | None = None
    unusable: str | None = None


@dataclass
class _Found:
    """What messages turned out to be, before their values are looked at."""

    start: int
    next_row: int
    groups: dict[int, Group]
    rejected: list[Rejected] = field(default_factory=list)
    gaps: list[Gap] = field(default_factory=list)
    filled: list[Gap] = field(default_factory=list)
    duplicates: int = 0
    raws: dict[int, bytes] = field(default_factory=dict)


class JsonRows:
    """Decodes the messages of one stream.

    Attributes
    ----------
    messages, ignored
        How many came, and how many of them are of no interest (`ignore`, or an empty list).
    sequence
        What the numbers of the messages say, if they have any.
    """

    def __init__(self, mapping: JsonMapping, clock: Clock | None = None) -> None:
        self._mapping = mapping
        self._clock: Clock = clock or SystemClock()
        self._judges = [json_groups.Judge(rule, mapping.definition) for rule in mapping.rules]
        self.rules = Rules()
        self.sequence = Numbers(replays=mapping.replays)
        self.messages = self.ignored = 0

    def now(self) -> int:
        """Return the time, for `Received.recv_ts`."""
        return (self._clock.now() - EPOCH) // timedelta(microseconds=1)

    def decode(self, received: Sequence[Received], start: int, stop: int | None = None) -> Block:
        """Decode messages, in order.

        Parameters
        ----------
        start
            The block's first row.
        stop
            Where the block ends if messages have rows of their own: rows without one are missing.
        """
        found = _Found(start, start, {n: Group() for n in range(len(self._judges))})
        for message in received:
            self.messages += 1
            self._sort(message, found)
        shared = stop is not None
        ticks, messages = self._judge(found, shared)
        end = found.next_row if stop is None else stop
        rows = {r.position for r in found.rejected}
        for one in ticks:
            rows |= set(one.seq.tolist())
        rows |= {message.seq for message in messages}
        return Block(
            start,
            end,
            ticks,
            messages,
            sorted(found.rejected, key=lambda row: row.position),
            gaps=found.gaps,
            filled=found.filled,
            missing=end - start - len(rows),
            duplicates=found.duplicates,
        )

    def _sort(self, message: Received, found: _Found) -> None:
        """Find out what a message is, and put its rows where they belong."""
        try:
            if message.unusable is not None:
                raise UnusableError(message.unusable)
            content = parse(message.raw)
            state = self._number(content, message, found)
        except UnusableError as error:
            self._reject(message, str(error), found)
            return
        if state == "duplicate":
            found.duplicates += 1
            return
        if state == "backwards":
            self._reject(message, "sequence_backwards", found)
            return
        if any(where.fits(content) for where in self._mapping.ignore):
            self.ignored += 1
            return
        known = False
        rows = 0
        for n, rule in enumerate(self._mapping.rules):
            if not rule.where.fits(content):
                continue
            known = True
            items = [content] if rule.each is None else rule.each.of(content, content)
            if not isinstance(items, list):
                self._reject(message, "malformed", found)
                return
            for item in items:
                row = self._row(message, found)
                found.groups[n].add(row, item, content, message.recv_ts)
            rows += len(items)
        if not known:
            self._reject(message, "unknown_type", found)
        elif not rows:
            self.ignored += 1

    def _number(self, content: Any, message: Received, found: _Found) -> str:
        path, seq = self._mapping.sequence, message.sequence
        if seq is not None:
            return self.sequence.see(seq, message.raw, found.gaps, found.filled)
        value = None if path is None else path.of(content, content)
        if value is None:
            return "new"
        seq = number(value)
        if seq is None:
            raise UnusableError("bad_sequence")
        return self.sequence.see(seq, message.raw, found.gaps, found.filled)

    def _row(self, message: Received, found: _Found) -> int:
        """Return the number of a row that this message gives."""
        row = message.row
        if row is None:
            row = found.next_row
            found.next_row += 1
        found.raws[row] = message.raw
        return row

    def _reject(self, message: Received, reason: str, found: _Found) -> None:
        found.rejected.append(Rejected(self._row(message, found), reason, as_text(message.raw)))

    def _judge(self, found: _Found, shared: bool) -> tuple[list[Any], list[Any]]:
        judged = [
            (judge, judge.judge(found.groups[n], self.rules, self._clock))
            for n, judge in enumerate(self._judges)
            if len(found.groups[n])
        ]
        bad: dict[int, str] = {row.position: row.reason for row in found.rejected}
        whole = dict(bad)
        for _, rows in judged:
            for row, reason in rows.rejected():
                whole.setdefault(row, reason)
            if shared:
                for row in rows.tied():
                    whole.setdefault(row, "tied_rows")
        found.rejected += [
            Rejected(row, reason, as_text(found.raws[row]))
            for row, reason in whole.items()
            if row not in bad
        ]
        gone = np.array(sorted(whole), dtype=np.int64)
        ticks, messages = [], []
        for judge, rows in judged:
            # Of a message that is a row, nothing is stored if anything is wrong.
            rows.leave_out(gone)
            if judge.rule.mapping is not None:
                if len(one := judge.ticks(rows)):
                    ticks.append(one)
            else:
                messages += judge.messages(rows)
        return ticks, messages
