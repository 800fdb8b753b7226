"""The pairs strategy as a program that steps one pair at a time, as an event-driven engine calls it.

Written from the header of `signal.step_pairs`, not from its code, with the standard library alone: the
interpreter of another engine runs it too. Times are microseconds, a mid of None is a leg without news.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Trade:
    """An order as every engine can tell it: who decided what and when, and what it got."""

    pair: int
    leg: int
    decided_us: int
    event: str
    quantity: int
    price: float = math.nan

    @property
    def decision(self) -> tuple[int, int, int, str, int]:
        """Return what must be equal between engines: all but the price."""
        return self.decided_us, self.pair, self.leg, self.event, self.quantity


class Pair:
    """State of a pair; `held` are the targets of both legs."""

    def __init__(self, parameters: Mapping[str, float | None]) -> None:
        self.limits = dict(parameters)
        self.now = self.warm_since = None
        self.mids: list[float | None] = [None, None]
        self.seen: list[int | None] = [None, None]
        self.spread = self.mean = self.z_score = None
        self.target = self.stopped = 0
        self.held = (0, 0)

    def step(self, now: int, mid_a: float | None, mid_b: float | None) -> str | None:
        """Take the news of a time; the event, if there is one."""
        if not self._measure(now, (mid_a, mid_b)):
            return None
        z, limits = self.z_score, self.limits
        if self.target:
            away = -self.target * z
            if away > limits["exit"] and away < limits["stop"]:
                return None
            event = "stop" if away >= limits["stop"] else "exit"
            self.stopped = -self.target if event == "stop" else 0
            self.target, self.held = 0, (0, 0)
            return event
        if self.stopped:
            if self.stopped * z <= limits["exit"]:
                self.stopped = 0
        elif abs(z) >= limits["stop"]:
            self.stopped = 1 if z > 0 else -1
        elif abs(z) >= limits["entry"]:
            return self._enter(-1 if z > 0 else 1)
        return None

    def _measure(self, now: int, mids: tuple[float | None, float | None]) -> bool:
        """Bring the spread and its mean up to date; whether anything may be traded."""
        before, last, limits = self.spread, self.now, self.limits
        oldest = min((at for at in self.seen if at is not None), default=now)
        self.now = now
        for leg, mid in enumerate(mids):
            if mid is not None:
                self.mids[leg], self.seen[leg] = mid, now
        a, b = self.mids
        if a is None or b is None:
            return False
        self.spread = math.log(a) - limits["hedge_ratio"] * math.log(b)
        if before is None:
            self.mean = limits["mean"]
            far = limits["entry"] * limits["deviation"]
            restart = self.mean is None or abs(self.spread - self.mean) >= far
        else:
            restart = (now - oldest) / 1e6 > limits["max_gap_s"]
        if restart:
            self.mean, self.warm_since = self.spread, now
        elif before is not None:
            halvings = min((now - last) / 1e6 / limits["half_life_s"], 1000)
            self.mean += (before - self.mean) * (1 - math.pow(2, -halvings))
        self.z_score = (self.spread - self.mean) / limits["deviation"]
        if self.warm_since is not None:
            if (now - self.warm_since) / 1e6 < limits["warm_up_s"]:
                return False
            self.warm_since = None
        return True

    def _enter(self, side: int) -> str | None:
        notional = self.limits["notional"]
        held = (
            side * math.trunc(notional / self.mids[0]),
            -side * math.trunc(notional * self.limits["hedge_ratio"] / self.mids[1]),
        )
        if not all(held):
            return None
        self.target, self.held = side, held
        return "enter_long" if side > 0 else "enter_short"


def compare(ours: list[Trade], theirs: list[Trade]) -> tuple[list[Trade], list[Trade]]:
    """Return the decisions that only the first made, and those that only the second made."""
    known, other = {t.decision for t in ours}, {t.decision for t in theirs}
    if len(known) != len(ours) or len(other) != len(theirs):
        raise ValueError("one decision has two orders")
    return (
        sorted((t for t in ours if t.decision not in other), key=lambda t: t.decision),
        sorted((t for t in theirs if t.decision not in known), key=lambda t: t.decision),
    )
