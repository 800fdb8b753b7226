"""The dark book: midpoint executions between orders."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from matching_cases import fills_of, order, quoted, submitted, terms_of
from tsdb_trader.venue.matching import Book
from tsdb_trader.venue.matching_events import (
    Cancelled,
    Expired,
    Fill,
    PhaseChanged,
    Rejected,
    Replaced,
    Rested,
)
from tsdb_trader.venue.matching_values import (
    Depth,
    Matching,
    Order,
    PegReference,
    Phase,
    Quote,
    Reason,
    SelfTrade,
    Status,
    TimeInForce,
)

IOC, FOK, GTD = TimeInForce.IOC, TimeInForce.FOK, TimeInForce.GTD


def dark(bid: int = 98, ask: int = 102, **rules: Any) -> Book:
    return quoted(bid, 5, ask, 5, matching=Matching.MIDPOINT, **rules)


def met(book: Book, new: Order) -> list[tuple[int | None, int]]:
    return [(f.counter_no, f.quantity) for f in fills_of(book.submit(new))]


def test_two_orders_meet_at_the_midpoint() -> None:
    book = dark()
    sell, buy = order("sell", 5, 99), order("buy", 3, 105)
    assert book.submit(sell) == [Rested(sell.order_no, None, 0)]
    assert book.submit(buy) == [Fill(buy.order_no, sell.order_no, 100, 3, took=False)]
    assert (sell.remaining, buy.status) == (2, Status.FILLED)


def test_midpoint_on_half_a_unit_is_exact() -> None:
    book = dark(98, 101)
    submitted(book, order("sell", 1, 99))
    [fill] = fills_of(book.submit(order("buy", 1, 100)))
    assert (fill.price, fill.half) == (99, True)
    assert fill.exact == Decimal("99.5")


@pytest.mark.parametrize(("limit", "trades"), [(100, True), (99, False)])
def test_limit_is_the_worst_price_at_half_a_unit_too(limit: int, trades: bool) -> None:
    book = dark(98, 101)
    submitted(book, order("sell", 1))
    assert bool(met(book, order("buy", 1, limit))) is trades


def test_nothing_is_displayed() -> None:
    book = dark()
    submitted(book, order("buy", 3, 100), order("sell", 3, 101))
    assert book.depth() == Depth((), ())
    assert list(book.displayed()) == []
    assert len(book.orders) == 2


def test_orders_do_not_trade_with_the_quote() -> None:
    book = dark()
    buy = order("buy", 3, 500)
    assert book.submit(buy) == [Rested(buy.order_no, None, 0)]
    assert book.apply_quote(Quote(90, 5, 92, 5)) == []
    assert book.ask is not None
    assert book.ask.left == 5


def test_priority_is_time_whatever_the_limit() -> None:
    book = dark()
    first, second = order("sell", 2, 100), order("sell", 2, 90)
    submitted(book, first, second)
    assert met(book, order("buy", 3)) == [(first.order_no, 2), (second.order_no, 1)]


def test_midpoint_peg_is_an_order_whose_limit_is_the_worst_price() -> None:
    book = dark()
    peg = order("sell", 2, 101, peg=PegReference.MIDPOINT)
    submitted(book, peg)
    assert met(book, order("buy", 1)) == []
    book.apply_quote(Quote(100, 5, 103, 5))
    assert peg.remaining == 1


def test_midpoint_that_moves_lets_orders_trade_the_oldest_first() -> None:
    book = dark()
    buys = [order("buy", 2, 99), order("buy", 2, 98)]
    sell = order("sell", 3, 95)
    submitted(book, *buys, sell)
    assert book.apply_quote(Quote(95, 5, 101, 5)) == [
        Fill(buys[0].order_no, sell.order_no, 98, 2, took=False),
        Fill(buys[1].order_no, sell.order_no, 98, 1, took=False),
    ]


def test_midpoint_that_moves_away_stops_orders() -> None:
    book = dark()
    buy = submitted(book, order("buy", 2, 100))
    book.apply_quote(Quote(100, 5, 104, 5))
    sell = order("sell", 1)
    assert met(book, sell) == []
    assert book.apply_quote(Quote(99, 5, 101, 5)) == [
        Fill(buy.order_no, sell.order_no, 100, 1, took=False)
    ]


def test_quote_with_an_empty_side_is_no_midpoint() -> None:
    book = dark()
    book.apply_quote(Quote(98, 0, 102, 5))
    buy, sell = order("buy", 1, 105), order("sell", 1, 95)
    submitted(book, buy, sell)
    assert not fills_of(book.submit(order("buy", 1, None, IOC)))
    assert len(fills_of(book.apply_quote(Quote(98, 1, 102, 5)))) == 1


# Minima


def test_minimum_quantity_holds_for_each_execution() -> None:
    book = dark()
    small, big = order("sell", 4), order("sell", 6)
    submitted(book, small, big)
    assert met(book, order("buy", 10, min_quantity=5)) == [(big.order_no, 6), (small.order_no, 4)]


def test_minimum_quantity_of_the_resting_order_holds_too() -> None:
    book = dark()
    picky, other = order("sell", 10, min_quantity=5), order("sell", 10)
    submitted(book, picky, other)
    assert met(book, order("buy", 4)) == [(other.order_no, 4)]
    assert met(book, order("buy", 5)) == [(picky.order_no, 5)]


def test_minimum_quantity_falls_to_what_remains() -> None:
    book = dark()
    picky = submitted(book, order("sell", 7, min_quantity=5))
    assert met(book, order("buy", 5)) == [(picky.order_no, 5)]
    assert met(book, order("buy", 1, None, IOC)) == []
    assert met(book, order("buy", 2)) == [(picky.order_no, 2)]


def test_minimum_that_has_fallen_lets_an_order_passed_over_trade() -> None:
    book = dark()
    picky, passed_over = order("sell", 10, min_quantity=6), order("buy", 4)
    submitted(book, picky, passed_over)
    buy = order("buy", 6)
    assert book.submit(buy) == [
        Fill(buy.order_no, picky.order_no, 100, 6, took=False),
        Fill(picky.order_no, passed_over.order_no, 100, 4, took=False),
    ]


# Times, phases, terms


def test_ioc_and_fok_do_not_rest() -> None:
    book = dark()
    sell = submitted(book, order("sell", 3))
    ioc, fok = order("buy", 2, None, IOC), order("buy", 2, None, FOK)
    assert met(book, ioc) == [(sell.order_no, 2)]
    assert book.submit(fok) == [Cancelled(fok.order_no, 2, Reason.NOTHING_MORE)]
    rest = order("buy", 4, None, IOC)
    assert book.submit(rest)[-1] == Cancelled(rest.order_no, 3, Reason.NOTHING_MORE)


def test_ioc_without_midpoint_finds_no_market() -> None:
    book = Book(dark().rules)
    buy = order("buy", 2, None, IOC)
    assert book.submit(buy) == [Cancelled(buy.order_no, 2, Reason.NO_MARKET)]


def test_fok_counts_only_what_its_minimum_lets_it_take() -> None:
    book = dark()
    submitted(book, order("sell", 2), order("sell", 4))
    fok = order("buy", 6, None, FOK, min_quantity=5)
    assert met(book, fok) == []
    fok = order("buy", 6, None, FOK, min_quantity=2)
    assert len(met(book, fok)) == 2


@pytest.mark.parametrize(
    "terms",
    [
        {"stop": 100},
        {"display": 1, "limit": 100},
        {"post_only": True, "limit": 100},
        {"peg": PegReference.PRIMARY},
        {"peg": PegReference.MIDPOINT, "peg_offset": 1},
        {"tif": TimeInForce.AT_CLOSE},
    ],
)
def test_terms_that_need_a_display_a_trigger_or_an_auction_are_rejected(
    terms: dict[str, Any],
) -> None:
    book = dark()
    new = order("buy", 2, **terms)
    assert book.submit(new) == [Rejected(new.order_no, Reason.UNSUPPORTED)]


def test_orders_rest_untraded_before_trading_begins_and_in_a_halt() -> None:
    book = dark()
    book.set_phase(Phase.PRE_OPEN)
    buy, sell = order("buy", 2), order("sell", 2)
    assert not fills_of([*book.submit(buy), *book.submit(sell)])
    assert book.indicative() is None
    assert book.set_phase(Phase.CONTINUOUS) == [
        PhaseChanged(Phase.CONTINUOUS),
        Fill(buy.order_no, sell.order_no, 100, 2, took=False),
    ]


def test_halt_keeps_orders_until_it_ends() -> None:
    book = dark()
    buy, sell = order("buy", 2, 99), order("sell", 2)
    submitted(book, buy, sell)
    book.set_phase(Phase.HALTED)
    assert book.apply_quote(Quote(94, 5, 98, 5)) == []
    assert len(fills_of(book.set_phase(Phase.CONTINUOUS))) == 1


def test_expire_and_end_of_day_take_orders_out() -> None:
    book = dark()
    noon = datetime(2020, 1, 2, 12, tzinfo=UTC)
    gtd, day = order("buy", 1, None, GTD, expire_at=noon), order("buy", 2, 90)
    submitted(book, gtd, day)
    assert book.expire(noon) == [Expired(gtd.order_no, 1, Reason.EXPIRE_TIME)]
    assert book.end_of_day() == [Expired(day.order_no, 2, Reason.END_OF_DAY)]
    assert met(book, order("sell", 1)) == []


# Replace and self-trades


def test_replace_quantity_down_keeps_priority() -> None:
    book = dark()
    first, second = order("sell", 5), order("sell", 5)
    submitted(book, first, second)
    [event] = book.replace(first.order_no, terms_of(first, quantity=3))
    assert event == Replaced(first.order_no, 3, 3, kept_priority=True)
    assert met(book, order("buy", 4)) == [(first.order_no, 3), (second.order_no, 1)]


def test_replace_minimum_down_loses_priority_and_trades() -> None:
    book = dark()
    picky, buy = order("sell", 10, min_quantity=8), order("buy", 4)
    submitted(book, picky, buy)
    assert book.replace(picky.order_no, terms_of(picky, min_quantity=4)) == [
        Replaced(picky.order_no, 10, 10, kept_priority=False),
        Fill(picky.order_no, buy.order_no, 100, 4, took=False),
        Rested(picky.order_no, None, 0),
    ]


def test_replace_quantity_down_below_the_minimum_lets_it_trade() -> None:
    book = dark()
    picky, buy = order("sell", 10, min_quantity=5), order("buy", 4)
    submitted(book, picky, buy)
    events = book.replace(picky.order_no, terms_of(picky, quantity=4, min_quantity=4))
    assert fills_of(events)[0].quantity == 4


@pytest.mark.parametrize(
    ("policy", "over", "filled"),
    [
        (SelfTrade.CANCEL_RESTING, ["own"], 3),
        (SelfTrade.CANCEL_INCOMING, ["buy"], 0),
        (SelfTrade.CANCEL_BOTH, ["own", "buy"], 0),
        (SelfTrade.DECREMENT, ["own"], 1),
    ],
)
def test_self_trade_policies(policy: SelfTrade, over: list[str], filled: int) -> None:
    book = dark(self_trade=policy)
    own = order("sell", 2, participant="A")
    other = order("sell", 5, participant="B")
    submitted(book, own, other)
    buy = order("buy", 3, participant="A")
    events = book.submit(buy)
    names = {own.order_no: "own", buy.order_no: "buy"}
    assert [names[e.order_no] for e in events if isinstance(e, Cancelled)] == over
    assert sum(f.quantity for f in fills_of(events)) == filled
