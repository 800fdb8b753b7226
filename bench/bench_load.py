"""Rows per second of `tsdb-trader load`, against a bare binary COPY of a prebuilt buffer.

The bare COPY goes into hypertables with the same columns, chunks and indexes, from buffers made
before the clock starts. The load starts from the zip files: it unpacks, hashes, decodes, checks,
encodes, and commits every chunk with its resume point and rollup notes.

usage: bench_load.py [folder of lean archives]; without one, a generated sample
"""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg

from tsdb_trader import embedded, schema
from tsdb_trader.feeds import loader, pgcopy
from tsdb_trader.feeds.base import Rules
from tsdb_trader.feeds.lean import LeanFormat
from tsdb_trader.feeds.sample import generate

MIN_ROUNDS = 3

BARE = """
    create table bare._{kind} (like market._{kind});
    select public.create_hypertable('bare._{kind}', public.by_range('ts', interval '1 day'),
                                    create_default_indexes => false);
    create index on bare._{kind} (instrument_id, ts, seq);
"""


@contextmanager
def database() -> Iterator[psycopg.Connection]:
    """Yield a connection to a migrated database that is dropped afterwards."""
    server = embedded.ensure_running()
    name = f"tsdb_bench_{uuid.uuid4().hex[:8]}"
    server.create_database(name)
    try:
        schema.migrate(server.url(database=name))
        with psycopg.connect(server.url(database=name), autocommit=True) as conn:
            yield conn
    finally:
        server.drop_database(name)


def prebuilt(folder: Path) -> list[tuple[str, list[bytes], int]]:
    """Return kind, buffer and rows of every block of every file, as the load would store them."""
    reader = LeanFormat()
    found = []
    instruments: dict[str | None, int] = {}
    # In the load's order: an index grows faster at its end than in the middle.
    files = sorted(reader.discover([folder]), key=lambda file: file.path.stat().st_size)
    for number, file in enumerate(files, 1):
        instrument = instruments.setdefault(file.symbol, len(instruments) + 1)
        target = pgcopy.Target(instrument, number, 1)
        with reader.open(file) as content:
            for block in reader.decode(file, content, Rules()):
                for ticks in block.ticks:
                    found.append((ticks.kind, list(pgcopy.encode(ticks, [target])), len(ticks)))
    return found


def copy_bare(conn: psycopg.Connection, buffers: list[tuple[str, list[bytes], int]]) -> None:
    """COPY each buffer, one transaction per block."""
    for kind, pieces, _ in buffers:
        columns = ", ".join(pgcopy.COLUMNS[kind])
        statement = f"copy bare._{kind} ({columns}) from stdin (format binary)"
        with conn.cursor() as cursor, cursor.copy(statement) as copy:
            for piece in pieces:
                copy.write(piece)


def peak_megabytes() -> int:
    """Return the most memory that this process had.

    Not ru_maxrss, which a process inherits from the one that started it.
    """
    status = Path("/proc/self/status").read_text()
    [line] = [line for line in status.splitlines() if line.startswith("VmHWM")]
    return int(line.split()[1]) // 1024


def timed(work: Callable[[], object]) -> float:
    """Return the seconds that something takes."""
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def main(folder: Path, least: int) -> None:
    """Load the folder again and again."""
    buffers = prebuilt(folder)
    rows = sum(count for _, _, count in buffers)
    bare: list[float] = []
    load: list[float] = []
    while rows * len(load) < least or len(load) < MIN_ROUNDS:
        # A new database each time, or rows would go between those of the round before; and taken
        # in turns, so that a noisy neighbour is fair to both.
        with database() as conn:
            conn.execute("create schema bare")
            for kind in ("quotes", "trades"):
                conn.execute(BARE.format(kind=kind))
            works: list[tuple[list[float], Callable[[], object]]] = [
                (bare, lambda conn=conn: copy_bare(conn, buffers)),
                (load, lambda conn=conn: loader.load(conn, "lean", [folder])),
            ]
            for times, work in works if len(load) % 2 == 0 else works[::-1]:
                times.append(timed(work))
        print(f"  round {len(load)}: {rows / load[-1]:,.0f} of {rows / bare[-1]:,.0f} rows/s")
    total = rows * len(load)
    limit, figure = total / sum(bare), total / sum(load)
    print(f"load of {total:,} ticks ({len(load)} times {rows:,}): {figure:,.0f} rows/s")
    print(f"limit (bare COPY of prebuilt buffers, same hypertables): {limit:,.0f} rows/s")
    ratios = statistics.median(b / ours for b, ours in zip(bare, load, strict=True))
    print(f"ratio: {figure / limit:.2f} (median of rounds {ratios:.2f}; aim: 0.8 or better)")


if __name__ == "__main__":
    if len(sys.argv) > 1:
        main(Path(sys.argv[1]), 10_000_000)
    else:
        with tempfile.TemporaryDirectory() as temporary:
            generate(Path(temporary))
            main(Path(temporary), 0)
