"""Heartbeats, leases, alerts and the checks that no foreign key makes."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from psycopg.types.json import Jsonb

from tsdb_trader.db import Connection


def beat(
    conn: Connection,
    worker: str,
    kind: str,
    pid: int,
    host: str,
    status: str,
    detail: dict[str, Any],
    started_at: datetime,
) -> None:
    """Record that a worker is alive, and what it is doing (``ops.beat``)."""
    conn.execute(
        "select ops.beat(%s, %s, %s, %s, %s, %s, %s)",
        (worker, kind, pid, host, status, Jsonb(detail), started_at),
    )


def acquire_lease(conn: Connection, lease: str, owner: str, ttl: timedelta) -> int | None:
    """Take a lease and return its epoch; None while another owner holds it."""
    row = conn.execute("select ops.acquire_lease(%s, %s, %s)", (lease, owner, ttl)).fetchone()
    return row[0] if row else None


def renew_lease(conn: Connection, lease: str, owner: str, epoch: int, ttl: timedelta) -> bool:
    """Extend a lease; False means it is lost: stop at once."""
    row = conn.execute(
        "select ops.renew_lease(%s, %s, %s, %s)", (lease, owner, epoch, ttl)
    ).fetchone()
    return bool(row and row[0])


def release_lease(conn: Connection, lease: str, owner: str, epoch: int) -> None:
    """Let a lease expire now."""
    conn.execute("select ops.release_lease(%s, %s, %s)", (lease, owner, epoch))


def raise_alert(
    conn: Connection, kind: str, severity: str, message: str, detail: dict[str, Any] | None = None
) -> int | None:
    """Raise an alert; None when the same one is open already."""
    row = conn.execute(
        "select ops.raise_alert(%s, %s, %s, %s)", (kind, severity, message, Jsonb(detail or {}))
    ).fetchone()
    return row[0] if row else None


def check_orphans(conn: Connection) -> dict[str, int]:
    """Return how many rows of each kind lack their parent; empty when all is well."""
    return dict(conn.execute("select kind, orphans from ops.check_orphans()").fetchall())
