"""The resting orders of one side of a book, by price and time.

Adding and removing an order costs O(log n) in the number of prices, the best price O(1) amortised:
a heap of prices whose empty levels stay until they reach the top or outnumber the others.
"""

from __future__ import annotations

import heapq
from collections import OrderedDict
from collections.abc import Iterator

from tsdb_trader.venue.matching_heaps import walk_heap
from tsdb_trader.venue.matching_values import Order

_FEW = 64


class Level:
    """The orders at a price, the oldest first; `shown` and `total` are sums over them."""

    __slots__ = ("orders", "price", "shown", "total")

    def __init__(self, price: int) -> None:
        self.price = price
        self.orders: OrderedDict[int, Order] = OrderedDict()
        self.shown = 0
        self.total = 0

    def first(self) -> Order:
        """Return the oldest order; the level has one."""
        return next(iter(self.orders.values()))


class Side:
    """One side of a book. `market` are orders that wait without a price of their own."""

    __slots__ = ("_empty", "_keys", "_levels", "_sign", "is_buy", "market")

    def __init__(self, is_buy: bool) -> None:
        self.is_buy = is_buy
        self.market: OrderedDict[int, Order] = OrderedDict()
        self._sign = -1 if is_buy else 1
        self._levels: dict[int, Level] = {}
        self._keys: list[int] = []
        self._empty = 0

    def add(self, order: Order) -> None:
        """Put an order behind the others at its price; without a price, behind those."""
        price = order.price
        if price is None:
            self.market[order.order_no] = order
            return
        level = self._levels.get(price)
        if level is None:
            level = self._levels[price] = Level(price)
            heapq.heappush(self._keys, self._sign * price)
        elif not level.orders:
            self._empty -= 1
        level.orders[order.order_no] = order
        level.shown += order.shown
        level.total += order.remaining

    def remove(self, order: Order) -> None:
        """Take an order out."""
        if order.price is None:
            del self.market[order.order_no]
            return
        level = self._levels[order.price]
        level.shown -= order.shown
        level.total -= order.remaining
        del level.orders[order.order_no]
        if not level.orders:
            self._note_empty()

    def reduce(self, order: Order, quantity: int, shown: int) -> None:
        """Take `quantity` off an order, of which `shown` is displayed from now on; it stays."""
        order.remaining -= quantity
        if order.price is not None:
            level = self._levels[order.price]
            level.total -= quantity
            level.shown += shown - order.shown
            order.shown = shown

    def move_back(self, order: Order, shown: int) -> None:
        """Let an order that displays nothing display `shown`, behind the others at its price."""
        if order.price is not None:
            level = self._levels[order.price]
            level.orders.move_to_end(order.order_no)
            level.shown += shown
            order.shown = shown

    def best(self) -> Level | None:
        """Return the level with the best price."""
        keys = self._keys
        while keys:
            level = self._levels[abs(keys[0])]
            if level.orders:
                return level
            heapq.heappop(keys)
            del self._levels[level.price]
            self._empty -= 1
        return None

    def walk(self) -> Iterator[Level]:
        """Yield the levels, the best first; k of them cost O(k log k). Nothing may change."""
        for key in walk_heap(self._keys):
            level = self._levels[abs(key)]
            if level.orders:
                yield level

    def _note_empty(self) -> None:
        self._empty += 1
        if self._empty > _FEW and 2 * self._empty > len(self._keys):
            self._levels = {p: level for p, level in self._levels.items() if level.orders}
            self._keys = sorted(self._sign * price for price in self._levels)
            self._empty = 0
