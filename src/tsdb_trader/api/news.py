"""Schema market: headlines and their scores, dated series."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal

from psycopg.rows import class_row

from tsdb_trader.db import Connection, translated


@dataclass(frozen=True)
class Headline:
    """A stored headline; (source_id, seq) is its key."""

    source_id: int
    seq: int
    headline: str


@dataclass(frozen=True)
class Sentiment:
    """What ``market.sentiment_at`` says: stories known at a time, and their scores from -1 to 1."""

    stories: int
    scored: int
    mean_sentiment: Decimal | None
    last_sentiment: Decimal | None
    last_ts: datetime | None


@dataclass(frozen=True)
class Value:
    """A value of a dated series as known at a time; revision 0 is its first publication."""

    event_ts: datetime
    published_at: datetime
    value: Decimal
    unit: str
    revision: int


def sentiment_at(
    conn: Connection,
    instrument_id: int,
    as_of: datetime,
    window: timedelta = timedelta(days=1),
    model: tuple[str, str] | None = None,
) -> Sentiment:
    """Sum up the stories about an instrument known at a time (``market.sentiment_at``).

    Parameters
    ----------
    model
        Name and version; None is the score that each headline was stored with.
    """
    name, version = model or (None, None)
    cursor = conn.cursor(row_factory=class_row(Sentiment))
    found = cursor.execute(
        "select * from market.sentiment_at(%s, %s, %s, %s, %s)",
        (instrument_id, as_of, window, name, version),
    ).fetchone()
    assert found is not None  # noqa: S101 - an aggregate always has a row
    return found


def series_at(
    conn: Connection,
    series: str,
    as_of: datetime,
    instrument_id: int | None = None,
    feed: str | None = None,
) -> list[Value]:
    """Return a series as it was known at a time, by event time (``market.series_at``)."""
    cursor = conn.cursor(row_factory=class_row(Value))
    return cursor.execute(
        "select * from market.series_at(%s, %s, %s, %s)", (series, as_of, instrument_id, feed)
    ).fetchall()


def unscored(
    conn: Connection, model: str, version: str, limit: int, after: Headline | None = None
) -> list[Headline]:
    """Return headlines without a score by a model, in the order of their keys.

    Parameters
    ----------
    after
        Go on after this one.
    """
    cursor = conn.cursor(row_factory=class_row(Headline))
    return cursor.execute(
        """select n.source_id, n.seq, n.headline
           from market.news n
           where (n.model, n.model_version) is distinct from (%(model)s, %(version)s)
               and (n.source_id, n.seq) > (%(source_id)s, %(seq)s)
               and not exists (
                   select from market.news_scores s
                   where s.source_id = n.source_id and s.seq = n.seq and s.model = %(model)s
                       and s.model_version = %(version)s)
           order by n.source_id, n.seq limit %(limit)s""",
        {
            "model": model,
            "version": version,
            "limit": limit,
            "source_id": after.source_id if after else -1,
            "seq": after.seq if after else -1,
        },
    ).fetchall()


def add_scores(
    conn: Connection,
    model: str,
    version: str,
    headlines: Sequence[Headline],
    scores: Sequence[Decimal],
) -> int:
    """Store a model's scores beside those there are; return how many are new.

    Raises
    ------
    InputError
        A score outside of -1 to 1.
    """
    with translated():
        row = conn.execute(
            "select market.add_news_scores(%s, %s, %s::int[], %s::bigint[], %s::numeric[])",
            (
                model,
                version,
                [headline.source_id for headline in headlines],
                [headline.seq for headline in headlines],
                list(scores),
            ),
        ).fetchone()
    return 0 if row is None else int(row[0])


def resolve(conn: Connection) -> int:
    """Find instruments registered after their headlines came; return how many headlines."""
    row = conn.execute("select market.resolve_news()").fetchone()
    return 0 if row is None else int(row[0])
