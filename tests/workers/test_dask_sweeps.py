"""Sweeps on Dask: a real scheduler with workers in processes of their own."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from guide import python_cross
from tsdb_trader import backtest as driver
from tsdb_trader.config import settings
from tsdb_trader.errors import ConfigurationError, TraderError, UnknownObjectError
from workers.command_line import Run, runner
from workers.sweep_data import WINDOW, books, judgement, load_pair, write_module

distributed = pytest.importorskip("distributed", reason="the extra dask is not installed")

pytestmark = [
    pytest.mark.slow,
    # Of Dask itself, while processes end.
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]

GRID = ("--grid", "entry=1,1.5,2", "--grid", "exit=0,0.5")
DEADLINE_S = 90.0


@pytest.fixture
def run(at_test_database: None, capsys: pytest.CaptureFixture[str]) -> Run:
    """Return a function that runs `tsdb-trader backtest` in this process."""
    return runner(capsys, "backtest")


def configure(monkeypatch: pytest.MonkeyPatch, address: str) -> None:
    monkeypatch.setenv("TSDB_TRADER_DASK", address)
    settings.cache_clear()


@contextlib.contextmanager
def cluster(workers: int) -> Iterator[Any]:
    """Yield a cluster of worker processes with the settings of this moment."""
    with distributed.LocalCluster(
        n_workers=workers, threads_per_worker=1, processes=True, dashboard_address="127.0.0.1:0"
    ) as made:
        yield made


def wait_until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + DEADLINE_S
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def slow_down(conn: psycopg.Connection, seconds: float) -> None:
    """Have every run take a while, after its books are written and before it is committed."""
    conn.execute(f"""
        create function public.slow() returns trigger language plpgsql as
            $$ begin perform pg_sleep({seconds}); return new; end $$;
        create trigger slow after update of sweep_id on backtest.runs for each row execute function public.slow();
    """)


def working(conn: psycopg.Connection) -> int:
    row = conn.execute(
        """select count(*) from pg_stat_activity
           where application_name like 'tsdb-trader sweep %' and datname = current_database()
               and wait_event = 'PgSleep'"""
    ).fetchone()
    assert row is not None
    return int(row[0])


def counts(conn: psycopg.Connection) -> tuple[int, ...]:
    row = conn.execute(
        """select count(*), count(sweep_id), count(distinct (sweep_id, changes)),
               (select count(*) from backtest.orders o where not exists (
                    select from backtest.runs r where r.run_id = o.run_id))
           from backtest.runs"""
    ).fetchone()
    assert row is not None
    return tuple(row)


def test_sweep_on_dask_gives_the_bits_of_connections_and_of_one_query(
    run: Run, conn: psycopg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    load_pair(conn)
    asked = ("sweep", "pairs", *WINDOW, *GRID, "--blocks", "8", "--json")
    threads = json.loads(run(*asked, "--connections", "3").out)
    configure(monkeypatch, "local")
    done = run(*asked, "--connections", "2")
    assert done.status == 0, done.err
    report = json.loads(done.out)
    (alone,) = {
        row[0]
        for row in conn.execute(
            """select sweep_id from backtest.sweep('pairs', '{}',
                   '{"entry": [1, 1.5, 2], "exit": [0, 0.5]}', '2014-01-01', '2014-12-01')"""
        )
    }
    expected = books(conn, alone)
    assert len(expected) == 6
    assert all(figures[0] > 0 for figures in expected.values())
    for other in (threads, report):
        assert books(conn, other["sweep_id"]) == expected
        assert judgement(conn, other["sweep_id"]) == judgement(conn, alone)
        assert [r["point"] for r in other["runs"]] == [
            row[0] for row in conn.execute("select point from backtest.sweep_results(%s)", (alone,))
        ]
    # It ran elsewhere: every point was a connection of a worker.
    assert report["failures"] == []


def test_python_strategy_on_dask_is_that_of_connections(
    run: Run,
    conn: psycopg.Connection,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    load_pair(conn)
    path = write_module(tmp_path, monkeypatch, python_cross(), "PythonCross")
    strategy = runner(capsys, "strategy")
    assert strategy("register", path).status == 0
    assert strategy("save", path, "A", "--feed", "daily", "--from", "2013-12-01T00:00Z",
                    "--set", "fast_s=200000", "--set", "slow_s=900000",
                    "--set", "quantity=100").status == 0  # fmt: skip
    asked = ("sweep", "python_cross", *WINDOW, "--grid", "fast_s=100000,200000,1000000", "--json")
    threads = run(*asked)
    assert threads.status == 0, threads.err
    configure(monkeypatch, "local")
    on_dask = run(*asked)
    assert on_dask.status == 0, on_dask.err
    first, second = json.loads(threads.out), json.loads(on_dask.out)
    assert books(conn, first["sweep_id"]) == books(conn, second["sweep_id"])
    assert len(first["runs"]) == 2
    # Its class refuses the third: fast_s above slow_s.
    for report in (first, second):
        (failure,) = report["failures"]
        assert failure["point"] == {"fast_s": 1000000}
        assert "below slow_s" in failure["error"]


def test_points_of_a_worker_that_is_killed_are_done_by_another_once(
    at_test_database: None, conn: psycopg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    load_pair(conn)
    slow_down(conn, 1.5)
    grid = {"entry": [1, 1.5, 2], "exit": [0, 0.5]}
    with cluster(2) as made:
        configure(monkeypatch, made.scheduler_address)
        victims: list[int] = []

        def kill() -> None:
            with psycopg.connect(settings().database_url or "", autocommit=True) as other:
                wait_until(lambda: working(other) >= 2)
                victims.append(next(iter(made.workers.values())).pid)
                os.kill(victims[0], signal.SIGKILL)

        killer = threading.Thread(target=kill)
        killer.start()
        swept = driver.sweep("pairs", {}, grid, *times(), blocks=8)
        killer.join()
    assert victims
    assert swept.failures == []
    assert len(swept.runs) == 6
    assert counts(conn) == (6, 6, 6, 0)


def times() -> tuple[Any, Any]:
    from tsdb_trader.commands.session import parse_time

    return parse_time(WINDOW[1]), parse_time(WINDOW[3])


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def test_scheduler_that_cannot_be_reached_is_an_error_and_nothing_is_kept(
    run: Run, conn: psycopg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    load_pair(conn)
    monkeypatch.setattr("tsdb_trader.backtest.on_dask._CONNECT_S", 2)
    configure(monkeypatch, f"tcp://127.0.0.1:{free_port()}")
    done = run("sweep", "pairs", *WINDOW, *GRID)
    assert done.status == ConfigurationError.exit_status
    assert "no scheduler at tcp://127.0.0.1" in done.err
    assert "Traceback" not in done.err
    assert conn.execute("select count(*) from backtest.sweeps").fetchone() == (0,)


def test_scheduler_without_workers_is_an_error(
    run: Run, conn: psycopg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    load_pair(conn)
    monkeypatch.setattr("tsdb_trader.backtest.on_dask._WORKERS_S", 1)
    with cluster(0) as made:
        configure(monkeypatch, made.scheduler_address)
        done = run("sweep", "pairs", *WINDOW, *GRID)
    assert done.status == ConfigurationError.exit_status
    assert "has no workers" in done.err


def test_worker_that_uses_another_database_is_an_error(
    at_test_database: None,
    conn: psycopg.Connection,
    clones: Any,
    server: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    load_pair(conn)
    ours = settings().database_url or ""
    other = clones.take()
    try:
        with psycopg.connect(server.url(database=other), autocommit=True) as elsewhere:
            # Its sweep of the same number is another one.
            load_pair(elsewhere)
            elsewhere.execute(
                "select backtest.open_sweep('pairs', '{}', '{\"entry\": [1]}', null, null)"
            )
            monkeypatch.setenv("TSDB_TRADER_DATABASE_URL", server.url(database=other))
            with cluster(1) as made:
                monkeypatch.setenv("TSDB_TRADER_DATABASE_URL", ours)
                configure(monkeypatch, made.scheduler_address)
                with pytest.raises(ConfigurationError, match="another database"):
                    driver.sweep("pairs", {}, {"entry": [1, 2]}, *times())
                with pytest.raises(UnknownObjectError, match="sweep 2 does not exist"):
                    driver.sweep("pairs", {}, {"entry": [1, 2]}, *times())
            assert elsewhere.execute("select count(*) from backtest.runs").fetchone() == (0,)
        assert conn.execute("select count(*) from backtest.runs").fetchone() == (0,)
    finally:
        clones.give_back(other)


@pytest.mark.parametrize("dask", ["", "local"])
def test_sweep_that_is_interrupted_leaves_whole_points_and_goes_on(
    dask: str,
    run: Run,
    conn: psycopg.Connection,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    load_pair(conn)
    slow_down(conn, 1.0)
    # A shell's background jobs ignore SIGINT, and so would their children.
    heard = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)"
    program = f"{heard}; from tsdb_trader.cli import main; main()"
    command = subprocess.Popen(
        [sys.executable, "-c", program, "backtest", "sweep", "pairs", *WINDOW, *GRID],
        env=os.environ | {"TSDB_TRADER_DASK": dask},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        wait_until(lambda: counts(conn)[0] >= 1 and working(conn) >= 1)
        command.send_signal(signal.SIGINT)
        _, said = command.communicate(timeout=DEADLINE_S)
    finally:
        command.kill()
        command.wait()
    assert command.returncode == 130, said
    wait_until(lambda: working(conn) == 0)
    done = counts(conn)
    assert 1 <= done[0] < 6
    assert done == (done[0], done[0], done[0], 0)
    conn.execute("drop trigger slow on backtest.runs")
    finished = run("resume", "1", "--json")
    assert finished.status == 0, finished.err
    assert len(json.loads(finished.out)["runs"]) == 6
    assert counts(conn) == (6, 6, 6, 0)


@pytest.mark.parametrize(
    ("victim", "message"), [(0, "the Dask scheduler went away"), (1, "has lost all its workers")]
)
def test_scheduler_or_last_worker_that_goes_away_is_an_error_and_done_points_stay(
    at_test_database: None,
    conn: psycopg.Connection,
    monkeypatch: pytest.MonkeyPatch,
    victim: int,
    message: str,
) -> None:
    monkeypatch.setattr("tsdb_trader.backtest.on_dask._LOOK_S", 2)
    load_pair(conn)
    slow_down(conn, 1.0)
    port = free_port()
    scheduler = subprocess.Popen(
        [sys.executable, "-m", "distributed.cli.dask_scheduler", "--host", "127.0.0.1", "--port",
         str(port), "--no-dashboard"],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    worker = subprocess.Popen(
        [sys.executable, "-m", "distributed.cli.dask_worker", f"tcp://127.0.0.1:{port}",
         "--nthreads", "1", "--no-nanny", "--no-dashboard", "--death-timeout", "60"],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        configure(monkeypatch, f"tcp://127.0.0.1:{port}")

        def kill() -> None:
            with psycopg.connect(settings().database_url or "", autocommit=True) as other:
                wait_until(lambda: counts(other)[0] >= 1 and working(other) >= 1)
                (scheduler, worker)[victim].kill()

        killer = threading.Thread(target=kill)
        killer.start()
        with pytest.raises(TraderError, match=message):
            driver.sweep("pairs", {}, {"entry": [1, 1.5, 2], "exit": [0, 0.5]}, *times())
        killer.join()
    finally:
        for process in (scheduler, worker):
            process.kill()
            process.wait()
    wait_until(lambda: working(conn) == 0)
    done = counts(conn)
    assert 1 <= done[0] < 6
    assert done == (done[0], done[0], done[0], 0)


DEADLY = """
import os, signal
from dataclasses import dataclass
from tsdb_trader.strategies import Strategy

