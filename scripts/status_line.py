"""Show that a long step is alive: one changing line on a terminal, else a line now and then."""

from __future__ import annotations

import shutil
import sys
import time

TERMINAL_INTERVAL_S = 1.0
LOG_INTERVAL_S = 15.0
LOG_WIDTH = 160


class StatusLine:
    """The line of one step, on the standard error.

    Parameters
    ----------
    at_once
        Show the first text; else it waits for its interval like the others.
    """

    def __init__(self, *, at_once: bool = False) -> None:
        self._terminal = sys.stderr.isatty()
        self._interval = TERMINAL_INTERVAL_S if self._terminal else LOG_INTERVAL_S
        self._started = time.monotonic()
        self._shown = self._started - self._interval if at_once else self._started

    @property
    def elapsed(self) -> float:
        """Seconds since the step began."""
        return time.monotonic() - self._started

    def show(self, text: str) -> None:
        """Print the text, unless something was said a moment ago."""
        now = time.monotonic()
        if now - self._shown < self._interval:
            return
        self._shown = now
        if self._terminal:
            width = shutil.get_terminal_size().columns - 1
            print(f"\r\033[K{text[:width]}", end="", file=sys.stderr, flush=True)
        else:
            print(text[:LOG_WIDTH], file=sys.stderr, flush=True)

    def end(self, text: str) -> None:
        """Replace the changing line by the last word on the step."""
        start = "\r\033[K" if self._terminal else ""
        print(f"{start}{text}", file=sys.stderr, flush=True)
