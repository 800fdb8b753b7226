"""A generated day of NASDAQ TotalView-ITCH 5.0: the same seed gives the same bytes.

Every message type but W (a market-wide circuit breaker) is in it, and the session is valid: orders
are added before they trade, books never lock or cross, times never run backwards. The market is a
toy: each symbol has a mid price that moves by ticks, orders rest up to `DEPTH` ticks away from it,
and a move sweeps what stands in its way.
"""

from __future__ import annotations

from bisect import bisect
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import BinaryIO

import numpy as np

from tsdb_trader.errors import InputError
from tsdb_trader.feeds.itch_encode import encode

DAY = date(2022, 12, 28)
DEPTH = 10
TICK = 100
"""A cent, in the format's 4 decimals."""
BID, ASK = 0, 1
_LETTERS = (b"B", b"S")
_MOST_LIVE = 400
"""Orders of a symbol beyond which none is added."""
_MOST_SYMBOLS = 26**3

_SECOND = 10**9
_HOUR = 3600 * _SECOND
_START, _BEGIN, _END = 3 * _HOUR, 4 * _HOUR, 20 * _HOUR
_OPEN, _CLOSE = 34_200 * _SECOND, 16 * _HOUR
_TIMES = 1 << 18


@dataclass(frozen=True)
class Generated:
    """What was written."""

    path: Path
    messages: int
    symbols: int


@dataclass
class _Book:
    """A symbol's live orders: by id, and in time order at each price of each side.

    An order is [side, price, shares, place in ids].
    """

    locate: int
    stock: bytes
    mid: int
    halted: bool = False
    orders: dict[int, list[int]] = field(default_factory=dict)
    levels: tuple[dict[int, dict[int, None]], ...] = field(default_factory=lambda: ({}, {}))
    ids: list[int] = field(default_factory=list)

    def add(self, order_id: int, side: int, price: int, shares: int) -> None:
        """Put an order at the end of its level's queue."""
        self.orders[order_id] = [side, price, shares, len(self.ids)]
        self.ids.append(order_id)
        self.levels[side].setdefault(price, {})[order_id] = None

    def remove(self, order_id: int) -> None:
        """Take an order out."""
        side, price, _, place = self.orders.pop(order_id)
        last = self.ids.pop()
        if last != order_id:
            self.ids[place] = last
            self.orders[last][3] = place
        level = self.levels[side][price]
        del level[order_id]
        if not level:
            del self.levels[side][price]

    def first(self, side: int) -> int | None:
        """Return the order of a side that trades first."""
        prices = self.levels[side]
        if not prices:
            return None
        return next(iter(prices[min(prices) if side == ASK else max(prices)]))


def generate(
    path: Path, *, messages: int = 1_000_000, symbols: int = 20, seed: int = 1, day: date = DAY
) -> Generated:
    """Write a session of exactly so many messages.

    Parameters
    ----------
    path
        The file, or a folder to write MMDDYYYY.NASDAQ_ITCH50 into.
    day
        Names the file; the messages themselves have no date.

    Raises
    ------
    InputError
        Too few messages for the symbols, or more symbols than there are names.
    """
    if not 1 <= symbols <= _MOST_SYMBOLS:
        raise InputError(f"{symbols} symbols: there may be 1 to {_MOST_SYMBOLS:,}")
    if path.is_dir():
        path = path / f"{day:%m%d%Y}.NASDAQ_ITCH50"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("wb") as file:
            _Session(file, messages, symbols, seed).write()
    except OSError as error:
        raise InputError(f"{path}: cannot be written ({error.strerror})") from None
    return Generated(path, messages, symbols)


def _uniform(seed: int) -> Iterator[float]:
    """Yield numbers from 0 to below 1, drawn many at a time."""
    random = np.random.default_rng(seed)
    while True:
        yield from random.random(1 << 16).tolist()


