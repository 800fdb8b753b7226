"""A displayed book in continuous trading: which orders trade, rest, wait, move, and when.

Its liquidity is the quote, as displayed and not yet taken, and the resting orders. A resting order
trades at its price once the quote moves to or through it, for at most the displayed size.

A market order is an order at the far side of the quote, wherever that moves: it never trades at a
worse price, and goes before limit orders at an equal one. Its remainder waits for the next quotes,
undisplayed. Without a quote it takes what rests, and its remainder is cancelled. Where the far
side lies outside the price band, its execution stops at the band. (NYSE National Rule 7.31(a)(1),
market order: working price, undisplayed remainder, priority 1, trading collar.)

Of an iceberg only the tip stands in the queue; what is shown next goes behind (Nasdaq Equity 4,
Rule 4703(h), reserve size).

A minimum quantity is one of all executions on entry together: an order that could take some, but
less, is cancelled; one that could take nothing rests, and its minimum is over (FIX 4.4, MinQty
(110); Nasdaq trader alert 2011-51: several resting orders together may satisfy it).
"""

from __future__ import annotations

from tsdb_trader.venue.matching_events import Repriced, Rested, Triggered
from tsdb_trader.venue.matching_levels import Side
from tsdb_trader.venue.matching_market import Market
from tsdb_trader.venue.matching_pegs import Pegs
from tsdb_trader.venue.matching_self_trade import Prevention
from tsdb_trader.venue.matching_stops import Stops
from tsdb_trader.venue.matching_trading import Trading
from tsdb_trader.venue.matching_values import (
    AT_ONCE,
    AUCTION_ONLY,
    AUCTIONS,
    Display,
    Order,
    Phase,
    Reason,
    Status,
    TimeInForce,
)

_ANY_PRICE = 1 << 62


