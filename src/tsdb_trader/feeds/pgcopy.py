"""Ticks as PostgreSQL's binary COPY format, built column by column.

A record of fixed layout is a numpy structured row. Layouts differ only by which sides of a quote
are null and by the length of the two texts, so rows are grouped by layout and each group is built
in one go. Rows may change places within a chunk; their order is in (ts, ns, source, seq).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from tsdb_trader.feeds.base import Integers, Text, Ticks

Records: TypeAlias = NDArray[np.void]

HEADER = b"PGCOPY\n\xff\r\n\0" + bytes(8)
TRAILER = b"\xff\xff"

COLUMNS = {
    "quotes": (
        *("ts", "recv_ts", "seq", "bid_price", "bid_size", "ask_price", "ask_size"),
        *("instrument_id", "source_id", "feed_id", "ns", "flags", "exchange", "conditions"),
    ),
    "trades": (
        *("ts", "recv_ts", "seq", "price", "size"),
        *("instrument_id", "source_id", "feed_id", "ns", "flags", "exchange", "conditions"),
    ),
}
_TEXTS = ("exchange", "conditions")
_FOUR_BYTES = frozenset({"instrument_id", "source_id", "feed_id"})
_TWO_BYTES = frozenset({"ns", "flags"})


@dataclass(frozen=True)
class Target:
    """What the rows of a file have in common, and the factors from the format's scale to ours."""

    instrument_id: int
    source_id: int
    feed_id: int
    price_factor: int = 1
    size_factor: int = 1


@dataclass(frozen=True)
class _Layout:
    nulls: frozenset[str]
    widths: tuple[int, int]

    def dtype(self, columns: tuple[str, ...]) -> np.dtype[Any]:
        fields: list[tuple[str, str]] = [("fields", ">i2")]
        for name in columns:
            fields.append((f"{name}_length", ">i4"))
            if name in _TEXTS:
                if width := self.widths[_TEXTS.index(name)]:
                    fields.append((name, f"S{width}"))
            elif name not in self.nulls:
                size = 4 if name in _FOUR_BYTES else 2 if name in _TWO_BYTES else 8
                fields.append((name, f">i{size}"))
        return np.dtype(fields)

    def template(self, columns: tuple[str, ...]) -> np.void:
        """Return a record with the lengths of all fields and zeros as values."""
        dtype = self.dtype(columns)
        record = np.zeros(1, dtype=dtype)
        record["fields"] = len(columns)
        for name in columns:
            if name in _TEXTS:
                length = self.widths[_TEXTS.index(name)]
            else:
                length = -1 if name in self.nulls else dtype[name].itemsize
            record[f"{name}_length"] = length
        found: np.void = record[0]
        return found


def encode(ticks: Ticks, target: Target) -> Iterator[bytes]:
    """Yield the pieces of one binary COPY of the ticks into their base table."""
    return address(list(build(ticks)), target)


def address(records: Sequence[Records], target: Target) -> Iterator[bytes]:
    """Write a target's ids and scales into built records; yield the pieces of a binary COPY."""
    yield HEADER
    for group in records:
        for name in ("instrument_id", "source_id", "feed_id"):
            group[name] = getattr(target, name)
        for name in group.dtype.names or ():
            if name.endswith("price") and target.price_factor != 1:
                group[name] *= target.price_factor
            elif name.endswith("size") and target.size_factor != 1:
                group[name] *= target.size_factor
        yield group.tobytes()
    yield TRAILER


def build(ticks: Ticks) -> Iterator[Records]:
    """Build records that have everything but the ids, which the database knows.

    Times are both event and receive time, as in any archive; nanoseconds are 0.
    """
    columns = COLUMNS[ticks.kind]
    values = _values(ticks)
    texts = [_encoded(ticks.exchange), _encoded(ticks.conditions)]
    for layout, rows in _groups(ticks, [lengths for _, lengths in texts]):
        template = layout.template(columns)
        # One copy of the template per row is much cheaper than setting each constant field.
        records = np.full(len(ticks) if rows is None else len(rows), template)
        for name, column in values.items():
            if name not in layout.nulls:
                records[name] = column if rows is None else column[rows]
        for text, width, name in zip(texts, layout.widths, _TEXTS, strict=True):
            if width:
                codes = getattr(ticks, name).codes
                lookup = np.array(text[0], dtype=f"S{width}")
                records[name] = lookup[codes if rows is None else codes[rows]]
        yield records


def _values(ticks: Ticks) -> dict[str, Integers | NDArray[np.int16]]:
    times: dict[str, Integers | NDArray[np.int16]] = {"ts": ticks.ts, "recv_ts": ticks.ts}
    return times | {"seq": ticks.seq, "flags": ticks.flags} | ticks.numbers


def _encoded(text: Text) -> tuple[list[bytes], Integers]:
    encoded = [value.encode() for value in text.values]
    return encoded, np.array([len(value) for value in encoded] or [0], dtype=np.int64)


def _groups(ticks: Ticks, lengths: list[Integers]) -> Iterator[tuple[_Layout, Integers | None]]:
    """Yield each layout with its rows, None when there is only one."""
    if not len(ticks):
        return
    exchange, conditions = (
        per_code[text.codes]
        for per_code, text in zip(lengths, (ticks.exchange, ticks.conditions), strict=True)
    )
    key = exchange << 32 | conditions << 8
    sides = ("bid", "ask") if ticks.kind == "quotes" else ()
    for bit, side in enumerate(sides):
        # Prices are above zero, so 0 says that the side is not known yet.
        key |= (ticks.numbers[f"{side}_price"] == 0).astype(np.int64) << bit
    first = int(key[0])
    if not (key != first).any():
        yield _layout(first, sides), None
        return
    for found in np.unique(key).tolist():
        yield _layout(found, sides), np.flatnonzero(key == found)


def _layout(key: int, sides: tuple[str, ...]) -> _Layout:
    nulls = {
        f"{side}_{what}"
        for bit, side in enumerate(sides)
        if key >> bit & 1
        for what in ("price", "size")
    }
    return _Layout(frozenset(nulls), (key >> 32, key >> 8 & 0xFFFFFF))
