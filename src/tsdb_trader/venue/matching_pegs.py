"""Pegged orders: where they stand, and which of them a quote moves.

The reference is the replayed quote, as displayed, without the orders of this book: the bid for a
primary peg that buys and a market peg that sells, the ask the other way round, half their sum for
the midpoint. The signed offset is added for both sides (FIX 4.4, PegOffsetValue (211): "added to
the peg"). The limit and the price band cap the price. A midpoint between ticks is rounded away
from the other side, so a midpoint peg stands at the midpoint only where that is a tick.

A side without size is no reference: an order keeps its price until there is one again, and a new
one stands nowhere. A quote moves pegs before anything trades, so a peg is not filled at a price
that it no longer has (Nasdaq Equity 4, Rule 4703(d), pegging: the order is repriced with the
inside and gets a new timestamp).
"""

from __future__ import annotations

from tsdb_trader.venue.matching_market import Market
from tsdb_trader.venue.matching_values import Order, PegReference


class Pegs:
    """The pegged orders of a lit book."""

    def __init__(self, market: Market) -> None:
        self._market = market
        self._orders: dict[int, Order] = {}

    def add(self, order: Order) -> None:
        """Let an order follow the quote from now on."""
        self._orders[order.order_no] = order

    def live(self) -> list[Order]:
        """Return the pegged orders at rest, by time priority; linear in their number."""
        resting = self._market.orders
        self._orders = {no: o for no, o in self._orders.items() if resting.get(no) is o}
        return sorted(self._orders.values(), key=lambda order: order.rank)

    def price(self, order: Order) -> int | None:
        """Return where a pegged order belongs now; None for nowhere."""
        reference = self._reference(order)
        if reference is None:
            return order.price
        caps = [reference + order.peg_offset, order.limit, self._market.edge(order.is_buy)]
        prices = [price for price in caps if price is not None]
        price = min(prices) if order.is_buy else max(prices)
        return price if price > 0 else None

    def _reference(self, order: Order) -> int | None:
        bid, ask = self._market.bid, self._market.ask
        bid_price = bid.price if bid is not None and bid.size else None
        ask_price = ask.price if ask is not None and ask.size else None
        own, far = (bid_price, ask_price) if order.is_buy else (ask_price, bid_price)
        if order.peg is PegReference.PRIMARY:
            return own
        if order.peg is PegReference.MARKET:
            return far
        if bid_price is None or ask_price is None:
            return None
        doubled, tick = bid_price + ask_price, self._market.rules.tick
        steps = doubled // (2 * tick) if order.is_buy else -(-doubled // (2 * tick))
        return steps * tick
