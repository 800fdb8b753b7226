"""How fast messages may leave. Pure: the clock is passed in."""

from __future__ import annotations

import threading
from collections import deque

from tsdb_trader.clock import Clock

_WINDOW_S = 1.0
# The venue counts at its end of the line, where messages can arrive closer together than they left.
_MARGIN_S = 0.005
_UNLIMITED = 1_000_000


class Throttle:
    """At most `per_s` messages in any second, whenever that second begins; None is no limit.

    A bucket of tokens would let twice as many go around the moment it is full; this remembers when
    each of the last messages left instead.
    """

    def __init__(self, per_s: int | None, clock: Clock) -> None:
        self._per_s = per_s
        self._clock = clock
        self._left: deque[float] = deque(maxlen=per_s)
        self._lock = threading.Lock()

    def room(self) -> int:
        """Return how many messages may leave now."""
        if self._per_s is None:
            return _UNLIMITED
        oldest = self._clock.monotonic() - _WINDOW_S - _MARGIN_S
        with self._lock:
            return self._per_s - sum(1 for at in self._left if at > oldest)

    def wait_s(self) -> float:
        """Return the seconds until the next message may leave, 0 when one may now."""
        with self._lock:
            if self._per_s is None or len(self._left) < self._per_s:
                return 0.0
            return max(0.0, self._left[0] + _WINDOW_S + _MARGIN_S - self._clock.monotonic())

    def note(self) -> None:
        """Note that a message leaves now."""
        with self._lock:
            self._left.append(self._clock.monotonic())
