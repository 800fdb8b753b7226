"""The trading floor of a venue: its books, the orders in them, and what the market does to both.

Every public method is part of a step. A step changes the books, notes what it did in an `Entry`,
and ends with `commit`, which writes that in one transaction; the reports may be sent then. After
an exception memory and journal may differ: the process must end, and a new one restores itself.

Between two journal writes the books change only by what the market shows, which is durable and
replayed in the same order after a restart, so that nothing is matched twice or skipped.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import date, datetime
from decimal import Decimal
from uuid import UUID

from tsdb_trader.api import venue as api
from tsdb_trader.api import venue_market
from tsdb_trader.clock import Clock
from tsdb_trader.errors import InvariantError
from tsdb_trader.venue import days, protocol
from tsdb_trader.venue.journal import Entry, Journal, Report, restore_state
from tsdb_trader.venue.market_data import Trade
from tsdb_trader.venue.market_data_desk import Desk
from tsdb_trader.venue.matching import Book
from tsdb_trader.venue.matching_events import (
    Cancelled,
    Event,
    Expired,
    Fill,
    PhaseChanged,
    Reduced,
    Refreshed,
    Repriced,
    Rested,
    Triggered,
)
from tsdb_trader.venue.matching_values import BookState, Quote, Reason
from tsdb_trader.venue.sessions import Session, book_order, book_rules, keep_place
from tsdb_trader.venue.writer import Execution, Writer

_BATCHES_PER_READ = 50
_PARTIAL_DECLINE = "5"


class Floor:
    """The books of one venue, restored from its journal."""

    def __init__(self, journal: Journal, clock: Clock, settings: api.VenueSettings) -> None:
        self.journal = journal
        self.conn = journal.conn
        self.clock = clock
        self.settings = settings
        self.last_order, last_report = api.last_numbers(self.conn, journal.venue)
        self.writer = Writer(api.read_prefix(self.conn), last_report, clock)
        self.orders: dict[int, api.OrderRow] = {}
        self.sessions: dict[UUID, Session] = {}
        self._touched: dict[UUID, Session] = {}
        self._instruments: dict[str, venue_market.Instrument] = {}
        self._hours: dict[date, venue_market.Hours] = {}
        self._progress = {p.session_id: p for p in api.read_progress(self.conn, journal.venue)}
        self.market_data = Desk(self.conn, clock)
        self._restore_orders()

    # Restoring

    def _restore_orders(self) -> None:
        rows = api.working_orders(self.conn, self.journal.venue)
        for row in sorted(rows, key=lambda r: r.rank):
            self.orders[row.order_no] = row
            if row.session_id is None or row.instrument_id is None:
                if row.pending != "new":
                    raise InvariantError(f"order {row.order_no} of the venue works in no book")
                continue
            session = self.session(row.session_id)
            if row.status not in days.OUT_OF_BOOK:
                instrument = self.instrument_of(row)
                self.book(session, instrument).restore(book_order(row, instrument))

    def session(self, session_id: UUID) -> Session:
        """Return a session from memory, or as journaled; it may be unknown to everybody else."""
        session = self.sessions.get(session_id)
        if session is not None:
            return session
        session = self.sessions[session_id] = Session(session_id)
        progress = self._progress.get(session_id)
        if progress is not None:
            session.batch_no = session.journaled_no = progress.batch_no
            session.as_of = progress.as_of
            rows = api.read_books(self.conn, self.journal.venue, session_id)
            known = {i.instrument_id: i for i in self._list([r.instrument_id for r in rows])}
            for row in rows:
                rules = book_rules(self.settings, known[row.instrument_id])
                session.books[row.instrument_id] = Book(rules, restore_state(row))
        return session

    def _list(self, ids: Sequence[int]) -> list[venue_market.Instrument]:
        return venue_market.list_instruments(self.conn, ids) if ids else []

    def book(self, session: Session, instrument: venue_market.Instrument) -> Book:
        """Return the book of an instrument, a new one if there is none yet."""
        self._instruments[instrument.symbol] = instrument
        book = session.books.get(instrument.instrument_id)
        if book is None:
            state = BookState(phase=days.first_phase(self.settings))
            book = Book(book_rules(self.settings, instrument), state)
            session.books[instrument.instrument_id] = book
        return book

    def book_of(self, order: api.OrderRow) -> Book | None:
        """Return the book in which an order is, None if it is in none."""
        if order.session_id is None or order.instrument_id is None:
            return None
        book = self.session(order.session_id).books.get(order.instrument_id)
        return book if book is not None and order.order_no in book.orders else None

    def instrument_of(self, order: api.OrderRow) -> venue_market.Instrument:
        """Return the instrument of an order that was accepted."""
        known = self._instruments.get(order.symbol)
        if known is None:
            known = venue_market.find_instrument(self.conn, order.symbol)
            if known is None:
                raise InvariantError(f"the venue works {order.symbol}, which ref.instruments lacks")
            self._instruments[order.symbol] = known
        return known

    # The market

    def busy(self) -> list[Session]:
        """Return the sessions whose market matters: to orders, or to who watches."""
        with_orders = {order.session_id for order in self.orders.values()}
        return [s for i, s in self.sessions.items() if i in with_orders or s.active]

    def follow(self, session: Session) -> tuple[Entry | None, bool]:
        """Show a session the next of its market.

        Returns
        -------
        tuple
            The entry, None if there is nothing to write, and whether more of the market waits.
        """
        entry = Entry()
        behind = self.advance(entry, session, [])
        self._touched.clear()
        # Written while orders rest, trades or not: replays in lock-step wait for it.
        news = bool(entry.reports) or session.batch_no > session.journaled_no
        if news:
            self._touched[session.session_id] = session
        if not session.is_open and not behind:
            self.forget(session)
        return entry if news else None, behind

    def forget(self, session: Session) -> None:
        """Drop a session that is over."""
        self.sessions.pop(session.session_id, None)

    def catch_up(
        self, entry: Entry, session_id: UUID, wanted: Iterable[venue_market.Instrument]
    ) -> Session | None:
        """Let a session see everything its market has shown; None if it is closed or unknown."""
        session = self.session(session_id)
        session.is_open = False
        new = [i for i in wanted if i.instrument_id not in session.books]
        ids = [i.instrument_id for i in wanted]
        for instrument in new:
            self.book(session, instrument)
        while self.advance(entry, session, ids):
            pass
        if not session.is_open:
            self.forget(session)
            return None
        return session

    def advance(self, entry: Entry, session: Session, quiet: Sequence[int]) -> bool:
        """Show the books the next batches and, at the end of them, `quiet` the latest quote.

        Returns
        -------
        bool
            More batches wait.
        """
        self._touched[session.session_id] = session
        active = session.active
        rows = venue_market.read_market(
            self.conn,
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

    def _arrive(self, entry: Entry, session: Session, row: venue_market.MarketRow) -> None:
        if row.as_of is not None:
            self._begin_batch(entry, session, row.as_of)
        session.batch_no = row.batch_no
        session.is_open = bool(row.is_open)
        if not session.is_open and not row.behind:
            days.close_session(self, entry, session)
            self.market_data.session_over(session.session_id, self.clock.now())

    def _begin_batch(self, entry: Entry, session: Session, as_of: datetime) -> None:
        if session.as_of is not None and as_of <= session.as_of:
            return
        days.pass_time(self, entry, session, as_of)

    def _show(self, entry: Entry, session: Session, row: venue_market.MarketRow) -> None:
        if (
            row.instrument_id is None
            or row.bid_price is None
            or row.bid_size is None
            or row.ask_price is None
            or row.ask_size is None
            or row.ts is None
        ):
            raise InvariantError("venue.read_market returned a quote with a side missing")
        book = session.books[row.instrument_id]
        session.changed.add(row.instrument_id)
        quote = Quote(row.bid_price, row.bid_size, row.ask_price, row.ask_size)
        session.quoted[row.instrument_id] = row.ts
        events = book.apply_quote(quote)
        events += days.after_quote(self.settings, book)
        self.settle(entry, session, row.instrument_id, events, row.ts)

    def hours(self, as_of: datetime) -> venue_market.Hours | None:
        """Return the session of the day by the calendar that the venue follows, if it does."""
        if self.settings.calendar is None:
            return None
        day = protocol.trade_date(as_of)
        if day not in self._hours:
            self._hours[day] = venue_market.read_hours(self.conn, self.settings.calendar, day)
        return self._hours[day]

    # What happens in a book

    def settle(
        self,
        entry: Entry,
        session: Session,
        instrument_id: int,
        events: Iterable[Event],
        ts: datetime | None = None,
    ) -> None:
        """Note and report what happened in a book, and show it to who watches."""
        ts = ts or session.as_of or self.clock.now()
        now = session.as_of or ts
        trades: list[Trade] = []
        for event in events:
            match event:
                case Fill():
                    trades.append(self._trade(entry, event, now))
                case Cancelled(order_no, _, reason):
                    self._drop(entry, self.orders[order_no], "cancelled", "4", reason, now)
                case Expired(order_no, _, reason):
                    self._drop(entry, self.orders[order_no], "expired", "C", reason, now)
                case Reduced(order_no, quantity, reason):
                    self._reduce(entry, self.orders[order_no], quantity, reason, now)
                case Rested() | Refreshed() | Triggered() | Repriced():
                    entry.orders[event.order_no] = self.orders[event.order_no]
                case PhaseChanged(phase):
                    self.market_data.phase_changed(instrument_id, phase, now)
        session.changed.add(instrument_id)
        self.market_data.changed(session, instrument_id, trades, ts)

    def _trade(self, entry: Entry, fill: Fill, ts: datetime) -> Trade:
        number = self.writer.last_number + 1
        # The resting order first: it is the older one.
        if fill.counter_no is not None:
            self._fill(entry, self.orders[fill.counter_no], fill, False, ts)
        self._fill(entry, self.orders[fill.order_no], fill, fill.took, ts)
        return Trade(number, fill.exact, fill.quantity, ts)

    def _fill(
        self, entry: Entry, order: api.OrderRow, fill: Fill, took: bool, ts: datetime
    ) -> None:
        instrument = self.instrument_of(order)
        quantity = Decimal(fill.quantity).scaleb(-instrument.size_scale)
        price = fill.exact.scaleb(-instrument.price_scale)
        rate = self.settings.taker_fee if took else self.settings.maker_fee
        order.cumulative_quantity += quantity
        order.notional += quantity * price
        order.status = "partially_filled"
        entry.orders[order.order_no] = order
        if order.cumulative_quantity == order.quantity:
            self.close(entry, order, "filled")
        self.writer.report(
            entry, order, "F", ts, execution=Execution(quantity, price, rate * quantity)
        )

    def _drop(
        self,
        entry: Entry,
        order: api.OrderRow,
        status: str,
        exec_type: str,
        reason: Reason,
        ts: datetime,
    ) -> None:
        if reason is not Reason.REQUESTED:
            order.reason = str(reason)
        self.close(entry, order, status)
        self.writer.report(entry, order, exec_type, ts)

    def _reduce(
        self, entry: Entry, order: api.OrderRow, quantity: int, reason: Reason, ts: datetime
    ) -> None:
        order.quantity -= Decimal(quantity).scaleb(-self.instrument_of(order).size_scale)
        entry.orders[order.order_no] = order
        extra = {"378": _PARTIAL_DECLINE, "58": str(reason)}
        self.writer.report(entry, order, "D", ts, extra={**extra})

    # Orders

    def find(self, entry: Entry, participant: str, cl_ord_id: str) -> api.OrderRow | None:
        """Return the participant's order that ever had a ClOrdID."""
        row = api.find_order(self.conn, self.journal.venue, participant, cl_ord_id)
        return row and self.newest(entry, row)

    def newest(self, entry: Entry, row: api.OrderRow) -> api.OrderRow:
        """Return an order as it is now: this step, or memory, may have changed it already."""
        return entry.orders.get(row.order_no) or self.orders.get(row.order_no, row)

    def close(self, entry: Entry, order: api.OrderRow, status: str) -> None:
        """Note that an order is over."""
        order.status, order.book = status, None
        entry.orders[order.order_no] = order
        self.orders.pop(order.order_no, None)

    def now(self, order: api.OrderRow) -> datetime:
        """Return the time of the order's market."""
        session = self.sessions.get(order.session_id) if order.session_id else None
        return (session.as_of if session else None) or order.as_of

    def commit(self, entry: Entry) -> list[Report]:
        """Write the step, with the books it changed and the batch they have seen."""
        for row in entry.orders.values():
            place = self.book_of(row) if row.order_no in self.orders else None
            if place is not None:
                keep_place(row, place.orders[row.order_no])
        for session in self._touched.values():
            if session.as_of is None:
                continue
            entry.add_progress(session.session_id, session.batch_no, session.as_of)
            for instrument_id in sorted(session.changed):
                book = session.books[instrument_id]
                entry.add_book(session.session_id, instrument_id, book.state)
            self._progress[session.session_id] = api.ProgressRow(
                session.session_id, session.batch_no, session.as_of
            )
            session.journaled_no = session.batch_no
            session.changed.clear()
        self._touched.clear()
        return self.journal.commit(entry)
