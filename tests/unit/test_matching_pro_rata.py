"""Pro rata matching: a published example, the rounding, and what holds for any sizes."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from matching_cases import fills_of, order, quoted, submitted, terms_of
from tsdb_trader.venue.matching import Book
from tsdb_trader.venue.matching_events import Cancelled, Event, Fill, Refreshed
from tsdb_trader.venue.matching_shares import shares
from tsdb_trader.venue.matching_values import (
    Matching,
    Order,
    Quote,
    Reason,
    Rules,
    SelfTrade,
    Status,
    TimeInForce,
)


def pro_rata(**rules: Any) -> Book:
    return Book(Rules(Matching.PRO_RATA, **rules))


def resting(book: Book, *sizes: int, price: int = 101, **terms: Any) -> list[Order]:
    orders = [order("sell", size, price, **terms) for size in sizes]
    submitted(book, *orders)
    return orders


def allocated(events: list[Event], orders: list[Order]) -> list[int]:
    fills = fills_of(events)
    return [sum(f.quantity for f in fills if f.counter_no == o.order_no) for o in orders]


def test_allocation_is_that_of_the_exchange_that_published_it() -> None:
    """CME Globex advisory notice 020705-1 of 2005-02-07: an offer of 60 lots meets five bids."""
    book = pro_rata(top_order=True, minimum_share=2)
    bids = [order("buy", size, 9_704) for size in (10, 5, 20, 50, 75)]
    submitted(book, *bids)
    events = book.submit(order("sell", 60, 9_704))
    assert allocated(events, bids) == [10, 3, 6, 16, 25]


def test_allocation_without_top_order_shares_among_all() -> None:
    book = pro_rata()
    orders = resting(book, 10, 30, 60)
    assert allocated(book.submit(order("buy", 50, 101)), orders) == [5, 15, 30]


def test_remainder_of_rounding_goes_by_time() -> None:
    book = pro_rata()
    orders = resting(book, 3, 3, 3)
    assert allocated(book.submit(order("buy", 5, 101)), orders) == [3, 1, 1]


def test_shares_are_multiples_of_the_lot() -> None:
    book = pro_rata(lot=100)
    orders = resting(book, 300, 300, 300)
    assert allocated(book.submit(order("buy", 400, 101)), orders) == [200, 100, 100]


def test_everything_at_a_price_fills_by_time_hidden_quantity_included() -> None:
    book = pro_rata()
    iceberg, plain = order("sell", 9, 101, display=2), order("sell", 4, 101)
    submitted(book, iceberg, plain)
    buy = order("buy", 14, 101)
    assert book.submit(buy)[:2] == [
        Fill(buy.order_no, iceberg.order_no, 101, 9),
        Fill(buy.order_no, plain.order_no, 101, 4),
    ]


def test_iceberg_shares_by_what_it_displays_and_refreshes() -> None:
    book = pro_rata()
    iceberg, plain = order("sell", 9, 101, display=2), order("sell", 4, 101)
    submitted(book, iceberg, plain)
    buy = order("buy", 8, 101)
    assert book.submit(buy) == [
        Fill(buy.order_no, iceberg.order_no, 101, 2),
        Refreshed(iceberg.order_no, 2),
        Fill(buy.order_no, plain.order_no, 101, 4),
        Fill(buy.order_no, iceberg.order_no, 101, 2),
        Refreshed(iceberg.order_no, 2),
    ]


def test_quote_takes_its_share_beside_orders() -> None:
    book = quoted(ask_size=10, matching=Matching.PRO_RATA)
    orders = resting(book, 30)
    assert orders[0].order_no in book.orders
    buy = order("buy", 20, 101)
    assert book.submit(buy) == [
        Fill(buy.order_no, None, 101, 5),
        Fill(buy.order_no, orders[0].order_no, 101, 15),
    ]


def test_quote_that_comes_to_a_level_is_shared_there() -> None:
    book = quoted(matching=Matching.PRO_RATA)
    bids = [order("buy", 10, 100), order("buy", 30, 100)]
    submitted(book, *bids)
    events = book.apply_quote(Quote(98, 5, 100, 20))
    assert [(f.order_no, f.quantity) for f in fills_of(events)] == [
        (bids[0].order_no, 5),
        (bids[1].order_no, 15),
    ]


def test_better_price_goes_first_whatever_the_sizes() -> None:
    book = pro_rata()
    big, small = resting(book, 1_000, price=102), resting(book, 1, price=101)
    events = book.submit(order("buy", 11, 102))
    assert [f.counter_no for f in fills_of(events)] == [small[0].order_no, big[0].order_no]


def test_top_order_loses_its_place_with_its_priority() -> None:
    book = pro_rata(top_order=True)
    orders = resting(book, 10, 10)
    assert [o.top for o in orders] == [True, False]
    book.replace(orders[0].order_no, terms_of(orders[0], quantity=20))
    # Alone it would open the price again; the other order stands there.
    assert not orders[0].top
    assert allocated(book.submit(order("buy", 15, 101)), orders) == [10, 5]


def test_order_that_joins_the_quote_is_no_top_order() -> None:
    book = quoted(matching=Matching.PRO_RATA, top_order=True)
    joins, opens = order("sell", 1, 101), order("sell", 1, 100)
    submitted(book, joins, opens)
    assert (joins.top, opens.top) == (False, True)


def test_self_trade_prevention_comes_before_the_sharing() -> None:
    book = pro_rata(self_trade=SelfTrade.CANCEL_RESTING)
    other = resting(book, 10, participant="B")[0]
    own = resting(book, 10, participant="A")[0]
    buy = order("buy", 5, 101, participant="A")
    assert book.submit(buy) == [
        Cancelled(own.order_no, 10, Reason.SELF_TRADE),
        Fill(buy.order_no, other.order_no, 101, 5),
    ]


@pytest.mark.parametrize(("quantity", "filled"), [(15, True), (16, False)])
def test_fok_counts_every_level_it_reaches(quantity: int, filled: bool) -> None:
    book = pro_rata()
    resting(book, 5, 5)
    resting(book, 5, price=102)
    resting(book, 5, price=103)
    buy = submitted(book, order("buy", quantity, 102, TimeInForce.FOK))
    assert (buy.status is Status.FILLED) is filled


sizes = st.lists(st.integers(0, 40), min_size=1, max_size=8)


@settings(max_examples=300, deadline=None, derandomize=True)
@given(st.integers(0, 200), sizes, st.integers(1, 5), st.integers(0, 5))
def test_shares_sum_to_the_quantity_and_exceed_no_size(
    quantity: int, given_sizes: list[int], lot: int, minimum: int
) -> None:
    parts = shares(quantity, given_sizes, lot, minimum)
    assert sum(parts) == min(quantity, sum(given_sizes))
    assert all(0 <= part <= size for part, size in zip(parts, given_sizes, strict=True))


@settings(max_examples=300, deadline=None, derandomize=True)
@given(st.integers(0, 200), sizes)
def test_shares_are_exact_but_for_the_rounding(quantity: int, given_sizes: list[int]) -> None:
    """Nobody gets less than the exact share rounded down, and only the oldest get more."""
    parts = shares(quantity, given_sizes, 1, 0)
    total = sum(given_sizes)
    exact = [quantity * size / total if total else 0 for size in given_sizes]
    if quantity < total:
        rounded = [int(share) for share in exact]
        more = [part - floor for part, floor in zip(parts, rounded, strict=True)]
        assert all(extra >= 0 for extra in more)
        assert sum(more) < max(1, len(given_sizes))
        last = max((n for n, extra in enumerate(more) if extra), default=-1)
        # Before the last who got more than its share, everybody has all it shows.
        assert all(parts[n] == given_sizes[n] for n in range(max(0, last)))
