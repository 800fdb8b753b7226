"""What the reports of the portfolio cost, against a plain sum over the same executions.

Executions are made in the server: buys and sells in turn, of several sizes and prices, over a year of
trading days. The plain sum is what no report can do without: signed quantity and cash per position.

usage: bench_portfolio.py [executions]; 100,000 by default
"""

from __future__ import annotations

import statistics
import sys
import time
import uuid
from pathlib import Path

import psycopg

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))
from bench_load import database
from factories import open_session

INSTRUMENTS = 500
DAYS = 252
ROUNDS = 3
FILL_ROUNDS = 11

MARKET = """
    insert into ref.instruments (symbol)
    select 'S' || n from generate_series(1, %(instruments)s) n;
    insert into ops.feeds (feed, format) values ('closes', 'bench');
    insert into market._source_bars (ts, recv_ts, seq, close, instrument_id, source_id, feed_id, ns,
        flags, resolution, side)
    select '2014-01-01 05:00+00'::timestamptz + d * interval '1 day', now(), 1,
        1000000 + 7919 * d %% 50000, i.instrument_id, 1, f.feed_id, 0, 0, '1d', 'trade'
    from generate_series(0, %(days)s - 1) d, ref.instruments i, ops.feeds f
    where i.symbol like 'S%%' and f.feed = 'closes';
"""
EXECUTIONS = """
    insert into oms.executions (ts, session_id, account, strategy_id, instrument_id, venue_id, trade_date,
        exec_id, side, quantity, price, fee, message_id, message_at)
    select '2014-01-01 15:00+00'::timestamptz + x.d * interval '1 day', %(session)s, 'main', 1,
        i.instrument_id, 1, '2014-01-01'::date + x.d, 'E' || n,
        case when n * 7 %% 13 < 7 then 'buy' else 'sell' end, 1 + n %% 300, 100 + (n * 31 %% 997) / 100.0,
        0.35, 0, now()
    from generate_series(0, %(executions)s - 1) n
    cross join lateral (select n * %(days)s / %(executions)s as d, 1 + n %% %(held)s as place) x
    join (select instrument_id, row_number() over (order by instrument_id) as place
          from ref.instruments where symbol like 'S%%') i using (place)
"""
SUM = """
    select count(*) from (
        select account, strategy_id, instrument_id,
            sum(case side when 'buy' then quantity else -quantity end),
            sum(case side when 'buy' then -quantity else quantity end * price - fee)
        from oms.executions where session_id = %s group by 1, 2, 3) p
"""
REPORTS = {
    "positions_at, average": "select count(*) from portfolio.positions_at('infinity', p_session_id => %s)",
    "positions_at, fifo": (
        "select count(*) from portfolio.positions_at('infinity', 'infinity', 'fifo', %s)"
    ),
    "positions_at, lifo": (
        "select count(*) from portfolio.positions_at('infinity', 'infinity', 'lifo', %s)"
    ),
    "closed_lots, fifo": (
        "select count(*) from portfolio.closed_lots('infinity', 'infinity', 'fifo', %s)"
    ),
    "pnl_daily": "select count(*) from portfolio.pnl_daily where session_id = %s",
    "equity": "select count(*) from portfolio.equity where session_id = %s",
}


def timed(conn: psycopg.Connection, statement: str, session: uuid.UUID) -> tuple[float, int]:
    """Return the best of some runs in seconds, and the rows counted."""
    best, count = float("inf"), 0
    for _ in range(ROUNDS):
        began = time.perf_counter()
        row = conn.execute(statement, (session,)).fetchone()
        best = min(best, time.perf_counter() - began)
        assert row is not None
        count = row[0]
    return best, count


def report(conn: psycopg.Connection, executions: int, held: int) -> None:
    """Print what each report of so many executions in so many instruments costs."""
    session = open_session(conn, f"{held} instruments")
    values = {"session": session, "executions": executions, "days": DAYS, "held": held}
    conn.execute(EXECUTIONS, values)
    conn.execute("analyze oms.executions")
    plain, _ = timed(conn, SUM, session)
    print(f"{executions:,} executions, {held} instruments, {DAYS} days; plain sum {plain:.2f} s")
    for name, statement in REPORTS.items():
        took, rows = timed(conn, statement, session)
        print(f"  {name}: {took:.2f} s, {took / plain:.1f} times the plain sum, {rows:,} rows")


def fill_cost(conn: psycopg.Connection) -> None:
    """Print what booking one fill on its position costs, each position once per statement."""
    session = open_session(conn, "fills")
    runs = []
    for _ in range(FILL_ROUNDS):
        began = time.perf_counter()
        conn.execute(
            """select count(portfolio._book_fill(%s, 'main', 1, n,
                case when n * 7 %% 13 < 7 then 100 else -100 end, 100 + n %% 7, 0.3, '2014-01-02'))
            from generate_series(1, %s) n""",
            (session, INSTRUMENTS),
        )
        runs.append((time.perf_counter() - began) / INSTRUMENTS * 1e6)
    print(f"portfolio._book_fill: {statistics.median(runs):.1f} us a fill")


def main(executions: int) -> None:
    """Print the cost of the reports, and of a fill."""
    with database() as conn:
        conn.execute("set timezone = 'UTC'")
        with psycopg.ClientCursor(conn) as cursor:
            cursor.execute(MARKET, {"instruments": INSTRUMENTS, "days": DAYS})
        conn.execute("analyze")
        fill_cost(conn)
        report(conn, executions, 20)
        report(conn, executions, INSTRUMENTS)


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 100_000)
