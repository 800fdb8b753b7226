"""How a process is asked to stop: once for a clean end, twice for an immediate one."""

from __future__ import annotations

import os
import select
import signal
import threading
from collections.abc import Sequence
from types import FrameType

from tsdb_trader import logs

_log = logs.get("stop")


class Stop:
    """A stop flag that also wakes whoever waits on sockets; safe from threads and signals."""

    def __init__(self) -> None:
        self._event = threading.Event()
        self._read, self._write = os.pipe()
        os.set_blocking(self._read, False)
        os.set_blocking(self._write, False)

    def request(self) -> None:
        """Ask for a clean end."""
        self._event.set()
        self.wake()

    def is_set(self) -> bool:
        """Say whether an end was asked for."""
        return self._event.is_set()

    def wake(self) -> None:
        """End the current or next `wait` early, without asking for an end."""
        try:
            os.write(self._write, b"x")
        except BlockingIOError:
            return  # the pipe is full of wake-ups already

    def wait(self, timeout: float, sockets: Sequence[int] = ()) -> bool:
        """Wait for a wake-up, the request to stop or data, at most `timeout` seconds.

        Returns
        -------
        bool
            Something came; False when the time ran out.
        """
        if self.is_set():
            return True
        readable, _, _ = select.select([self._read, *sockets], [], [], max(0.0, timeout))
        if self._read in readable:
            os.read(self._read, 4096)
        return bool(readable)

    def end_within(self, grace_s: float) -> threading.Event:
        """End the process `grace_s` seconds after the request to stop, whatever it is stuck in.

        A query on a connection that broke without a word cannot be interrupted, and a worker keeps
        no truth in memory: ending is always safe. Set the returned event to call the watch off.
        """
        done = threading.Event()

        def watch() -> None:
            self._event.wait()
            if not done.wait(grace_s):
                _log.error("clean end took too long", action="exit", grace_s=grace_s)
                os._exit(1)

        threading.Thread(target=watch, name="end-within", daemon=True).start()
        return done

    def close(self) -> None:
        """Give the pipe back."""
        os.close(self._read)
        os.close(self._write)


def install_signals(stop: Stop) -> None:
    """Let the first SIGTERM or SIGINT request a clean end, and the second end at once.

    Call it after everything that imports QuickFIX: its import resets SIGINT.
    """

    def handle(number: int, _frame: FrameType | None) -> None:
        if stop.is_set():
            os._exit(128 + number)
        stop.request()

    signal.signal(signal.SIGTERM, handle)
    signal.signal(signal.SIGINT, handle)
