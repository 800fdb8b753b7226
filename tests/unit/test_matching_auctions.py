"""Auctions and phases: the price, who gets what, what ends, and what a halt does."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from matching_cases import fills_of, order, quoted, submitted, terms_of, traded
from tsdb_trader.venue.matching import Book
from tsdb_trader.venue.matching_auction import Interest, find_price, pair_up
from tsdb_trader.venue.matching_events import (
    Cancelled,
    Expired,
    Fill,
    PhaseChanged,
    Reduced,
    Refused,
    Rejected,
    Repriced,
    Rested,
    Triggered,
    Uncrossed,
)
from tsdb_trader.venue.matching_values import (
    Indicative,
    Line,
    Order,
    PegReference,
    Phase,
    Quote,
    Reason,
    Rules,
    SelfTrade,
    Status,
    TimeInForce,
)

AT_OPEN, AT_CLOSE = TimeInForce.AT_OPEN, TimeInForce.AT_CLOSE
PRE_OPEN, AUCTION, CLOSING = Phase.PRE_OPEN, Phase.AUCTION, Phase.CLOSING
CONTINUOUS, HALTED, CLOSED = Phase.CONTINUOUS, Phase.HALTED, Phase.CLOSED


def calling(phase: Phase = PRE_OPEN, reference: int | None = None, **rules: Any) -> Book:
    """Return a book in an auction, without a quote."""
    book = Book(Rules(**rules))
    if reference is not None:
        book.set_reference(reference)
    book.set_phase(phase)
    return book


def crossed(book: Book, *terms: tuple[str, int, int | None]) -> list[Order]:
    """Submit orders of (side, quantity, limit)."""
    orders = [order(*each) for each in terms]
    for each in orders:
        assert not fills_of(book.submit(each))
    return orders


# The price


def test_price_is_the_one_of_most_volume() -> None:
    """The book of the single-price auction in the MarketGrid documentation, 2.40."""
    book = calling()
    bids = {13_000: 45, 12_900: 95, 12_800: 25, 12_700: 35, 12_600: 25, 12_500: 55}
    asks = {13_100: 35, 13_000: 50, 12_900: 10, 12_800: 15, 12_700: 10, 12_600: 20}
    bids |= {12_400: 200, 12_300: 80, 12_200: 60}
    asks |= {12_500: 90, 12_400: 155, 12_300: 125, 12_200: 10}
    crossed(book, *(("buy", size, price) for price, size in bids.items()))
    crossed(book, *(("sell", size, price) for price, size in asks.items()))
    assert book.indicative() == Indicative(12_400, 290, 190)


@pytest.mark.parametrize(
    ("terms", "reference", "price"),
    [
        # The volume is 10 at 100 and 101; at 101 less is left over.
        ([("buy", 10, 101), ("buy", 5, 100), ("sell", 10, 100)], 100, 101),
        # Buys are left over at both: the highest.
        ([("buy", 15, 102), ("sell", 10, 100)], 100, 102),
        # Sells are left over at both: the lowest.
        ([("buy", 10, 102), ("sell", 15, 100)], 102, 100),
        # Nothing is left over: the nearest to the reference price.
        ([("buy", 10, 104), ("sell", 10, 100)], 99, 100),
        ([("buy", 10, 104), ("sell", 10, 100)], 105, 104),
        ([("buy", 10, 104), ("sell", 10, 100)], 103, 103),
        ([("buy", 10, 104), ("sell", 10, 100)], None, 102),
        # Buys are left over at the lower, sells at the higher.
        ([("buy", 10, 102), ("buy", 5, 100), ("sell", 10, 100), ("sell", 5, 102)], 101, 101),
        # Only market orders: the reference price.
        ([("buy", 10, None), ("sell", 4, None)], 100, 100),
    ],
)
def test_price_by_the_next_rule_where_volumes_are_equal(
    terms: list[tuple[str, int, int | None]], reference: int | None, price: int
) -> None:
    book = calling(reference=reference)
    crossed(book, *terms)
    found = book.indicative()
    assert found is not None
    assert found.price == price
    assert book.set_phase(CONTINUOUS)[0] == Uncrossed(*found)


@pytest.mark.parametrize(
    "terms",
    [
        [],
        [("buy", 1, 100), ("sell", 1, 101)],
        [("buy", 1, None)],
        [("buy", 1, None), ("sell", 1, None)],
    ],
)
def test_nothing_to_execute_has_no_price(terms: list[tuple[str, int, int | None]]) -> None:
    book = calling()
    crossed(book, *terms)
    assert book.indicative() is None
    assert not any(isinstance(e, Uncrossed) for e in book.set_phase(CONTINUOUS))


def test_middle_of_the_quote_is_the_reference_of_the_first_auction() -> None:
    book = quoted(97, 0, 100, 0, tick=2)
    book.set_phase(PRE_OPEN)
    crossed(book, ("buy", 1, None), ("sell", 1, None))
    assert book.indicative() == Indicative(98, 1, 0)


def test_last_trade_is_the_reference_before_the_one_from_outside() -> None:
    book = Book()
    book.set_reference(90)
    submitted(book, order("sell", 1, 103), order("buy", 1, 103))
    book.set_phase(CLOSING)
    crossed(book, ("buy", 10, 104), ("sell", 10, 100))
    found = book.indicative()
    assert found is not None
    assert found.price == 103


def test_indicative_is_for_auctions_only() -> None:
    book = Book()
    submitted(book, order("buy", 1, 100))
    assert book.indicative() is None


# Who gets what


def test_market_orders_go_first_then_price_then_those_for_the_auction_then_time() -> None:
    book = calling()
    limit, better = order("buy", 2, 100), order("buy", 2, 101)
    at_open, market = order("buy", 2, 100, AT_OPEN), order("buy", 2)
    market_at_open = order("buy", 2, None, AT_OPEN)
    submitted(book, limit, better, at_open, market, market_at_open)
    sell = submitted(book, order("sell", 9, 100))
    events = book.set_phase(CONTINUOUS)
    assert [f.order_no for f in fills_of(events)] == [
        o.order_no for o in (market_at_open, market, better, at_open, limit)
    ]
    assert {f.counter_no for f in fills_of(events)} == {sell.order_no}
    assert (limit.remaining, sell.status) == (1, Status.FILLED)
    assert book.depth().bids == (Line(100, 1, 1),)


def test_iceberg_takes_part_whole_and_shows_its_tip_afterwards() -> None:
    book = calling()
    iceberg = submitted(book, order("sell", 9, 100, display=2))
    buy = submitted(book, order("buy", 6, 100))
    events = book.set_phase(CONTINUOUS)
    assert traded(events, buy) == [(100, 6)]
    assert (iceberg.remaining, iceberg.shown) == (3, 2)


def test_quote_takes_part_as_two_limit_orders() -> None:
    book = quoted()
    book.set_phase(CLOSING)
    buy = submitted(book, order("buy", 7, None, AT_CLOSE))
    assert book.indicative() == Indicative(101, 5, 2)
    assert book.set_phase(CLOSED) == [
        Uncrossed(101, 5, 2),
        Fill(buy.order_no, None, 101, 5, took=False),
        Expired(buy.order_no, 2, Reason.AUCTION_OVER),
        PhaseChanged(CLOSED),
    ]
    assert book.ask is not None
    assert book.ask.left == 0


@pytest.mark.parametrize(
    ("quote", "rules"),
    [(Quote(100, 5, 100, 5), {}), (Quote(99, 5, 101, 5), {"quote_in_auctions": False})],
)
def test_locked_or_excluded_quote_takes_no_part(quote: Quote, rules: dict[str, Any]) -> None:
    book = Book(Rules(**rules))
    book.apply_quote(quote)
    book.set_phase(CLOSING)
    submitted(book, order("buy", 7, None, AT_CLOSE))
    assert book.indicative() is None


def test_auction_price_is_the_last_price_and_the_reference() -> None:
    book = calling()
    crossed(book, ("buy", 1, 100), ("sell", 1, 100))
    book.set_phase(CONTINUOUS)
    assert (book.state.last, book.state.reference) == (100, 100)


# What takes part, what waits, what ends


@pytest.mark.parametrize(
    "terms",
    [
        {"tif": TimeInForce.IOC},
        {"tif": TimeInForce.FOK},
        {"post_only": True},
        {"min_quantity": 1},
    ],
)
def test_orders_that_need_to_trade_at_once_are_rejected(terms: dict[str, Any]) -> None:
    book = calling()
    new = order("buy", 2, 100, **terms)
    assert book.submit(new) == [Rejected(new.order_no, Reason.NO_AUCTION)]


def test_stops_and_pegs_wait_for_trading_to_begin() -> None:
    book = calling()
    stop = order("buy", 1, 101, stop=100)
    peg = order("sell", 1, peg=PegReference.PRIMARY)
    submitted(book, stop, peg)
    crossed(book, ("buy", 2, 100), ("sell", 2, 100))
    book.apply_quote(Quote(99, 5, 102, 5))
    events = book.set_phase(CONTINUOUS)
    assert [type(e) for e in events[:3]] == [Uncrossed, Fill, PhaseChanged]
    assert events[3:] == [
        Repriced(peg.order_no, 102),
        Rested(peg.order_no, 102, 1),
        Triggered(stop.order_no, 102),
        Rested(stop.order_no, 101, 1),
    ]


def test_auction_price_triggers_stops_where_there_is_no_quote() -> None:
    book = calling()
    stop = submitted(book, order("buy", 1, 101, stop=100))
    crossed(book, ("buy", 2, 100), ("sell", 2, 100))
    assert Triggered(stop.order_no, 100) in book.set_phase(CONTINUOUS)


def test_auction_price_does_not_trigger_a_stop_that_comes_later() -> None:
    book = calling()
    crossed(book, ("buy", 2, 100), ("sell", 2, 100))
    book.set_phase(CONTINUOUS)
    book.apply_quote(Quote(90, 5, 92, 5))
    stop = order("buy", 1, 101, stop=95)
    assert book.submit(stop) == [Rested(stop.order_no, None, 0)]


def test_pegs_leave_the_book_for_an_auction() -> None:
    book = quoted()
    peg = submitted(book, order("buy", 1, peg=PegReference.PRIMARY))
    assert book.set_phase(CLOSING) == [PhaseChanged(CLOSING), Repriced(peg.order_no, None)]
    assert book.depth().bids == (Line(99, 5, 1),)
    assert book.set_phase(CONTINUOUS)[-1] == Rested(peg.order_no, 99, 1)


def test_at_open_order_that_is_not_executed_ends_with_the_opening() -> None:
    book = calling()
    order_at_open = submitted(book, order("buy", 3, 99, AT_OPEN))
    assert book.depth().bids == ()
    assert book.set_phase(CONTINUOUS) == [
        Expired(order_at_open.order_no, 3, Reason.AUCTION_OVER),
        PhaseChanged(CONTINUOUS),
    ]


@pytest.mark.parametrize("phase", [AUCTION, CLOSING, CONTINUOUS])
def test_at_open_order_after_the_opening_is_rejected(phase: Phase) -> None:
    book = Book()
    book.set_phase(phase)
    new = order("buy", 3, 99, AT_OPEN)
    assert book.submit(new) == [Rejected(new.order_no, Reason.TOO_LATE)]


def test_at_close_order_waits_through_trading_and_other_auctions() -> None:
    book = quoted()
    waiting = order("buy", 3, 105, AT_CLOSE)
    assert book.submit(waiting) == [Rested(waiting.order_no, 105, 0)]
    book.set_phase(AUCTION)
    assert book.indicative() is None
    book.set_phase(CONTINUOUS)
    book.set_phase(CLOSING)
    assert traded(book.set_phase(CLOSED), waiting) == [(101, 3)]


def test_at_close_order_ends_with_its_auction_though_trading_goes_on() -> None:
    book = calling(CLOSING)
    waiting = submitted(book, order("buy", 3, 105, AT_CLOSE))
    assert book.set_phase(CONTINUOUS) == [
        Expired(waiting.order_no, 3, Reason.AUCTION_OVER),
        PhaseChanged(CONTINUOUS),
    ]


def test_at_close_order_outlasts_a_halt_of_its_auction() -> None:
    book = calling(CLOSING)
    waiting = submitted(book, order("buy", 3, 105, AT_CLOSE))
    book.set_phase(HALTED)
    book.set_phase(CLOSING)
    assert waiting.order_no in book.orders


def test_at_close_order_can_be_replaced_and_cancelled() -> None:
    book = quoted()
    waiting = submitted(book, order("buy", 3, 105, AT_CLOSE))
    [replaced] = book.replace(waiting.order_no, terms_of(waiting, quantity=2))
    assert replaced.kept_priority  # type: ignore[union-attr]
    assert waiting.remaining == 2
    book.replace(waiting.order_no, terms_of(waiting, limit=104))
    assert book.cancel(waiting.order_no) == [Cancelled(waiting.order_no, 2, Reason.REQUESTED)]


@pytest.mark.parametrize(
    "terms",
    [
        {"stop": 100},
        {"peg": PegReference.PRIMARY},
        {"display": 1},
        {"post_only": True},
        {"min_quantity": 1},
    ],
)
def test_order_for_an_auction_takes_plain_terms_only(terms: dict[str, Any]) -> None:
    book = quoted()
    new = order("buy", 3, 99, AT_CLOSE, **terms)
    assert book.submit(new) == [Rejected(new.order_no, Reason.UNSUPPORTED)]


def test_market_order_left_by_an_auction_meets_the_quote() -> None:
    book = quoted(quote_in_auctions=False)
    book.set_phase(PRE_OPEN)
    buy = submitted(book, order("buy", 3))
    assert traded(book.set_phase(CONTINUOUS), buy) == [(101, 3)]


def test_market_order_left_by_an_auction_without_quote_takes_what_rests_or_ends() -> None:
    book = calling()
    buy, stop = order("buy", 3), order("sell", 2, 100, stop=100)
    submitted(book, buy, stop)
    crossed(book, ("sell", 1, 100))
    events = book.set_phase(CONTINUOUS)
    assert traded(events, buy) == [(100, 1)]
    assert Cancelled(buy.order_no, 2, Reason.NO_MARKET) in events


# Halts


def test_halt_refuses_new_orders_and_replaces_and_lets_cancels_through() -> None:
    book = quoted()
    buy = submitted(book, order("buy", 3, 98))
    book.set_phase(HALTED)
    new = order("buy", 3, 98)
    assert book.submit(new) == [Rejected(new.order_no, Reason.HALTED)]
    assert book.replace(buy.order_no, terms_of(buy, limit=97)) == [
        Refused(buy.order_no, Reason.HALTED)
    ]
    assert book.apply_quote(Quote(90, 5, 91, 5)) == []
    assert book.cancel(buy.order_no) == [Cancelled(buy.order_no, 3, Reason.REQUESTED)]


def test_closed_market_rejects_orders() -> None:
    book = quoted()
    book.set_phase(CLOSED)
    new = order("buy", 3, 98)
    assert book.submit(new) == [Rejected(new.order_no, Reason.CLOSED)]


def test_trading_that_resumes_directly_meets_the_quote() -> None:
    book = quoted()
    buy = submitted(book, order("buy", 3, 98))
    book.set_phase(HALTED)
    book.apply_quote(Quote(90, 5, 95, 2))
    assert book.set_phase(CONTINUOUS) == [
        PhaseChanged(CONTINUOUS),
        Fill(buy.order_no, None, 98, 2, took=False),
    ]


def test_trading_that_resumes_by_an_auction_has_one_price() -> None:
    book = quoted(quote_in_auctions=False)
    submitted(book, order("buy", 3, 98))
    book.set_phase(HALTED)
    book.set_phase(AUCTION)
    sell = submitted(book, order("sell", 2, 97))
    assert traded(book.set_phase(CONTINUOUS), sell) == [(98, 2)]


def test_book_that_an_interrupted_auction_left_crossed_is_uncrossed() -> None:
    book = calling(AUCTION)
    buy, sell = crossed(book, ("buy", 3, 100), ("sell", 3, 100))
    book.set_phase(HALTED)
    assert book.set_phase(CONTINUOUS) == [
        Uncrossed(100, 3, 0),
        Fill(buy.order_no, sell.order_no, 100, 3, took=False),
        PhaseChanged(CONTINUOUS),
    ]


def test_same_phase_again_changes_nothing() -> None:
    assert Book().set_phase(CONTINUOUS) == []


# Self-trade prevention


def test_own_orders_are_taken_out_before_the_price_is_made() -> None:
    book = calling(self_trade=SelfTrade.CANCEL_RESTING)
    older = order("buy", 5, 105, participant="A")
    younger = order("sell", 5, 100, participant="A")
    other = order("buy", 4, 101, participant="B")
    submitted(book, older, other, younger)
    assert book.set_phase(CONTINUOUS) == [
        Cancelled(older.order_no, 5, Reason.SELF_TRADE),
        Uncrossed(100, 4, -1),
        Fill(other.order_no, younger.order_no, 100, 4, took=False),
        PhaseChanged(CONTINUOUS),
    ]


def test_own_orders_are_decremented_in_an_auction() -> None:
    book = calling(self_trade=SelfTrade.DECREMENT)
    buy = order("buy", 5, 100, participant="A")
    sell = order("sell", 3, 100, participant="A")
    submitted(book, buy, sell)
    assert book.set_phase(CONTINUOUS) == [
        Reduced(buy.order_no, 3, Reason.SELF_TRADE),
        Cancelled(sell.order_no, 3, Reason.SELF_TRADE),
        PhaseChanged(CONTINUOUS),
    ]
    assert book.depth().bids == (Line(100, 2, 1),)


# Any auction

interests = st.lists(
    st.tuples(st.none() | st.integers(95, 105), st.integers(1, 20)), max_size=8
).map(lambda terms: [Interest(None, limit, size, n) for n, (limit, size) in enumerate(terms)])


@settings(max_examples=400, deadline=None, derandomize=True)
@given(interests, interests, st.none() | st.integers(93, 107))
def test_price_of_any_auction_is_that_of_trying_every_price(
    buys: list[Interest], sells: list[Interest], reference: int | None
) -> None:
    found = find_price(buys, sells, reference, 1)
    tried = {}
    for price in range(90, 110):
        bought = sum(b.quantity for b in buys if b.limit is None or b.limit >= price)
        sold = sum(s.quantity for s in sells if s.limit is None or s.limit <= price)
        tried[price] = min(bought, sold), bought - sold
    limits = [i.limit for i in (*buys, *sells) if i.limit is not None]
    volume = max(v for v, _ in tried.values())
    if not volume or (not limits and reference is None):
        assert found is None
        return
    assert found is not None
    assert (found.volume, found.imbalance) == tried[found.price]
    assert found.volume == volume
    if not limits:
        assert found.price == reference
        return
    at_limits = {p: tried[p] for p in limits if tried[p][0] == volume}
    least = min(abs(left) for _, left in at_limits.values())
    assert abs(found.imbalance) <= least
    best = [p for p, (_, left) in at_limits.items() if abs(left) == least]
    lefts = {tried[p][1] for p in best}
    if min(lefts) > 0:
        assert found.price == max(best)
    elif max(lefts) < 0:
        assert found.price == min(best)
    elif reference is not None:
        between = range(min(best), max(best) + 1)
        assert found.price == min(between, key=lambda p: abs(p - reference))


@settings(max_examples=300, deadline=None, derandomize=True)
@given(interests, interests)
def test_pairs_of_any_auction_execute_its_volume_by_priority(
    buys: list[Interest], sells: list[Interest]
) -> None:
    found = find_price(buys, sells, 100, 1)
    if found is None:
        return
    pairs = list(pair_up(buys, sells, found.price))
    assert sum(pair.quantity for pair in pairs) == found.volume
    for mine, position, sign in ((buys, 0, -1), (sells, 1, 1)):
        done = {
            one.rank: sum(pair.quantity for pair in pairs if pair[position] is one)  # type: ignore[misc]
            for one in mine
        }
        ordered = sorted(mine, key=lambda i: (i.limit is not None, sign * (i.limit or 0), i.rank))
        partly = [one for one in ordered if done[one.rank] < one.quantity]
        # Behind the first that did not get everything, nobody gets anything.
        assert all(done[one.rank] == 0 for one in partly[1:])
        if partly:
            behind = ordered[ordered.index(partly[0]) + 1 :]
            assert all(done[one.rank] == 0 for one in behind)
