"""Schema market: trade conditions, bars by activity, retention."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from psycopg.rows import class_row

from tsdb_trader.db import Connection, translated


def condition_flags(conn: Connection, vocabulary: str, conditions: Sequence[str]) -> list[int]:
    """Return the flags of `market._trades` that each condition text gives a trade.

    Codes that nobody explained yet count as regular and are noted in ref.trade_conditions.

    Raises
    ------
    UnknownObjectError
        There is no such vocabulary.
    """
    with translated():
        row = conn.execute(
            "select ref.condition_flags(%s, %s::text[])", (vocabulary, list(conditions))
        ).fetchone()
    assert row is not None  # noqa: S101 - a function has a row
    return [int(flags) for flags in row[0]]


def apply_trade_conditions(
    conn: Connection,
    feed: str,
    vocabulary: str,
    from_ts: datetime | None = None,
    to_ts: datetime | None = None,
) -> int:
    """Apply changed rules to stored trades of a feed; return how many count differently now.

    Raises
    ------
    UnknownObjectError
        There is no such feed or vocabulary.
    """
    with translated():
        row = conn.execute(
            """select market.apply_trade_conditions(
                   %s, %s, coalesce(%s, '-infinity'::timestamptz),
                   coalesce(%s, 'infinity'::timestamptz))""",
            (feed, vocabulary, from_ts, to_ts),
        ).fetchone()
    return 0 if row is None else int(row[0])


@dataclass(frozen=True)
class Retained:
    """What a run of `apply_retention` did to a hypertable."""

    hypertable: str
    dropped: int
    waits: bool
    dropped_before: datetime | None


def set_retention(
    conn: Connection,
    name: str,
    keep: timedelta | None,
    compress_after: timedelta | None = None,
) -> str:
    """Say how long rows of a table (quotes, trades, bars_1s, ...) are kept; None is for ever.

    Returns
    -------
    str
        What becomes of the compression: none, policy, or not available.

    Raises
    ------
    InputError
        Less than a day, or a compression that cannot be.
    UnknownObjectError
        There is no such table.
    """
    with translated():
        row = conn.execute(
            "select market.set_retention(%s, %s, %s)", (name, keep, compress_after)
        ).fetchone()
    assert row is not None  # noqa: S101 - a function has a row
    return str(row[0])


def apply_retention(conn: Connection, as_of: datetime) -> list[Retained]:
    """Drop chunks that are kept no longer and are in all bars."""
    cursor = conn.cursor(row_factory=class_row(Retained))
    return cursor.execute("select * from market.apply_retention(%s)", (as_of,)).fetchall()
