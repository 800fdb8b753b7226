"""Stop orders and pegged orders: when they trigger and move, and what comes of it."""

from __future__ import annotations

from typing import Any

import pytest

from matching_cases import fills_of, order, quoted, submitted, terms_of, traded
from tsdb_trader.venue.matching import Book
from tsdb_trader.venue.matching_events import (
    Cancelled,
    Fill,
    Refused,
    Rejected,
    Replaced,
    Repriced,
    Rested,
    Triggered,
)
from tsdb_trader.venue.matching_values import (
    Line,
    PegReference,
    Quote,
    Reason,
    Status,
    TimeInForce,
)

PRIMARY, MIDPOINT, MARKET = PegReference
IOC = TimeInForce.IOC


# Stops


def test_buy_stop_waits_until_the_ask_reaches_it() -> None:
    book = quoted()
    stop = order("buy", 3, stop=103)
    assert book.submit(stop) == [Rested(stop.order_no, None, 0)]
    assert book.apply_quote(Quote(100, 5, 102, 5)) == []
    assert book.apply_quote(Quote(101, 5, 103, 5)) == [
        Triggered(stop.order_no, 103),
        Fill(stop.order_no, None, 103, 3),
    ]


def test_sell_stop_waits_until_the_bid_reaches_it() -> None:
    book = quoted()
    stop = submitted(book, order("sell", 3, stop=97))
    assert book.apply_quote(Quote(98, 5, 100, 5)) == []
    assert traded(book.apply_quote(Quote(96, 5, 99, 5)), stop) == [(96, 3)]


def test_side_of_the_quote_without_size_triggers_nothing() -> None:
    book = quoted()
    submitted(book, order("buy", 3, stop=103))
    assert book.apply_quote(Quote(101, 5, 103, 0)) == []
    stop = order("buy", 3, stop=103)
    assert book.submit(stop) == [Rested(stop.order_no, None, 0)]


def test_triggered_stop_queues_behind_those_who_rest() -> None:
    book = quoted()
    stop, plain = order("buy", 1, 100, stop=102), order("buy", 1, 100)
    submitted(book, stop, plain)
    book.apply_quote(Quote(99, 5, 102, 5))
    assert stop.rank > plain.rank
    assert fills_of(book.submit(order("sell", 1, 100)))[0].counter_no == plain.order_no


def test_stop_is_triggered_by_a_trade_of_the_book() -> None:
    book = quoted(bid=95, ask=99)
    stop = submitted(book, order("sell", 2, stop=94))
    sell, buy = order("sell", 1, 94), order("buy", 1, 94)
    book.apply_quote(Quote(95, 0, 99, 5))
    submitted(book, buy)
    assert book.submit(sell) == [
        Fill(sell.order_no, buy.order_no, 94, 1),
        Triggered(stop.order_no, 94),
        Rested(stop.order_no, None, 0),
    ]
    assert traded(book.apply_quote(Quote(93, 5, 99, 5)), stop) == [(93, 2)]


def test_stop_that_is_reached_already_is_triggered_on_entry() -> None:
    book = quoted()
    stop = order("buy", 3, stop=101)
    assert book.submit(stop) == [Triggered(stop.order_no, 101), Fill(stop.order_no, None, 101, 3)]


def test_old_trade_does_not_trigger_a_new_stop_while_there_is_a_quote() -> None:
    book = quoted()
    submitted(book, order("sell", 1, 100), order("buy", 1, 100))
    stop = order("buy", 1, stop=100)
    book.apply_quote(Quote(90, 5, 92, 5))
    assert book.submit(stop) == [Rested(stop.order_no, None, 0)]


def test_last_trade_triggers_a_new_stop_where_there_is_no_quote() -> None:
    book = Book()
    submitted(book, order("sell", 1, 100), order("buy", 1, 100), order("sell", 9, 105))
    stop = order("buy", 1, stop=100)
    assert book.submit(stop)[0] == Triggered(stop.order_no, 100)


def test_stop_limit_rests_at_its_limit_once_triggered() -> None:
    book = quoted()
    stop = submitted(book, order("buy", 9, 103, stop=102))
    assert stop.price is None
    assert book.apply_quote(Quote(100, 5, 103, 5)) == [
        Triggered(stop.order_no, 103),
        Fill(stop.order_no, None, 103, 5),
        Rested(stop.order_no, 103, 4),
    ]
    assert stop.triggered


def test_stop_limit_post_only_that_would_take_is_cancelled_when_triggered() -> None:
    book = quoted()
    stop = submitted(book, order("buy", 9, 103, stop=102, post_only=True))
    assert book.apply_quote(Quote(100, 5, 103, 5)) == [
        Triggered(stop.order_no, 103),
        Cancelled(stop.order_no, 9, Reason.POST_ONLY),
    ]


def test_stop_ioc_remainder_is_cancelled_when_triggered() -> None:
    book = quoted()
    stop = submitted(book, order("buy", 9, None, IOC, stop=102))
    events = book.apply_quote(Quote(100, 5, 103, 5))
    assert events[-1] == Cancelled(stop.order_no, 4, Reason.NOTHING_MORE)


