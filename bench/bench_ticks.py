"""A backtest of pairs over recorded quotes: in SQL, and in NautilusTrader's backtest engine.

The same quotes (regular hours, both sides there, not crossed), pairs, rules, fees and starting capital; the same
orders are asserted: pair, leg, time of the decision, event, signed quantity. Prices are compared and not
asserted, because the engine fills against sizes. Each program starts from the database: NautilusTrader's
quotes are fetched by binary COPY and handed over in a file of numpy's, the fastest way that psycopg has. Two grids:
a decision a second, and one at every millisecond that has a quote, which is all that the file tells apart.

NautilusTrader is run by the interpreter that NAUTILUS_PYTHON names, as its dependencies are its own;
`make bench-ticks` makes an environment for it. Without it the SQL is measured alone. CPU time is that of
the processes and of the server for the connection; best of the rounds, which alternate.

usage: bench_ticks.py [folder of lean archives] [rounds] [grids in seconds, by default 1,0.001]
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import combinations
from pathlib import Path

import numpy as np
import psycopg
from psycopg.types.json import Jsonb

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))
from bench_load import database
from pairs_by_quote import Trade, compare
from tsdb_trader.feeds import loader

SYMBOLS = ("AIG", "BAC", "IBM")
OPENS = (datetime(2013, 10, 7, 13, 30, tzinfo=UTC),)
HOURS = timedelta(hours=6, minutes=30)
CAPITAL, FEE_PER_SHARE = 1_000_000, 0.003
PARAMETERS = {
    "hedge_ratio": 1.0, "mean": None, "deviation": 0.0008, "entry": 2.0, "exit": 0.5, "stop": 6.0,
    "half_life_s": 600.0, "warm_up_s": 300.0, "max_gap_s": 300.0, "notional": 10_000.0,
}  # fmt: skip
QUOTES = " union all ".join(
    f"""select q.* from market._quotes q where q.ts > '{opens}' and q.ts <= '{opens + HOURS}'
            and q.bid_price > 0 and q.ask_price > 0 and q.bid_price <= q.ask_price"""
    for opens in OPENS
)
FETCH = f"""
    copy (select q.instrument_id, q.ts, q.bid_price, q.bid_size, q.ask_price, q.ask_size
          from ({QUOTES}) q order by q.instrument_id, q.ts, q.ns, q.source_id, q.seq)
    to stdout (format binary)
