"""Finds the messages in length-prefixed bytes without looking at them one by one.

Each message follows its length in two bytes, so where one starts depends on all before it. But
the first byte of a message fixes its length: places where a length and a type agree are found
in bulk, and where each of them ends at the next one, the chain is right. Only where it does not
(a damaged message, or bytes that look like one inside another) it is followed step by step.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tsdb_trader.feeds.base import Integers
from tsdb_trader.feeds.itch_layouts import DAY_NS, HEADER_BYTES, LENGTHS, TIME_FIRST

PREFIX = 2
LONGEST = int(LENGTHS.max())
_STEP = 1000
# The length that a first byte asks for.
_NOT_ASKED = 255
_ASKED = bytes(int(length) if length > 0 else _NOT_ASKED for length in LENGTHS)


@dataclass(frozen=True)
class Frames:
    """Messages in some bytes: message i is ``data[starts[i] : starts[i] + sizes[i]]``."""

    data: bytes
    starts: Integers
    sizes: Integers

    def __len__(self) -> int:
        return len(self.starts)

    def message(self, number: int) -> bytes:
        """Return the bytes of a message."""
        start = int(self.starts[number])
        return self.data[start : start + int(self.sizes[number])]

    def part(self, rows: slice) -> Frames:
        """Return some of the messages."""
        return Frames(self.data, self.starts[rows], self.sizes[rows])

    def next_time(self, first: int) -> int | None:
        """Return the time of the first right message from one on, None if there is none."""
        for start in range(first, len(self), _STEP):
            part = self.part(slice(start, start + _STEP))
            found = part._right()
            if len(found):
                return int(part._times(found[:1])[0])
        return None

    def last_right(self) -> int | None:
        """Return the last right message, None if there is none."""
        for stop in range(len(self), 0, -_STEP):
            start = max(stop - _STEP, 0)
            found = self.part(slice(start, stop))._right()
            if len(found):
                return start + int(found[-1])
        return None

    def _right(self) -> Integers:
        """Return the messages that have the length of their type, and a time within the day."""
        data = np.frombuffer(self.data, dtype=np.uint8)
        found = np.flatnonzero(self.sizes > 0)
        found = found[self.sizes[found] == LENGTHS[data[self.starts[found]]]]
        right: Integers = found[self._times(found) < DAY_NS]
        return right

    def _times(self, rows: Integers) -> Integers:
        """Return the times (ns) of some messages; see `itch_layouts` for where they stand."""
        data = np.frombuffer(self.data, dtype=np.uint8)
        octets = data[self.starts[rows, None] + np.arange(TIME_FIRST, HEADER_BYTES)]
        weights = 256 ** np.arange(HEADER_BYTES - TIME_FIRST)[::-1]
        times: Integers = octets.astype(np.int64) @ weights
        return times

    @staticmethod
    def of(messages: Sequence[bytes]) -> Frames:
        """Return frames of messages that came one by one."""
        sizes = np.array([len(message) for message in messages], dtype=np.int64)
        return Frames(b"".join(messages), np.cumsum(sizes) - sizes, sizes)


def split(data: bytes) -> tuple[Frames, int]:
    """Find the messages, right ones and wrong ones, and where the last complete one ends."""
    starts, ends = _agreeing(data)
    # The last of each run of messages that follow each other; the next one asked for is on top.
    lasts = np.flatnonzero(ends[:-1] != starts[1:]).tolist()[::-1]
    if len(starts):
        lasts.insert(0, len(starts) - 1)
    right: list[Integers] = []
    wrong: list[int] = []
    place = candidate = 0
    while True:
        while candidate < len(starts) and starts[candidate] < place:
            candidate += 1
        if candidate < len(starts) and starts[candidate] == place:
            while lasts[-1] < candidate:
                lasts.pop()
            right.append(starts[candidate : lasts[-1] + 1])
            place = int(ends[lasts[-1]])
            candidate = lasts.pop() + 1
            continue
        end = place + PREFIX + int.from_bytes(data[place : place + PREFIX], "big")
        if place + PREFIX > len(data) or end > len(data):
            break
        wrong.append(place)
        place = end
    return _frames(data, right, wrong), place


def _agreeing(data: bytes) -> tuple[Integers, Integers]:
    """Return where a length and a type agree and the message is complete, and where it ends."""
    view = np.frombuffer(data, dtype=np.uint8)
    asked = np.frombuffer(data.translate(_ASKED), dtype=np.uint8)
    agree = (view[:-2] == 0) & (view[1:-1] == asked[2:]) & (asked[2:] != _NOT_ASKED)
    starts: Integers = np.flatnonzero(agree).astype(np.int64)
    ends = starts + PREFIX + view[starts + 1]
    if len(starts) and ends[-LONGEST:].max() > len(data):
        complete = ends <= len(data)
        starts, ends = starts[complete], ends[complete]
    return starts, ends


def _frames(data: bytes, right: Sequence[Integers], wrong: Sequence[int]) -> Frames:
    places = np.concatenate([*right, np.array(wrong, dtype=np.int64)])
    if wrong:
        places.sort()
    view = np.frombuffer(data, dtype=np.uint8)
    sizes = view[places].astype(np.int64) << 8 | view[places + 1]
    return Frames(data, places + PREFIX, sizes)