class _Session:
    """Writes one session."""

    def __init__(self, file: BinaryIO, messages: int, symbols: int, seed: int) -> None:
        # Directory and the like, both crosses, the halt, and the end.
        self._fixed = 12 * symbols + 30
        if messages < self._fixed:
            raise InputError(
                f"{messages} messages: a session of {symbols} symbols has {self._fixed:,} or more"
            )
        self._file = file
        self._messages = messages
        self._waiting: list[bytes] = []
        self._count = 0
        self._now = _START
        self._next_order = self._next_match = 1
        self._last_trade: tuple[int, int] | None = None
        self._random = np.random.default_rng([seed, 1])
        self._draw = _uniform(seed).__next__
        self._books = [self._book(number) for number in range(symbols)]
        # A few symbols make most of the messages.
        weights = np.arange(1, symbols + 1) ** -0.8
        self._busy = np.cumsum(weights / weights.sum())[:-1].tolist()

    def _book(self, number: int) -> _Book:
        letters = "".join(chr(65 + number // base % 26) for base in (676, 26, 1))
        dollars = 10 + int(190 * self._draw())
        return _Book(number + 1, f"Z{letters:7}".encode(), dollars * 100 * TICK)

    def write(self) -> None:
        """Write the session from its first message to its last."""
        closing = 4 * len(self._books) + 3
        self._begin()
        rest = self._messages - self._fixed
        self._trade(_BEGIN, _OPEN - _SECOND, self._count + rest // 20, trades=False)
        self._cross(_OPEN, b"O", b"Q")
        noon = (_OPEN + _CLOSE) // 2
        half = self._count + (self._messages - self._count - closing) // 2
        self._trade(_OPEN + _SECOND, noon, half, trades=True)
        self._halt()
        self._trade(noon + 1, noon + 300 * _SECOND, self._count + rest // 100, trades=True)
        self._resume()
        last = self._messages - closing - rest // 50
        self._trade(noon + 301 * _SECOND, _CLOSE - 2 * _SECOND, last, trades=True)
        self._break_trade()
        self._cross(_CLOSE, b"C", b"M")
        self._trade(_CLOSE + _SECOND, _END - _SECOND, self._messages - 2, trades=True)
        self._now = _END
        self._emit(b"S", 0, b"E")
        self._now += 300 * _SECOND
        self._emit(b"S", 0, b"C")
        self._flush()

    def _emit(self, letter: bytes, locate: int, *values: int | bytes) -> None:
        self._waiting.append(encode(letter, locate, self._now, *values))
        self._count += 1
        if len(self._waiting) >= 1 << 16:
            self._flush()

    def _flush(self) -> None:
        self._file.write(b"".join(self._waiting))
        self._waiting.clear()

    def _begin(self) -> None:
        """Write what comes before the first order."""
        self._emit(b"S", 0, b"O")
        for book in self._books:
            directory = (b"Q", b"N", 100, b"N", b"C", b"Z ", b"P", b"N", b"N", b"1", b"N", 0, b"N")
            self._emit(b"R", book.locate, book.stock, *directory)
        for book in self._books:
            self._emit(b"H", book.locate, book.stock, b"T", b" ", b"    ")
            self._emit(b"Y", book.locate, book.stock, b"0")
            self._emit(b"L", book.locate, b"TSDB", book.stock, b"Y", b"N", b"A")
        self._now = _BEGIN
        self._emit(b"S", 0, b"S")
        levels = (level * 10**8 for level in (3557, 3328, 3060))
        self._emit(b"V", 0, *levels)
        first = self._books[0]
        self._emit(b"N", first.locate, first.stock, b"N")
        low, high = first.mid - 1000, first.mid + 1000
        new = self._books[-1]
        self._emit(b"K", new.locate, new.stock, _OPEN // _SECOND, b"A", new.mid)
        self._emit(b"O", new.locate, new.stock, b"Y", low, high, new.mid, _BEGIN, low, high)

    def _trade(self, start: int, end: int, target: int, *, trades: bool) -> None:
        """Write up to a number of messages, at random times."""
        parts = -(-(target - self._count) // _TIMES) or 1
        for part in range(parts):
            first = self._count
            count = (target - first) // (parts - part)
            span = (end - start) * part // parts, (end - start) * (part + 1) // parts
            times = np.sort(self._random.integers(*span, max(count, 0))) + start
            while self._count < first + count:
                self._now = int(times[self._count - first])
                self._step(target - self._count, trades)
        self._now = end

    def _step(self, room: int, trades: bool) -> None:
        """Write what happens next to some symbol; a sweep is several messages of one time."""
        book = self._books[bisect(self._busy, self._draw())]
        chance = self._draw()
        if not book.ids or chance < 0.44:
            self._add(book)
        elif chance < 0.76:
            self._delete(book, self._any(book))
        elif chance < 0.84:
            self._replace(book)
        elif chance < 0.88:
            self._reduce(book)
        elif not trades or book.halted:
            self._add(book)
        elif chance < 0.965:
            self._execute(book)
        elif chance < 0.985:
            self._hidden(book)
        else:
            self._move(book, room)

    def _any(self, book: _Book) -> int:
        return book.ids[int(self._draw() * len(book.ids))]

    def _shares(self) -> int:
        chance = self._draw()
        return 100 * int(1 + 10 * chance) if chance < 0.8 else int(1 + 450 * (chance - 0.8))

    def _price(self, book: _Book, side: int) -> int:
        away = TICK * (1 + int(DEPTH * self._draw() ** 2))
        return book.mid + away if side == ASK else book.mid - away

    def _add(self, book: _Book) -> None:
        if len(book.ids) >= _MOST_LIVE:
            self._delete(book, self._any(book))
            return
        side = BID if self._draw() < 0.5 else ASK
        price, shares = self._price(book, side), self._shares()
        values = (self._next_order, _LETTERS[side], shares, book.stock, price)
        if self._draw() < 0.03:
            self._emit(b"F", book.locate, *values, b"TSDB")
        else:
            self._emit(b"A", book.locate, *values)
        book.add(self._next_order, side, price, shares)
        self._next_order += 1

    def _delete(self, book: _Book, order_id: int) -> None:
        self._emit(b"D", book.locate, order_id)
        book.remove(order_id)

    def _replace(self, book: _Book) -> None:
        order_id = self._any(book)
        side = book.orders[order_id][0]
        price, shares = self._price(book, side), self._shares()
        self._emit(b"U", book.locate, order_id, self._next_order, shares, price)
        book.remove(order_id)
        book.add(self._next_order, side, price, shares)
        self._next_order += 1

    def _reduce(self, book: _Book) -> None:
        order_id = self._any(book)
        order = book.orders[order_id]
        if order[2] == 1:
            self._delete(book, order_id)
            return
        shares = 1 + int(self._draw() * (order[2] - 1))
        self._emit(b"X", book.locate, order_id, shares)
        order[2] -= shares

    def _execute(self, book: _Book) -> None:
        order_id = book.first(BID if self._draw() < 0.5 else ASK)
        if order_id is None:
            self._add(book)
            return
        available = book.orders[order_id][2]
        some = 1 + int(self._draw() * available)
        shares = available if self._draw() < 0.5 else some
        price = book.mid if self._draw() < 0.1 else None
        self._take(book, order_id, shares, price)

    def _take(
        self,
        book: _Book,
        order_id: int,
        shares: int,
        price: int | None = None,
        printable: bytes = b"Y",
    ) -> None:
        """Execute an order; at its own price if none is given."""
        match = self._match(book)
        if price is None:
            self._emit(b"E", book.locate, order_id, shares, match)
        else:
            self._emit(b"C", book.locate, order_id, shares, match, printable, price)
        order = book.orders[order_id]
        order[2] -= shares
        if not order[2]:
            book.remove(order_id)

    def _match(self, book: _Book) -> int:
        match = self._next_match
        self._next_match += 1
        self._last_trade = book.locate, match
        return match

    def _hidden(self, book: _Book) -> None:
        match = self._match(book)
        self._emit(b"P", book.locate, 0, b"B", self._shares(), book.stock, book.mid, match)

    def _move(self, book: _Book, room: int) -> None:
        """Move the mid price by a tick; orders in its way trade."""
        side = BID if self._draw() < 0.5 and book.mid > (DEPTH + 2) * TICK else ASK
        mid = book.mid + (TICK if side == ASK else -TICK)
        swept = list(book.levels[side].get(mid, ()))
        if len(swept) >= room:
            self._add(book)
            return
        for order_id in swept:
            self._take(book, order_id, book.orders[order_id][2])
        book.mid = mid
        if not swept:
            self._add(book)

    def _imbalance(self, book: _Book, kind: bytes) -> None:
        values = (0, 0, b"N", book.stock, book.mid, book.mid, book.mid, kind, b"L")
        self._emit(b"I", book.locate, *values)

    def _cross(self, now: int, kind: bytes, event: bytes) -> None:
        """Write a cross of every symbol."""
        for book in self._books:
            self._imbalance(book, kind)
        self._now = now
        self._emit(b"S", 0, event)
        for book in self._books:
            self._cross_one(book, kind)

    def _cross_one(self, book: _Book, kind: bytes) -> None:
        """Let the first orders of both sides meet at the mid price."""
        pair = book.first(BID), book.first(ASK)
        shares = 0
        if pair[0] is not None and pair[1] is not None:
            shares = min(book.orders[i][2] for i in pair if i is not None)
            for order_id in pair:
                if order_id is not None:
                    self._take(book, order_id, shares, book.mid, b"N")
        price = book.mid if shares else 0
        self._emit(b"Q", book.locate, shares, book.stock, price, self._match(book), kind)

    def _halt(self) -> None:
        """Halt the last symbol, and another one on this market alone."""
        book = self._books[-1]
        book.halted = True
        self._emit(b"H", book.locate, book.stock, b"P", b" ", b"LUDP")
        self._emit(b"J", book.locate, book.stock, book.mid, book.mid + 5000, book.mid - 500, 0)
        self._emit(b"h", book.locate, book.stock, b"Q", b"H")

    def _resume(self) -> None:
        book = self._books[-1]
        self._emit(b"h", book.locate, book.stock, b"Q", b"T")
        self._emit(b"H", book.locate, book.stock, b"Q", b" ", b"    ")
        self._imbalance(book, b"H")
        self._cross_one(book, b"H")
        self._emit(b"H", book.locate, book.stock, b"T", b" ", b"    ")
        book.halted = False

    def _break_trade(self) -> None:
        if self._last_trade is not None:
            locate, match = self._last_trade
            self._emit(b"B", locate, match)
