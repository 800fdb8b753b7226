"""FIX 4.2 and 5.0 SP2 out of the venue's FIX 4.4, pure.

Everything the venue says is put together as FIX 4.4 and turned here into what the participant
speaks. What came in needs less: the fields of orders have the same numbers in all versions, and
`terms` knows the few exceptions.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeAlias

FIX42 = "FIX.4.2"
FIX44 = "FIX.4.4"
FIX50SP2 = "FIXT.1.1"
"""BeginStrings; a session of FIXT.1.1 speaks FIX 5.0 SP2."""

Group: TypeAlias = list[list[list[str]]]
"""Entries of a repeating group: each a list of [tag, value]."""
Fields: TypeAlias = dict[str, str | Group]
"""The body of a message by tag; a repeating group stands under the tag of its count."""

# Message types that only later versions have.
_SINCE_44 = frozenset({"AF", "q", "AD", "x"})
# ExecutionReport fields that FIX 4.2 lacks.
_NOT_IN_42 = ("584", "585", "790", "797", "851", "911", "912")
_EXEC_TRANS_TYPE: Mapping[str, str] = {"H": "1", "G": "2", "I": "3"}
_REJECT_REASONS_42 = frozenset("012345678")
_CANCEL_REASONS_42 = frozenset("0123")
_BROKER_OPTION, _BROKER_OPTION_CANCEL = "0", "2"
_TRADING_SESSION = "336"
_PEG_PRICE_TYPES: Mapping[str, str] = {"R": "5", "M": "2", "P": "4"}


def begin_string(fix_session: str) -> str:
    """Return the BeginString of a session named as the engine does: ``FIX.4.4:SIM->TSDB``."""
    return fix_session.partition(":")[0]


def knows(version: str, msg_type: str) -> bool:
    """Say whether a version of FIX has a message type."""
    return version != FIX42 or msg_type not in _SINCE_44


def adapt(version: str, msg_type: str, fields: Fields, number: int) -> Fields:
    """Return a body of FIX 4.4 as another version has it; `number` is the message's own."""
    if version == FIX42:
        return _adapt_42(msg_type, dict(fields))
    if version == FIX50SP2:
        return _adapt_50(msg_type, dict(fields), number)
    return fields


def _adapt_42(msg_type: str, fields: Fields) -> Fields:
    if msg_type == "8":
        for tag in _NOT_IN_42:
            fields.pop(tag, None)
        exec_type, status = str(fields["150"]), str(fields["39"])
        fields["20"] = _EXEC_TRANS_TYPE.get(exec_type, "0")
        if exec_type == "F":
            # A fill that meets a pending cancel or replacement leaves that status in front.
            fields["150"] = "2" if fields["151"] == "0" else "1"
        elif exec_type in _EXEC_TRANS_TYPE:
            fields["150"] = status
        if "103" in fields and fields["103"] not in _REJECT_REASONS_42:
            fields["103"] = _BROKER_OPTION
        if fields.get("59") == "7":
            del fields["59"]
            fields["40"] = "B" if fields["40"] == "2" else "5"
    elif msg_type == "9" and fields.get("102", "0") not in _CANCEL_REASONS_42:
        fields["102"] = _BROKER_OPTION_CANCEL
    return fields


def _adapt_50(msg_type: str, fields: Fields, number: int) -> Fields:
    # FIX 5.0 has numbered the trading sessions there may be; ours are none of them.
    fields.pop(_TRADING_SESSION, None)
    if msg_type == "8":
        if "111" in fields:
            fields["1138"] = fields.pop("111")
        if fields.get("40") == "P":
            letters = str(fields.get("18", "")).split()
            price_type = next((_PEG_PRICE_TYPES[x] for x in letters if x in _PEG_PRICE_TYPES), None)
            if price_type is not None:
                fields["1094"] = price_type
    elif msg_type == "AE":
        sides = fields["552"]
        if isinstance(sides, list):
            fields["552"] = [[p for p in side if p[0] != _TRADING_SESSION] for side in sides]
    elif msg_type == "r":
        fields["1369"] = str(number)
    return fields
