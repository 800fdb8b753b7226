"""What operators look at: workers, leases, alerts, jobs."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from psycopg.rows import class_row, scalar_row
from psycopg.types.json import Jsonb

from tsdb_trader.db import Connection


@dataclass(frozen=True)
class Heartbeat:
    """A row of ``ops.heartbeats``; age_s is by the database's clock."""

    worker: str
    kind: str
    pid: int
    host: str
    status: str
    detail: dict[str, Any]
    started_at: datetime
    beat_at: datetime
    age_s: float


def heartbeats(conn: Connection) -> list[Heartbeat]:
    """Return the last heartbeat of every worker."""
    cur = conn.cursor(row_factory=class_row(Heartbeat))
    return cur.execute(
        "select worker, kind, pid, host, status, detail, started_at, beat_at, "
        "extract(epoch from clock_timestamp() - beat_at)::float8 as age_s "
        "from ops.heartbeats order by worker"
    ).fetchall()


def lease_holder(conn: Connection, lease: str) -> tuple[str, int] | None:
    """Return the last owner of a lease and its epoch."""
    row = conn.execute("select owner, epoch from ops.leases where lease = %s", (lease,)).fetchone()
    return (row[0], row[1]) if row else None


def watch_workers(conn: Connection, stale: timedelta) -> int:
    """Raise and resolve alerts on workers that have stopped beating (``ops.watch_workers``)."""
    return int(_one(conn, "select ops.watch_workers(%s)", (stale,)))


def watch_orders(conn: Connection, age: timedelta) -> int:
    """Raise and resolve alerts on stuck orders and open breaks (``ops.watch_orders``)."""
    return int(_one(conn, "select ops.watch_orders(%s)", (age,)))


def open_alerts(conn: Connection) -> list[tuple[str, str, str, datetime]]:
    """Return (kind, severity, message, raised at) of every unresolved alert, oldest first."""
    return conn.execute(
        "select kind, severity, message, raised_at from ops.alerts "
        "where resolved_at is null order by alert_id"
    ).fetchall()


def begin_job(conn: Connection, job: str) -> int:
    """Record that a scheduled job starts (``ops.begin_job``)."""
    return int(_one(conn, "select ops.begin_job(%s)", (job,)))


def end_job(conn: Connection, run_id: int, succeeded: bool, detail: dict[str, Any]) -> None:
    """Record how a scheduled job ended (``ops.end_job``)."""
    conn.execute("select ops.end_job(%s, %s, %s)", (run_id, succeeded, Jsonb(detail)))


def _one(conn: Connection, query: str, parameters: tuple[object, ...]) -> Any:
    return conn.cursor(row_factory=scalar_row).execute(query, parameters).fetchone()
