"""What ITCH messages should become, message by message: itchfeed reads them, dicts keep orders.

Shares nothing with the package but the names of reasons. Rows are compared as tuples.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterable, Iterator
from datetime import date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from itch.messages import MarketMessage, messages

from tsdb_trader.feeds.base import EPOCH, Block

DAY_NS = 86_400 * 10**9
LARGEST = 2**63 - 1
SYMBOL = re.compile(rb"[A-Z0-9][A-Z0-9 ./+=#^$*:_@-]{0,7}")
NAMES = {
    "S": "system_event",
    "R": "directory",
    "H": "trading_action",
    "Y": "reg_sho",
    "L": "participant",
    "V": "mwcb_levels",
    "W": "mwcb_status",
    "K": "ipo",
    "J": "luld_collar",
    "h": "operational_halt",
    "F": "attribution",
    "Q": "cross",
    "B": "broken_trade",
    "I": "imbalance",
    "N": "retail_interest",
    "O": "direct_listing",
}
SIDES = {b"B": "bid", b"S": "ask"}


def frames(data: bytes) -> tuple[list[bytes], bytes]:
    """Return the messages of length-prefixed bytes, and what is left at their end."""
    found, place = [], 0
    while place + 2 <= len(data):
        (size,) = struct.unpack_from(">H", data, place)
        if place + 2 + size > len(data):
            break
        found.append(data[place + 2 : place + 2 + size])
        place += 2 + size
    return found, data[place:]


def parsed(message: bytes) -> MarketMessage | str:
    """Return itchfeed's message, or the reason why there is none."""
    kind = messages.get(message[:1])
    if kind is None:
        return "unknown_type" if message else "wrong_length"
    return kind(message) if len(message) == kind.message_size else "wrong_length"


def believed(times: list[int | None], *, last: int = 0) -> list[bool]:
    """Say of each time whether it is in order; None has none."""
    found = [True] * len(times)
    places = [i for i, time in enumerate(times) if time is not None]
    for n, i in enumerate(places):
        time = times[i]
        after = times[places[n + 1]] if n + 1 < len(places) else None
        if time < last or (after is not None and last <= after < time):
            found[i] = False
        else:
            last = time
    return found


class Reference:
    """Turns messages into what is to be stored of them."""

    def __init__(self, day: date) -> None:
        midnight = datetime(day.year, day.month, day.day, tzinfo=ZoneInfo("America/New_York"))
        self._midnight = (midnight - EPOCH) // timedelta(microseconds=1) * 1000
        self.orders: dict[int, list[Any]] = {}
        self._announced: dict[int, str | None] = {}
        self._opened: set[str | None] = set()

    def read(self, found: list[bytes]) -> Iterator[list[tuple[Any, ...]]]:
        """Yield what each message becomes."""
        read = [parsed(message) for message in found]
        times = [None if isinstance(m, str) or m.timestamp >= DAY_NS else m.timestamp for m in read]
        for message, raw, in_order in zip(read, found, believed(times), strict=True):
            if isinstance(message, str):
                yield [("rejected", message, f"hex:{raw.hex()}")]
                continue
            symbol = self._symbol(message)
            reason = self._wrong(message, symbol, in_order)
            rows: list[tuple[Any, ...]] | str = reason or self._rows(message, symbol)
            yield [("rejected", rows, f"hex:{raw.hex()}")] if isinstance(rows, str) else rows

    def _symbol(self, message: MarketMessage) -> str | None:
        stock = getattr(message, "stock", None)
        if stock is None:
            return None
        good = SYMBOL.fullmatch(stock.rstrip(b" ")) is not None
        symbol = stock.rstrip(b" ").decode() if good else None
        self._announced[message.stock_locate] = symbol
        return symbol

    def _wrong(self, message: MarketMessage, symbol: str | None, in_order: bool) -> str:
        letter = message.message_type.decode()
        fields = {k: v for k, v in vars(message).items() if k != "message_type"}
        if message.timestamp >= DAY_NS:
            return "time_out_of_day"
        if not in_order:
            return "time_backwards"
        if any(isinstance(v, bytes) and not re.fullmatch(rb"[ -~]*", v) for v in fields.values()):
            return "malformed"
        side, printable = fields.get("buy_sell_indicator"), fields.get("printable")
        if side not in (None, b"B", b"S") or printable not in (None, b"Y", b"N"):
            return "malformed"
        if "stock" in fields and symbol is None:
            return "bad_symbol"
        wide = [
            v
            for k, v in fields.items()
            if k in ("order_reference_number", "new_order_reference_number", "match_number")
            or (k == "shares" and letter == "Q")
        ]
        if any(value > LARGEST for value in wide):
            return "out_of_range"
        price = next((fields[k] for k in ("price", "execution_price") if k in fields), None)
        shares = next(
            (fields[k] for k in ("shares", "executed_shares", "cancelled_shares") if k in fields),
            None,
        )
        if letter in "AFCUP" and price == 0:
            return "zero_price"
        if letter == "Q" and fields["cross_price"] == 0 and shares:
            return "zero_price"
        return "zero_size" if letter in "AFECXUP" and shares == 0 else ""

    def _rows(self, m: Any, symbol: str | None) -> list[tuple[Any, ...]] | str:
        letter, at = m.message_type.decode(), self._midnight + m.timestamp
        if letter in "AF":
            order = m.order_reference_number
            if order in self.orders:
                return "duplicate_order"
            side = SIDES[m.buy_sell_indicator]
            self.orders[order] = [symbol, side, m.price, m.shares]
            self._opened.add(symbol)
            event = ("event", at, symbol, "add", side, m.price, m.shares, order, None, None)
            return [event, ("status", at, symbol, "attribution")] if letter == "F" else [event]
        if letter in "ECXDU":
            return self._change(m, letter, at)
        if letter == "P":
            return [("trade", at, symbol, m.price, m.shares, m.match_number, "P")]
        if letter == "Q" and m.shares:
            kind = m.cross_type.decode()
            return [("trade", at, symbol, m.cross_price, m.shares, m.match_number, kind)]
        if letter == "B":
            symbol = self._announced.get(m.stock_locate) if m.stock_locate else None
            if symbol is None:
                return "unknown_instrument"
            broken = ("correction", symbol, m.match_number)
            return [broken, ("status", at, symbol, "broken_trade")]
        status = ("status", at, symbol, NAMES[letter])
        if letter == "R" and symbol not in self._opened:
            self._opened.add(symbol)
            return [status, ("event", at, symbol, "clear", "", *[None] * 5)]
        return [status]

    def _change(self, m: Any, letter: str, at: int) -> list[tuple[Any, ...]] | str:
        order = m.order_reference_number
        if order not in self.orders:
            return "unknown_order"
        symbol, side, price, left = self.orders[order]
        if letter == "D":
            del self.orders[order]
            return [("event", at, symbol, "delete", side, None, None, order, None, None)]
        if letter == "U":
            new = m.new_order_reference_number
            if new in self.orders:
                return "duplicate_order"
            del self.orders[order]
            self.orders[new] = [symbol, side, m.price, m.shares]
            return [("event", at, symbol, "replace", side, m.price, m.shares, order, new, None)]
        shares = m.cancelled_shares if letter == "X" else m.executed_shares
        if shares > left:
            return "excess_quantity"
        self.orders[order][3] -= shares
        if shares == left:
            del self.orders[order]
        if letter == "X":
            return [("event", at, symbol, "reduce", side, None, shares, order, None, None)]
        match = m.match_number
        price = m.execution_price if letter == "C" else price
        event = ("event", at, symbol, "execute", side, price, shares, order, None, match)
        if letter == "E":
            return [event, ("trade", at, symbol, price, shares, match, "E")]
        if m.printable == b"N":
            return [event]
        return [event, ("trade", at, symbol, price, shares, match, "Y")]


