"""The points of a sweep on several connections of this process."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor, as_completed, wait
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from threading import Event
from typing import Any

from tsdb_trader import db
from tsdb_trader.api import sweeps
from tsdb_trader.api.strategies import Classes
from tsdb_trader.api.sweeps import Sweep
from tsdb_trader.backtest.points import run_or_record

_PATIENCE_S = 0.2


@dataclass(frozen=True)
class Connections:
    """Runs points on `count` connections, a thread each."""

    count: int
    classes: Classes

    def run(self, sweep: Sweep, points: Sequence[dict[str, Any]]) -> None:
        """Run points; on any error, or ctrl-c, those that run are rolled back."""
        left: SimpleQueue[dict[str, Any]] = SimpleQueue()
        for point in points:
            left.put(point)
        stop = Event()
        with ThreadPoolExecutor(max(1, min(self.count, len(points)))) as pool:
            futures = [
                pool.submit(self._work, sweep, left, stop)
                for _ in range(min(self.count, len(points)))
            ]
            try:
                for done in as_completed(futures):
                    done.result()
            except BaseException:
                stop.set()
                _end(sweep, futures)
                raise

    def _work(self, sweep: Sweep, left: SimpleQueue[dict[str, Any]], stop: Event) -> None:
        with db.connect(autocommit=True, application_name=sweep.application_name) as conn:
            while not stop.is_set():
                try:
                    point = left.get_nowait()
                except Empty:
                    return
                run_or_record(conn, self.classes, sweep, point)


def _end(sweep: Sweep, futures: Sequence[Future[None]]) -> None:
    with db.connect(autocommit=True, application_name="tsdb-trader backtest") as conn:
        while wait(futures, _PATIENCE_S).not_done:
            sweeps.end_connections(conn, sweep)
