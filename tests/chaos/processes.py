"""The processes of a run: started again when they die, killed, stopped for a while."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from importlib.util import find_spec
from pathlib import Path

from tsdb_trader import embedded
from tsdb_trader.config import Settings

TESTS = Path(__file__).parents[1]
_RESTART_S = 0.2
_TICK_S = 0.05


def fake_time_library() -> Path | None:
    """Return the library that shows a process another wall clock, None without it."""
    found = find_spec("libfaketime")
    if found is None or found.origin is None or not sys.platform.startswith("linux"):
        return None
    path = Path(found.origin).parent / "vendor/libfaketime/src/libfaketime.so.1"
    # Linux alone says so by a warning and goes on: asked first, nothing happens unseen.
    asked = subprocess.run(
        [sys.executable, "-c", "import time; print(time.time())"],
        env={**os.environ, "LD_PRELOAD": str(path), "FAKETIME": "+1d"},
        capture_output=True,
        text=True,
        check=False,
    )
    works = asked.returncode == 0 and float(asked.stdout) > time.time() + 80_000
    return path if works else None


class Child:
    """A process that is started again whenever it ends, as a supervisor would."""

    def __init__(
        self, name: str, command: list[str], home: Path, clock_library: Path | None, **more: str
    ) -> None:
        self.name = name
        self.log = home / f"{name}.log"
        self.ends: Counter[str] = Counter()
        self._command = [sys.executable, *command]
        self._offset = home / f"{name}.clock"
        self._environment = {
            **os.environ,
            "PYTHONPATH": os.pathsep.join([str(TESTS), os.environ.get("PYTHONPATH", "")]),
            "TSDB_TRADER_HOME": str(home),
            **more,
        }
        if clock_library is not None:
            self._environment |= {
                "LD_PRELOAD": str(clock_library),
                "FAKETIME_TIMESTAMP_FILE": str(self._offset),
                "FAKETIME_NO_CACHE": "1",
                "FAKETIME_DONT_FAKE_MONOTONIC": "1",
                "FAKETIME_DISABLE_SHM": "1",
            }
        self.jump(0)
        self._process: subprocess.Popen[bytes] | None = None
        self._killed = False
        self._asked = False
        self._wanted = False
        self._restart_at = 0.0
        self._lock = threading.Lock()

    def tick(self) -> None:
        """Notice an end, and start again."""
        with self._lock:
            if not self._wanted:
                return
            if self._process is not None and (status := self._process.poll()) is not None:
                self.ends["killed" if self._killed else f"exit {status}"] += 1
                self._process, self._killed = None, False
                self._restart_at = time.monotonic() + _RESTART_S
            if self._process is None and time.monotonic() >= self._restart_at:
                with self.log.open("ab") as log:
                    self._process = subprocess.Popen(
                        self._command, env=self._environment, stdout=log, stderr=log
                    )

    def start(self) -> None:
        """Begin."""
        self._wanted = True
        self.tick()

    def signal(self, number: signal.Signals) -> bool:
        """Send a signal; False if there is no process now."""
        with self._lock:
            if self._process is None or self._process.poll() is not None:
                return False
            self._killed = self._killed or number == signal.SIGKILL
            self._process.send_signal(number)
            return True

    def ask_to_end(self) -> None:
        """Ask for a clean end for good."""
        with self._lock:
            self._wanted = False
            if self._process is not None and not self._asked:
                self._asked = True
                self._process.send_signal(signal.SIGCONT)
                self._process.send_signal(signal.SIGTERM)

    def end(self, timeout_s: float) -> int | None:
        """Ask for a clean end for good; return the exit status, None if it took too long."""
        self.ask_to_end()
        with self._lock:
            process, self._process = self._process, None
            self._asked = False
        if process is None:
            return 0
        try:
            return process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            return None

    def jump(self, seconds: int) -> None:
        """Set its wall clock so far from the machine's."""
        new = self._offset.with_suffix(".new")
        new.write_text(f"{seconds:+d}\n")
        new.replace(self._offset)


class Nurse:
    """Starts children again."""

    def __init__(self, children: list[Child]) -> None:
        self._children = children
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="nurse", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        while not self._ended.wait(_TICK_S):
            for child in self._children:
                child.tick()

    def stop(self) -> None:
        """Let nobody be started again."""
        self._ended.set()
        self._thread.join()


class DatabaseServer:
    """The private server, and the means to hurt it."""

    def __init__(self, config: Settings) -> None:
        self.config = config

    def kill(self) -> None:
        """Kill all of its processes, and start it again."""
        for pid in self._pids():
            _signal(pid, signal.SIGKILL)
        self._await_end()
        embedded.ensure_running(self.config)

    def kill_backend(self, number: int) -> None:
        """Kill one process that serves a client: the server ends all others and recovers."""
        serving = [p for p in self._pids() if b"tsdb_trader " in _command(p)]
        if serving:
            _signal(serving[number % len(serving)], signal.SIGKILL)

    def pause(self) -> list[int]:
        """Stop all of its processes; return them for `resume`."""
        pids = self._pids()
        for pid in pids:
            _signal(pid, signal.SIGSTOP)
        return pids

    @staticmethod
    def resume(pids: list[int]) -> None:
        """Let them go on."""
        for pid in pids:
            _signal(pid, signal.SIGCONT)

    def _pids(self) -> list[int]:
        pid = embedded.status(self.config).pid
        if pid is None:
            return []
        with contextlib.suppress(OSError):
            found = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
            return [pid, *map(int, found)]
        return []

    def _await_end(self) -> None:
        deadline = time.monotonic() + 10
        while embedded.status(self.config).pid is not None and time.monotonic() < deadline:
            time.sleep(_TICK_S)


def _signal(pid: int, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, number)


def _command(pid: int) -> bytes:
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    return b""
