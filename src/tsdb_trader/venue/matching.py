"""The book of one symbol in one trading session: what comes, what happens; pure.

Prices and quantities are integers in the instrument's units. Every method that changes the book
returns what happened as a list of events in their order (`matching_events`), and is a function of
the book and its arguments alone: no clock, no chance. A book made of the `state` of another, with
its orders restored, goes on like it.

Three ways of matching share this interface (`Rules.matching`): price-time and pro rata
(`matching_lit`, `matching_trading`, `matching_shares`), with auctions (`matching_auction`), and the
dark book at the midpoint (`matching_dark`). Ticks and lots are the caller's to check.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime

from tsdb_trader.venue import matching_auction as auction
from tsdb_trader.venue import matching_depth as depth
from tsdb_trader.venue.matching_dark import Dark
from tsdb_trader.venue.matching_entry import objection
from tsdb_trader.venue.matching_events import Event, PhaseChanged, Refused, Rejected, Replaced
from tsdb_trader.venue.matching_heaps import OrderHeap
from tsdb_trader.venue.matching_lit import Lit
from tsdb_trader.venue.matching_market import Market
from tsdb_trader.venue.matching_values import (
    AUCTIONS,
    BookState,
    Depth,
    Display,
    Indicative,
    Order,
    Phase,
    Quote,
    Reason,
    Rules,
    Status,
    Terms,
    TimeInForce,
)

_STANDING = (TimeInForce.DAY, TimeInForce.GTC, TimeInForce.GTD)


class Book:
    """Orders and the quote of one symbol in one trading session.

    Parameters
    ----------
    rules
        How it works; by default price-time, without bands or self-trade prevention.
    state
        What it knew, of a book that is restored; by default it begins in continuous trading.
    """

    __slots__ = ("_engine", "_expiring", "_market")

    def __init__(self, rules: Rules | None = None, state: BookState | None = None) -> None:
        self._market = Market(rules or Rules(), state or BookState())
        self._engine: Lit | Dark = (Dark if self._market.dark else Lit)(self._market)
        self._expiring: OrderHeap[datetime] = OrderHeap()

    # What it knows

    @property
    def rules(self) -> Rules:
        """Return how it works."""
        return self._market.rules

    @property
    def state(self) -> BookState:
        """Return what restores it, its orders apart."""
        return self._market.state()

    @property
    def orders(self) -> dict[int, Order]:
        """Return the orders that wait or rest in it, by number; not to be changed."""
        return self._market.orders

    @property
    def bid(self) -> Display | None:
        """Return the buying side of the quote."""
        return self._market.bid

    @property
    def ask(self) -> Display | None:
        """Return the selling side of the quote."""
        return self._market.ask

    @property
    def phase(self) -> Phase:
        """Return what it does with orders now."""
        return self._market.phase

    @property
    def next_rank(self) -> int:
        """Return the time priority that comes next."""
        return self._market.next_rank

    @property
    def active(self) -> bool:
        """Say whether every quote matters: orders rest here, or displayed size was taken."""
        return bool(self.orders) or any(
            side is not None and side.left != side.size for side in (self.bid, self.ask)
        )

    def displayed(self) -> Iterator[Order]:
        """Yield the displayed orders, buys before sells, in priority; `shown` of each is seen."""
        return depth.displayed(self._engine) if isinstance(self._engine, Lit) else iter(())

    def depth(self, levels: int | None = None) -> Depth:
        """Return what is displayed by price, the quote included, up to some levels a side."""
        if isinstance(self._engine, Lit):
            return depth.by_price(self._engine, self._market, levels)
        return Depth((), ())

    def indicative(self) -> Indicative | None:
        """Return what an auction would do now; None outside auctions and without a price."""
        if isinstance(self._engine, Lit) and self.phase in AUCTIONS:
            return auction.indicative(self._engine, self._market)
        return None

    # What comes

    def submit(self, order: Order) -> list[Event]:
        """Take an order; its status says afterwards whether it works, is done, or was rejected.

        Raises
        ------
        ValueError
            An order with this number works already.
        """
        market, engine = self._market, self._engine
        events = market.events = []
        if order.order_no in market.orders:
            raise ValueError(f"order {order.order_no} is in the book already")
        reason = objection(order, market)
        continuous = market.phase is Phase.CONTINUOUS
        if reason is None and continuous:
            reason = engine.objection(order)
        if reason is not None:
            order.status = Status.REJECTED
            events.append(Rejected(order.order_no, reason))
            return events
        order.rank = market.take_rank()
        if continuous:
            engine.arrive(order)
            engine.settle()
        else:
            engine.wait(order)
        if order.expire_at is not None and order.order_no in market.orders:
            self._expiring.push(order.expire_at, order)
        return events

    def cancel(self, order_no: int, reason: Reason = Reason.REQUESTED) -> list[Event]:
        """Take an order out, in any phase; `Refused` if there is none."""
        market = self._market
        market.events = []
        order = market.orders.get(order_no)
        if order is None:
            return [Refused(order_no, Reason.UNKNOWN_ORDER)]
        self._engine.remove(order)
        market.close(order, Status.CANCELLED, reason)
        return market.events

    def replace(self, order_no: int, terms: Terms) -> list[Event]:
        """Give an order new terms, or refuse and leave it as it is.

        It keeps its priority while its quantity does not grow, no price changes and no more is
        displayed; in a dark book its minimum must stay, too. Otherwise it goes through the book
        like a new order. A quantity that is filled already makes the order filled.
        """
        market = self._market
        market.events = []
        order = market.orders.get(order_no)
        if order is None:
            return [Refused(order_no, Reason.UNKNOWN_ORDER)]
        filled = order.filled
        if 0 < terms.quantity <= filled:
            self._engine.remove(order)
            order.quantity, order.remaining, order.shown = filled, 0, 0
            order.status = Status.FILLED
            return [Replaced(order_no, filled, 0, kept_priority=True)]
        changed = _with_terms(order, terms)
        reason = self._objection_to(order, changed)
        if reason is not None:
            return [Refused(order_no, reason)]
        if self._keeps_priority(order, changed):
            self._amend(order, changed)
        else:
            self._enter_again(order, changed)
        if order.expire_at is not None and order_no in market.orders:
            self._expiring.push(order.expire_at, order)
        return market.events

    def apply_quote(self, quote: Quote) -> list[Event]:
        """Take a new quote."""
        market = self._market
        events = market.events = []
        market.show(quote)
        if market.orders and market.phase is Phase.CONTINUOUS:
            self._engine.quote_changed()
        return events

    def set_phase(self, phase: Phase) -> list[Event]:
        """Enter another phase. To leave an auction for trading or the close executes it.

        A halt keeps orders, refuses new ones and replaces, and lets cancels through. Trading
        resumes directly (`CONTINUOUS`) or by way of an auction (`AUCTION`). Orders for the opening
        end when trading begins, orders for the close when the market closes.
        """
        market, engine = self._market, self._engine
        events = market.events = []
        before = market.phase
        if phase is before:
            return events
        price = None
        trades = phase in (Phase.CONTINUOUS, Phase.CLOSED)
        if trades and isinstance(engine, Lit) and (before in AUCTIONS or engine.crossed()):
            price = auction.uncross(engine, market)
        if phase in (Phase.CONTINUOUS, Phase.CLOSING, Phase.CLOSED):
            self._end({TimeInForce.AT_OPEN}, Reason.AUCTION_OVER)
        if phase is Phase.CLOSED or (before is Phase.CLOSING and trades):
            self._end({TimeInForce.AT_CLOSE}, Reason.AUCTION_OVER)
        market.phase = phase
        events.append(PhaseChanged(phase))
        if phase is Phase.CONTINUOUS:
            engine.resume(price)
        else:
            engine.suspend(phase)
        return events

    def set_reference(self, price: int) -> None:
        """Set the price that the static band and auctions without a last trade refer to."""
        self._market.reference = price

    def expire(self, now: datetime) -> list[Event]:
        """End the orders that are good till a time up to now, the first to end first."""
        market = self._market
        market.events = []
        for order in self._expiring.pop_to(now):
            if market.orders.get(order.order_no) is order and order.expire_at is not None:
                self._engine.remove(order)
                market.close(order, Status.EXPIRED, Reason.EXPIRE_TIME)
        return market.events

    def end_of_day(self) -> list[Event]:
        """End the orders that are good for the day, by time priority."""
        self._market.events = []
        ending = {TimeInForce.DAY, TimeInForce.AT_OPEN, TimeInForce.AT_CLOSE}
        self._end(ending, Reason.END_OF_DAY)
        return self._market.events

    def restore(self, order: Order) -> None:
        """Put back an order with everything the book made of it; call in the order of rank."""
        self._engine.restore(order)
        if order.expire_at is not None:
            self._expiring.push(order.expire_at, order)

    # How

    def _end(self, times: set[TimeInForce], reason: Reason) -> None:
        ending = [order for order in self.orders.values() if order.time_in_force in times]
        for order in sorted(ending, key=lambda order: order.rank):
            self._engine.remove(order)
            self._market.close(order, Status.EXPIRED, reason)

    def _objection_to(self, order: Order, changed: Order) -> Reason | None:
        """Return why an order may not become `changed`."""
        if changed.remaining <= 0:
            return Reason.CONTRADICTION
        if order.triggered and changed.stop != order.stop:
            return Reason.TOO_LATE
        market_order = order.peg is None and order.limit is None
        if (order.stop is None) != (changed.stop is None) or (
            order.peg is None and market_order != (changed.limit is None)
        ):
            return Reason.CONTRADICTION
        longer = order.time_in_force in _STANDING
        if changed.time_in_force is not order.time_in_force and not (
            longer and changed.time_in_force in _STANDING
        ):
            return Reason.CONTRADICTION
        reason = objection(changed, self._market)
        if reason is not None or self._keeps_priority(order, changed):
            return reason
        return self._engine.objection(changed) if self.phase is Phase.CONTINUOUS else None

    def _keeps_priority(self, order: Order, changed: Order) -> bool:
        more_shown = order.display is not None and (
            changed.display is None or changed.display > order.display
        )
        dark = isinstance(self._engine, Dark)
        return (
            changed.quantity <= order.quantity
            and (changed.limit, changed.stop) == (order.limit, order.stop)
            and changed.peg_offset == order.peg_offset
            and not more_shown
            and not (dark and changed.min_quantity != order.min_quantity)
        )

    def _amend(self, order: Order, changed: Order) -> None:
        market = self._market
        shown = min(order.shown, changed.remaining, changed.display or order.shown)
        less = order.quantity - changed.quantity
        _take_terms(order, changed)
        event = Replaced(order.order_no, order.quantity, changed.remaining, kept_priority=True)
        market.events.append(event)
        if less or shown < order.shown:
            self._engine.reduce(order, less, shown)
            self._engine.settle()

    def _enter_again(self, order: Order, changed: Order) -> None:
        market, engine = self._market, self._engine
        engine.remove(order)
        _take_terms(order, changed)
        order.remaining = changed.remaining
        order.price, order.shown, order.top = None, 0, False
        order.rank = market.take_rank()
        event = Replaced(order.order_no, order.quantity, order.remaining, kept_priority=False)
        market.events.append(event)
        if self.phase is Phase.CONTINUOUS:
            engine.arrive(order)
            engine.settle()
        else:
            engine.wait(order)


def _with_terms(order: Order, terms: Terms) -> Order:
    """Return what an order would be with new terms, before it finds its place."""
    return replace(
        order,
        quantity=terms.quantity,
        remaining=max(0, terms.quantity - order.filled),
        limit=terms.limit,
        stop=terms.stop,
        peg_offset=terms.peg_offset,
        display=terms.display,
        min_quantity=terms.min_quantity,
        time_in_force=terms.time_in_force,
        expire_at=terms.expire_at,
        price=None,
    )


def _take_terms(order: Order, changed: Order) -> None:
    order.quantity = changed.quantity
    order.limit, order.stop, order.peg_offset = changed.limit, changed.stop, changed.peg_offset
    order.display, order.min_quantity = changed.display, changed.min_quantity
    order.time_in_force, order.expire_at = changed.time_in_force, changed.expire_at
