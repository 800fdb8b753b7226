"""FIX sessions of the gateway: their rows, and what they compare with the venue."""

from __future__ import annotations

from dataclasses import dataclass, fields
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

from psycopg.rows import class_row, scalar_row
from psycopg.types.json import Jsonb

from tsdb_trader.db import Connection, translated


@dataclass(frozen=True)
class FixSession:
    """A row of ``oms.fix_sessions``, whose comments say what the columns mean."""

    fix_session: str
    venue: str
    kind: str
    version: str
    host: str | None
    port: int | None
    sender: str
    target: str
    heartbeat_s: int = 10
    throttle_per_s: int | None = None
    queue_alert_s: float = 30.0
    stale_s: float | None = None
    silence_s: float | None = None
    cancel_on_disconnect: bool = False
    has_mass_status: bool = True
    has_mass_cancel: bool = True
    has_trade_capture: bool = True
    mass_status_every_s: int | None = None
    trades_every_s: int | None = None
    status: str = "active"


@dataclass(frozen=True, slots=True)
class WorkingOrder:
    """What it takes to cancel an order without asking the database."""

    cl_ord_id: str
    venue_order_id: str | None
    session_id: UUID
    account: str
    symbol: str
    side: str
    quantity: Decimal
    as_of: datetime


_COLUMNS = ", ".join(
    f"{'v' if f.name == 'venue' else 's'}.{f.name}"
    + ("::float8" if f.name in ("queue_alert_s", "stale_s", "silence_s") else "")
    for f in fields(FixSession)
)
_SESSIONS = f"select {_COLUMNS} from oms.fix_sessions s join ref.venues v using (venue_id)"  # noqa: S608 - names of our own fields


def list_sessions(conn: Connection) -> list[FixSession]:
    """Return every session, those of the oldest venue first."""
    cur = conn.cursor(row_factory=class_row(FixSession))
    return cur.execute(f"{_SESSIONS} order by s.venue_id, s.fix_session").fetchall()


def add_session(conn: Connection, fix_session: str, venue: str, settings: dict[str, Any]) -> None:
    """Register a session; idempotent with the same settings. Errors: ``oms.add_fix_session``."""
    with translated():
        conn.execute(
            "select oms.add_fix_session(%s, %s, %s)", (fix_session, venue, Jsonb(settings))
        )


def configure_session(conn: Connection, fix_session: str, changes: dict[str, Any]) -> None:
    """Change settings of a session. Errors: ``oms.configure_fix_session``."""
    with translated():
        conn.execute("select oms.configure_fix_session(%s, %s)", (fix_session, Jsonb(changes)))


def refuse_action(conn: Connection, action_id: int, reason: str) -> str:
    """Take back an action that never left; return its order's status."""
    with translated():
        cur = conn.cursor(row_factory=scalar_row)
        status = cur.execute("select oms.refuse_action(%s, %s)", (action_id, reason)).fetchone()
    return str(status)


def queued_actions(conn: Connection, venue: str) -> tuple[int, float]:
    """Return how many actions wait for a venue, and the seconds the oldest has waited."""
    row = conn.execute("select * from oms.queued_actions(%s)", (venue,)).fetchone()
    return (int(row[0]), float(row[1])) if row else (0, 0.0)


def stale_actions(conn: Connection, venue: str, age_s: float) -> list[int]:
    """Return the orders and replaces that have waited too long to be sent."""
    cur = conn.cursor(row_factory=scalar_row)
    age = timedelta(seconds=age_s)
    return cur.execute("select oms.stale_actions(%s, %s)", (venue, age)).fetchall()


def database_time(conn: Connection) -> datetime:
    """Return the time by the database's clock."""
    cur = conn.cursor(row_factory=scalar_row)
    found = cur.execute("select clock_timestamp()").fetchone()
    assert isinstance(found, datetime)  # noqa: S101 - one row, one value
    return found


def working_orders(conn: Connection, venue: str) -> list[WorkingOrder]:
    """Return what the venue may be working for us, for the dead-man's switch."""
    cur = conn.cursor(row_factory=class_row(WorkingOrder))
    return cur.execute("select * from oms.working_orders(%s)", (venue,)).fetchall()


def trade_dates(conn: Connection, venue: str, since: datetime) -> list[date]:
    """Return the days on which the venue may have traded for us since a time, newest first."""
    cur = conn.cursor(row_factory=scalar_row)
    return cur.execute("select oms.trade_dates(%s, %s)", (venue, since)).fetchall()
