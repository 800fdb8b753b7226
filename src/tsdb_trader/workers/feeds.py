"""The feeds worker: runs every active stream of ops.feeds, each in a thread of its own.

Any number of such workers may run: a lease per feed decides who reads it. Rows of ops.feeds that
change take effect at once; a thread that ends is started again.
"""

from __future__ import annotations

import random
from typing import Any

from tsdb_trader import logs
from tsdb_trader.api import feeds
from tsdb_trader.clock import Clock, SystemClock
from tsdb_trader.db import Connection
from tsdb_trader.feeds.stream_registry import make_stream
from tsdb_trader.workers.feeds_run import FeedRun, Make

_log = logs.get("feeds")
_END_S = 10.0


class FeedsWorker:
    """Starts, restarts and stops the threads of feeds.

    Parameters
    ----------
    url
        The database, for the connection that each thread has.
    owner
        Who holds the leases, by default this process.
    make
        Makes streams from format and configuration.
    """

    kind = "feeds"
    channels = ("ops_feeds",)
    poll_s = 1.0

    def __init__(
        self,
        url: str,
        *,
        clock: Clock | None = None,
        rng: random.Random | None = None,
        owner: str | None = None,
        make: Make = make_stream,
    ) -> None:
        self._url = url
        self._clock: Clock = clock or SystemClock()
        self._rng = rng or random.Random()  # noqa: S311 - spreads retries, no secret
        self._owner = owner
        self._make = make
        self.runs: dict[str, FeedRun] = {}

    def start(self, conn: Connection) -> None:
        """Nothing to prepare: resume points stand in the database."""

    def step(self, conn: Connection) -> bool:
        """Bring the threads in line with the rows of ops.feeds."""
        wanted = {feed.feed: feed for feed in feeds.active_streams(conn)}
        for name, run in list(self.runs.items()):
            if wanted.get(name) != run.feed:
                run.stop()
            if not run.alive:
                del self.runs[name]
        # A feed that changed starts when its old thread has ended; the poll looks again.
        for name in wanted.keys() - self.runs.keys():
            run = FeedRun(
                wanted[name],
                self._url,
                self._clock,
                rng=self._rng,
                owner=self._owner,
                make=self._make,
            )
            self.runs[name] = run
            run.start()
            _log.info("feed started", feed=name, format=wanted[name].format)
        self.poll_s = 0.1 if any(wanted.get(n) != r.feed for n, r in self.runs.items()) else 1.0
        return False

    def stop(self) -> None:
        """Stop every thread; each stores what it has."""
        for run in self.runs.values():
            run.stop()
        deadline = self._clock.monotonic() + _END_S
        for run in self.runs.values():
            run.join(max(0.0, deadline - self._clock.monotonic()))

    def detail(self) -> dict[str, Any]:
        """Return how many feeds run, and those that do not with their state."""
        states = {name: run.state for name, run in self.runs.items()}
        return {
            "feeds": len(states),
            "not_running": {n: s for n, s in states.items() if s != "running"},
        }
