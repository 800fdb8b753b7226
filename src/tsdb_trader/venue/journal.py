"""The durable memory of a venue: what it takes and what it owes is written before it is sent."""

from __future__ import annotations

from collections import deque
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from tsdb_trader.api import venue as api
from tsdb_trader.db import Connection
from tsdb_trader.venue.matching_values import BookState, Display, Phase
from tsdb_trader.venue.protocol import Request
from tsdb_trader.venue.versions import Fields


@dataclass(frozen=True, slots=True)
class Report:
    """A message that the venue owes a participant.

    `exec_type` is that of FIX 4.4, whatever the participant speaks, '' for other messages.
    """

    report_no: int
    fix_session: str
    msg_type: str
    fields: Fields
    exec_type: str = ""
    possible_resend: bool = False

    @property
    def participant(self) -> str:
        """Return the CompID of who gets it."""
        return self.fix_session.rpartition(">")[2]


@dataclass(slots=True)
class Entry:
    """What one step did; rows as `venue.write_journal` takes them."""

    messages: list[dict[str, Any]] = field(default_factory=list)
    orders: dict[int, api.OrderRow] = field(default_factory=dict)
    reports: list[dict[str, Any]] = field(default_factory=list)
    progress: list[dict[str, Any]] = field(default_factory=list)
    books: list[dict[str, Any]] = field(default_factory=list)
    cl_ord_ids: list[dict[str, Any]] = field(default_factory=list)
    handled: list[int] = field(default_factory=list)
    commands: list[dict[str, Any]] = field(default_factory=list)
    faults: list[int] = field(default_factory=list)
    outgoing: list[Report] = field(default_factory=list)
    askers: dict[int, str] = field(default_factory=dict)

    def ask(self, order: api.OrderRow, request: Request) -> None:
        """Note that the step answers a request about an order: who asked gets the answer."""
        self.askers[order.order_no] = request.fix_session

    def add_id(self, order: api.OrderRow, cl_ord_id: str) -> None:
        """Let an order be found by a ClOrdID."""
        self.cl_ord_ids.append(
            {
                "participant": order.participant,
                "cl_ord_id": cl_ord_id,
                "order_no": order.order_no,
            }
        )

    def add_message(
        self, request: Request, due_at: datetime | None = None, *, acknowledged: bool = False
    ) -> None:
        """Note the message that caused this step; with `due_at` it is decided then."""
        self.messages.append(
            {
                "fix_session": request.fix_session,
                "seqnum": request.seqnum,
                "msg_type": request.msg_type,
                "participant": request.participant,
                "cl_ord_id": request.cl_ord_id or None,
                "raw": request.raw,
                "due_at": _text(due_at),
                "acknowledged": acknowledged,
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

    def add_book(self, session_id: UUID, instrument_id: int, state: BookState) -> None:
        """Note the quote of a book, what is left of it, and the book's phase."""
        self.books.append(
            {
                "session_id": str(session_id),
                "instrument_id": instrument_id,
                "next_rank": state.next_rank,
                **_display("bid", state.bid),
                **_display("ask", state.ask),
                "state": {
                    "phase": state.phase,
                    "last": state.last,
                    "reference": state.reference,
                },
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
            "cl_ord_ids": self.cl_ord_ids,
            "handled": self.handled,
            "commands": self.commands,
            "faults": self.faults,
        }
        return {key: rows for key, rows in found.items() if rows}


class Journal:
    """A venue's own tables. For one thread at a time, except `mark_sent`."""

    def __init__(self, conn: Connection, venue: str) -> None:
        """Use an autocommit connection on which the venue is locked."""
        self.conn = conn
        self.venue = venue
        self._sent: deque[int] = deque()
        self._fired: deque[int] = deque()

    def commit(self, entry: Entry) -> list[Report]:
        """Write an entry and return its reports, which may be sent from now on."""
        entry.faults += _take(self._fired)
        rows = entry.rows()
        sent = _take(self._sent)
        if sent:
            rows["sent"] = sent
        if rows:
            api.write_journal(self.conn, self.venue, rows)
        return entry.outgoing

    def mark_sent(self, report_no: int) -> None:
        """Note that the engine has a report; written with the next entry. Any thread may call."""
        self._sent.append(report_no)

    def mark_fired(self, fault_no: int) -> None:
        """Note that a fault happened; written with the next entry. Any thread may call."""
        self._fired.append(fault_no)

    def unsent(self, fix_session: str) -> list[Report]:
        """Return the reports of a FIX session that the engine may not have."""
        self.commit(Entry())
        return [
            Report(
                row.report_no,
                row.fix_session,
                row.msg_type,
                row.fields,
                row.exec_type or "",
                possible_resend=True,
            )
            for row in api.unsent_reports(self.conn, self.venue, fix_session)
        ]


def _take(waiting: deque[int]) -> list[int]:
    taken = []
    while waiting:
        taken.append(waiting.popleft())
    return taken


def restore_state(row: api.BookRow) -> BookState:
    """Return what a journaled row says of a book."""
    state = row.state or {}
    return BookState(
        _side(row.bid_price, row.bid_size, row.bid_left, row.bid_rank),
        _side(row.ask_price, row.ask_size, row.ask_left, row.ask_rank),
        row.next_rank,
        Phase(state.get("phase", Phase.CONTINUOUS)),
        state.get("last"),
        state.get("reference"),
    )


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
    if value is None or isinstance(value, int | str | bool | dict):
        return value
    return value.isoformat() if isinstance(value, datetime) else str(value)
