"""The books of a trading session, and orders on their way into them."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date, datetime
from uuid import UUID

from tsdb_trader.api.venue import Instrument, OrderRow
from tsdb_trader.venue import protocol
from tsdb_trader.venue.matching import Book
from tsdb_trader.venue.matching_values import Order, TimeInForce


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


def book_order(row: OrderRow, instrument: Instrument) -> Order:
    """Return an order as its book sees it: in the integers of the instrument."""
    scale, left = instrument.size_scale, row.quantity - row.cumulative_quantity
    limit = None
    if row.limit_price is not None:
        limit = int(row.limit_price.scaleb(instrument.price_scale))
    return Order(
        row.order_no,
        row.side == "buy",
        limit,
        int(row.quantity.scaleb(scale)),
        TimeInForce(row.time_in_force),
        int(left.scaleb(scale)),
        row.rank,
        participant=row.participant,
        price=limit,
        shown=0 if limit is None else int(left.scaleb(scale)),
    )
