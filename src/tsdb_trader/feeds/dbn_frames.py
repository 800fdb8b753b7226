"""Where the records of a DBN file begin and end."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from tsdb_trader.errors import InputError
from tsdb_trader.feeds.dbn_layouts import (
    DEFINITION,
    INCREMENT,
    LAYOUTS,
    PRICES,
    UNDEFINED_PRICE,
)

_PIECE = 4 << 20
_UNIT = 4
"""A record's first byte is its length in these."""
_SHORTEST = 16
"""The header that every record has: length, type, publisher, instrument, time."""
_FIRST_WINDOW = 64
MOST_DECIMALS = 8
"""Of a price that can be stored."""


@dataclass(frozen=True)
class Frames:
    """Records: where each begins in the data, how long it is; what is left at the file's end."""

    data: NDArray[np.uint8]
    starts: NDArray[np.int64]
    lengths: NDArray[np.int64]
    tail: bytes = b""

    def __len__(self) -> int:
        return len(self.starts) + bool(self.tail)

    def types(self) -> NDArray[np.uint8]:
        """Return the type of each record."""
        return self.data[self.starts + 1]

    def records(self, rows: NDArray[np.int64], layout: np.dtype[Any]) -> NDArray[np.void]:
        """Return records as an array of a layout, which must not be longer than any of them."""
        starts = self.starts[rows]
        size = layout.itemsize
        if len(rows) == rows[-1] - rows[0] + 1 and bool((self.lengths[rows] == size).all()):
            return self.data[starts[0] : starts[0] + len(rows) * size].view(layout)
        gathered = self.data[starts[:, None] + np.arange(size)]
        return np.ascontiguousarray(gathered).view(layout)[:, 0]

    def raw(self, row: int) -> bytes:
        """Return a record's bytes."""
        if row == len(self.starts):
            return self.tail
        start = int(self.starts[row])
        return self.data[start : start + int(self.lengths[row])].tobytes()


def read_fully(content: BinaryIO, size: int) -> bytes:
    """Read so many bytes, fewer only at the end."""
    pieces = []
    while size > 0 and (piece := content.read(min(size, _PIECE))):
        pieces.append(piece)
        size -= len(piece)
    return b"".join(pieces)


def read(content: BinaryIO, name: str, most: int) -> Iterator[Frames]:
    """Yield the records behind the metadata, `most` at a time but for the last.

    Raises
    ------
    InputError
        A length is too short for a record, so that nothing after it can be found.
    """
    kept = b""
    done = 0
    waiting: list[Frames] = []
    count = 0
    ended = False
    while not ended:
        piece = read_fully(content, _PIECE)
        ended = len(piece) < _PIECE
        frames, kept = _split(kept + piece, name, done)
        done += len(frames)
        waiting.append(frames)
        count += len(frames)
        while count >= most:
            yield _take(waiting, most)
            count -= most
    if kept or count:
        last = _take(waiting, count)
        yield Frames(last.data, last.starts, last.lengths, kept)


def _take(waiting: list[Frames], most: int) -> Frames:
    """Join the first `most` records, and leave the rest."""
    joined = _join(waiting)
    waiting[:] = [_part(joined, slice(most, None))]
    return _part(joined, slice(0, most))


def _part(frames: Frames, rows: slice) -> Frames:
    starts, lengths = frames.starts[rows], frames.lengths[rows]
    if not len(starts):
        return Frames(frames.data[:0], starts, lengths)
    first = int(starts[0])
    last = int(starts[-1] + lengths[-1])
    return Frames(frames.data[first:last], starts - first, lengths)


def _join(frames: list[Frames]) -> Frames:
    sizes = np.cumsum([0, *(len(f.data) for f in frames)])
    return Frames(
        np.concatenate([f.data for f in frames]),
        np.concatenate([f.starts + size for f, size in zip(frames, sizes, strict=False)]),
        np.concatenate([f.lengths for f in frames]),
    )


def _split(text: bytes, name: str, done: int) -> tuple[Frames, bytes]:
    """Find whole records; return them and the bytes that begin the next.

    Records of one length follow each other in long runs: each step looks how far the length
    repeats, in windows that double, so that mixed files cost no more than their changes.
    """
    data = np.frombuffer(text, dtype=np.uint8)
    starts: list[NDArray[np.int64]] = []
    lengths: list[NDArray[np.int64]] = []
    at = 0
    window = _FIRST_WINDOW
    count = 0
    while at < len(data):
        length = int(data[at]) * _UNIT
        if length < _SHORTEST:
            raise InputError(
                f"{name}: record {done + count} says that it is {length} bytes long: damaged; "
                "get the file anew"
            )
        room = min((len(data) - at) // length, window)
        if room == 0:
            break
        same = data[at : at + room * length : length] == data[at]
        run = room if bool(same.all()) else int(same.argmin())
        window = 2 * window if run == window else _FIRST_WINDOW
        starts.append(at + length * np.arange(run))
        lengths.append(np.full(run, length))
        count += run
        at += run * length
    none = np.zeros(0, dtype=np.int64)
    frames = Frames(data[:at], np.concatenate([none, *starts]), np.concatenate([none, *lengths]))
    return frames, text[at:]


def decimals(content: BinaryIO, name: str) -> int:
    """Return how many decimals the prices behind the metadata need."""
    found = 0
    for frames in read(content, name, 1 << 18):
        types = frames.types()
        for kind in np.unique(types).tolist():
            # A definition is as good as the prices that will come.
            layout = INCREMENT if kind == DEFINITION else LAYOUTS.get(kind)
            if layout is None:
                continue
            rows = np.flatnonzero((types == kind) & (frames.lengths >= layout.itemsize))
            if len(rows):
                records = frames.records(rows, layout)
                columns = PRICES.get(kind, ("min_price_increment",))
                found = max(found, *(_decimals(records[column]) for column in columns))
    return found


def _decimals(prices: NDArray[np.int64]) -> int:
    # Nine decimals cannot be stored; such a price is quarantined and changes nothing for others.
    known = prices[(prices != UNDEFINED_PRICE) & (prices % 10 == 0)]
    for places in range(MOST_DECIMALS):
        if not (known % 10 ** (9 - places)).any():
            return places
    return MOST_DECIMALS
