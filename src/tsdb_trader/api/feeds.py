"""Streams of market data: their administration, resume points and live batches."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from psycopg.rows import class_row
from psycopg.types.json import Jsonb

from tsdb_trader.db import Connection, translated


@dataclass(frozen=True)
class Feed:
    """A stream as configured: a row of ``ops.feeds``."""

    feed_id: int
    feed: str
    format: str
    configuration: dict[str, Any]


@dataclass(frozen=True)
class FeedStatus:
    """A row of ``ops.feed_status``; `last_tick_age_s` is by the database's clock."""

    feed: str
    kind: str
    format: str
    status: str
    state: str
    sources: int
    rows_stored: int
    rows_quarantined: int
    rows_duplicate: int
    rows_missing: int
    open_gaps: int
    gap_rows: int
    late_ticks: int
    last_ts: datetime | None
    reconnects: int
    last_error: str | None
    beat_at: datetime | None
    last_tick_age_s: float | None


@dataclass(frozen=True)
class LiveSession:
    """An open live or paper session on a feed, and up to when it has its ticks."""

    session_id: UUID
    start: datetime
    as_of: datetime | None


def add_feed(
    conn: Connection, feed: str, file_format: str, configuration: Mapping[str, object]
) -> int:
    """Register a stream (``ops.add_feed``).

    Raises
    ------
    InputError
        A name or configuration that cannot be.
    ConflictError
        It exists with another definition.
    """
    with translated():
        row = conn.execute(
            "select ops.add_feed(%s, %s, %s)", (feed, file_format, Jsonb(dict(configuration)))
        ).fetchone()
    assert row is not None  # noqa: S101 - the function returns its row or raises
    return int(row[0])


def configure_feed(conn: Connection, feed: str, configuration: Mapping[str, object]) -> None:
    """Give a stream another configuration (``ops.configure_feed``).

    Raises
    ------
    UnknownObjectError
        There is no stream of this name.
    """
    with translated():
        conn.execute("select ops.configure_feed(%s, %s)", (feed, Jsonb(dict(configuration))))


def set_feed_status(conn: Connection, feed: str, status: str) -> None:
    """Start or stop a stream (``ops.set_feed_status``).

    Raises
    ------
    UnknownObjectError
        There is no stream of this name.
    """
    with translated():
        conn.execute("select ops.set_feed_status(%s, %s)", (feed, status))


def active_streams(conn: Connection) -> list[Feed]:
    """Return the streams that should run."""
    cur = conn.cursor(row_factory=class_row(Feed))
    return cur.execute(
        "select feed_id, feed, format, configuration from ops.feeds "
        "where kind = 'stream' and status = 'active' order by feed"
    ).fetchall()


def feed_status(conn: Connection) -> list[FeedStatus]:
    """Return every feed with what was stored of it and what its worker says."""
    cur = conn.cursor(row_factory=class_row(FeedStatus))
    return cur.execute(
        "select *, extract(epoch from clock_timestamp() - last_ts)::float8 as last_tick_age_s "
        "from ops.feed_status order by kind desc, feed"
    ).fetchall()


def resolve_alerts(conn: Connection, feed: str) -> None:
    """Resolve the alerts of a stream that runs again (``ops.resolve_feed_alerts``)."""
    conn.execute("select ops.resolve_feed_alerts(%s)", (feed,))


def positions(conn: Connection, feed_id: int) -> dict[str, tuple[int, int | None]]:
    """Return where each content of a stream stands: its next row, its own last sequence number."""
    rows = conn.execute(
        "select content, next_row, sequence from market.sources "
        "where feed_id = %s and sha256 = 'stream' and parent_id is null",
        (feed_id,),
    )
    return {content: (next_row, sequence) for content, next_row, sequence in rows}


def note_sequence(conn: Connection, source_id: int, sequence: int) -> None:
    """Note a stream's own last sequence number, in the transaction that stores its rows."""
    conn.execute(
        "update market.sources set sequence = %s where source_id = %s", (sequence, source_id)
    )


def last_tick(conn: Connection, feed_id: int) -> datetime | None:
    """Return the latest event time stored of a feed."""
    row = conn.execute(
        "select max(last_ts) from market.sources where feed_id = %s and parent_id is null",
        (feed_id,),
    ).fetchone()
    return None if row is None else row[0]


def live_sessions(conn: Connection, feed_id: int) -> list[LiveSession]:
    """Return the sessions that get batches of a stream."""
    cur = conn.cursor(row_factory=class_row(LiveSession))
    return cur.execute(
        """select s.session_id, coalesce(s.from_ts, s.opened_at) as start, b.as_of
           from ops.sessions s
           left join lateral (
               select as_of from market.batches b
               where b.session_id = s.session_id order by b.batch_no desc limit 1) b on true
           where s.feed_id = %s and s.status = 'open' and s.kind in ('live', 'paper')""",
        (feed_id,),
    ).fetchall()


def write_batches(
    conn: Connection, feed_id: int, watermark: datetime, *, quiet: bool, limit: int
) -> int:
    """Hand live sessions the feed's ticks up to a time (``market.write_stream_batches``)."""
    with translated():
        row = conn.execute(
            "select market.write_stream_batches(%s, %s, %s, %s)",
            (feed_id, watermark, quiet, limit),
        ).fetchone()
    return 0 if row is None else int(row[0])


def note_late_ticks(conn: Connection, session_id: UUID, ticks: int) -> None:
    """Count ticks that came too late for a session (``market.note_late_ticks``)."""
    conn.execute("select market.note_late_ticks(%s, %s)", (session_id, ticks))
