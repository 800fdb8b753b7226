"""The venue itself: takes requests, follows the market, obeys operators, owes reports.

It knows neither sockets nor threads. Every public method is one step or several, each of which
changes the books and writes the journal in one transaction, then returns the reports that may be
sent. After an exception memory and journal may differ: the process must end, and a new one
restores itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from functools import partial
from uuid import UUID

from tsdb_trader.api import venue as api
from tsdb_trader.api import venue_market
from tsdb_trader.clock import Clock
from tsdb_trader.venue import faults, protocol, reports, versions
from tsdb_trader.venue.faults import BOOK_FAULTS
from tsdb_trader.venue.floor import Floor
from tsdb_trader.venue.inquiries import Inquiries
from tsdb_trader.venue.journal import Entry, Journal, Report
from tsdb_trader.venue.operations import Operations, RefusedError
from tsdb_trader.venue.order_desk import OrderDesk
from tsdb_trader.venue.protocol import Request, UnsupportedError, parse_request
from tsdb_trader.venue.sessions import Session
from tsdb_trader.venue.throttle import Throttle

_AMENDMENTS = (protocol.REPLACE, protocol.CANCEL)
_ORDERS = (protocol.NEW_ORDER, *_AMENDMENTS, protocol.MASS_CANCEL)
_QUESTIONS = (
    protocol.STATUS_REQUEST,
    protocol.MASS_STATUS_REQUEST,
    protocol.TRADES_REQUEST,
)
_NOT_AUTHORIZED, _OTHER = 6, 99


class Exchange:
    """One venue, restored from its journal.

    Attributes
    ----------
    faults
        Those of the books and of sessions that are armed; the acceptor serves the latter.
    """

    def __init__(
        self, journal: Journal, clock: Clock, settings: api.VenueSettings | None = None
    ) -> None:
        self.settings = settings or api.VenueSettings(journal.venue)
        self.faults: list[api.Fault] = []
        self._journal = journal
        self._clock = clock
        self._floor = Floor(journal, clock, self.settings)
        self._desk = OrderDesk(self._floor)
        self._inquiries = Inquiries(self._floor, self._desk)
        self._operations = Operations(self._floor, self._desk)
        self._throttle = Throttle(self.settings.throttle_messages)
        self._waiting = api.waiting_requests(journal.conn, journal.venue)
        self._known_faults: set[int] = set()
        self.participants = {
            p.participant: p for p in api.read_participants(journal.conn, journal.venue)
        }
        self.market_data = self._floor.market_data

    @property
    def venue(self) -> str:
        """Return the venue's name."""
        return self._journal.venue

    def working(self) -> int:
        """Return the number of orders that are not over."""
        return len(self._floor.orders)

    def listen_to(self, fix_sessions: Sequence[str]) -> list[Report]:
        """Take note of the FIX sessions there are, none of which is logged on yet."""
        owed: list[Report] = []
        for fix_session in fix_sessions:
            participant = self.participants.get(fix_session.rpartition(">")[2])
            if participant is not None and participant.drop_copy:
                self._floor.writer.drop_copies.append(fix_session)
        for fix_session in fix_sessions:
            owed += self.disconnected(fix_session)
        return owed

    # Requests

    def handle(self, request: Request) -> list[Report]:
        """Act on an application message of a participant, now or when its time has come.

        Raises
        ------
        UnsupportedError
            The venue does not serve its type; the message is journaled.
        """
        entry = Entry()
        if not _served(request):
            entry.add_message(request)
            self._floor.commit(entry)
            raise UnsupportedError(request.msg_type)
        if request.fix_session in self._floor.writer.drop_copies:
            entry.add_message(request)
            self._refuse_drop_copy(entry, request)
        elif (wait_s := self._wait_s(request)) > 0:
            self._hold_back(entry, request, wait_s)
        else:
            self._begin(entry, request)
        return [*self._end(entry), *self.decide()]

    def _wait_s(self, request: Request) -> float:
        if request.msg_type not in _ORDERS:
            return 0.0
        queue = self.settings.throttle_mode == "delay"
        return self._throttle.wait_s(request.fix_session, self._clock.monotonic(), queue=queue)

    def _hold_back(self, entry: Entry, request: Request, wait_s: float) -> None:
        """Delay or refuse a request that comes too soon."""
        if self.settings.throttle_mode == "delay":
            entry.add_message(request, self._clock.now() + timedelta(seconds=wait_s))
            return
        entry.add_message(request)
        text = f"more than {self.settings.throttle_messages} requests per second"
        if request.msg_type == protocol.NEW_ORDER:
            self._desk.refuse_entry(entry, request, _OTHER, text)
        elif request.msg_type in _AMENDMENTS:
            order = self._floor.find(entry, request.participant, request.get(41))
            self._desk.refuse(entry, request, order, _OTHER, text)
        else:
            fields = reports.refused(request, 0, text)
            self._floor.writer.owe(entry, request.fix_session, "j", fields)

    def _refuse_drop_copy(self, entry: Entry, request: Request) -> None:
        text = "a drop copy session takes no requests"
        fields = reports.refused(request, _NOT_AUTHORIZED, text)
        self._floor.writer.owe(entry, request.fix_session, "j", fields)

    def _begin(self, entry: Entry, request: Request, message_no: int | None = None) -> None:
        """Act on a request; `message_no` is that of one that waited."""
        waits = False
        match request.msg_type:
            case protocol.NEW_ORDER:
                waits = self._desk.enter(entry, request)
            case _ if request.msg_type in _AMENDMENTS:
                waits = self._desk.amend(entry, request)
            case protocol.MASS_CANCEL:
                self._inquiries.mass_cancel(entry, request)
            case protocol.STATUS_REQUEST:
                self._inquiries.status(entry, request)
            case protocol.MASS_STATUS_REQUEST:
                self._inquiries.mass_status(entry, request)
            case protocol.TRADES_REQUEST:
                self._inquiries.trades(entry, request)
            case _:
                self.market_data.handle(request, partial(self._watch, entry), self._clock.now())
        if waits:
            pending = timedelta(milliseconds=self.settings.pending_ms or 0)
            entry.add_message(request, self._clock.now() + pending, acknowledged=True)
        elif message_no is None:
            entry.add_message(request)
        if message_no is not None:
            entry.handled.append(message_no)

    def _watch(
        self, entry: Entry, session_id: UUID, wanted: Sequence[venue_market.Instrument]
    ) -> Session | None:
        session = self._floor.catch_up(entry, session_id, wanted)
        if session is not None:
            session.watched.update(i.instrument_id for i in wanted)
        return session

    # Requests that wait

    def next_due(self) -> datetime | None:
        """Return when the next request that waits is due."""
        return self._waiting[0].due_at if self._waiting else None

    def decide(self) -> list[Report]:
        """Act on the requests whose time has come."""
        outgoing: list[Report] = []
        now = self._clock.now()
        while self._waiting and self._waiting[0].due_at <= now:
            row = self._waiting.pop(0)
            request = parse_request(row.raw, row.fix_session)
            entry = Entry()
            if row.acknowledged:
                entry.handled.append(row.message_no)
                self._desk.decide(entry, request)
            else:
                self._begin(entry, request, row.message_no)
            outgoing += self._end(entry)
        return outgoing

    # The market, operators, connections

    def follow(self) -> tuple[list[Report], bool]:
        """Show resting orders what the market did; say whether more of it waits."""
        outgoing = [*self._obey(), *self.decide()]
        more = False
        for session in self._floor.busy():
            entry, behind = self._floor.follow(session)
            more |= behind
            if entry is not None:
                outgoing += self._end(entry)
        if not more:
            self.market_data.look_at_statuses(self._clock.now())
            self.flush()
        return outgoing, more

    def _obey(self) -> list[Report]:
        """Carry out what operators ask for, each command in a step of its own."""
        outgoing: list[Report] = []
        commands, armed = api.read_inbox(self._journal.conn, self._journal.venue)
        for command in commands:
            entry = Entry()
            self._operations.obey(entry, command)
            outgoing += self._end(entry)
        for fault in armed:
            if fault.fault_no not in self._known_faults:
                self._known_faults.add(fault.fault_no)
                self.faults.append(fault)
        return outgoing

    def disconnected(self, fix_session: str) -> list[Report]:
        """Cancel the orders of a session that ended, if that is wanted."""
        known = self.participants.get(fix_session.rpartition(">")[2])
        wanted = None if known is None else known.cancel_on_disconnect
        if not (self.settings.cancel_on_disconnect if wanted is None else wanted):
            return []
        entry = Entry()
        for order in sorted(self._floor.orders.values(), key=lambda o: o.order_no):
            if order.fix_session == fix_session:
                order.pending, order.reason = None, "the participant disconnected"
                self._desk.take_out(entry, order)
        return self._end(entry)

    def flush(self) -> None:
        """Write which reports were sent since the last step."""
        self._journal.commit(Entry())

    def unsent(self, fix_session: str) -> list[Report]:
        """Return the reports a participant may not have got, when it logs on."""
        return self._journal.unsent(fix_session)

    def _end(self, entry: Entry) -> list[Report]:
        """Commit a step, and then let the faults happen that it gives occasion for."""
        put_off = any(message["due_at"] for message in entry.messages)
        outgoing = self._floor.commit(entry)
        if put_off:
            self._waiting = api.waiting_requests(self._journal.conn, self._journal.venue)
        if any(fault.kind in BOOK_FAULTS for fault in self.faults):
            outgoing += self._misbehave(outgoing)
        return outgoing

    def _misbehave(self, sent: Sequence[Report]) -> list[Report]:
        """Take back an execution, or cancel an order, that was just reported."""
        for kind, exec_type in (("bust", "F"), ("cancel", "0")):
            for report in sent:
                fault = faults.first(self.faults, kind, [report.participant])
                if report.exec_type != exec_type or fault is None:
                    continue
                entry = Entry()
                if not self._spoil(entry, kind, report):
                    continue
                self.faults.remove(fault)
                entry.faults.append(fault.fault_no)
                return self._floor.commit(entry)
        return []

    def _spoil(self, entry: Entry, kind: str, report: Report) -> bool:
        if kind == "bust":
            try:
                self._operations.bust(entry, str(report.fields["17"]))
            except RefusedError:
                return False
            return True
        name = str(report.fields["11"])
        order = self._floor.find(entry, report.participant, name)
        if order is None or order.status in protocol.OVER:
            return False
        order.reason = "cancelled by the venue"
        self._desk.take_out(entry, order)
        return True


def _served(request: Request) -> bool:
    known = request.msg_type in (*_ORDERS, *_QUESTIONS, *protocol.MARKET_DATA_REQUESTS)
    return known and versions.knows(request.begin_string, request.msg_type)
