"""How many requests a participant may send in a second; pure."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

_WINDOW_S = 1.0


@dataclass
class Throttle:
    """Counts the requests of each FIX session: at most so many per second, None for any number."""

    most: int | None
    _passed: dict[str, deque[float]] = field(default_factory=dict)

    def wait_s(self, fix_session: str, now: float, *, queue: bool) -> float:
        """Return how long a request that comes now has to wait, 0 if it may pass.

        Parameters
        ----------
        now
            Seconds of a clock that does not go back.
        queue
            The request will pass when its time has come, behind those before it; otherwise one
            that has to wait is not counted.
        """
        if self.most is None:
            return 0.0
        passed = self._passed.setdefault(fix_session, deque(maxlen=self.most))
        moment = now
        if len(passed) == self.most:
            moment = max(now, passed[0] + _WINDOW_S)
        if queue or moment <= now:
            passed.append(moment)
        return moment - now
