"""Orders, quotes and copies of books, for the tests of the matching engine."""

from __future__ import annotations

from dataclasses import replace
from itertools import count
from typing import Any

from tsdb_trader.venue.matching import Book
from tsdb_trader.venue.matching_events import Event, Fill
from tsdb_trader.venue.matching_values import Order, Quote, Rules, Terms, TimeInForce

_numbers = count(1)


def order(
    side: str,
    quantity: int,
    limit: int | None = None,
    tif: TimeInForce = TimeInForce.DAY,
    **terms: Any,
) -> Order:
    """Return a new order with a number of its own."""
    return Order(next(_numbers), side == "buy", limit, quantity, tif, **terms)


def quoted(
    bid: int = 99, bid_size: int = 5, ask: int = 101, ask_size: int = 5, **rules: Any
) -> Book:
    """Return a book that has seen a quote."""
    book = Book(Rules(**rules))
    book.apply_quote(Quote(bid, bid_size, ask, ask_size))
    return book


def submitted(book: Book, *orders: Order) -> Order:
    """Submit orders and return the last."""
    for each in orders:
        book.submit(each)
    return orders[-1]


def fills_of(events: list[Event]) -> list[Fill]:
    """Return the trades among events."""
    return [event for event in events if isinstance(event, Fill)]


def traded(events: list[Event], of: Order) -> list[tuple[int, int]]:
    """Return price and quantity of an order's trades."""
    fills = fills_of(events)
    return [(f.price, f.quantity) for f in fills if of.order_no in (f.order_no, f.counter_no)]


def terms_of(of: Order, **changes: Any) -> Terms:
    """Return the terms of an order, with changes."""
    terms = Terms(
        of.quantity,
        of.limit,
        of.stop,
        of.peg_offset,
        of.display,
        of.min_quantity,
        of.time_in_force,
        of.expire_at,
    )
    return replace(terms, **changes)


def restored(book: Book) -> Book:
    """Return a book made of what a journal would hold of another."""
    copy = Book(book.rules, book.state)
    for each in sorted(book.orders.values(), key=lambda o: o.rank):
        copy.restore(replace(each))
    return copy
