"""Events per second of the rules of docs/rules.md over recorded ticks, against a bare read of them.

The bare read is `market.batch_ticks` of every batch with a sum over it: what anything that looks at
a batch's ticks pays. The floor is a single rule that compares every trade with a number and is never
true: the events' way into a rule, and one state. The examples are evaluated batch by batch (1 s, a
transaction each, states and matches saved), then scanned. Microseconds per event and rule by quarter
of the batches show whether the cost grows with the history. Times are CPU times of the server's
process, which what else the machine does leaves alone, and wall times.

usage: bench_rules.py [folder of lean archives] [minutes from the open]
"""

from __future__ import annotations

import re
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psycopg
from psycopg.types.json import Jsonb

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


def prepare(conn: psycopg.Connection, folder: Path) -> None:
    """Load the day and save the rules: the examples, and one that is never true."""
    loader.load(conn, "lean", sorted(folder.glob("*/20131007_*.zip")))
    for symbol in ("SPY", "JPM", "IBM", "AIG", "BAC"):
        add_instrument(conn, symbol)
    for example in EXAMPLES:
        # The archive has no quotes of SPY and no JPM.
        conn.execute(example.replace("SPY", "IBM").replace('"JPM"', '"SPY"'))
    conn.execute(
        "select signal.save_rule('floor', %s)",
        (Jsonb({"pattern": [{"on": "trade", "when": "price < 0"}]}),),
    )


def write_batches(conn: psycopg.Connection, minutes: int) -> tuple[object, list[int]]:
    """Open a session of the first minutes and write its batches; the session and their ids."""
    row = conn.execute(
        "select ops.open_session('replay', 'rules', 'lean', %s, %s)",
        (OPEN, OPEN + timedelta(minutes=minutes)),
    ).fetchone()
    assert row is not None
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


def enable(conn: psycopg.Connection, floor: bool) -> None:
    """Leave the rule of the floor to be evaluated, or the examples."""
    conn.execute(
        """select case when (r.rule = 'floor') = %s then signal.enable_rule(r.rule)
            else signal.disable_rule(r.rule) end
        from signal.rules r""",
        (floor,),
    )


def evaluate(
    conn: psycopg.Connection, session: object, ids: list[int]
) -> list[tuple[int, float, float]]:
    """Evaluate the rules in force on every batch; events, wall and CPU seconds by quarter."""
    clock, events, quarters = Clock(conn), 0, []
    for n, batch_id in enumerate(ids, 1):
        conn.execute("select signal.evaluate_rules(%s)", (batch_id,), prepare=True)
        if n == len(ids) or (n % (len(ids) // 4) == 0 and len(quarters) < 3):
            lap = clock.lap()
            row = conn.execute(
                "select sum(events) from signal.rule_batches where session_id = %s", (session,)
            ).fetchone()
            assert row is not None
            quarters.append((row[0] - events, *lap))
            events = row[0]
            clock.lap()
    return quarters


def total(quarters: list[tuple[int, float, float]]) -> tuple[float, float]:
    """Return the wall and CPU seconds of all quarters."""
    return sum(q[1] for q in quarters), sum(q[2] for q in quarters)


def report(
    events: int,
    bare: tuple[float, float],
    floor: tuple[float, float],
    quarters: list[tuple[int, float, float]],
    scanned: tuple[float, float],
) -> None:
    """Print events per second of each way, the ratios, and the cost by quarter."""
    count = len(EXAMPLES)
    for name, rules, (wall, cpu) in (
        ("bare read", 1, bare),
        ("one rule, never true", 1, floor),
        ("batch by batch", count, total(quarters)),
        ("scan and comparison", count, scanned),
    ):
        print(
            f"{name:20} {events / wall:10.0f} events/s wall {events / cpu:10.0f} CPU, "
            f"{cpu / bare[1]:6.1f} times the bare read, "
            f"{cpu / events / rules * 1e6:6.2f} us per event and rule (CPU)"
        )
    per_rule = [cpu / each / count * 1e6 for each, _, cpu in quarters]
    print(f"by quarter: {', '.join(f'{us:.2f}' for us in per_rule)} us per event and rule (CPU)")
    print(
        f"batch by batch / floor, per event and rule: {total(quarters)[1] / count / floor[1]:.2f}"
    )
    print(f"last quarter / first, per event: {per_rule[-1] / per_rule[0]:.2f}")


def main(folder: Path, minutes: int) -> None:
    """Load, evaluate and scan, and print the figures."""
    with database() as conn:
        prepare(conn, folder)
        conn.execute("set synchronous_commit = off")
        enable(conn, floor=True)
        session, ids = write_batches(conn, minutes)
        clock = Clock(conn)
        for batch_id in ids:
            conn.execute(
                "select count(*), sum(bid_price), sum(price) from market.batch_ticks(%s)",
                (batch_id,),
                prepare=True,
            )
        bare = clock.lap()
        floor = total(evaluate(conn, session, ids))
        enable(conn, floor=False)
        session, ids = write_batches(conn, minutes)
        quarters = evaluate(conn, session, ids)
        row = conn.execute(
            """select (select sum(events) from signal.rule_batches where session_id = %(session)s),
                (select count(*) from signal.rule_matches where session_id = %(session)s),
                (select count(*) from signal.rule_errors)""",
            {"session": session},
        ).fetchone()
        assert row is not None
        clock.lap()
        different = conn.execute("select * from signal.rule_parity(%s)", (session,)).fetchall()
        scanned = clock.lap()
    print(
        f"{row[0]} events in {len(ids)} batches, {len(EXAMPLES)} rules, "
        f"{row[1]} matches, {row[2]} errors"
    )
    report(row[0], bare, floor, quarters, scanned)
    print(f"differences between both ways: {len(different)}")


if __name__ == "__main__":
    default = Path(__file__).resolve().parents[2] / "shared" / "data" / "us_equity_ticks"
    main(
        Path(sys.argv[1]) if len(sys.argv) > 1 else default,
        int(sys.argv[2]) if len(sys.argv) > 2 else 10,
    )
