"""FIX of the venue's side, pure: requests out of raw messages, words for codes, text of values.

The codes are those of FIX 4.4; `versions` turns what leaves into the other versions.

The venue shares no code with the gateway, so that neither can hide a mistake of the other.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from decimal import Decimal, InvalidOperation
from uuid import UUID
from zoneinfo import ZoneInfo

NEW_ORDER = "D"
REPLACE = "G"
CANCEL = "F"
STATUS_REQUEST = "H"
MASS_STATUS_REQUEST = "AF"
MASS_CANCEL = "q"
TRADES_REQUEST = "AD"
MARKET_DATA_REQUEST = "V"
SECURITY_LIST_REQUEST = "x"
SECURITY_STATUS_REQUEST = "e"
MARKET_DATA_REQUESTS = (MARKET_DATA_REQUEST, SECURITY_LIST_REQUEST, SECURITY_STATUS_REQUEST)

SIDES: Mapping[str, str] = {"1": "buy", "2": "sell", "5": "sell_short"}
ORDER_TYPES: Mapping[str, str] = {
    "1": "market",
    "2": "limit",
    "3": "stop",
    "4": "stop_limit",
    "P": "pegged",
}
TIMES_IN_FORCE: Mapping[str, str] = {
    "0": "day",
    "1": "gtc",
    "2": "at_open",
    "3": "ioc",
    "4": "fok",
    "6": "gtd",
    "7": "at_close",
}
ORD_STATUS: Mapping[str, str] = {
    "new": "0",
    "partially_filled": "1",
    "filled": "2",
    "done_for_day": "3",
    "cancelled": "4",
    "stopped": "7",
    "rejected": "8",
    "suspended": "9",
    "expired": "C",
}
PENDING_STATUS: Mapping[str, str] = {"new": "A", "replace": "E", "cancel": "6"}
PEGS: Mapping[str, str] = {"R": "primary", "M": "midpoint", "P": "market"}
POST_ONLY = "6"
OVER: frozenset[str] = frozenset({"filled", "cancelled", "rejected", "expired"})
SIDE_CODES: Mapping[str, str] = {name: code for code, name in SIDES.items()}
TYPE_CODES: Mapping[str, str] = {name: code for code, name in ORDER_TYPES.items()}
FORCE_CODES: Mapping[str, str] = {name: code for code, name in TIMES_IN_FORCE.items()}
PEG_CODES: Mapping[str, str] = {name: code for code, name in PEGS.items()}

# Where the traded day changes.
_TRADING_ZONE = ZoneInfo("America/New_York")
_AVERAGE_DECIMALS = Decimal("0.00000001")
# Keeps every product of price and quantity well inside what numbers can hold exactly.
_LARGEST = Decimal(10) ** 12
_UTC_TIME = re.compile(r"(\d{8}-\d{2}:\d{2}:\d{2})(?:\.(\d{1,6})\d*)?")


class RejectedError(Exception):
    """An order cannot be accepted: OrdRejReason (tag 103) and a text for people."""

    def __init__(self, reason: int, text: str) -> None:
        super().__init__(text)
        self.reason = reason
        self.text = text


class UnsupportedError(Exception):
    """The venue does not serve this type of message."""


@dataclass(frozen=True, slots=True)
class Request:
    """An application message of a participant: its header and its first value by tag."""

    fix_session: str
    participant: str
    msg_type: str
    seqnum: int
    repeated: bool
    fields: Mapping[int, str]
    raw: str

    def get(self, tag: int) -> str:
        """Return a field's value, '' if it is absent."""
        return self.fields.get(tag, "")

    def all(self, tag: int) -> list[str]:
        """Return every value of a field, in order: those of a repeating group."""
        start = f"{tag}="
        return [p.removeprefix(start) for p in self.raw.split("\x01") if p.startswith(start)]

    @property
    def begin_string(self) -> str:
        """Return BeginString (8): the version of FIX that the participant speaks."""
        return self.get(8)

    @property
    def cl_ord_id(self) -> str:
        """Return ClOrdID (11)."""
        return self.get(11)

    @property
    def transact_time(self) -> datetime | None:
        """Return TransactTime (60)."""
        return parse_time(self.get(60))


