"""Order books: best bid and offer per event, the book at an instant, derived quotes, DBN files.

Each rate stands beside a limit of the same run: reading the same events in their order, decompressing
the same file. The events are a generated ITCH session of one symbol; the file is Databento's real
one, its records repeated.

usage: bench_books.py [folder of Databento files]
"""

from __future__ import annotations

import io
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
from tsdb_trader.api import books
from tsdb_trader.feeds import loader
from tsdb_trader.feeds.base import Rules
from tsdb_trader.feeds.dbn import DbnFormat
from tsdb_trader.feeds.itch_generate import generate

EVENTS = 100_000
ROUNDS = 5
REPEATED = 200


@contextmanager
def database() -> Iterator[psycopg.Connection]:
    """Yield a connection to a migrated database that is dropped afterwards."""
    server = embedded.ensure_running()
    name = f"tsdb_bench_{uuid.uuid4().hex[:8]}"
    server.create_database(name)
    try:
        schema.migrate(server.url(database=name))
        with psycopg.connect(
            server.url(database=name), autocommit=True, options="-c TimeZone=UTC"
        ) as conn:
            yield conn
    finally:
        server.drop_database(name)


def timed(work: Callable[[], object], rounds: int = ROUNDS) -> float:
    """Return the seconds that something takes, the median of several rounds."""
    taken = []
    for _ in range(rounds):
        began = time.perf_counter()
        work()
        taken.append(time.perf_counter() - began)
    return statistics.median(taken)


def bench_books(conn: psycopg.Connection) -> None:
    """Print what questions about a book of so many events cost."""
    with tempfile.TemporaryDirectory() as folder:
        loader.load(conn, "itch", [generate(Path(folder), messages=EVENTS, symbols=1).path])
    conn.execute("vacuum analyze market._book_events")
    events, key, first, last = conn.execute(
        "select count(*), min(instrument_id), min(ts), max(ts) from market._book_events"
    ).fetchone()

    def run(query: str, *values: object) -> float:
        return timed(lambda: conn.execute(query, values).fetchall())

    limit = run(
        "select count(*) from (select e.*, row_number() over (order by ts, ns, source_id, seq)"
        " from market._book_events e where instrument_id = %s) o",
        key,
    )
    bbo = run("select count(*) from market.bbo(%s, %s, 'infinity')", key, first)
    print(f"read in order  {events / limit:>12,.0f} events/s  (limit)")
    print(f"bbo            {events / bbo:>12,.0f} events/s  ratio {limit / bbo:.2f}")
    instants = [first + (last - first) * i / 50 for i in range(1, 50)]
    for name in ("no snapshots", "snapshots"):
        if name == "snapshots":
            taken = timed(lambda: print("snapshots made", books.snapshot_books(conn)), 1)
            print(f"snapshots      {events / taken:>12,.0f} events/s")
        times = sorted(
            timed(lambda at=at: books.book_at(conn, key, at, 10), 1) * 1000 for at in instants
        )
        print(f"book_at        p50 {times[24]:.1f} ms, max {times[-1]:.1f} ms with {name}")
    sizes = conn.execute(
        """select (select sum(pg_total_relation_size(c)) from public.show_chunks(
                       'market._book_events') c),
                  pg_total_relation_size('market.book_snapshots')"""
    ).fetchone()
    print(f"bytes          {sizes[0]:,} of events, {sizes[1]:,} of snapshots")
    source = conn.execute("select source_id from market.sources where kind = 'many'").fetchone()[0]
    derived = timed(lambda: books.derive_quotes(conn, source), 1)
    quotes = conn.execute("select count(*) from market._quotes").fetchone()[0]
    print(f"derive_quotes  {events / derived:>12,.0f} events/s, {quotes:,} quotes")


def bench_dbn(conn: psycopg.Connection, path: Path) -> None:
    """Print how fast a DBN file is decoded and stored."""
    reader = DbnFormat()
    [file] = reader.discover([path])
    with reader.open(file) as opened:
        content = opened.read()
    head = 8 + int.from_bytes(content[4:8], "little")
    content = content[:head] + content[head:] * REPEATED
    rows = 0

    def decode() -> None:
        nonlocal rows
        rows = 0
        for block in reader.decode(file, io.BytesIO(content), Rules()):
            rows = block.stop

    taken = timed(decode, 3)
    print(f"dbn decode     {rows / taken:>12,.0f} records/s on one core ({rows:,} records)")
    with tempfile.TemporaryDirectory() as folder:
        long = Path(folder) / "long.dbn"
        long.write_bytes(content[: head + (len(content) - head) // 4])
        read = timed(lambda: long.read_bytes())
        loaded = timed(lambda: loader.load(conn, "dbn", [long]), 1)
        print(
            f"dbn load       {rows / 4 / loaded:>12,.0f} records/s ({read / loaded:.4f} of reading)"
        )


def main(folder: Path | None) -> None:
    """Print all figures."""
    with database() as conn:
        bench_books(conn)
        if folder is not None:
            [path] = folder.glob("orderbooks_mbo_*.dbn.zst")
            bench_dbn(conn, path)


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else None)
