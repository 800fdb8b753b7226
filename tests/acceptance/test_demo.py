"""The demo as a user runs it: a process that trades a session and checks its own promises."""

from __future__ import annotations

import contextlib
import json
import os
import random
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psycopg
import pytest

from tsdb_trader.embedded.roles import WORKERS
from tsdb_trader.feeds import sample

RoleUrl = Callable[[str | None], str]


@pytest.fixture(scope="session")
def ticks(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with two short days of generated ticks of two pairs."""
    folder = tmp_path_factory.mktemp("sample") / "ticks"
    sample.generate(folder, seed=7, days=2, pairs=2, minutes=60)
    return folder


@pytest.fixture
def environment(tmp_path: Path, database: str, role_url: RoleUrl) -> dict[str, str]:
    """Return the environment of a user with a home folder and a database of their own."""
    return {
        **os.environ,
        "TSDB_TRADER_HOME": str(tmp_path / "home"),
        "TSDB_TRADER_DATABASE_URL": database,
        **{
            f"TSDB_TRADER_DATABASE_URL_{role.removeprefix('tsdb_').upper()}": role_url(role)
            for role in WORKERS.values()
        },
    }


def _start(environment: dict[str, str], *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "tsdb_trader", "demo", *arguments],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def _finish(process: subprocess.Popen[str], environment: dict[str, str]) -> tuple[str, str]:
    out, err = process.communicate(timeout=240)
    logs = Path(environment["TSDB_TRADER_HOME"]) / "logs"
    tails = [f"{p.name}: {p.read_text()[-2000:]}" for p in logs.glob("*.log")]
    assert process.returncode == 0, "\n".join([out, err, *tails])
    return out, err


def _check(result: dict[str, Any]) -> None:
    assert [i for i in result["invariants"] if not i["passed"]] == []
    assert result["passed"]
    assert result["summary"]["fills"] > 0
    assert result["summary"]["open_breaks"] == 0


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_demo_trades_and_keeps_every_promise_twice(
    ticks: Path, environment: dict[str, str], conn: psycopg.Connection
) -> None:
    arguments = ("--data", str(ticks), "--window", "09:50/10:10")
    out, err = _finish(_start(environment, *arguments, "--json"), environment)
    _check(json.loads(out))
    assert "calibrating pairs" in err
    stored = conn.execute("select count(*) from market.quotes").fetchone()

    out, _ = _finish(_start(environment, *arguments), environment)
    assert "files were loaded before" in out
    assert out.count("  PASS  ") == 10
    assert "reconciliation breaks   0" in out
    assert conn.execute("select count(*) from market.quotes").fetchone() == stored
    statuses = conn.execute(
        "select status, count(*) from ops.sessions where kind = 'replay' group by status"
    ).fetchall()
    assert statuses == [("closed", 2)]
    assert conn.execute(
        "select count(*) from ops.heartbeats where status <> 'stopped'"
    ).fetchone() == (0,)
    fills = [
        conn.execute(
            "select symbol, ts, side, quantity, price from oms.executions "
            "join ref.instruments using (instrument_id) where session_id = %s "
            "order by ts, symbol, side, quantity, price",
            session,
        ).fetchall()
        for session in conn.execute(
            "select session_id from ops.sessions where kind = 'replay' order by opened_at"
        ).fetchall()
    ]
    assert fills[0] == fills[1], "the same window traded twice trades alike"


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_demo_survives_killed_workers(
    ticks: Path, environment: dict[str, str], conn: psycopg.Connection
) -> None:
    rng = random.Random(20)
    demo = _start(environment, "--data", str(ticks), "--window", "09:45/10:25", "--json")
    ended = threading.Event()
    killed: list[str] = []

    def batches() -> object:
        return conn.execute("select count(*) from market.batches").fetchone()

    def kill() -> None:
        while not ended.wait(rng.uniform(0.5, 2.0)):
            victims = conn.execute(
                "select kind, pid from ops.heartbeats where status = 'running' and kind in "
                "('gateway', 'signals', 'venue', 'replay', 'risk') and beat_at > "
                "clock_timestamp() - interval '3 seconds' order by kind"
            ).fetchall()
            if victims:
                kind, pid = rng.choice(victims)
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
                    killed.append(kind)
                # Progress in between, or a busy machine only ever starts workers again.
                if rng.random() < 0.7:
                    before = batches()
                    while batches() == before and not ended.wait(0.1):
                        pass

    killer = threading.Thread(target=kill)
    killer.start()
    try:
        out, _ = _finish(demo, environment)
    finally:
        ended.set()
        killer.join()
        demo.kill()
        demo.wait()
    _check(json.loads(out))
    assert killed


def test_demo_without_two_days_says_so(
    environment: dict[str, str], tmp_path: Path, ticks: Path
) -> None:
    folder = tmp_path / "one_day"
    first = sorted(ticks.rglob("*_quote.zip"))[0]
    (folder / first.parent.name).mkdir(parents=True)
    (folder / first.parent.name / first.name).write_bytes(first.read_bytes())
    demo = _start(environment, "--data", str(folder))
    _, err = demo.communicate(timeout=60)
    assert demo.returncode == 5
    assert "holds ticks of one day: add a second, the demo needs two" in err


def test_demo_window_without_a_trade_fails(
    environment: dict[str, str], ticks: Path, conn: psycopg.Connection
) -> None:
    demo = _start(environment, "--data", str(ticks), "--window", "08:00/08:10")
    _, err = demo.communicate(timeout=60)
    assert demo.returncode == 6
    assert "made no trade" in err


def test_demo_interrupted_stops_its_workers_and_fails_its_session(
    environment: dict[str, str], ticks: Path, conn: psycopg.Connection
) -> None:
    demo = _start(environment, "--data", str(ticks))
    assert demo.stdout is not None
    for line in demo.stdout:
        if line.startswith("trading"):
            break
    demo.send_signal(signal.SIGINT)
    _, err = demo.communicate(timeout=60)
    assert demo.returncode == 130, err
    assert "Traceback" not in err
    row = conn.execute("select status from ops.sessions where kind = 'replay'").fetchone()
    assert row == ("failed",)


def test_demo_window_that_cannot_be_read_is_refused_at_once(environment: dict[str, str]) -> None:
    demo = _start(environment, "--window", "ten to eleven")
    out, err = demo.communicate(timeout=60)
    assert demo.returncode == 5
    assert out == ""
    assert "write it like 10:00/11:00" in err
