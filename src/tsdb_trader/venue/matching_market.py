"""What the parts of a book share: rules, quote, working orders, and the step under way."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from tsdb_trader.venue.matching_events import Cancelled, Event, Expired
from tsdb_trader.venue.matching_values import (
    BookState,
    Display,
    Matching,
    Order,
    Quote,
    Reason,
    Rules,
    SelfTrade,
    Status,
)

_BASIS = 10_000


class Market:
    """The state of a book that is not in one of its structures.

    `orders` are the orders at rest, `events` what the current step has done so far.
    """

    __slots__ = (
        "ask",
        "banded",
        "bid",
        "dark",
        "events",
        "last",
        "next_rank",
        "orders",
        "phase",
        "prevents",
        "reference",
        "rules",
    )

    def __init__(self, rules: Rules, state: BookState) -> None:
        self.rules = rules
        self.banded = rules.static_band is not None or rules.dynamic_band is not None
        self.dark = rules.matching is Matching.MIDPOINT
        self.prevents = rules.self_trade is not SelfTrade.ALLOW
        self.bid = state.bid and replace(state.bid)
        self.ask = state.ask and replace(state.ask)
        self.next_rank = state.next_rank
        self.phase = state.phase
        self.last = state.last
        self.reference = state.reference
        self.orders: dict[int, Order] = {}
        self.events: list[Event] = []

    def state(self) -> BookState:
        """Return what restores this, the orders apart."""
        return BookState(
            self.bid and replace(self.bid),
            self.ask and replace(self.ask),
            self.next_rank,
            self.phase,
            self.last,
            self.reference,
        )

    def take_rank(self) -> int:
        """Return the next time priority."""
        rank = self.next_rank
        self.next_rank = rank + 1
        return rank

    def show(self, quote: Quote) -> None:
        """Take a quote: what was taken from a side stays taken until that side changes."""
        self.bid = self._display(self.bid, quote.bid_price, quote.bid_size)
        self.ask = self._display(self.ask, quote.ask_price, quote.ask_size)

    def _display(self, old: Display | None, price: int, size: int) -> Display:
        if old is None or old.price != price:
            return Display(price, size, size, self.take_rank())
        if old.size != size:
            return Display(price, size, size, old.rank)
        return old

    def same_participant(self, order: Order, other: Order) -> bool:
        """Say whether a trade of two orders is to be prevented."""
        return self.prevents and order.participant != "" and order.participant == other.participant

    def close(self, order: Order, status: Status, reason: Reason) -> None:
        """End an order that stands in no structure any more."""
        self.orders.pop(order.order_no, None)
        order.status, order.shown = status, 0
        kind = Expired if status is Status.EXPIRED else Cancelled
        self.events.append(kind(order.order_no, order.remaining, reason))

    def edge(self, is_buy: bool, static_only: bool = False) -> int | None:
        """Return the highest price a buy may have, or the lowest of a sell; None for no band.

        The other edge of a band restrains nobody (CME Globex price banding: a variation on the
        upside for bids and on the downside for offers). The dynamic band lies around the far side
        of the quote (NYSE Arca Rule 7.31(b) of 2011, limit order price protection) or, while that
        displays nothing, around the last trade.
        """
        if not self.banded:
            return None
        rules, found = self.rules, []
        if rules.static_band is not None and self.reference is not None:
            found.append(_shifted(self.reference, rules.static_band, rules.tick, is_buy))
        if rules.dynamic_band is not None and not static_only:
            far = self.ask if is_buy else self.bid
            around = far.price if far is not None and far.size else self.last
            if around is not None:
                found.append(_shifted(around, rules.dynamic_band, rules.tick, is_buy))
        if not found:
            return None
        return min(found) if is_buy else max(found)

    def banned(self, order: Order, static_only: bool = False) -> bool:
        """Say whether an order's limit lies outside the bands."""
        edge = self.edge(order.is_buy, static_only)
        if edge is None or order.limit is None or order.peg is not None:
            return False
        return order.limit > edge if order.is_buy else order.limit < edge


def _shifted(price: int, basis_points: int, tick: int, up: bool) -> int:
    """Return the last tick within a width of a price."""
    width = price * basis_points // _BASIS
    return (price + width) // tick * tick if up else -((width - price) // tick * tick)


def sorted_by_rank(orders: Mapping[int, Order]) -> list[Order]:
    """Return orders by time priority."""
    return sorted(orders.values(), key=lambda order: order.rank)
