"""What the look-ups of limits and states know of an order, names that exist, and waiting for locks."""

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


def add_names(conn: psycopg.Connection, *known: dict[str, str | None]) -> None:
    """Insert what scopes made of these attributes name."""
    for names in known:
        conn.execute(
            "insert into ops.sessions (session_id, kind, name) values (%(session_id)s, 'paper', 'x') "
            "on conflict do nothing",
            names,
        )
        for statement in (
            "insert into ref.accounts (account) values (%(account)s)",
            "insert into signal.strategies (strategy, description) values (%(strategy)s, 'x')",
            "insert into ref.venues (venue, name, simulated) values (%(venue)s, 'x', true)",
            "insert into ref.instruments (symbol, sector) values (%(symbol)s, %(sector)s)",
        ):
            conn.execute(statement + " on conflict do nothing", names)
        conn.execute(
            "update ref.instruments set sector = %(sector)s where symbol = %(symbol)s", names
        )


def wait_for_lock(conn: psycopg.Connection, waiting: psycopg.Connection) -> None:
    """Return when a connection waits for a lock; the test's timeout is the limit."""
    pid = waiting.info.backend_pid
    statement = "select exists (select from pg_locks where pid = %s and not granted)"
    while conn.execute(statement, (pid,)).fetchone() != (True,):
        threading.Event().wait(0.005)
