"""The trades of a displayed book: an order that comes, or a new quote, against what rests.

At each price come, in a price-time book, the oldest order or side of the quote first; in a pro
rata book all of them together. Market orders that wait stand at the far side of the quote and go
before limit orders there.

Self-trade prevention is decided where two orders of one participant would meet. In a pro rata book
everybody at a price meets, so it comes before the sharing (CME Globex Self-Match Prevention: in
first-in-first-out markets it cancels the orders that would have executed, in all others those that
could have). Decrementing cancels the smaller order and takes its size off the larger one (TSX
Self Trade Prevention, "decrement largest and cancel smallest").
"""

from __future__ import annotations

from collections.abc import Iterator

from tsdb_trader.venue.matching_events import Fill, Refreshed
from tsdb_trader.venue.matching_levels import Level, Side
from tsdb_trader.venue.matching_market import Market
from tsdb_trader.venue.matching_self_trade import Prevention
from tsdb_trader.venue.matching_shares import Allotment, allot
from tsdb_trader.venue.matching_stops import Stops
from tsdb_trader.venue.matching_values import (
    Display,
    Matching,
    Order,
    SelfTrade,
    Status,
)


class Trading:
    """Both sides of a displayed book."""

    __slots__ = ("_market", "_prevention", "_pro_rata", "_stops", "buys", "sells")

    def __init__(self, market: Market, stops: Stops, prevention: Prevention) -> None:
        self._market = market
        self._stops = stops
        self._prevention = prevention
        self._pro_rata = market.rules.matching is Matching.PRO_RATA
        self.buys = Side(True)
        self.sells = Side(False)

    def side(self, is_buy: bool) -> Side:
        """Return the side where orders of a kind rest."""
        return self.buys if is_buy else self.sells

    def take(self, order: Order, limit: int) -> None:
        """Trade an order with what stands at `limit` or better, best price first."""
        market = self._market
        if order.is_buy:
            side, far, near, sign = self.sells, market.ask, market.bid, 1
        else:
            side, far, near, sign = self.buys, market.bid, market.ask, -1
        worst = sign * limit
        while order.remaining and order.status is Status.WORKING:
            level = side.best()
            nearest = worst + 1 if level is None else sign * level.price
            if side.market and near is not None and sign * near.price <= min(nearest, worst):
                self._meet(order, next(iter(side.market.values())), near.price)
                continue
            shares_quote = False
            if far is not None and far.left:
                quoted = sign * far.price
                if quoted <= nearest and quoted <= worst:
                    shares_quote = quoted == nearest
                    if not shares_quote or self._goes_first(far, level):
                        self._take_quote(order, far)
                        continue
            if level is None or nearest > worst:
                return
            if self._pro_rata:
                self._share(order, side, level, far if shares_quote else None)
            else:
                self._meet(order, level.first(), level.price, side, level)

    def meets(self, order: Order, limit: int) -> bool:
        """Say whether an order at `limit` would meet anything, own orders included."""
        return next(self._stations(order, limit), None) is not None

    def available(self, order: Order, limit: int, wanted: int) -> int:
        """Return what an order at `limit` could take, up to `wanted` or more."""
        if self._market.prevents and order.participant:
            return self._available_to(order, limit, wanted)
        found = 0
        for what in self._stations(order, limit):
            if isinstance(what, Level):
                found += what.total
            else:
                found += what.left if isinstance(what, Display) else what.remaining
            if found >= wanted:
                break
        return found

    def hit(self, side: Side, display: Display, *, beyond: bool) -> None:
        """Trade the orders of a side at or beyond the price of a new quote, each at its price."""
        sign = 1 if side.is_buy else -1
        while display.left:
            level = side.best()
            if level is None or sign * level.price < sign * display.price + beyond:
                return
            for order, quantity in self._allot(level, display.left):
                if order is not None:
                    display.left -= quantity
                    fill = Fill(order.order_no, None, level.price, quantity, took=False)
                    self._note(fill)
                    self._give(order, quantity, side, level)

    # Meeting

    def _goes_first(self, display: Display, level: Level | None) -> bool:
        """Say whether the quote's side goes before a level at its price."""
        return not self._pro_rata and level is not None and display.rank < level.first().rank

    def _meet(
        self,
        order: Order,
        other: Order,
        price: int,
        side: Side | None = None,
        level: Level | None = None,
    ) -> None:
        if self._market.prevents and self._market.same_participant(order, other):
            self._prevention.prevent(order, other)
            return
        shown = other.shown or other.remaining
        self._trade(order, other, price, min(order.remaining, shown), side, level)

    def _trade(
        self,
        order: Order,
        other: Order,
        price: int,
        quantity: int,
        side: Side | None,
        level: Level | None,
    ) -> None:
        self._note(Fill(order.order_no, other.order_no, price, quantity))
        order.remaining -= quantity
        if not order.remaining:
            order.status = Status.FILLED
        self._give(other, quantity, side, level)

    def _take_quote(self, order: Order, display: Display, most: int | None = None) -> None:
        quantity = min(order.remaining, display.left if most is None else most)
        display.left -= quantity
        order.remaining -= quantity
        if not order.remaining:
            order.status = Status.FILLED
        self._note(Fill(order.order_no, None, display.price, quantity))

    def _note(self, fill: Fill) -> None:
        self._market.last = fill.price
        self._market.events.append(fill)
        if self._stops.waiting:
            self._stops.saw(fill.price)

    def _give(self, other: Order, quantity: int, side: Side | None, level: Level | None) -> None:
        """Take a trade off a resting order."""
        if level is None or side is None:
            other.remaining -= quantity
            if not other.remaining:
                del self.side(other.is_buy).market[other.order_no]
                del self._market.orders[other.order_no]
                other.status = Status.FILLED
            return
        if other.remaining == quantity:
            side.remove(other)
            del self._market.orders[other.order_no]
            other.remaining = other.shown = 0
            other.status = Status.FILLED
            return
        shown = other.shown - quantity
        side.reduce(other, quantity, shown)
        if not shown:
            other.rank = self._market.take_rank()
            other.top = False
            side.move_back(other, min(other.remaining, other.display or other.remaining))
            self._market.events.append(Refreshed(other.order_no, other.shown))

    # Pro rata

    def _allot(
        self, level: Level, quantity: int, display: Display | None = None
    ) -> list[Allotment]:
        if self._pro_rata:
            return allot(level, quantity, display, self._market.rules)
        first = level.first()
        return [(first, min(quantity, first.shown))]

    def _share(self, order: Order, side: Side, level: Level, display: Display | None) -> None:
        """Trade an order with everybody at a price."""
        if self._market.prevents:
            for other in list(level.orders.values()):
                if self._market.same_participant(order, other):
                    self._prevention.prevent(order, other)
                    if order.status is not Status.WORKING:
                        return
            if not level.orders:
                return
        for who, quantity in self._allot(level, order.remaining, display):
            if who is not None:
                self._trade(order, who, level.price, quantity, side, level)
            elif display is not None:
                self._take_quote(order, display, quantity)

    # What could be taken

    def _stations(self, order: Order, limit: int) -> Iterator[Order | Level | Display]:
        """Yield what stands at `limit` or better, best first; the quote before its level."""
        market = self._market
        if order.is_buy:
            side, far, near, sign = self.sells, market.ask, market.bid, 1
        else:
            side, far, near, sign = self.buys, market.bid, market.ask, -1
        worst = sign * limit
        waiting: list[Order] = []
        if near is not None and sign * near.price <= worst:
            waiting = list(side.market.values())
        quote = far if far is not None and far.left and sign * far.price <= worst else None
        for level in side.walk():
            if sign * level.price > worst:
                break
            if waiting and near is not None and sign * near.price <= sign * level.price:
                yield from waiting
                waiting = []
            if quote is not None and sign * quote.price <= sign * level.price:
                yield quote
                quote = None
            yield level
        yield from waiting
        if quote is not None:
            yield quote

    def _available_to(self, order: Order, limit: int, wanted: int) -> int:
        """Return what an order could take, as self-trade prevention lets it."""
        found = 0
        skips = self._market.rules.self_trade is SelfTrade.CANCEL_RESTING
        quote: Display | None = None
        for what in self._stations(order, limit):
            if isinstance(what, Display):
                # Its level may come next, with orders ahead of it.
                quote = what
                continue
            if quote is not None and (isinstance(what, Order) or what.price != quote.price):
                found, quote = found + quote.left, None
            if found >= wanted:
                return found
            others = [what] if isinstance(what, Order) else list(what.orders.values())
            own = [o for o in others if self._market.same_participant(order, o)]
            if own and not skips:
                return found + self._ahead_of(own[0], others, quote)
            found += sum(o.remaining for o in others) - sum(o.remaining for o in own)
        return found + (quote.left if quote is not None else 0)

    def _ahead_of(self, own: Order, others: list[Order], quote: Display | None) -> int:
        """Return what stands at the price of `own` and is met before it."""
        if self._pro_rata:
            return 0
        quoted = quote.left if quote is not None and quote.rank < own.rank else 0
        return quoted + sum(o.shown for o in others if o.rank < own.rank)
