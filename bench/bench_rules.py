"""Events per second of the rules of docs/rules.md over a recorded day, against a bare read of them.

The bare read is `market.batch_ticks` of every batch with a sum over it: what anything that looks at
a batch's ticks pays. Rules are evaluated batch by batch (1 s, a transaction each, states and matches
saved), then scanned over the whole day. Microseconds per event and rule by quarter of the events
show whether the cost grows with the history. Times are CPU times of the server's process, which what
else the machine does leaves alone, and wall times.

usage: bench_rules.py [folder of lean archives] [minutes of the day]
"""

from __future__ import annotations

import re
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psycopg

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))
from bench_load import database
from factories import add_instrument
from tsdb_trader import schema
from tsdb_trader.feeds import loader

OPEN = datetime(2013, 10, 7, 13, 30, tzinfo=UTC)
EXAMPLES = re.findall(
    r"```sql\n(select signal\.save_rule.*?)```",
    (schema.root() / "docs" / "rules.md").read_text(),
    re.DOTALL,
)


class Clock:
    """Wall time, and CPU time of the server's process for one connection."""

    def __init__(self, conn: psycopg.Connection) -> None:
        self._path = Path(f"/proc/{conn.info.backend_pid}/schedstat")
        self._last = self._read()

    def _read(self) -> tuple[float, float]:
        return time.perf_counter(), int(self._path.read_text().split()[0]) / 1e9

    def lap(self) -> tuple[float, float]:
        """Return seconds of wall and of CPU time since the last lap."""
        now = self._read()
        last, self._last = self._last, now
        return now[0] - last[0], now[1] - last[1]


def prepare(conn: psycopg.Connection, folder: Path, minutes: int) -> tuple[object, list[int]]:
    """Load the day, save the rules and write the batches; the session and its batches' ids."""
    loader.load(conn, "lean", sorted(folder.glob("*/20131007_*.zip")))
    for symbol in ("SPY", "JPM", "IBM", "AIG", "BAC"):
        add_instrument(conn, symbol)
    for example in EXAMPLES:
        # The archive has no quotes of SPY and no JPM.
        conn.execute(example.replace("SPY", "IBM").replace('"JPM"', '"SPY"'))
    row = conn.execute(
        "select ops.open_session('replay', 'rules', 'lean', %s, %s)",
        (OPEN, OPEN + timedelta(minutes=minutes)),
    ).fetchone()
    assert row is not None
    conn.execute("vacuum analyze")
    ids = []
    for second in range(minutes * 60):
        batch = conn.execute(
            "select market.write_batch(%s, %s, %s)",
            (row[0], OPEN + timedelta(seconds=second), OPEN + timedelta(seconds=second + 1)),
        ).fetchone()
        assert batch is not None
        if batch[0] is not None:
            ids.append(batch[0])
    conn.execute("vacuum analyze")
    return row[0], ids


def main(folder: Path, minutes: int) -> None:
    """Print events per second of each way, the ratios, and the cost by quarter."""
    with database() as conn:
        session, ids = prepare(conn, folder, minutes)
        conn.execute("set synchronous_commit = off")
        clock = Clock(conn)
        for batch_id in ids:
            conn.execute(
                "select count(*), sum(bid_price), sum(price) from market.batch_ticks(%s)",
                (batch_id,),
                prepare=True,
            )
        bare = clock.lap()
        events, quarters = 0, []
        for n, batch_id in enumerate(ids):
            conn.execute("select signal.evaluate_rules(%s)", (batch_id,), prepare=True)
            if (n + 1) % max(len(ids) // 4, 1) == 0:
                row = conn.execute("select sum(events) from signal.rule_batches").fetchone()
                assert row is not None
                quarters.append((row[0] - events, *clock.lap()))
                events = row[0]
        row = conn.execute(
            "select (select sum(events) from signal.rule_batches),"
            " (select count(*) from signal.rule_matches), (select count(*) from signal.rule_errors)"
        ).fetchone()
        assert row is not None
        total, matches, failed = row
        evaluated = sum(q[1] for q in quarters), sum(q[2] for q in quarters)
        clock.lap()
        different = conn.execute("select * from signal.rule_parity(%s)", (session,)).fetchall()
        scanned = clock.lap()
    count = len(EXAMPLES)
    print(
        f"{total} events in {len(ids)} batches, {count} rules, {matches} matches, {failed} errors"
    )
    for name, (wall, cpu) in {
        "bare read": bare,
        "batch by batch": evaluated,
        "scan and comparison": scanned,
    }.items():
        print(
            f"{name:20} {total / wall:10.0f} events/s wall {total / cpu:10.0f} CPU, "
            f"{cpu / bare[1]:6.1f} times the bare read"
        )
    for n, (each, _, cpu) in enumerate(quarters, 1):
        print(
            f"quarter {n}: {each} events, {cpu / each / count * 1e6:6.2f} us per event and rule (CPU)"
        )
    print(
        f"last quarter / first, per event: {quarters[-1][2] / quarters[-1][0] / (quarters[0][2] / quarters[0][0]):.2f}"
    )
    print(f"differences between both ways: {len(different)}")


if __name__ == "__main__":
    default = Path(__file__).resolve().parents[2] / "shared" / "data" / "us_equity_ticks"
    main(
        Path(sys.argv[1]) if len(sys.argv) > 1 else default,
        int(sys.argv[2]) if len(sys.argv) > 2 else 390,
    )
