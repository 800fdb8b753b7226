"""What a batch costs the strategies: signal.on_batch for 500 pairs all of whose legs changed, p50 and p99.

The limit is what no implementation can do without: the same 500 states written once more, in one bare statement
over the states of the batch before, interleaved with the batches. The same again for 500 instances of s_score, whose
states are jsonb. Times are of the whole call as its client sees it, committed without waiting for the disk, as
ops.consume_batch commits batches without signals.
"""

from __future__ import annotations

import random
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

import psycopg
from psycopg.types.json import Jsonb

from _rig import percentiles
from tsdb_trader import embedded, schema

PAIRS, STOCKS, WARM_UP = 500, 300, 70  # a window of s_score is full before the warm-up ends
BATCHES = {"pairs": 400, "s_score": 170}
START = datetime(2013, 10, 8, 14, 0, tzinfo=UTC)
PAIR = {
    "hedge_ratio": 1.0, "mean": 0.0, "deviation": 0.001, "entry": 2.0, "exit": 0.5, "stop": 6.0,
    "half_life_s": 600.0, "warm_up_s": 0.0, "max_gap_s": 300.0, "notional": 10_000.0,
}  # fmt: skip
S_SCORE = {
    "sample_s": 1, "window": 60, "entry": 1.25, "exit_long": 0.5, "exit_short": 0.75,
    "max_reversion": 30, "notional": 10_000,
}  # fmt: skip


@contextmanager
def database() -> Iterator[psycopg.Connection]:
    """Yield a connection to a migrated database that is dropped afterwards."""
    server = embedded.ensure_running()
    name = f"tsdb_bench_{uuid.uuid4().hex[:8]}"
    server.create_database(name)
    try:
        schema.migrate(server.url(database=name))
        with psycopg.connect(server.url(database=name), autocommit=True) as conn:
            conn.execute("set synchronous_commit = off")
            yield conn
    finally:
        server.drop_database(name)


def prepare(conn: psycopg.Connection) -> list[tuple[int, int]]:
    """Store the stocks and return the pairs of their numbers."""
    conn.execute("insert into ops.feeds (feed, format) values ('bench', 'test')")
    conn.execute(
        "insert into ref.instruments (symbol) select 'S' || n from generate_series(1, %s) n",
        (STOCKS,),
    )
    rng = random.Random(1)
    pairs: set[tuple[int, int]] = set()
    while len(pairs) < PAIRS:
        a, b = sorted(rng.sample(range(1, STOCKS + 1), 2))
        pairs.add((a, b))
    return sorted(pairs)


def open_session(conn: psycopg.Connection, strategy: str, pairs: list[tuple[int, int]]) -> str:
    """Save the pairs for a strategy and return a session that trades them alone."""
    ids = [
        conn.execute(
            "select signal.save_pair(%s, %s, 'bench', %s, '{}', %s, %s, '[]', 'bench')",
            (f"S{a}", f"S{b}", Jsonb(PAIR), START - timedelta(days=2), START - timedelta(days=1)),
        ).fetchone()[0]
        if strategy == "pairs"
        else conn.execute(
            "select signal.save_instance('s_score', %s, 'bench', %s, '{}', %s)",
            ([f"S{a}", f"S{b}"], Jsonb(S_SCORE), START - timedelta(days=1)),
        ).fetchone()[0]
        for a, b in pairs
    ]
    session = conn.execute(
        "select ops.open_session('replay', 'bench', 'bench', %s, %s)",
        (START, START + timedelta(days=1)),
    ).fetchone()[0]
    conn.execute("select signal.bind_pairs(%s, 'main', %s)", (session, ids))
    return str(session)


def write_batch(conn: psycopg.Connection, session: str, number: int, prices: list[float]) -> int:
    """Write a batch in which every stock has a quote; its id."""
    as_of = START + timedelta(seconds=number)
    batch = conn.execute(
        """insert into market.batches (session_id, batch_no, from_ts, as_of, quote_count, trade_count, digest)
           values (%s, %s, %s, %s, %s, 0, 0) returning batch_id""",
        (session, number, as_of - timedelta(seconds=1), as_of, STOCKS),
    ).fetchone()[0]
    conn.execute(
        """insert into market.batch_quotes
               (as_of, session_id, batch_id, batch_no, instrument_id, feed_id, source_id, seq, ts, ns,
                bid_price, bid_size, ask_price, ask_size)
           select %s, %s, %s, %s, i.instrument_id, 1, 1, %s, %s, 0, round(p.price * 10000) - 50, 100,
               round(p.price * 10000) + 50, 100
           from unnest(%s::float8[]) with ordinality p (price, n)
           join ref.instruments i on i.symbol = 'S' || p.n""",
        (as_of, session, batch, number, number, as_of, prices),
    )
    return int(batch)


def clock(conn: psycopg.Connection, statement: str, *arguments: object) -> tuple[float, object]:
    """Run a statement; seconds and its value."""
    began = time.perf_counter()
    row = conn.execute(statement, arguments).fetchone()
    return time.perf_counter() - began, None if row is None else row[0]


def measure(conn: psycopg.Connection, strategy: str, pairs: list[tuple[int, int]]) -> None:
    """Print what batches cost a strategy."""
    session = open_session(conn, strategy, pairs)
    table, key = (
        ("signal.pair_states", "pair_id") if strategy == "pairs"
        else ("signal.instance_states", "instance_id")
    )  # fmt: skip
    bare = (
        f"with saved as (insert into {table} (session_id, {key}, batch_id, batch_no, state) "
        f"select session_id, {key}, batch_id, batch_no, state from {table} where session_id = %s "
        f"on conflict (session_id, {key}) do update set batch_id = excluded.batch_id, "
        "batch_no = excluded.batch_no, state = excluded.state returning 1) select count(*) from saved"
    )
    rng = random.Random(2)
    level = [0.0] * STOCKS
    steps, writes, signals = [], [], 0
    for number in range(1, BATCHES[strategy] + 1):
        market = 0.01 * rng.gauss(0, 1)
        level = [x - 0.05 * x + rng.gauss(0, 0.0003) for x in level]
        prices = [50 * (1 + x) * (1 + market) for x in level]
        batch = write_batch(conn, session, number, prices)
        took, count = clock(conn, "select signal.on_batch(%s)", batch)
        wrote, rows = clock(conn, bare, session)
        assert rows == PAIRS
        if number > WARM_UP:
            steps.append(took)
            writes.append(wrote)
            signals += int(str(count))
    p50, p99 = percentiles(steps)
    limit50, limit99 = percentiles(writes)
    print(
        f"{strategy}: on_batch of {PAIRS} with every leg changed p50 {p50:.1f} ms, p99 {p99:.1f} ms; "
        f"the states alone p50 {limit50:.1f} ms, p99 {limit99:.1f} ms; ratio {p50 / limit50:.1f} and "
        f"{p99 / limit99:.1f}; {signals} signals in {len(steps)} batches"
    )


def main() -> None:
    with database() as conn:
        pairs = prepare(conn)
        for strategy in BATCHES:
            measure(conn, strategy, pairs)


if __name__ == "__main__":
    main()
