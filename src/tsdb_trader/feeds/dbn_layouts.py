"""Layouts of DBN's market data records, which are the same in all versions of the format.

They are written down here so that a file's layout does not follow whatever version of the library
is installed; a test compares them with the library's own.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

UNDEFINED_PRICE = (1 << 63) - 1
UNDEFINED_SIZE = (1 << 32) - 1
UNDEFINED_TIME = (1 << 64) - 1

LAST, TOP_OF_BOOK, SNAPSHOT, PRICE_LEVEL = 128, 64, 32, 16
"""Flags: the event's last record; a level and not an order, in either of two ways; a snapshot."""

MBO, TRADE, MBP_1, TBBO, BBO_1S, BBO_1M = 160, 0, 1, 197, 195, 196
STATUS, DEFINITION, SYMBOL_MAPPING = 18, 19, 22
BARS: Mapping[int, str] = {32: "1s", 33: "1m", 34: "1h", 35: "1d"}
"""Type of a record, and the resolution of the bars."""

_HEADER = [
    ("length", "u1"),
    ("rtype", "u1"),
    ("publisher_id", "<u2"),
    ("instrument_id", "<u4"),
    ("ts_event", "<u8"),
]
_BOTH_SIDES = [
    ("bid_px_00", "<i8"),
    ("ask_px_00", "<i8"),
    ("bid_sz_00", "<u4"),
    ("ask_sz_00", "<u4"),
    ("bid_ct_00", "<u4"),
    ("ask_ct_00", "<u4"),
]
_MBO = np.dtype(
    [
        *_HEADER,
        ("order_id", "<u8"),
        ("price", "<i8"),
        ("size", "<u4"),
        ("flags", "u1"),
        ("channel_id", "u1"),
        ("action", "S1"),
        ("side", "S1"),
        ("ts_recv", "<u8"),
        ("ts_in_delta", "<i4"),
        ("sequence", "<u4"),
    ]
)
_TRADE_FIELDS = [
    *_HEADER,
    ("price", "<i8"),
    ("size", "<u4"),
    ("action", "S1"),
    ("side", "S1"),
    ("flags", "u1"),
    ("depth", "u1"),
    ("ts_recv", "<u8"),
    ("ts_in_delta", "<i4"),
    ("sequence", "<u4"),
]
_TRADE = np.dtype(_TRADE_FIELDS)
_MBP_1 = np.dtype([*_TRADE_FIELDS, *_BOTH_SIDES])
_BBO = np.dtype(
    [
        *_HEADER,
        ("price", "<i8"),
        ("size", "<u4"),
        ("_reserved1", "u1"),
        ("side", "S1"),
        ("flags", "u1"),
        ("_reserved2", "u1"),
        ("ts_recv", "<u8"),
        ("_reserved3", "S4"),
        ("sequence", "<u4"),
        *_BOTH_SIDES,
    ]
)
_BAR = np.dtype(
    [
        *_HEADER,
        ("open", "<i8"),
        ("high", "<i8"),
        ("low", "<i8"),
        ("close", "<i8"),
        ("volume", "<u8"),
    ]
)
LAYOUTS: Mapping[int, np.dtype[Any]] = {
    MBO: _MBO,
    TRADE: _TRADE,
    MBP_1: _MBP_1,
    TBBO: _MBP_1,
    BBO_1S: _BBO,
    BBO_1M: _BBO,
    **dict.fromkeys(BARS, _BAR),
}
"""Type of a record, and its layout."""
INCREMENT = np.dtype([*_HEADER, ("ts_recv", "<u8"), ("min_price_increment", "<i8")])
"""How a definition begins in all versions."""

_SIDES = ("bid_px_00", "ask_px_00")
PRICES: Mapping[int, tuple[str, ...]] = {
    MBO: ("price",),
    TRADE: ("price",),
    MBP_1: ("price", *_SIDES),
    TBBO: ("price", *_SIDES),
    BBO_1S: _SIDES,
    BBO_1M: _SIDES,
    **dict.fromkeys(BARS, ("open", "high", "low", "close")),
}
"""Which columns of a type are prices that are stored."""
