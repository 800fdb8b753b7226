"""The course of a trading day at a venue: what begins and ends with the clock of its market."""

from __future__ import annotations

from datetime import datetime, time
from typing import TYPE_CHECKING

from tsdb_trader.api import venue as api
from tsdb_trader.api import venue_market
from tsdb_trader.venue import placement, protocol
from tsdb_trader.venue.journal import Entry
from tsdb_trader.venue.matching import Book
from tsdb_trader.venue.matching_events import Event
from tsdb_trader.venue.matching_values import Phase, Reason
from tsdb_trader.venue.sessions import Session

if TYPE_CHECKING:
    from tsdb_trader.venue.floor import Floor

OUT_OF_BOOK = ("suspended", "done_for_day")
_OUTLIVES_THE_DAY = ("gtc", "gtd")
_RENEWAL = "1"


def first_phase(settings: api.VenueSettings) -> Phase:
    """Return the phase in which a book begins its day."""
    return Phase.PRE_OPEN if settings.opening_auction else Phase.CONTINUOUS


def after_quote(settings: api.VenueSettings, book: Book) -> list[Event]:
    """Return what a quote brings about beyond trades: the opening, where nothing else opens."""
    if book.state.reference is None and book.bid is not None and book.ask is not None:
        tick = book.rules.tick
        book.set_reference((book.bid.price + book.ask.price) // 2 // tick * tick)
    timed = settings.opens_at is not None or settings.calendar is not None
    if book.phase is Phase.PRE_OPEN and not timed:
        return book.set_phase(Phase.CONTINUOUS)
    return []


def pass_time(floor: Floor, entry: Entry, session: Session, as_of: datetime) -> None:
    """Bring a session to a later time of its market."""
    before = session.trade_date
    if before is not None and protocol.trade_date(as_of) != before:
        _end_day(floor, entry, session)
        session.as_of = as_of
        _begin_day(floor, entry, session)
    session.as_of = as_of
    for instrument_id, book in list(session.books.items()):
        events = [*book.expire(as_of), *_keep_hours(floor, book, as_of)]
        if events:
            floor.settle(entry, session, instrument_id, events)
    for order in _out_of_book(floor, session):
        if order.expire_at is not None and order.expire_at <= as_of:
            _expire(floor, entry, order, Reason.EXPIRE_TIME)


def close_session(floor: Floor, entry: Entry, session: Session) -> None:
    """End every order of a session that is over."""
    for instrument_id, book in list(session.books.items()):
        if floor.settings.closing_auction:
            _hold_closing_auction(floor, entry, session, instrument_id, book)
        if book.orders:
            for order_no in sorted(book.orders):
                book.cancel(order_no)
            session.changed.add(instrument_id)
    for order in _orders(floor, session):
        _expire(floor, entry, order, "the session is closed")
    for instrument_id in session.books:
        floor.settle(entry, session, instrument_id, [])


def _keep_hours(floor: Floor, book: Book, as_of: datetime) -> list[Event]:
    """Open and close a book by the clock: the venue's own times, or those of its calendar."""
    settings, clock = floor.settings, protocol.trading_time(as_of)
    hours = floor.hours(as_of) or venue_market.Hours()
    events: list[Event] = []
    if book.phase is Phase.PRE_OPEN and _is_due(settings.opens_at, clock, hours.opens_at, as_of):
        events += book.set_phase(Phase.CONTINUOUS)
    closes = _is_due(settings.closes_at, clock, hours.closes_at, as_of)
    if book.phase is Phase.CONTINUOUS and settings.closing_auction and closes:
        events += book.set_phase(Phase.CLOSING)
        if settings.closes_at is None:
            events += book.set_phase(Phase.CLOSED)
    return events


def _is_due(own: time | None, clock: time, listed: datetime | None, as_of: datetime) -> bool:
    """Say whether the venue's own time has come or, where it has none, that of its calendar."""
    return clock >= own if own is not None else listed is not None and as_of >= listed


def _hold_closing_auction(
    floor: Floor, entry: Entry, session: Session, instrument_id: int, book: Book
) -> None:
    if book.phase in (Phase.HALTED, Phase.CLOSED) or not _closes(floor, session):
        return
    events = [*book.set_phase(Phase.CLOSING), *book.set_phase(Phase.CLOSED)]
    floor.settle(entry, session, instrument_id, events)


def _closes(floor: Floor, session: Session) -> bool:
    """Say whether a session's day has a close: one that the calendar does not list has none."""
    hours = session.as_of and floor.hours(session.as_of)
    return not hours or floor.settings.closes_at is not None or hours.closes_at is not None


def _end_day(floor: Floor, entry: Entry, session: Session) -> None:
    for instrument_id, book in list(session.books.items()):
        if floor.settings.closing_auction:
            _hold_closing_auction(floor, entry, session, instrument_id, book)
        floor.settle(entry, session, instrument_id, book.end_of_day())
    for order in _orders(floor, session):
        if order.time_in_force in _OUTLIVES_THE_DAY:
            _rest_overnight(floor, entry, order)
        else:
            _expire(floor, entry, order, Reason.END_OF_DAY)


def _rest_overnight(floor: Floor, entry: Entry, order: api.OrderRow) -> None:
    """Say that an order is done for the day; it keeps its place for the next one."""
    if order.status == "suspended":
        return
    if order.status != "done_for_day":
        before, order.status = order.status, "done_for_day"
        floor.writer.report(entry, order, "3", floor.now(order))
        order.status = before


def _begin_day(floor: Floor, entry: Entry, session: Session) -> None:
    first = first_phase(floor.settings)
    for instrument_id, book in list(session.books.items()):
        last = book.state.last
        if last is not None:
            book.set_reference(last)
        if book.phase is not Phase.HALTED:
            floor.settle(entry, session, instrument_id, book.set_phase(first))
    for order in _orders(floor, session):
        if order.status != "suspended":
            _renew(floor, entry, order)


def _renew(floor: Floor, entry: Entry, order: api.OrderRow) -> None:
    """Say that an order works on the new day, and let it if it does not yet."""
    returns = order.status == "done_for_day"
    if returns:
        order.status = "partially_filled" if order.cumulative_quantity else "new"
    entry.orders[order.order_no] = order
    floor.writer.report(entry, order, "D", floor.now(order), extra={"378": _RENEWAL})
    if returns:
        placement.bring_back(floor, entry, order)


def _orders(floor: Floor, session: Session) -> list[api.OrderRow]:
    found = [o for o in floor.orders.values() if o.session_id == session.session_id]
    return sorted(found, key=lambda o: o.order_no)


def _out_of_book(floor: Floor, session: Session) -> list[api.OrderRow]:
    return [o for o in _orders(floor, session) if o.status in OUT_OF_BOOK]


def _expire(floor: Floor, entry: Entry, order: api.OrderRow, reason: str) -> None:
    order.reason = str(reason)
    floor.close(entry, order, "expired")
    floor.writer.report(entry, order, "C", floor.now(order))


def halt(book: Book) -> list[Event]:
    """Stop trading."""
    return book.set_phase(Phase.HALTED)


def resume(book: Book) -> list[Event]:
    """Go on trading, after an auction if the book collects orders for one."""
    return book.set_phase(Phase.CONTINUOUS)


def open_auction(book: Book) -> list[Event]:
    """Collect orders for an auction."""
    return book.set_phase(Phase.AUCTION)
