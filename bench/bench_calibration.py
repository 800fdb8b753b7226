"""Calibration of all pairs of the S&P 500 file's full-length symbols over five years of real closes.

Three figures, each with its limit of the same run:

- the statistics of all pairs (distance, Engle-Granger, half-life), against the matrix products that
  they cannot do without, and against statsmodels' `coint` pair by pair;
- the whole of it, from the bars in the database to the saved pairs, against the statistics alone;
- the peak of the process's memory.

Rounds alternate and the best of each counts, so that what else the machine does hits all alike.

usage: bench_calibration.py [folder of sp500_daily]; default ../shared/data/sp500_daily
"""

from __future__ import annotations

import resource
import sys
import time
from collections.abc import Callable
from datetime import date
from pathlib import Path

import numpy as np
from statsmodels.tsa.stattools import coint

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))
from bench_load import database
from daily_bars import load_sp500, sp500_closes
from tsdb_trader.research import cointegration, walk_forward
from tsdb_trader.research.formation import Rules
from tsdb_trader.research.periods import Period
from tsdb_trader.research.walk_forward import Settings

ROUNDS = 7
SAMPLE = 100
# Distance, covariance, and of three terms of the Dickey-Fuller regression three squares and three
# mixed sums, each of which needs both products.
PRODUCTS = 2 + 3 + 2 * 3
PERIOD = Period(date(2013, 2, 8), date(2018, 2, 8), None)


def timed(work: Callable[[], object]) -> tuple[float, float]:
    """Return wall and CPU seconds."""
    wall, cpu = time.perf_counter(), time.process_time()
    work()
    return time.perf_counter() - wall, time.process_time() - cpu


def products(values: np.ndarray) -> None:
    """Multiply what the statistics multiply, block by block, and nothing else."""
    block = cointegration._BLOCK
    for start in range(0, values.shape[0], block):
        for _ in range(PRODUCTS):
            values[start : start + block] @ values[start:].T


def one_by_one(logs: np.ndarray, pairs: np.ndarray) -> None:
    """Test pairs with statsmodels."""
    for a, b in pairs:
        coint(logs[a], logs[b], trend="c", maxlag=1, autolag=None)


def show(done: int, of: int) -> None:
    """Show on a terminal how far the pairs are."""
    if sys.stderr.isatty():
        print(f"\r{done:,} of {of:,} pairs", end="\n" if done == of else "", file=sys.stderr)


def main(folder: Path) -> None:
    """Print rates, ratios and memory."""
    frame = sp500_closes(folder.parent).dropna(axis=1)
    closes = np.ascontiguousarray(frame.to_numpy().T)
    logs = np.log(closes)
    count = closes.shape[0] * (closes.shape[0] - 1) // 2
    drawn = np.random.default_rng(1).choice(closes.shape[0], (SAMPLE, 2))
    drawn = drawn[drawn[:, 0] != drawn[:, 1]]
    runs: dict[str, list[tuple[float, float]]] = {"statistics": [], "products": [], "coint": []}
    for _ in range(ROUNDS):
        runs["products"].append(timed(lambda: products(logs)))
        runs["statistics"].append(timed(lambda: cointegration.all_pairs(closes)))
        runs["coint"].append(timed(lambda: one_by_one(logs, drawn)))
    best = {name: np.min(times, axis=0) for name, times in runs.items()}
    print(f"{closes.shape[0]} symbols, {closes.shape[1]} days, {count:,} pairs")
    print(f"{'':<12}{'wall s':>9}{'CPU s':>9}{'pairs/s':>12}{'pairs/CPU s':>13}")
    for name, pairs in (("products", count), ("statistics", count), ("coint", len(drawn))):
        wall, cpu = best[name]
        print(f"{name:<12}{wall:>9.3f}{cpu:>9.3f}{pairs / wall:>12,.0f}{pairs / cpu:>13,.0f}")
    share = best["products"][1] / best["statistics"][1]
    faster = (best["coint"][1] / len(drawn)) / (best["statistics"][1] / count)
    print(f"of the bare products' rate, CPU time: {share:.2f}")
    print(f"against statsmodels, CPU time: {faster:,.0f} times as fast")

    with database() as conn:
        load_sp500(conn, folder.parent)
        settings = Settings(rules=Rules(max_missing=0), every_months=None)
        whole, cpu = timed(
            lambda: walk_forward.calibrate(conn, "sp500", PERIOD, settings, progress=show)
        )
        row = conn.execute("select symbols, tested, kept from signal.calibrations").fetchone()
    print(f"bars to saved pairs: {whole:.1f} s, CPU {cpu:.1f} s (without the server's); {row}")
    print(f"peak memory: {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MB")


if __name__ == "__main__":
    default = Path(__file__).resolve().parents[2] / "shared" / "data" / "sp500_daily"
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else default)