@dataclass(frozen=True)
class State:
    event: str | None = None
    quantities: tuple[int, ...] = (0,)

@dataclass(frozen=True)
class Parameters:
    quantity: int

class Deadly(Strategy[State, Parameters]):
    name = "deadly"
    description = "Kills whoever steps it with 13"

    @staticmethod
    def step(s, i, p):
        if p.quantity == 13:
            os.kill(os.getpid(), signal.SIGKILL)
        return State("turn", (p.quantity - s.quantities[0],))
"""


def test_point_that_kills_every_worker_is_recorded_and_the_others_are_run(
    at_test_database: None,
    conn: psycopg.Connection,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    load_pair(conn)
    path = write_module(tmp_path, monkeypatch, DEADLY, "Deadly")
    strategy = runner(capsys, "strategy")
    assert strategy("register", path).status == 0
    assert strategy("save", path, "A", "--feed", "daily", "--from", "2013-12-01T00:00Z",
                    "--set", "quantity=10").status == 0  # fmt: skip
    configure(monkeypatch, "local")
    swept = driver.sweep("deadly", {}, {"quantity": [11, 12, 13, 14, 15, 16]}, *times(), blocks=8)
    assert sorted(r.point["quantity"] for r in swept.runs) == [11, 12, 14, 15, 16]
    assert [(f.point, f.error) for f in swept.failures] == [
        ({"quantity": 13}, "every worker that ran this point was lost")
    ]
    assert counts(conn) == (5, 5, 5, 0)
