"""Schema signal: pairs, their states and signals."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, LiteralString
from uuid import UUID

from psycopg.rows import class_row
from psycopg.types.json import Jsonb

from tsdb_trader.db import Connection, translated


@dataclass(frozen=True)
class FeedSymbol:
    """An instrument of a feed; without quotes it has trades only."""

    symbol: str
    has_quotes: bool


@dataclass(frozen=True)
class Mids:
    """Mids of one symbol on a time grid; times without a usable quote are left out."""

    times: list[datetime]
    values: list[float]


@dataclass(frozen=True)
class Deviation:
    """What the step function found: sample deviation of spread - mean, and the last mean."""

    deviation: float | None
    last_mean: float | None
    points: int
    round_trips: int


def on_batch(conn: Connection, batch_id: int) -> int:
    """Step the strategies of a session on a batch; the number of signals.

    Raises
    ------
    InputError
        An earlier batch of the session is not consumed.
    """
    return int(_one(conn, "select signal.on_batch(%s)", (batch_id,)))


def next_batch(conn: Connection, session_id: UUID) -> int | None:
    """Return the batch a session's strategies must be stepped on next."""
    batch_id = _one(conn, "select signal.next_batch(%s)", (session_id,))
    return None if batch_id is None else int(batch_id)


def bind_pairs(
    conn: Connection,
    session_id: UUID,
    account: str = "main",
    pair_ids: Sequence[int] | None = None,
) -> int:
    """Pin the pairs a session trades, those valid at its start unless named; how many."""
    ids = None if pair_ids is None else list(pair_ids)
    return int(
        _one(conn, "select signal.bind_pairs(%s, %s, %s::bigint[])", (session_id, account, ids))
    )


def save_pair(
    conn: Connection,
    *,
    symbol_a: str,
    symbol_b: str,
    feed: str,
    parameters: Mapping[str, float | None],
    statistics: Mapping[str, Any],
    window: tuple[datetime, datetime],
    data_watermark: object,
    code_version: str,
) -> int:
    """Save a calibrated pair, valid from the end of its window; its id.

    Raises
    ------
    InputError
        A parameter is outside its range.
    UnknownObjectError
        A symbol or the feed does not exist.
    """
    return int(
        _one(
            conn,
            "select signal.save_pair(%s, %s, %s, %s, %s, %s, %s, %s, %s)",
            (
                symbol_a,
                symbol_b,
                feed,
                Jsonb(dict(parameters)),
                Jsonb(dict(statistics)),
                *window,
                Jsonb(data_watermark),
                code_version,
            ),
        )
    )


def check_parameters(conn: Connection, parameters: Mapping[str, float | None]) -> None:
    """Check parameters of the pairs strategy (``signal.read_parameters``).

    Raises
    ------
    InputError
        A parameter is outside its range.
    """
    _one(conn, "select signal.read_parameters(null, %s)", (Jsonb(dict(parameters)),))


def feeds(conn: Connection) -> list[str]:
    """Return the names of all feeds."""
    return [row[0] for row in conn.execute("select feed from ops.feeds order by feed")]


def has_quotes(conn: Connection, feed: str) -> bool:
    """Return whether a feed has any quotes."""
    found = _one(
        conn,
        """select exists (select from market.sources s join ops.feeds f using (feed_id)
                          where f.feed = %s and s.kind = 'quotes' and s.last_ts is not null)""",
        (feed,),
    )
    return bool(found)


def feed_symbols(conn: Connection, feed: str, start: datetime, end: datetime) -> list[FeedSymbol]:
    """Return the symbols of which a feed has ticks in a window, in alphabetical order."""
    cursor = conn.cursor(row_factory=class_row(FeedSymbol))
    return cursor.execute(
        """select i.symbol, bool_or(s.kind = 'quotes') as has_quotes
           from market.sources s
           join ops.feeds f using (feed_id)
           join ref.instruments i using (instrument_id)
           where f.feed = %s and s.last_ts > %s and s.first_ts <= %s
           group by i.symbol order by i.symbol""",
        (feed, start, end),
    ).fetchall()


def read_mids(
    conn: Connection, feed: str, symbol: str, start: datetime, end: datetime, grid: timedelta
) -> Mids:
    """Read the mids of a symbol on a time grid, in regular hours, start excluded."""
    row = conn.execute(
        """select array_agg(m.as_of order by m.as_of), array_agg(m.mid order by m.as_of)
           from signal.read_mids(%s, array[%s], %s, %s, %s) m""",
        (feed, symbol, start, end, grid),
        binary=True,
    ).fetchone()
    return Mids([], []) if row is None or row[0] is None else Mids(*row)


def data_watermark(
    conn: Connection, feed: str, symbols: Sequence[str], start: datetime, end: datetime
) -> list[dict[str, Any]]:
    """Return which quote sources, up to which row, hold the window's quotes of the symbols."""
    rows = conn.execute(
        """select s.source_id, s.name, s.sha256, s.next_row
           from market.sources s
           join ops.feeds f using (feed_id)
           join ref.instruments i using (instrument_id)
           where f.feed = %s and i.symbol = any (%s) and s.kind = 'quotes'
               and s.last_ts > %s and s.first_ts <= %s
           order by s.source_id""",
        (feed, list(symbols), start, end),
    )
    return [
        {"source_id": source_id, "name": name, "sha256": sha256, "next_row": next_row}
        for source_id, name, sha256, next_row in rows
    ]


def measure_deviation(
    conn: Connection,
    times: Sequence[datetime],
    mids_a: Sequence[float | None],
    mids_b: Sequence[float | None],
    parameters: Mapping[str, float | None],
) -> Deviation:
    """Run the strategy over arrays and measure its spread around its own mean.

    Rows of the warm-up do not count. With ``deviation`` 1 in `parameters` the z-score is the
    difference itself, so the result is the deviation to trade with.

    Raises
    ------
    InputError
        A parameter is outside its range.
    """
    with translated():
        cursor = conn.cursor(row_factory=class_row(Deviation))
        measured = cursor.execute(
            """select stddev_samp(s.z_score) filter (where s.warm_since is null) as deviation,
                   (array_agg(s.mean order by s.as_of desc))[1] as last_mean,
                   count(s.z_score) filter (where s.warm_since is null) as points,
                   count(*) filter (where s.event in ('exit', 'stop')) as round_trips
               from signal.trace_pair(%s::timestamptz[], %s::float8[], %s::float8[],
                   signal.read_parameters(null, %s)) s""",
            (list(times), list(mids_a), list(mids_b), Jsonb(dict(parameters))),
            binary=True,
        ).fetchone()
    assert measured is not None  # noqa: S101 - an aggregate without grouping has one row
    return measured


def code_hash(conn: Connection) -> str:
    """Return the hash of the installed step function."""
    return str(_one(conn, "select signal.code_hash()", ()))


def _one(conn: Connection, query: LiteralString, parameters: tuple[object, ...]) -> Any:
    with translated():
        row = conn.execute(query, parameters).fetchone()
    return None if row is None else row[0]
