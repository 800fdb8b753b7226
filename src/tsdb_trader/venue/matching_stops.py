"""Stop orders that wait for their price.

One rule: a buy stop is triggered by a trade of this book or the ask of the quote at or above its
stop price, a sell stop by a trade or the bid at or below (FIX 5.0 SP2, TriggerPriceType (1107): 5,
best offer or last trade, and 4, best bid or last trade). A side of the quote without size triggers
nothing. An order that comes is compared with the quote, and with the last trade only where there
is no quote, because trades of this book may be old.

What one step triggers at once becomes active in the order of time priority; what those orders'
trades trigger in turn comes after them.
"""

from __future__ import annotations

from collections import deque

from tsdb_trader.venue.matching_heaps import OrderHeap
from tsdb_trader.venue.matching_market import Market
from tsdb_trader.venue.matching_values import Order


class Stops:
    """The stop orders of a book that are not triggered."""

    def __init__(self, market: Market) -> None:
        self._market = market
        # By the price to reach, which of sells is negative.
        self._buys: OrderHeap[int] = OrderHeap()
        self._sells: OrderHeap[int] = OrderHeap()
        self.due: deque[tuple[Order, int]] = deque()
        self._high: int | None = None
        self._low: int | None = None
        # A plain number, because every order and trade looks at it.
        self.waiting = 0

    def __contains__(self, order_no: int) -> bool:
        return order_no in self._buys or order_no in self._sells

    def add(self, order: Order) -> None:
        """Let an order wait."""
        if order.stop is None:
            return
        self.waiting += 1
        if order.is_buy:
            self._buys.push(order.stop, order)
        else:
            self._sells.push(-order.stop, order)

    def remove(self, order: Order) -> None:
        """Forget an order."""
        self.waiting -= 1
        (self._buys if order.is_buy else self._sells).remove(order.order_no)

    def reached(self, order: Order) -> int | None:
        """Return the price that triggers an order that comes, or None."""
        market, stop = self._market, order.stop
        price = market.last
        if market.bid is not None and market.ask is not None:
            side = market.ask if order.is_buy else market.bid
            price = side.price if side.size else None
        if price is None or stop is None:
            return None
        return price if (price >= stop if order.is_buy else price <= stop) else None

    def saw(self, price: int) -> None:
        """Note a trade while orders wait; `next_due` must follow in the same step."""
        self._high = price if self._high is None else max(price, self._high)
        self._low = price if self._low is None else min(price, self._low)

    def next_due(self) -> tuple[Order, int] | None:
        """Take out the next order that trades since the last call or the quote trigger.

        Returns
        -------
        tuple of Order and int
            With the price that triggered it; None when there is no more.
        """
        bid, ask = self._market.bid, self._market.ask
        high, low = self._high, self._low
        self._high = self._low = None
        if ask is not None and ask.size:
            high = ask.price if high is None else max(high, ask.price)
        if bid is not None and bid.size:
            low = bid.price if low is None else min(low, bid.price)
        found: list[tuple[Order, int]] = []
        if high is not None:
            found += [(order, high) for order in self._buys.pop_to(high)]
        if low is not None:
            found += [(order, low) for order in self._sells.pop_to(-low)]
        self.waiting -= len(found)
        self.due += sorted(found, key=lambda due: due[0].rank)
        return self.due.popleft() if self.due else None
