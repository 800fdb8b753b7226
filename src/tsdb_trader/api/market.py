"""Schema market: sources and their ticks, batches, rollups."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal
from uuid import UUID

from psycopg import sql
from psycopg.rows import class_row
from psycopg.types.json import Jsonb

from tsdb_trader.db import Connection, translated


@dataclass(frozen=True)
class Part:
    """The rows of one instrument and kind in a source; ticks carry its `source_id`."""

    kind: str
    symbol: str | None
    source_id: int
    instrument_id: int | None
    price_scale: int
    size_scale: int


@dataclass(frozen=True)
class Source:
    """A file or stream as the database knows it; `next_row` is where to go on.

    `part` is the source itself when it holds one instrument and kind.
    """

    source_id: int
    feed_id: int
    status: Literal["loading", "complete"]
    next_row: int
    part: Part | None


@dataclass(frozen=True)
class PartAdvance:
    """How many rows of a part a block stored, and which times they span."""

    source_id: int
    kind: str
    count: int
    first_ts: datetime
    last_ts: datetime


@dataclass(frozen=True)
class Advance:
    """What a block of a source's rows came to."""

    from_row: int
    to_row: int
    stored: int
    quarantined: int
    missing: int
    duplicates: int
    complete: bool
    parts: Sequence[PartAdvance]


def complete_sources(conn: Connection, feed: str, shas: Sequence[str]) -> set[tuple[str, str]]:
    """Return (SHA-256, content) of those files that the feed has completely."""
    rows = conn.execute(
        """select s.sha256, s.content
           from market.sources s join ops.feeds f using (feed_id)
           where f.feed = %s and s.sha256 = any (%s) and s.status = 'complete'""",
        (feed, list(shas)),
    )
    return {(sha256, content) for sha256, content in rows}


def lock_content(conn: Connection, feed: str, content: str) -> None:
    """Wait for the sole right to load a content into a feed; it ends with the connection."""
    conn.execute("select market.lock_content(%s, %s, true)", (feed, content))


def unlock_content(conn: Connection, feed: str, content: str) -> None:
    """Give the right back."""
    conn.execute("select market.lock_content(%s, %s, false)", (feed, content))


def open_source(
    conn: Connection,
    *,
    feed: str,
    file_format: str,
    sha256: str,
    content: str,
    name: str,
    kind: str,
    symbol: str | None,
    known_only: bool,
    definition: Mapping[str, object],
    first_row: int = 0,
) -> Source:
    """Register a file or stream, with its feed and instrument, or find it again.

    Raises
    ------
    InputError
        The feed has the same content from other bytes.
    UnknownObjectError
        The symbol is not registered and `known_only` forbids to do it.
    ConflictError
        The feed is of another format.
    """
    with translated():
        row = conn.execute(
            """select s.source_id, s.feed_id, s.status, s.next_row,
                      s.instrument_id, s.price_scale, s.size_scale
               from market.open_source(%s, %s, %s, %s, %s, %s, %s, %s, %s, %s) s""",
            (
                *(feed, file_format, sha256, content, name, kind, symbol, known_only),
                *(Jsonb(dict(definition)), first_row),
            ),
        ).fetchone()
    assert row is not None  # noqa: S101 - the function returns its row or raises
    source_id, feed_id, status, next_row, instrument_id, price_scale, size_scale = row
    part = None
    if instrument_id is not None:
        part = Part(kind, symbol, source_id, instrument_id, price_scale, size_scale)
    return Source(source_id, feed_id, status, next_row, part)


def open_parts(
    conn: Connection,
    source_id: int,
    parts: Sequence[tuple[str, str | None]],
    definition: Mapping[str, object],
    known_only: bool,
) -> list[Part]:
    """Register the (kind, symbol) that a source holds, with their instruments, or find them again.

    Raises
    ------
    UnknownObjectError
        A symbol is not registered and `known_only` forbids to do it.
    """
    kinds, symbols = zip(*parts, strict=True)
    with translated():
        cursor = conn.cursor(row_factory=class_row(Part))
        return cursor.execute(
            "select * from market.open_parts(%s, %s, %s, %s, %s)",
            (source_id, list(kinds), list(symbols), Jsonb(dict(definition)), known_only),
        ).fetchall()


TICK_TABLES = {
    "quotes": "_quotes",
    "trades": "_trades",
    "book_events": "_book_events",
    "bars": "_source_bars",
}
MESSAGE_TABLES = {"statuses": "statuses", "news": "news", "series": "alt_series"}


def copy_ticks(
    conn: Connection, kind: str, columns: Sequence[str], pieces: Iterable[bytes]
) -> None:
    """COPY ticks in binary into the base table of their kind.

    The caller's transaction must also call `advance_source`, which notes the range for rollups.
    """
    conn.execute("select pg_catalog.set_config('tsdb_trader.ranges_noted', 'on', true)")
    statement = sql.SQL("copy market.{} ({}) from stdin (format binary)").format(
        sql.Identifier(TICK_TABLES[kind]), sql.SQL(", ").join(map(sql.Identifier, columns))
    )
    with conn.cursor() as cursor, cursor.copy(statement) as copy:
        for piece in pieces:
            copy.write(piece)


def quarantine(
    conn: Connection, source: Source, name: str, rows: Iterable[tuple[int, str, str]]
) -> None:
    """Store rows that cannot be right: (row number, reason, raw text)."""
    with (
        conn.cursor() as cursor,
        cursor.copy(
            "copy market.quarantine (feed_id, source_id, source, position, reason, raw) from stdin"
        ) as copy,
    ):
        for position, reason, raw in rows:
            copy.write_row((source.feed_id, source.source_id, name, position, reason, raw))


