"""Strategies in Python over daily bars: equal to SQL, costs, bits, and what their classes do wrong."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import psycopg
import pytest
from psycopg.types.json import Jsonb

from daily_bars import add_frames, load_sp500
from guide import blocks, python_cross
from tsdb_trader.api import backtest, strategies, sweeps
from tsdb_trader.api.backtest import Summary
from tsdb_trader.backtest.points import run_or_record
from tsdb_trader.errors import ConfigurationError, InputError, UnknownObjectError
from tsdb_trader.strategies import Loaded, load

DAY_S = 86_400.0
CROSS = {"fast_s": 3 * DAY_S, "slow_s": 12 * DAY_S, "quantity": 100}
VALID_FROM = datetime(2013, 12, 1, tzinfo=UTC)
WINDOW = (datetime(2014, 1, 1, tzinfo=UTC), datetime(2014, 12, 1, tzinfo=UTC))

# Fails as asked at its tenth step; buys before.
ODD = """
from dataclasses import dataclass
from tsdb_trader.strategies import Strategy

@dataclass(frozen=True)
class State:
    event: str | None = None
    quantities: tuple[int, ...] = (0,)
    n: int = 0
    x: float = 0.0

@dataclass(frozen=True)
class Parameters:
    mode: str
    quantity: int

class Odd(Strategy[State, Parameters]):
    name = "odd"
    description = "Does what it is told"

    @staticmethod
    def step(s, i, p):
        n = s.n + 1
        if n != 10:
            held = (p.quantity if n % 20 < 10 else 0,)
            return State("turn" if held != s.quantities else None, held, n, i.mids[0] / 3)
        match p.mode:
            case "raise":
                raise ZeroDivisionError("broken")
            case "nan":
                return State(n=n, x=float("nan"))
            case "text":
                return State(n="many")
            case "float":
                return State("turn", (1.5,), n)
            case "legs":
                return State("turn", (1, 2), n)
            case "object":
                return State(n=n, x=object())
            case "nothing":
                return None
        return State(None, s.quantities, n, s.x)
"""

Write = Callable[[str, str], Loaded]


@pytest.fixture
def write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Write:
    """Return a function that writes a module and loads a class of it."""
    monkeypatch.syspath_prepend(tmp_path)

    def to_module(source: str, name: str) -> Loaded:
        module = f"desk_{uuid.uuid4().hex}"
        (tmp_path / f"{module}.py").write_text(source)
        return load(f"{module}:{name}")

    return to_module


def load_walk(conn: psycopg.Connection) -> None:
    """Store fourteen months of bars of A and B, which open where they closed or near it."""
    rng = np.random.default_rng(7)
    days = pd.bdate_range("2013-11-01", "2014-12-31").date
    frames = {}
    for symbol in ("A", "B"):
        closes = 40 * np.exp(rng.normal(0, 0.02, len(days)).cumsum())
        opens = closes * np.exp(rng.normal(0, 0.003, len(days)))
        frames[symbol] = pd.DataFrame(
            {"open": opens, "close": closes, "volume": 50_000}, index=days
        )
    add_frames(conn, frames)


def add_cross(conn: psycopg.Connection, write: Write, symbols: list[str], feed: str) -> Loaded:
    """Register the guide's strategy twice, in SQL and as a class, with an instance of each per symbol."""
    conn.execute(blocks("sql")[0].split("select signal.save_instance")[0])
    loaded = write(python_cross(), "PythonCross")
    strategies.register(conn, loaded)
    for symbol in symbols:
        strategies.save_instance(conn, loaded, [symbol], feed, CROSS, VALID_FROM)
        conn.execute(
            "select signal.save_instance('cross', %s, %s, %s, '{}', %s)",
            ([symbol], feed, Jsonb(CROSS), VALID_FROM),
        )
    return loaded


def decided(conn: psycopg.Connection, run_id: int) -> list[tuple[Any, ...]]:
    """Return signals and fills of a run by symbol; instances of two strategies have other ids."""
    signals = conn.execute(
        """select i.symbol, g.as_of, g.event, g.quantities from backtest.signals g
           join ref.instruments i on i.instrument_id = g.instruments[1]
           where g.run_id = %s order by 1, 2""",
        (run_id,),
    ).fetchall()
    fills = conn.execute(
        """select i.symbol, x.ts, x.side, x.quantity, x.price, x.fee, x.slippage
           from backtest.executions x join ref.instruments i using (instrument_id)
           where x.run_id = %s order by 1, 2, 3""",
        (run_id,),
    ).fetchall()
    assert len(signals) > 4
    assert len(fills) == len(signals)
    return signals + fills


