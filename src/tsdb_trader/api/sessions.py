"""Sessions: opening, finding, advancing and closing them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, LiteralString, TypeVar
from uuid import UUID

from psycopg.rows import class_row, scalar_row
from psycopg.types.json import Jsonb

from tsdb_trader.db import Connection

_T = TypeVar("_T")


@dataclass(frozen=True)
class Session:
    """A row of ``ops.sessions`` with how far it is."""

    session_id: UUID
    kind: str
    name: str
    status: str
    feed: str | None
    from_ts: datetime | None
    to_ts: datetime | None
    parameters: dict[str, Any]
    opened_at: datetime
    closed_at: datetime | None
    batches: int
    as_of: datetime | None


_SESSIONS = """
    select s.session_id, s.kind, s.name, s.status, f.feed, s.from_ts, s.to_ts, s.parameters,
        s.opened_at, s.closed_at, coalesce(b.batch_no, 0) as batches, b.as_of
    from ops.sessions s
    left join ops.feeds f using (feed_id)
    left join lateral (
        select batch_no, as_of from market.batches b
        where b.session_id = s.session_id order by batch_no desc limit 1) b on true
"""


def open_session(
    conn: Connection,
    kind: str,
    name: str,
    *,
    feed: str | None = None,
    from_ts: datetime | None = None,
    to_ts: datetime | None = None,
    batch_interval: timedelta = timedelta(seconds=1),
    parameters: dict[str, Any] | None = None,
) -> UUID:
    """Open a session; see ``ops.open_session``."""
    return _one(
        conn,
        UUID,
        "select ops.open_session(%s, %s, %s, %s, %s, %s, %s)",
        (kind, name, feed, from_ts, to_ts, batch_interval, Jsonb(parameters or {})),
    )


def close_session(conn: Connection, session_id: UUID, status: str = "closed") -> None:
    """Close a session as it stands; orders for it are denied from then on."""
    conn.execute("select ops.close_session(%s, %s)", (session_id, status))


def open_session_ids(conn: Connection) -> list[UUID]:
    """Return the open sessions that can have batches, oldest first."""
    cur = conn.cursor(row_factory=scalar_row)
    return cur.execute(
        "select session_id from ops.sessions where status = 'open' and feed_id is not null "
        "order by opened_at, session_id"
    ).fetchall()


def sessions(conn: Connection, status: str | None = None, kind: str | None = None) -> list[Session]:
    """Return sessions, oldest first, of a status and kind or of all."""
    cur = conn.cursor(row_factory=class_row(Session))
    return cur.execute(
        _SESSIONS
        + "where s.status = coalesce(%s, s.status) and s.kind = coalesce(%s, s.kind)"
        + " order by s.opened_at, s.session_id",
        (status, kind),
    ).fetchall()


def session(conn: Connection, session_id: UUID) -> Session | None:
    """Return one session, None if there is none."""
    cur = conn.cursor(row_factory=class_row(Session))
    return cur.execute(_SESSIONS + "where s.session_id = %s", (session_id,)).fetchone()


def advance_replay(conn: Connection, session_id: UUID, until: datetime | None) -> str:
    """Write the next due batch: batch, waiting, early, end or closed (``ops.advance_replay``)."""
    return _one(conn, str, "select ops.advance_replay(%s, %s)", (session_id, until))


def finish_session(conn: Connection, session_id: UUID) -> str:
    """Bring a session to its end: waiting, cancelling or closed (``ops.finish_session``)."""
    return _one(conn, str, "select ops.finish_session(%s)", (session_id,))


def consume_batch(conn: Connection, session_id: UUID) -> int | None:
    """Step the strategies on the next batch; the number of signals, None without a batch."""
    cur = conn.cursor(row_factory=scalar_row)
    signals: int | None = cur.execute("select ops.consume_batch(%s)", (session_id,)).fetchone()
    return signals


def mark_session(conn: Connection, session_id: UUID, as_of: datetime) -> int:
    """Record the marked P&L of a session at a session time (``portfolio.mark_session``)."""
    return _one(conn, int, "select portfolio.mark_session(%s, %s)", (session_id, as_of))


def _one(
    conn: Connection, kind: type[_T], query: LiteralString, parameters: tuple[object, ...]
) -> _T:
    value: Any = conn.cursor(row_factory=scalar_row).execute(query, parameters).fetchone()
    result: _T = value
    return result
