"""The bodies of the messages a venue sends, by tag, as FIX 4.4 has them; pure."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal

from tsdb_trader.api.venue import ExecutionRow, OrderRow
from tsdb_trader.venue import protocol
from tsdb_trader.venue.protocol import Request
from tsdb_trader.venue.versions import Fields

_ZERO = Decimal(0)
_ABSOLUTE_COMMISSION = "3"


def leaves(order: OrderRow) -> Decimal:
    """Return what may still be executed."""
    return _ZERO if order.status in protocol.OVER else order.quantity - order.cumulative_quantity


def status_code(order: OrderRow) -> str:
    """Return OrdStatus (39): what is asked for and not decided stands before everything."""
    return (
        protocol.PENDING_STATUS[order.pending]
        if order.pending
        else protocol.ORD_STATUS[order.status]
    )


def execution(order: OrderRow, order_id: str, exec_type: str, ts: datetime) -> Fields:
    """Return an ExecutionReport about an order as it is now."""
    cancelled_by = order.cancel_cl_ord_id if order.status == "cancelled" else None
    fields: Fields = {
        "37": order_id,
        "11": cancelled_by or order.cl_ord_id,
        "150": exec_type,
        "39": status_code(order),
        "55": order.symbol,
        "54": protocol.SIDE_CODES.get(order.side, order.side),
        "38": protocol.number_text(order.quantity),
        "151": protocol.number_text(leaves(order)),
        "14": protocol.number_text(order.cumulative_quantity),
        "6": protocol.average_text(order.notional, order.cumulative_quantity),
        "60": protocol.time_text(ts),
        "75": f"{protocol.trade_date(ts):%Y%m%d}",
    }
    if cancelled_by:
        fields["41"] = order.cl_ord_id
    if order.session_id is not None:
        fields["336"] = str(order.session_id)
    if order.account:
        fields["1"] = order.account
    if order.reason:
        fields["58"] = order.reason
    if order.status != "rejected":
        fields |= _terms(order)
    return fields


def _terms(order: OrderRow) -> Fields:
    fields: Fields = {
        "40": protocol.TYPE_CODES[order.order_type],
        "59": protocol.FORCE_CODES[order.time_in_force],
    }
    for tag, value in (
        ("44", order.limit_price),
        ("99", order.stop_price),
        ("111", order.display_quantity),
        ("110", order.min_quantity),
        ("211", order.peg_offset or None),
    ):
        if value is not None:
            fields[tag] = protocol.number_text(value)
    if order.expire_at is not None:
        fields["126"] = protocol.time_text(order.expire_at)
    letters = [protocol.POST_ONLY] if order.post_only else []
    if order.peg_reference is not None:
        letters.append(protocol.PEG_CODES[order.peg_reference])
    if letters:
        fields["18"] = " ".join(letters)
    return fields


def traded(quantity: Decimal, price: Decimal, fee: Decimal) -> Fields:
    """Return the fields of what traded; a commission of nothing is not mentioned."""
    fields: Fields = {"32": protocol.number_text(quantity), "31": protocol.number_text(price)}
    if fee:
        fields |= {"12": protocol.number_text(fee), "13": _ABSOLUTE_COMMISSION}
    return fields


def rejection(
    request: Request, order_id: str, exec_type: str, ts: datetime, reason: int, text: str
) -> Fields:
    """Return an ExecutionReport about a request that has no order of its own."""
    return {
        "37": order_id,
        "11": request.cl_ord_id,
        "150": exec_type,
        "39": "8",
        "55": request.get(55),
        "54": request.get(54),
        "151": "0",
        "14": "0",
        "6": "0",
        "60": protocol.time_text(ts),
        "75": f"{protocol.trade_date(ts):%Y%m%d}",
        "103": str(reason),
        "58": text,
    }


def duplicate(request: Request, order_id: str, ts: datetime) -> Fields:
    """Return the rejection of a new order whose ClOrdID was used before."""
    return rejection(request, order_id, "8", ts, 6, "ClOrdID was used before")


def unknown_order(request: Request, now: datetime) -> Fields:
    """Return the answer to a status request about an order nobody entered."""
    fields = rejection(request, "NONE", "I", now, 5, "unknown order")
    return fields | ({"790": request.get(790)} if request.get(790) else {})


def no_orders(request: Request, now: datetime) -> Fields:
    """Return the answer to a mass status request that finds nothing."""
    fields = rejection(request, "NONE", "I", now, 5, "no orders")
    del fields["11"]
    return fields | {
        "55": request.get(55) or "[N/A]",
        "54": request.get(54) or "7",
        **mass_status(request, 0, last=True),
    }


def mass_status(request: Request, total: int, *, last: bool) -> Fields:
    """Return what the reports of a mass status answer have more than others."""
    return {"584": request.get(584), "911": str(total), "912": "Y" if last else "N"}


def cancel_reject(
    request: Request, order_id: str, status: str, ts: datetime, reason: int, text: str
) -> Fields:
    """Return an OrderCancelReject; `status` is OrdStatus, `reason` CxlRejReason (102)."""
    return {
        "37": order_id,
        "11": request.cl_ord_id,
        "41": request.get(41),
        "39": status,
        "434": "2" if request.msg_type == protocol.REPLACE else "1",
        "102": str(reason),
        "58": text,
        "60": protocol.time_text(ts),
    }


def mass_cancel(request: Request, order_id: str, total: int, now: datetime) -> Fields:
    """Return an OrderMassCancelReport."""
    return {
        "37": order_id,
        "11": request.cl_ord_id,
        "530": request.get(530),
        "531": request.get(530),
        "533": str(total),
        "60": protocol.time_text(now),
    }


def mass_cancel_reject(
    request: Request, order_id: str, reason: int, text: str, now: datetime
) -> Fields:
    """Return an OrderMassCancelReport that says no; reason is MassCancelRejectReason (532)."""
    fields = mass_cancel(request, order_id, 0, now)
    return fields | {"531": "0", "532": str(reason), "58": text}


def trades_acknowledgement(request: Request, total: int, result: int, text: str = "") -> Fields:
    """Return a TradeCaptureReportRequestAck; result is TradeRequestResult (749)."""
    fields: Fields = {
        "568": request.get(568),
        "569": request.get(569),
        "748": str(total),
        "749": str(result),
        "750": "2" if result else "0" if total else "1",
    }
    return fields | ({"58": text} if text else {})


def trade(
    request: Request,
    order: OrderRow,
    order_id: str,
    row: ExecutionRow,
    prefix: str,
    place: tuple[int, int],
) -> Fields:
    """Return a TradeCaptureReport; `place` is which of how many it is, from 1."""
    number, total = place
    side = [
        ["54", protocol.SIDE_CODES[order.side]],
        ["37", order_id],
        ["11", order.cl_ord_id],
    ]
    if order.account:
        side.append(["1", order.account])
    if order.session_id is not None:
        side.append(["336", str(order.session_id)])
    fields: Fields = {
        "571": f"{prefix}-T{row.report_no}",
        "568": request.get(568),
        "748": str(total),
        "912": "Y" if number == total else "N",
        "570": "N",
        "17": row.exec_id,
        "55": order.symbol,
        "32": protocol.number_text(row.quantity),
        "31": protocol.number_text(row.price),
        "75": f"{protocol.trade_date(row.ts):%Y%m%d}",
        "60": protocol.time_text(row.ts),
        "552": [side],
    }
    return fields


def refused(request: Request, reason: int, text: str) -> Fields:
    """Return a BusinessMessageReject; reason is BusinessRejectReason (380)."""
    fields: Fields = {
        "45": str(request.seqnum),
        "372": request.msg_type,
        "380": str(reason),
        "58": text,
    }
    return fields | ({"379": request.cl_ord_id} if request.cl_ord_id else {})
