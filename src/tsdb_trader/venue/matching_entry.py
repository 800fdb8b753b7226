"""Which orders a book takes: terms that make sense, that it supports, in the phase it is in."""

from __future__ import annotations

from tsdb_trader.venue.matching_market import Market
from tsdb_trader.venue.matching_values import (
    AT_ONCE,
    AUCTION_ONLY,
    AUCTIONS,
    Order,
    PegReference,
    Phase,
    Reason,
    TimeInForce,
)


def objection(order: Order, market: Market) -> Reason | None:
    """Return why an order is not taken, whatever rests in the book."""
    phase = market.phase
    if phase is not Phase.CONTINUOUS and phase not in AUCTIONS:
        return Reason.HALTED if phase is Phase.HALTED else Reason.CLOSED
    if not _makes_sense(order):
        return Reason.CONTRADICTION
    if market.dark:
        if not _fits_a_dark_book(order):
            return Reason.UNSUPPORTED
    elif order.time_in_force in AUCTION_ONLY:
        if not _fits_an_auction(order):
            return Reason.UNSUPPORTED
        if order.time_in_force is TimeInForce.AT_OPEN and phase is not Phase.PRE_OPEN:
            return Reason.TOO_LATE
    return _objection_in_an_auction(order, market) if phase in AUCTIONS else None


def _objection_in_an_auction(order: Order, market: Market) -> Reason | None:
    if order.time_in_force in AT_ONCE:
        return Reason.NO_AUCTION
    if market.dark:
        return None
    if order.post_only or order.min_quantity:
        return Reason.NO_AUCTION
    return Reason.PRICE_BAND if market.banned(order, static_only=True) else None


def _makes_sense(order: Order) -> bool:
    limit, quantity = order.limit, order.quantity
    if not 0 < order.remaining <= quantity or (limit is not None and limit <= 0):
        return False
    if (order.expire_at is not None) != (order.time_in_force is TimeInForce.GTD):
        return False
    priced = limit is not None or order.peg is not None
    return (
        (order.stop is None or (order.stop > 0 and order.peg is None))
        and (order.peg is not None or order.peg_offset == 0)
        and (not order.post_only or (priced and order.time_in_force not in AT_ONCE))
        and (order.display is None or (order.display > 0 and priced))
        and 0 <= order.min_quantity <= quantity
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
