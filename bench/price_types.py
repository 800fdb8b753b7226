"""Fixed-point bigint behind a float8 view against plain double precision: decision 0001.

usage: price_types.py <folder of lean archives>
"""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import psycopg

from bench_load import database
from tsdb_trader.feeds import pgcopy
from tsdb_trader.feeds.base import Rules, Ticks
from tsdb_trader.feeds.lean import LeanFormat

ROUNDS = 7
SETUP = """
    create schema t;
    create table t.fixed (like market._trades);
    create table t.floats (like market._trades);
    alter table t.floats alter price type double precision, alter size type double precision;
    create view t.shown as
        select f.ts, f.seq, f.instrument_id, f.price / i.price_unit as price,
               f.size / i.size_unit as size
        from t.fixed f join ref.instruments i using (instrument_id);
    insert into ref.instruments (symbol) values ('BENCH');
"""


def as_floats(pieces: list[bytes]) -> list[bytes]:
    """Turn price and size of encoded trades from bigint into float8, in place."""
    found = []
    for piece in pieces:
        if piece in (pgcopy.HEADER, pgcopy.TRAILER):
            found.append(piece)
            continue
        # Fields before price have fixed lengths: count, three of 12 bytes, then a length.
        size = record_size(piece)
        table = np.frombuffer(bytearray(piece), dtype=np.uint8).reshape(-1, size)
        for start, scale in ((42, 1e4), (54, 1.0)):
            integers = np.ascontiguousarray(table[:, start : start + 8]).view(">i8")[:, 0]
            floats = (integers / scale).astype(">f8")
            table[:, start : start + 8] = floats.view(np.uint8).reshape(-1, 8)
        found.append(table.tobytes())
    return found


def record_size(piece: bytes) -> int:
    """Return the length of the records of a piece, by walking over the first."""
    place = 2
    for _ in range(int.from_bytes(piece[:2], "big")):
        place += 4 + max(0, int.from_bytes(piece[place : place + 4], "big", signed=True))
    return place


def best(work: Callable[[], object]) -> float:
    """Return the median of several runs, in seconds."""
    taken = []
    for _ in range(ROUNDS):
        began = time.perf_counter()
        work()
        taken.append(time.perf_counter() - began)
    return statistics.median(taken)


def copy(conn: psycopg.Connection, table: str, buffers: list[list[bytes]]) -> None:
    """Fill a table anew."""
    conn.execute(f"truncate {table}")
    columns = ", ".join(pgcopy.COLUMNS["trades"])
    for pieces in buffers:
        with (
            conn.cursor() as cursor,
            cursor.copy(f"copy {table} ({columns}) from stdin (format binary)") as target,
        ):
            for piece in pieces:
                target.write(piece)


def all_trades(folder: Path) -> list[Ticks]:
    """Return the trades of every archive."""
    reader = LeanFormat()
    found: list[Ticks] = []
    for file in reader.discover([folder]):
        if file.kind == "trades":
            with reader.open(file) as content:
                for block in reader.decode(file, content, Rules()):
                    found.extend(block.ticks)
    return found


def main(folder: Path) -> None:
    """Print each comparison."""
    ticks = all_trades(folder)
    rows = sum(map(len, ticks))
    with database() as conn:
        conn.execute(SETUP)
        row = conn.execute("select instrument_id from ref.instruments").fetchone()
        assert row is not None
        fixed = [list(pgcopy.encode(t, [pgcopy.Target(row[0], n, 1)])) for n, t in enumerate(ticks)]
        floats = [as_floats(pieces) for pieces in fixed]
        print(f"{rows:,} trades; medians of {ROUNDS} runs")
        for name, table, buffers in (("bigint", "fixed", fixed), ("float8", "floats", floats)):
            seconds = best(lambda t=table, b=buffers: copy(conn, f"t.{t}", b))
            size = conn.execute("select pg_relation_size(%s)", (f"t.{table}",)).fetchone()
            print(f"COPY {name}: {rows / seconds:,.0f} rows/s, {size[0] / 1e6:.1f} MB")
        conn.execute("set max_parallel_workers_per_gather = 0")
        conn.execute("vacuum analyze t.fixed")
        conn.execute("vacuum analyze t.floats")
        window = "over (order by ts, seq rows between 59 preceding and current row)"
        for what, statement in (
            ("sum(size)", "select sum(size) from {}"),
            ("vwap", "select sum(price * size) / sum(size) from {}"),
            (
                "60-row mean and square",
                "select max(a), max(b) from (select sum(price) "
                f"{window} as a, sum(price * price) {window} as b from {{}}) w",
            ),
        ):
            for name, table in (
                ("bigint", "t.fixed"),
                ("float8", "t.floats"),
                ("float8 view of bigint", "t.shown"),
            ):
                seconds = best(lambda s=statement, t=table: conn.execute(s.format(t)))
                print(f"{what}, {name}: {seconds * 1e3:,.0f} ms")
        sums = set()
        for order in ("ts, seq", "seq, ts", "price, seq", "size desc"):
            found = conn.execute(
                f"select sum(price * size) from (select * from t.floats order by {order}) x"
            ).fetchone()
            sums.add(found[0] if found else None)
        print(f"float8 notional in four row orders: {len(sums)} different results")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
