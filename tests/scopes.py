"""What the look-ups of limits and states know of an order, and waiting for locks."""

from __future__ import annotations

import threading
import uuid

import psycopg

KEYS = ("session_id", "account", "strategy", "symbol", "venue", "sector")


def request(**changes: str | None) -> dict[str, str | None]:
    """Return the attributes of an order that scopes are matched with."""
    known: dict[str, str | None] = {
        "session_id": str(uuid.UUID(int=1)),
        "account": "main",
        "strategy": "manual",
        "symbol": "IBM",
        "venue": "SIM",
        "sector": "tech",
    }
    return known | changes


def wait_for_lock(conn: psycopg.Connection, waiting: psycopg.Connection) -> None:
    """Return when a connection waits for a lock; the test's timeout is the limit."""
    pid = waiting.info.backend_pid
    statement = "select exists (select from pg_locks where pid = %s and not granted)"
    while conn.execute(statement, (pid,)).fetchone() != (True,):
        threading.Event().wait(0.005)
