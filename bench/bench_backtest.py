"""A backtest of 500 pairs over five years of daily bars: in SQL, in pandas and numpy, and in vectorbt.

The same rules, parameters and costs; equal orders are asserted, and the equity of every day. Each program
starts from the database and ends with every order and the equity of every day in the process. What it does:

in the database     reads the bars, with volumes and corporate actions, hashes them for the run's watermark,
                    decides and fills; half spread, slippage, fee and its minimum per order; stores the run,
                    a row per signal, order and execution, and the equity, all committed; the orders and the
                    equity are then fetched.
pandas and numpy    fetches closes and opens by binary COPY, the fastest way that psycopg has, and pivots them;
                    decides day by day over all pairs; half spread and fee per order; stores nothing.
numpy and vectorbt  the same fetch and decisions, orders of one stock and day as one; vectorbt executes them
                    and keeps the books, as its own signals know neither stops that wait nor a hedge ratio;
                    stores nothing. Left out where it is not installed.

CPU time is that of the process and of the server for the connection.

usage: bench_backtest.py [folder of sp500_daily] [rounds]; default ../shared/data/sp500_daily, 3 rounds
"""

from __future__ import annotations

import importlib.util
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd
import psycopg
from psycopg.types.json import Jsonb

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))
import pairs_reference as reference
from bench_load import database
from daily_bars import load_sp500

PAIRS = 500
CAPITAL = 1_000_000.0
DAY_S = 86_400.0
START, END = (
    datetime.fromisoformat("2013-02-08T00:00Z"),
    datetime.fromisoformat("2018-02-08T00:00Z"),
)
PARAMETERS = {
    "hedge_ratio": 1.0,
    "mean": None,
    "deviation": 0.04,
    "entry": 2.0,
    "exit": 0.5,
    "stop": 6.0,
    "half_life_s": 30 * DAY_S,
    "warm_up_s": 30 * DAY_S,
    "max_gap_s": 10 * DAY_S,
    "notional": 10_000.0,
}
COSTS = reference.Costs(half_spread_bps=2, fee_per_share=0.003)
# The impact needs a pass over each order's last twenty days; the comparison is of what all can do.
MODEL = {"impact_coefficient": 0}
FETCH = """
    copy (select b.instrument_id, b.ts, coalesce(b.open / 1e4::float8, 'NaN'), b.close / 1e4::float8
          from market._source_bars b where b.resolution = '1d' and b.close is not null)
    to stdout (format binary)
"""
ROW = np.dtype(
    [("n", ">i2"), ("l1", ">i4"), ("instrument", ">i4"), ("l2", ">i4"), ("ts", ">i8"),
     ("l3", ">i4"), ("open", ">f8"), ("l4", ">i4"), ("close", ">f8")]
)  # fmt: skip


@dataclass(frozen=True)
class Found:
    """What a program came to: signed quantity per order, by decision, pair and leg, and the equity."""

    quantities: npt.NDArray[np.float64]
    equity: npt.NDArray[np.float64]


def save_pairs(conn: psycopg.Connection) -> npt.NDArray[np.int64]:
    """Save pairs of instruments with every bar, next to each other by name; their legs."""
    symbols = [
        row[0]
        for row in conn.execute(
            """select i.symbol from market._source_bars b join ref.instruments i using (instrument_id)
               where b.open is not null group by i.symbol having count(*) = 1259 order by 1"""
        ).fetchall()
    ]
    count = len(symbols)
    chosen = [(n, (n + step) % count) for step in (1, 2) for n in range(count)][:PAIRS]
    for a, b in chosen:
        conn.execute(
            """select signal.save_pair(%s, %s, 'sp500', %s, '{}', '2012-01-01', '2013-01-01', '[]', 'x')""",
            (symbols[a], symbols[b], Jsonb(PARAMETERS)),
        )
    rows = conn.execute(
        "select instrument_a, instrument_b from signal.pairs order by pair_id"
    ).fetchall()
    return np.array(rows)


def fetch(conn: psycopg.Connection) -> tuple[npt.NDArray[np.float64], pd.DataFrame, pd.DataFrame]:
    """Return the times of the closes, and opens and closes by day and instrument."""
    with conn.cursor().copy(FETCH) as copy:
        content = b"".join(copy)
    # Between the header and the trailer.
    rows = np.frombuffer(content[19:-2], ROW)
    bars = pd.DataFrame({name: rows[name].astype(rows[name].dtype.newbyteorder("="))
                         for name in ("instrument", "ts", "open", "close")})  # fmt: skip
    opens = bars.pivot(index="ts", columns="instrument", values="open")
    closes = bars.pivot(index="ts", columns="instrument", values="close")
    midnight = pd.to_datetime(closes.index.to_numpy(), unit="us", origin="2000-01-01", utc=True)
    days = midnight.tz_convert("America/New_York").tz_localize(None) + pd.Timedelta(hours=16)
    seconds = (
        days.tz_localize("America/New_York").tz_convert("UTC").as_unit("ns").astype("int64") / 1e9
    )
    return np.asarray(seconds), opens, closes


