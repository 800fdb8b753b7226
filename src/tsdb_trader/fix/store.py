"""Reads the message store that QuickFIX keeps on disk, without the engine.

The engine writes a message to the store before the socket, so after a crash the store holds
everything that may have left. Layout: ``<session>.body`` is the messages end to end,
``<session>.header`` has one ``number,offset,size`` per message, each followed by a space.
"""

from __future__ import annotations

import mmap
import os
import re
from collections.abc import Iterator
from pathlib import Path

from tsdb_trader.errors import TraderError
from tsdb_trader.fix import codec

_BEGIN = re.compile(rb"8=FIXT?\.\d\.\d\x019=\d+\x0135=")
_LOGON = re.compile(rb"8=FIXT?\.\d\.\d\x019=\d+\x0135=A\x01")
# The checksum of all that is before it.
_TRAILER = re.compile(rb"\x0110=(\d{3})\x01")
_SECRET = re.compile(
    b"\x01(?:%s)=([^\x01]*)" % b"|".join(b"%d" % tag for tag in sorted(codec.SECRET_TAGS))
)
_ENTRY = re.compile(rb"(\d+),(\d+),(\d+) ")


class StoreError(TraderError):
    """The FIX message store is damaged: stop, reconcile with the venue, then reset it."""


class MessageStore:
    """The outbound messages of one session; safe to read while the engine writes."""

    def __init__(self, folder: Path, begin_string: str, sender: str, target: str) -> None:
        self._prefix = folder / f"{begin_string}-{sender}-{target}"
        self._scrubbed = 0

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

    def scrub(self) -> int:
        """Overwrite the passwords of Logons that came since the last time; return how many.

        In place, with a checksum that fits, so that offsets hold and the engine can read them. It
        never sends a Logon again, and never changes what it has written.
        """
        path = self._path("body")
        if not path.exists() or path.stat().st_size == 0:
            return 0
        count = 0
        with path.open("r+b") as file, mmap.mmap(file.fileno(), 0) as body:
            for logon in _LOGON.finditer(body, min(self._scrubbed, len(body))):
                # One that a crash has cut short ends where the next message begins.
                following = _BEGIN.search(body, logon.end())
                count += _hide(body, logon.start(), following.start() if following else len(body))
            self._scrubbed = len(body)
        return count

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


def _hide(body: mmap.mmap, begin: int, end: int) -> bool:
    """Overwrite the passwords of one message; say if it had any."""
    found = [match.span(1) for match in _SECRET.finditer(body, begin, end)]
    for first, last in found:
        body[first:last] = b"*" * (last - first)
    trailer = _TRAILER.search(body, begin, end)
    if found and trailer is not None:
        first, last = trailer.span(1)
        body[first:last] = b"%03d" % (sum(body[begin : trailer.start() + 1]) % 256)
    return bool(found)
