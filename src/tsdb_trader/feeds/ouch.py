"""Nasdaq OUCH 5.0: bytes ↔ messages, pure. The layouts stand in `ouch_layouts`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TypeAlias

from tsdb_trader.errors import TraderError
from tsdb_trader.feeds.ouch_layouts import (
    FROM_VENUE,
    MARKET_PRICES,
    MAX_PRICE,
    MAX_QUANTITY,
    OPTION_TAGS,
    OPTIONS,
    TO_VENUE,
    Field,
    Layout,
)

Value: TypeAlias = int | str
_MAX_EXPIRE_S = 86_399
_UNKNOWN = "tag_"
_PRINTABLE = range(0x20, 0x7F)


class OuchError(TraderError):
    """A message that is not OUCH 5.0.

    `reason` is a key of `base.REASONS`; `raw` the message in hexadecimal, where there is one.
    """

    def __init__(self, reason: str, text: str, raw: bytes = b"") -> None:
        super().__init__(f"{text}: {raw.hex()}" if raw else text)
        self.reason = reason
        self.raw = raw.hex()


@dataclass(frozen=True, slots=True)
class Message:
    """A message.

    Attributes
    ----------
    type
        Its letter; the same one may mean different things in the two directions.
    to_venue
        Whether a participant sends it.
    values
        Every field of its layout by name; texts without the spaces they are padded with.
    options
        What its appendage says, by name; None where the message has no appendage at all.
    """

    type: str
    to_venue: bool
    values: Mapping[str, Value]
    options: Mapping[str, Value] | None = None

    @property
    def layout(self) -> Layout:
        """The message type."""
        return (TO_VENUE if self.to_venue else FROM_VENUE)[self.type]

    @property
    def name(self) -> str:
        """What the type is called: enter_order, order_executed and so on."""
        return self.layout.name

    def number(self, name: str) -> int:
        """Return a number."""
        return int(self.values[name])

    def text(self, name: str) -> str:
        """Return a text or code."""
        return str(self.values[name])


def decode(raw: bytes, *, to_venue: bool, strict: bool = True) -> Message:
    """Read one message, without the SoupBinTCP packet around it.

    Parameters
    ----------
    strict
        Reject any value that the specification does not list. A participant that reads what its
        venue says sets it to False: codes and options of a later revision then come through as
        they are (options as ``tag_<number>``, in hexadecimal), because an execution must not be
        lost for its liquidity flag; codes that decide about an order are checked all the same.

    Raises
    ------
    OuchError
        The bytes are no such message.
    """
    if not raw:
        raise OuchError("truncated", "an empty message")
    layouts = TO_VENUE if to_venue else FROM_VENUE
    letter = chr(raw[0])
    layout = layouts.get(letter)
    if layout is None:
        raise OuchError("unknown_type", f"message type {letter!r}", raw)
    fixed = layout.struct.size
    if len(raw) < fixed:
        raise OuchError("truncated", f"{layout.name} has at least {fixed} bytes", raw)
    values = {
        field.name: _value(field, value, raw, strict)
        for field, value in zip(layout.fields, layout.struct.unpack_from(raw)[1:], strict=True)
    }
    options = _appendage(layout, raw, fixed, strict)
    message = Message(letter, to_venue, values, options)
    if to_venue and strict:
        _check_terms(message, raw)
    return message


def encode(message: Message) -> bytes:
    """Write a message.

    Raises
    ------
    OuchError
        A field is missing or unknown, or a value is not one that the specification lists.
    """
    layouts = TO_VENUE if message.to_venue else FROM_VENUE
    layout = layouts.get(message.type)
    if layout is None:
        raise OuchError("unknown_type", f"message type {message.type!r}")
    names = {field.name for field in layout.fields}
    if names != set(message.values):
        wrong = ", ".join(sorted(names ^ set(message.values)))
        raise OuchError("missing_value", f"{layout.name} lacks, or does not have: {wrong}")
    if message.to_venue:
        _check_terms(message)
    packed = (_packed(field, message.values[field.name]) for field in layout.fields)
    fixed = layout.struct.pack(message.type.encode(), *packed)
    if message.options is None:
        if layout.appendage == "always":
            raise OuchError("missing_value", f"{layout.name} needs an appendage, be it empty")
        return fixed
    if layout.appendage == "never":
        raise OuchError("malformed", f"{layout.name} has no appendage")
    options = b"".join(_option(layout, name, value) for name, value in message.options.items())
    return fixed + len(options).to_bytes(2, "big") + options


def _value(field: Field, value: int | bytes, raw: bytes, strict: bool) -> Value:
    if isinstance(value, int):
        return value
    if any(byte not in _PRINTABLE for byte in value):
        raise OuchError("malformed", f"{field.name} holds {value!r}", raw)
    text = value.decode("ascii")
    if field.kind == "text":
        return text.rstrip(" ")
    if text not in field.codes and (strict or field.decisive):
        raise OuchError("malformed", f"{field.name} {text!r} is none of {field.codes}", raw)
    return text


def _appendage(layout: Layout, raw: bytes, start: int, strict: bool) -> dict[str, Value] | None:
    rest = len(raw) - start
    if not rest and layout.appendage != "always":
        return None
    if layout.appendage == "never":
        raise OuchError("wrong_length", f"{layout.name} has {start} bytes", raw)
    length = int.from_bytes(raw[start : start + 2], "big")
    if rest < 2 or rest != 2 + length:
        raise OuchError("wrong_length", f"{layout.name} does not end with its appendage", raw)
    options: dict[str, Value] = {}
    for tag, value in _elements(raw, start + 2):
        option = OPTIONS.get(tag)
        known = option is not None and tag in layout.options and len(value) == option.size
        if option is not None and known:
            name, read = option.name, _read_option(option, value, raw, strict)
        elif strict:
            raise OuchError(
                "malformed", f"{layout.name} has no option {tag} of {len(value)} bytes", raw
            )
        else:
            name, read = f"{_UNKNOWN}{tag}", value.hex()
        if name in options:
            raise OuchError("malformed", f"option {name} stands twice", raw)
        options[name] = read
    return options


def _elements(raw: bytes, position: int) -> Iterator[tuple[int, bytes]]:
    while position < len(raw):
        end = position + 1 + raw[position]
        if raw[position] == 0 or end > len(raw):
            raise OuchError("wrong_length", "an option does not end with the appendage", raw)
        yield raw[position + 1], raw[position + 2 : end]
        position = end


def _read_option(option: Field, value: bytes, raw: bytes, strict: bool) -> Value:
    if option.kind in ("number", "signed"):
        return int.from_bytes(value, "big", signed=option.kind == "signed")
    return _value(option, value, raw, strict)


def _packed(field: Field, value: Value) -> int | bytes:
    if field.kind in ("number", "signed"):
        bits = 8 * field.size
        low, high = (-(1 << bits - 1), 1 << bits - 1) if field.kind == "signed" else (0, 1 << bits)
        if not isinstance(value, int) or isinstance(value, bool) or not low <= value < high:
            raise OuchError("out_of_range", f"{field.name} cannot be {value!r}")
        return value
    if not isinstance(value, str) or len(value) > field.size:
        raise OuchError("wrong_length", f"{field.name} {value!r} has over {field.size} characters")
    if field.kind == "code" and (len(value) != 1 or value not in field.codes):
        raise OuchError("malformed", f"{field.name} {value!r} is none of {field.codes}")
    if any(ord(character) not in _PRINTABLE for character in value):
        raise OuchError("malformed", f"{field.name} cannot hold {value!r}")
    return value.ljust(field.size).encode("ascii")


def _option(layout: Layout, name: str, value: Value) -> bytes:
    tag = OPTION_TAGS.get(name)
    if tag is None or tag not in layout.options:
        raise OuchError("malformed", f"{layout.name} has no option {name!r}")
    option = OPTIONS[tag]
    packed = _packed(option, value)
    if isinstance(packed, int):
        packed = packed.to_bytes(option.size, "big", signed=option.kind == "signed")
    return bytes((1 + len(packed), tag)) + packed


def _check_terms(message: Message, raw: bytes = b"") -> None:
    """Check the numbers of an order: zero shares are allowed where a cancel means all of them."""
    quantity = message.values.get("quantity")
    least = 0 if message.type == "X" else 1
    if quantity is not None and not (
        isinstance(quantity, int) and least <= quantity <= MAX_QUANTITY
    ):
        raise OuchError("out_of_range", f"quantity {quantity} is no size of an order", raw)
    price = message.values.get("price")
    if price is not None and not (
        isinstance(price, int) and (0 < price <= MAX_PRICE or price in MARKET_PRICES)
    ):
        raise OuchError("out_of_range", f"price {price} is no price of an order", raw)
    expires = (message.options or {}).get("expire_time", 0)
    if not isinstance(expires, int) or expires > _MAX_EXPIRE_S:
        raise OuchError("out_of_range", f"expire_time {expires} is longer than a day", raw)
