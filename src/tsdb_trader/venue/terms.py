"""The terms of an order as a message states them, read and checked; pure."""

from __future__ import annotations

from dataclasses import dataclass, fields
from datetime import datetime, time
from decimal import Decimal, InvalidOperation
from zoneinfo import ZoneInfo

from tsdb_trader.api.venue import OrderRow
from tsdb_trader.api.venue_market import Instrument
from tsdb_trader.venue import protocol
from tsdb_trader.venue.protocol import RejectedError, Request

_ZERO = Decimal(0)
_UNSUPPORTED, _WRONG_QUANTITY, _OTHER = 11, 13, 99
_PRICED = ("limit", "stop_limit")
_STOPS = ("stop", "stop_limit")
_AT_ONCE = ("ioc", "fok")
_MAY_REST = ("limit", "pegged")
# Work, held, not held: of meaning to brokers, not to a book.
_IDLE_LETTERS = frozenset("125")
# FIX 4.2 names the close in the order type.
_CLOSING_TYPES = {"5": "market", "B": "limit"}
# FIX 5.0 names the peg's reference by PegPriceType (1094) as well.
_PEG_PRICE_TYPES = {"5": "primary", "2": "midpoint", "4": "market"}
_EXCHANGE_ZONE = ZoneInfo("America/New_York")


@dataclass(frozen=True, slots=True)
class Terms:
    """What an order may do; prices and quantities in decimals. Named as in ``venue._orders``."""

    side: str
    symbol: str
    quantity: Decimal
    order_type: str
    time_in_force: str
    limit_price: Decimal | None = None
    stop_price: Decimal | None = None
    expire_at: datetime | None = None
    peg_reference: str | None = None
    peg_offset: Decimal = _ZERO
    post_only: bool = False
    display_quantity: Decimal | None = None
    min_quantity: Decimal | None = None


def draft(request: Request, order_no: int, now: datetime) -> OrderRow:
    """Return an order with what the message says, readable or not, before it is checked."""
    try:
        quantity = Decimal(request.get(38))
    except InvalidOperation:
        quantity = _ZERO
    order_type, time_in_force = _kind(request)
    return OrderRow(
        order_no=order_no,
        participant=request.participant,
        fix_session=request.fix_session,
        cl_ord_id=request.cl_ord_id,
        root_cl_ord_id=request.cl_ord_id,
        account=request.get(1) or None,
        symbol=request.get(55),
        side=protocol.SIDES.get(request.get(54), request.get(54)),
        quantity=quantity if quantity.is_finite() else _ZERO,
        order_type=order_type or request.get(40),
        time_in_force=time_in_force or request.get(59),
        status="new",
        as_of=request.transact_time or now,
    )


def read(request: Request) -> Terms:
    """Return the terms of a new order or of a replacement.

    Raises
    ------
    RejectedError
        The venue does not take such an order.
    """
    side = protocol.read_choice(request, 54, "Side", protocol.SIDES)
    order_type, time_in_force = _kind(request)
    if order_type is None:
        protocol.read_choice(request, 40, "OrdType", protocol.ORDER_TYPES)
    if time_in_force is None:
        protocol.read_choice(request, 59, "TimeInForce", protocol.TIMES_IN_FORCE)
    order_type, time_in_force = order_type or "", time_in_force or ""
    quantity = protocol.read_decimal(request, 38, "OrderQty")
    letters = set(request.get(18).split())
    reference, offset = _peg(request, order_type, letters)
    post_only = protocol.POST_ONLY in letters
    unknown = letters - _IDLE_LETTERS - set(protocol.PEGS) - {protocol.POST_ONLY}
    if unknown:
        raise RejectedError(
            _UNSUPPORTED, f"ExecInst (18) {' '.join(sorted(unknown))!r} is not supported"
        )
    terms = Terms(
        side=side,
        symbol=request.get(55),
        quantity=quantity,
        order_type=order_type,
        time_in_force=time_in_force,
        limit_price=_limit(request, order_type),
        stop_price=_stop(request, order_type),
        expire_at=_expiry(request, time_in_force),
        peg_reference=reference,
        peg_offset=offset,
        post_only=post_only,
        display_quantity=_part(request, quantity, 1138 if request.get(1138) else 111, "display"),
        min_quantity=_part(request, quantity, 110, "MinQty"),
    )
    _check(terms)
    return terms


