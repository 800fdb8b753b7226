"""The 23 message types of NASDAQ TotalView-ITCH 5.0, as numpy structured types.

Source: "NASDAQ TotalView-ITCH 5.0" specification, Nasdaq. Integers are big-endian and unsigned,
texts ASCII padded with spaces on the right, prices integers with 4 implied decimals (8 in V).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

_HEADER = (
    ("type", "S1"),
    ("stock_locate", ">u2"),
    ("tracking_number", ">u2"),
    # Nanoseconds since midnight in 48 bits.
    ("time_high", ">u2"),
    ("time_low", ">u4"),
)
_U4, _U8, _LETTER, _STOCK = ">u4", ">u8", "S1", "S8"


@dataclass(frozen=True)
class Layout:
    """A message type.

    Attributes
    ----------
    name
        How `market.statuses` calls it.
    fields
        What follows the header every message has.
    code
        The field that says most; it becomes `market.statuses.code`.
    decimals
        Implied decimals of the price fields.
    """

    letter: str
    name: str
    fields: tuple[tuple[str, str], ...]
    code: str = ""
    decimals: Mapping[str, int] = field(default_factory=dict)

    @property
    def dtype(self) -> np.dtype[Any]:
        """The structured type of a whole message."""
        return np.dtype([*_HEADER, *self.fields])

    @property
    def texts(self) -> tuple[str, ...]:
        """The fields that are text."""
        return tuple(name for name, kind in self.fields if kind.startswith("S"))


def _prices(*names: str, decimals: int = 4) -> dict[str, int]:
    return dict.fromkeys(names, decimals)


_ORDER = (("order_id", _U8), ("side", _LETTER), ("shares", _U4), ("stock", _STOCK), ("price", _U4))
_EXECUTED = (("order_id", _U8), ("shares", _U4), ("match_number", _U8))

_ALL = (
    Layout("S", "system_event", (("event_code", _LETTER),), "event_code"),
    Layout(
        "R",
        "directory",
        (
            ("stock", _STOCK),
            ("market_category", _LETTER),
            ("financial_status", _LETTER),
            ("round_lot_size", _U4),
            ("round_lots_only", _LETTER),
            ("issue_classification", _LETTER),
            ("issue_sub_type", "S2"),
            ("authenticity", _LETTER),
            ("short_sale_threshold", _LETTER),
            ("ipo_flag", _LETTER),
            ("luld_tier", _LETTER),
            ("etp_flag", _LETTER),
            ("etp_leverage_factor", _U4),
            ("inverse", _LETTER),
        ),
        "market_category",
    ),
    Layout(
        "H",
        "trading_action",
        (("stock", _STOCK), ("state", _LETTER), ("reserved", _LETTER), ("reason", "S4")),
        "state",
    ),
    Layout("Y", "reg_sho", (("stock", _STOCK), ("action", _LETTER)), "action"),
    Layout(
        "L",
        "participant",
        (
            ("mpid", "S4"),
            ("stock", _STOCK),
            ("primary", _LETTER),
            ("mode", _LETTER),
            ("state", _LETTER),
        ),
        "state",
    ),
    Layout(
        "V",
        "mwcb_levels",
        (("level_1", _U8), ("level_2", _U8), ("level_3", _U8)),
        decimals=_prices("level_1", "level_2", "level_3", decimals=8),
    ),
    Layout("W", "mwcb_status", (("breached_level", _LETTER),), "breached_level"),
    Layout(
        "K",
        "ipo",
        (
            ("stock", _STOCK),
            ("release_time_s", _U4),
            ("release_qualifier", _LETTER),
            ("price", _U4),
        ),
        "release_qualifier",
        _prices("price"),
    ),
    Layout(
        "J",
        "luld_collar",
        (
            ("stock", _STOCK),
            ("reference_price", _U4),
            ("upper_price", _U4),
            ("lower_price", _U4),
            ("extension", _U4),
        ),
        decimals=_prices("reference_price", "upper_price", "lower_price"),
    ),
    Layout(
        "h",
        "operational_halt",
        (("stock", _STOCK), ("market_code", _LETTER), ("action", _LETTER)),
        "action",
    ),
    Layout("A", "add", _ORDER, decimals=_prices("price")),
    Layout("F", "attribution", (*_ORDER, ("mpid", "S4")), "mpid", _prices("price")),
    Layout("E", "execute", _EXECUTED),
    Layout(
        "C",
        "execute_with_price",
        (*_EXECUTED, ("printable", _LETTER), ("price", _U4)),
        decimals=_prices("price"),
    ),
    Layout("X", "reduce", (("order_id", _U8), ("shares", _U4))),
    Layout("D", "delete", (("order_id", _U8),)),
    Layout(
        "U",
        "replace",
        (("order_id", _U8), ("new_order_id", _U8), ("shares", _U4), ("price", _U4)),
        decimals=_prices("price"),
    ),
    Layout("P", "trade", (*_ORDER, ("match_number", _U8)), decimals=_prices("price")),
    Layout(
        "Q",
        "cross",
        (
            ("shares", _U8),
            ("stock", _STOCK),
            ("price", _U4),
            ("match_number", _U8),
            ("cross_type", _LETTER),
        ),
        "cross_type",
        _prices("price"),
    ),
    Layout("B", "broken_trade", (("match_number", _U8),)),
    Layout(
        "I",
        "imbalance",
        (
            ("paired_shares", _U8),
            ("imbalance_shares", _U8),
            ("direction", _LETTER),
            ("stock", _STOCK),
            ("far_price", _U4),
            ("near_price", _U4),
            ("reference_price", _U4),
            ("cross_type", _LETTER),
            ("price_variation", _LETTER),
        ),
        "direction",
        _prices("far_price", "near_price", "reference_price"),
    ),
    Layout("N", "retail_interest", (("stock", _STOCK), ("interest", _LETTER)), "interest"),
    Layout(
        "O",
        "direct_listing",
        (
            ("stock", _STOCK),
            ("open_eligibility", _LETTER),
            ("minimum_price", _U4),
            ("maximum_price", _U4),
            ("near_price", _U4),
            ("near_time_ns", _U8),
            ("lower_price", _U4),
            ("upper_price", _U4),
        ),
        "open_eligibility",
        _prices("minimum_price", "maximum_price", "near_price", "lower_price", "upper_price"),
    ),
)

LAYOUTS: Mapping[int, Layout] = {ord(layout.letter): layout for layout in _ALL}
"""Every message type, by its first byte."""
DTYPES: Mapping[int, np.dtype[Any]] = {key: layout.dtype for key, layout in LAYOUTS.items()}
"""Their structured types."""


def _lengths() -> NDArray[np.int64]:
    found = np.full(256, -1, dtype=np.int64)
    for key, dtype in DTYPES.items():
        found[key] = dtype.itemsize
    return found


LENGTHS = _lengths()
"""Bytes of a message by its first byte; -1 where there is no such type."""
HEADER_BYTES = np.dtype(list(_HEADER)).itemsize
TIME_FIRST = 5
"""Where in the header the time begins."""
DAY_NS = 24 * 3600 * 10**9
