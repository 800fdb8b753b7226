"""A slow price-time book to compare the engine with, event by event.

It is written another way on purpose: one list of everybody in the order of time, sorted anew for
each trade. It knows limit and market orders, day, ioc and fok, icebergs, post-only, replaces,
cancels, and the quote.
"""

from __future__ import annotations

from dataclasses import dataclass

from tsdb_trader.venue.matching_events import (
    Cancelled,
    Event,
    Fill,
    Refreshed,
    Refused,
    Rejected,
    Replaced,
    Rested,
)
from tsdb_trader.venue.matching_values import Order, Quote, Reason, Terms, TimeInForce


@dataclass
class Party:
    """An order, or a side of the quote (number 0)."""

    number: int
    buys: bool
    limit: int | None
    left: int
    tip: int
    display: int | None
    done: int = 0
    post_only: bool = False

    @property
    def hidden(self) -> bool:
        return self.number != 0 and self.limit is None


class SlowBook:
    """Everybody who waits, in the order of time."""

    def __init__(self) -> None:
        self.line: list[Party] = []
        self.quote: Quote | None = None
        self.events: list[Event] = []

    def submit(self, order: Order) -> list[Event]:
        self.events = []
        party = Party(order.order_no, order.is_buy, order.limit, order.quantity, 0, order.display)
        party.post_only = order.post_only
        if order.limit is None and self.quote is None and not self._others(party):
            return [Rejected(order.order_no, Reason.NO_MARKET)]
        if order.post_only and self._others(party):
            return [Rejected(order.order_no, Reason.POST_ONLY)]
        reachable = sum(other.left for other in self._others(party))
        if order.time_in_force is TimeInForce.FOK and reachable < party.left:
            return [Cancelled(order.order_no, party.left, Reason.NOTHING_MORE)]
        self._enter(party, order.time_in_force is TimeInForce.DAY)
        return self.events

    def cancel(self, number: int) -> list[Event]:
        party = self._find(number)
        if party is None:
            return [Refused(number, Reason.UNKNOWN_ORDER)]
        self.line.remove(party)
        return [Cancelled(number, party.left, Reason.REQUESTED)]

    def replace(self, number: int, terms: Terms) -> list[Event]:
        self.events = []
        old = self._find(number)
        if old is None:
            return [Refused(number, Reason.UNKNOWN_ORDER)]
        left = terms.quantity - old.done
        if left <= 0:
            self.line.remove(old)
            return [Replaced(number, old.done, 0, True)]
        if (terms.limit is None) != (old.limit is None) or (old.hidden and terms.display):
            return [Refused(number, Reason.CONTRADICTION)]
        shows_more = old.display is not None and (terms.display or 10**9) > old.display
        if left <= old.left and terms.limit == old.limit and not shows_more:
            old.left, old.display = left, terms.display
            if not old.hidden:
                old.tip = min(old.tip, left, terms.display or left)
            return [Replaced(number, terms.quantity, left, True)]
        new = Party(number, old.buys, terms.limit, left, 0, terms.display, old.done, old.post_only)
        if new.post_only and self._others(new):
            return [Refused(number, Reason.POST_ONLY)]
        self.line.remove(old)
        self.events.append(Replaced(number, terms.quantity, left, False))
        self._enter(new, True)
        return self.events

    def apply_quote(self, quote: Quote) -> list[Event]:
        self.events = []
        old, self.quote = self.quote, quote
        self._show(True, quote.bid_price, quote.bid_size, old and (old.bid_price, old.bid_size))
        self._show(False, quote.ask_price, quote.ask_size, old and (old.ask_price, old.ask_size))
        for buys in (True, False):
            side = next(p for p in self.line if p.number == 0 and p.buys is not buys)
            self._hit_all(side, beyond=True)
            for party in [p for p in self.line if p.hidden and p.buys is buys]:
                while party.left and self._trade_once(party):
                    pass
            self._hit_all(side, beyond=False)
        return self.events

    def depth(self, buys: bool) -> list[tuple[int, int, int]]:
        """Return price, quantity and number of parties, best first."""
        shown = [p for p in self.line if p.buys is buys and not p.hidden and p.left]
        prices = {p.limit for p in shown if p.limit is not None}
        return [
            (price, sum(p.tip for p in at), len(at))
            for price in sorted(prices, reverse=buys)
            for at in [[p for p in shown if p.limit == price]]
        ]

    def _find(self, number: int) -> Party | None:
        return next((p for p in self.line if p.number == number), None)

    def _show(self, buys: bool, price: int, size: int, old: tuple[int, int] | None) -> None:
        if old == (price, size):
            return
        side = next((p for p in self.line if p.number == 0 and p.buys is buys), None)
        if side is None or side.limit != price:
            if side is not None:
                self.line.remove(side)
            self.line.append(Party(0, buys, price, size, size, None))
        else:
            side.left = side.tip = size

    def _price(self, party: Party) -> int | None:
        """Return the worst price a party may trade at: without a limit the far side's."""
        if party.limit is not None:
            return party.limit
        if self.quote is None:
            return 10**9 if party.buys else 0
        return self.quote.ask_price if party.buys else self.quote.bid_price

    def _others(self, party: Party) -> list[Party]:
        """Return whom a party could trade with, best first."""
        mine = self._price(party)
        assert mine is not None
        found = []
        for other in self.line:
            price = self._price(other)
            assert price is not None
            reaches = price <= mine if party.buys else price >= mine
            if other.buys is not party.buys and other.left and reaches:
                key = (price if party.buys else -price, not other.hidden, self.line.index(other))
                found.append((key, other))
        return [other for _, other in sorted(found, key=lambda f: f[0])]

    def _hit_all(self, side: Party, beyond: bool) -> None:
        """Let a side of the quote trade with who rests beyond its price, or at it."""
        while side.left:
            met = [
                party
                for party in self.line
                if party.number and party.buys is not side.buys and party.limit is not None
                if (party.limit == side.limit) is not beyond
                if party in self._others(side)
            ]
            if not met:
                return
            party = min(met, key=self._others(side).index)
            quantity = min(party.tip, side.left)
            assert party.limit is not None
            self.events.append(Fill(party.number, None, party.limit, quantity, took=False))
            self._take(side, quantity)
            self._take(party, quantity)

    def _enter(self, party: Party, may_wait: bool) -> None:
        while party.left and self._trade_once(party):
            pass
        if not party.left:
            return
        if not may_wait:
            self.events.append(Cancelled(party.number, party.left, Reason.NOTHING_MORE))
        elif party.hidden and self.quote is None:
            self.events.append(Cancelled(party.number, party.left, Reason.NO_MARKET))
        else:
            party.tip = 0 if party.hidden else min(party.left, party.display or party.left)
            self.line.append(party)
            self.events.append(Rested(party.number, party.limit, party.tip))

    def _trade_once(self, party: Party) -> bool:
        others = self._others(party)
        if not others:
            return False
        other = others[0]
        price = self._price(other)
        assert price is not None
        quantity = min(party.left, other.left if other.hidden else other.tip)
        self.events.append(Fill(party.number, other.number or None, price, quantity))
        self._take(party, quantity)
        self._take(other, quantity)
        return True

    def _take(self, party: Party, quantity: int) -> None:
        party.left -= quantity
        party.done += quantity
        party.tip = max(0, party.tip - quantity)
        if party.number == 0 or party not in self.line:
            return
        if not party.left:
            self.line.remove(party)
        elif not party.tip and not party.hidden:
            self.line.remove(party)
            self.line.append(party)
            party.tip = min(party.left, party.display or party.left)
            self.events.append(Refreshed(party.number, party.tip))
