"""Price-time matching of orders against a replayed quote and against each other; pure.

Prices and quantities are integers in the instrument's units. One `Book` serves one symbol of one
trading session. Its liquidity is

- the external quote: what its two sides display, no more. What was taken from a side is gone
  until that side of the quote changes its price or size;
- the resting orders of all participants.

An incoming order takes the best price first; at one price, whoever was there first: an order by
its entry, a side of the quote by the moment its price was last set. A resting limit order trades
at its limit once the opposite quote moves to or through it, for at most the displayed size.

A market order is an order at the opposite quote, wherever that moves: it never trades at a worse
price, and at equal prices it goes before limit orders. Its remainder waits for the next quotes.
"""

from __future__ import annotations

import heapq
from collections import OrderedDict
from dataclasses import dataclass, field, replace

from tsdb_trader.venue.matching_events import (
    Cancelled,
    Event,
    Fill,
    Refused,
    Rejected,
    Replaced,
    Rested,
)
from tsdb_trader.venue.matching_values import (
    BookState,
    Display,
    Order,
    Quote,
    Reason,
    Rules,
    Status,
    Terms,
    TimeInForce,
)


@dataclass(slots=True)
class _Queue:
    """The resting orders of one side: limit orders by price and time, market orders by time."""

    is_buy: bool
    levels: dict[int, OrderedDict[int, Order]] = field(default_factory=dict)
    keys: list[int] = field(default_factory=list)
    market: OrderedDict[int, Order] = field(default_factory=OrderedDict)

    def add(self, order: Order) -> None:
        if order.limit is None:
            self.market[order.order_no] = order
            return
        level = self.levels.get(order.limit)
        if level is None:
            level = self.levels[order.limit] = OrderedDict()
            heapq.heappush(self.keys, -order.limit if self.is_buy else order.limit)
        level[order.order_no] = order

    def remove(self, order: Order) -> None:
        # An empty level stays until it reaches the top of the heap, where `head` drops it.
        queue = self.market if order.limit is None else self.levels[order.limit]
        del queue[order.order_no]

    def head(self) -> Order | None:
        """Return the first limit order in priority."""
        while self.keys:
            price = -self.keys[0] if self.is_buy else self.keys[0]
            level = self.levels[price]
            if level:
                return next(iter(level.values()))
            heapq.heappop(self.keys)
            del self.levels[price]
        return None

    def ahead(self, limit: int) -> int:
        """Return the quantity of limit orders that an order at `limit` of the other side meets."""
        return sum(
            order.remaining
            for price, level in self.levels.items()
            if (price >= limit if self.is_buy else price <= limit)
            for order in level.values()
        )

    def waiting(self) -> int:
        """Return the quantity of market orders."""
        return sum(order.remaining for order in self.market.values())


