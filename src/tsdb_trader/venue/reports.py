"""The bodies of the messages a venue sends, by tag; pure."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal, InvalidOperation

from tsdb_trader.api.venue import OrderRow
from tsdb_trader.venue import protocol
from tsdb_trader.venue.protocol import RejectedError, Request

_ZERO = Decimal(0)


def draft(request: Request, order_no: int, now: datetime) -> OrderRow:
    """Return an order with what the message says, readable or not, before it is checked."""
    try:
        quantity = Decimal(request.get(38))
    except InvalidOperation:
        quantity = _ZERO
    return OrderRow(
        order_no=order_no,
        participant=request.participant,
        fix_session=request.fix_session,
        cl_ord_id=request.cl_ord_id,
        cancel_cl_ord_id=None,
        session_id=None,
        instrument_id=None,
        account=request.get(1) or None,
        symbol=request.get(55),
        side=protocol.SIDES.get(request.get(54), request.get(54)),
        quantity=quantity if quantity.is_finite() else _ZERO,
        order_type=protocol.ORDER_TYPES.get(request.get(40), request.get(40)),
        limit_price=None,
        time_in_force=protocol.TIMES_IN_FORCE.get(request.get(59) or "0", request.get(59)),
        status="new",
        cumulative_quantity=_ZERO,
        notional=_ZERO,
        rank=0,
        reason=None,
        as_of=request.transact_time or now,
    )


def read_terms(request: Request, order: OrderRow) -> None:
    """Check the terms of a draft and complete them.

    Raises
    ------
    RejectedError
        The venue does not take such an order.
    """
    protocol.read_choice(request, 54, "Side", protocol.SIDES)
    protocol.read_choice(request, 40, "OrdType", protocol.ORDER_TYPES)
    if request.get(59):
        protocol.read_choice(request, 59, "TimeInForce", protocol.TIMES_IN_FORCE)
    order.quantity = protocol.read_decimal(request, 38, "OrderQty")
    if order.order_type == "limit":
        order.limit_price = protocol.read_decimal(request, 44, "Price")
    elif request.get(44):
        raise RejectedError(99, "a market order has no Price (44)")


def execution(
    order: OrderRow,
    order_id: str,
    exec_type: str,
    ts: datetime,
    last: tuple[Decimal, Decimal] | None = None,
    text: str | None = None,
    reason: int | None = None,
) -> dict[str, str]:
    """Return an ExecutionReport about an order as it is now; `last` is quantity and price."""
    cancelled_by = order.cancel_cl_ord_id
    works = order.status in ("new", "partially_filled")
    leaves = order.quantity - order.cumulative_quantity if works else _ZERO
    fields = {
        "37": order_id,
        "11": cancelled_by or order.cl_ord_id,
        "150": exec_type,
        "39": protocol.ORD_STATUS[order.status],
        "55": order.symbol,
        "54": protocol.SIDE_CODES.get(order.side, order.side),
        "38": protocol.number_text(order.quantity),
        "151": protocol.number_text(leaves),
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
    if last is not None:
        fields["32"], fields["31"] = (protocol.number_text(value) for value in last)
    if reason is not None:
        fields["103"] = str(reason)
    if text or order.reason:
        fields["58"] = text or str(order.reason)
    return fields


def duplicate(request: Request, order_id: str, ts: datetime) -> dict[str, str]:
    """Return the rejection of a new order whose ClOrdID was used before."""
    return _rejection(request, order_id, "8", ts, 6, "ClOrdID was used before")


def unknown_order(request: Request, now: datetime) -> dict[str, str]:
    """Return the answer to a status request about an order nobody entered."""
    fields = _rejection(request, "NONE", "I", now, 5, "unknown order")
    return fields | ({"790": request.get(790)} if request.get(790) else {})


def _rejection(
    request: Request, order_id: str, exec_type: str, ts: datetime, reason: int, text: str
) -> dict[str, str]:
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


def cancel_reject(
    request: Request, order_id: str, status: str, ts: datetime, reason: int, text: str
) -> dict[str, str]:
    """Return an OrderCancelReject; reason is CxlRejReason (tag 102)."""
    return {
        "37": order_id,
        "11": request.cl_ord_id,
        "41": request.get(41),
        "39": protocol.ORD_STATUS[status],
        "434": "1",
        "102": str(reason),
        "58": text,
        "60": protocol.time_text(ts),
    }
