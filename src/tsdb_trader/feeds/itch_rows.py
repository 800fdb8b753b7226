"""ITCH messages as columns, and what can be wrong with each for itself."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tsdb_trader.feeds.base import NULL, Integers
from tsdb_trader.feeds.itch_frames import Frames
from tsdb_trader.feeds.itch_layouts import DAY_NS, DTYPES, LAYOUTS, LENGTHS
from tsdb_trader.feeds.itch_symbols import BAD, Symbols

SIDES = ("bid", "ask")

REASONS = (
    "",
    "wrong_length",
    "unknown_type",
    "time_out_of_day",
    "time_backwards",
    "malformed",
    "bad_symbol",
    "out_of_range",
    "zero_price",
    "zero_size",
    "unknown_instrument",
    "unknown_order",
    "excess_quantity",
    "duplicate_order",
)
"""What can be wrong with a message; the first thing found counts."""
WRONG: Mapping[str, int] = {reason: code for code, reason in enumerate(REASONS)}

_WIDE = ("order_id", "new_order_id", "match_number", "shares", "price")
# Prices and sizes of these go into ticks, where 0 is none.
_PRICED = frozenset(b"AFCUP")
_SIZED = frozenset(b"AFECXUP")
_LETTERS = {"side": b"BS", "printable": b"YN"}


@dataclass
class Rows:
    """Messages column by column; `NULL` (`BAD` in symbol and side) where a type has no such field.

    Attributes
    ----------
    locate
        The locate code of messages that name their stock, -1 of others.
    places, records
        Of each type that is there, its messages among all, and these in its structured type.
    wrong
        What is wrong with each message, one of `WRONG`; 0 is nothing.
    """

    frames: Frames
    types: NDArray[np.uint8]
    time_ns: Integers
    columns: Mapping[str, Integers]
    locate: Integers
    symbol: NDArray[np.int32]
    side: NDArray[np.int8]
    places: dict[int, Integers]
    records: dict[int, NDArray[Any]]
    wrong: NDArray[np.int8]

    def __len__(self) -> int:
        return len(self.types)

    def reject(self, reason: str, places: Integers, where: NDArray[np.bool_]) -> None:
        """Note what is wrong with some of the messages at the places, unless they are wrong."""
        found = places[where]
        if len(found):
            self.wrong[found[self.wrong[found] == 0]] = WRONG[reason]

    def raw(self, row: int) -> str:
        """Return a message as text."""
        return f"hex:{self.frames.message(row).hex()}"


def read(frames: Frames, symbols: Symbols) -> Rows:
    """Bring messages into columns, and check each for itself but for its time."""
    count = len(frames)
    data = np.frombuffer(frames.data, dtype=np.uint8)
    empty = frames.sizes == 0
    # An empty message has no type; what stands in its place does not matter.
    types = data[np.where(empty, 0, frames.starts)] if len(data) else np.empty(0, dtype=np.uint8)
    if empty.any():
        types[empty] = 0
    wrong = np.zeros(count, dtype=np.int8)
    asked = LENGTHS[types]
    wrong[frames.sizes != asked] = WRONG["wrong_length"]
    wrong[(asked < 0) & ~empty] = WRONG["unknown_type"]
    rows = Rows(
        frames,
        types,
        np.zeros(count, dtype=np.int64),
        {name: np.full(count, NULL, dtype=np.int64) for name in _WIDE},
        np.full(count, -1, dtype=np.int64),
        np.full(count, BAD, dtype=np.int32),
        np.full(count, BAD, dtype=np.int8),
        {},
        {},
        wrong,
    )
    counts = np.bincount(types, minlength=256)
    for letter in LAYOUTS:
        if counts[letter]:
            places = np.flatnonzero((types == letter) & (wrong == 0))
            if len(places):
                _read_type(rows, letter, places, symbols)
    return rows


def _read_type(rows: Rows, letter: int, places: Integers, symbols: Symbols) -> None:
    layout, dtype = LAYOUTS[letter], DTYPES[letter]
    data = rows.frames.data
    # Every byte as the start of a message, of which those wanted are copied.
    anywhere: NDArray[np.void] = np.ndarray(
        (len(data) - dtype.itemsize + 1,), f"V{dtype.itemsize}", data, strides=(1,)
    )
    records = anywhere[rows.frames.starts[places]].view(dtype)
    rows.places[letter], rows.records[letter] = places, records
    high, low = records["time_high"].astype(np.int64), records["time_low"]
    rows.time_ns[places] = high << 32 | low
    rows.reject("time_out_of_day", places, rows.time_ns[places] >= DAY_NS)
    for name in layout.texts:
        rows.reject("malformed", places, ~_printable(records[name]))
    names = dtype.names or ()
    for name, letters in _LETTERS.items():
        if name in names:
            value = records[name]
            good = (value == letters[:1]) | (value == letters[1:])
            rows.reject("malformed", places, ~good)
            if name == "side":
                rows.side[places] = (value == letters[1:]).astype(np.int8)
    if "stock" in names:
        locates = records["stock_locate"].astype(np.int64)
        codes = symbols.codes(records["stock"], locates)
        rows.locate[places] = locates
        rows.symbol[places] = codes
        rows.reject("bad_symbol", places, codes == BAD)
    if letter in _SIZED or letter in b"DQB":
        _read_numbers(rows, letter, places, records)


def _read_numbers(rows: Rows, letter: int, places: Integers, records: NDArray[Any]) -> None:
    names = records.dtype.names or ()
    for name in _WIDE:
        if name in names:
            values = records[name]
            if values.dtype.itemsize == 8:
                rows.reject("out_of_range", places, values > np.iinfo(np.int64).max)
            rows.columns[name][places] = values.astype(np.int64)
    price, shares = rows.columns["price"][places], rows.columns["shares"][places]
    if letter in _PRICED:
        rows.reject("zero_price", places, price == 0)
    if letter in _SIZED:
        rows.reject("zero_size", places, shares == 0)
    if letter == ord("Q"):
        # A cross that did not happen has neither.
        rows.reject("zero_price", places, (price == 0) & (shares > 0))


def _printable(values: NDArray[np.bytes_]) -> NDArray[np.bool_]:
    """Mark texts that are printable ASCII and nothing else."""
    letters = np.ascontiguousarray(values).view(np.uint8).reshape(len(values), -1)
    return np.asarray(((letters >= 0x20) & (letters < 0x7F)).all(axis=1), dtype=np.bool_)
