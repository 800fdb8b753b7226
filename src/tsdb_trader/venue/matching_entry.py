"""Which orders a book takes: terms that make sense, that it supports, in the phase it is in."""

from __future__ import annotations

from tsdb_trader.venue.matching_market import Market
from tsdb_trader.venue.matching_values import (
    AT_ONCE,
    AUCTION_ONLY,
    AUCTIONS,
    Matching,
    Order,
    PegReference,
    Phase,
    Reason,
    TimeInForce,
)


def objection(order: Order, market: Market) -> Reason | None:
    """Return why an order is not taken, whatever rests in the book."""
    if market.phase is Phase.CLOSED:
        return Reason.CLOSED
    if market.phase is Phase.HALTED:
        return Reason.HALTED
    if not _makes_sense(order):
        return Reason.CONTRADICTION
    if market.rules.matching is Matching.MIDPOINT:
        supported = _fits_a_dark_book(order)
    else:
        supported = _fits_an_auction(order) or order.time_in_force not in AUCTION_ONLY
    if not supported:
        return Reason.UNSUPPORTED
    if order.time_in_force is TimeInForce.AT_OPEN and market.phase is not Phase.PRE_OPEN:
        return Reason.TOO_LATE
    if market.phase in AUCTIONS:
        return _objection_in_an_auction(order, market)
    return None


def _objection_in_an_auction(order: Order, market: Market) -> Reason | None:
    if order.time_in_force in AT_ONCE:
        return Reason.NO_AUCTION
    if market.rules.matching is Matching.MIDPOINT:
        return None
    if order.post_only or order.min_quantity:
        return Reason.NO_AUCTION
    return Reason.PRICE_BAND if market.banned(order, static_only=True) else None


def _makes_sense(order: Order) -> bool:
    priced = order.limit is not None or order.peg is not None
    expires = order.time_in_force is TimeInForce.GTD
    return (
        0 < order.remaining <= order.quantity
        and (order.limit is None or order.limit > 0)
        and (order.stop is None or (order.stop > 0 and order.peg is None))
        and (order.peg is not None or order.peg_offset == 0)
        and (order.expire_at is not None) == expires
        and (not order.post_only or (priced and order.time_in_force not in AT_ONCE))
        and (order.display is None or (order.display > 0 and priced))
        and 0 <= order.min_quantity <= order.quantity
    )


def _fits_an_auction(order: Order) -> bool:
    """Say whether an order has the terms of one that is made for an auction."""
    return (
        order.stop is None
        and order.peg is None
        and order.display is None
        and not order.post_only
        and not order.min_quantity
    )


def _fits_a_dark_book(order: Order) -> bool:
    """Say whether an order has no terms that need a display, a trigger or an auction."""
    plain_peg = order.peg is None or (order.peg is PegReference.MIDPOINT and order.peg_offset == 0)
    return (
        plain_peg
        and order.stop is None
        and order.display is None
        and not order.post_only
        and order.time_in_force not in AUCTION_ONLY
    )
