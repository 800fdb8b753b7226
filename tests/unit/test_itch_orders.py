"""The table of live orders against a dict."""

from __future__ import annotations

import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tsdb_trader.feeds.itch_orders import (
    ADD,
    DELETE,
    DUPLICATE,
    EXCESS,
    OK,
    REPLACE,
    TAKE,
    UNKNOWN,
    Actions,
    OrderTable,
)

# what, order, new order, shares, price, symbol, side
Action = tuple[int, int, int, int, int, int, int]
ids = st.sampled_from([0, 1, 2, 3, 4, 2**62, 2**63 - 1])
actions = st.tuples(
    st.sampled_from([ADD, ADD, TAKE, TAKE, DELETE, REPLACE]),
    ids,
    ids,
    st.integers(1, 3),
    st.integers(1, 9),
    st.integers(0, 5),
    st.integers(0, 1),
)


def expected(orders: dict[int, list[int]], action: Action) -> tuple[int, tuple[int, ...]]:
    """Return the verdict, and symbol, side, price as they should be filled in."""
    what, order, new, shares, price, symbol, side = action
    if what == ADD:
        if order in orders:
            return DUPLICATE, ()
        orders[order] = [symbol, side, price, shares]
        return OK, (symbol, side, price)
    if order not in orders:
        return UNKNOWN, ()
    symbol, side, resting, left = orders[order]
    if what == TAKE:
        if shares > left:
            return EXCESS, ()
        orders[order][3] -= shares
        if left == shares:
            del orders[order]
        return OK, (symbol, side, resting)
    if what == REPLACE:
        if new in orders:
            return DUPLICATE, ()
        orders[new] = [symbol, side, price, shares]
    del orders[order]
    return OK, (symbol, side, price)


def apply(table: OrderTable, block: list[Action]) -> list[tuple[int, tuple[int, ...]]]:
    columns = [np.array(c, dtype=np.int64) for c in zip(*block, strict=True)]
    asked = Actions(
        columns[0].astype(np.int8),
        *columns[1:5],
        columns[5].astype(np.int32),
        columns[6].astype(np.int8),
    )
    verdicts = table.apply(asked).tolist()
    filled = zip(asked.symbol.tolist(), asked.side.tolist(), asked.price.tolist(), strict=True)
    return [(v, f if v == OK else ()) for v, f in zip(verdicts, filled, strict=True)]


def check(blocks: list[list[Action]]) -> None:
    table = OrderTable()
    orders: dict[int, list[int]] = {}
    for block in blocks:
        wanted = [expected(orders, action) for action in block]
        assert apply(table, block) == wanted
        live = table.live
        assert live.order_id.tolist() == sorted(orders)
        columns = (live.symbol, live.side, live.price, live.shares)
        found = zip(*(column.tolist() for column in columns), strict=True)
        assert [list(row) for row in found] == [orders[i] for i in sorted(orders)]


@settings(max_examples=300, deadline=None)
@given(st.lists(st.lists(actions, min_size=1, max_size=12), max_size=5))
def test_apply_any_actions_are_those_of_a_dict(blocks):
    check(blocks)


@pytest.mark.long
def test_apply_many_actions_are_those_of_a_dict():
    source = random.Random(1)
    for _ in range(60_000):
        check([[_action(source) for _ in range(source.randint(1, 12))] for _ in range(3)])


def _action(source: random.Random) -> Action:
    order, new = source.randrange(5), source.randrange(5)
    what = source.choice((ADD, ADD, TAKE, TAKE, DELETE, REPLACE))
    rest = source.randint(1, 3), source.randint(1, 9), source.randrange(6), source.randrange(2)
    return (what, order, new, *rest)


def test_apply_chain_of_replaces_keeps_symbol_and_side():
    chain = [(ADD, 1, 0, 5, 10, 3, 1)]
    chain += [(REPLACE, i, i + 1, 5, 10 + i, 0, 0) for i in range(1, 2000)]
    check([chain, [(TAKE, 2000, 0, 5, 0, 0, 0)]])
    check([chain[:700], chain[700:]])


def test_apply_nothing_is_nothing():
    table = OrderTable()
    empty = np.empty(0, dtype=np.int64)
    nothing = Actions(
        empty.astype(np.int8),
        empty,
        empty,
        empty,
        empty,
        empty.astype(np.int32),
        empty.astype(np.int8),
    )
    assert len(table.apply(nothing)) == 0
