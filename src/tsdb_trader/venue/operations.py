"""What operators ask of a venue, and faults that concern its books: see venue.send_command."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from decimal import Decimal, InvalidOperation
from typing import Any, TypeAlias

from tsdb_trader.api import venue as api
from tsdb_trader.api import venue_market
from tsdb_trader.venue import days, placement, protocol
from tsdb_trader.venue.floor import Floor
from tsdb_trader.venue.journal import Entry
from tsdb_trader.venue.matching import Book
from tsdb_trader.venue.matching_events import Event
from tsdb_trader.venue.matching_values import Phase
from tsdb_trader.venue.order_desk import OrderDesk
from tsdb_trader.venue.sessions import Session
from tsdb_trader.venue.writer import Execution

_Parameters: TypeAlias = Mapping[str, Any]
_BROKER_OPTION = "4"


class RefusedError(Exception):
    """A command cannot be carried out; the text says why."""


class Operations:
    """Carries out commands."""

    def __init__(self, floor: Floor, desk: OrderDesk) -> None:
        self._floor = floor
        self._desk = desk
        self._orders: Mapping[str, Callable[[Entry, api.OrderRow, _Parameters], None]] = {
            "cancel": self._cancel,
            "suspend": self._suspend,
            "release": self._release,
            "stop": self._stop,
            "restate": self._restate,
            "done_for_day": self._done_for_day,
        }
        self._books: Mapping[str, Callable[[Book], list[Event]]] = {
            "halt": days.halt,
            "resume": days.resume,
            "auction": days.open_auction,
            "uncross": days.resume,
        }

    def obey(self, entry: Entry, command: api.Command) -> None:
        """Carry out a command, or note why not."""
        try:
            done = self._do(entry, command)
        except RefusedError as refusal:
            done = f"refused: {refusal}"
        entry.commands.append({"command_no": command.command_no, "result": done})

    def _do(self, entry: Entry, command: api.Command) -> str:
        if command.kind in self._books:
            return self._change_books(entry, command)
        if command.kind in self._orders:
            order = self._named(entry, command.parameters)
            self._orders[command.kind](entry, order, command.parameters)
            return "done"
        if command.kind == "bust":
            return self.bust(entry, str(command.parameters.get("exec_id", "")))
        return self._correct(entry, command.parameters)

    # Books

    def _change_books(self, entry: Entry, command: api.Command) -> str:
        symbol = command.parameters.get("symbol")
        wanted = None
        if symbol is not None:
            instrument = venue_market.find_instrument(self._floor.conn, str(symbol))
            if instrument is None:
                raise RefusedError(f"unknown symbol {symbol}")
            wanted = instrument.instrument_id
            for session_id in venue_market.open_sessions(self._floor.conn):
                self._floor.catch_up(entry, session_id, [instrument])
        changed = 0
        for session in list(self._floor.sessions.values()):
            for instrument_id in [i for i in session.books if wanted in (None, i)]:
                changed += self._change_book(entry, session, instrument_id, command.kind)
        return f"{changed} books"

    def _change_book(self, entry: Entry, session: Session, instrument_id: int, kind: str) -> int:
        while self._floor.advance(entry, session, [instrument_id]):
            pass
        book = session.books.get(instrument_id)
        if book is None or not session.is_open:
            return 0
        self._floor.settle(entry, session, instrument_id, self._books[kind](book))
        return 1

    # Orders

    def _named(self, entry: Entry, parameters: _Parameters) -> api.OrderRow:
        name = str(parameters.get("cl_ord_id", ""))
        rows = api.orders_named(self._floor.conn, self._floor.journal.venue, name)
        participant = parameters.get("participant")
        rows = [r for r in rows if participant in (None, r.participant)]
        if len(rows) != 1:
            raise RefusedError(f"{len(rows)} orders have ClOrdID {name!r}")
        order = self._floor.newest(entry, rows[0])
        if order.session_id and order.instrument_id and order.order_no in self._floor.orders:
            session = self._floor.session(order.session_id)
            while self._floor.advance(entry, session, [order.instrument_id]):
                pass
        if order.status in protocol.OVER or order.pending == "new":
            raise RefusedError(f"order {name} is {order.pending or order.status}")
        return order

    def _cancel(self, entry: Entry, order: api.OrderRow, _: _Parameters) -> None:
        order.pending, order.reason = None, "cancelled by the venue"
        self._desk.take_out(entry, order)

    def _set_aside(self, entry: Entry, order: api.OrderRow, status: str, exec_type: str) -> None:
        placement.withdraw(self._floor, order)
        order.status = status
        entry.orders[order.order_no] = order
        self._floor.writer.report(entry, order, exec_type, self._floor.now(order))

    def _suspend(self, entry: Entry, order: api.OrderRow, _: _Parameters) -> None:
        self._set_aside(entry, order, "suspended", "9")

    def _done_for_day(self, entry: Entry, order: api.OrderRow, _: _Parameters) -> None:
        self._set_aside(entry, order, "done_for_day", "3")

    def _stop(self, entry: Entry, order: api.OrderRow, _: _Parameters) -> None:
        """Guarantee an order its price; it goes on working."""
        order.status = "stopped"
        entry.orders[order.order_no] = order
        self._floor.writer.report(entry, order, "7", self._floor.now(order))

    def _release(self, entry: Entry, order: api.OrderRow, _: _Parameters) -> None:
        if order.status not in (*days.OUT_OF_BOOK, "stopped"):
            raise RefusedError(f"the order is {order.status}")
        self._refuse_halted(order)
        self._resume(entry, order)

    def _resume(self, entry: Entry, order: api.OrderRow) -> None:
        """Let an order work again, behind the others if it was out of its book."""
        order.status = "partially_filled" if order.cumulative_quantity else "new"
        entry.orders[order.order_no] = order
        now = self._floor.now(order)
        self._floor.writer.report(entry, order, "D", now, extra={"378": _BROKER_OPTION})
        if self._floor.book_of(order) is None:
            placement.bring_back(self._floor, entry, order)

    def _restate(self, entry: Entry, order: api.OrderRow, parameters: _Parameters) -> None:
        """Give an order other terms without being asked to."""
        quantity = _number(parameters, "quantity", order.quantity)
        if quantity <= order.cumulative_quantity:
            raise RefusedError(f"{order.cumulative_quantity} are executed already")
        price = order.limit_price
        if price is not None:
            price = _number(parameters, "limit_price", price)
        self._refuse_halted(order)
        works = placement.withdraw(self._floor, order)
        order.quantity, order.limit_price = quantity, price
        entry.orders[order.order_no] = order
        now = self._floor.now(order)
        self._floor.writer.report(entry, order, "D", now, extra={"378": _BROKER_OPTION})
        if works:
            placement.bring_back(self._floor, entry, order)

    # Executions

    def bust(self, entry: Entry, exec_id: str) -> str:
        """Take an execution back; what was executed may be executed again if the order works."""
        row, order = self._execution(entry, exec_id)
        self._book(entry, order, -row.quantity, -row.quantity * row.price)
        self._floor.writer.report(
            entry, order, "H", self._floor.now(order), reference=(row.report_no, row.exec_id)
        )
        self._rearrange(entry, order)
        return f"{row.quantity} at {row.price} taken back"

    def _correct(self, entry: Entry, parameters: _Parameters) -> str:
        row, order = self._execution(entry, str(parameters.get("exec_id", "")))
        quantity = _number(parameters, "quantity", row.quantity)
        price = _number(parameters, "price", row.price)
        if order.cumulative_quantity - row.quantity + quantity > order.quantity:
            raise RefusedError(f"the order is for {order.quantity} only")
        notional = quantity * price - row.quantity * row.price
        self._book(entry, order, quantity - row.quantity, notional)
        fee = (row.fee or Decimal(0)) * quantity / row.quantity
        self._floor.writer.report(
            entry,
            order,
            "G",
            self._floor.now(order),
            execution=Execution(quantity, price, fee),
            reference=(row.report_no, row.exec_id),
        )
        self._rearrange(entry, order)
        return f"corrected to {quantity} at {price}"

    def _execution(self, entry: Entry, exec_id: str) -> tuple[api.ExecutionRow, api.OrderRow]:
        row = api.find_execution(self._floor.conn, self._floor.journal.venue, exec_id)
        if row is None:
            raise RefusedError(f"no execution {exec_id!r}")
        if row.busted:
            raise RefusedError(f"execution {exec_id} was taken back or corrected before")
        stored = api.read_order(self._floor.conn, self._floor.journal.venue, row.order_no)
        if stored is None:
            raise RefusedError(f"execution {exec_id} has no order")
        order = self._floor.newest(entry, stored)
        if order.status not in protocol.OVER:
            # What changes is how much is in the book, which takes nothing while it is halted.
            self._refuse_halted(order)
        return row, order

    def _book(
        self, entry: Entry, order: api.OrderRow, quantity: Decimal, notional: Decimal
    ) -> None:
        """Change what is executed of an order; one that is over stays so."""
        order.cumulative_quantity += quantity
        order.notional += notional
        entry.orders[order.order_no] = order
        if order.cumulative_quantity == order.quantity:
            placement.withdraw(self._floor, order)
            self._floor.close(entry, order, "filled")
        elif order.status == "filled":
            order.status = "cancelled"
        elif order.status in ("new", "partially_filled"):
            order.status = "partially_filled" if order.cumulative_quantity else "new"

    def _rearrange(self, entry: Entry, order: api.OrderRow) -> None:
        """Bring the quantity in the book in line with what is executed."""
        if placement.withdraw(self._floor, order):
            placement.bring_back(self._floor, entry, order)

    def _refuse_halted(self, order: api.OrderRow) -> None:
        if order.session_id is None or order.instrument_id is None:
            return
        book = self._floor.session(order.session_id).books.get(order.instrument_id)
        if book is not None and book.phase in (Phase.HALTED, Phase.CLOSED):
            raise RefusedError(f"trading in {order.symbol} is {book.phase}")


def _number(parameters: _Parameters, name: str, default: Decimal) -> Decimal:
    if name not in parameters:
        return default
    try:
        value = Decimal(str(parameters[name]))
    except InvalidOperation:
        value = Decimal("nan")
    if not value.is_finite() or value <= 0:
        raise RefusedError(f"{name} {parameters[name]!r} is no positive number")
    return value
