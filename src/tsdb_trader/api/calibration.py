"""Schema signal: calibration of pairs on daily bars."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import date, datetime
from typing import Any

from psycopg.rows import class_row
from psycopg.types.json import Jsonb

from tsdb_trader.db import Connection, translated


@dataclass(frozen=True)
class DailyFeed:
    """A feed with daily bars, and the dates of its first and last."""

    feed: str
    first: date
    last: date


@dataclass(frozen=True)
class Closes:
    """An instrument's closes; problem: a corporate action that cannot be used."""

    instrument_id: int
    symbol: str
    dates: list[date]
    closes: list[float]
    problem: str | None


@dataclass(frozen=True)
class Jump:
    """A jump that no corporate action explains."""

    instrument_id: int
    date: date
    finding: str
    simple_return: float


@dataclass(frozen=True)
class ChosenPair:
    """A pair to save; a and b are instruments."""

    a: int
    b: int
    parameters: Mapping[str, float | None]
    statistics: Mapping[str, Any]


@dataclass(frozen=True)
class Refusal:
    """A symbol, or with b a pair, that cannot be used, and why."""

    a: int
    b: int | None
    reason: str
    detail: str


@dataclass(frozen=True)
class Schedule:
    """A feed whose pairs the scheduler calibrates."""

    feed: str
    arguments: dict[str, Any]


def daily_feeds(conn: Connection) -> list[DailyFeed]:
    """Return the feeds that have daily bars."""
    cursor = conn.cursor(row_factory=class_row(DailyFeed))
    return cursor.execute(
        """select f.feed, b.first, b.last
           from ops.feeds f
           cross join lateral (
               select ((min(s.ts) + interval '12 hours') at time zone 'UTC')::date as first,
                      ((max(s.ts) + interval '12 hours') at time zone 'UTC')::date as last
               from market._source_bars s
               where s.feed_id = f.feed_id and s.resolution = '1d' and s.side = 'trade') b
           where b.first is not null
           order by f.feed"""
    ).fetchall()


def daily_symbols(conn: Connection, feed: str) -> list[str]:
    """Return the symbols of which a feed has daily bars."""
    return [
        row[0]
        for row in conn.execute(
            """select i.symbol from ref.instruments i cross join ops.feeds f
               where f.feed = %s and exists (
                   select from market._source_bars b
                   where b.instrument_id = i.instrument_id and b.feed_id = f.feed_id
                       and b.resolution = '1d' and b.side = 'trade')
               order by i.symbol""",
            (feed,),
        )
    ]


def read_closes(conn: Connection, feed: str, start: date, end: date) -> list[Closes]:
    """Read daily closes from `start` to before `end` (``signal.read_closes``).

    Raises
    ------
    InputError
        The dates cannot be.
    UnknownObjectError
        There is no such feed.
    """
    with translated():
        cursor = conn.cursor(row_factory=class_row(Closes))
        return cursor.execute(
            "select * from signal.read_closes(%s, %s, %s)", (feed, start, end), binary=True
        ).fetchall()


def read_jumps(conn: Connection, feed: str, start: date, end: date) -> list[Jump]:
    """Read the unexplained jumps from `start` to before `end` (``signal.read_jumps``)."""
    with translated():
        cursor = conn.cursor(row_factory=class_row(Jump))
        return cursor.execute(
            "select * from signal.read_jumps(%s, %s, %s)", (feed, start, end)
        ).fetchall()


def bars_watermark(conn: Connection, feed: str, start: date, end: date) -> list[dict[str, Any]]:
    """Return which files hold the bars from `start` to before `end`, and how many."""
    with translated():
        row = conn.execute(
            "select signal.bars_watermark(%s, %s, %s)", (feed, start, end)
        ).fetchone()
    return [] if row is None else row[0]


def code_hash(conn: Connection) -> str:
    """Return the hash of the installed step function (``signal.calibration_code``)."""
    row = conn.execute("select signal.calibration_code()").fetchone()
    return "" if row is None else str(row[0])


def save_calibration(
    conn: Connection,
    *,
    feed: str,
    window: tuple[datetime, datetime],
    valid_to: datetime | None,
    pairs: Sequence[ChosenPair],
    refusals: Sequence[Refusal],
    run: Mapping[str, Any],
    data_watermark: Mapping[str, Any],
    code_version: str,
) -> int:
    """Save a calibration (``signal.save_calibration``); valid_to None: for ever. Its id.

    Raises
    ------
    InputError
        Times, pairs or parameters that cannot be.
    UnknownObjectError
        An instrument or the feed does not exist.
    """
    with translated():
        row = conn.execute(
            """select signal.save_calibration(
                   %s, %s, %s, coalesce(%s, 'infinity'::timestamptz), %s, %s, %s, %s, %s)""",
            (
                feed,
                *window,
                valid_to,
                Jsonb([asdict(pair) for pair in pairs]),
                Jsonb([asdict(refusal) for refusal in refusals]),
                Jsonb(dict(run)),
                Jsonb(dict(data_watermark)),
                code_version,
            ),
        ).fetchone()
    assert row is not None  # noqa: S101 - a function without a set returns one row
    return int(row[0])


def pair_ids(conn: Connection, feed: str, valid_from: datetime) -> dict[tuple[int, int], int]:
    """Return the ids of a feed's pairs that stand from a formation end on, by instruments."""
    rows = conn.execute(
        """select p.instrument_a, p.instrument_b, p.pair_id
           from signal.pairs p join ops.feeds f using (feed_id)
           where f.feed = %s and p.valid_from = %s and p.superseded_at = 'infinity'
               and p.calibration_id is not null""",
        (feed, valid_from),
    )
    return {(a, b): pair_id for a, b, pair_id in rows}


def last_watermark(
    conn: Connection, feed: str, calibrated_to: datetime, arguments: Mapping[str, Any]
) -> dict[str, Any] | None:
    """Return what the last calibration of a formation with these arguments read, None without."""
    row = conn.execute(
        """select c.data_watermark
           from signal.calibrations c join ops.feeds f using (feed_id)
           where f.feed = %s and c.calibrated_to = %s and c.arguments = %s
           order by c.calibration_id desc limit 1""",
        (feed, calibrated_to, Jsonb(dict(arguments))),
    ).fetchone()
    return None if row is None else row[0]


def schedule(conn: Connection, feed: str, enabled: bool, arguments: Mapping[str, Any]) -> None:
    """Switch a feed's scheduled calibration on or off (``signal.schedule_calibration``).

    Raises
    ------
    UnknownObjectError
        There is no such feed.
    """
    with translated():
        conn.execute(
            "select signal.schedule_calibration(%s, %s, %s)",
            (feed, enabled, Jsonb(dict(arguments))),
        )


def schedules(conn: Connection) -> list[Schedule]:
    """Return the feeds that the scheduler calibrates."""
    cursor = conn.cursor(row_factory=class_row(Schedule))
    return cursor.execute(
        """select f.feed, s.arguments
           from signal.calibration_schedules s join ops.feeds f using (feed_id)
           where s.enabled order by f.feed"""
    ).fetchall()
