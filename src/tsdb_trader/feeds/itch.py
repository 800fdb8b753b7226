"""Files of NASDAQ TotalView-ITCH 5.0: each message after its length in two bytes.

``01302019.NASDAQ_ITCH50.gz``, ``20190130.BX_ITCH_50.gz``, ``S081321-v50.txt.gz`` and the like;
those of BX and PSX are known by their names. Times are nanoseconds since midnight in New York.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date, datetime
from itertools import pairwise
from pathlib import Path
from typing import BinaryIO

import numpy as np

from tsdb_trader.errors import InputError
from tsdb_trader.feeds import base
from tsdb_trader.feeds.base import Block, DataFile, Options, Rejected, Rules
from tsdb_trader.feeds.files import find_files, open_plain, reading
from tsdb_trader.feeds.itch_decode import NEW_YORK, Decoder
from tsdb_trader.feeds.itch_frames import PREFIX, Frames, split

PIECE_BYTES = 6 << 20
"""Bytes read together: about as many as a block has messages, which keeps the memory small."""
_NAME = re.compile(r".*(\.bin|\.itch|_itch_?50|-v50(-bx|-psx)?(\.txt)?)(\.gz)?", re.IGNORECASE)
_EXCHANGES = {"bx": "B", "psx": "X"}
_VENUES = {"Q": "NASDAQ", "B": "BX", "X": "PSX"}
_LONGEST_WAIT = 1 << 20
"""Bytes without a right message after which the last one does not wait any more."""
_ENOUGH = 4096
"""Bytes without a single message that are enough to say that the file is something else."""


class ItchFormat:
    """Reads files of length-prefixed messages."""

    name = "itch"

    def __init__(self, options: Options | None = None) -> None:
        self._options = options or Options()

    def discover(self, paths: Iterable[Path]) -> list[DataFile]:
        """Find the files in files and folders.

        Raises
        ------
        InputError
            A path cannot be read, or a folder holds no such file.
        """
        files = find_files(
            paths, _NAME, "ITCH", "*.itch or *.NASDAQ_ITCH50; name others one by one"
        )
        return sorted(map(self._identify, files), key=lambda f: (f.content, str(f.path)))

    def open(self, file: DataFile) -> BinaryIO:
        """Return the messages, unpacked."""
        return open_plain(file.path)

    def decode(self, file: DataFile, content: BinaryIO, rules: Rules) -> Iterator[Block]:
        """Turn the messages into blocks of about `base.BLOCK_ROWS`.

        Raises
        ------
        InputError
            The file begins with nothing that is a message.
        """
        venue, day, _ = file.content.split("/")
        exchange = next(code for code, name in _VENUES.items() if name == venue)
        decoder = Decoder(_day(day, "%Y-%m-%d") or _written_on(file.path), exchange)
        row = 0
        for piece in _pieces(content):
            strange = not row and piece.frames.next_time(0) is None
            if strange and len(piece.frames.data) >= _ENOUGH:
                raise InputError(
                    f"{file.path}: not an ITCH 5.0 file: it must be messages, each after its "
                    "length in two bytes"
                )
            for block in _blocks(decoder, piece, row):
                yield block
                row = block.stop

    def _identify(self, path: Path) -> DataFile:
        venue = _VENUES[exchange_of(path.name)]
        day = self._options.day or day_of(path.name)
        if day is not None:
            return DataFile(path, f"{venue}/{day.isoformat()}/itch", vocabulary="itch")
        # Known by its name, not by a day that the next copy of it may not have.
        return DataFile(
            path,
            f"{venue}/{path.name}/itch",
            vocabulary="itch",
            note="the messages hold no date and neither does the name: taken as of "
            f"{_written_on(path)}, when the file was written; give the day with --date YYYY-MM-DD",
        )


@dataclass(frozen=True)
class _Piece:
    """Messages read together, of which the first `count` are next; the rest come again.

    `tail` is what the file ends with and is no complete message.
    """

    frames: Frames
    count: int
    tail: bytes = b""


def _pieces(content: BinaryIO) -> Iterator[_Piece]:
    rest = b""
    while read := content.read(PIECE_BYTES):
        data = rest + read
        frames, end = split(data)
        # Whether a time is believed depends on the next one, so the last message waits for it.
        count = frames.last_right()
        if count == 0 and len(data) < PIECE_BYTES + _LONGEST_WAIT:
            rest = data
            continue
        count = count or len(frames)
        rest = data[frames.starts[count] - PREFIX if count < len(frames) else end :]
        yield _Piece(frames, count)
    frames, end = split(rest)
    count = len(frames)
    if count and end == len(rest) and not frames.sizes[-1]:
        # The mark that some files end with.
        count -= 1
    yield _Piece(frames, count, rest[end:])


def _blocks(decoder: Decoder, piece: _Piece, row: int) -> Iterator[Block]:
    """Decode a piece whose first message is a given row of the file."""
    blocks = max(-(-piece.count // base.BLOCK_ROWS), 1 if piece.tail else 0)
    cuts = np.linspace(0, piece.count, blocks + 1).astype(int).tolist()
    for first, last in pairwise(cuts):
        start, stop = row + first, row + last
        decoded = decoder.decode(
            piece.frames.part(slice(first, last)),
            np.arange(start, stop),
            following=piece.frames.next_time(last),
        )
        rejected = decoded.rejected
        if piece.tail and last == piece.count:
            rejected = [*rejected, Rejected(stop, "truncated", f"hex:{piece.tail.hex()}")]
            stop += 1
        yield Block(
            start,
            stop,
            decoded.ticks,
            decoded.messages,
            rejected,
            decoded.corrections,
        )


def exchange_of(name: str) -> str:
    """Return the letter of the exchange that a file's name says: Q, B (BX) or X (PSX)."""
    words = set(re.split(r"[^a-z]+", name.lower()))
    return "B" if "bx" in words else "X" if "psx" in words else "Q"


def day_of(name: str) -> date | None:
    """Return the day in a file's name: YYYYMMDD, MMDDYYYY, or MMDDYY after an S."""
    for digits in re.findall(r"(?<!\d)\d{8}(?!\d)", name):
        for order in ("%Y%m%d", "%m%d%Y"):
            if (day := _day(digits, order)) is not None:
                return day
    for digits in re.findall(r"(?<![A-Za-z0-9])[Ss](\d{6})(?!\d)", name):
        if (day := _day(digits, "%m%d%y")) is not None:
            return day
    return None


def _day(digits: str, order: str) -> date | None:
    try:
        day = datetime.strptime(digits, order).date()  # noqa: DTZ007 - a date has no zone
    except ValueError:
        return None
    # 01302019 is no day of the year 130.
    return day if 1990 <= day.year <= 2100 else None


def _written_on(path: Path) -> date:
    with reading(path):
        return datetime.fromtimestamp(path.stat().st_mtime, NEW_YORK).date()
