"""Self-trade prevention and price bands in continuous trading."""

from __future__ import annotations

import pytest

from matching_cases import fills_of, order, quoted, submitted, terms_of, traded
from tsdb_trader.venue.matching import Book
from tsdb_trader.venue.matching_events import (
    Cancelled,
    Event,
    Fill,
    Reduced,
    Refused,
    Rejected,
    Rested,
    Triggered,
)
from tsdb_trader.venue.matching_values import (
    Line,
    PegReference,
    Phase,
    Quote,
    Reason,
    Rules,
    SelfTrade,
    Status,
    TimeInForce,
)

FOK = TimeInForce.FOK
SELF = Reason.SELF_TRADE


def policed(policy: SelfTrade) -> Book:
    return Book(Rules(self_trade=policy))


# Self-trades


@pytest.mark.parametrize(
    ("policy", "expected"),
    [
        (SelfTrade.ALLOW, [("own", 3), ("other", 1)]),
        (SelfTrade.CANCEL_RESTING, ["own", ("other", 4)]),
        (SelfTrade.CANCEL_INCOMING, ["buy"]),
        (SelfTrade.CANCEL_BOTH, ["own", "buy"]),
        (SelfTrade.DECREMENT, ["own", -3, ("other", 1)]),
    ],
)
def test_policy_decides_where_own_orders_would_meet(
    policy: SelfTrade, expected: list[object]
) -> None:
    book = policed(policy)
    own, other = order("sell", 3, 100, participant="A"), order("sell", 9, 101, participant="B")
    submitted(book, own, other)
    buy = order("buy", 4, 101, participant="A")
    names = {own.order_no: "own", other.order_no: "other", buy.order_no: "buy"}

    def brief(event: Event) -> object:
        match event:
            case Fill():
                return names[event.counter_no or 0], event.quantity
            case Cancelled(reason=Reason.SELF_TRADE):
                return names[event.order_no]
            case Reduced(reason=Reason.SELF_TRADE):
                return -event.quantity
        return event

    assert [brief(e) for e in book.submit(buy)] == expected


def test_decrement_takes_the_smaller_size_off_the_larger_resting_order() -> None:
    book = policed(SelfTrade.DECREMENT)
    own = submitted(book, order("sell", 9, 100, participant="A", display=4))
    buy = order("buy", 7, 100, participant="A")
    assert book.submit(buy) == [
        Reduced(own.order_no, 7, SELF),
        Cancelled(buy.order_no, 7, SELF),
    ]
    assert (own.quantity, own.remaining, own.shown) == (2, 2, 2)
    assert book.depth().asks == (Line(100, 2, 1),)


def test_decrement_of_equal_sizes_cancels_both() -> None:
    book = policed(SelfTrade.DECREMENT)
    own = submitted(book, order("sell", 5, 100, participant="A"))
    buy = order("buy", 5, 100, participant="A")
    assert book.submit(buy) == [Cancelled(own.order_no, 5, SELF), Cancelled(buy.order_no, 5, SELF)]
    assert not book.orders


def test_orders_without_participant_are_strangers() -> None:
    book = policed(SelfTrade.CANCEL_BOTH)
    submitted(book, order("sell", 5, 100))
    buy = order("buy", 5, 100)
    assert traded(book.submit(buy), buy) == [(100, 5)]


def test_prevention_reaches_waiting_market_orders() -> None:
    book = quoted(ask_size=0, self_trade=SelfTrade.CANCEL_RESTING)
    own = submitted(book, order("buy", 4, participant="A"))
    sell = order("sell", 6, participant="A")
    assert book.submit(sell) == [
        Cancelled(own.order_no, 4, SELF),
        Fill(sell.order_no, None, 99, 5),
        Rested(sell.order_no, None, 0),
    ]


def test_waiting_market_order_that_meets_its_own_is_cancelled_as_the_one_that_came() -> None:
    book = quoted(ask_size=0, self_trade=SelfTrade.CANCEL_INCOMING)
    buy = order("buy", 4, participant="A")
    sell = order("sell", 3, 103, participant="A")
    submitted(book, buy, sell)
    assert book.apply_quote(Quote(99, 5, 104, 9)) == [Cancelled(buy.order_no, 4, SELF)]
    assert book.orders == {sell.order_no: sell}


@pytest.mark.parametrize(
    ("policy", "quantity", "filled"),
    [
        (SelfTrade.CANCEL_RESTING, 6, True),
        (SelfTrade.CANCEL_RESTING, 7, False),
        (SelfTrade.CANCEL_INCOMING, 2, True),
        (SelfTrade.CANCEL_INCOMING, 3, False),
        (SelfTrade.DECREMENT, 2, True),
        (SelfTrade.DECREMENT, 3, False),
    ],
)
def test_fok_counts_only_what_prevention_lets_it_take(
    policy: SelfTrade, quantity: int, filled: bool
) -> None:
    book = policed(policy)
    ahead = order("sell", 2, 100, participant="B")
    own = order("sell", 3, 100, participant="A")
    behind = order("sell", 4, 100, participant="B")
    submitted(book, ahead, own, behind)
    buy = order("buy", quantity, 100, FOK, participant="A")
    events = book.submit(buy)
    assert (buy.status is Status.FILLED) is filled
    if not filled:
        assert events == [Cancelled(buy.order_no, quantity, Reason.NOTHING_MORE)]
        assert len(book.orders) == 3


@pytest.mark.parametrize(("older", "quantity", "filled"), [(True, 5, False), (False, 5, True)])
def test_fok_counts_the_quote_where_its_time_puts_it(
    older: bool, quantity: int, filled: bool
) -> None:
    book = quoted(ask=105, self_trade=SelfTrade.CANCEL_INCOMING)
    if older:
        submitted(book, order("sell", 3, 101, participant="A"))
    book.apply_quote(Quote(99, 5, 101, 5))
    if not older:
        submitted(book, order("sell", 3, 101, participant="A"))
    buy = submitted(book, order("buy", quantity, 101, FOK, participant="A"))
    assert (buy.status is Status.FILLED) is filled


