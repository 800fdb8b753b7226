"""Reads the message store that QuickFIX keeps on disk, without the engine.

The engine writes a message to the store before the socket, so after a crash the store holds
everything that may have left. Layout: ``<session>.body`` is the messages end to end,
``<session>.header`` has one ``number,offset,size`` per message, each followed by a space.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

from tsdb_trader.errors import TraderError

_ENTRY = re.compile(rb"(\d+),(\d+),(\d+) ")


class StoreError(TraderError):
    """The FIX message store is damaged: stop, reconcile with the venue, then reset it."""


class MessageStore:
    """The outbound messages of one session; safe to read while the engine writes."""

    def __init__(self, folder: Path, begin_string: str, sender: str, target: str) -> None:
        self._prefix = folder / f"{begin_string}-{sender}-{target}"

    def _path(self, suffix: str) -> Path:
        return self._prefix.with_name(f"{self._prefix.name}.{suffix}")

    def mend(self) -> None:
        """Remove an entry that a crash or a full disk cut short, before the engine adds to it.

        Raises
        ------
        StoreError
            The index cannot be read.
        """
        _, end = self._read_index()
        path = self._path("header")
        if path.exists() and path.stat().st_size > end:
            os.truncate(path, end)

    def _entries(self) -> dict[int, tuple[int, int]]:
        return self._read_index()[0]

    def _read_index(self) -> tuple[dict[int, tuple[int, int]], int]:
        """Return (offset, size) of the messages by number, and where the last whole entry ends."""
        path = self._path("header")
        if not path.exists():
            return {}, 0
        text = path.read_bytes()
        entries: dict[int, tuple[int, int]] = {}
        position = 0
        while match := _ENTRY.match(text, position):
            number, offset, size = (int(part) for part in match.groups())
            # A number used again counts as the engine counts it: the last one stands.
            entries[number] = (offset, size)
            position = match.end()
        rest = text[position:]
        # A crash can cut the last entry short; anything else is not what the engine writes.
        if rest and re.fullmatch(rb"[\d,]+", rest) is None:
            raise StoreError(f"{path}: unreadable at byte {position}")
        return entries, position

    def messages(self) -> Iterator[tuple[int, str]]:
        """Yield (sequence number, text) in order of the numbers.

        A message whose text is cut short by a crash was not sent and is left out.

        Raises
        ------
        StoreError
            The index cannot be read.
        """
        entries = self._entries()
        if not entries:
            return
        with self._path("body").open("rb") as body:
            for number in sorted(entries):
                offset, size = entries[number]
                body.seek(offset)
                text = body.read(size)
                if len(text) == size:
                    yield number, text.decode("utf-8", "surrogateescape")

    def read(self, number: int) -> str | None:
        """Return the message sent under a sequence number, if the store holds it."""
        entry = self._entries().get(number)
        if entry is None:
            return None
        with self._path("body").open("rb") as body:
            body.seek(entry[0])
            text = body.read(entry[1])
        return text.decode("utf-8", "surrogateescape") if len(text) == entry[1] else None

    def next_numbers(self) -> tuple[int, int]:
        """Return the next outbound and the next expected inbound number, (1, 1) when new.

        Raises
        ------
        StoreError
            The numbers cannot be read.
        """
        path = self._path("seqnums")
        if not path.exists():
            return 1, 1
        match = re.fullmatch(rb"\s*(\d+) : (\d+)\s*", path.read_bytes())
        if match is None:
            raise StoreError(f"{path}: unreadable")
        return int(match[1]), int(match[2])
