"""Schema market: quality rules, what was measured, findings."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

from psycopg.rows import class_row
from psycopg.types.json import Jsonb

from tsdb_trader.db import Connection, translated

MEASURED_AT_ONCE = 20
"""Instrument days of a transaction of `refresh`."""


@dataclass(frozen=True)
class Finding:
    """Something beyond the threshold of a quality rule, both in the rule's unit."""

    rule: str
    instrument_id: int | None
    symbol: str | None
    ts: datetime
    observed: float
    threshold: float


@dataclass(frozen=True)
class Measure:
    """A row of ``market.cross_check``; `feed` None is about both."""

    measure: str
    feed: str | None
    value: float | None
    unit: str
    threshold: float | None
    beyond: bool | None
    detail: dict[str, Any] | None


def refresh(conn: Connection) -> int:
    """Measure what changed (``market.refresh_quality``); return how many instrument days.

    Parameters
    ----------
    conn
        An autocommit connection; each `MEASURED_AT_ONCE` are a transaction.
    """
    done = 0
    while True:
        row = conn.execute("select market.refresh_quality(%s)", (MEASURED_AT_ONCE,)).fetchone()
        if row is None or not row[0]:
            return done
        done += int(row[0])


def remeasure(conn: Connection, feed: str, from_day: date, to_day: date) -> int:
    """Measure a feed's days again, both included, whatever changed.

    Raises
    ------
    UnknownObjectError
        There is no such feed.
    """
    with translated():
        row = conn.execute(
            "select market.refresh_quality(null, %s, %s, %s)", (feed, from_day, to_day)
        ).fetchone()
    return 0 if row is None else int(row[0])


def check(conn: Connection, feed: str, from_ts: datetime, to_ts: datetime) -> list[Finding]:
    """Return what is beyond its threshold in a feed (``market.check_quality``).

    Raises
    ------
    UnknownObjectError
        There is no such feed.
    """
    with translated():
        cursor = conn.cursor(row_factory=class_row(Finding))
        return cursor.execute(
            "select * from market.check_quality(%s, %s, %s)", (feed, from_ts, to_ts)
        ).fetchall()


def watch(conn: Connection, as_of: datetime) -> int:
    """Raise and resolve alerts about days measured since the last call; return the findings."""
    row = conn.execute("select market.watch_quality(%s)", (as_of,)).fetchone()
    return 0 if row is None else int(row[0])


def set_rule(
    conn: Connection,
    rule: str,
    threshold: float | None,
    reason: str,
    scope: Mapping[str, str] | None = None,
) -> None:
    """Set a rule's threshold for everything, or for a feed, a symbol or both; None withdraws it.

    Raises
    ------
    InputError
        A scope, threshold or reason of no use.
    UnknownObjectError
        There is no such rule, feed or symbol.
    """
    with translated():
        conn.execute(
            "select market.set_quality_rule(%s, %s, %s, %s)",
            (rule, threshold, reason, Jsonb(dict(scope or {}))),
        )


def cross_check(
    conn: Connection,
    instrument_id: int,
    feeds: tuple[str, str],
    from_ts: datetime,
    to_ts: datetime,
    bucket: timedelta = timedelta(seconds=1),
    lags: int = 10,
) -> list[Measure]:
    """Compare the quotes of an instrument in two feeds (``market.cross_check``).

    Raises
    ------
    InputError
        Times or lags of no use.
    UnknownObjectError
        There is no such instrument or feed.
    """
    with translated():
        cursor = conn.cursor(row_factory=class_row(Measure))
        return cursor.execute(
            "select * from market.cross_check(%s, %s, %s, %s, %s, %s, %s)",
            (instrument_id, *feeds, from_ts, to_ts, bucket, lags),
        ).fetchall()