"""
# The server's times count from 2000.
EPOCH_US = round(datetime(2000, 1, 1, tzinfo=UTC).timestamp() * 1e6)
FIELDS = ("instrument", "us", "bid", "bid_size", "ask", "ask_size")
ROW = np.dtype(
    [("columns", ">i2")] + [
        part for name in FIELDS
        for part in (("length_" + name, ">i4"), (name, ">i4" if name == "instrument" else ">i8"))]
)  # fmt: skip
FIDELITY = """
What the figures leave out. NautilusTrader passes every quote through its matching engine and its cache, knows time
to the nanosecond, and keeps orders, fills and positions as objects in memory; resting orders, sizes, partial
fills, latency and queues can be simulated by it. Here a market order that is larger than the size at the best
price fills the rest one tick worse. backtest.run steps the strategy once per grid time with the last
quote of the interval, knows time to the microsecond (ties by the file's order), fills market orders whole at the sides
of that quote whatever their size, and has no resting orders, latency or queue. It stores every signal, order, execution
and equity point (one per grid time) durably; NautilusTrader's are gone with its process.
"""


@dataclass(frozen=True)
class Outcome:
    """What a program found, and seconds of wall and CPU time: all of it, and of that getting its quotes."""

    trades: list[Trade]
    whole: tuple[float, float]
    fetch: tuple[float, float]
    fees: float
    partial: int = 0


class Clock:
    """Wall time, and CPU time of this process and of the server for one connection."""

    def __init__(self, conn: psycopg.Connection) -> None:
        self._server = Path(f"/proc/{conn.info.backend_pid}/schedstat")
        self._began = self._read()

    def _read(self) -> tuple[float, float]:
        server = int(self._server.read_text().split()[0]) / 1e9
        return time.perf_counter(), time.process_time() + server

    def spent(self) -> tuple[float, float]:
        now = self._read()
        return now[0] - self._began[0], now[1] - self._began[1]


def prepare(conn: psycopg.Connection, folder: Path) -> int:
    """Load the quotes, save the pairs; the number of usable quotes in regular hours."""
    for opens in OPENS:
        loader.load(conn, "lean", sorted(folder.glob(f"*/{opens:%Y%m%d}_quote.zip")))
    for a, b in combinations(SYMBOLS, 2):
        conn.execute(
            "select signal.save_pair(%s, %s, 'lean', %s, '{}', '2013-10-01', '2013-10-02', '[]', 'x')",
            (a, b, Jsonb(PARAMETERS)),
        )
    conn.execute("vacuum analyze")
    # Workers' CPU time would be nobody's.
    conn.execute("set max_parallel_workers_per_gather = 0")
    row = conn.execute(f"select count(*) from ({QUOTES}) q").fetchone()
    assert row is not None
    return int(row[0])


def in_sql(conn: psycopg.Connection, grid: timedelta) -> Outcome:
    """Run the rules in the database, and read its orders."""
    parameters = Jsonb(
        {
            "source": "quotes", "feed": "lean", "grid": f"{grid.total_seconds()} seconds", "fill": "same",
            "capital": CAPITAL, "costs": {"fee_per_share": FEE_PER_SHARE, "fee_minimum": 0, "fee_bps": 0},
        }
    )  # fmt: skip
    window = OPENS[0], OPENS[-1] + HOURS
    clock = Clock(conn)
    run = conn.execute(
        "select run_id from backtest.run('pairs', %s, %s, %s, 'realistic')", (parameters, *window)
    ).fetchone()
    rows = conn.execute(
        """select o.pair_id, o.signal_leg, (extract(epoch from o.as_of) * 1000000)::bigint, o.event,
               (case o.side when 'buy' then o.quantity else -o.quantity end)::bigint, x.price::float8,
               x.fee::float8
           from backtest.orders o join backtest.executions x using (run_id, order_id)
           where o.run_id = %s order by o.order_id""",
        run,
    ).fetchall()
    whole = clock.spent()
    clock = Clock(conn)
    conn.execute(
        """select cardinality(s.times)
           from backtest._read_run('pairs', %(run)s, %(first)s, %(last)s) r (run)
           cross join lateral backtest._read_series(
               r.run, array(select distinct unnest(array[instrument_a, instrument_b]) from signal.pairs),
               %(first)s, %(last)s) s""",
        {"run": parameters, "first": window[0], "last": window[1]},
    ).fetchone()
    fetch = clock.spent()
    return Outcome([Trade(*row[:6]) for row in rows], whole, fetch, sum(row[6] for row in rows))


def in_nautilus(conn: psycopg.Connection, grid: timedelta, python: str) -> Outcome:
    """Fetch the quotes, and run the rules in NautilusTrader."""
    clock = Clock(conn)
    pairs = conn.execute(
        "select pair_id, instrument_a, instrument_b from signal.pairs order by pair_id"
    ).fetchall()
    symbols = conn.execute(
        "select instrument_id, symbol from ref.instruments where symbol = any (%s) order by 1",
        (list(SYMBOLS),),
    ).fetchall()
    instruments = [row[0] for row in symbols]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "quotes.npy"
        with conn.cursor().copy(FETCH) as copy:
            content = b"".join(copy)
        # Between the header and the trailer.
        rows = np.frombuffer(content[19:-2], ROW)
        quotes = np.empty(len(rows), [(name, "i8") for name in FIELDS])
        for name in FIELDS:
            quotes[name] = rows[name]
        quotes["us"] += EPOCH_US
        np.save(path, quotes)
        fetch = clock.spent()
        job = {
            "quotes": str(path), "instruments": instruments, "symbols": [row[1] for row in symbols],
            "grid_us": round(grid.total_seconds() * 1e6), "capital": CAPITAL, "fee_per_share": FEE_PER_SHARE,
            "days": [[round(t.timestamp() * 1e6) for t in (day, day + HOURS)] for day in OPENS],
            "pairs": [
                {"pair": n, "legs": [instruments.index(a), instruments.index(b)], "parameters": PARAMETERS}
                for n, a, b in pairs],
        }  # fmt: skip
        done = subprocess.run(
            [python, str(Path(__file__).parent / "_nautilus.py")],
            input=json.dumps(job), stdout=subprocess.PIPE, text=True, check=True,
        )  # fmt: skip
    found = json.loads(done.stdout)
    unfilled = [o for o in found["orders"] if o["filled"] != abs(o["quantity"]) or o["late_us"]]
    if unfilled:
        raise SystemExit(f"orders that were not filled whole and at once: {unfilled[:3]}")
    trades = [
        Trade(o["pair"], o["leg"], o["decided_us"], o["event"], o["quantity"], o["value"] / o["filled"])
        for o in found["orders"]
    ]  # fmt: skip
    ready = fetch[0] + found["load"][0], fetch[1] + found["load"][1]
    whole = ready[0] + found["run"][0], ready[1] + found["run"][1]
    fees, partial = (
        sum(o["fee"] for o in found["orders"]), sum(o["fills"] > 1 for o in found["orders"])
    )  # fmt: skip
    return Outcome(trades, whole, ready, fees, partial)


def show(name: str, events: int, best: dict[str, tuple[float, float]]) -> None:
    """Print events per second of a program."""
    for part, (wall, cpu) in best.items():
        print(
            f"{name:16} {part:12} {wall:8.2f} s wall {cpu:8.2f} s CPU {events / wall:12,.0f} events/s wall "
            f"{events / cpu:12,.0f} CPU"
        )


def check(ours: Outcome, theirs: Outcome) -> None:
    """End the benchmark if the decisions differ, and say how the prices do."""
    only_ours, only_theirs = compare(ours.trades, theirs.trades)
    if only_ours or only_theirs:
        raise SystemExit(
            f"{len(only_ours)} orders of the database alone, {len(only_theirs)} of NautilusTrader alone; "
            f"first: {only_ours[:2]} {only_theirs[:2]}"
        )
    prices = {t.decision: t.price for t in theirs.trades}
    paid = [t.quantity * (prices[t.decision] - t.price) for t in ours.trades]
    other = [p for p in paid if abs(p) > 1e-6]
    print(
        f"{len(ours.trades)} orders, equal in pair, leg, time, event and quantity; {len(other)} have another "
        f"price in NautilusTrader ({theirs.partial} were larger than the best price's size), {sum(paid):.2f} "
        f"dearer in all; fees {ours.fees:.2f}, there {theirs.fees:.2f} in whole cents a fill"
    )


def measure(
    conn: psycopg.Connection, grid: timedelta, events: int, rounds: int, python: str | None
) -> None:
    """Print what a grid costs each program, and the ratio."""
    ways: dict[str, Callable[[], Outcome]] = {"in the database": lambda: in_sql(conn, grid)}
    if python is not None:
        ways["NautilusTrader"] = lambda: in_nautilus(conn, grid, python)
    found: dict[str, list[Outcome]] = {name: [] for name in ways}
    for _ in range(rounds):
        for name, way in ways.items():
            found[name].append(way())
    print(f"grid of {grid.total_seconds():g} s, {events:,} quotes")
    best = {}
    for name, outcomes in found.items():
        whole = np.min([o.whole for o in outcomes], axis=0)
        engine = whole - np.min([o.fetch for o in outcomes], axis=0)
        # A difference that noise made negative is no figure.
        best[name] = {"whole": whole, "engine alone": np.where(engine > 0, engine, np.nan)}
    for name in ways:
        show(name, events, best[name])
    if python is None:
        return
    check(found["in the database"][-1], found["NautilusTrader"][-1])
    for part in ("whole", "engine alone"):
        wall, cpu = best["NautilusTrader"][part] / best["in the database"][part]
        print(
            f"events/s of the database over NautilusTrader's, {part}: {wall:.2f} wall {cpu:.2f} CPU"
        )


def main(folder: Path, rounds: int, grids: list[timedelta]) -> None:
    python = os.environ.get("NAUTILUS_PYTHON")
    if python is None:
        print("NautilusTrader is left out: NAUTILUS_PYTHON names no interpreter (make bench-ticks)")
    with database() as conn:
        events = prepare(conn, folder)
        for grid in grids:
            measure(conn, grid, events, rounds, python)
    if python is not None:
        print(FIDELITY)


if __name__ == "__main__":
    default = Path(__file__).resolve().parents[2] / "shared" / "data" / "us_equity_ticks"
    main(
        Path(sys.argv[1]) if len(sys.argv) > 1 else default,
        int(sys.argv[2]) if len(sys.argv) > 2 else 3,
        [
            timedelta(seconds=float(g))
            for g in (sys.argv[3] if len(sys.argv) > 3 else "1,0.001").split(",")
        ],
    )
