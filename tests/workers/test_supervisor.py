"""The supervisor: starts, restarts and ends worker processes."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.workers.helpers import eventually

from tsdb_trader.config import settings
from tsdb_trader.errors import ConfigurationError
from tsdb_trader.workers.supervisor import Supervisor, only_one

# Each writes its own process id to a file of its kind, so that a test sees it live.
_WAITS = "import os, sys, signal; open(sys.argv[1] + '.pid', 'a').write(f'{os.getpid()}\\n');"
WORKER = _WAITS + "signal.pause()"
STUBBORN = (
    "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN);"
    + _WAITS
    + ("\nwhile True: signal.pause()")
)
DYING = _WAITS + "sys.exit(3)"


class Clock:
    """Monotonic time set by the test."""

    def __init__(self) -> None:
        self.time = 0.0

    def monotonic(self) -> float:
        return self.time


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setenv("TSDB_TRADER_HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    settings.cache_clear()
    yield tmp_path
    settings.cache_clear()


@pytest.fixture
def clock() -> Clock:
    return Clock()


def _supervisor(code: str, clock: Clock, *kinds: str) -> Supervisor:
    return Supervisor(
        kinds or ("risk",),
        clock=clock,  # type: ignore[arg-type]
        rng=random.Random(1),
        command=(sys.executable, "-c", code),
    )


def _written(home: Path, kind: str) -> list[int]:
    path = home / f"{kind}.pid"
    return [int(line) for line in path.read_text().split()] if path.exists() else []


def _alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


def test_supervisor_starts_every_worker_and_stops_them(home: Path, clock: Clock) -> None:
    supervisor = _supervisor(WORKER, clock, "risk", "signals")
    supervisor.start()
    eventually(lambda: _written(home, "risk") and _written(home, "signals"))
    pids = supervisor.pids()
    assert [*pids] == ["signals", "risk"]
    supervisor.stop()
    assert not any(_alive(pid) for pid in pids.values())
    assert (home / "logs" / "risk.log").exists()


def test_supervisor_dead_worker_is_started_again_after_a_while(home: Path, clock: Clock) -> None:
    supervisor = _supervisor(WORKER, clock)
    supervisor.start()
    eventually(lambda: _written(home, "risk"))
    os.kill(supervisor.pids()["risk"], signal.SIGKILL)
    eventually(lambda: supervisor.tick() or not supervisor.pids())
    supervisor.tick()
    assert not supervisor.pids()
    clock.time += 1
    supervisor.tick()
    eventually(lambda: len(set(_written(home, "risk"))) == 2)
    supervisor.stop()


def test_supervisor_waits_longer_each_time_until_a_worker_lasted(home: Path, clock: Clock) -> None:
    supervisor = _supervisor(DYING, clock)
    supervisor.start()
    child = supervisor.children["risk"]
    delays = []
    for _ in range(4):
        eventually(lambda: supervisor.tick() or child.process is None)
        delays.append(child.restart_at - clock.time)
        clock.time = child.restart_at
        supervisor.tick()
    assert delays[3] > delays[0]
    assert child.failures == 4
    clock.time += 60
    eventually(lambda: supervisor.tick() or child.process is None)
    assert child.failures == 1
    supervisor.stop()


def test_supervisor_kills_a_worker_that_does_not_end(home: Path, clock: Clock) -> None:
    supervisor = _supervisor(STUBBORN, clock)
    supervisor.start()
    eventually(lambda: _written(home, "risk"))
    pid = supervisor.pids()["risk"]
    supervisor.stop(timeout=0)
    assert not _alive(pid)


def test_supervisor_hands_one_port_to_all(home: Path, clock: Clock) -> None:
    code = "import os, sys; open(sys.argv[1] + '.port', 'w').write(os.environ['" + (
        "TSDB_TRADER_FIX_PORT']); open(sys.argv[1] + '.done', 'w')"
    )
    supervisor = _supervisor(code, clock, "venue", "gateway")
    supervisor.start()
    eventually(lambda: (home / "venue.done").exists() and (home / "gateway.done").exists())
    ports = {(home / f"{kind}.port").read_text() for kind in ("venue", "gateway")}
    assert len(ports) == 1
    assert int(ports.pop()) > 0
    supervisor.stop()


def test_supervisor_unknown_worker_is_refused(home: Path) -> None:
    with pytest.raises(ConfigurationError, match="no worker is called baker"):
        Supervisor(["risk", "baker"])


def test_only_one_supervisor_per_home(home: Path) -> None:
    second = only_one(home)
    with only_one(home), pytest.raises(ConfigurationError, match=f"process {os.getpid()}"):
        second.__enter__()
    with only_one(home):
        pass


def test_worker_ends_when_its_supervisor_is_killed(home: Path) -> None:
    child = (
        "import os, signal, sys; from tsdb_trader.workers.supervisor import die_with;"
        "die_with(int(sys.argv[3])); open('child.pid', 'w').write(f'{os.getpid()}\\n');"
        "signal.pause()"
    )
    parent = (
        "import signal, sys; from tsdb_trader.workers.supervisor import Supervisor;"
        f"Supervisor(['risk'], command=(sys.executable, '-c', {child!r})).start(); signal.pause()"
    )
    process = subprocess.Popen([sys.executable, "-c", parent])
    eventually(lambda: _written(home, "child"))
    (pid,) = _written(home, "child")
    process.kill()
    process.wait()
    eventually(lambda: not _alive(pid))


def test_supervisor_says_why_a_worker_died(
    home: Path, clock: Clock, capsys: pytest.CaptureFixture[str]
) -> None:
    supervisor = _supervisor("import sys; sys.exit('error: port 9 is taken')", clock)
    supervisor.start()
    eventually(lambda: supervisor.tick() or not supervisor.pids())
    supervisor.stop()
    shown = capsys.readouterr()
    assert "error: port 9 is taken" in shown.out + shown.err
