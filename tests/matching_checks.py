"""A book whose promises are checked after every step, whatever its rules."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from datetime import datetime

from tsdb_trader.venue.matching import Book
from tsdb_trader.venue.matching_events import (
    Cancelled,
    Event,
    Expired,
    Fill,
    PhaseChanged,
    Reduced,
    Rejected,
    Replaced,
    Triggered,
    Uncrossed,
)
from tsdb_trader.venue.matching_values import (
    Line,
    Matching,
    Order,
    PegReference,
    Phase,
    Quote,
    Rules,
    SelfTrade,
    Status,
    Terms,
    TimeInForce,
)


@dataclass(frozen=True)
class New:
    """An order to submit; its number is that of the step."""

    order: Order


@dataclass(frozen=True)
class Replace:
    """New terms for the working order that a number picks."""

    pick: int
    terms: Terms


@dataclass(frozen=True)
class Cancel:
    """Cancel the working order that a number picks."""

    pick: int


@dataclass(frozen=True)
class EndOfDay:
    """The trading day ends."""


@dataclass(frozen=True)
class Reference:
    """A new reference price."""

    price: int


Step = New | Replace | Cancel | EndOfDay | Reference | Quote | Phase | datetime


def apply(book: Book, step: Step, number: int) -> tuple[list[Event], Order | None]:
    """Do a step; return what happened, and the order that it submitted."""
    match step:
        case New():
            order = replace(step.order, order_no=number)
            return book.submit(order), order
        case Replace():
            return book.replace(pick(book, step), step.terms), None
        case Cancel():
            return book.cancel(pick(book, step)), None
        case Quote():
            return book.apply_quote(step), None
        case Phase():
            return book.set_phase(step), None
        case EndOfDay():
            return book.end_of_day(), None
        case Reference():
            book.set_reference(step.price)
            return [], None
        case _:
            return book.expire(step), None


def pick(book: Book, step: Replace | Cancel) -> int:
    """Return a working order's number; now and then one of no order."""
    numbers = [*sorted(book.orders), -1]
    return numbers[step.pick % len(numbers)]


