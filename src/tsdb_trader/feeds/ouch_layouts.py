"""Layouts of Nasdaq OUCH 5.0: every message, field and option, and the codes they may hold.

After the Nasdaq specification "OUCH 5.0 Order Entry", revision 1.05 of October 2025. Numbers are
big-endian, prices have four decimals, texts are padded with spaces, times are nanoseconds since
midnight in New York. A message is its type, fixed fields and, in most types, an appendage: its
length (2 bytes) and options, each of length (1, counts tag and value), tag (1) and value.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from struct import Struct
from typing import Literal

MAX_QUANTITY = 999_999
MAX_PRICE = 1_999_999_900
MARKET_PRICES = (2_000_000_000, 0x7FFF_FFFF)
"""Prices that stand for a market order (the second one in a cross)."""

_SIZES = {1: "B", 2: "H", 4: "I", 8: "Q"}


@dataclass(frozen=True)
class Field:
    """A field: its size in bytes, and what it holds.

    `codes` are the allowed values of a code, each one character. A `decisive` code says what
    happens to an order, so that a value nobody knows can never be passed on.
    """

    name: str
    size: int
    kind: Literal["number", "signed", "text", "code"]
    codes: str = ""
    decisive: bool = False

    @property
    def format(self) -> str:
        """The field in the language of `struct`."""
        if self.kind == "signed":
            return "i"
        return _SIZES[self.size] if self.kind == "number" else f"{self.size}s"


@dataclass(frozen=True)
class Layout:
    """A message type: its fields after the type, and what may follow them.

    Attributes
    ----------
    appendage
        always: its length field is there even when it is empty; maybe: it may be left out;
        never: the type has none.
    options
        Tags that the type may carry.
    """

    name: str
    fields: tuple[Field, ...]
    appendage: Literal["always", "maybe", "never"]
    options: frozenset[int] = frozenset()

    @cached_property
    def struct(self) -> Struct:
        """The type and fields."""
        return Struct(">c" + "".join(field.format for field in self.fields))


def _number(name: str, size: int = 4) -> Field:
    return Field(name, size, "number")


def _text(name: str, size: int) -> Field:
    return Field(name, size, "text")


def _code(name: str, codes: str, *, decisive: bool = False) -> Field:
    return Field(name, 1, "code", codes, decisive)


_TIME = _number("timestamp", 8)
_REF = _number("user_ref_num")
_QUANTITY = _number("quantity")
_PRICE = _number("price", 8)
_SYMBOL = _text("symbol", 8)
_FIRM = _text("firm", 4)
_CL_ORD_ID = _text("cl_ord_id", 14)
_ORDER_REF = _number("order_reference_number", 8)
_SIDE = _code("side", "BSTE", decisive=True)
_TIF = _code("time_in_force", "0356E")
_SHOWN = _code("display", "YNA")
# The venue tells of one more: an order made to conform.
_DISPLAY = _code("display", "YNAZ")
_CAPACITY = _code("capacity", "APRO")
_SWEEP = _code("intermarket_sweep", "YN")
_CROSS = _code("cross_type", "NOCHSREA")
_STATE = _code("order_state", "LD", decisive=True)
_LIQUIDITY = _code("liquidity_flag", "01235789ACHJKLMNOReijkmnpqrtu")
_AIQ_CODES = "*NYDOWRydowrZEPXS01245"

_INDEX = 28
_ENTERED = frozenset({2, 3, 4, 5, 6, 7, 9, 10, 11, 12, 13, 15, 16, 17, 24, 25, 26, 28, 29, 30})
_REPLACING = frozenset({3, 5, 6, 7, 9, 10, 11, 12, 13, 15, 16, 17, 25, 26, 27, 28, 29, 30})
_ACCEPTED = _ENTERED | {1, 14, 18}
_REPLACED = frozenset({1, 2, 3, 5, 6, 7, 9, 10, 11, 12, 13, 15, 16, 17, 18, 25, 26, 28, 29, 30})
_ONLY_INDEX = frozenset({_INDEX})

TO_VENUE: Mapping[str, Layout] = {
    "O": Layout(
        "enter_order",
        (
            _REF,
            _SIDE,
            _QUANTITY,
            _SYMBOL,
            _PRICE,
            _TIF,
            _SHOWN,
            _CAPACITY,
            _SWEEP,
            _CROSS,
            _CL_ORD_ID,
        ),
        "always",
        _ENTERED,
    ),
    "U": Layout(
        "replace_order",
        (
            _number("orig_user_ref_num"),
            _REF,
            _QUANTITY,
            _PRICE,
            _code("time_in_force", "0356"),
            _SHOWN,
            _SWEEP,
            _CL_ORD_ID,
        ),
        "always",
        _REPLACING,
    ),
    "X": Layout("cancel_order", (_REF, _QUANTITY), "maybe", _ONLY_INDEX),
    "M": Layout("modify_order", (_REF, _SIDE, _QUANTITY), "maybe", frozenset({25, 26, 28})),
    "C": Layout("mass_cancel", (_REF, _FIRM, _SYMBOL), "always", frozenset({24, 27, 28})),
    "D": Layout("disable_order_entry", (_REF, _FIRM), "always", _ONLY_INDEX),
    "E": Layout("enable_order_entry", (_REF, _FIRM), "always", _ONLY_INDEX),
    "Q": Layout("account_query", (), "maybe", _ONLY_INDEX),
}
"""What a participant sends."""

_TERMS = (_SIDE, _QUANTITY, _SYMBOL, _PRICE, _TIF, _DISPLAY, _ORDER_REF, _CAPACITY, _SWEEP, _CROSS)

FROM_VENUE: Mapping[str, Layout] = {
    "S": Layout("system_event", (_TIME, _code("event_code", "SE")), "never"),
    "A": Layout("order_accepted", (_TIME, _REF, *_TERMS, _STATE, _CL_ORD_ID), "always", _ACCEPTED),
    "U": Layout(
        "order_replaced",
        (_TIME, _number("orig_user_ref_num"), _REF, *_TERMS, _STATE, _CL_ORD_ID),
        "always",
        _REPLACED,
    ),
    "C": Layout(
        "order_canceled",
        (_TIME, _REF, _QUANTITY, _code("reason", "DEFGHIKQSTUXZe")),
        "maybe",
        _ONLY_INDEX,
    ),
    "D": Layout(
        "aiq_canceled",
        (
            _TIME,
            _REF,
            _QUANTITY,
            _code("reason", "Q"),
            _number("quantity_prevented"),
            _PRICE,
            _LIQUIDITY,
            _code("aiq_strategy", _AIQ_CODES),
        ),
        "maybe",
        _ONLY_INDEX,
    ),
    "E": Layout(
        "order_executed",
        (_TIME, _REF, _QUANTITY, _PRICE, _LIQUIDITY, _number("match_number", 8)),
        "maybe",
        _ONLY_INDEX,
    ),
    "B": Layout(
        "broken_trade",
        (_TIME, _REF, _number("match_number", 8), _code("reason", "ECSX"), _CL_ORD_ID),
        "maybe",
        _ONLY_INDEX,
    ),
    "J": Layout("rejected", (_TIME, _REF, _number("reason", 2), _CL_ORD_ID), "maybe", _ONLY_INDEX),
    "P": Layout("cancel_pending", (_TIME, _REF), "maybe", _ONLY_INDEX),
    "I": Layout("cancel_reject", (_TIME, _REF), "maybe", _ONLY_INDEX),
    "T": Layout(
        "order_priority_update", (_TIME, _REF, _PRICE, _DISPLAY, _ORDER_REF), "maybe", _ONLY_INDEX
    ),
    "M": Layout(
        "order_modified", (_TIME, _REF, _SIDE, _QUANTITY), "maybe", frozenset({25, 26, 28})
    ),
    "R": Layout(
        "order_restated", (_TIME, _REF, _code("reason", "RP")), "always", frozenset({1, 22, 23, 28})
    ),
    "X": Layout(
        "mass_cancel_response", (_TIME, _REF, _FIRM, _SYMBOL), "always", frozenset({24, 27, 28})
    ),
    "G": Layout("disable_order_entry_response", (_TIME, _REF, _FIRM), "always", _ONLY_INDEX),
    "K": Layout("enable_order_entry_response", (_TIME, _REF, _FIRM), "always", _ONLY_INDEX),
    "Q": Layout(
        "account_query_response", (_TIME, _number("next_user_ref_num")), "maybe", _ONLY_INDEX
    ),
}
"""What a venue sends. The quantity of a cancel is what was taken off, not what is left."""

OPTIONS: Mapping[int, Field] = {
    1: _number("secondary_order_reference", 8),
    2: _FIRM,
    3: _number("min_quantity"),
    4: _code("customer_type", "RN "),
    5: _number("max_floor"),
    6: _code("price_type", "LPMRQm"),
    7: Field("peg_offset", 4, "signed"),
    9: _number("discretion_price", 8),
    10: _code("discretion_price_type", "LPMR"),
    11: Field("discretion_peg_offset", 4, "signed"),
    12: _code("post_only", "PN"),
    13: _number("random_reserves"),
    14: _text("route", 4),
    15: _number("expire_time"),
    16: _code("trade_now", "YN "),
    17: _code("handling", "IOTQBD "),
    18: _code("bbo_weight", "0123 SN"),
    22: _number("display_quantity"),
    23: _number("display_price", 8),
    24: _number("group_id", 2),
    25: _code("shares_located", "YN"),
    26: _text("locate_broker", 4),
    27: Field("side", 1, "code", "BSTE"),
    28: _number("user_ref_index", 1),
    29: _code("aiq_strategy", _AIQ_CODES),
    30: _text("aiq_group", 2),
}
"""Options by tag."""

OPTION_TAGS: Mapping[str, int] = {option.name: tag for tag, option in OPTIONS.items()}

CANCEL_REASONS: Mapping[str, str] = {
    "D": "regulatory restriction",
    "E": "closed",
    "F": "post only: price slid",
    "G": "post only: would meet a displayed order",
    "H": "halted",
    "I": "immediate or cancel",
    "K": "market collars",
    "Q": "self match prevention",
    "S": "supervisory",
    "T": "timeout",
    "U": "user requested",
    "X": "open protection",
    "Z": "system",
    "e": "direct listing capital raise",
}
BROKEN_REASONS: Mapping[str, str] = {
    "E": "erroneous",
    "C": "consent",
    "S": "supervisory",
    "X": "external",
}
REJECT_REASONS: Mapping[int, str] = {
    0x01: "quote unavailable",
    0x02: "destination closed",
    0x03: "invalid display",
    0x04: "invalid max floor",
    0x05: "invalid peg type",
    0x06: "fat finger",
    0x07: "halted",
    0x08: "ISO not allowed",
    0x09: "invalid side",
    0x0A: "processing error",
    0x0B: "cancel pending",
    0x0C: "firm not authorized",
    0x0D: "invalid min quantity",
    0x0E: "no closing reference price",
    0x0F: "other",
    0x10: "cancel not allowed",
    0x11: "pegging not allowed",
    0x12: "crossed market",
    0x13: "invalid quantity",
    0x14: "invalid cross order",
    0x15: "replace not allowed",
    0x16: "routing not allowed",
    0x17: "invalid symbol",
    0x18: "test",
    0x19: "late LOC too aggressive",
    0x1A: "retail not allowed",
    0x1B: "invalid midpoint post only price",
    0x1C: "invalid destination",
    0x1D: "invalid price",
    0x1E: "shares exceed threshold",
    0x1F: "exceeds maximum allowed notional value",
    0x20: "risk: aggregate exposure exceeded",
    0x21: "risk: market impact",
    0x22: "risk: restricted stock",
    0x23: "risk: short sell restricted",
    0x24: "risk: ISO not allowed",
    0x25: "risk: exceeds ADV limit",
    0x26: "risk: fat finger",
    0x27: "risk: locate required",
    0x28: "risk: symbol message rate",
    0x29: "risk: port message rate",
    0x2A: "risk: duplicate message rate",
    0x2B: "risk: short sell not allowed",
    0x2C: "risk: market order not allowed",
    0x2D: "risk: pre-market not allowed",
    0x2E: "risk: post-market not allowed",
    0x2F: "risk: short sell exempt not allowed",
    0x30: "risk: single order notional exceeded",
    0x31: "risk: max quantity exceeded",
    0x32: "Reg SHO state not available",
    0x33: "risk: IPO market buy not allowed",
    0x40: "invalid AIQ",
}
