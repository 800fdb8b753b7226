"""New orders, replacements and cancels: what participants ask of the books, and the answers.

With `pending_ms` every request is acknowledged as pending first and decided that much later; until
then the order goes on under its old terms and its old ClOrdID.
"""

from __future__ import annotations

from tsdb_trader.api import venue as api
from tsdb_trader.api import venue_market
from tsdb_trader.errors import InvariantError
from tsdb_trader.venue import placement, protocol, reports, terms
from tsdb_trader.venue.floor import Floor
from tsdb_trader.venue.journal import Entry
from tsdb_trader.venue.matching_events import Event, Refused, Replaced
from tsdb_trader.venue.protocol import RejectedError, Request
from tsdb_trader.venue.sessions import book_terms
from tsdb_trader.venue.terms import Terms

_TOO_LATE, _UNKNOWN, _PENDING, _DUPLICATE, _OTHER = 0, 1, 3, 6, 99
_CLOSED = 2
# What stays as it was entered.
_FIXED = ("side", "symbol", "order_type", "peg_reference", "post_only")


class OrderDesk:
    """Acts on requests about orders. `acknowledge` says that they are pending first."""

    def __init__(self, floor: Floor) -> None:
        self._floor = floor
        self._writer = floor.writer
        self.acknowledge = floor.settings.pending_ms is not None

    # New orders

    def enter(self, entry: Entry, request: Request) -> bool:
        """Take a new order; say whether it waits to be decided."""
        known = self._floor.find(entry, request.participant, request.cl_ord_id)
        if known is not None:
            self._enter_again(entry, request, known)
            return False
        order = self._register(entry, request)
        if not self.acknowledge:
            self._try(entry, request, order)
            return False
        order.pending = "new"
        self._floor.orders[order.order_no] = order
        self._writer.report(entry, order, "A", self._floor.now(order))
        return True

    def decide(self, entry: Entry, request: Request) -> None:
        """Decide on a request that was acknowledged."""
        order = self._floor.find(entry, request.participant, request.cl_ord_id)
        if order is None:
            raise InvariantError(f"request {request.cl_ord_id} was acknowledged for no order")
        self._catch_up(entry, order)
        order.pending = None
        entry.orders[order.order_no] = order
        entry.ask(order, request)
        if request.msg_type == protocol.NEW_ORDER:
            self._try(entry, request, order)
        elif order.status in protocol.OVER:
            self.refuse(entry, request, order, _TOO_LATE, _late(order))
        else:
            self._decide(entry, request, order)

    def refuse_entry(self, entry: Entry, request: Request, reason: int, text: str) -> None:
        """Reject a new order unseen."""
        known = self._floor.find(entry, request.participant, request.cl_ord_id)
        if known is not None:
            self._enter_again(entry, request, known)
        else:
            self._reject(entry, self._register(entry, request), reason, text)

    def _register(self, entry: Entry, request: Request) -> api.OrderRow:
        self._floor.last_order += 1
        order = terms.draft(request, self._floor.last_order, self._floor.clock.now())
        entry.orders[order.order_no] = order
        entry.add_id(order, order.cl_ord_id)
        return order

    def _enter_again(self, entry: Entry, request: Request, known: api.OrderRow) -> None:
        now = self._floor.now(known)
        if request.repeated and known.root_cl_ord_id == request.cl_ord_id:
            entry.ask(known, request)
            self._writer.report(entry, known, "I", now)
            return
        fields = reports.duplicate(request, self._writer.order_id(known), now)
        self._writer.owe(entry, request.fix_session, "8", fields)

    def _try(self, entry: Entry, request: Request, order: api.OrderRow) -> None:
        try:
            self._accept(entry, request, order)
        except RejectedError as error:
            self._floor.orders.pop(order.order_no, None)
            self._reject(entry, order, error.reason, error.text)

    def _reject(self, entry: Entry, order: api.OrderRow, reason: int, text: str) -> None:
        order.status, order.reason = "rejected", text
        entry.orders[order.order_no] = order
        now = self._floor.now(order)
        self._writer.report(entry, order, "8", now, extra={"103": str(reason)})

    def _accept(self, entry: Entry, request: Request, order: api.OrderRow) -> None:
        wanted = terms.read(request)
        session_id = protocol.trading_session(request)
        instrument = venue_market.find_instrument(self._floor.conn, wanted.symbol)
        if instrument is None:
            raise RejectedError(1, f"unknown symbol {wanted.symbol}")
        if instrument.status in ("inactive", "halted"):
            raise RejectedError(_CLOSED, f"{wanted.symbol} is {instrument.status}")
        terms.check_steps(wanted, instrument)
        session = self._floor.catch_up(entry, session_id, [instrument])
        if session is None:
            raise RejectedError(_OTHER, f"session {session_id} is unknown or closed")
        terms.apply(wanted, order)
        order.session_id, order.instrument_id = session_id, instrument.instrument_id
        order.as_of = session.as_of or order.as_of
        events = placement.submit(self._floor, order)
        self._writer.report(entry, order, "0", self._floor.now(order))
        self._floor.settle(entry, session, instrument.instrument_id, events)

    # Replacements and cancels

    def amend(self, entry: Entry, request: Request) -> bool:
        """Take a replacement or a cancel; say whether it waits to be decided."""
        order = self._current(entry, request)
        if order is None:
            return False
        asked = "replace" if request.msg_type == protocol.REPLACE else "cancel"
        entry.add_id(order, request.cl_ord_id)
        entry.ask(order, request)
        if not self.acknowledge:
            self._decide(entry, request, order)
            return False
        order.pending = asked
        entry.orders[order.order_no] = order
        code = "E" if asked == "replace" else "6"
        self._answer(entry, request, order, code)
        return True

    def refuse(
        self, entry: Entry, request: Request, order: api.OrderRow | None, reason: int, text: str
    ) -> None:
        """Send an OrderCancelReject; reason is CxlRejReason (102)."""
        order_id = "NONE" if order is None else self._writer.order_id(order)
        status = "8" if order is None else reports.status_code(order)
        ts = self._floor.clock.now() if order is None else self._floor.now(order)
        fields = reports.cancel_reject(request, order_id, status, ts, reason, text)
        self._writer.owe(entry, request.fix_session, "9", fields)

    def _current(self, entry: Entry, request: Request) -> api.OrderRow | None:
        """Return the order that a request is about, None after saying why it cannot be."""
        order = self._floor.find(entry, request.participant, request.get(41))
        if order is None:
            self.refuse(entry, request, None, _UNKNOWN, "unknown order")
            return None
        self._catch_up(entry, order)
        used = self._floor.find(entry, request.participant, request.cl_ord_id)
        if used is not None:
            names = (used.cl_ord_id, used.cancel_cl_ord_id)
            if request.repeated and request.cl_ord_id in names:
                entry.ask(used, request)
                self._writer.report(entry, used, "I", self._floor.now(used))
            else:
                self.refuse(entry, request, order, _DUPLICATE, "ClOrdID was used before")
        elif order.status in protocol.OVER:
            self.refuse(entry, request, order, _TOO_LATE, _late(order))
        elif order.pending is not None:
            self.refuse(entry, request, order, _PENDING, f"a {order.pending} is pending")
        else:
            return order
        return None

    def _catch_up(self, entry: Entry, order: api.OrderRow) -> None:
        if order.order_no in self._floor.orders and order.session_id is not None:
            session = self._floor.session(order.session_id)
            while self._floor.advance(entry, session, []):
                pass

    def _decide(self, entry: Entry, request: Request, order: api.OrderRow) -> None:
        if request.msg_type == protocol.CANCEL:
            self._cancel(entry, request, order)
            return
        try:
            self._replace(entry, request, order)
        except RejectedError as error:
            self.refuse(entry, request, order, _OTHER, error.text)

    def _cancel(self, entry: Entry, request: Request, order: api.OrderRow) -> None:
        order.cancel_cl_ord_id = request.cl_ord_id
        self.take_out(entry, order)

    def take_out(self, entry: Entry, order: api.OrderRow) -> None:
        """Cancel an order, in its book or not."""
        book = self._floor.book_of(order)
        if book is not None and order.session_id is not None and order.instrument_id is not None:
            session = self._floor.session(order.session_id)
            events = book.cancel(order.order_no)
            self._floor.settle(entry, session, order.instrument_id, events)
        else:
            self._floor.close(entry, order, "cancelled")
            self._writer.report(entry, order, "4", self._floor.now(order))

    def _replace(self, entry: Entry, request: Request, order: api.OrderRow) -> None:
        wanted = terms.read(request)
        for name in _FIXED:
            if getattr(wanted, name) != getattr(order, name):
                raise RejectedError(_OTHER, f"a replacement cannot change the {name}")
        instrument = self._floor.instrument_of(order)
        terms.check_steps(wanted, instrument)
        if wanted.quantity <= order.cumulative_quantity:
            self._fill_by_replacing(entry, request, order)
            return
        events = self._amend_book(order, wanted, instrument)
        terms.apply(wanted, order)
        self._accept_replacement(entry, request, order)
        if order.session_id is not None and order.instrument_id is not None:
            session = self._floor.session(order.session_id)
            self._floor.settle(entry, session, order.instrument_id, events)

    def _amend_book(
        self, order: api.OrderRow, wanted: Terms, instrument: venue_market.Instrument
    ) -> list[Event]:
        book = self._floor.book_of(order)
        if book is None:
            return []
        events = book.replace(order.order_no, book_terms(wanted, instrument))
        for event in events:
            if isinstance(event, Refused):
                raise RejectedError(_OTHER, str(event.reason))
        return [event for event in events if not isinstance(event, Replaced)]

    def _fill_by_replacing(self, entry: Entry, request: Request, order: api.OrderRow) -> None:
        """A quantity that is executed already leaves nothing: the order is filled."""
        placement.withdraw(self._floor, order)
        order.quantity = order.cumulative_quantity
        self._floor.close(entry, order, "filled")
        self._accept_replacement(entry, request, order)

    def _accept_replacement(self, entry: Entry, request: Request, order: api.OrderRow) -> None:
        original, order.cl_ord_id = order.cl_ord_id, request.cl_ord_id
        entry.orders[order.order_no] = order
        now = self._floor.now(order)
        self._writer.report(entry, order, "5", now, extra={"41": original})

    def _answer(self, entry: Entry, request: Request, order: api.OrderRow, exec_type: str) -> None:
        names = {"11": request.cl_ord_id, "41": order.cl_ord_id}
        self._writer.report(entry, order, exec_type, self._floor.now(order), extra={**names})


def _late(order: api.OrderRow) -> str:
    return f"too late: the order is {order.status}"
