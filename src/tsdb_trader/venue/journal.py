"""The durable memory of a venue: what it takes and what it owes is written before it is sent."""

from __future__ import annotations

from collections import deque
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from tsdb_trader.api import venue as api
from tsdb_trader.db import Connection
from tsdb_trader.venue.matching import Book
from tsdb_trader.venue.matching_values import BookState, Display
from tsdb_trader.venue.protocol import Request


@dataclass(frozen=True, slots=True)
class Report:
    """A message that the venue owes a participant; `fields` is its body by tag."""

    report_no: int
    fix_session: str
    msg_type: str
    fields: dict[str, str]
    possible_resend: bool = False


@dataclass(slots=True)
class Entry:
    """What one step did; rows as `venue.write_journal` takes them."""

    messages: list[dict[str, Any]] = field(default_factory=list)
    orders: dict[int, api.OrderRow] = field(default_factory=dict)
    reports: list[dict[str, Any]] = field(default_factory=list)
    progress: list[dict[str, Any]] = field(default_factory=list)
    books: list[dict[str, Any]] = field(default_factory=list)
    outgoing: list[Report] = field(default_factory=list)

    def add_message(self, request: Request) -> None:
        """Note the message that caused this step."""
        self.messages.append(
            {
                "fix_session": request.fix_session,
                "seqnum": request.seqnum,
                "msg_type": request.msg_type,
                "participant": request.participant,
                "cl_ord_id": request.cl_ord_id or None,
                "raw": request.raw,
            }
        )

    def add_report(self, report: Report, **columns: object) -> None:
        """Owe a report; `columns` are the ones of ``venue._reports`` for people to query."""
        self.outgoing.append(report)
        self.reports.append(
            {
                "report_no": report.report_no,
                "fix_session": report.fix_session,
                "msg_type": report.msg_type,
                "fields": report.fields,
                **{name: _text(value) for name, value in columns.items()},
            }
        )

    def add_progress(self, session_id: UUID, batch_no: int, as_of: datetime) -> None:
        """Note how far the books of a session have seen the market."""
        self.progress.append(
            {"session_id": str(session_id), "batch_no": batch_no, "as_of": as_of.isoformat()}
        )

    def add_book(self, session_id: UUID, instrument_id: int, book: Book) -> None:
        """Note the quote of a book, and what is left of it."""
        self.books.append(
            {
                "session_id": str(session_id),
                "instrument_id": instrument_id,
                "next_rank": book.next_rank,
                **_display("bid", book.bid),
                **_display("ask", book.ask),
            }
        )

    def rows(self) -> dict[str, Any]:
        """Return the keys that have rows."""
        orders = [
            {name: _text(value) for name, value in asdict(order).items()}
            for order in self.orders.values()
        ]
        found = {
            "messages": self.messages,
            "orders": orders,
            "reports": self.reports,
            "progress": self.progress,
            "books": self.books,
        }
        return {key: rows for key, rows in found.items() if rows}


class Journal:
    """A venue's own tables. For one thread at a time, except `mark_sent`."""

    def __init__(self, conn: Connection, venue: str) -> None:
        """Use an autocommit connection on which the venue is locked."""
        self.conn = conn
        self.venue = venue
        self._sent: deque[int] = deque()

    def commit(self, entry: Entry) -> list[Report]:
        """Write an entry and return its reports, which may be sent from now on."""
        rows = entry.rows()
        sent = self._take_sent()
        if sent:
            rows["sent"] = sent
        if rows:
            api.write_journal(self.conn, self.venue, rows)
        return entry.outgoing

    def mark_sent(self, report_no: int) -> None:
        """Note that the engine has a report; written with the next entry. Any thread may call."""
        self._sent.append(report_no)

    def unsent(self, fix_session: str) -> list[Report]:
        """Return the reports of a FIX session that the engine may not have."""
        self.commit(Entry())
        return [
            Report(row.report_no, row.fix_session, row.msg_type, row.fields, possible_resend=True)
            for row in api.unsent_reports(self.conn, self.venue, fix_session)
        ]

    def _take_sent(self) -> list[int]:
        taken = []
        while self._sent:
            taken.append(self._sent.popleft())
        return taken


def restore_book(row: api.BookRow) -> Book:
    """Return the book of a journaled row, without its orders."""
    state = BookState(
        _side(row.bid_price, row.bid_size, row.bid_left, row.bid_rank),
        _side(row.ask_price, row.ask_size, row.ask_left, row.ask_rank),
        row.next_rank,
    )
    return Book(state=state)


def _side(
    price: int | None, size: int | None, left: int | None, rank: int | None
) -> Display | None:
    if price is None or size is None or left is None or rank is None:
        return None
    return Display(price, size, left, rank)


def _display(side: str, shown: Display | None) -> dict[str, int | None]:
    if shown is None:
        return {}
    return {
        f"{side}_price": shown.price,
        f"{side}_size": shown.size,
        f"{side}_left": shown.left,
        f"{side}_rank": shown.rank,
    }


def _text(value: object) -> object:
    """Return what JSON carries without loss: numbers of the database travel as text."""
    if value is None or isinstance(value, int | str | bool):
        return value
    return value.isoformat() if isinstance(value, datetime) else str(value)
