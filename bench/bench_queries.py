"""What the two commonest queries of one instrument cost with few and with many ticks stored.

Quotes are made in the server: five instruments, the same number of each on every day, so that more
rows are more days. Chunks and pages are what the query itself read; the planner's time grows with
the number of chunks that exist.

usage: bench_queries.py [millions of rows ...]; 1 and 10 by default
"""

from __future__ import annotations

import statistics
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))
from bench_load import database
from stored_ticks import QUERIES, store, touched

INSTRUMENTS = 5
EACH = 50_000
ROUNDS = 21


def main(millions: list[float]) -> None:
    """Print what each query costs at each size."""
    with database() as conn:
        conn.execute("set timezone = 'UTC'")
        for size in sorted(millions):
            days = max(1, round(size * 1e6 / INSTRUMENTS / EACH))
            began = time.perf_counter()
            end = store(conn, INSTRUMENTS, days, EACH)
            took = time.perf_counter() - began
            print(
                f"{days * INSTRUMENTS * EACH / 1e6:g} million quotes of {days} days ({took:.0f} s)"
            )
            for name, query in QUERIES.items():
                runs = [touched(conn, query, end) for _ in range(ROUNDS)]
                planning = statistics.median(run.planning_ms for run in runs)
                execution = statistics.median(run.execution_ms for run in runs)
                print(
                    f"  {name}: {runs[-1].chunks} chunk(s), {runs[-1].buffers} pages, "
                    f"planning {planning:.2f} ms, execution {execution:.2f} ms"
                )


if __name__ == "__main__":
    main([float(argument) for argument in sys.argv[1:]] or [1, 10])