class Lit:
    """The structures of a displayed book, and how orders go through them."""

    def __init__(self, market: Market) -> None:
        self._market = market
        self.stops = Stops(market)
        self.pegs = Pegs(market)
        self.prevention = Prevention(market, self.remove, self.reduce)
        self.trading = Trading(market, self.stops, self.prevention)
        self.auction_only: dict[int, Order] = {}

    # Orders in and out

    def objection(self, order: Order) -> Reason | None:
        """Return why an order that comes in continuous trading is not taken."""
        market = self._market
        waits = order.stop is not None and not order.triggered
        waits |= order.time_in_force in AUCTION_ONLY
        if market.banded and market.banned(order, static_only=waits):
            return Reason.PRICE_BAND
        if waits:
            return None
        if order.post_only:
            limit = self._reach(order)
            if limit is not None and self.trading.meets(order, limit):
                return Reason.POST_ONLY
        if order.limit is None and order.peg is None and market.bid is None:
            opposite = self.trading.side(not order.is_buy)
            return None if opposite.best() is not None else Reason.NO_MARKET
        return None

    def arrive(self, order: Order) -> None:
        """Let an order with its rank trade, and rest or end what remains of it."""
        if order.time_in_force in AUCTION_ONLY:
            self.wait(order)
        elif order.stop is not None and not order.triggered:
            price = self.stops.reached(order)
            if price is None:
                self.wait(order)
            else:
                self._trigger(order, price)
        else:
            self._enter(order)

    def wait(self, order: Order) -> None:
        """Let an order rest without trading."""
        # Pegs take no part in auctions; the end of an auction gives them a price.
        order.price = None
        if order.peg is None and (order.stop is None or order.triggered):
            order.price = order.limit
        self._rest(order)

    def restore(self, order: Order) -> None:
        """Put an order back where it stood."""
        self._market.orders[order.order_no] = order
        self._place(order)

    def remove(self, order: Order) -> None:
        """Take an order at rest out of the book."""
        del self._market.orders[order.order_no]
        if order.shown:
            self.trading.side(order.is_buy).remove(order)
        elif order.order_no in self.auction_only:
            del self.auction_only[order.order_no]
        elif order.order_no in self.stops:
            self.stops.remove(order)
        elif order.peg is None:
            self.trading.side(order.is_buy).remove(order)

    def reduce(self, order: Order, quantity: int, shown: int) -> None:
        """Take `quantity` off an order at rest, which keeps its place and displays `shown`."""
        if order.shown:
            self.trading.side(order.is_buy).reduce(order, quantity, shown)
        else:
            order.remaining -= quantity

    def _rest(self, order: Order) -> None:
        market = self._market
        shown = 0
        if order.price is not None and order.time_in_force not in AUCTION_ONLY:
            shown = order.remaining
            if order.display is not None and order.display < shown:
                shown = order.display
        order.shown = shown
        order.top = market.rules.top_order and shown > 0 and self._leads(order)
        market.orders[order.order_no] = order
        if shown and order.peg is None:
            (self.trading.buys if order.is_buy else self.trading.sells).add(order)
        else:
            self._place(order)
        market.events.append(Rested(order.order_no, order.price, shown))

    def _place(self, order: Order) -> None:
        if order.peg is not None:
            self.pegs.add(order)
        if order.shown:
            self.trading.side(order.is_buy).add(order)
        elif order.time_in_force in AUCTION_ONLY:
            self.auction_only[order.order_no] = order
        elif order.stop is not None and not order.triggered:
            self.stops.add(order)
        elif order.peg is None:
            self.trading.side(order.is_buy).add(order)

    def _leads(self, order: Order) -> bool:
        """Say whether an order betters its side, the quote included."""
        if order.price is None:
            return False
        sign = -1 if order.is_buy else 1
        best = self.trading.side(order.is_buy).best()
        own = self._market.bid if order.is_buy else self._market.ask
        rivals = [best.price] if best is not None else []
        rivals += [own.price] if own is not None and own.left else []
        return all(sign * order.price < sign * price for price in rivals)

    # Entering

    def _enter(self, order: Order, at_entry: bool = True) -> None:
        """Let an order trade now, and rest or end what remains of it."""
        if order.peg is not None and order.price is None:
            order.price = self.pegs.price(order)
        tif = order.time_in_force
        limit = order.limit if order.peg is None else order.price
        if limit is None:
            limit = self._reach(order)
        if limit is not None:
            needs = order.min_quantity or tif is TimeInForce.FOK
            if needs and self._fails(order, limit, at_entry):
                return
            self.trading.take(order, limit)
        if order.remaining and order.status is Status.WORKING:
            reason = None
            if tif in AT_ONCE:
                reason = Reason.NOTHING_MORE
            elif order.limit is None and order.peg is None:
                reason = self._stranded(order)
            if reason is not None:
                self._market.close(order, Status.CANCELLED, reason)
                return
            if order.peg is None:
                order.price = order.limit
            self._rest(order)

    def _stranded(self, order: Order) -> Reason | None:
        """Return why the remainder of a market order may not wait."""
        far = self._market.ask if order.is_buy else self._market.bid
        if far is None:
            return Reason.NO_MARKET
        return Reason.PRICE_BAND if self._clipped(order, far.price) != far.price else None

    def _reach(self, order: Order) -> int | None:
        """Return the worst price at which an order may trade now; None where it has none."""
        if order.peg is not None:
            return self.pegs.price(order)
        if order.limit is not None:
            return order.limit
        far = self._market.ask if order.is_buy else self._market.bid
        anything = _ANY_PRICE if order.is_buy else -_ANY_PRICE
        return self._clipped(order, anything if far is None else far.price)

    def _clipped(self, order: Order, price: int) -> int:
        edge = self._market.edge(order.is_buy)
        if edge is None:
            return price
        return min(price, edge) if order.is_buy else max(price, edge)

    def _fails(self, order: Order, limit: int, at_entry: bool) -> bool:
        """End an order that cannot have all it needs at once; say whether it did."""
        if order.time_in_force is TimeInForce.FOK:
            wanted, reason = order.remaining, Reason.NOTHING_MORE
            least = 0
        else:
            wanted = min(order.min_quantity - order.filled, order.remaining) if at_entry else 0
            least, reason = 1, Reason.MIN_QUANTITY
        if wanted <= 0 or not least <= self.trading.available(order, limit, wanted) < wanted:
            return False
        self._market.close(order, Status.CANCELLED, reason)
        return True

    def _trigger(self, order: Order, price: int) -> None:
        """Make a stop order a market or limit order, and let it enter."""
        order.triggered = True
        self._market.events.append(Triggered(order.order_no, price))
        reason = self.objection(order)
        if reason is not None:
            self._market.close(order, Status.CANCELLED, reason)
        else:
            self._enter(order)

    # What the market does

    def quote_changed(self) -> None:
        """Let a new quote move pegs, trade with what rests, and trigger stops."""
        market = self._market
        moved = [order for order in self.pegs.live() if self.pegs.price(order) != order.price]
        for order in moved:
            self.remove(order)
        if market.bid is not None and market.ask is not None:
            self._trade_resting(self.trading.buys, market.ask)
            self._trade_resting(self.trading.sells, market.bid)
        for order in moved:
            self._reprice(order)
        self.settle()

    def settle(self) -> None:
        """Let stops become active that the step has triggered, until none is left."""
        stops = self.stops
        while (stops.waiting or stops.due) and (found := stops.next_due()) is not None:
            order, price = found
            del self._market.orders[order.order_no]
            order.rank = self._market.take_rank()
            self._trigger(order, price)

    def suspend(self, phase: Phase) -> None:
        """Stop continuous trading; for an auction, take pegs out of the book."""
        if phase not in AUCTIONS:
            return
        for order in self.pegs.live():
            if order.price is not None:
                self.trading.side(order.is_buy).remove(order)
                order.price, order.shown, order.top = None, 0, False
                self._market.events.append(Repriced(order.order_no, None))

    def resume(self, auction_price: int | None) -> None:
        """Begin continuous trading with what rests, after an auction with its price."""
        if auction_price is not None and self.stops.waiting:
            self.stops.saw(auction_price)
        if self._market.bid is None:
            for side in (self.trading.buys, self.trading.sells):
                for order in list(side.market.values()):
                    self.remove(order)
                    self._enter(order)
        self.quote_changed()

    def crossed(self) -> bool:
        """Say whether orders at rest could trade with each other."""
        buys, sells = self.trading.buys, self.trading.sells
        bid, ask = buys.best(), sells.best()
        if bid is not None and ask is not None and bid.price >= ask.price:
            return True
        return bool(buys.market and sells.market)

    def _reprice(self, order: Order) -> None:
        order.price = self.pegs.price(order)
        order.rank = self._market.take_rank()
        self._market.events.append(Repriced(order.order_no, order.price))
        price = order.price
        if order.post_only and price is not None and self.trading.meets(order, price):
            self._market.close(order, Status.CANCELLED, Reason.POST_ONLY)
        else:
            self._enter(order, at_entry=False)

    def _trade_resting(self, side: Side, display: Display) -> None:
        """Trade resting orders with the quote: limits beyond it, then market, then at it."""
        market = self._market
        self.trading.hit(side, display, beyond=True)
        for order in list(side.market.values()):
            limit = self._clipped(order, display.price)
            self.trading.take(order, limit)
            if order.order_no not in market.orders:
                continue
            if order.remaining and limit == display.price:
                break
            self.remove(order)
            if order.remaining:
                market.close(order, Status.CANCELLED, Reason.PRICE_BAND)
        self.trading.hit(side, display, beyond=False)
