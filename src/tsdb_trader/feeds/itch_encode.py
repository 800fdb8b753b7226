"""ITCH messages from values, each after its length: the opposite of `itch_rows`."""

from __future__ import annotations

from struct import Struct

from tsdb_trader.feeds.itch_layouts import LAYOUTS, Layout

_CODES = {">u2": "H", ">u4": "I", ">u8": "Q"}


def _struct(layout: Layout) -> Struct:
    fields = "".join(_CODES.get(kind) or f"{kind[1:]}s" for _, kind in layout.fields)
    packed = Struct(">H1sHHHI" + fields)
    assert packed.size == 2 + layout.dtype.itemsize  # noqa: S101 - both are from the same table
    return packed


_STRUCTS = {layout.letter.encode(): _struct(layout) for layout in LAYOUTS.values()}


def encode(letter: bytes, locate: int, time_ns: int, *values: int | bytes) -> bytes:
    """Return a message after its length.

    Parameters
    ----------
    locate
        The stock locate code, 0 for none. The tracking number is 0.
    time_ns
        Nanoseconds since midnight.
    values
        The fields of the type, see `itch_layouts`; texts padded with spaces.
    """
    packed = _STRUCTS[letter]
    return packed.pack(
        packed.size - 2, letter, locate, 0, time_ns >> 32, time_ns & 0xFFFFFFFF, *values
    )
