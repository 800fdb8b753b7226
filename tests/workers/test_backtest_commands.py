"""`tsdb-trader backtest` from end to end: run, sweep, compare, check."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import psycopg
import pytest
from psycopg.types.json import Jsonb

from daily_bars import add_frames
from workers.command_line import Run, runner

WINDOW = ("--from", "2014-01-01T00:00Z", "--to", "2014-12-01T00:00Z")
DAY_S = 86_400.0


@pytest.fixture
def run(at_test_database: None, capsys: pytest.CaptureFixture[str]) -> Run:
    """Return a function that runs `tsdb-trader backtest` in this process."""
    return runner(capsys, "backtest")


@pytest.fixture
def _pair(conn: psycopg.Connection) -> None:
    rng = np.random.default_rng(2)
    days = pd.bdate_range("2013-11-01", "2014-12-31").date
    spread = np.zeros(len(days))
    for day in range(1, len(days)):
        spread[day] = 0.85 * spread[day - 1] + rng.normal(0, 0.02)
    frames = {
        symbol: pd.DataFrame({"open": closes, "close": closes, "volume": 10_000}, index=days)
        for symbol, closes in (("A", 50 * np.exp(spread)), ("B", np.full(len(days), 50.0)))
    }
    add_frames(conn, frames)
    parameters = {"hedge_ratio": 1, "mean": None, "deviation": 0.03, "entry": 2, "exit": 0.5,
                  "stop": 9, "half_life_s": 40 * DAY_S, "warm_up_s": 5 * DAY_S,
                  "max_gap_s": 8 * DAY_S, "notional": 10_000}  # fmt: skip
    conn.execute(
        "select signal.save_pair('A', 'B', 'daily', %s, '{}', '2013-12-01', '2014-01-01', '[]', 'x')",
        (Jsonb(parameters),),
    )


@pytest.mark.usefixtures("_pair")
def test_backtest_runs_with_or_without_the_word_run(run: Run) -> None:
    plain = run("pairs", *WINDOW, "--set", "entry=1.5", "--json")
    named = run("run", "pairs", *WINDOW, "--set", "entry=1.5", "--json")
    assert (plain.status, named.status) == (0, 0)
    first, second = json.loads(plain.out), json.loads(named.out)
    assert first["trades"] == second["trades"] > 4
    compared = run("compare", str(first["run_id"]), str(second["run_id"]))
    assert compared.status == 0
    assert "signals_alone" in compared.out
    assert "parameter" not in compared.out


@pytest.mark.usefixtures("_pair")
def test_sweep_on_several_connections_gives_what_one_gives(
    run: Run, conn: psycopg.Connection
) -> None:
    done = run(
        "sweep", "pairs", *WINDOW, "--grid", "entry=1,1.5,2", "--grid", "exit=0,0.5",
        "--connections", "3", "--blocks", "8", "--json",
    )  # fmt: skip
    assert done.status == 0, done.err
    report = json.loads(done.out)
    assert len(report["runs"]) == report["best"]["trials"] == 6
    assert report["best"]["run_id"] == report["runs"][0]["run_id"]
    alone = conn.execute(
        """select point, trades, sharpe from backtest.sweep('pairs', '{}',
               '{"entry": [1, 1.5, 2], "exit": [0, 0.5]}', '2014-01-01', '2014-12-01')"""
    ).fetchall()
    assert {json.dumps(p, sort_keys=True): (t, s) for p, t, s in alone} == {
        json.dumps(r["point"], sort_keys=True): (r["trades"], r["sharpe"]) for r in report["runs"]
    }


@pytest.mark.usefixtures("_pair")
def test_check_of_a_clean_strategy_finds_nothing(run: Run) -> None:
    done = run("check", "pairs", *WINDOW)
    assert (done.status, done.out) == (0, "nothing found\n")


@pytest.mark.parametrize(
    ("arguments", "status", "message"),
    [
        (("pears", *WINDOW), 5, 'mean "pairs"'),
        (("pairs", *WINDOW, "--set", "entry"), 5, "write it as entry=2.5"),
        (("sweep", "pairs", *WINDOW, "--grid", "entry"), 5, "write it as entry=1.5,2,2.5"),
        (("sweep", "pairs", *WINDOW), 2, "Missing option"),
        (("compare", "1", "2"), 5, "run 1 does not exist"),
        (("compare", "1"), 2, "Missing argument"),
    ],
)
@pytest.mark.usefixtures("_pair")
def test_backtest_wrong_input_is_one_line(
    run: Run, arguments: tuple[str, ...], status: int, message: str
) -> None:
    done = run(*arguments)
    assert done.status == status
    assert message in done.err
    assert "Traceback" not in done.err
