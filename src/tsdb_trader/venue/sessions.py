"""The books of a trading session, and orders on their way into them."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from uuid import UUID

from tsdb_trader.api.venue import OrderRow, VenueSettings
from tsdb_trader.api.venue_market import Instrument
from tsdb_trader.venue import matching_values as values
from tsdb_trader.venue import protocol
from tsdb_trader.venue.matching import Book
from tsdb_trader.venue.matching_values import Matching, Order, PegReference, Rules, SelfTrade
from tsdb_trader.venue.terms import Terms


@dataclass(slots=True)
class Session:
    """The books of a trading session, and how much of its market they have seen.

    `watched` are the instruments that market data is made of; `quoted` has the time of each
    instrument's last quote.
    """

    session_id: UUID
    batch_no: int = 0
    as_of: datetime | None = None
    is_open: bool = True
    journaled_no: int = 0
    books: dict[int, Book] = field(default_factory=dict)
    changed: set[int] = field(default_factory=set)
    watched: set[int] = field(default_factory=set)
    quoted: dict[int, datetime] = field(default_factory=dict)

    @property
    def active(self) -> list[int]:
        """Return the instruments in which every quote matters: to orders, or to who watches."""
        return [i for i, book in self.books.items() if book.active or i in self.watched]

    @property
    def trade_date(self) -> date | None:
        """Return the trading day the session is in."""
        return self.as_of and protocol.trade_date(self.as_of)


def book_rules(settings: VenueSettings, instrument: Instrument) -> Rules:
    """Return how the books of an instrument work at a venue."""
    return Rules(
        matching=Matching(settings.matching),
        tick=max(1, int(instrument.tick_size.scaleb(instrument.price_scale))),
        lot=max(1, int(instrument.lot_size.scaleb(instrument.size_scale))),
        self_trade=SelfTrade(settings.self_trade),
        minimum_share=settings.minimum_share,
        top_order=settings.top_order,
        static_band=settings.static_band,
        dynamic_band=settings.dynamic_band,
    )


def book_order(row: OrderRow, instrument: Instrument) -> Order:
    """Return an order as its book sees it, in the integers of the instrument.

    What the journal says of its place in the book is put back.
    """
    state = row.book or {}
    return Order(
        row.order_no,
        row.side == "buy",
        _price(row.limit_price, instrument),
        _size(row.quantity, instrument),
        values.TimeInForce(row.time_in_force),
        _size(row.quantity - row.cumulative_quantity, instrument),
        row.rank,
        participant=row.participant,
        stop=_price(row.stop_price, instrument),
        peg=None if row.peg_reference is None else PegReference(row.peg_reference),
        peg_offset=_price(row.peg_offset, instrument) or 0,
        post_only=row.post_only,
        display=None if row.display_quantity is None else _size(row.display_quantity, instrument),
        min_quantity=_size(row.min_quantity or Decimal(0), instrument),
        expire_at=row.expire_at,
        shown=state.get("shown", 0),
        triggered=state.get("triggered", False),
        price=state.get("price"),
        top=state.get("top", False),
    )


def keep_place(row: OrderRow, order: Order) -> None:
    """Write down how an order stands in its book."""
    row.rank = order.rank
    row.book = {
        "shown": order.shown,
        "triggered": order.triggered,
        "price": order.price,
        "top": order.top,
    }


def book_terms(terms: Terms, instrument: Instrument) -> values.Terms:
    """Return new terms of an order as its book sees them."""
    return values.Terms(
        quantity=_size(terms.quantity, instrument),
        limit=_price(terms.limit_price, instrument),
        stop=_price(terms.stop_price, instrument),
        peg_offset=_price(terms.peg_offset, instrument) or 0,
        display=None
        if terms.display_quantity is None
        else _size(terms.display_quantity, instrument),
        min_quantity=_size(terms.min_quantity or Decimal(0), instrument),
        time_in_force=values.TimeInForce(terms.time_in_force),
        expire_at=terms.expire_at,
    )


def _price(price: Decimal | None, instrument: Instrument) -> int | None:
    return None if price is None else int(price.scaleb(instrument.price_scale))


def _size(quantity: Decimal, instrument: Instrument) -> int:
    return int(quantity.scaleb(instrument.size_scale))