def test_post_only_order_that_meets_only_its_own_is_rejected() -> None:
    book = policed(SelfTrade.CANCEL_RESTING)
    submitted(book, order("sell", 3, 100, participant="A"))
    buy = order("buy", 3, 100, participant="A", post_only=True)
    assert book.submit(buy) == [Rejected(buy.order_no, Reason.POST_ONLY)]


# Price bands


def banded(**rules: int) -> Book:
    """Return a book with a quote of 9,990 to 10,010 and a reference price of 10,000."""
    book = quoted(9_990, 5, 10_010, 5, **rules)
    book.set_reference(10_000)
    return book


@pytest.mark.parametrize(
    ("rules", "side", "limit", "taken"),
    [
        ({"static_band": 100}, "buy", 10_100, True),
        ({"static_band": 100}, "buy", 10_101, False),
        ({"static_band": 100}, "sell", 9_900, True),
        ({"static_band": 100}, "sell", 9_899, False),
        # The other edge restrains nobody.
        ({"static_band": 100}, "buy", 1, True),
        ({"static_band": 100}, "sell", 99_999, True),
        # Around the far side of the quote.
        ({"dynamic_band": 50}, "buy", 10_060, True),
        ({"dynamic_band": 50}, "buy", 10_061, False),
        ({"dynamic_band": 50}, "sell", 9_941, True),
        ({"dynamic_band": 50}, "sell", 9_940, False),
        # The narrower of both.
        ({"static_band": 20, "dynamic_band": 50}, "buy", 10_020, True),
        ({"static_band": 20, "dynamic_band": 50}, "buy", 10_021, False),
        # The last tick within the band.
        ({"static_band": 100, "tick": 40}, "buy", 10_080, True),
        ({"static_band": 100, "tick": 40}, "buy", 10_120, False),
        ({"dynamic_band": 50, "tick": 40}, "buy", 10_040, True),
        ({"dynamic_band": 50, "tick": 40}, "buy", 10_060, False),
    ],
)
def test_limit_outside_the_band_is_rejected(
    rules: dict[str, int], side: str, limit: int, taken: bool
) -> None:
    book = banded(**rules)
    new = order(side, 1, limit)
    events = book.submit(new)
    assert (events == [Rejected(new.order_no, Reason.PRICE_BAND)]) is not taken


def test_dynamic_band_lies_around_the_last_trade_while_the_far_side_is_empty() -> None:
    book = Book(Rules(dynamic_band=100))
    far = order("buy", 1, 99_999)
    submitted(book, order("sell", 1, 10_000), order("buy", 1, 10_000))
    assert book.submit(far) == [Rejected(far.order_no, Reason.PRICE_BAND)]
    book.apply_quote(Quote(20_000, 5, 20_001, 0))
    far = order("buy", 1, 20_000)
    assert book.submit(far) == [Rejected(far.order_no, Reason.PRICE_BAND)]


def test_market_order_stops_at_the_band() -> None:
    book = banded(static_band=100)
    book.apply_quote(Quote(10_180, 5, 10_200, 5))
    sell = submitted(book, order("sell", 2, 10_090))
    assert sell.status is Status.FILLED
    submitted(book, order("sell", 9, 10_190))
    buy = order("buy", 4)
    assert book.submit(buy) == [Cancelled(buy.order_no, 4, Reason.PRICE_BAND)]


def test_waiting_market_order_is_cancelled_when_the_quote_leaves_the_band() -> None:
    book = banded(static_band=100)
    buy = submitted(book, order("buy", 7))
    assert buy.remaining == 2
    assert book.apply_quote(Quote(10_180, 5, 10_200, 5)) == [
        Cancelled(buy.order_no, 2, Reason.PRICE_BAND)
    ]


def test_stop_limit_is_checked_against_the_market_only_when_triggered() -> None:
    book = banded(dynamic_band=50)
    stop = order("buy", 1, 10_400, stop=10_200)
    assert book.submit(stop) == [Rested(stop.order_no, None, 0)]
    assert book.apply_quote(Quote(10_190, 5, 10_210, 5)) == [
        Triggered(stop.order_no, 10_210),
        Cancelled(stop.order_no, 1, Reason.PRICE_BAND),
    ]


def test_stop_limit_outside_the_static_band_is_rejected_on_entry() -> None:
    book = banded(static_band=100)
    stop = order("buy", 1, 10_400, stop=10_200)
    assert book.submit(stop) == [Rejected(stop.order_no, Reason.PRICE_BAND)]


def test_peg_is_capped_by_the_band() -> None:
    book = banded(static_band=5)
    peg = order("buy", 1, peg=PegReference.MARKET)
    assert book.submit(peg) == [Rested(peg.order_no, 10_005, 1)]


def test_replace_to_outside_the_band_is_refused() -> None:
    book = banded(static_band=100)
    buy = submitted(book, order("buy", 1, 9_980))
    assert book.replace(buy.order_no, terms_of(buy, limit=10_200)) == [
        Refused(buy.order_no, Reason.PRICE_BAND)
    ]


def test_auction_checks_the_static_band_alone() -> None:
    book = banded(static_band=100, dynamic_band=1)
    book.set_phase(Phase.CLOSING)
    inside, outside = order("buy", 1, 10_100), order("buy", 1, 10_101)
    assert not fills_of(book.submit(inside))
    assert inside.order_no in book.orders
    assert book.submit(outside) == [Rejected(outside.order_no, Reason.PRICE_BAND)]
