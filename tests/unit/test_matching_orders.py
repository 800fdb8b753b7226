"""Terms of orders in a displayed book: icebergs, post-only, minima, times, replaces, and the view."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from matching_cases import fills_of, order, quoted, submitted, terms_of, traded
from tsdb_trader.venue.matching import Book
from tsdb_trader.venue.matching_events import (
    Cancelled,
    Expired,
    Fill,
    Refreshed,
    Refused,
    Rejected,
    Replaced,
    Rested,
)
from tsdb_trader.venue.matching_values import (
    Depth,
    Line,
    Order,
    PegReference,
    Quote,
    Reason,
    Status,
    Terms,
    TimeInForce,
)

DAY, IOC, FOK = TimeInForce.DAY, TimeInForce.IOC, TimeInForce.FOK
GTC, GTD = TimeInForce.GTC, TimeInForce.GTD
NOON = datetime(2020, 1, 2, 12, tzinfo=UTC)


# What is taken at all


@pytest.mark.parametrize(
    "wrong",
    [
        {"quantity": 0},
        {"quantity": -1},
        {"limit": 0},
        {"stop": 0},
        {"stop": 100, "peg": PegReference.PRIMARY},
        {"peg_offset": 1},
        {"tif": GTD},
        {"expire_at": NOON},
        {"limit": None, "post_only": True},
        {"tif": IOC, "post_only": True},
        {"display": 0},
        {"limit": None, "display": 1},
        {"min_quantity": -1},
        {"min_quantity": 6},
    ],
)
def test_order_with_contradicting_terms_is_rejected(wrong: dict[str, Any]) -> None:
    book = quoted()
    new = order("buy", **({"quantity": 5, "limit": 100} | wrong))
    state = book.state
    assert book.submit(new) == [Rejected(new.order_no, Reason.CONTRADICTION)]
    assert new.status is Status.REJECTED
    assert book.state == state
    assert not book.orders


def test_order_number_that_works_already_is_an_error() -> None:
    book = quoted()
    new = submitted(book, order("buy", 1, 98))
    with pytest.raises(ValueError, match="is in the book already"):
        book.submit(Order(new.order_no, True, 98, 1))


def test_market_order_without_quote_takes_what_rests_and_no_more() -> None:
    book = Book()
    near, far = order("sell", 2, 101), order("sell", 2, 500)
    submitted(book, near, far)
    buy = order("buy", 5)
    assert book.submit(buy) == [
        Fill(buy.order_no, near.order_no, 101, 2),
        Fill(buy.order_no, far.order_no, 500, 2),
        Cancelled(buy.order_no, 1, Reason.NO_MARKET),
    ]


# Icebergs


def test_iceberg_shows_its_tip_and_refreshes_behind_its_level() -> None:
    book = Book()
    iceberg, other = order("sell", 7, 101, display=3), order("sell", 4, 101)
    assert book.submit(iceberg) == [Rested(iceberg.order_no, 101, 3)]
    book.submit(other)
    assert book.depth().asks == (Line(101, 7, 2),)
    buy = order("buy", 9, 101)
    assert book.submit(buy) == [
        Fill(buy.order_no, iceberg.order_no, 101, 3),
        Refreshed(iceberg.order_no, 3),
        Fill(buy.order_no, other.order_no, 101, 4),
        Fill(buy.order_no, iceberg.order_no, 101, 2),
    ]
    assert book.depth().asks == (Line(101, 1, 1),)
    buy = order("buy", 1, 101)
    assert book.submit(buy) == [
        Fill(buy.order_no, iceberg.order_no, 101, 1),
        Refreshed(iceberg.order_no, 1),
    ]


def test_iceberg_quote_reaches_it_fills_tip_by_tip() -> None:
    book = quoted()
    iceberg, other = order("buy", 5, 100, display=2), order("buy", 1, 100)
    submitted(book, iceberg, other)
    events = book.apply_quote(Quote(98, 5, 100, 4))
    assert events == [
        Fill(iceberg.order_no, None, 100, 2, took=False),
        Refreshed(iceberg.order_no, 2),
        Fill(other.order_no, None, 100, 1, took=False),
        Fill(iceberg.order_no, None, 100, 1, took=False),
    ]


def test_fok_counts_the_hidden_part_of_an_iceberg() -> None:
    book = Book()
    submitted(book, order("sell", 9, 101, display=1))
    buy = submitted(book, order("buy", 9, 101, FOK))
    assert buy.status is Status.FILLED


# Post-only


@pytest.mark.parametrize(("limit", "rejected"), [(100, False), (101, True), (103, True)])
def test_post_only_order_is_rejected_when_it_would_take_the_quote(
    limit: int, rejected: bool
) -> None:
    book = quoted()
    buy = order("buy", 1, limit, post_only=True)
    [event] = book.submit(buy)
    if rejected:
        assert event == Rejected(buy.order_no, Reason.POST_ONLY)
    else:
        assert event == Rested(buy.order_no, limit, 1)


def test_post_only_order_rests_where_the_quote_was_taken_away() -> None:
    book = quoted()
    submitted(book, order("buy", 5, 101))
    buy = order("buy", 1, 101, post_only=True)
    assert book.submit(buy) == [Rested(buy.order_no, 101, 1)]


# Minimum quantity: all executions on entry together


def test_minimum_quantity_on_entry_counts_all_executions_together() -> None:
    book = quoted()
    submitted(book, order("sell", 3, 100))
    buy = order("buy", 10, 101, min_quantity=8)
    assert traded(book.submit(buy), buy) == [(100, 3), (101, 5)]
    assert buy.order_no in book.orders


@pytest.mark.parametrize("tif", [DAY, IOC])
def test_minimum_quantity_on_entry_not_reached_cancels_untraded(tif: TimeInForce) -> None:
    book = quoted()
    buy = order("buy", 10, 101, tif, min_quantity=6)
    assert book.submit(buy) == [Cancelled(buy.order_no, 10, Reason.MIN_QUANTITY)]
    assert book.ask is not None
    assert book.ask.left == 5


def test_minimum_quantity_nothing_to_take_rests_and_then_trades_any_size() -> None:
    book = quoted()
    buy = order("buy", 10, 100, min_quantity=6)
    assert book.submit(buy) == [Rested(buy.order_no, 100, 10)]
    sell = order("sell", 1, 100)
    assert traded(book.submit(sell), buy) == [(100, 1)]


# Times in force


def test_end_of_day_expires_day_orders_and_keeps_the_others() -> None:
    book = quoted()
    day, gtc = order("buy", 1, 98), order("buy", 1, 98, GTC)
    gtd = order("buy", 1, 98, GTD, expire_at=NOON)
    submitted(book, day, gtc, gtd)
    assert book.end_of_day() == [Expired(day.order_no, 1, Reason.END_OF_DAY)]
    assert day.status is Status.EXPIRED
    assert set(book.orders) == {gtc.order_no, gtd.order_no}


def test_expire_ends_orders_in_the_order_of_their_times() -> None:
    book = quoted()
    late = order("buy", 1, 98, GTD, expire_at=NOON)
    soon = order("buy", 2, 98, GTD, expire_at=NOON - timedelta(hours=1))
    later = order("buy", 3, 98, GTD, expire_at=NOON + timedelta(seconds=1))
    submitted(book, late, soon, later)
    assert book.expire(NOON - timedelta(hours=2)) == []
    assert book.expire(NOON) == [
        Expired(soon.order_no, 2, Reason.EXPIRE_TIME),
        Expired(late.order_no, 1, Reason.EXPIRE_TIME),
    ]
    assert set(book.orders) == {later.order_no}


def test_expire_after_a_replace_goes_by_the_new_time() -> None:
    book = quoted()
    gtd = submitted(book, order("buy", 1, 98, GTD, expire_at=NOON))
    book.replace(gtd.order_no, terms_of(gtd, expire_at=NOON + timedelta(hours=1)))
    assert book.expire(NOON) == []
    assert len(book.expire(NOON + timedelta(hours=1))) == 1


# Replace


def test_replace_unknown_order_is_refused() -> None:
    assert quoted().replace(4, Terms(1, 100)) == [Refused(4, Reason.UNKNOWN_ORDER)]


def test_replace_quantity_down_keeps_priority() -> None:
    book = Book()
    first, second = order("sell", 5, 101), order("sell", 5, 101)
    submitted(book, first, second)
    events = book.replace(first.order_no, terms_of(first, quantity=2))
    assert events == [Replaced(first.order_no, 2, 2, kept_priority=True)]
    assert book.depth().asks == (Line(101, 7, 2),)
    buy = order("buy", 3, 101)
    assert [f.counter_no for f in fills_of(book.submit(buy))] == [first.order_no, second.order_no]


@pytest.mark.parametrize(
    ("terms", "change"),
    [
        ({}, {"quantity": 6}),
        ({"display": 2}, {"display": 3}),
        ({"display": 2}, {"display": None}),
    ],
)
def test_replace_that_asks_for_more_loses_priority(
    terms: dict[str, Any], change: dict[str, Any]
) -> None:
    book = Book()
    first, second = order("sell", 5, 101, **terms), order("sell", 5, 101)
    submitted(book, first, second)
    replaced, rested = book.replace(first.order_no, terms_of(first, **change))
    assert replaced == Replaced(first.order_no, first.quantity, first.remaining, False)
    assert rested == Rested(first.order_no, 101, first.shown)
    buy = order("buy", 1, 101)
    assert fills_of(book.submit(buy))[0].counter_no == second.order_no


def test_replace_display_down_keeps_priority_and_shows_less() -> None:
    book = Book()
    first, second = order("sell", 5, 101), order("sell", 5, 101)
    submitted(book, first, second)
    [event] = book.replace(first.order_no, terms_of(first, display=2))
    assert event == Replaced(first.order_no, 5, 5, kept_priority=True)
    assert book.depth().asks == (Line(101, 7, 2),)
    assert fills_of(book.submit(order("buy", 1, 101)))[0].counter_no == first.order_no


def test_replace_price_through_the_market_takes() -> None:
    book = quoted()
    buy = submitted(book, order("buy", 7, 98))
    assert book.replace(buy.order_no, terms_of(buy, limit=101)) == [
        Replaced(buy.order_no, 7, 7, kept_priority=False),
        Fill(buy.order_no, None, 101, 5),
        Rested(buy.order_no, 101, 2),
    ]


@pytest.mark.parametrize("quantity", [5, 3])
def test_replace_to_what_is_filled_makes_the_order_filled(quantity: int) -> None:
    book = quoted()
    buy = submitted(book, order("buy", 7, 101))
    events = book.replace(buy.order_no, terms_of(buy, quantity=quantity))
    assert events == [Replaced(buy.order_no, 5, 0, kept_priority=True)]
    assert (buy.status, buy.quantity, buy.filled) == (Status.FILLED, 5, 5)
    assert book.cancel(buy.order_no) == [Refused(buy.order_no, Reason.UNKNOWN_ORDER)]
    assert book.depth().bids == (Line(99, 5, 1),)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"quantity": 0}, Reason.CONTRADICTION),
        ({"limit": None}, Reason.CONTRADICTION),
        ({"stop": 100}, Reason.CONTRADICTION),
        ({"time_in_force": IOC}, Reason.CONTRADICTION),
        ({"time_in_force": GTD}, Reason.CONTRADICTION),
        ({"limit": 101}, Reason.POST_ONLY),
    ],
)
def test_replace_with_impossible_terms_is_refused_and_changes_nothing(
    change: dict[str, Any], reason: Reason
) -> None:
    book = quoted()
    buy = submitted(book, order("buy", 5, 98, post_only=True))
    state, depth = book.state, book.depth()
    assert book.replace(buy.order_no, terms_of(buy, **change)) == [Refused(buy.order_no, reason)]
    assert (book.state, book.depth()) == (state, depth)


def test_replace_waiting_market_order_grows() -> None:
    book = quoted()
    buy = submitted(book, order("buy", 6))
    events = book.replace(buy.order_no, terms_of(buy, quantity=9))
    assert events == [
        Replaced(buy.order_no, 9, 4, kept_priority=False),
        Rested(buy.order_no, None, 0),
    ]
    assert traded(book.apply_quote(Quote(99, 5, 101, 6)), buy) == [(101, 4)]


def test_cancel_iceberg_reports_all_of_it_and_the_given_reason() -> None:
    book = Book()
    sell = submitted(book, order("sell", 9, 101, display=2))
    assert book.cancel(sell.order_no, Reason.HALTED) == [Cancelled(sell.order_no, 9, Reason.HALTED)]
    assert book.depth() == Depth((), ())


# What is shown


def test_depth_merges_quote_and_orders_by_price_and_hides_the_rest() -> None:
    book = quoted()
    submitted(
        book,
        order("buy", 4, 99),
        order("buy", 9, 98, display=2),
        order("sell", 3, 102),
        order("sell", 1, 100),
    )
    everything = Depth(
        (Line(99, 9, 2), Line(98, 2, 1)),
        (Line(100, 1, 1), Line(101, 5, 1), Line(102, 3, 1)),
    )
    assert book.depth() == everything
    assert book.depth(1) == Depth(everything.bids[:1], everything.asks[:1])
    assert [o.price for o in book.displayed()] == [99, 98, 100, 102]


def test_depth_shows_no_waiting_market_order_and_no_taken_quote() -> None:
    book = quoted()
    submitted(book, order("buy", 6))
    assert book.depth() == Depth((Line(99, 5, 1),), ())
    assert list(book.displayed()) == []


def test_many_prices_come_and_go_without_being_kept() -> None:
    book = Book()
    keep = submitted(book, order("buy", 1, 7))
    for price in range(10, 2_000):
        gone = submitted(book, order("buy", 1, price))
        book.cancel(gone.order_no)
    assert book.depth() == Depth((Line(7, 1, 1),), ())
    sell = order("sell", 1, 7)
    assert book.submit(sell) == [Fill(sell.order_no, keep.order_no, 7, 1)]
