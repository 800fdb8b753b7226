"""Starts the Python processes of tests as forks of one that has imported the libraries.

A venue, a gateway or a client spends a second of a processor on imports and little on its test.
What starts here is a process of its own all the same, with its own arguments, environment and
files, which can be stopped, killed and waited for; only the imports are not done again.

Run as a file it is the process that forks: nursery.py <file descriptor of the control socket>.
"""

from __future__ import annotations

import atexit
import contextlib
import functools
import gc
import importlib
import io
import json
import os
import runpy
import select
import selectors
import signal
import socket
import subprocess
import sys
import threading
import traceback
from collections.abc import Mapping
from pathlib import Path
from typing import IO, TextIO

_IMPORTS = (
    "quickfix",
    "tsdb_trader.logs",
    "tsdb_trader.workers.feeds",
    "tsdb_trader.workers.gateway",
    "tsdb_trader.workers.venue",
)
_LONGEST = 1 << 20
_INPUT, _OUTPUT, _ERRORS, _STATUS = range(4)


class Child:
    """A process that was started here: what tests use of `subprocess.Popen`, for one thread."""

    def __init__(self, pid: int, status: int, stdin: TextIO | None, stdout: TextIO | None) -> None:
        self.pid = pid
        self.stdin, self.stdout = stdin, stdout
        self.returncode: int | None = None
        self._status = status

    def poll(self) -> int | None:
        """Return the exit status, negative after a signal, or None while the process runs."""
        return self._ended(0)

    def wait(self, timeout: float | None = None) -> int:
        """Wait for the end and return the exit status.

        Raises
        ------
        subprocess.TimeoutExpired
            It still runs.
        """
        found = self._ended(timeout)
        if found is None:
            raise subprocess.TimeoutExpired(f"process {self.pid}", timeout or 0)
        return found

    def send_signal(self, number: int) -> None:
        """Send a signal, unless the process has ended."""
        if self.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, number)

    def kill(self) -> None:
        """End the process at once."""
        self.send_signal(signal.SIGKILL)

    def terminate(self) -> None:
        """Ask the process to end."""
        self.send_signal(signal.SIGTERM)

    def _ended(self, timeout: float | None) -> int | None:
        if self.returncode is None and select.select([self._status], [], [], timeout)[0]:
            told = os.read(self._status, 16)
            os.close(self._status)
            if not told:
                raise ChildProcessError(f"nobody knows how process {self.pid} ended")
            self.returncode = os.waitstatus_to_exitcode(int(told))
        return self.returncode


class Nursery:
    """The other end of the process that forks."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            self._process = subprocess.Popen(
                # Not to find the tests' modules in the place of others.
                [sys.executable, "-P", __file__, str(theirs.fileno())],
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
            )

    def spawn(
        self, command: list[str], environment: Mapping[str, str], files: tuple[int, int, int]
    ) -> tuple[int, int]:
        """Return a new process's number, and where its exit status will be read."""
        status, theirs = os.pipe()
        request = json.dumps({"command": command, "environment": dict(environment)}).encode()
        try:
            with self._lock:
                socket.send_fds(self._control, [request], [*files, theirs])
                answer = self._control.recv(16)
        finally:
            os.close(theirs)
        if not answer:
            raise ChildProcessError("the process that forks has ended")
        return int(answer), status

    def close(self) -> None:
        """End the process that forks; the others go on."""
        self._control.close()
        self._process.wait()


@functools.cache
def _nursery() -> Nursery:
    made = Nursery()
    atexit.register(made.close)
    return made


def start(
    script: Path,
    *arguments: str,
    environment: Mapping[str, str] | None = None,
    piped: bool = False,
    stdout: IO[bytes] | None = None,
    stderr: IO[bytes] | None = None,
) -> Child:
    """Start a Python file in a process of its own.

    Parameters
    ----------
    environment
        By default this process's.
    piped
        Text can be written to its standard input, and read from its standard output.
    stdout, stderr
        Where its output goes; by default where this process's goes.
    """
    to_child: TextIO | None = None
    from_child: TextIO | None = None
    with contextlib.ExitStack() as ends:
        inputs = ends.enter_context(Path(os.devnull).open("rb")).fileno()
        outputs = stdout.fileno() if stdout else _OUTPUT
        if piped:
            inputs, writable = os.pipe()
            readable, outputs = os.pipe()
            ends.callback(os.close, inputs)
            ends.callback(os.close, outputs)
            to_child = io.TextIOWrapper(os.fdopen(writable, "wb"))
            from_child = io.TextIOWrapper(os.fdopen(readable, "rb"))
        pid, status = _nursery().spawn(
            [str(script), *arguments],
            os.environ if environment is None else environment,
            (inputs, outputs, stderr.fileno() if stderr else _ERRORS),
        )
    return Child(pid, status, to_child, from_child)


# The process that forks ------------------------------------------------------------------------


def _become(command: list[str], environment: dict[str, str], files: list[int]) -> None:
    """Be the process that was asked for, to its end."""
    status, interrupted = 1, False
    try:
        signal.signal(signal.SIGINT, signal.default_int_handler)
        for place in (_INPUT, _OUTPUT, _ERRORS):
            os.dup2(files[place], place)
        os.closerange(_ERRORS + 1, max(os.sysconf("SC_OPEN_MAX"), 1024))
        os.environ.clear()
        os.environ.update(environment)
        sys.argv = command
        sys.path.insert(0, str(Path(command[0]).parent))
        runpy.run_path(command[0], run_name="__main__")
        status = 0
    except SystemExit as end:
        status = end.code if isinstance(end.code, int) else int(end.code is not None)
    except BaseException as error:
        traceback.print_exc()
        interrupted = isinstance(error, KeyboardInterrupt)
    finally:
        with contextlib.suppress(OSError):
            sys.stdout.flush()
            sys.stderr.flush()
        if interrupted:
            signal.signal(signal.SIGINT, signal.SIG_DFL)
            signal.raise_signal(signal.SIGINT)
        # Nothing of the process that forks may be tidied up here.
        os._exit(status)


def _fork(request: bytes, files: list[int], control: socket.socket) -> tuple[int, int]:
    """Start what was asked for, say its number, and return it with what will tell its end."""
    asked = json.loads(request)
    pid = os.fork()
    if pid == 0:
        _become(asked["command"], asked["environment"], files)
    for file in files[:_STATUS]:
        os.close(file)
    end = os.pidfd_open(pid)
    control.send(str(pid).encode())
    return pid, end


def main(control: socket.socket) -> None:
    """Fork what is asked for, and tell how each one ended, until nobody asks any more."""
    # An interrupt from the keyboard is for the tests, which then close the control socket.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    for name in _IMPORTS:
        importlib.import_module(name)
    gc.freeze()
    ends: dict[int, tuple[int, int]] = {}
    with selectors.DefaultSelector() as ready:
        ready.register(control, selectors.EVENT_READ)
        while True:
            for key, _ in ready.select():
                if key.fd != control.fileno():
                    ready.unregister(key.fd)
                    pid, status = ends.pop(key.fd)
                    _, found = os.waitpid(pid, 0)
                    with contextlib.suppress(BrokenPipeError):
                        os.write(status, str(found).encode())
                    os.close(status)
                    os.close(key.fd)
                    continue
                request, files, _, _ = socket.recv_fds(control, _LONGEST, 4)
                if not request:
                    return
                pid, end = _fork(request, files, control)
                ends[end] = (pid, files[_STATUS])
                ready.register(end, selectors.EVENT_READ)


if __name__ == "__main__":
    main(socket.socket(fileno=int(sys.argv[1])))
