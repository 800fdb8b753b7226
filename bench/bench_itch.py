"""ITCH 5.0: messages per second decoded on one core, loaded, and bare; memory of a large load.

The session is generated. Decoding runs from the file's bytes to blocks of column arrays. The load
is `tsdb-trader load itch`; its limit is a bare binary COPY of the same rows, from buffers made
before the clock starts, into hypertables with the same columns, chunks and indexes. Memory is the
peak of a process that loads a file of ten times the size and more.

usage: bench_itch.py [messages, default 2,000,000] [messages of the large file, default 10,000,000]
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psycopg

from bench_load import BARE, copy_bare, database, peak_megabytes, timed
from tsdb_trader.feeds import loader, pgcopy
from tsdb_trader.feeds.base import Rules
from tsdb_trader.feeds.itch import ItchFormat
from tsdb_trader.feeds.itch_generate import generate

ROUNDS = 3
KINDS = ("book_events", "trades")
MOST_MB = 500


def decode(path: Path) -> int:
    """Decode a file, and let go of what came out; return its messages."""
    reader = ItchFormat()
    [file] = reader.discover([path])
    stop = 0
    with reader.open(file) as content:
        for block in reader.decode(file, content, Rules()):
            stop = block.stop
    return stop


def cpu_of_decode(path: Path) -> float:
    """Return the CPU seconds of decoding, all threads."""
    began = time.process_time()
    decode(path)
    return time.process_time() - began


def prebuilt(path: Path) -> list[tuple[str, list[bytes], int]]:
    """Return kind, buffer and rows of every block's ticks."""
    reader = ItchFormat()
    [file] = reader.discover([path])
    found = []
    with reader.open(file) as content:
        for block in reader.decode(file, content, Rules()):
            for ticks in block.ticks:
                assert ticks.symbols is not None
                targets = [pgcopy.Target(n, n, 1) for n, _ in enumerate(ticks.symbols.values, 1)]
                found.append((ticks.kind, list(pgcopy.encode(ticks, targets)), len(ticks)))
    return found


def speed(folder: Path, messages: int) -> None:
    """Print the rates."""
    path = folder / "speed" / "12282022.NASDAQ_ITCH50"
    seconds = timed(lambda: generate(path, messages=messages, symbols=100))
    print(f"generated {messages:,} messages in {seconds:.0f} s")
    cpu = statistics.median(cpu_of_decode(path) for _ in range(ROUNDS))
    wall = statistics.median(timed(lambda: decode(path)) for _ in range(ROUNDS))
    print(f"decode alone: {messages / cpu:,.0f} messages per CPU second, {messages / wall:,.0f}/s")
    buffers = prebuilt(path)
    rows = sum(count for _, _, count in buffers)
    bare, load = [], []
    with database() as conn:
        conn.execute("create schema bare")
        for kind in KINDS:
            conn.execute(BARE.format(kind=kind))
        for number in range(ROUNDS):
            for kind in KINDS:
                conn.execute(f"truncate bare._{kind}, market._{kind}")
            conn.execute("truncate market.statuses")
            bare.append(timed(lambda: copy_bare(conn, buffers)))
            feed = f"bench{number}"
            load.append(timed(lambda feed=feed: loader.load(conn, "itch", [path], feed=feed)))
    limit, whole = statistics.median(bare), statistics.median(load)
    print(f"load: {messages / whole:,.0f} messages/s ({rows / whole:,.0f} ticks/s)")
    print(f"limit (bare COPY of the same {rows:,} ticks): {messages / limit:,.0f} messages/s")
    print(f"ratio: {limit / whole:.2f}; decoding is {cpu / whole:.0%} of the load (its own core)")


def load_and_report(url: str, path: Path) -> None:
    """Load a file in this process, and print the peak of its memory in MB."""
    with psycopg.connect(url, autocommit=True) as conn:
        total = loader.load(conn, "itch", [path]).total()
    print(total.stored, peak_megabytes())


def memory(folder: Path, messages: int) -> None:
    """Print the peak memory of loading a file, and of one ten times as large."""
    for count in (messages // 10, messages):
        path = folder / str(count) / "12282022.NASDAQ_ITCH50"
        generate(path, messages=count, symbols=100)
        size = path.stat().st_size / 2**20
        with database() as conn:
            url = f"{conn.info.dsn} password={conn.info.password}"
            done = subprocess.run(
                [sys.executable, __file__, "--load", url, str(path)],
                check=True,
                capture_output=True,
                text=True,
            )
        path.unlink()
        stored, peak = map(int, done.stdout.split())
        assert stored == count
        verdict = "" if peak < MOST_MB else f"; TOO MUCH, the limit is {MOST_MB} MB"
        print(f"peak memory of loading {count:,} messages ({size:,.0f} MB): {peak} MB{verdict}")


if __name__ == "__main__":
    if sys.argv[1:2] == ["--load"]:
        load_and_report(sys.argv[2], Path(sys.argv[3]))
    else:
        given = [int(value) for value in sys.argv[1:]]
        with tempfile.TemporaryDirectory() as temporary:
            speed(Path(temporary), given[0] if given else 2_000_000)
            memory(Path(temporary), given[1] if len(given) > 1 else 10_000_000)
