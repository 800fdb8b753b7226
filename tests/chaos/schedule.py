"""Which faults come when: drawn from a seed, so that a run can be repeated."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from typing import Any

PROCESSES = ("gateway-1", "gateway-2", "venue", "signals", "risk", "scheduler", "load")
LINES = ("fix", "gateway-db", "venue-db", "workers-db", "load-db")
CLOCKS = ("gateway-1", "gateway-2", "venue", "signals", "risk", "scheduler")
VENUES = ("SIM", "SIMPR", "SIMDARK")
VENUE_FAULTS = (
    "delay_ack", "duplicate", "reorder", "cancel", "bust", "gap", "logout", "silence", "drop",
)  # fmt: skip
_OFTEN = (
    "kill", "kill", "kill_server", "pause", "pause_server", "reset", "cut", "half_open", "delay",
    "venue", "venue", "venue", "disk_full", "clock", "kill_backend",
)  # fmt: skip
# Every round of so many faults has each of these once, in random order.
ROUND = (*_OFTEN, *_OFTEN, "lost_state")
# Longer than heartbeats, the dead-man's switch and leases.
_LONG_S = (4.0, 7.0, 12.0)
_JUMPS_S = (-3600, -300, -5, 5, 300, 3600)


@dataclass(frozen=True)
class Fault:
    """One fault: what, to whom, for how long, and how long to wait before it."""

    kind: str
    target: str
    seconds: float
    wait_s: float
    more: dict[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        more = "".join(f" {k}={v}" for k, v in self.more.items())
        return f"+{self.wait_s:.2f} s {self.kind} {self.target} {self.seconds:.2f} s{more}"


def draw(seed: int, count: int, *, brisk: bool = False) -> list[Fault]:
    """Return the faults of a run.

    Parameters
    ----------
    brisk
        No fault lasts long, and none needs a person: for the short form.
    """
    rng = random.Random(seed)
    kinds: list[str] = []
    while len(kinds) < count:
        one = list(_OFTEN if brisk else ROUND)
        rng.shuffle(one)
        kinds += one
    return [_draw(rng, kind, brisk=brisk) for kind in kinds[:count]]


def _draw(rng: random.Random, kind: str, *, brisk: bool) -> Fault:
    more: dict[str, Any] = {}
    target = "server"
    seconds = rng.uniform(0.2, 1.5)
    if rng.random() < 0.2 and not brisk:
        seconds = rng.choice(_LONG_S)
    match kind:
        case "kill" | "pause":
            target = rng.choice(PROCESSES)
        case "reset" | "cut" | "half_open" | "delay":
            target = rng.choice(LINES)
            if kind == "delay":
                more["milliseconds"] = rng.choice((5, 50, 400))
        case "venue" | "lost_state":
            target = rng.choice(VENUES)
            if kind == "venue":
                more["fault"] = rng.choice(VENUE_FAULTS)
        case "disk_full":
            target = "gateway store"
        case "clock":
            target = rng.choice(CLOCKS)
            more["jump_s"] = rng.choice(_JUMPS_S)
    if kind.startswith("kill"):
        seconds = 0.0
    return Fault(kind, target, seconds, rng.uniform(0.1, 1.0 if brisk else 3.0), more)
