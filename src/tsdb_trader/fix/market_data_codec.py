"""FIX 4.4 market data text → updates, pure. Prices and sizes become integers in the feed's scale.

A message of market data is cut into updates: the entries of one instrument under one RptSeq. Each
is a row of its own, read or refused whole.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Final, TypeAlias

from tsdb_trader.feeds.base import EPOCH, NULL, Definition
from tsdb_trader.fix import codec
from tsdb_trader.fix.codec import SOH, CodecError, Fields

FULL, INCREMENTAL, REFUSED = "W", "X", "Y"
LIST, STATUS, BUSINESS_REJECT = "y", "f", "j"
BID, OFFER, TRADE = "0", "1", "2"
NEW, CHANGE, DELETE = "0", "1", "2"
SYMBOL: Final = re.compile(r"[A-Z0-9][A-Z0-9 ./+=#^$*:_@-]{0,31}")
_NUMBER: Final = re.compile(r"-?(?:\d+\.?\d*|\.\d+)", re.ASCII)
_TIME: Final = re.compile(r"(\d{8})-(\d{2}:\d{2}:\d{2})(?:\.(\d{1,9}))?", re.ASCII)
_LARGEST: Final = 10**15
Row: TypeAlias = Sequence[tuple[int, str]]


class UnusableError(Exception):
    """An update that cannot be right: a key of `base.REASONS`, and a text."""

    def __init__(self, reason: str, text: str) -> None:
        super().__init__(text)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Stamp:
    """A time: microseconds since `EPOCH`, and the nanoseconds (0 to 999) beyond them."""

    ts: int
    ns: int = 0


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of a message: `name` is MDEntryID (OrderID in a full refresh), '' for none.

    Of a delete, price and size may be `NULL`.
    """

    action: str
    kind: str
    name: str
    price: int
    size: int
    stamp: Stamp


@dataclass(frozen=True, slots=True)
class Update:
    """What a message says of one instrument, before it is read.

    Attributes
    ----------
    number
        RptSeq; None when the venue does not number.
    view
        TradingSessionID and TradingSessionSubID: whose numbers these are.
    lines
        The fields of each entry.
    """

    symbol: str
    full: bool
    number: int | None
    view: tuple[str, str]
    lines: tuple[Fields, ...]
    sent: str

    def entries(self, scales: Definition) -> list[Entry]:
        """Read the entries.

        Raises
        ------
        UnusableError
            One of them cannot be right.
        """
        return [_entry(line, self, scales) for line in self.lines]


def read_updates(raw: str) -> list[Update]:
    """Cut a full or incremental refresh into updates.

    Raises
    ------
    CodecError
        It cannot be cut: no symbol, no number, entries not in their group.
    """
    head, lines = _group(codec.pairs(raw), 268)
    full = head.get(35) == FULL
    if full:
        view = (lines[0].get(336, ""), lines[0].get(625, "")) if lines else ("", "")
        number = _integer(head.get(83) or (lines[-1].get(83) if lines else None))
        return [Update(_symbol(head), True, number, view, tuple(lines), head.get(52, ""))]
    found: dict[tuple[str, int | None], list[Fields]] = {}
    symbol = head.get(55, "")
    for line in lines:
        # An entry without a symbol is of the instrument of the entry before it.
        symbol = line.get(55, symbol)
        found.setdefault((_symbol({55: symbol}), _integer(line.get(83))), []).append(line)
    if not found:
        raise CodecError("an incremental refresh without entries")
    return [
        Update(
            symbol,
            False,
            number,
            (part[0].get(336, ""), part[0].get(625, "")),
            tuple(part),
            head.get(52, ""),
        )
        for (symbol, number), part in found.items()
    ]


def read_symbols(raw: str) -> tuple[list[str], bool]:
    """Return the symbols of a security list, and whether it is the last part."""
    head, lines = _group(codec.pairs(raw), 146)
    symbols = [line[55] for line in lines if SYMBOL.fullmatch(line.get(55, ""))]
    return symbols, head.get(893, "Y") == "Y"