def parse_request(raw: str, fix_session: str) -> Request:
    """Read a raw message that the engine has validated; of a repeated tag the first value."""
    fields: dict[int, str] = {}
    for part in raw.split("\x01"):
        tag, separator, value = part.partition("=")
        if separator and tag.isdecimal():
            fields.setdefault(int(tag), value)
    return Request(
        fix_session=fix_session,
        participant=fields.get(49, ""),
        msg_type=fields.get(35, ""),
        seqnum=int(fields.get(34, "0")),
        repeated=fields.get(43) == "Y" or fields.get(97) == "Y",
        fields=fields,
        raw=raw,
    )


def parse_time(value: str) -> datetime | None:
    """Read a UTCTimestamp to the microsecond, None if it is none."""
    match = _UTC_TIME.fullmatch(value)
    if match is None:
        return None
    try:
        whole = datetime.strptime(match[1], "%Y%m%d-%H:%M:%S").replace(tzinfo=UTC)
    except ValueError:
        return None
    return whole.replace(microsecond=int((match[2] or "0").ljust(6, "0")))


def trading_session(request: Request) -> UUID:
    """Return the one trading session of an order (386=1, 336).

    Raises
    ------
    RejectedError
        There is none, more than one, or it is no session id.
    """
    if request.get(386) != "1":
        raise RejectedError(99, "an order needs exactly one TradingSessionID (336)")
    try:
        return UUID(request.get(336))
    except ValueError:
        raise RejectedError(
            99, f"TradingSessionID (336) {request.get(336)!r} is no session id"
        ) from None


def read_choice(request: Request, tag: int, name: str, choices: Mapping[str, str]) -> str:
    """Return the meaning of a coded field.

    Raises
    ------
    RejectedError
        The venue does not support the code.
    """
    code = request.get(tag)
    if code not in choices:
        raise RejectedError(11, f"{name} ({tag}) {code!r} is not supported")
    return choices[code]


def read_decimal(request: Request, tag: int, name: str, *, signed: bool = False) -> Decimal:
    """Return a number, positive unless it may be signed.

    Raises
    ------
    RejectedError
        The field is missing, no number, not finite, or not positive.
    """
    text = request.get(tag)
    try:
        value = Decimal(text)
    except InvalidOperation:
        raise RejectedError(99, f"{name} ({tag}) {text!r} is no number") from None
    if not value.is_finite() or (value <= 0 and not signed):
        raise RejectedError(13 if tag == 38 else 99, f"{name} ({tag}) {text} is not positive")
    return value


def units(value: Decimal, scale: int, step: Decimal, name: str) -> int:
    """Return a decimal as an integer of 10^-scale.

    Raises
    ------
    RejectedError
        It is too large, no multiple of the step (tick or lot), or finer than the instrument.
    """
    if abs(value) > _LARGEST:
        raise RejectedError(13 if name == "quantity" else 99, f"{name} {value} is too large")
    scaled = value.scaleb(scale)
    if value % step or scaled != scaled.to_integral_value():
        raise RejectedError(
            13 if name == "quantity" else 99, f"{name} {value} is no multiple of {step}"
        )
    return int(scaled)


def trade_date(ts: datetime) -> date:
    """Return the trading day of a moment."""
    return ts.astimezone(_TRADING_ZONE).date()


def trading_time(ts: datetime) -> time:
    """Return the time of day of a moment where it trades."""
    return ts.astimezone(_TRADING_ZONE).time()


def time_text(ts: datetime) -> str:
    """Write a UTCTimestamp with milliseconds."""
    return f"{ts.astimezone(UTC):%Y%m%d-%H:%M:%S}.{ts.microsecond // 1000:03d}"


def exact_time_text(ts: datetime) -> str:
    """Write a UTCTimestamp with microseconds."""
    return f"{ts.astimezone(UTC):%Y%m%d-%H:%M:%S.%f}"


def number_text(value: Decimal) -> str:
    """Write a decimal without exponent and trailing zeros."""
    text = f"{value:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def average_text(notional: Decimal, quantity: Decimal) -> str:
    """Write the average price to eight decimals, 0 without a fill."""
    return number_text((notional / quantity).quantize(_AVERAGE_DECIMALS)) if quantity else "0"
