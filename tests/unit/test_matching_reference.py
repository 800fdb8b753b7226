"""The price-time book against a slow one of another make, event by event."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from matching_cases import restored
from matching_reference import SlowBook
from tsdb_trader.venue.matching import Book
from tsdb_trader.venue.matching_values import Order, Quote, Status, Terms, TimeInForce

TIMES = (TimeInForce.DAY, TimeInForce.IOC, TimeInForce.FOK)
limits = st.none() | st.integers(95, 106)
quantities = st.integers(1, 12)
displays = st.none() | st.integers(1, 4)
quotes = st.builds(
    lambda bid, spread, bid_size, ask_size: Quote(bid, bid_size, bid + spread, ask_size),
    st.integers(96, 104),
    st.integers(0, 3),
    st.integers(0, 9),
    st.integers(0, 9),
)
orders = st.builds(
    lambda is_buy, limit, quantity, tif, post_only, display: Order(
        0,
        is_buy,
        limit,
        quantity,
        tif,
        post_only=post_only and limit is not None and tif is TimeInForce.DAY,
        display=None if limit is None else display,
    ),
    st.booleans(),
    limits,
    quantities,
    st.sampled_from((*TIMES, TimeInForce.DAY, TimeInForce.DAY)),
    st.sampled_from((False, False, False, True)),
    displays,
)
replaces = st.tuples(
    st.integers(1, 25),
    st.builds(lambda q, limit, d: Terms(q, limit, display=d), quantities, limits, displays),
)
steps = st.lists(orders | orders | quotes | replaces | st.integers(1, 25), max_size=50)


@settings(max_examples=400, deadline=None)
@given(steps, st.integers(0, 50))
def test_price_time_book_any_flow_does_what_the_slow_book_does(
    flow: list[Order | Quote | tuple[int, Terms] | int], restart_at: int
) -> None:
    book, slow = Book(), SlowBook()
    for number, step in enumerate(flow, 1):
        if number == restart_at:
            book = restored(book)
        match step:
            case Order():
                order = replace(step, order_no=number)
                assert book.submit(order) == slow.submit(replace(step, order_no=number))
                assert (order.status is Status.WORKING) == (number in book.orders)
            case Quote():
                assert book.apply_quote(step) == slow.apply_quote(step)
            case int():
                assert book.cancel(step) == slow.cancel(step)
            case _:
                assert book.replace(*step) == slow.replace(*step)
        depth = book.depth()
        assert list(depth.bids) == slow.depth(True)
        assert list(depth.asks) == slow.depth(False)
