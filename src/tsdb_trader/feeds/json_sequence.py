"""Sequence numbers that messages carry: gaps, what comes after all, what comes twice."""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from dataclasses import dataclass, field

from tsdb_trader.feeds.base import Gap

_REMEMBERED = 10_000
_OPEN_GAPS = 1_000
_LARGEST = 2**62


def number(value: object) -> int | None:
    """Return a sequence number, None for what cannot be one."""
    text = value if isinstance(value, str) else ""
    if not text.isascii() or not text.isdecimal() or len(text) > 19:
        return None
    found = int(text)
    return found if found < _LARGEST else None


@dataclass
class Sequence:
    """Follows the numbers of one stream.

    Parameters
    ----------
    last
        The last number seen; None before the first.
    replays
        Numbers that start lower after a reconnect are messages sent again; else they mean that
        the source numbers anew.
    """

    last: int | None = None
    replays: bool = False
    restarts: int = 0
    _connected: bool = False
    _began_low: bool = False
    _resumed_at: int = -1
    _open: list[Gap] = field(default_factory=list)
    _seen: OrderedDict[int, bytes] = field(default_factory=OrderedDict)

    def reconnected(self) -> None:
        """Note that the next message is the first of a connection."""
        self._connected = False
        self._resumed_at = -1 if self.last is None else self.last

    def see(self, seq: int, raw: bytes, gaps: list[Gap], filled: list[Gap]) -> str:
        """Return what a message is: new, duplicate, or backwards (an old number, new content).

        Appends to `gaps` and `filled` what it means for them.
        """
        first, self._connected = not self._connected, True
        if first:
            self._began_low = self.last is not None and seq <= self.last
        digest = hashlib.blake2b(raw, digest_size=16).digest()
        if self.last is None or seq == self.last + 1:
            self.last = seq
        elif seq > self.last:
            gaps.append(Gap(self.last + 1, seq - 1))
            self._open = [*self._open, gaps[-1]][-_OPEN_GAPS:]
            self.last = seq
        elif (gap := next((g for g in self._open if g.first <= seq <= g.last), None)) is not None:
            filled.append(Gap(seq, seq))
            self._split(gap, seq)
        elif self._seen.get(seq) == digest or (self.replays and seq <= self._resumed_at):
            return "duplicate"
        elif self._began_low and not self.replays:
            self._began_low = False
            self.last, self._open = seq, []
            self._seen.clear()
            self.restarts += 1
        else:
            return "backwards"
        self._seen[seq] = digest
        if len(self._seen) > _REMEMBERED:
            self._seen.popitem(last=False)
        return "new"

    def _split(self, gap: Gap, seq: int) -> None:
        self._open.remove(gap)
        rest = (Gap(gap.first, seq - 1), Gap(seq + 1, gap.last))
        self._open += [part for part in rest if part.first <= part.last]
