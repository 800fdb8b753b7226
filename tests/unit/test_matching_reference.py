"""The price-time book against a slow one of another make, event by event."""

from __future__ import annotations

from dataclasses import replace
from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st

from matching_cases import restored
from matching_checks import Cancel, New, Replace, pick
from matching_flows import make_plain_flow
from matching_reference import SlowBook
from tsdb_trader.venue.matching import Book
from tsdb_trader.venue.matching_values import Quote, Status


@settings(max_examples=300, deadline=None, derandomize=True)
@given(st.integers(0, 2**32), st.integers(1, 100), st.integers(1, 30))
def test_price_time_book_any_flow_does_what_the_slow_book_does(
    seed: int, length: int, restart_every: int
) -> None:
    book, slow = Book(), SlowBook()
    for number, step in enumerate(make_plain_flow(Random(seed), length), 1):
        if number % restart_every == 0:
            book = restored(book)
        match step:
            case New():
                order = replace(step.order, order_no=number)
                assert book.submit(order) == slow.submit(replace(order, rank=0))
                assert (order.status is Status.WORKING) == (number in book.orders)
            case Quote():
                assert book.apply_quote(step) == slow.apply_quote(step)
            case Cancel():
                chosen = pick(book, step)
                assert book.cancel(chosen) == slow.cancel(chosen)
            case Replace():
                chosen = pick(book, step)
                assert book.replace(chosen, step.terms) == slow.replace(chosen, step.terms)
        depth = book.depth()
        assert list(depth.bids) == slow.depth(True)
        assert list(depth.asks) == slow.depth(False)