def figures(summary: Summary) -> tuple[Any, ...]:
    return (summary.trades, summary.total_return, summary.sharpe, summary.max_drawdown,
            summary.turnover, summary.costs)  # fmt: skip


def bits(conn: psycopg.Connection, run_id: int) -> list[Any]:
    return [
        conn.execute(
            f"""select md5(string_agg(t, '' order by t)) from (
                select (to_jsonb(x) - 'run_id')::text from backtest.{table} x where run_id = %s) y (t)""",
            (run_id,),
        ).fetchone()
        for table in ("signals", "orders", "executions", "equity")
    ]


@pytest.mark.parametrize("costs", ["none", "percentage", "realistic"])
def test_class_over_daily_bars_trades_as_the_same_strategy_in_sql(
    conn: psycopg.Connection, write: Write, costs: str
) -> None:
    load_walk(conn)
    loaded = add_cross(conn, write, ["A", "B"], "daily")
    given = {"source": "daily", "capital": 20_000}
    classes = {loaded.name: loaded}
    python = strategies.run(conn, classes, "python_cross", given, *WINDOW, costs)
    sql = backtest.run(conn, "cross", given, *WINDOW, costs)
    assert decided(conn, python.run_id) == decided(conn, sql.run_id)
    assert figures(python) == figures(sql)
    assert (python.costs > 0) == (costs != "none")
    again = strategies.run(conn, classes, "python_cross", given, *WINDOW, costs)
    assert bits(conn, again.run_id) == bits(conn, python.run_id)


def test_class_over_the_sp500_file_trades_as_the_same_strategy_in_sql(
    conn: psycopg.Connection, write: Write, data_folder: Path
) -> None:
    load_sp500(conn, data_folder)
    loaded = add_cross(conn, write, ["AAPL", "KO", "PEP", "XOM"], "sp500")
    python = strategies.run(conn, {loaded.name: loaded}, "python_cross", {}, *WINDOW)
    sql = backtest.run(conn, "cross", {}, *WINDOW)
    assert decided(conn, python.run_id) == decided(conn, sql.run_id)
    assert figures(python) == figures(sql)


def add_odd(conn: psycopg.Connection, write: Write) -> Loaded:
    load_walk(conn)
    loaded = write(ODD, "Odd")
    strategies.register(conn, loaded)
    strategies.save_instance(conn, loaded, ["A"], "daily", {"mode": "", "quantity": 10}, VALID_FROM)
    return loaded


FAILURES = {
    "raise": "ZeroDivisionError: broken",
    "nan": "x is not finite",
    "text": "n must be int",
    "float": r"quantities\[0\] must be int",
    "legs": "a quantity for each of 1 legs",
    "object": "x must be float",
    "nothing": "the step returned NoneType",
}


def test_points_whose_step_fails_are_kept_with_the_reason_and_the_others_go_on(
    conn: psycopg.Connection, connect_as: Callable[..., psycopg.Connection], write: Write
) -> None:
    loaded = add_odd(conn, write)
    quant = connect_as("tsdb_quant")
    grid = {"mode": ["", *FAILURES], "quantity": [10]}
    sweep_id = sweeps.open_sweep(quant, "odd", {}, grid, *WINDOW)
    sweep = sweeps.find_sweep(quant, sweep_id)
    for point in sweeps.missing_points(quant, sweep_id):
        run_or_record(quant, {loaded.name: loaded}, sweep, point)
    (run,) = sweeps.sweep_results(conn, sweep_id)
    assert run.point == {"mode": "", "quantity": 10}
    alone = strategies.run(conn, {loaded.name: loaded}, "odd", run.point, *WINDOW)
    assert bits(conn, run.run_id) == bits(conn, alone.run_id)
    failures = {f.point["mode"]: f.error for f in sweeps.sweep_failures(conn, sweep_id)}
    assert failures.keys() == FAILURES.keys()
    for mode, message in FAILURES.items():
        with pytest.raises(InputError, match=message):
            strategies.run(conn, {loaded.name: loaded}, "odd", {"mode": mode}, *WINDOW)
        assert failures[mode].startswith(f"instance {run_instance(conn)} of odd failed at ")
    assert conn.execute("select count(*) from backtest.runs").fetchone() == (2,)


