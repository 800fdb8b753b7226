"""`tsdb-trader backtest` from end to end: run, sweep, compare, check."""

from __future__ import annotations

import json
import sys

import psycopg
import pytest

from tsdb_trader.config import settings
from workers.command_line import Run, runner
from workers.sweep_data import WINDOW, load_pair


@pytest.fixture
def run(at_test_database: None, capsys: pytest.CaptureFixture[str]) -> Run:
    """Return a function that runs `tsdb-trader backtest` in this process."""
    return runner(capsys, "backtest")


@pytest.fixture
def _pair(conn: psycopg.Connection) -> None:
    load_pair(conn)


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
def test_sweep_with_points_that_fail_keeps_them_and_runs_the_others(
    run: Run, conn: psycopg.Connection
) -> None:
    asked = ("sweep", "pairs", *WINDOW, "--grid", "entry=-1,1,1.5", "--grid", "exit=0,2")
    done = run(*asked)
    assert done.status == 0, done.err
    # entry must be above zero and above exit.
    assert [line.split()[0] for line in done.out.splitlines()].count("failed") == 4
    report = json.loads(run("resume", "1", "--blocks", "8", "--json").out)
    assert [r["point"]["exit"] for r in report["runs"]] == [0, 0]
    assert {r["point"]["entry"] for r in report["runs"]} == {1, 1.5}
    assert report["best"]["trials"] == 2
    assert len(report["failures"]) == 4
    rows = conn.execute(
        "select point, error from backtest.sweep('pairs', '{}', "
        """'{"entry": [-1, 1, 1.5], "exit": [0, 2]}', '2014-01-01', '2014-12-01') """
        "where error is not null"
    ).fetchall()
    assert [{"point": point, "error": error} for point, error in rows] == report["failures"]
    assert conn.execute("select count(*) from backtest.sweeps").fetchone() == (2,)


@pytest.mark.usefixtures("_pair")
def test_sweep_of_one_point_has_no_judgement(run: Run) -> None:
    done = run("sweep", "pairs", *WINDOW, "--grid", "entry=1.5")
    assert done.status == 0, done.err
    assert "a judgement needs two runs" in done.out


@pytest.mark.usefixtures("_pair")
def test_sweep_too_short_for_the_blocks_shows_its_runs_and_says_so(run: Run) -> None:
    done = run("sweep", "pairs", WINDOW[0], WINDOW[1], "--to", "2014-01-20T00:00Z",
               "--grid", "entry=1,1.5")  # fmt: skip
    assert done.status == 0, done.err
    assert len(done.out.splitlines()) == 4
    assert "two periods a block" in done.out


@pytest.mark.usefixtures("_pair")
def test_walk_is_that_of_the_query(run: Run, conn: psycopg.Connection) -> None:
    done = run("walk", "pairs", *WINDOW, "--grid", "entry=1,1.5,2", "--train", "4 months",
               "--test", "3 months", "--json")  # fmt: skip
    assert done.status == 0, done.err
    rows = conn.execute(
        """select train_from::text, test_from::text, test_to::text, point, train_sharpe, trades,
               total_return, sharpe, max_drawdown
           from backtest.walk_forward('pairs', '{}', '{"entry": [1, 1.5, 2]}', '2014-01-01',
               '2014-12-01', '4 months', '3 months')"""
    ).fetchall()
    names = ("train_from", "test_from", "test_to", "point", "train_sharpe", "trades",
             "total_return", "sharpe", "max_drawdown")  # fmt: skip
    steps = json.loads(done.out)
    assert [tuple(step[name] for name in names) for step in steps] == [
        (*(time.replace("+00", "+00:00") for time in row[:3]), *row[3:]) for row in rows
    ]
    assert len(steps) == 3
    printed = run("walk", "pairs", *WINDOW, "--grid", "entry=1,1.5,2", "--train", "4 months",
                  "--test", "3 months")  # fmt: skip
    assert len(printed.out.splitlines()) == 4


@pytest.mark.usefixtures("_pair")
@pytest.mark.parametrize(
    ("address", "message"),
    [
        ("yes", "TSDB_TRADER_DASK"),
        ("http://host:8786", "TSDB_TRADER_DASK"),
        ("tcp://127.0.0.1:8786", "distributed is not installed"),
        ("local", "distributed is not installed"),
    ],
)
def test_sweep_on_dask_that_cannot_be_is_an_error_and_nothing_is_kept(
    run: Run, conn: psycopg.Connection, monkeypatch: pytest.MonkeyPatch, address: str, message: str
) -> None:
    monkeypatch.setenv("TSDB_TRADER_DASK", address)
    monkeypatch.setitem(sys.modules, "distributed", None)
    settings.cache_clear()
    done = run("sweep", "pairs", *WINDOW, "--grid", "entry=1,1.5")
    assert done.status == 2
    assert message in done.err
    assert conn.execute("select count(*) from backtest.sweeps").fetchone() == (0,)


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
        (("sweep", "pairs", *WINDOW, "--grid", "entyr=1,2"), 5, 'mean "entry"'),
        (("sweep", "pairs", *WINDOW, "--grid", "entry=1", "--set", "exti=1"), 5, 'mean "exit"'),
        (("sweep", "pairs", *WINDOW, "--grid", "entry=1,2,1"), 5, '"entry" has 1 more than once'),
        (("sweep", "pairs", *WINDOW, "--grid", "entry=1", "--grid", "entry=2"), 5, "in one"),
        (("sweep", "pairs", *WINDOW, "--grid", "entry=-1,-2"), 5, "none of the 2 points"),
        (("sweep", "pairs", *WINDOW, "--grid", "entry=1,2", "--blocks", "7"), 5, "even number"),
        (("sweep", "pairs", *WINDOW, "--grid", "entry=1", "--costs", "cheap"), 5, "cost model"),
        (("sweep", "pears", *WINDOW, "--grid", "entry=1"), 5, 'mean "pairs"'),
        (("resume", "9"), 5, "sweep 9 does not exist"),
        (
            (
                "walk",
                "pairs",
                *WINDOW,
                "--grid",
                "entry=1",
                "--train",
                "2 years",
                "--test",
                "1 day",
            ),
            5,
            "first test before",
        ),
        (
            ("walk", "pairs", *WINDOW, "--grid", "entry=1", "--train", "often", "--test", "1 day"),
            5,
            "interval",
        ),
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
