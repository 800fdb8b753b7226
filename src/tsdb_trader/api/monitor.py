"""Risk after the trade: marks, limits, breaches, reduction plans."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any, LiteralString
from uuid import UUID

from psycopg.rows import class_row, scalar_row
from psycopg.types.json import Jsonb

from tsdb_trader.db import Connection


@dataclass(frozen=True)
class Open:
    """An open session as the risk monitor sees it: its newest batch, and how it is paced."""

    session_id: UUID
    kind: str
    at_full_speed: bool
    batch_no: int
    as_of: datetime


@dataclass(frozen=True)
class Plan:
    """A row of ``risk.reduction_plans``."""

    plan_id: int
    account: str
    strategy: str | None
    status: str
    starts_at: datetime
    deadline: datetime | None
    reason: str
    positions: int
    finished: int
    note: str | None


_OPEN: LiteralString = """
    select s.session_id, s.kind, b.batch_no, b.as_of,
        s.kind = 'replay' and coalesce(s.parameters->>'speed', 'max') = 'max' as at_full_speed
    from ops.sessions s
    cross join lateral (
        select b.batch_no, b.as_of from market.batches b
        where b.session_id = s.session_id order by b.batch_no desc limit 1) b
    where s.status = 'open'
    order by s.opened_at, s.session_id
"""
_PLANS: LiteralString = """
    select p.plan_id, p.account, t.strategy, p.status, p.starts_at, p.deadline, p.reason,
        count(*) as positions, count(l.finished_as_of) as finished, p.note
    from risk.reduction_plans p
    join risk.reduction_legs l using (plan_id)
    left join signal.strategies t on t.strategy_id = p.strategy_id
    where p.session_id = %s
    group by p.plan_id, t.strategy
    order by p.plan_id
"""


def open_sessions(conn: Connection) -> list[Open]:
    """Return the open sessions that have had a batch, oldest first."""
    cur = conn.cursor(row_factory=class_row(Open))
    return cur.execute(_OPEN).fetchall()


def monitor_session(conn: Connection, session_id: UUID, as_of: datetime) -> int:
    """Mark and judge a session; return the new breaches (``risk.monitor_session``)."""
    return _count(conn, "select risk.monitor_session(%s, %s)", (session_id, as_of))


def step_plans(conn: Connection, session_id: UUID, as_of: datetime) -> int:
    """Carry out a session's reduction plans; return the orders sent (``oms.step_plans``)."""
    return _count(conn, "select oms.step_plans(%s, %s)", (session_id, as_of))


def record_var(conn: Connection, session_id: UUID, as_of: datetime) -> int:
    """Record the day's value at risk, once; return the rows written (``risk.record_var``)."""
    return _count(conn, "select risk.record_var(%s, %s)", (session_id, as_of))


def watch_sessions(conn: Connection) -> int:
    """End breaches and plans of sessions that are over (``risk.watch_sessions``)."""
    return _count(conn, "select risk.watch_sessions()", ())


def set_limit(
    conn: Connection,
    measure: str,
    scope: dict[str, str],
    soft: Decimal | None,
    hard: Decimal | None,
    reason: str,
) -> int | None:
    """Set or withdraw a limit after the trade (``risk.set_monitor_limit``)."""
    limit_id: int | None = (
        conn.cursor(row_factory=scalar_row)
        .execute(
            "select risk.set_monitor_limit(%s, %s, %s, %s, %s)",
            (measure, Jsonb(scope), soft, hard, reason),
        )
        .fetchone()
    )
    return limit_id


def plan_reduction(
    conn: Connection,
    session_id: UUID,
    account: str,
    strategy: str | None,
    targets: str | dict[str, Any],
    schedule: dict[str, Any],
    *,
    reason: str,
    as_of: datetime,
) -> int:
    """Plan an orderly reduction; return the plan's id (``risk.plan_reduction``)."""
    return _count(
        conn,
        "select risk.plan_reduction(%s, %s, %s, %s, %s, %s, %s)",
        (session_id, account, strategy, Jsonb(targets), Jsonb(schedule), reason, as_of),
    )


def plans(conn: Connection, session_id: UUID) -> list[Plan]:
    """Return the reduction plans of a session, oldest first."""
    cur = conn.cursor(row_factory=class_row(Plan))
    return cur.execute(_PLANS, (session_id,)).fetchall()


def pause_plan(conn: Connection, plan_id: int, reason: str) -> None:
    """Pause a plan and cancel its working orders (``risk.pause_plan``)."""
    conn.execute("select risk.pause_plan(%s, %s)", (plan_id, reason))


def resume_plan(conn: Connection, plan_id: int, reason: str) -> None:
    """Resume a paused plan (``risk.resume_plan``)."""
    conn.execute("select risk.resume_plan(%s, %s)", (plan_id, reason))


def cancel_plan(conn: Connection, plan_id: int, reason: str) -> None:
    """Cancel a plan and its working orders (``risk.cancel_plan``)."""
    conn.execute("select risk.cancel_plan(%s, %s)", (plan_id, reason))


def _count(conn: Connection, query: LiteralString, parameters: tuple[object, ...]) -> int:
    return int(conn.cursor(row_factory=scalar_row).execute(query, parameters).fetchone() or 0)
