"""Rules over recorded ticks: batch by batch, scanned, and in numpy."""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from pathlib import Path
from uuid import UUID

import numpy as np
import psycopg
import pytest

from factories import add_instrument
from rule_market import at, parity, run
from tsdb_trader import schema
from tsdb_trader.feeds import loader

MINUTES = 6
EXAMPLES = re.findall(
    r"```sql\n(select signal\.save_rule.*?)```",
    (schema.root() / "docs" / "rules.md").read_text(),
    re.DOTALL,
)


@pytest.fixture
def session(conn: psycopg.Connection, data_folder: Path) -> UUID:
    """Return a session over recorded ticks of the opening, evaluated in uneven batches."""
    ticks = data_folder / "us_equity_ticks"
    files = [
        ticks / s / f"20131007_{kind}.zip" for s in ("aig", "bac") for kind in ("quote", "trade")
    ]
    loader.load(conn, "lean", [*files, ticks / "spy" / "20131007_trade.zip"])
    for symbol in ("SPY", "JPM"):
        add_instrument(conn, symbol)
    for example in EXAMPLES:
        conn.execute(example)
    row = conn.execute(
        "select ops.open_session('replay', 'real', 'lean', %s, %s)", (at(-1), at(3_600_000))
    ).fetchone()
    assert row is not None
    rng = np.random.default_rng(5)
    run(conn, row[0], np.cumsum(rng.integers(1, 4000, MINUTES * 30)).tolist())
    return UUID(str(row[0]))


@pytest.mark.needs_data
def test_rules_over_recorded_ticks_find_the_same_scanned_and_in_numpy(
    conn: psycopg.Connection, session: UUID
) -> None:
    assert parity(conn, session) == []
    assert conn.execute("select message from signal.rule_errors").fetchall() == []
    counts = dict(
        conn.execute(
            "select rule, count(*) from signal.rule_matches join signal.rules using (rule_id) group by 1"
        ).fetchall()
    )
    assert len(counts) >= 5, counts

    row = conn.execute("select max(as_of) from market.batches").fetchone()
    assert row is not None
    for symbol in ("AIG", "BAC", "SPY"):
        ts, price = trades(conn, symbol, row[0])
        rising = (
            np.flatnonzero(
                (np.diff(price)[2:] > 0) & (np.diff(price)[1:-1] > 0) & (np.diff(price)[:-2] > 0)
            )
            + 3
        )
        assert found(conn, "three_rising", symbol) == cooled(ts, rising, 1_000_000)
        first = np.searchsorted(ts, ts - 1_000_000, side="right")
        # Later trades of the same microsecond are not there yet.
        burst = np.flatnonzero(np.arange(len(ts)) - first + 1 >= 20)
        assert found(conn, "trade_burst", symbol) == cooled(ts, burst, 10_000_000)


def trades(conn: psycopg.Connection, symbol: str, until: datetime) -> tuple[np.ndarray, np.ndarray]:
    """Return times in microseconds after the open and prices of all trades, in their order."""
    rows = conn.execute(
        """select t.ts, t.price from market.trades t
        where t.instrument_id = ref.instrument_id(%s) and t.ts > %s and t.ts <= %s
        order by t.ts, t.ns, t.feed_id, t.source_id, t.seq""",
        (symbol, at(-1), until),
    ).fetchall()
    ts = np.array([(t - at(0)) // timedelta(microseconds=1) for t, _ in rows])
    return ts, np.array([p for _, p in rows])


def found(conn: psycopg.Connection, rule: str, symbol: str) -> list[int]:
    """Return the times of a rule's matches, in microseconds after the open."""
    rows = conn.execute(
        """select m.as_of from signal.rule_matches m join signal.rules using (rule_id)
        where rule = %s and instrument_id = ref.instrument_id(%s) order by 1""",
        (rule, symbol),
    ).fetchall()
    return [(t - at(0)) // timedelta(microseconds=1) for (t,) in rows]


def cooled(ts: np.ndarray, places: np.ndarray, cooldown: int) -> list[int]:
    """Return the times of those that are no sooner than the cooldown after the one before."""
    kept: list[int] = []
    for time in ts[places].tolist():
        if not kept or time - kept[-1] >= cooldown:
            kept.append(time)
    return kept