def stamp_of(*texts: str) -> Stamp:
    """Return the first of some UTC timestamps that is not empty.

    Raises
    ------
    UnusableError
        It is no time, or there is none.
    """
    text = next((text for text in texts if text), "")
    match = _TIME.fullmatch(text)
    try:
        if match is None:
            raise ValueError
        day, clock, fraction = match.groups()
        whole = datetime.strptime(f"{day} {clock}", "%Y%m%d %H:%M:%S").replace(tzinfo=UTC)
    except ValueError:
        raise UnusableError("not_a_time", f"{text[:40]!r} is no UTC time") from None
    nanoseconds = int((fraction or "").ljust(9, "0"))
    seconds = (whole - EPOCH) // timedelta(seconds=1)
    return Stamp(seconds * 1_000_000 + nanoseconds // 1000, nanoseconds % 1000)


def printable(raw: str) -> str:
    """Return a message as a person reads it, with bars for separators."""
    return codec.storable(raw).replace(SOH, "|")


def _group(fields: Iterator[tuple[int, str]], count_tag: int) -> tuple[Fields, list[Fields]]:
    """Split a message into its own fields and those of each entry of its group."""
    head: Fields = {}
    lines: list[Fields] = []
    for tag, value in fields:
        head.setdefault(tag, value)
        if tag == count_tag:
            break
    rest = [pair for pair in fields if pair[0] != 10]
    first = rest[0][0] if rest else 0
    count = head.get(count_tag, "0")
    if not count.isascii() or not count.isdigit():
        raise CodecError(f"tag {count_tag} is no count: {count[:20]!r}")
    for tag, value in rest if int(count) else ():
        if tag == first:
            lines.append({})
        lines[-1].setdefault(tag, value)
    if len(lines) != int(count):
        raise CodecError(f"{count} entries announced, {len(lines)} found")
    if not lines:
        for tag, value in rest:
            head.setdefault(tag, value)
    return head, lines


def _symbol(fields: Fields) -> str:
    symbol = fields.get(55, "")
    if SYMBOL.fullmatch(symbol) is None:
        raise CodecError(f"no symbol, or one that cannot be: {symbol[:40]!r}")
    return symbol


def _integer(text: str | None) -> int | None:
    if text is None:
        return None
    if not text.isascii() or not text.isdigit() or len(text) > 18:
        raise CodecError(f"RptSeq is no number: {text[:20]!r}")
    return int(text)


def _entry(line: Fields, update: Update, scales: Definition) -> Entry:
    action = NEW if update.full else line.get(279, "")
    kind = line.get(269, "")
    if action not in (NEW, CHANGE, DELETE):
        raise UnusableError("malformed", f"MDUpdateAction {action[:10]!r}")
    if kind not in (BID, OFFER, TRADE):
        raise UnusableError("malformed", f"MDEntryType {kind[:10]!r}")
    price, size = (
        _scaled(line.get(tag), scale, name, optional=action == DELETE)
        for tag, scale, name in (
            (270, scales.price_scale, "price"),
            (271, scales.size_scale, "size"),
        )
    )
    when = f"{line[272]}-{line[273]}" if 272 in line and 273 in line else ""
    stamp = stamp_of(when, line.get(60, ""), update.sent)
    return Entry(action, kind, line.get(278) or line.get(37) or "", price, size, stamp)


def _scaled(text: str | None, scale: int, name: str, *, optional: bool) -> int:
    if not text:
        if optional:
            return NULL
        raise UnusableError("missing_value", f"no {name}")
    if _NUMBER.fullmatch(text) is None:
        nan = text.strip("+-").lower() in ("nan", "inf", "infinity")
        raise UnusableError("nan" if nan else "not_a_number", f"{name} {text[:40]!r}")
    if len(text) > 40:
        raise UnusableError("out_of_range", f"{name} {text[:40]}")
    value = Decimal(text)
    scaled = value.scaleb(scale)
    if abs(scaled) >= _LARGEST:
        raise UnusableError("out_of_range", f"{name} {text}")
    if scaled != scaled.to_integral_value():
        raise UnusableError("too_precise", f"{name} {text} has over {scale} decimals")
    if scaled < 0:
        raise UnusableError(f"negative_{name}", f"{name} {text}")
    if scaled == 0 and not optional:
        raise UnusableError(f"zero_{name}", f"{name} {text}")
    return int(scaled)


def request(
    request_id: str, symbol: str, *, subscribe: bool, depth: int, single_orders: bool, session: str
) -> tuple[Row, Sequence[tuple[int, Sequence[Row]]]]:
    """Return body and groups of a MarketDataRequest, or of its end."""
    body = [(262, request_id), (263, "1" if subscribe else "2"), (264, str(depth))]
    body += [(265, "1"), (266, "N" if single_orders else "Y")]
    groups: list[tuple[int, Sequence[Row]]] = [
        (267, [[(269, kind)] for kind in (BID, OFFER, TRADE)]),
        (146, [[(55, symbol)]]),
    ]
    if session:
        groups.append((386, [[(336, session)]]))
    return body, groups


def names(values: Iterable[str]) -> str:
    """Return a few names for people."""
    listed = sorted(values)
    return ", ".join(listed[:10]) + (" …" if len(listed) > 10 else "")