def test_stop_market_without_market_is_cancelled_when_triggered() -> None:
    book = Book()
    sell, stop = order("sell", 1, 100), order("buy", 2, stop=100)
    submitted(book, sell, stop)
    buy = order("buy", 1, 100)
    assert book.submit(buy)[1:] == [
        Triggered(stop.order_no, 100),
        Cancelled(stop.order_no, 2, Reason.NO_MARKET),
    ]


def test_stops_triggered_at_once_become_active_in_the_order_of_entry() -> None:
    book = quoted()
    far, near = order("buy", 1, stop=105), order("buy", 1, stop=103)
    submitted(book, far, near)
    events = book.apply_quote(Quote(104, 5, 106, 9))
    assert [e.order_no for e in events if isinstance(e, Triggered)] == [
        far.order_no,
        near.order_no,
    ]


def test_stop_triggers_a_cascade_in_steps() -> None:
    book = Book()
    submitted(book, order("sell", 1, 100), order("sell", 1, 104), order("sell", 1, 108))
    # The older one is reached only by the trade of the younger one.
    second, first = order("buy", 1, 110, stop=104), order("buy", 1, 110, stop=100)
    submitted(book, second, first)
    buy = order("buy", 1, 100)
    events = book.submit(buy)
    assert [e for e in events if isinstance(e, Triggered)] == [
        Triggered(first.order_no, 100),
        Triggered(second.order_no, 104),
    ]
    assert [(f.order_no, f.price) for f in fills_of(events)] == [
        (buy.order_no, 100),
        (first.order_no, 104),
        (second.order_no, 108),
    ]


def test_replaced_stop_waits_for_its_new_price() -> None:
    book = quoted()
    stop = submitted(book, order("buy", 1, stop=103))
    events = book.replace(stop.order_no, terms_of(stop, stop=105))
    assert events == [Replaced(stop.order_no, 1, 1, False), Rested(stop.order_no, None, 0)]
    assert book.apply_quote(Quote(100, 5, 104, 5)) == []
    assert len(fills_of(book.apply_quote(Quote(100, 5, 105, 5)))) == 1


def test_replaced_stop_that_the_market_has_reached_is_triggered() -> None:
    book = quoted()
    stop = submitted(book, order("buy", 1, stop=103))
    events = book.replace(stop.order_no, terms_of(stop, stop=100))
    assert events[1] == Triggered(stop.order_no, 101)
    assert stop.status is Status.FILLED


def test_cancelled_stop_is_never_triggered() -> None:
    book = quoted()
    stop = submitted(book, order("buy", 1, stop=103))
    book.cancel(stop.order_no)
    assert book.apply_quote(Quote(103, 5, 104, 5)) == []


def test_replace_of_the_stop_price_is_refused_once_triggered() -> None:
    book = quoted()
    stop = submitted(book, order("buy", 9, 101, stop=100))
    assert stop.triggered
    [event] = book.replace(stop.order_no, terms_of(stop, stop=99))
    assert event == Refused(stop.order_no, Reason.TOO_LATE)


# Pegs


@pytest.mark.parametrize(
    ("side", "terms", "price"),
    [
        ("buy", {"peg": PRIMARY}, 98),
        ("sell", {"peg": PRIMARY}, 104),
        ("buy", {"peg": PRIMARY, "peg_offset": 2}, 100),
        ("buy", {"peg": PRIMARY, "peg_offset": -2}, 96),
        ("sell", {"peg": PRIMARY, "peg_offset": 2}, 106),
        ("buy", {"peg": MARKET, "peg_offset": -2}, 102),
        ("sell", {"peg": MARKET, "peg_offset": 2}, 100),
        # The midpoint, 101, is no tick of 2.
        ("buy", {"peg": MIDPOINT}, 100),
        ("sell", {"peg": MIDPOINT}, 102),
        ("buy", {"peg": PRIMARY, "limit": 96}, 96),
        ("sell", {"peg": PRIMARY, "limit": 106}, 106),
        ("buy", {"peg": PRIMARY, "limit": 200}, 98),
    ],
)
def test_peg_stands_at_its_reference(side: str, terms: dict[str, Any], price: int) -> None:
    book = quoted(98, 5, 104, 5, tick=2)
    peg = order(side, 3, **terms)
    assert book.submit(peg) == [Rested(peg.order_no, price, 3)]
    assert peg.price == price


def test_midpoint_peg_stands_at_the_midpoint_where_that_is_a_tick() -> None:
    book = quoted(98, 5, 102, 5)
    buy, sell = order("buy", 3, peg=MIDPOINT), order("sell", 2, peg=MIDPOINT)
    assert book.submit(buy) == [Rested(buy.order_no, 100, 3)]
    assert book.submit(sell) == [Fill(sell.order_no, buy.order_no, 100, 2)]


