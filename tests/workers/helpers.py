"""Workers and processes for the tests of the loop."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

from tsdb_trader.db import Connection


def eventually(condition: Callable[[], Any], timeout: float = 30.0) -> None:
    """Return when the condition holds; fail when it does not come true."""
    deadline = time.monotonic() + timeout
    pause = threading.Event()
    while not condition():
        assert time.monotonic() < deadline, "the condition did not come true"
        pause.wait(0.02)


class Probe:
    """A worker that counts its steps and runs a function in each."""

    kind = "probe"

    def __init__(
        self,
        name: str = "probe",
        channels: tuple[str, ...] = ("market_batches",),
        poll_s: float = 60.0,
        step: Callable[[Connection], bool] = lambda conn: False,
    ) -> None:
        self.name = name
        self.channels = channels
        self.poll_s = poll_s
        self.steps = 0
        self.started = 0
        self.stopped = threading.Event()
        self._step = step

    def start(self, conn: Connection) -> None:
        """Count."""
        self.started += 1

    def step(self, conn: Connection) -> bool:
        """Count and run the function."""
        again = self._step(conn)
        self.steps += 1
        return again

    def stop(self) -> None:
        """Note it."""
        self.stopped.set()

    def detail(self) -> dict[str, Any]:
        """Return the count."""
        return {"steps": self.steps}


class LeasedProbe(Probe):
    """A probe that only one process may be."""

    lease = "probe"
