"""The venue itself: takes requests, follows the market, keeps the books, owes reports.

It knows neither sockets nor threads. Every public method is one step: it changes the books and
writes the journal in one transaction, then returns the reports that may be sent. After an
exception memory and journal may differ: the process must end, and a new one restores itself.

Between two journal writes the books change only by what the market shows, which is durable and
replayed in the same order after a restart, so that nothing is matched twice or skipped.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from functools import partial
from uuid import UUID

from tsdb_trader.api import venue as api
from tsdb_trader.clock import Clock
from tsdb_trader.errors import InvariantError
from tsdb_trader.venue import protocol, reports
from tsdb_trader.venue.journal import Entry, Journal, Report, restore_book
from tsdb_trader.venue.market_data import Trade
from tsdb_trader.venue.market_data_desk import Desk
from tsdb_trader.venue.matching import Book
from tsdb_trader.venue.matching_events import Event, Fill, Rejected
from tsdb_trader.venue.matching_values import Quote, Status
from tsdb_trader.venue.protocol import RejectedError, Request, UnsupportedError
from tsdb_trader.venue.sessions import Session, book_order
from tsdb_trader.venue.writer import Writer

_BATCHES_PER_READ = 50
_WORKING = ("new", "partially_filled")


class Exchange:
    """One venue, restored from its journal."""

    def __init__(self, journal: Journal, clock: Clock) -> None:
        self._journal = journal
        self._conn = journal.conn
        self._clock = clock
        self._last_order, last_report = api.last_numbers(self._conn, journal.venue)
        self._writer = Writer(api.read_prefix(self._conn), last_report, clock)
        self._touched: dict[UUID, Session] = {}
        self._sessions: dict[UUID, Session] = {}
        self._orders: dict[int, api.OrderRow] = {}
        self._instruments: dict[str, api.Instrument] = {}
        self._progress = {p.session_id: p for p in api.read_progress(self._conn, journal.venue)}
        self.market_data = Desk(self._conn, f"{clock.now():%y%m%d%H%M%S%f}")
        self._restore_orders()

    def working(self) -> int:
        """Return the number of orders that can still trade."""
        return len(self._orders)

    def handle(self, request: Request) -> list[Report]:
        """Act on an application message of a participant.

        Raises
        ------
        UnsupportedError
            The venue does not serve its type; the message is journaled.
        """
        entry = Entry()
        entry.add_message(request)
        match request.msg_type:
            case protocol.NEW_ORDER:
                self._enter(entry, request)
            case protocol.CANCEL:
                self._cancel(entry, request)
            case protocol.STATUS_REQUEST:
                self._status(entry, request)
            case _ if request.msg_type in protocol.MARKET_DATA_REQUESTS:
                self.market_data.handle(request, partial(self._watch, entry), self._clock.now())
            case _:
                self._commit(entry)
                raise UnsupportedError(request.msg_type)
        return self._commit(entry)

    def follow(self) -> tuple[list[Report], bool]:
        """Show resting orders what the market did; say whether more of it waits."""
        outgoing: list[Report] = []
        more = False
        for session in list(self._sessions.values()):
            if not session.active:
                continue
            entry = Entry()
            behind = self._advance(entry, session, [])
            more |= behind
            self._touched.clear()
            # Written while orders rest, trades or not: replays in lock-step wait for it.
            if entry.reports or session.batch_no > session.journaled_no:
                self._touched[session.session_id] = session
                outgoing += self._commit(entry)
            if not session.is_open and not behind:
                self._forget(session)
        if not more:
            self.market_data.look_at_statuses(self._clock.now())
            self.flush()
        return outgoing, more

    def flush(self) -> None:
        """Write which reports were sent since the last step."""
        self._journal.commit(Entry())

    def unsent(self, fix_session: str) -> list[Report]:
        """Return the reports a participant may not have got, when it logs on."""
        return self._journal.unsent(fix_session)

    # Restoring

    def _restore_orders(self) -> None:
        rows = api.working_orders(self._conn, self._journal.venue)
        for row in sorted(rows, key=lambda r: r.rank):
            if row.session_id is None or row.instrument_id is None:
                raise InvariantError(f"order {row.order_no} of the venue works in no book")
            session = self._session(row.session_id)
            book = session.books.setdefault(row.instrument_id, Book())
            self._orders[row.order_no] = row
            book.restore(book_order(row, self._instrument_of(row)))

    def _session(self, session_id: UUID) -> Session:
        """Return a session from memory, or as journaled; it may be unknown to everybody else."""
        session = self._sessions.get(session_id)
        if session is not None:
            return session
        session = self._sessions[session_id] = Session(session_id)
        progress = self._progress.get(session_id)
        if progress is not None:
            session.batch_no = session.journaled_no = progress.batch_no
            session.as_of = progress.as_of
            for row in api.read_books(self._conn, self._journal.venue, session_id):
                session.books[row.instrument_id] = restore_book(row)
        return session

    def _forget(self, session: Session) -> None:
        del self._sessions[session.session_id]

    def _instrument_of(self, order: api.OrderRow) -> api.Instrument:
        known = self._instruments.get(order.symbol)
        if known is None:
            known = api.find_instrument(self._conn, order.symbol)
            if known is None:
                raise InvariantError(f"the venue works {order.symbol}, which ref.instruments lacks")
            self._instruments[order.symbol] = known
        return known

    # The market

    def _advance(self, entry: Entry, session: Session, quiet: Sequence[int]) -> bool:
        """Show the books the next batches and, at the end of them, `quiet` the latest quote.

        Returns
        -------
        bool
            More batches wait.
        """
        self._touched[session.session_id] = session
        active = session.active
        rows = api.read_market(
            self._conn,
            session.session_id,
            session.batch_no,
            active,
            [i for i in quiet if i not in active],
            _BATCHES_PER_READ,
        )
        behind = False
        for row in rows:
            if row.instrument_id is None:
                self._arrive(entry, session, row)
                behind = bool(row.behind)
                continue
            if row.batch_no > session.batch_no and row.as_of is not None:
                self._begin_batch(entry, session, row.as_of)
            self._show(entry, session, row)
        return behind

    def _watch(self, entry: Entry, session_id: UUID, wanted: Sequence[int]) -> Session | None:
        session = self._catch_up(entry, session_id, wanted)
        if session is not None:
            session.watched.update(wanted)
        return session

    def _arrive(self, entry: Entry, session: Session, row: api.MarketRow) -> None:
        if row.as_of is not None:
            self._begin_batch(entry, session, row.as_of)
        session.batch_no = row.batch_no
        session.is_open = bool(row.is_open)
        if not session.is_open and not row.behind:
            self._expire(entry, session, "the session is closed")
            self.market_data.session_over(session.session_id, self._clock.now())

    def _begin_batch(self, entry: Entry, session: Session, as_of: datetime) -> None:
        if session.as_of is not None and as_of <= session.as_of:
            return
        ended = session.trade_date
        if ended is not None and protocol.trade_date(as_of) != ended:
            self._expire(entry, session, "end of the trading day")
        session.as_of = as_of

    def _show(self, entry: Entry, session: Session, row: api.MarketRow) -> None:
        if (
            row.instrument_id is None
            or row.bid_price is None
            or row.bid_size is None
            or row.ask_price is None
            or row.ask_size is None
            or row.ts is None
        ):
            raise InvariantError("venue.read_market returned a quote with a side missing")
        book = session.books.setdefault(row.instrument_id, Book())
        session.changed.add(row.instrument_id)
        quote = Quote(row.bid_price, row.bid_size, row.ask_price, row.ask_size)
        session.quoted[row.instrument_id] = row.ts
        trades = self._book_fills(entry, book.apply_quote(quote))
        self.market_data.changed(session, row.instrument_id, trades, row.ts)

    def _expire(self, entry: Entry, session: Session, reason: str) -> None:
        for order in list(self._orders.values()):
            if order.session_id != session.session_id or order.instrument_id is None:
                continue
            self._remove(session, order, order.instrument_id)
            order.reason = reason
            self._close(entry, order, "expired")
            self._writer.report(entry, order, "C", self._now(order), text=reason)

    # Requests

    def _enter(self, entry: Entry, request: Request) -> None:
        known = self._find(request.participant, request.cl_ord_id)
        if known is not None:
            if request.repeated and known.cl_ord_id == request.cl_ord_id:
                self._writer.report(entry, known, "I", self._now(known))
            else:
                fields = reports.duplicate(request, self._writer.order_id(known), self._now(known))
                self._writer.owe(entry, request.fix_session, "8", fields)
            return
        self._last_order += 1
        order = reports.draft(request, self._last_order, self._clock.now())
        try:
            self._accept(entry, request, order)
        except RejectedError as error:
            order.status, order.reason = "rejected", error.text
            entry.orders[order.order_no] = order
            self._writer.report(
                entry, order, "8", self._now(order), text=error.text, reason=error.reason
            )

    def _accept(self, entry: Entry, request: Request, order: api.OrderRow) -> None:
        reports.read_terms(request, order)
        session_id = protocol.trading_session(request)
        instrument = api.find_instrument(self._conn, order.symbol)
        if instrument is None:
            raise RejectedError(1, f"unknown symbol {order.symbol}")
        if instrument.status in ("inactive", "halted"):
            raise RejectedError(2, f"{order.symbol} is {instrument.status}")
        self._instruments[order.symbol] = instrument
        protocol.units(order.quantity, instrument.size_scale, instrument.lot_size, "quantity")
        if order.limit_price is not None:
            protocol.units(order.limit_price, instrument.price_scale, instrument.tick_size, "price")
        session = self._catch_up(entry, session_id, [instrument.instrument_id])
        if session is None:
            raise RejectedError(99, f"session {session_id} is unknown or closed")
        order.session_id, order.instrument_id = session_id, instrument.instrument_id
        order.as_of = session.as_of or order.as_of
        self._match(entry, session, order, instrument)

    def _catch_up(self, entry: Entry, session_id: UUID, wanted: Sequence[int]) -> Session | None:
        """Let a session see everything its market has shown; None if it is closed or unknown."""
        session = self._session(session_id)
        session.is_open = False
        while self._advance(entry, session, wanted):
            pass
        if not session.is_open:
            self._forget(session)
            return None
        session.books = {i: Book() for i in wanted} | session.books
        return session

    def _match(
        self, entry: Entry, session: Session, order: api.OrderRow, instrument: api.Instrument
    ) -> None:
        book = session.books[instrument.instrument_id]
        entered = book_order(order, instrument)
        events = book.submit(entered)
        match events:
            case [Rejected(reason=reason)]:
                raise RejectedError(99, reason)
        order.rank = entered.rank
        self._orders[order.order_no] = entry.orders[order.order_no] = order
        self._writer.report(entry, order, "0", self._now(order))
        trades = self._book_fills(entry, events)
        self.market_data.changed(session, instrument.instrument_id, trades, self._now(order))
        if entered.status is Status.CANCELLED:
            order.reason = f"nothing more to take ({order.time_in_force})"
            self._close(entry, order, "cancelled")
            self._writer.report(entry, order, "4", self._now(order), text=order.reason)
        session.changed.add(instrument.instrument_id)

    def _cancel(self, entry: Entry, request: Request) -> None:
        order = self._find(request.participant, request.get(41))
        if order is None:
            self._refuse_cancel(entry, request, None, 1, "unknown order")
            return
        if order.status in _WORKING and order.session_id and order.instrument_id:
            session = self._session(order.session_id)
            while self._advance(entry, session, []):
                pass
        used = self._find(request.participant, request.cl_ord_id)
        if used is not None and request.repeated and used.cancel_cl_ord_id == request.cl_ord_id:
            self._writer.report(entry, used, "I", self._now(used))
        elif used is not None:
            self._refuse_cancel(entry, request, order, 6, "ClOrdID was used before")
        elif order.status not in _WORKING:
            self._refuse_cancel(entry, request, order, 0, f"too late: the order is {order.status}")
        else:
            self._take_out(entry, request, order)

    def _take_out(self, entry: Entry, request: Request, order: api.OrderRow) -> None:
        if order.session_id is None or order.instrument_id is None:
            raise InvariantError(f"order {order.order_no} of the venue works in no book")
        session = self._session(order.session_id)
        self._remove(session, order, order.instrument_id)
        order.cancel_cl_ord_id = request.cl_ord_id
        self._close(entry, order, "cancelled")
        self._writer.report(entry, order, "4", self._now(order))

    def _remove(self, session: Session, order: api.OrderRow, instrument_id: int) -> None:
        session.books[instrument_id].cancel(order.order_no)
        session.changed.add(instrument_id)
        self.market_data.changed(session, instrument_id, [], self._now(order))

    def _refuse_cancel(
        self, entry: Entry, request: Request, order: api.OrderRow | None, reason: int, text: str
    ) -> None:
        order_id = "NONE" if order is None else self._writer.order_id(order)
        status = "rejected" if order is None else order.status
        ts = self._clock.now() if order is None else self._now(order)
        fields = reports.cancel_reject(request, order_id, status, ts, reason, text)
        self._writer.owe(entry, request.fix_session, "9", fields)

    def _status(self, entry: Entry, request: Request) -> None:
        order = self._find(request.participant, request.cl_ord_id)
        if order is None:
            fields = reports.unknown_order(request, self._clock.now())
            self._writer.owe(entry, request.fix_session, "8", fields)
        else:
            question = request.get(790) or None
            self._writer.report(entry, order, "I", self._now(order), question=question)

    # Orders and reports

    def _find(self, participant: str, cl_ord_id: str) -> api.OrderRow | None:
        row = api.find_order(self._conn, self._journal.venue, participant, cl_ord_id)
        # What works is newer in memory: this step may have changed it already.
        return row and self._orders.get(row.order_no, row)

    def _book_fills(self, entry: Entry, events: list[Event]) -> list[Trade]:
        """Report the fills of a step, to both sides of each, and return the trades they are."""
        trades: list[Trade] = []
        for event in events:
            if not isinstance(event, Fill):
                continue
            number, ts = self._writer.last_number + 1, self._now(self._orders[event.order_no])
            # The resting order first: it is the older one.
            for order_no in (event.counter_no, event.order_no):
                if order_no is not None:
                    self._book_fill(entry, self._orders[order_no], event, ts)
            trades.append(Trade(number, event.price, event.quantity, ts))
        return trades

    def _book_fill(self, entry: Entry, order: api.OrderRow, fill: Fill, ts: datetime) -> None:
        instrument = self._instrument_of(order)
        quantity = Decimal(fill.quantity).scaleb(-instrument.size_scale)
        price = fill.exact.scaleb(-instrument.price_scale)
        order.cumulative_quantity += quantity
        order.notional += quantity * price
        order.status = "partially_filled"
        entry.orders[order.order_no] = order
        if order.cumulative_quantity == order.quantity:
            self._close(entry, order, "filled")
        self._writer.report(entry, order, "F", ts, last=(quantity, price))

    def _close(self, entry: Entry, order: api.OrderRow, status: str) -> None:
        order.status = status
        entry.orders[order.order_no] = order
        self._orders.pop(order.order_no, None)

    def _commit(self, entry: Entry) -> list[Report]:
        """Write the step, with the books it changed and the batch they have seen."""
        for session in self._touched.values():
            if session.as_of is None:
                continue
            entry.add_progress(session.session_id, session.batch_no, session.as_of)
            for instrument_id in sorted(session.changed):
                entry.add_book(session.session_id, instrument_id, session.books[instrument_id])
            self._progress[session.session_id] = api.ProgressRow(
                session.session_id, session.batch_no, session.as_of
            )
            session.journaled_no = session.batch_no
            session.changed.clear()
        self._touched.clear()
        return self._journal.commit(entry)

    def _now(self, order: api.OrderRow) -> datetime:
        """Return the time of the order's market."""
        session = self._sessions.get(order.session_id) if order.session_id else None
        return (session.as_of if session else None) or order.as_of
