"""What persons decide about risk: limits, trading states, the kill switch, strategies."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from uuid import UUID

from psycopg.rows import class_row
from psycopg.types.json import Jsonb

from tsdb_trader.api.oms import Submitted
from tsdb_trader.db import Connection

Scope = dict[str, str]
"""Any of session_id, account, strategy, symbol, venue, sector; all have to match."""


@dataclass(frozen=True)
class State:
    """A trading state that is or was in force; until and what follows are None while it is."""

    halt_id: int
    scope: Scope
    state: str
    reason: str
    set_by: str
    since: datetime
    until: datetime | None
    ended_by: str | None
    end_reason: str | None


@dataclass(frozen=True)
class Limit:
    """A limit as it stands; None as a time is without end."""

    limit_id: int
    control: str
    scope: Scope
    value: Decimal
    unit: str
    period: timedelta | None
    valid_from: datetime | None
    valid_to: datetime | None
    set_by: str
    reason: str


def kill(
    conn: Connection, scope: Scope, reason: str, request_id: UUID, as_of: datetime | None
) -> list[Submitted]:
    """Halt a scope and cancel its orders at once; return the orders found."""
    cur = conn.cursor(row_factory=class_row(Submitted))
    return cur.execute(
        "select * from oms.kill(%s, %s, %s, %s)", (Jsonb(scope), reason, request_id, as_of)
    ).fetchall()


def set_state(conn: Connection, scope: Scope, state: str, reason: str) -> int | None:
    """Make a scope active, reducing or halted; None when it was active already."""
    row = conn.execute(
        "select risk.set_state(%s, %s, %s)", (Jsonb(scope), state, reason)
    ).fetchone()
    return row[0] if row else None


def states(conn: Connection, *, ended: bool = False) -> list[State]:
    """Return the states in force, or all there were, the oldest first."""
    cur = conn.cursor(row_factory=class_row(State))
    return cur.execute(
        "select * from risk.state_history where %s or until is null order by halt_id", (ended,)
    ).fetchall()


def set_limit(
    conn: Connection,
    control: str,
    scope: Scope,
    value: Decimal | None,
    reason: str,
    *,
    valid_from: datetime | None = None,
    valid_to: datetime | None = None,
    period: timedelta | None = None,
) -> int | None:
    """Set a limit, or withdraw it with None, over a range of session time; None is without end."""
    row = conn.execute(
        "select risk.set_limit(%s, %s, %s, %s, coalesce(%s::timestamptz, '-infinity'), "
        "coalesce(%s::timestamptz, 'infinity'), %s)",
        (control, Jsonb(scope), value, reason, valid_from, valid_to, period),
    ).fetchone()
    return row[0] if row else None


def limits(conn: Connection, control: str | None = None) -> list[Limit]:
    """Return the limits as they stand, of one control or of all."""
    cur = conn.cursor(row_factory=class_row(Limit))
    return cur.execute(
        """
        select l.limit_id, l.control, l.scope, l.value, c.unit, l.period,
            nullif(l.valid_from, '-infinity') as valid_from,
            nullif(l.valid_to, 'infinity') as valid_to, l.set_by, l.reason
        from risk.limits l join risk.controls c using (control)
        where l.superseded_at = 'infinity' and l.control = coalesce(%s, l.control)
        order by l.control, l.scope::text collate "C", l.valid_from
        """,
        (control,),
    ).fetchall()


def set_strategy(conn: Connection, strategy: str, *, enabled: bool, reason: str) -> bool:
    """Enable or disable a strategy; return whether that changed anything."""
    row = conn.execute(
        "select risk.enable_strategy(%s, %s)"
        if enabled
        else "select risk.disable_strategy(%s, %s)",
        (strategy, reason),
    ).fetchone()
    return bool(row and row[0])