class Checked:
    """A book, every order it has seen, and what became of each according to its events."""

    def __init__(self, rules: Rules) -> None:
        self.book = Book(rules)
        self.known: dict[int, Order] = {}
        self.filled: Counter[int] = Counter()
        self.reduced: Counter[int] = Counter()
        self.ended: dict[int, int] = {}
        self.wanted: dict[int, int] = {}
        self.before: dict[int, Order] = {}

    def step(self, step: Step, number: int) -> list[Event]:
        self.before = {no: replace(order) for no, order in self.known.items()}
        state = self.book.state
        events, order = apply(self.book, step, number)
        if order is not None:
            self.known[number] = order
            self.wanted[number] = order.quantity + self._lost_now(events, number)
        self._account(events)
        self._check_named(events)
        self._check_fills(events)
        self._check_best_first(events)
        self._check_external(
            events, step, state.bid and state.bid.left, state.ask and state.ask.left
        )
        self._check_entry(events, order)
        self._check_resting()
        return events

    def _lost_now(self, events: list[Event], number: int) -> int:
        return sum(e.quantity for e in events if isinstance(e, Reduced) and e.order_no == number)

    # What was submitted is filled, cancelled, or works

    def _account(self, events: list[Event]) -> None:
        for event in events:
            match event:
                case Fill():
                    assert event.quantity > 0
                    self.filled[event.order_no] += event.quantity
                    if event.counter_no is not None:
                        self.filled[event.counter_no] += event.quantity
                case Reduced():
                    self.reduced[event.order_no] += event.quantity
                case Cancelled() | Expired():
                    assert event.order_no not in self.ended
                    self.ended[event.order_no] = event.quantity
                case Rejected():
                    self.ended[event.order_no] = self.wanted[event.order_no]
                case Replaced():
                    self.wanted[event.order_no] = event.quantity + self.reduced[event.order_no]
        for number, order in self.known.items():
            over = self.ended.get(number, 0)
            left = 0 if number in self.ended else order.remaining
            done = self.filled[number] + self.reduced[number] + over + left
            assert self.wanted[number] == done, order
            assert order.filled == self.filled[number]
            working = number in self.book.orders
            assert working == (order.status is Status.WORKING)
            assert working == (order.remaining > 0 and number not in self.ended)
            assert (order.status is Status.FILLED) == (order.remaining == 0)

    def _check_named(self, events: list[Event]) -> None:
        """Every order that changed is named by an event."""
        named = {e.order_no for e in events if not isinstance(e, Uncrossed | PhaseChanged)}
        named |= {e.counter_no for e in events if isinstance(e, Fill) and e.counter_no is not None}
        changed = {no for no, order in self.known.items() if self.before.get(no) != order}
        assert changed <= named

    # Each trade

    def _check_fills(self, events: list[Event]) -> None:
        auction = False
        for event in events:
            if isinstance(event, Uncrossed | PhaseChanged):
                auction = isinstance(event, Uncrossed)
            if not isinstance(event, Fill):
                continue
            one = self.known[event.order_no]
            other = None if event.counter_no is None else self.known[event.counter_no]
            assert not (event.took and one.post_only)
            for order in (one, other):
                if order is not None:
                    self._check_limit(order, event, auction)
            if other is not None:
                assert one.is_buy is not other.is_buy
                if self.book.rules.self_trade is not SelfTrade.ALLOW and one.participant:
                    assert one.participant != other.participant
            if event.half:
                assert self.book.rules.matching is Matching.MIDPOINT

    def _check_best_first(self, events: list[Event]) -> None:
        """Whoever takes gets the better prices first."""
        taking: dict[int, list[int]] = {}
        for event in events:
            match event:
                case Fill(took=True):
                    sign = 1 if self.known[event.order_no].is_buy else -1
                    taking.setdefault(event.order_no, []).append(sign * event.price)
        assert all(prices == sorted(prices) for prices in taking.values())

    def _check_limit(self, order: Order, fill: Fill, auction: bool) -> None:
        doubled = 2 * fill.price + fill.half
        sign = 1 if order.is_buy else -1
        if order.limit is not None:
            assert sign * doubled <= sign * 2 * order.limit
        elif self.book.bid is not None and self.book.ask is not None and not auction:
            far = self.book.ask if order.is_buy else self.book.bid
            # A peg may stand where it stood before its reference disappeared.
            assert order.peg is not None or sign * fill.price <= sign * far.price

    def _check_external(
        self, events: list[Event], step: Step, bid_left: int | None, ask_left: int | None
    ) -> None:
        """What orders trade with the quote is what the quote has less."""
        book = self.book
        if book.bid is None or book.ask is None:
            assert not [e for e in events if isinstance(e, Fill) and e.counter_no is None]
            return
        taken = Counter(
            {
                side: sum(
                    event.quantity
                    for event in events
                    if isinstance(event, Fill) and event.counter_no is None
                    if self.known[event.order_no].is_buy is side
                )
                for side in (True, False)
            }
        )
        for display, was, mine in (
            (book.ask, ask_left, taken[True]),
            (book.bid, bid_left, taken[False]),
        ):
            assert 0 <= display.left <= display.size
            if not isinstance(step, Quote):
                assert was is not None
                assert was - display.left == mine
            else:
                assert mine <= display.size - display.left

    # What an order asked for on entry

    def _check_entry(self, events: list[Event], order: Order | None) -> None:
        entered = [order] if order is not None else []
        entered += [self.known[e.order_no] for e in events if isinstance(e, Triggered)]
        for one in entered:
            if one.stop is not None and not one.triggered:
                continue
            before = self.before[one.order_no].filled if one.order_no in self.before else 0
            now = sum(
                e.quantity
                for e in events
                if isinstance(e, Fill) and e.took and e.order_no == one.order_no
            )
            if one.time_in_force is TimeInForce.FOK:
                assert one.filled == 0 or one.remaining == 0
            if one.time_in_force in (TimeInForce.IOC, TimeInForce.FOK):
                assert one.order_no not in self.book.orders
            if self.book.rules.matching is not Matching.MIDPOINT and before == 0:
                least = min(one.min_quantity, self.wanted[one.order_no])
                lost = self.reduced[one.order_no] + self.ended.get(one.order_no, 0)
                assert now == 0 or now >= least or lost
        if self.book.rules.matching is Matching.MIDPOINT:
            self._check_minima(events)

    def _check_minima(self, events: list[Event]) -> None:
        """Each execution in the dark reaches both minima, or all that remained."""
        left = {no: o.remaining for no, o in self.before.items()}
        for event in events:
            match event:
                case Fill():
                    for number in (event.order_no, event.counter_no):
                        assert number is not None
                        order = self.known[number]
                        remaining = left.get(number, order.quantity)
                        assert event.quantity >= min(order.min_quantity, remaining)
                        left[number] = remaining - event.quantity
                case Reduced():
                    known = left.get(event.order_no, self.wanted[event.order_no])
                    left[event.order_no] = known - event.quantity
                case Replaced():
                    left[event.order_no] = event.remaining

    # What rests

    def _check_resting(self) -> None:
        book = self.book
        shown = list(book.displayed())
        if book.rules.matching is Matching.MIDPOINT:
            assert not shown
            assert book.depth() == ((), ())
            if book.phase is Phase.CONTINUOUS:
                self._check_dark()
            return
        self._check_depth(shown)
        for order in shown:
            assert 0 < order.shown <= min(order.remaining, order.display or order.remaining)
            assert order.peg is not None or order.price == order.limit
        for order in book.orders.values():
            assert order.shown == 0 or order.price is not None
        if book.phase is Phase.CONTINUOUS:
            self._check_continuous(shown)

    def _check_dark(self) -> None:
        """No two orders at rest could still trade."""
        bid, ask = self.book.bid, self.book.ask
        if bid is None or ask is None or not bid.size or not ask.size:
            return
        doubled = bid.price + ask.price
        able = [
            order
            for order in self.book.orders.values()
            if order.limit is None
            or (2 * order.limit >= doubled if order.is_buy else 2 * order.limit <= doubled)
        ]
        for buy in [o for o in able if o.is_buy]:
            for sell in [o for o in able if not o.is_buy]:
                quantity = min(buy.remaining, sell.remaining)
                least = max(min(o.min_quantity, o.remaining) for o in (buy, sell))
                assert quantity < least

    def _check_depth(self, shown: list[Order]) -> None:
        book = self.book
        for is_buy, lines, quote in (
            (True, book.depth().bids, book.bid),
            (False, book.depth().asks, book.ask),
        ):
            sizes: Counter[int] = Counter()
            counts: Counter[int] = Counter()
            for order in shown:
                if order.is_buy is is_buy and order.price is not None:
                    sizes[order.price] += order.shown
                    counts[order.price] += 1
            if quote is not None and quote.left:
                sizes[quote.price] += quote.left
                counts[quote.price] += 1
            assert lines == tuple(
                Line(price, sizes[price], counts[price]) for price in sorted(sizes, reverse=is_buy)
            )
            assert book.depth(1)[0 if is_buy else 1] == lines[:1]

    def _check_continuous(self, shown: list[Order]) -> None:
        book = self.book
        buys = [o.price for o in shown if o.is_buy and o.price is not None]
        sells = [o.price for o in shown if not o.is_buy and o.price is not None]
        assert not buys or not sells or max(buys) < min(sells)
        hidden = {
            o.is_buy
            for o in book.orders.values()
            if o.limit is None and o.peg is None
            if (o.stop is None or o.triggered) and o.time_in_force is not TimeInForce.AT_CLOSE
        }
        assert len(hidden) < 2
        for side, prices, buying in ((book.ask, buys, True), (book.bid, sells, False)):
            sign = 1 if buying else -1
            if side is not None and side.left:
                assert all(sign * price < sign * side.price for price in prices)
                assert buying not in hidden
        for order in book.orders.values():
            assert order.time_in_force is not TimeInForce.AT_OPEN
            self._check_stop(order)
            if order.peg is not None:
                self._check_peg(order)

    def _check_stop(self, order: Order) -> None:
        bid, ask = self.book.bid, self.book.ask
        if order.stop is None or order.triggered or bid is None or ask is None:
            return
        if order.is_buy:
            assert not ask.size or ask.price < order.stop
        else:
            assert not bid.size or bid.price > order.stop

    def _check_peg(self, order: Order) -> None:
        bid, ask = self.book.bid, self.book.ask
        if bid is None or ask is None or not bid.size or not ask.size:
            return
        banded = self.book.rules.static_band or self.book.rules.dynamic_band
        own, far = (bid, ask) if order.is_buy else (ask, bid)
        doubled = {
            PegReference.PRIMARY: 2 * own.price,
            PegReference.MARKET: 2 * far.price,
            PegReference.MIDPOINT: bid.price + ask.price,
        }
        assert order.peg is not None
        tick, sign = self.book.rules.tick, 1 if order.is_buy else -1
        exact = doubled[order.peg] + 2 * order.peg_offset
        # The nearest tick that is not beyond the exact price, as seen from the order's own side.
        steps = [p for p in range(0, 3 * exact, tick) if sign * 2 * p <= sign * exact]
        nearest = max(steps, default=0) if order.is_buy else min(steps)
        if order.limit is not None:
            nearest = sign * min(sign * nearest, sign * order.limit)
        if not banded:
            assert order.price == (nearest if nearest > 0 else None)