def run_instance(conn: psycopg.Connection) -> int:
    row = conn.execute("select instance_id from signal.instances").fetchone()
    assert row is not None
    return int(row[0])


def test_instance_on_an_unknown_symbol_is_refused(conn: psycopg.Connection, write: Write) -> None:
    loaded = add_odd(conn, write)
    with pytest.raises(UnknownObjectError, match="NOPE"):
        strategies.save_instance(
            conn, loaded, ["NOPE"], "daily", {"mode": "", "quantity": 1}, VALID_FROM
        )


def test_class_whose_state_cannot_be_kept_is_refused(write: Write) -> None:
    with pytest.raises(ConfigurationError, match=r"x: .* is no type of a field"):
        write(ODD.replace("x: float = 0.0", "x: object = None"), "Odd")


def test_class_that_is_not_the_registered_code_stops_a_sweep(
    conn: psycopg.Connection, write: Write
) -> None:
    add_odd(conn, write)
    other = write(ODD + "# Changed.", "Odd")
    sweep_id = sweeps.open_sweep(conn, "odd", {}, {"quantity": [1, 2]}, *WINDOW)
    sweep = sweeps.find_sweep(conn, sweep_id)
    for classes, message in (({}, "is not loaded"), ({"odd": other}, "register it again")):
        with pytest.raises(Exception, match=message):
            run_or_record(conn, classes, sweep, {"quantity": 1})
    # Nobody's fault in the grid: nothing is kept against the point.
    assert conn.execute("select count(*) from backtest.sweep_failures").fetchone() == (0,)


def test_walk_and_sweep_of_a_class_within_the_database_name_the_command(
    conn: psycopg.Connection, write: Write
) -> None:
    add_odd(conn, write)
    for statement, command in (
        ("backtest.sweep('odd', '{}', '{\"quantity\": [1]}', %s, %s)", "backtest sweep"),
        ("backtest.walk_forward('odd', '{}', '{\"quantity\": [1]}', %s, %s, '3 months', '1 month')",
         "backtest walk"),
    ):  # fmt: skip
        with pytest.raises(psycopg.Error, match=f"use tsdb-trader {command}") as caught:
            conn.execute(f"select * from {statement}", WINDOW)
        assert caught.value.sqlstate == "TT004"


SLOW = """
import time
from dataclasses import dataclass
from tsdb_trader.strategies import Strategy

@dataclass(frozen=True)
class State:
    event: str | None = None
    quantities: tuple[int, ...] = (0,)

@dataclass(frozen=True)
class Parameters:
    quantity: int

class Slow(Strategy[State, Parameters]):
    name = "slow"
    description = "Takes its time"

    @staticmethod
    def step(s, i, p):
        time.sleep(0.2)
        return State("turn", (p.quantity - s.quantities[0],))
"""


def test_backtest_of_a_class_that_is_killed_leaves_nothing(
    conn: psycopg.Connection, database: str, write: Write, tmp_path: Path
) -> None:
    load_walk(conn)
    loaded = write(SLOW, "Slow")
    strategies.register(conn, loaded)
    strategies.save_instance(conn, loaded, ["A"], "daily", {"quantity": 10}, VALID_FROM)
    paths = os.pathsep.join((str(tmp_path), os.environ.get("PYTHONPATH", "")))
    command = subprocess.Popen(
        [sys.executable, "-m", "tsdb_trader", "backtest", "sweep", "slow", "--grid", "quantity=10,20",
         "--from", "2014-01-01T00:00Z", "--to", "2014-12-01T00:00Z"],
        env=os.environ | {"TSDB_TRADER_DATABASE_URL": database, "PYTHONPATH": paths,
                          "TSDB_TRADER_STRATEGIES": loaded.path, "TSDB_TRADER_HOME": str(tmp_path)},
    )  # fmt: skip
    query = """select count(*) from pg_stat_activity
        where application_name = 'tsdb-trader sweep 1' and datname = current_database()"""
    try:
        wait_for(
            lambda: conn.execute(query + " and state = 'idle in transaction'").fetchone() == (2,)
        )
        command.send_signal(signal.SIGKILL)
        assert command.wait(60) == -signal.SIGKILL
    finally:
        command.kill()
        command.wait()
    wait_for(lambda: conn.execute(query).fetchone() == (0,))
    for table in ("runs", "sweep_failures", "signals", "orders", "executions", "equity"):
        assert conn.execute(f"select count(*) from backtest.{table}").fetchone() == (0,)


def wait_for(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.05)
