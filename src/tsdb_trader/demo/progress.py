"""Progress of long steps: a bar on a terminal, a line now and then elsewhere."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Protocol
from zoneinfo import ZoneInfo

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

NEW_YORK = ZoneInfo("America/New_York")


class Steps:
    """Says what the demo is doing, on stdout, or on stderr when stdout carries JSON."""

    def __init__(self, to_stderr: bool) -> None:
        self._file = sys.stderr if to_stderr else sys.stdout

    def say(self, text: str) -> None:
        """Print one line at once."""
        print(text, file=self._file, flush=True)

    @contextmanager
    def session(self, start: datetime, end: datetime) -> Iterator[Track]:
        """Show how far a session is between its two times."""
        if not self._file.isatty():
            yield _Lines(self, start, end)
            return
        columns = (
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("{task.fields[clock]} {task.fields[note]}"),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
        )
        with Progress(*columns, console=Console(file=self._file), transient=True) as progress:
            yield _Bar(progress, start, end)


class Track(Protocol):
    """Where progress goes."""

    def at(self, as_of: datetime, note: str) -> None:
        """Show the session time and a few figures."""


class _Bar:
    def __init__(self, progress: Progress, start: datetime, end: datetime) -> None:
        self._progress = progress
        self._start = start
        total = (end - start).total_seconds()
        self._task = progress.add_task("trading", total=total, clock="", note="")

    def at(self, as_of: datetime, note: str) -> None:
        self._progress.update(
            self._task,
            completed=(as_of - self._start).total_seconds(),
            clock=f"{as_of.astimezone(NEW_YORK):%H:%M:%S}",
            note=note,
        )


class _Lines:
    """One line per tenth of the way."""

    def __init__(self, steps: Steps, start: datetime, end: datetime) -> None:
        self._steps = steps
        self._start = start
        self._span = (end - start).total_seconds()
        self._shown = 0

    def at(self, as_of: datetime, note: str) -> None:
        tenth = int((as_of - self._start).total_seconds() / self._span * 10)
        if tenth > self._shown:
            self._shown = tenth
            clock = f"{as_of.astimezone(NEW_YORK):%H:%M:%S}"
            self._steps.say(f"  at {clock} New York, {tenth * 10}%: {note}")
