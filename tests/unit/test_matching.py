"""The book of the simulated venue: examples of each rule, and properties of any sequence."""

from __future__ import annotations

from collections import Counter
from itertools import count

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tsdb_trader.venue.matching import (
    Book,
    Display,
    Fill,
    NoMarketError,
    Order,
    Quote,
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


def prices(fills: list[Fill], of: Order) -> list[tuple[int, int]]:
    return [(f.price, f.quantity) for f in fills if f.order_no == of.order_no]


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
    with pytest.raises(NoMarketError):
        book.submit(order("buy", 1))
    assert not book.active


def test_limit_order_through_quote_takes_quote_price() -> None:
    book = quoted()
    buy = order("buy", 3, 105)
    assert prices(book.submit(buy), buy) == [(101, 3)]


def test_limit_order_without_quote_rests() -> None:
    book = Book()
    buy = order("buy", 3, 105)
    assert book.submit(buy) == []
    assert buy.status is Status.WORKING


def test_resting_limit_quote_moves_through_it_fills_at_limit_up_to_display() -> None:
    book = quoted()
    buy = order("buy", 10, 100)
    assert book.submit(buy) == []
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
    assert book.submit(late) == []
    assert late.status is Status.CANCELLED
    book.apply_quote(Quote(98, 7, 101, 5))
    assert book.submit(order("buy", 1, 101, IOC)) == []
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
    fills = book.submit(buy)
    assert (buy.status is Status.FILLED) is filled
    assert prices(fills, buy) == ([(100, 3), (101, 5)] if filled else [])


def test_two_participants_trade_with_each_other_at_the_older_price() -> None:
    book = quoted()
    first, second = order("sell", 2, 100), order("sell", 2, 100)
    book.submit(first)
    book.submit(second)
    buy = order("buy", 3, 101)
    assert book.submit(buy) == [
        Fill(first.order_no, 100, 2, buy.order_no),
        Fill(buy.order_no, 100, 2, first.order_no),
        Fill(second.order_no, 100, 1, buy.order_no),
        Fill(buy.order_no, 100, 1, second.order_no),
    ]


def test_same_price_older_order_goes_before_quote_and_younger_after() -> None:
    book = quoted(ask=105)
    older = order("sell", 2, 101)
    book.submit(older)
    book.apply_quote(Quote(99, 5, 101, 5))
    younger = order("sell", 2, 101)
    book.submit(younger)
    buy = order("buy", 8, 101)
    counters = [f.counter_no for f in book.submit(buy) if f.order_no == buy.order_no]
    assert counters == [older.order_no, None, younger.order_no]


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
    assert book.cancel(buy.order_no) is buy
    assert book.cancel(buy.order_no) is None
    assert book.apply_quote(Quote(90, 5, 95, 5)) == []


def test_restored_book_continues_like_the_original() -> None:
    book = quoted()
    orders = [order("buy", 4, 100), order("buy", 4, 100), order("buy", 9)]
    for each in orders:
        book.submit(each)
    copy = Book(
        book.bid and Display(*_sides(book.bid)),
        book.ask and Display(*_sides(book.ask)),
        book.next_rank,
    )
    for each in sorted(book.orders.values(), key=lambda o: o.rank):
        copy.restore(
            Order(
                each.order_no,
                each.is_buy,
                each.limit,
                each.quantity,
                remaining=each.remaining,
                rank=each.rank,
            )
        )
    for quote in (Quote(95, 5, 101, 5), Quote(95, 5, 101, 6), Quote(97, 5, 100, 7)):
        assert copy.apply_quote(quote) == book.apply_quote(quote)
    assert copy.next_rank == book.next_rank


def _sides(side: Display) -> tuple[int, int, int, int]:
    return side.price, side.size, side.left, side.rank


quotes = st.builds(
    lambda bid, spread, bid_size, ask_size: Quote(bid, bid_size, bid + spread, ask_size),
    st.integers(95, 105),
    st.integers(0, 3),
    st.integers(0, 9),
    st.integers(0, 9),
)
entries = st.tuples(
    st.sampled_from(["buy", "sell"]),
    st.integers(1, 12),
    st.none() | st.integers(94, 108),
    st.sampled_from(list(TimeInForce)),
)
cancels = st.integers(0, 40)


class Checked:
    """A book with every promise checked after every operation."""

    def __init__(self) -> None:
        self.book = Book()
        self.known: dict[int, Order] = {}
        self.filled: Counter[int] = Counter()
        self.taken: dict[bool, tuple[tuple[int, int], int]] = {}
        self.numbers = count(1)

    def apply(self, operation: object) -> None:
        if isinstance(operation, Quote):
            for is_buy, side in (
                (True, (operation.ask_price, operation.ask_size)),
                (False, (operation.bid_price, operation.bid_size)),
            ):
                if self.taken.get(is_buy, (None, 0))[0] != side:
                    self.taken[is_buy] = (side, 0)
            self._account(self.book.apply_quote(operation))
        elif isinstance(operation, int):
            gone = self.book.cancel(operation)
            assert gone is None or gone.remaining > 0
        else:
            self._submit(*operation)  # type: ignore[misc]
        self._check_book()

    def _submit(self, side: str, quantity: int, limit: int | None, tif: TimeInForce) -> None:
        new = Order(next(self.numbers), side == "buy", limit, quantity, tif)
        resting = {
            o.order_no: (o.limit, o.rank)
            for o in self.book.orders.values()
            if o.is_buy != new.is_buy
        }
        try:
            fills = self.book.submit(new)
        except NoMarketError:
            assert limit is None
            assert self.book.bid is None
            return
        self.known[new.order_no] = new
        self._account(fills)
        self._check_priority(new, fills, resting)
        if tif is FOK:
            assert new.remaining in (0, quantity)
        if tif is not DAY:
            assert new.order_no not in self.book.orders
        assert (new.order_no in self.book.orders) == (new.status is Status.WORKING)

    def _account(self, fills: list[Fill]) -> None:
        between: Counter[bool] = Counter()
        for fill in fills:
            one = self.known.get(fill.order_no)
            self.filled[fill.order_no] += fill.quantity
            assert fill.quantity > 0
            if one is None:
                continue
            if fill.counter_no is None:
                shown, used = self.taken[one.is_buy]
                assert used + fill.quantity <= shown[1]
                self.taken[one.is_buy] = (shown, used + fill.quantity)
            else:
                between[one.is_buy] += fill.quantity
            if one.limit is not None:
                assert fill.price <= one.limit if one.is_buy else fill.price >= one.limit
            else:
                top = self.book.ask if one.is_buy else self.book.bid
                assert top is not None
                assert fill.price <= top.price if one.is_buy else fill.price >= top.price
        assert between[True] == between[False]

    def _check_priority(
        self, new: Order, fills: list[Fill], resting: dict[int, tuple[int | None, int]]
    ) -> None:
        """Whoever was met, nobody with a better price, or an equal one and an older rank, rests."""
        for fill in fills:
            if fill.order_no != new.order_no:
                continue
            for other in self.book.orders.values():
                if other.is_buy == new.is_buy or other.limit is None:
                    continue
                better = other.limit < fill.price if new.is_buy else other.limit > fill.price
                assert not better
                if fill.counter_no in resting and resting[fill.counter_no][0] == other.limit:
                    assert other.rank >= resting[fill.counter_no][1]

    def _check_book(self) -> None:
        book = self.book
        for one in self.known.values():
            assert one.quantity == one.remaining + self.filled[one.order_no]
            assert (one.remaining == 0) == (one.status is Status.FILLED)
        buys = [o.limit for o in book.orders.values() if o.is_buy and o.limit is not None]
        sells = [o.limit for o in book.orders.values() if not o.is_buy and o.limit is not None]
        assert not buys or not sells or max(buys) < min(sells)
        assert len({o.is_buy for o in book.orders.values() if o.limit is None}) < 2
        for side, limits, sign in ((book.ask, buys, 1), (book.bid, sells, -1)):
            if side is not None:
                assert 0 <= side.left <= side.size
                assert not side.left or all(sign * x < sign * side.price for x in limits)
        if book.ask is not None and book.ask.left:
            assert not any(o.is_buy for o in book.orders.values() if o.limit is None)


@settings(max_examples=300, deadline=None)
@given(st.lists(quotes | entries | cancels, max_size=40))
def test_book_any_sequence_keeps_its_promises(operations: list[object]) -> None:
    checked = Checked()
    for operation in operations:
        checked.apply(operation)
