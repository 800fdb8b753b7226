"""A dark book: orders meet at the midpoint of the quote, and nothing is displayed.

An order may trade while the midpoint is no worse than its limit; market orders and midpoint pegs
without a limit always may. Those that may trade have time priority, whatever their limits (as in
ASX Centre Point, 2013: time priority, subject to a minimum acceptable quantity). Orders trade with
orders only, never with the quote, and not while a side of the quote displays nothing.

A minimum quantity holds for each execution; once less than it remains, what remains is the minimum
(Nasdaq trader alert 2011-51, Rule 4703(e)). Two orders whose minima do not fit are passed over, and
the next in time is tried.

A midpoint lies on a half unit at most: sums of bid and ask are compared with twice a limit, and
`Fill.half` says whether half a unit is to be added.
"""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Iterator

from tsdb_trader.venue.matching_events import Fill, Rested
from tsdb_trader.venue.matching_heaps import OrderHeap, walk_heap
from tsdb_trader.venue.matching_market import Market
from tsdb_trader.venue.matching_self_trade import Prevention
from tsdb_trader.venue.matching_values import (
    AT_ONCE,
    Order,
    Phase,
    Reason,
    SelfTrade,
    Status,
    TimeInForce,
)

_ANY_PRICE = 1 << 62
_FEW = 64


class Pool:
    """The orders of one side: those that may trade at the midpoint by time, the others waiting."""

    def __init__(self, is_buy: bool) -> None:
        self._sign = 1 if is_buy else -1
        # Both by limit, the first to change over on top.
        self._able: OrderHeap[int] = OrderHeap()
        self._unable: OrderHeap[int] = OrderHeap()
        # Those that may trade by rank, in a heap of ranks to walk through.
        self._by_rank: dict[int, Order] = {}
        self._ranks: list[int] = []

    def is_able(self, order: Order) -> bool:
        """Say whether an order of the pool may trade."""
        return order.rank in self._by_rank

    def may_trade(self, order: Order, doubled: int | None) -> bool:
        """Say whether an order could trade at a midpoint."""
        return doubled is not None and self._key(order) >= self._sign * doubled

    def add(self, order: Order, doubled: int | None) -> None:
        """Put an order in, at the present midpoint; None is no midpoint."""
        if self.may_trade(order, doubled):
            self._enable(order)
        else:
            self._unable.push(-self._key(order), order)

    def remove(self, order: Order) -> None:
        """Take an order out."""
        if self._by_rank.pop(order.rank, None) is None:
            self._unable.remove(order.order_no)
        else:
            self._able.remove(order.order_no)

    def move(self, doubled: int) -> list[Order]:
        """Take a new midpoint, and return the orders that may trade only now."""
        bound = self._sign * doubled
        for order in self._able.pop_to(bound - 1):
            self._disable(order)
        moved = list(self._unable.pop_to(-bound))
        for order in moved:
            self._enable(order)
        return moved

    def disable_all(self) -> None:
        """Let no order trade until the next midpoint."""
        for order in self._able.clear():
            self._disable(order)
        self._ranks = []

    def walk(self) -> Iterator[Order]:
        """Yield the orders that may trade, the oldest first. Nothing may change meanwhile."""
        while self._ranks and self._ranks[0] not in self._by_rank:
            heapq.heappop(self._ranks)
        if len(self._ranks) > 2 * len(self._by_rank) + _FEW:
            self._ranks = sorted(self._by_rank)
        last = 0
        for rank in walk_heap(self._ranks):
            order = self._by_rank.get(rank)
            # An order that came back stands there twice.
            if order is not None and rank != last:
                last = rank
                yield order

    def _enable(self, order: Order) -> None:
        self._able.push(self._key(order), order)
        self._by_rank[order.rank] = order
        heapq.heappush(self._ranks, order.rank)

    def _disable(self, order: Order) -> None:
        del self._by_rank[order.rank]
        self._unable.push(-self._key(order), order)

    def _key(self, order: Order) -> int:
        """Return twice the limit, the higher the sooner it may trade."""
        return _ANY_PRICE if order.limit is None else self._sign * 2 * order.limit