class Book:
    """One symbol of one trading session."""

    __slots__ = ("_buys", "_sells", "ask", "bid", "next_rank", "orders", "rules")

    def __init__(self, rules: Rules | None = None, state: BookState | None = None) -> None:
        state = state or BookState()
        self.rules = rules or Rules()
        self.bid = state.bid and replace(state.bid)
        self.ask = state.ask and replace(state.ask)
        self.next_rank = state.next_rank
        self.orders: dict[int, Order] = {}
        self._buys = _Queue(True)
        self._sells = _Queue(False)

    @property
    def active(self) -> bool:
        """Say whether every quote matters: orders rest here, or displayed size was taken."""
        return bool(self.orders) or any(
            side is not None and side.left != side.size for side in (self.bid, self.ask)
        )

    def restore(self, order: Order) -> None:
        """Put back a resting order, with its rank; call in the order of rank."""
        self._rest(order)

    def apply_quote(self, quote: Quote) -> list[Event]:
        """Take a new quote and return the fills of resting orders, in the order they happened."""
        self.bid = self._display(self.bid, quote.bid_price, quote.bid_size)
        self.ask = self._display(self.ask, quote.ask_price, quote.ask_size)
        if not self.orders:
            return []
        events: list[Event] = []
        self._trade_resting(self._buys, self.ask, events)
        self._trade_resting(self._sells, self.bid, events)
        return events

    def submit(self, order: Order) -> list[Event]:
        """Match an incoming order; its status then says whether it rests, is done, or gone."""
        opposite = self.ask if order.is_buy else self.bid
        limit = order.limit
        if limit is None:
            if opposite is None:
                order.status = Status.REJECTED
                return [Rejected(order.order_no, Reason.NO_MARKET)]
            limit = opposite.price
        order.rank = self._rank()
        events: list[Event] = []
        if order.time_in_force is not TimeInForce.FOK or (
            self._available(order, limit) >= order.remaining
        ):
            self._take(order, limit, events)
        if order.remaining:
            if order.time_in_force is TimeInForce.DAY:
                self._rest(order)
                events.append(Rested(order.order_no, order.price, order.shown))
            else:
                order.status = Status.CANCELLED
                events.append(Cancelled(order.order_no, order.remaining, Reason.NOTHING_MORE))
        return events

    def cancel(self, order_no: int, reason: Reason = Reason.REQUESTED) -> list[Event]:
        """Take a resting order out; `Refused` if it does not rest here."""
        order = self.orders.pop(order_no, None)
        if order is None:
            return [Refused(order_no, Reason.UNKNOWN_ORDER)]
        (self._buys if order.is_buy else self._sells).remove(order)
        order.status = Status.CANCELLED
        return [Cancelled(order_no, order.remaining, reason)]

    def replace(self, order_no: int, terms: Terms) -> list[Event]:
        """Give a resting order new terms."""
        order = self.orders.get(order_no)
        if order is None:
            return [Refused(order_no, Reason.UNKNOWN_ORDER)]
        keeps = terms.quantity <= order.quantity and terms.limit == order.limit
        remaining = terms.quantity - order.filled
        if keeps:
            order.quantity, order.remaining = terms.quantity, remaining
            return [Replaced(order_no, terms.quantity, remaining, True)]
        self.cancel(order_no)
        order.status, order.limit = Status.WORKING, terms.limit
        order.quantity, order.remaining = terms.quantity, remaining
        return [Replaced(order_no, terms.quantity, remaining, False), *self.submit(order)]

    def state(self) -> BookState:
        """Return what restores this, the orders apart."""
        return BookState(self.bid, self.ask, self.next_rank)

    def _rank(self) -> int:
        rank = self.next_rank
        self.next_rank += 1
        return rank

    def _rest(self, order: Order) -> None:
        self.orders[order.order_no] = order
        order.price, order.shown = order.limit, 0 if order.limit is None else order.remaining
        (self._buys if order.is_buy else self._sells).add(order)

    def _display(self, old: Display | None, price: int, size: int) -> Display:
        if old is None or old.price != price:
            return Display(price, size, size, self._rank())
        if old.size != size:
            return Display(price, size, size, old.rank)
        return old

    def _available(self, order: Order, limit: int) -> int:
        """Return what an order at `limit` could take now."""
        opposite, own = (self.ask, self.bid) if order.is_buy else (self.bid, self.ask)
        resting = self._sells if order.is_buy else self._buys
        total = resting.ahead(limit)
        # A market order that waits on the other side stands at our side of the quote.
        if own is not None and (own.price <= limit if order.is_buy else own.price >= limit):
            total += resting.waiting()
        if opposite is not None and (
            opposite.price <= limit if order.is_buy else opposite.price >= limit
        ):
            total += opposite.left
        return total

    def _best(self, order: Order, limit: int) -> tuple[int, Order | None] | None:
        """Return the price and the resting order (None: the quote) that an order meets first."""
        sign = 1 if order.is_buy else -1
        opposite, own = (self.ask, self.bid) if order.is_buy else (self.bid, self.ask)
        resting = self._sells if order.is_buy else self._buys
        best: tuple[int, int, int] | None = None
        found: Order | None = None
        head = resting.head()
        if head is not None and head.limit is not None:
            best, found = (sign * head.limit, 1, head.rank), head
        if resting.market and own is not None:
            waiting = next(iter(resting.market.values()))
            key = (sign * own.price, 0, waiting.rank)
            if best is None or key < best:
                best, found = key, waiting
        if opposite is not None and opposite.left:
            key = (sign * opposite.price, 1, opposite.rank)
            if best is None or key < best:
                best, found = key, None
        if best is None or best[0] > sign * limit:
            return None
        return sign * best[0], found

    def _take(self, order: Order, limit: int, events: list[Event]) -> None:
        while order.remaining and (best := self._best(order, limit)) is not None:
            price, other = best
            if other is None:
                self._take_display(order, price, events)
                continue
            quantity = min(order.remaining, other.remaining)
            self._reduce(order, quantity)
            self._reduce(other, quantity)
            events.append(Fill(order.order_no, other.order_no, price, quantity))

    def _take_display(self, order: Order, price: int, events: list[Event]) -> None:
        side = self.ask if order.is_buy else self.bid
        if side is None:
            return
        quantity = min(order.remaining, side.left)
        side.left -= quantity
        self._reduce(order, quantity)
        events.append(Fill(order.order_no, None, price, quantity))

    def _reduce(self, order: Order, quantity: int) -> None:
        order.remaining -= quantity
        order.shown = max(0, order.shown - quantity)
        if not order.remaining:
            order.status = Status.FILLED
            if self.orders.pop(order.order_no, None) is not None:
                (self._buys if order.is_buy else self._sells).remove(order)

    def _trade_resting(self, queue: _Queue, opposite: Display, events: list[Event]) -> None:
        """Trade resting orders with a new quote: limits beyond it, then market, then at it."""
        sign = 1 if queue.is_buy else -1
        while opposite.left:
            head = queue.head()
            if head is None or head.limit is None or sign * head.limit <= sign * opposite.price:
                break
            self._take_display(head, head.limit, events)
        for order in list(queue.market.values()):
            self._take(order, opposite.price, events)
            if order.remaining:
                break
        while opposite.left:
            head = queue.head()
            if head is None or head.limit != opposite.price:
                break
            self._take_display(head, head.limit, events)