def reference(data: bytes, day: date) -> list[list[tuple[Any, ...]]]:
    """Return what each row of a file should become, each row's sorted."""
    found, rest = frames(data)
    if found and not found[-1] and not rest:
        found.pop()
    rows = [sorted(row, key=repr) for row in Reference(day).read(found)]
    return rows + ([[("rejected", "truncated", f"hex:{rest.hex()}")]] if rest else [])


def actual(blocks: Iterable[Block]) -> list[list[tuple[Any, ...]]]:
    """Return what each row of a file became, each row's sorted."""
    rows: list[list[tuple[Any, ...]]] = []
    for block in blocks:
        block.check()
        assert block.start == len(rows)
        rows += [[] for _ in range(block.start, block.stop)]
        for ticks in block.ticks:
            for row, values in _ticks(ticks):
                rows[row].append(values)
        for message in block.messages:
            at = message.ts * 1000 + message.ns
            rows[message.seq].append(("status", at, message.symbol, message.columns["kind"]))
        for rejected in block.rejected:
            rows[rejected.position].append(("rejected", rejected.reason, rejected.raw))
        corrections = list(block.corrections)
        for row in range(block.start, block.stop):
            if any(value[-1] == "broken_trade" for value in rows[row]):
                rows[row].append(("correction", *corrections.pop(0)))
        assert not corrections
    return [sorted(row, key=repr) for row in rows]


def _ticks(ticks: Any) -> Iterator[tuple[int, tuple[Any, ...]]]:
    count = len(ticks)
    assert (ticks.seq[1:] >= ticks.seq[:-1]).all()
    numbers = {
        name: [None if value == -(2**63) else value for value in column.tolist()]
        for name, column in ticks.numbers.items()
    }
    texts = {name: [t.values[c] for c in t.codes] for name, t in ticks.texts.items()}
    for i in range(count):
        at = int(ticks.ts[i]) * 1000 + int(ticks.ns[i])
        symbol = ticks.symbols.values[ticks.symbols.codes[i]]
        n = {name: column[i] for name, column in numbers.items()}
        if ticks.kind == "trades":
            assert texts["exchange"][i] == "Q"
            conditions = texts["conditions"][i]
            row = ("trade", at, symbol, n["price"], n["size"], n["trade_id"], conditions)
        else:
            row = (
                *("event", at, symbol, texts["action"][i], texts["side"][i], n["price"]),
                *(n["size"], n["order_id"], n["new_order_id"], n["trade_id"]),
            )
        yield int(ticks.seq[i]), row
