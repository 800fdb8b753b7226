"""Questions of participants about their orders and trades, and the mass cancel."""

from __future__ import annotations

from tsdb_trader.api import venue as api
from tsdb_trader.api import venue_market
from tsdb_trader.venue import protocol, reports
from tsdb_trader.venue.floor import Floor
from tsdb_trader.venue.journal import Entry
from tsdb_trader.venue.order_desk import OrderDesk
from tsdb_trader.venue.protocol import Request

# Both for MassStatusReqType (585) and for MassCancelRequestType (530).
_BY_SECURITY, _BY_SESSION, _ALL = "1", "6", "7"
_UNKNOWN_SECURITY, _UNKNOWN_SESSION, _NOT_SUPPORTED = 1, 6, 0
_ALL_TRADES, _MATCHING_TRADES = "0", "1"
_OTHER_BUSINESS_REASON = 0
_TRADE_REQUEST_NOT_SUPPORTED = 8


class Inquiries:
    """Answers about what there is."""

    def __init__(self, floor: Floor, desk: OrderDesk) -> None:
        self._floor = floor
        self._desk = desk
        self._writer = floor.writer

    def status(self, entry: Entry, request: Request) -> None:
        """Answer an OrderStatusRequest."""
        order = self._floor.find(entry, request.participant, request.cl_ord_id)
        if order is None:
            fields = reports.unknown_order(request, self._floor.clock.now())
            self._writer.owe(entry, request.fix_session, "8", fields)
            return
        entry.ask(order, request)
        question = request.get(790)
        self._writer.report(
            entry, order, "I", self._floor.now(order), extra={"790": question} if question else None
        )

    def mass_status(self, entry: Entry, request: Request) -> None:
        """Answer an OrderMassStatusRequest: a report for each order that is not over."""
        kind = request.get(585)
        if kind not in (_BY_SECURITY, _BY_SESSION, _ALL):
            text = f"MassStatusReqType (585) {kind!r} is not supported: 1, 6, 7 are"
            fields = reports.refused(request, _OTHER_BUSINESS_REASON, text)
            self._writer.owe(entry, request.fix_session, "j", fields)
            return
        found = self._orders(request, kind)
        if not found:
            fields = reports.no_orders(request, self._floor.clock.now())
            self._writer.owe(entry, request.fix_session, "8", fields)
        for number, order in enumerate(found, 1):
            entry.ask(order, request)
            extra = reports.mass_status(request, len(found), last=number == len(found))
            self._writer.report(entry, order, "I", self._floor.now(order), extra=extra)

    def _orders(self, request: Request, kind: str) -> list[api.OrderRow]:
        orders = [o for o in self._floor.orders.values() if o.participant == request.participant]
        if kind == _BY_SECURITY:
            orders = [o for o in orders if o.symbol == request.get(55)]
        elif kind == _BY_SESSION:
            orders = [o for o in orders if str(o.session_id) == request.get(336)]
        return sorted(orders, key=lambda o: o.order_no)

    def mass_cancel(self, entry: Entry, request: Request) -> None:
        """Act on an OrderMassCancelRequest: one answer, and a report for each order."""
        now = self._floor.clock.now()
        order_id = f"{self._writer.prefix}-M{self._writer.last_number + 1}"
        refusal = self._why_not(request)
        if refusal is not None:
            fields = reports.mass_cancel_reject(request, order_id, *refusal, now)
            self._writer.owe(entry, request.fix_session, "r", fields)
            return
        for session in list(self._floor.sessions.values()):
            while self._floor.advance(entry, session, []):
                pass
        found = [o for o in self._orders(request, request.get(530)) if o.pending != "new"]
        fields = reports.mass_cancel(request, order_id, len(found), now)
        self._writer.owe(entry, request.fix_session, "r", fields)
        for order in found:
            order.pending = None
            entry.ask(order, request)
            self._desk.take_out(entry, order)

    def _why_not(self, request: Request) -> tuple[int, str] | None:
        kind = request.get(530)
        if kind not in (_BY_SECURITY, _BY_SESSION, _ALL):
            return _NOT_SUPPORTED, f"MassCancelRequestType (530) {kind!r} is not supported"
        symbol = request.get(55)
        if kind == _BY_SECURITY and venue_market.find_instrument(self._floor.conn, symbol) is None:
            return _UNKNOWN_SECURITY, f"unknown symbol {symbol}"
        if kind == _BY_SESSION and not request.get(336):
            return _UNKNOWN_SESSION, "TradingSessionID (336) is missing"
        return None

    def trades(self, entry: Entry, request: Request) -> None:
        """Answer a TradeCaptureReportRequest: how many there are, then each."""
        kind = request.get(569)
        if kind not in (_ALL_TRADES, _MATCHING_TRADES) or request.get(263) not in ("", "0"):
            text = "all trades (569=0) or matching ones (569=1) are reported, once (263=0)"
            fields = reports.trades_acknowledgement(request, 0, _TRADE_REQUEST_NOT_SUPPORTED, text)
            self._writer.owe(entry, request.fix_session, "AQ", fields)
            return
        rows = api.list_executions(self._floor.conn, self._floor.journal.venue, request.participant)
        found = [(row, order) for row in rows if (order := self._wanted(entry, request, row))]
        fields = reports.trades_acknowledgement(request, len(found), 0)
        self._writer.owe(entry, request.fix_session, "AQ", fields)
        for number, (row, order) in enumerate(found, 1):
            order_id, place = self._writer.order_id(order), (number, len(found))
            fields = reports.trade(request, order, order_id, row, self._writer.prefix, place)
            self._writer.owe(entry, request.fix_session, "AE", fields)

    def _wanted(self, entry: Entry, request: Request, row: api.ExecutionRow) -> api.OrderRow | None:
        """Return the order of an execution if the request asks for it."""
        stored = api.read_order(self._floor.conn, self._floor.journal.venue, row.order_no)
        if stored is None:
            return None
        order = self._floor.newest(entry, stored)
        dates = request.all(75)
        day = f"{protocol.trade_date(row.ts):%Y%m%d}"
        matches = (
            (request.get(17), (row.exec_id,)),
            (request.get(37), (self._writer.order_id(order),)),
            (request.get(11), (order.cl_ord_id, order.root_cl_ord_id)),
            (request.get(55), (order.symbol,)),
            (request.get(336), (str(order.session_id),)),
        )
        if any(wanted and wanted not in known for wanted, known in matches):
            return None
        # One date, or the first and the last of a range.
        if dates and not min(dates) <= day <= max(dates):
            return None
        return order
