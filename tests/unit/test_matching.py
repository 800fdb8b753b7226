"""Price-time matching of market and limit orders with the quote and each other: examples."""

from __future__ import annotations

from itertools import count

import pytest

from tsdb_trader.venue.matching import Book
from tsdb_trader.venue.matching_events import Cancelled, Event, Fill, Refused, Rejected, Rested
from tsdb_trader.venue.matching_values import (
    Display,
    Order,
    Quote,
    Reason,
    Status,
    TimeInForce,
)

DAY, IOC, FOK = TimeInForce.DAY, TimeInForce.IOC, TimeInForce.FOK
_numbers = count(1)


def order(side: str, quantity: int, limit: int | None = None, tif: TimeInForce = DAY) -> Order:
    return Order(next(_numbers), side == "buy", limit, quantity, tif)


def quoted(bid: int = 99, bid_size: int = 5, ask: int = 101, ask_size: int = 5) -> Book:
    book = Book()
    book.apply_quote(Quote(bid, bid_size, ask, ask_size))
    return book


def fills_of(events: list[Event]) -> list[Fill]:
    return [event for event in events if isinstance(event, Fill)]


def prices(events: list[Event], of: Order) -> list[tuple[int, int]]:
    fills = fills_of(events)
    return [(f.price, f.quantity) for f in fills if of.order_no in (f.order_no, f.counter_no)]


def test_market_order_larger_than_display_waits_for_next_quote() -> None:
    book = quoted()
    buy = order("buy", 8)
    assert prices(book.submit(buy), buy) == [(101, 5)]
    assert buy.status is Status.WORKING
    assert book.apply_quote(Quote(99, 5, 101, 5)) == []
    assert prices(book.apply_quote(Quote(99, 5, 102, 1)), buy) == [(102, 1)]
    assert prices(book.apply_quote(Quote(99, 5, 102, 9)), buy) == [(102, 2)]
    assert buy.status is Status.FILLED
    assert book.ask == Display(102, 9, 7, book.ask.rank if book.ask else 0)


def test_market_order_without_quote_is_refused() -> None:
    book = Book()
    buy = order("buy", 1)
    assert book.submit(buy) == [Rejected(buy.order_no, Reason.NO_MARKET)]
    assert buy.status is Status.REJECTED
    assert not book.active


def test_limit_order_through_quote_takes_quote_price() -> None:
    book = quoted()
    buy = order("buy", 3, 105)
    assert prices(book.submit(buy), buy) == [(101, 3)]


def test_limit_order_without_quote_rests() -> None:
    book = Book()
    buy = order("buy", 3, 105)
    assert book.submit(buy) == [Rested(buy.order_no, 105, 3)]
    assert buy.status is Status.WORKING


def test_resting_limit_quote_moves_through_it_fills_at_limit_up_to_display() -> None:
    book = quoted()
    buy = order("buy", 10, 100)
    assert book.submit(buy) == [Rested(buy.order_no, 100, 10)]
    assert prices(book.apply_quote(Quote(97, 5, 98, 4)), buy) == [(100, 4)]
    assert prices(book.apply_quote(Quote(97, 6, 98, 4)), buy) == []
    assert prices(book.apply_quote(Quote(97, 6, 98, 5)), buy) == [(100, 5)]
    assert buy.remaining == 1


def test_resting_sell_bid_moves_to_limit_fills_at_limit() -> None:
    book = quoted()
    sell = order("sell", 2, 103)
    book.submit(sell)
    assert prices(book.apply_quote(Quote(103, 1, 104, 1)), sell) == [(103, 1)]


def test_taken_display_is_gone_until_that_side_changes() -> None:
    book = quoted()
    book.submit(order("buy", 5))
    late = order("buy", 1, 101, IOC)
    assert book.submit(late) == [Cancelled(late.order_no, 1, Reason.NOTHING_MORE)]
    assert late.status is Status.CANCELLED
    book.apply_quote(Quote(98, 7, 101, 5))
    assert not fills_of(book.submit(order("buy", 1, 101, IOC)))
    book.apply_quote(Quote(98, 7, 101, 6))
    assert len(book.submit(order("buy", 6, 101, IOC))) == 1


def test_ioc_remainder_is_cancelled() -> None:
    book = quoted()
    buy = order("buy", 7, None, IOC)
    assert prices(book.submit(buy), buy) == [(101, 5)]
    assert (buy.status, buy.remaining) == (Status.CANCELLED, 2)
    assert not book.orders


@pytest.mark.parametrize(("quantity", "filled"), [(8, True), (9, False)])
def test_fok_counts_quote_and_resting_orders(quantity: int, filled: bool) -> None:
    book = quoted()
    book.submit(order("sell", 3, 100))
    book.submit(order("sell", 9, 104))
    buy = order("buy", quantity, 101, FOK)
    events = book.submit(buy)
    assert (buy.status is Status.FILLED) is filled
    assert prices(events, buy) == ([(100, 3), (101, 5)] if filled else [])


def test_two_participants_trade_with_each_other_at_the_older_price() -> None:
    book = quoted()
    first, second = order("sell", 2, 100), order("sell", 2, 100)
    book.submit(first)
    book.submit(second)
    buy = order("buy", 3, 101)
    assert book.submit(buy) == [
        Fill(buy.order_no, first.order_no, 100, 2),
        Fill(buy.order_no, second.order_no, 100, 1),
    ]


def test_same_price_older_order_goes_before_quote_and_younger_after() -> None:
    book = quoted(ask=105)
    older = order("sell", 2, 101)
    book.submit(older)
    book.apply_quote(Quote(99, 5, 101, 5))
    younger = order("sell", 2, 101)
    book.submit(younger)
    buy = order("buy", 8, 101)
    counters = [fill.counter_no for fill in fills_of(book.submit(buy))]
    assert counters == [older.order_no, None, younger.order_no]


def test_quote_that_changes_its_size_alone_keeps_its_place() -> None:
    book = quoted()
    book.submit(order("buy", 5, 101))
    younger = order("sell", 2, 101)
    book.submit(younger)
    book.apply_quote(Quote(99, 5, 101, 6))
    counters = [fill.counter_no for fill in fills_of(book.submit(order("buy", 7, 101)))]
    assert counters == [None, younger.order_no]


def test_waiting_market_orders_of_both_sides_meet_at_the_quote() -> None:
    book = quoted(ask_size=0)
    buy = order("buy", 4)
    book.submit(buy)
    sell = order("sell", 6)
    assert prices(book.submit(sell), sell) == [(101, 4), (99, 2)]


def test_waiting_market_order_takes_resting_limit_when_quote_moves_past_it() -> None:
    book = quoted(ask_size=0)
    buy, sell = order("buy", 4), order("sell", 3, 103)
    book.submit(buy)
    book.submit(sell)
    assert prices(book.apply_quote(Quote(99, 5, 104, 9)), buy) == [(103, 3), (104, 1)]


def test_cancel_resting_order_leaves_the_book() -> None:
    book = quoted()
    buy = order("buy", 1, 100)
    book.submit(buy)
    assert book.cancel(buy.order_no) == [Cancelled(buy.order_no, 1, Reason.REQUESTED)]
    assert book.cancel(buy.order_no) == [Refused(buy.order_no, Reason.UNKNOWN_ORDER)]
    assert book.apply_quote(Quote(90, 5, 95, 5)) == []
