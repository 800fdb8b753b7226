"""`tsdb-trader worker venue --config FILE` as an operator calls it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from fix.conformance.wire import PROFILES, Wire
from fix.simvenue.bench import WAIT_S, free_port, wait_for_port

pytestmark = pytest.mark.slow
TEXT = """[DEFAULT]
ConnectionType=acceptor
SenderCompID=EXCHANGE
SocketAcceptPort={port}
FileStorePath=store
{more}
[SESSION]
BeginString=FIX.4.2
TargetCompID=TRADER
"""


@pytest.fixture
def run(
    tmp_path: Path, database: str, role_url: Callable[[str | None], str]
) -> Iterator[Callable[[str], subprocess.Popen[str]]]:
    """Return a function that starts a worker with the file of the test."""
    started: list[subprocess.Popen[str]] = []

    def start(worker: str) -> subprocess.Popen[str]:
        environment = {
            "TSDB_TRADER_HOME": str(tmp_path),
            "TSDB_TRADER_DATABASE_URL": database,
            "TSDB_TRADER_DATABASE_URL_VENUE": role_url("tsdb_venue"),
            "TSDB_TRADER_DATABASE_URL_WORKER_GATEWAY": role_url("tsdb_worker_gateway"),
        }
        file = str(tmp_path / "venue.cfg")
        process = subprocess.Popen(
            [sys.executable, "-m", "tsdb_trader", "worker", worker, "--config", file],
            env=os.environ | environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()


def test_command_hosts_the_sessions_of_the_file(
    tmp_path: Path, run: Callable[[str], subprocess.Popen[str]]
) -> None:
    port = free_port()
    file = tmp_path / "venue.cfg"
    file.write_text(TEXT.format(port=port, more="ResetOnLogon=Y"))
    process = run("venue")
    wait_for_port(port)
    wire = Wire(port, PROFILES[0], "TRADER", "EXCHANGE")
    wire.log_on()
    wire.expect_alive()
    process.send_signal(signal.SIGTERM)
    wire.expect("5")
    wire.send("5")
    wire.expect_end()
    _, log = process.communicate(timeout=WAIT_S)
    assert process.returncode == 0, log
    assert (tmp_path / "store").is_dir()


@pytest.mark.parametrize(
    ("worker", "more", "problem"),
    [
        ("venue", "ResetOnLogon=maybe", "[DEFAULT]: ResetOnLogon: 'maybe' is neither Y nor N"),
        ("venue", "StartTime=08:00:00", "EndTime not defined"),
        ("gateway", "", "--config is for a venue, not for gateway"),
    ],
    ids=["one key", "keys together", "another worker"],
)
def test_command_with_a_wrong_file_ends_with_one_line(
    tmp_path: Path,
    run: Callable[[str], subprocess.Popen[str]],
    worker: str,
    more: str,
    problem: str,
) -> None:
    file = tmp_path / "venue.cfg"
    file.write_text(TEXT.format(port=free_port(), more=more))
    process = run(worker)
    _, log = process.communicate(timeout=WAIT_S)
    assert process.returncode == 2, log
    last = log.splitlines()[-1]
    assert last.startswith("error: ")
    assert problem in last
    assert worker == "gateway" or str(file) in last