def check_steps(terms: Terms, instrument: Instrument) -> None:
    """Check quantities against the lot and prices against the tick.

    Raises
    ------
    RejectedError
        One is no multiple, or finer than the instrument.
    """
    lot, tick = instrument.lot_size, instrument.tick_size
    for quantity in (terms.quantity, terms.display_quantity, terms.min_quantity):
        if quantity is not None:
            protocol.units(quantity, instrument.size_scale, lot, "quantity")
    for name, price in (
        ("price", terms.limit_price),
        ("stop price", terms.stop_price),
        ("peg offset", terms.peg_offset),
    ):
        if price is not None:
            protocol.units(price, instrument.price_scale, tick, name)


def apply(terms: Terms, order: OrderRow) -> None:
    """Give an order new terms."""
    for field in fields(terms):
        setattr(order, field.name, getattr(terms, field.name))


def _kind(request: Request) -> tuple[str | None, str | None]:
    """Return order type and time in force, None for what the venue does not know."""
    code = request.get(40)
    if code in _CLOSING_TYPES:
        return _CLOSING_TYPES[code], "at_close"
    force = protocol.TIMES_IN_FORCE.get(request.get(59) or "0")
    return protocol.ORDER_TYPES.get(code), force


def _limit(request: Request, order_type: str) -> Decimal | None:
    if order_type in _PRICED or (order_type == "pegged" and request.get(44)):
        return protocol.read_decimal(request, 44, "Price")
    if request.get(44):
        raise RejectedError(_OTHER, f"a {order_type} order has no Price (44)")
    return None


def _stop(request: Request, order_type: str) -> Decimal | None:
    if order_type in _STOPS:
        return protocol.read_decimal(request, 99, "StopPx")
    if request.get(99):
        raise RejectedError(_OTHER, f"a {order_type} order has no StopPx (99)")
    return None


def _peg(request: Request, order_type: str, letters: set[str]) -> tuple[str | None, Decimal]:
    pegs = {protocol.PEGS[letter] for letter in letters if letter in protocol.PEGS}
    if request.get(1094):
        pegs.add(protocol.read_choice(request, 1094, "PegPriceType", _PEG_PRICE_TYPES))
    if order_type != "pegged":
        if pegs or request.get(211):
            raise RejectedError(_OTHER, f"a {order_type} order has no peg")
        return None, _ZERO
    if len(pegs) != 1:
        raise RejectedError(
            _OTHER, "a pegged order names one reference in ExecInst (18): R, M or P"
        )
    offset = _ZERO
    if request.get(211):
        offset = protocol.read_decimal(request, 211, "PegOffsetValue", signed=True)
    return pegs.pop(), offset


def _expiry(request: Request, time_in_force: str) -> datetime | None:
    given, day = request.get(126), request.get(432)
    if time_in_force != "gtd":
        if given or day:
            raise RejectedError(_OTHER, "only an order good till a date has ExpireTime (126)")
        return None
    expire_at = protocol.parse_time(given)
    if expire_at is None and not given:
        try:
            last = datetime.strptime(day, "%Y%m%d").date()  # noqa: DTZ007 - a date
        except ValueError:
            last = None
        if last is not None:
            expire_at = datetime.combine(last, time.max, _EXCHANGE_ZONE)
    if expire_at is None:
        raise RejectedError(_OTHER, f"ExpireTime (126) {given!r} is no time")
    return expire_at


def _part(request: Request, whole: Decimal, tag: int, name: str) -> Decimal | None:
    if not request.get(tag):
        return None
    part = protocol.read_decimal(request, tag, name)
    if part > whole:
        raise RejectedError(
            _WRONG_QUANTITY, f"{name} ({tag}) {part} is more than OrderQty (38) {whole}"
        )
    return part


def _check(terms: Terms) -> None:
    """Refuse terms that contradict each other."""
    at_once = terms.time_in_force in (*_AT_ONCE, "at_open", "at_close")
    if terms.post_only and (terms.order_type not in _MAY_REST or at_once):
        raise RejectedError(_OTHER, "post-only (18=6) is for limit and pegged orders that rest")
    if terms.display_quantity is not None and (terms.order_type not in _MAY_REST or at_once):
        raise RejectedError(_OTHER, "a display quantity is for limit and pegged orders that rest")
    if terms.order_type in ("pegged", *_STOPS) and at_once:
        raise RejectedError(_OTHER, f"a {terms.order_type} order cannot be {terms.time_in_force}")
