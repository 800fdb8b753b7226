"""What holds for every book, whatever its rules and whatever comes."""

from __future__ import annotations

from dataclasses import replace
from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st

from matching_cases import restored, terms_of
from matching_checks import Checked, apply
from matching_flows import make_flow, make_rules
from tsdb_trader.venue.matching import Book
from tsdb_trader.venue.matching_events import Refused
from tsdb_trader.venue.matching_values import Matching

seeds = st.integers(0, 2**32)
lengths = st.integers(1, 120)


@settings(max_examples=400, deadline=None, derandomize=True)
@given(seeds, lengths)
def test_book_any_flow_keeps_its_promises(seed: int, length: int) -> None:
    random = Random(seed)
    checked = Checked(make_rules(random))
    dark = checked.book.rules.matching is Matching.MIDPOINT
    for number, step in enumerate(make_flow(random, length, dark), 1):
        checked.step(step, number)


@settings(max_examples=200, deadline=None, derandomize=True)
@given(seeds, lengths, st.integers(5, 25))
def test_restored_book_any_further_flow_goes_on_like_the_original(
    seed: int, length: int, restart_every: int
) -> None:
    random = Random(seed)
    rules = make_rules(random)
    book, copies = Book(rules), [Book(rules)]
    flow = make_flow(random, length, rules.matching is Matching.MIDPOINT)
    for number, step in enumerate(flow, 1):
        events, _ = apply(book, step, number)
        for copy in copies:
            assert apply(copy, step, number)[0] == events
            assert copy.state == book.state
            assert copy.orders == book.orders
            assert copy.depth() == book.depth()
            assert copy.indicative() == book.indicative()
        if number % restart_every == 0:
            copies = [*copies[-3:], restored(book)]


@settings(max_examples=100, deadline=None, derandomize=True)
@given(seeds, lengths)
def test_replace_with_the_same_terms_changes_nothing(seed: int, length: int) -> None:
    random = Random(seed)
    rules = make_rules(random)
    book = Book(rules)
    flow = make_flow(random, length, rules.matching is Matching.MIDPOINT)
    for number, step in enumerate(flow, 1):
        apply(book, step, number)
    state = book.state
    for order in list(book.orders.values()):
        before = replace(order)
        [event] = book.replace(order.order_no, terms_of(order))
        assert isinstance(event, Refused) or event.kept_priority
        assert order == before
        assert book.orders[order.order_no] is order
    assert book.state == state
