"""What a person is told about a feed, and when what failed is due again."""

from __future__ import annotations

import os
from dataclasses import dataclass

from tsdb_trader.api import ops
from tsdb_trader.api.feeds import Feed
from tsdb_trader.db import Connection

OFFLINE_S = 30.0
"""A source that cannot be reached for so long is worth an alert."""


@dataclass
class Retry:
    """When something that failed is due again, by a monotonic clock."""

    at: float = 0.0
    failures: int = 0

    def put_off(self, now: float, delay: float) -> float:
        """Note a failure; return the delay as the log shows it."""
        self.failures += 1
        self.at = now + delay
        return round(delay, 3)


def raise_alert(conn: Connection, feed: Feed, kind: str, error: str) -> None:
    """Raise an alert about a feed: offline, failed, or for anything unforeseen error."""
    detail = {"feed": feed.feed, "format": feed.format, "pid": os.getpid()}
    if kind == "offline":
        text = f"feed {feed.feed} has not reached its source for {OFFLINE_S:.0f} s: {error}"
        ops.raise_alert(conn, "feed_offline", "critical", text, detail)
    elif kind == "failed":
        text = f"feed {feed.feed} cannot run: {error}"
        ops.raise_alert(conn, "feed_failed", "critical", text, detail)
    else:
        text = f"feed {feed.feed} met something unforeseen: {error}"
        ops.raise_alert(conn, "feed_error", "critical", text, detail)


def one_line(error: Exception) -> str:
    """Return the first line of what an error says."""
    return (str(error).strip() or type(error).__name__).splitlines()[0][:500]
