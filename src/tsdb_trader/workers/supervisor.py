"""The supervisor: runs the workers as processes and starts a dead one again.

It does nothing else, so that there is little in it that could fail: workers wait for the database
themselves, and end themselves when the supervisor is gone.
"""

from __future__ import annotations

import ctypes
import fcntl
import os
import random
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from tsdb_trader import logs
from tsdb_trader.clock import Clock, SystemClock
from tsdb_trader.config import Settings, settings
from tsdb_trader.errors import ConfigurationError
from tsdb_trader.workers.loop import backoff

_log = logs.get("supervisor")
KINDS = ("venue", "gateway", "signals", "risk", "scheduler", "replay", "feeds")
"""The workers of one machine, in the order they are started."""
_STABLE_S = 5.0
_FIRST_DELAY_S = 0.2
_STOP_S = 20.0
_LOG_BYTES = 50_000_000
_LAST_WORDS_BYTES = 1_000
_PR_SET_PDEATHSIG = 1


def die_with(parent: int) -> None:
    """Let the kernel end this process (SIGTERM) when its parent dies.

    Raises
    ------
    ConfigurationError
        The parent is gone already.
    """
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
    if os.getppid() != parent:
        raise ConfigurationError("the supervisor that started this worker is gone")


def choose_port(config: Settings) -> int:
    """Return the configured FIX port, or one that is free now."""
    if config.fix_port:
        return config.fix_port
    with socket.socket() as probe:
        probe.bind((config.fix_host, 0))
        return int(probe.getsockname()[1])


@contextmanager
def only_one(home: Path) -> Iterator[None]:
    """Hold the lock that lets one supervisor run per home folder.

    Raises
    ------
    ConfigurationError
        Another one runs; the message names its process.
    """
    home.mkdir(parents=True, exist_ok=True)
    with (home / "up.lock").open("a+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            pid = file.read().strip() or "?"
            raise ConfigurationError(
                f"another `tsdb-trader up` or demo runs here (process {pid}): stop it first"
            ) from None
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        yield


@dataclass
class Child:
    """One worker process and its history."""

    kind: str
    process: subprocess.Popen[bytes] | None = None
    started_at: float = 0.0
    restart_at: float = 0.0
    failures: int = 0
    """Deaths in a row, each soon after the start."""
    exits: int = 0
    """How many of these were the worker's own decision, not a signal."""
    starts: int = 0


class Supervisor:
    """Runs worker processes. Call `start`, then `tick` often, then `stop`."""

    def __init__(
        self,
        kinds: Sequence[str] = KINDS,
        *,
        clock: Clock | None = None,
        rng: random.Random | None = None,
        command: Sequence[str] = (sys.executable, "-m", "tsdb_trader", "worker"),
    ) -> None:
        unknown = sorted(set(kinds) - set(KINDS))
        if unknown:
            raise ConfigurationError(
                f"no worker is called {', '.join(unknown)}: choose from {', '.join(KINDS)}"
            )
        self._clock: Clock = clock or SystemClock()
        self._rng = rng or random.Random()  # noqa: S311 - spreads restarts, no secret
        self._command = tuple(command)
        self._logs = settings().home / "logs"
        self._environment = {
            **os.environ,
            "TSDB_TRADER_FIX_PORT": str(choose_port(settings())),
        }
        self.children = {kind: Child(kind) for kind in KINDS if kind in kinds}

    def start(self) -> None:
        """Start every worker."""
        self._logs.mkdir(parents=True, exist_ok=True)
        for child in self.children.values():
            self._spawn(child)

    def tick(self) -> None:
        """Notice dead workers, and start those whose time has come."""
        now = self._clock.monotonic()
        for child in self.children.values():
            if child.process is None:
                if now >= child.restart_at:
                    self._spawn(child)
                continue
            status = child.process.poll()
            if status is not None:
                self._bury(child, status, now)

    def pids(self) -> dict[str, int]:
        """Return the process ids of the workers that run."""
        return {c.kind: c.process.pid for c in self.children.values() if c.process is not None}

    def stop(self, timeout: float = _STOP_S) -> None:
        """Ask every worker to end, and kill those that have not within `timeout` seconds."""
        running = [c for c in self.children.values() if c.process is not None]
        self._signal(running, signal.SIGTERM)
        deadline = self._clock.monotonic() + timeout
        for child in running:
            if child.process is None:
                continue
            try:
                child.process.wait(max(0.0, deadline - self._clock.monotonic()))
            except subprocess.TimeoutExpired:
                _log.error("worker did not end", worker=child.kind, action="kill")
                child.process.kill()
                child.process.wait()
            child.process = None

    def kill(self) -> None:
        """End every worker at once."""
        running = [c for c in self.children.values() if c.process is not None]
        self._signal(running, signal.SIGKILL)

    @staticmethod
    def _signal(children: Sequence[Child], number: signal.Signals) -> None:
        for child in children:
            if child.process is not None and child.process.poll() is None:
                child.process.send_signal(number)

    def _spawn(self, child: Child) -> None:
        with self._log_file(child.kind) as file:
            child.process = subprocess.Popen(
                [*self._command, child.kind, "--parent", str(os.getpid())],
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=file,
                env=self._environment,
                # Ctrl-c reaches the supervisor alone, which then asks each worker once.
                process_group=0,
            )
        child.started_at = self._clock.monotonic()
        child.starts += 1
        _log.info("worker started", worker=child.kind, pid=child.process.pid)

    def _bury(self, child: Child, status: int, now: float) -> None:
        if now - child.started_at >= _STABLE_S:
            child.failures = child.exits = 0
        child.exits += status >= 0
        delay = backoff(child.failures, self._rng, _FIRST_DELAY_S)
        child.failures += 1
        child.process = None
        child.restart_at = now + delay
        _log.warning(
            "worker died",
            worker=child.kind,
            status=status,
            action="restart",
            delay=round(delay, 3),
            last_words=self._last_words(child.kind),
            log=str(self._logs / f"{child.kind}.log"),
        )

    def _last_words(self, kind: str) -> str:
        """Return the end of a worker's log, which says why it died if it could say anything."""
        with (self._logs / f"{kind}.log").open("rb") as log:
            log.seek(max(0, log.seek(0, os.SEEK_END) - _LAST_WORDS_BYTES))
            lines = log.read().decode(errors="replace").strip().splitlines()
        return lines[-1] if lines else ""

    def _log_file(self, kind: str) -> IO[bytes]:
        path = self._logs / f"{kind}.log"
        if path.exists() and path.stat().st_size > _LOG_BYTES:
            path.replace(path.with_suffix(".log.1"))
        return path.open("ab")
