"""Many ticks, made in the server; and what a query touches of them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg

from tsdb_trader.api import market

FIRST = datetime(2013, 1, 1, 14, 30, tzinfo=UTC)
QUERIES = {
    "last minute of quotes": """
        select count(*), max(bid_price) from market.quotes
        where instrument_id = %(id)s and ts > %(end)s - interval '1 minute' and ts <= %(end)s""",
    "ten bars of 1 minute": """
        select count(*), max(mid_close) from market.bars_1m
        where instrument_id = %(id)s and bucket >= %(end)s - interval '10 minutes'
            and bucket < %(end)s""",
}


def store(conn: psycopg.Connection, instruments: int, days: int, each: int) -> datetime:
    """Store so many quotes of each instrument and day, in six hours and a half; return the end.

    One instrument after the other, as files are loaded. What is there already is left out.
    """
    conn.execute(
        "insert into ref.instruments (symbol) select 'X' || n from generate_series(1, %s) n"
        " on conflict do nothing",
        (instruments,),
    )
    for day in range(days):
        start = FIRST + timedelta(days=day)
        with conn.transaction():
            conn.execute("select pg_catalog.set_config('tsdb_trader.ranges_noted', 'on', true)")
            conn.execute(
                """insert into market._quotes (ts, recv_ts, seq, bid_price, bid_size, ask_price,
                       ask_size, instrument_id, source_id, feed_id, ns, flags, exchange, conditions)
                   select t.ts, t.ts, n, 1000000 + n %% 700, 1 + n %% 9, 1000100 + n %% 900,
                          1 + n %% 7, i.instrument_id, 1, 1, 0, 3, 'P', '1'
                   from generate_series(1, %(each)s) n
                   cross join lateral (
                       select %(start)s + n * interval '6.5 hours' / %(each)s as ts) t
                   cross join ref.instruments i
                   where i.symbol like 'X%%' and not exists (
                       select from market._quotes q where q.instrument_id = i.instrument_id
                           and q.ts > %(start)s and q.ts < %(start)s + interval '1 hour')
                   order by i.instrument_id, n""",
                {"each": each, "start": start},
            )
            conn.execute(
                "select market.invalidate_rollups('market._quotes', %s, %s)",
                (start, start + timedelta(hours=7)),
            )
    market.refresh_rollups(conn)
    conn.execute("vacuum analyze")
    return FIRST + timedelta(days=days - 1, hours=6, minutes=30)


@dataclass(frozen=True)
class Touched:
    """What a query read: chunks, and pages of them; and how long it took, in ms."""

    chunks: int
    buffers: int
    planning_ms: float
    execution_ms: float


def touched(conn: psycopg.Connection, query: str, end: datetime) -> Touched:
    """Run a query, the second time with what it needs in memory, and count."""
    # Times as literals, as an application sends them that lets the planner leave out chunks.
    cursor = psycopg.ClientCursor(conn)
    statement = cursor.mogrify(query, {"id": instrument(conn), "end": end})
    cursor.execute(statement)
    cursor.execute(f"explain (analyze, buffers, format json) {statement}")
    row = cursor.fetchone()
    assert row is not None
    [plan] = row[0]
    root = plan["Plan"]
    return Touched(
        len(chunks(root)),
        root["Shared Hit Blocks"] + root["Shared Read Blocks"],
        plan["Planning Time"],
        plan["Execution Time"],
    )


def instrument(conn: psycopg.Connection) -> int:
    row = conn.execute("select instrument_id from ref.instruments where symbol = 'X1'").fetchone()
    assert row is not None
    return int(row[0])


def chunks(node: dict[str, Any]) -> set[str]:
    """Return the chunks that a plan read."""
    found = set()
    if "_hyper_" in node.get("Relation Name", "") and node["Actual Loops"]:
        found.add(str(node["Relation Name"]))
    for child in node.get("Plans", ()):
        found |= chunks(child)
    return found