class Dark:
    """The structures of a dark book, and how orders go through them."""

    def __init__(self, market: Market) -> None:
        self._market = market
        self._prevention = Prevention(market, self.remove, self.reduce)
        self._buys = Pool(True)
        self._sells = Pool(False)
        # Orders at rest whose minimum fell: what was passed over may fit now.
        self._again: deque[Order] = deque()

    def objection(self, order: Order) -> Reason | None:
        """Return why an order that comes in continuous trading is not taken: never."""
        return None

    def arrive(self, order: Order) -> None:
        """Let an order with its rank trade, and rest or end what remains of it."""
        midpoint = self._midpoint()
        at_once = order.time_in_force in AT_ONCE
        if self._pool(order.is_buy).may_trade(order, midpoint):
            all_or_none = order.time_in_force is TimeInForce.FOK
            if not all_or_none or sum(q for _, q in self._plan(order)) == order.remaining:
                self._trade(order)
        if order.remaining and order.status is Status.WORKING:
            if at_once:
                reason = Reason.NO_MARKET if midpoint is None else Reason.NOTHING_MORE
                self._market.close(order, Status.CANCELLED, reason)
            else:
                self._rest(order, midpoint)

    def wait(self, order: Order) -> None:
        """Let an order rest without trading."""
        self._rest(order, None)

    def restore(self, order: Order) -> None:
        """Put an order back where it stood."""
        self._market.orders[order.order_no] = order
        open_now = self._market.phase is Phase.CONTINUOUS
        self._pool(order.is_buy).add(order, self._midpoint() if open_now else None)

    def remove(self, order: Order) -> None:
        """Take an order at rest out of the book."""
        del self._market.orders[order.order_no]
        self._pool(order.is_buy).remove(order)

    def reduce(self, order: Order, quantity: int, shown: int) -> None:
        """Take `quantity` off an order at rest, which keeps its place; it displays nothing."""
        order.remaining -= quantity
        self._again.append(order)

    def quote_changed(self) -> None:
        """Let the orders trade that a new midpoint lets trade, the oldest first."""
        midpoint = self._midpoint()
        if midpoint is None:
            self._disable_all()
            return
        moved = self._buys.move(midpoint) + self._sells.move(midpoint)
        for order in sorted(moved, key=lambda order: order.rank):
            if order.order_no in self._market.orders:
                self._trade(order)
        self.settle()

    def settle(self) -> None:
        """Try again what was passed over, until nothing changes."""
        while self._again:
            order = self._again.popleft()
            resting = self._market.orders.get(order.order_no) is order
            if resting and self._pool(order.is_buy).is_able(order):
                self._trade(order)

    def suspend(self, phase: Phase) -> None:
        """Let nothing trade until the book resumes."""
        self._disable_all()

    def resume(self, auction_price: int | None) -> None:
        """Begin continuous trading with what rests; a dark book has no auctions."""
        self.quote_changed()

    def _midpoint(self) -> int | None:
        """Return twice the midpoint."""
        bid, ask = self._market.bid, self._market.ask
        if bid is None or ask is None or not bid.size or not ask.size:
            return None
        return bid.price + ask.price

    def _disable_all(self) -> None:
        self._buys.disable_all()
        self._sells.disable_all()

    def _pool(self, is_buy: bool) -> Pool:
        return self._buys if is_buy else self._sells

    def _rest(self, order: Order, midpoint: int | None) -> None:
        self._market.orders[order.order_no] = order
        self._pool(order.is_buy).add(order, midpoint)
        self._market.events.append(Rested(order.order_no, None, 0))

    def _trade(self, order: Order) -> None:
        """Trade an order, that comes or rests, with what fits on the other side."""
        while order.remaining and order.status is Status.WORKING:
            plan = self._plan(order)
            for other, quantity in plan:
                if quantity:
                    self._execute(order, other, quantity)
                else:
                    self._prevention.prevent(order, other)
            if all(quantity for _, quantity in plan):
                return

    def _plan(self, order: Order) -> list[tuple[Order, int]]:
        """Return with whom an order trades how much, by time; 0 is its own participant.

        One of two orders that trade is done, so each of the others comes once. The plan ends at
        an own order, unless that only goes away.
        """
        left, plan, used = order.remaining, [], set()
        skips = self._market.rules.self_trade is SelfTrade.CANCEL_RESTING
        while True:
            before = left
            for other in self._pool(not order.is_buy).walk():
                if other.rank in used or not _fit(order, left, other):
                    continue
                used.add(other.rank)
                own = self._market.same_participant(order, other)
                quantity = 0 if own else min(left, other.remaining)
                plan.append((other, quantity))
                left -= quantity
                if not left or (own and not skips):
                    return plan
            # Those passed over fit only if the minimum has fallen.
            if left == before or order.min_quantity <= left:
                return plan

    def _execute(self, order: Order, other: Order, quantity: int) -> None:
        midpoint = self._midpoint()
        if midpoint is None:
            return
        price, half = divmod(midpoint, 2)
        self._market.last = price
        self._market.events.append(
            Fill(order.order_no, other.order_no, price, quantity, took=False, half=bool(half))
        )
        for each in (order, other):
            each.remaining -= quantity
            if not each.remaining:
                each.status = Status.FILLED
                if each.order_no in self._market.orders:
                    self.remove(each)
            elif each is other and each.remaining < each.min_quantity:
                self._again.append(each)


def _fit(order: Order, left: int, other: Order) -> bool:
    """Say whether `left` of an order and another meet the minimum of both."""
    quantity = min(left, other.remaining)
    return quantity >= min(order.min_quantity, left) and quantity >= min(
        other.min_quantity, other.remaining
    )
