"""The course of a trading day at a venue: what begins and ends with the clock of its market."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from tsdb_trader.api import venue as api
from tsdb_trader.venue import protocol
from tsdb_trader.venue.journal import Entry
from tsdb_trader.venue.matching import Book
from tsdb_trader.venue.matching_events import Event
from tsdb_trader.venue.matching_values import Phase, Reason
from tsdb_trader.venue.sessions import Session

if TYPE_CHECKING:
    from tsdb_trader.venue.floor import Floor

OUT_OF_BOOK = ("suspended", "done_for_day")
_RENEWAL = "1"
_OUTLIVES_THE_DAY = ("gtc", "gtd")


def first_phase(settings: api.VenueSettings) -> Phase:
    """Return the phase in which a book begins."""
    return Phase.PRE_OPEN if settings.opening_auction else Phase.CONTINUOUS


def after_quote(settings: api.VenueSettings, book: Book) -> list[Event]:
    """Return what a quote brings about beyond trades."""
    return []


def pass_time(floor: Floor, entry: Entry, session: Session, as_of: datetime) -> None:
    """Bring a session to a later time of its market."""
    ended = session.trade_date
    if ended is not None and protocol.trade_date(as_of) != ended:
        _end_day(floor, entry, session)
    session.as_of = as_of
    for order in _orders(floor, session):
        if order.expire_at is not None and order.expire_at <= as_of:
            _expire(floor, entry, session, order, Reason.EXPIRE_TIME)


def close_session(floor: Floor, entry: Entry, session: Session) -> None:
    """End every order of a session that is over."""
    for order in _orders(floor, session):
        _expire(floor, entry, session, order, "the session is closed")


def _orders(floor: Floor, session: Session) -> list[api.OrderRow]:
    return [o for o in floor.orders.values() if o.session_id == session.session_id]


def _end_day(floor: Floor, entry: Entry, session: Session) -> None:
    for order in _orders(floor, session):
        if order.time_in_force not in _OUTLIVES_THE_DAY:
            _expire(floor, entry, session, order, Reason.END_OF_DAY)


def _expire(floor: Floor, entry: Entry, session: Session, order: api.OrderRow, reason: str) -> None:
    book = floor.book_of(order)
    if book is not None and order.instrument_id is not None:
        book.cancel(order.order_no)
        session.changed.add(order.instrument_id)
        floor.market_data.changed(session, order.instrument_id, [], floor.now(order))
    order.reason = str(reason)
    floor.close(entry, order, "expired")
    floor.writer.report(entry, order, "C", floor.now(order))


def halt(book: Book) -> list[Event]:
    """Stop trading."""
    return []


def resume(book: Book) -> list[Event]:
    """Go on trading, after an auction if the book was in one."""
    return []


def open_auction(book: Book) -> list[Event]:
    """Collect orders for an auction."""
    return []