def test_market_peg_takes_the_far_side_and_follows_it() -> None:
    book = quoted()
    peg = order("buy", 7, peg=MARKET)
    assert book.submit(peg) == [Fill(peg.order_no, None, 101, 5), Rested(peg.order_no, 101, 2)]
    assert book.apply_quote(Quote(99, 5, 102, 1)) == [
        Repriced(peg.order_no, 102),
        Fill(peg.order_no, None, 102, 1),
        Rested(peg.order_no, 102, 1),
    ]


def test_peg_that_moves_loses_time_priority() -> None:
    book = quoted()
    peg, plain = order("buy", 1, peg=PRIMARY), order("buy", 1, 98)
    submitted(book, peg, plain)
    assert book.apply_quote(Quote(98, 5, 101, 5)) == [
        Repriced(peg.order_no, 98),
        Rested(peg.order_no, 98, 1),
    ]
    assert peg.rank > plain.rank
    book.apply_quote(Quote(98, 0, 101, 5))
    sell = order("sell", 1, 98)
    assert fills_of(book.submit(sell))[0].counter_no == plain.order_no


def test_peg_that_does_not_move_keeps_its_place() -> None:
    book = quoted()
    peg = submitted(book, order("buy", 1, peg=PRIMARY))
    rank = peg.rank
    assert book.apply_quote(Quote(99, 7, 105, 5)) == []
    assert peg.rank == rank


def test_peg_capped_by_its_limit_stays_when_the_reference_goes_further() -> None:
    book = quoted()
    peg = submitted(book, order("buy", 1, 99, peg=PRIMARY))
    assert book.apply_quote(Quote(100, 5, 103, 5)) == []
    assert peg.price == 99


def test_peg_moves_before_the_quote_trades() -> None:
    book = quoted()
    peg, plain = order("buy", 2, peg=PRIMARY), order("buy", 2, 99)
    submitted(book, peg, plain)
    assert book.apply_quote(Quote(96, 5, 98, 5)) == [
        Fill(plain.order_no, None, 99, 2, took=False),
        Repriced(peg.order_no, 96),
        Rested(peg.order_no, 96, 2),
    ]


def test_pegs_that_move_together_keep_their_order() -> None:
    book = quoted()
    pegs = [order("buy", 1, peg=PRIMARY) for _ in range(3)]
    submitted(book, *pegs)
    book.apply_quote(Quote(98, 0, 103, 5))
    assert [p.price for p in pegs] == [99, 99, 99]
    book.apply_quote(Quote(97, 1, 103, 5))
    assert [o.order_no for o in book.displayed()] == [p.order_no for p in pegs]


def test_peg_without_reference_waits_for_one() -> None:
    book = Book()
    peg = order("buy", 1, peg=MIDPOINT)
    assert book.submit(peg) == [Rested(peg.order_no, None, 0)]
    assert book.apply_quote(Quote(98, 5, 102, 0)) == []
    assert book.apply_quote(Quote(98, 5, 102, 1)) == [
        Repriced(peg.order_no, 100),
        Rested(peg.order_no, 100, 1),
    ]
    assert book.depth().bids == (Line(100, 1, 1), Line(98, 5, 1))


def test_peg_ioc_without_reference_is_cancelled() -> None:
    book = Book()
    peg = order("buy", 1, None, IOC, peg=PRIMARY)
    assert book.submit(peg) == [Cancelled(peg.order_no, 1, Reason.NOTHING_MORE)]


def test_peg_below_the_lowest_price_stands_nowhere() -> None:
    book = quoted(2, 5, 4, 5)
    peg = order("buy", 1, peg=PRIMARY, peg_offset=-2)
    assert book.submit(peg) == [Rested(peg.order_no, None, 0)]


def test_peg_post_only_that_would_take_is_rejected() -> None:
    book = quoted()
    peg = order("buy", 1, peg=MARKET, post_only=True)
    assert book.submit(peg) == [Rejected(peg.order_no, Reason.POST_ONLY)]


def test_peg_post_only_that_moves_to_where_it_would_take_is_cancelled() -> None:
    book = quoted()
    sell = submitted(book, order("sell", 2, 102))
    peg, plain = order("buy", 1, peg=PRIMARY, post_only=True), order("buy", 1, peg=PRIMARY)
    submitted(book, peg, plain)
    # The new bid takes only one of two.
    assert book.apply_quote(Quote(102, 1, 104, 5)) == [
        Fill(sell.order_no, None, 102, 1, took=False),
        Repriced(peg.order_no, 102),
        Cancelled(peg.order_no, 1, Reason.POST_ONLY),
        Repriced(plain.order_no, 102),
        Fill(plain.order_no, sell.order_no, 102, 1),
    ]


def test_replaced_peg_offset_moves_it() -> None:
    book = quoted()
    peg = submitted(book, order("buy", 1, peg=PRIMARY))
    assert book.replace(peg.order_no, terms_of(peg, peg_offset=-1)) == [
        Replaced(peg.order_no, 1, 1, kept_priority=False),
        Rested(peg.order_no, 98, 1),
    ]
