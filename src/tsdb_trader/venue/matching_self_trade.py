"""What happens instead of a trade between two orders of one participant.

It is decided where the two would meet. In a pro rata book everybody at a price meets, so it comes
before the sharing (CME Globex Self-Match Prevention, 2023: in first-in-first-out markets it cancels
the orders that would have executed, in all others those that could have). In an auction, where
nobody comes last, the younger order counts as the one that came. Decrementing cancels the smaller
order and takes its size off the larger one (TSX Self Trade Prevention, "decrement largest and
cancel smallest").
"""

from __future__ import annotations

from collections.abc import Callable

from tsdb_trader.venue.matching_events import Reduced
from tsdb_trader.venue.matching_market import Market
from tsdb_trader.venue.matching_values import Order, Reason, SelfTrade, Status


class Prevention:
    """Applies the policy of a book.

    Parameters
    ----------
    remove, reduce
        Take an order at rest out of the book, or a quantity off it and say what it displays then.
    """

    def __init__(
        self,
        market: Market,
        remove: Callable[[Order], None],
        reduce: Callable[[Order, int, int], None],
    ) -> None:
        self._market = market
        self._remove = remove
        self._reduce = reduce

    def prevent(self, order: Order, other: Order) -> None:
        """Do what the policy says to `order`, that comes, and `other`, that was there."""
        policy = self._market.rules.self_trade
        if policy is SelfTrade.DECREMENT:
            quantity = min(order.remaining, other.remaining)
            self._decrement(other, quantity)
            self._decrement(order, quantity)
            return
        if policy is not SelfTrade.CANCEL_INCOMING:
            self._drop(other)
        if policy is not SelfTrade.CANCEL_RESTING:
            self._drop(order)

    def _drop(self, order: Order) -> None:
        if order.order_no in self._market.orders:
            self._remove(order)
        self._market.close(order, Status.CANCELLED, Reason.SELF_TRADE)

    def _decrement(self, order: Order, quantity: int) -> None:
        if quantity == order.remaining:
            self._drop(order)
            return
        order.quantity -= quantity
        if order.order_no in self._market.orders:
            self._reduce(order, quantity, min(order.shown, order.remaining - quantity))
        else:
            order.remaining -= quantity
        self._market.events.append(Reduced(order.order_no, quantity, Reason.SELF_TRADE))
