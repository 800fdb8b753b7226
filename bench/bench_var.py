"""Value at risk of 500 positions over 500 days of real daily closes: in the database, and in numpy.

Both start from what `risk.prepare_var` keeps. numpy fetches the returns as arrays, in binary, which
is the fastest of psycopg's own ways; the second ratio is to numpy alone, with everything in memory.
Rounds alternate and the best of each counts, so that what else the machine does hits all alike; CPU
time is that of this process and of the server's together.

usage: bench_var.py [folder of sp500_daily]; default ../shared/data/sp500_daily
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import psycopg
from scipy import stats

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))
from bench_load import database
from daily_bars import load_sp500
from tsdb_trader.research import factors

ROUNDS = 15
POSITIONS = 500
AS_OF = datetime(2018, 2, 8, 14, 30, tzinfo=UTC)
IN_SQL = """
    with pnl as materialized (
        select risk._unpack(sum(w.packed * round((p.value / g.gross * 1e12)::numeric)),
            500, min(g.gross) / 1e12) as pnl
        from bench_positions p
        join risk._windows w on w.instrument_id = p.instrument_id and w.set_id = %(set)s
        cross join (select sum(abs(value)) as gross from bench_positions) g)
    select risk.var_historical(pnl, 0.99),
        risk._normal_quantile(0.99) * (select sqrt(avg(p * p)) from unnest(pnl) p)
    from pnl
"""
FETCH = """
    select w.returns, p.value from bench_positions p
    join risk._windows w on w.instrument_id = p.instrument_id and w.set_id = %(set)s
    order by p.instrument_id
"""


class Clock:
    """Wall and CPU time, the latter of this process and of the server's for one connection."""

    def __init__(self, conn: psycopg.Connection) -> None:
        self._path = Path(f"/proc/{conn.info.backend_pid}/schedstat")

    def read(self) -> tuple[float, float]:
        """Return seconds of wall and of CPU time."""
        server = int(self._path.read_text().split()[0]) / 1e9
        return time.perf_counter(), time.process_time() + server


def figures(returns: np.ndarray, values: np.ndarray) -> tuple[float, float]:
    """Return historical and parametric value at risk."""
    pnl = values @ returns
    return float(-np.quantile(pnl, 1 - 0.99)), float(
        stats.norm.ppf(0.99) * np.sqrt((pnl * pnl).mean())
    )


def main(folder: Path) -> None:
    """Print what each way costs, and the ratios."""
    with database() as conn:
        load_sp500(conn, folder.parent)
        factors.refresh(conn)
        chosen = {"set": factors.prepare(conn, AS_OF)[0]}
        conn.execute(
            """create table bench_positions as
               select instrument_id, (10000 * (1 + instrument_id %% 97)
                   * (case when instrument_id %% 3 = 0 then -1 else 1 end))::float8 as value
               from risk._windows where set_id = %s and reason is null
               order by instrument_id limit %s""",
            (chosen["set"], POSITIONS),
        )
        conn.execute("analyze bench_positions")

        def fetched() -> tuple[float, float]:
            rows = conn.execute(FETCH, chosen, binary=True).fetchall()
            return figures(np.array([r for r, _ in rows]), np.array([v for _, v in rows]))

        def in_sql() -> tuple[float, float]:
            row = conn.execute(IN_SQL, chosen).fetchone()
            assert row is not None
            return row[0], row[1]

        rows = conn.execute(FETCH, chosen, binary=True).fetchall()
        held = np.array([r for r, _ in rows]), np.array([v for _, v in rows])
        ways: dict[str, Callable[[], tuple[float, float]]] = {
            "in the database": in_sql,
            "numpy with the fetch": fetched,
            "numpy alone": lambda: figures(*held),
        }
        clock = Clock(conn)
        wall = dict.fromkeys(ways, float("inf"))
        cpu = dict.fromkeys(ways, float("inf"))
        for _ in range(ROUNDS):
            for name, way in ways.items():
                before = clock.read()
                answer = way()
                after = clock.read()
                wall[name] = min(wall[name], after[0] - before[0])
                cpu[name] = min(cpu[name], after[1] - before[1])
                assert np.allclose(answer, figures(*held), rtol=1e-6), name
        print(f"{len(rows)} positions, {held[0].shape[1]} days, historical and parametric")
        for name in ways:
            print(f"{name:22} {wall[name] * 1e3:9.3f} ms wall {cpu[name] * 1e3:9.3f} ms CPU")
        for other in ("numpy with the fetch", "numpy alone"):
            print(
                f"ratio to {other:20} {wall['in the database'] / wall[other]:7.2f} wall "
                f"{cpu['in the database'] / cpu[other]:7.2f} CPU"
            )


if __name__ == "__main__":
    default = Path(__file__).resolve().parents[2] / "shared" / "data" / "sp500_daily"
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else default)
