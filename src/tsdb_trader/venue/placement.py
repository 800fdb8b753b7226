"""Orders on their way into a book and out of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tsdb_trader.api import venue as api
from tsdb_trader.errors import InvariantError
from tsdb_trader.venue.journal import Entry
from tsdb_trader.venue.matching_events import Event, Rejected
from tsdb_trader.venue.matching_values import Reason
from tsdb_trader.venue.protocol import RejectedError
from tsdb_trader.venue.sessions import book_order

if TYPE_CHECKING:
    from tsdb_trader.venue.floor import Floor

_OTHER = 99
# OrdRejReason (103) of what a book says no to.
_REASONS = {
    Reason.HALTED: 2,
    Reason.CLOSED: 2,
    Reason.TOO_LATE: 4,
    Reason.UNSUPPORTED: 11,
    Reason.NO_AUCTION: 11,
}


def submit(floor: Floor, order: api.OrderRow) -> list[Event]:
    """Bring an order into its book.

    Raises
    ------
    RejectedError
        The book does not take it; nothing happened.
    """
    if order.session_id is None:
        raise InvariantError(f"order {order.order_no} of the venue has no session")
    instrument = floor.instrument_of(order)
    entered = book_order(order, instrument)
    events = floor.book(floor.session(order.session_id), instrument).submit(entered)
    for event in events:
        if isinstance(event, Rejected):
            raise RejectedError(_REASONS.get(event.reason, _OTHER), str(event.reason))
    order.rank = entered.rank
    floor.orders[order.order_no] = order
    return events


def withdraw(floor: Floor, order: api.OrderRow) -> bool:
    """Take an order out of its book without a word; say whether it was in one."""
    book = floor.book_of(order)
    if book is None or order.session_id is None or order.instrument_id is None:
        return False
    book.cancel(order.order_no)
    order.book = None
    session = floor.session(order.session_id)
    session.changed.add(order.instrument_id)
    floor.market_data.changed(session, order.instrument_id, [], floor.now(order))
    return True


def bring_back(floor: Floor, entry: Entry, order: api.OrderRow) -> None:
    """Bring an order that was taken out back behind all others; cancel it if that cannot be."""
    if order.session_id is None or order.instrument_id is None:
        raise InvariantError(f"order {order.order_no} of the venue works in no book")
    session = floor.session(order.session_id)
    entry.orders[order.order_no] = order
    try:
        events = submit(floor, order)
    except RejectedError as error:
        order.reason = error.text
        floor.close(entry, order, "cancelled")
        floor.writer.report(entry, order, "4", floor.now(order))
        events = []
    floor.settle(entry, session, order.instrument_id, events)