def decide(
    conn: psycopg.Connection, legs: npt.NDArray[np.int64]
) -> tuple[reference.Fills, pd.DataFrame, npt.NDArray[np.float64]]:
    """Fetch, decide and fill in numpy."""
    seconds, opens, closes = fetch(conn)
    places = closes.columns.get_indexer(legs.ravel()).reshape(legs.shape)
    known = {
        name: np.full(len(legs), np.nan if value is None else value)
        for name, value in PARAMETERS.items()
    }
    prices, wide = closes.to_numpy(), opens.to_numpy()
    events = reference.decide(seconds, prices[:, places[:, 0]], prices[:, places[:, 1]], known)
    fills = reference.fill(events, places, wide, prices, np.empty((0, 0)), COSTS)
    return fills, closes, wide


def in_numpy(conn: psycopg.Connection, legs: npt.NDArray[np.int64]) -> Found:
    """Run the rules in numpy."""
    fills, closes, _ = decide(conn, legs)
    return Found(fills.quantity, reference.equity(fills, closes.to_numpy(), CAPITAL))


def in_vectorbt(conn: psycopg.Connection, legs: npt.NDArray[np.int64]) -> Found:
    """Run the rules in numpy, and their orders in vectorbt."""
    import vectorbt

    fills, closes, _ = decide(conn, legs)
    shape = closes.shape
    size, price, fees = np.zeros(shape), np.zeros(shape), np.zeros(shape)
    np.add.at(size, (fills.day, fills.instrument), fills.quantity)
    np.add.at(price, (fills.day, fills.instrument), fills.quantity * fills.price)
    np.add.at(fees, (fills.day, fills.instrument), fills.fee)
    with np.errstate(invalid="ignore", divide="ignore"):
        price = np.where(size != 0, price / size, np.nan)
    # Orders of one stock and day that cancel out cost what they differ by.
    marks = pd.DataFrame(reference.carry(closes.to_numpy()), columns=closes.columns).bfill()
    portfolio = vectorbt.Portfolio.from_orders(
        marks, np.where(size == 0, np.nan, size), price=np.where(np.isnan(price), marks, price),
        fixed_fees=fees, init_cash=1e12, cash_sharing=True, group_by=True, freq="1D",
    )  # fmt: skip
    lost = np.zeros(shape[0])
    paid = fills.quantity * fills.price
    np.add.at(lost, fills.day, paid)
    lost -= np.where(size != 0, size * price, 0).sum(axis=1)
    unsent = np.where(size == 0, fees, 0).sum(axis=1)
    equity = portfolio.value().to_numpy() - 1e12 - np.cumsum(lost + unsent)
    return Found(fills.quantity, CAPITAL + equity)


def in_sql(conn: psycopg.Connection, legs: npt.NDArray[np.int64]) -> Found:
    """Run the rules in the database."""
    row = conn.execute(
        "select run_id from backtest.run('pairs', %s, %s, %s, 'realistic')",
        (Jsonb({"feed": "sp500", "capital": CAPITAL, "costs": MODEL}), START, END),
    ).fetchone()
    assert row is not None
    orders = conn.execute(
        """select (case side when 'buy' then quantity else -quantity end)::float8
           from backtest.orders where run_id = %s order by order_id""",
        row,
        binary=True,
    ).fetchall()
    equity = conn.execute(
        "select equity::float8 from backtest.equity where run_id = %s order by as_of",
        row,
        binary=True,
    ).fetchall()
    return Found(np.array(orders)[:, 0], np.array(equity)[:, 0])


def main(folder: Path, rounds: int) -> None:
    """Print what each program costs, best of the rounds, which alternate."""
    with database() as conn:
        load_sp500(conn, folder.parent)
        legs = save_pairs(conn)
        conn.execute("vacuum analyze market._source_bars")
        ways: dict[str, Callable[[psycopg.Connection, npt.NDArray[np.int64]], Found]] = {
            "in the database": in_sql,
            "pandas and numpy": in_numpy,
        }
        if importlib.util.find_spec("vectorbt") is not None:
            ways["numpy and vectorbt"] = in_vectorbt
        server = Path(f"/proc/{conn.info.backend_pid}/schedstat")
        wall = dict.fromkeys(ways, float("inf"))
        cpu = dict.fromkeys(ways, float("inf"))
        expected = in_numpy(conn, legs)
        for _ in range(rounds):
            for name, way in ways.items():
                before = time.perf_counter(), time.process_time(), server.read_text().split()[0]
                found = way(conn, legs)
                spent = time.process_time() - before[1]
                spent += (int(server.read_text().split()[0]) - int(before[2])) / 1e9
                wall[name] = min(wall[name], time.perf_counter() - before[0])
                cpu[name] = min(cpu[name], spent)
                np.testing.assert_array_equal(found.quantities, expected.quantities)
                np.testing.assert_allclose(found.equity, expected.equity, atol=0.05)
        print(f"{len(legs)} pairs, {len(expected.equity)} days, {len(expected.quantities)} orders, "
              f"the same in each; final equity {expected.equity[-1]:.2f}")  # fmt: skip
        for name in ways:
            print(f"{name:20} {wall[name]:8.2f} s wall {cpu[name]:8.2f} s CPU")
        for name in list(ways)[1:]:
            print(
                f"ratio to {name:20} {wall['in the database'] / wall[name]:6.2f} wall "
                f"{cpu['in the database'] / cpu[name]:6.2f} CPU"
            )


if __name__ == "__main__":
    default = Path(__file__).resolve().parents[2] / "shared" / "data" / "sp500_daily"
    main(
        Path(sys.argv[1]) if len(sys.argv) > 1 else default,
        int(sys.argv[2]) if len(sys.argv) > 2 else 3,
    )