def insert_messages(conn: Connection, kind: str, rows: Sequence[Mapping[str, object]]) -> None:
    """Store rows of statuses, news or series; each has the same columns, mappings become jsonb."""
    columns = list(rows[0])
    statement = sql.SQL("copy market.{} ({}) from stdin").format(
        sql.Identifier(MESSAGE_TABLES[kind]), sql.SQL(", ").join(map(sql.Identifier, columns))
    )
    with conn.cursor() as cursor, cursor.copy(statement) as copy:
        for row in rows:
            values = (row[column] for column in columns)
            copy.write_row([Jsonb(v) if isinstance(v, dict) else v for v in values])


def advance_source(conn: Connection, source_id: int, advance: Advance) -> None:
    """Move a source's resume point, in the transaction that stored its rows.

    Raises
    ------
    ConflictError
        Another load moved it meanwhile.
    """
    parts = advance.parts
    with translated():
        conn.execute(
            """select market.advance_source(%s, %s, %s, %s, %s, %s, %s, %s,
                                            %s::int[], %s::bigint[], %s::timestamptz[],
                                            %s::timestamptz[])""",
            (
                source_id,
                advance.from_row,
                advance.to_row,
                advance.stored,
                advance.quarantined,
                advance.missing,
                advance.duplicates,
                advance.complete,
                [part.source_id for part in parts],
                [part.count for part in parts],
                [part.first_ts for part in parts],
                [part.last_ts for part in parts],
            ),
        )


def note_gaps(
    conn: Connection,
    source_id: int,
    gaps: Sequence[tuple[int, int]],
    filled: Sequence[tuple[int, int]],
) -> None:
    """Record sequence numbers that are missing, and such as came after all."""
    with translated():
        conn.execute(
            "select market.note_gaps(%s, %s::bigint[], %s::bigint[], %s::bigint[], %s::bigint[])",
            (
                source_id,
                [first for first, _ in gaps],
                [last for _, last in gaps],
                [first for first, _ in filled],
                [last for _, last in filled],
            ),
        )


def cancel_trades(conn: Connection, source_id: int, trades: Sequence[tuple[str, int]]) -> int:
    """Mark trades of a source (symbol, trade_id) as undone; return how many there were."""
    with translated():
        row = conn.execute(
            "select market.cancel_trades(%s, %s::text[], %s::bigint[])",
            (source_id, [symbol for symbol, _ in trades], [trade for _, trade in trades]),
        ).fetchone()
    return 0 if row is None else int(row[0])


def read_rules(conn: Connection, feed: str | None = None) -> dict[str, float]:
    """Return the thresholds that decide what a feed stores, by rule."""
    rows = conn.execute(
        "select r.rule, r.threshold from market.read_quality_rules(%s) r where r.stage = 'load'",
        (feed,),
    )
    return {str(rule): float(threshold) for rule, threshold in rows}


def write_batch(
    conn: Connection, session_id: UUID, from_ts: datetime, as_of: datetime
) -> int | None:
    """Hand a session its feed's ticks with from_ts < ts <= as_of; None when there are none."""
    with translated():
        row = conn.execute(
            "select market.write_batch(%s, %s, %s)", (session_id, from_ts, as_of)
        ).fetchone()
    return None if row is None else row[0]


def next_tick_ts(conn: Connection, session_id: UUID, after: datetime) -> datetime | None:
    """Return the time of the session's first tick after a time, None when there is none."""
    row = conn.execute("select market.next_tick_ts(%s, %s)", (session_id, after)).fetchone()
    return None if row is None else row[0]


def batch_digest(conn: Connection, batch_id: int) -> int:
    """Return a batch's digest, computed anew from the stored ticks."""
    row = conn.execute("select market.batch_digest(%s)", (batch_id,)).fetchone()
    assert row is not None  # noqa: S101 - an aggregate always has a row
    return int(row[0])


def refresh_rollups(conn: Connection, until: datetime | None = None) -> int:
    """Materialise what changed in rollups before a time (everything by default).

    Rollups that the server keeps itself are refreshed if the caller owns them, which needs a
    connection outside of a transaction; for others the server's own policy does it in time.

    Returns
    -------
    int
        How many spans of buckets were computed anew; 0 where the server does it by itself.
    """
    conn.execute(
        "call market.refresh_native_rollups(coalesce(%s::timestamptz, 'infinity'))", (until,)
    )
    row = conn.execute(
        "select market.refresh_rollups(coalesce(%s::timestamptz, 'infinity'))", (until,)
    ).fetchone()
    return 0 if row is None else int(row[0])


def add_instrument(conn: Connection, symbol: str, **definition: object) -> int:
    """Register an instrument (keys as the parameters of ``ref.add_instrument``, without ``p_``).

    Raises
    ------
    ConflictError
        It exists with another definition.
    """
    named = [sql.SQL(", {} => %s").format(sql.Identifier(f"p_{key}")) for key in definition]
    statement = sql.SQL("select ref.add_instrument(%s{})").format(sql.SQL("").join(named))
    with translated():
        row = conn.execute(statement, (symbol, *definition.values())).fetchone()
    assert row is not None  # noqa: S101 - the function returns its row or raises
    return int(row[0])
