"""portfolio.replay against plain accounting in exact fractions."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from decimal import Decimal
from fractions import Fraction
from typing import Any

import psycopg
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from psycopg.types.json import Jsonb

METHODS = ("average", "fifo", "lifo")


@pytest.fixture(scope="module")
def replay(server, clones) -> Iterator[Any]:
    """Return portfolio.replay on one connection: nothing is written here."""
    name = clones.take()
    with psycopg.connect(server.url(database=name), autocommit=True) as conn:

        def call(fills: Any, method: str | None) -> list[Any]:
            return conn.execute(
                "select n, position, average_price, realized, fees from portfolio.replay(%s, %s)",
                (Jsonb(fills), method),
            ).fetchall()

        yield call
    clones.give_back(name)


def fill(side: str, quantity: str, price: str, fee: str = "0") -> dict[str, str]:
    return {"side": side, "quantity": quantity, "price": price, "fee": fee}


FILLS = st.lists(
    st.builds(
        fill,
        st.sampled_from(["buy", "sell", "sell_short"]),
        st.decimals("0.001", "1000", places=3).map(str),
        st.decimals("0.01", "500", places=2).map(str),
        st.decimals("-1", "5", places=4).map(str),
    ),
    max_size=25,
)


def accounted(fills: list[dict[str, str]], method: str) -> list[tuple[Fraction, ...]]:
    """Return position, average price and realized after each fill, lot by lot."""
    lots: deque[list[Fraction]] = deque()
    realized, found = Fraction(0), []
    for each in fills:
        price = Fraction(each["price"])
        left = Fraction(each["quantity"]) * (1 if each["side"] == "buy" else -1)
        while left and lots and lots[0][0] * left < 0:
            lot = lots[-1] if method == "lifo" else lots[0]
            taken = min(abs(lot[0]), abs(left)) * (1 if lot[0] > 0 else -1)
            realized += taken * (price - lot[1])
            lot[0] -= taken
            left += taken
            if not lot[0]:
                lots.remove(lot)
        if left:
            lots.append([left, price])
        held = sum(lot[0] for lot in lots)
        cost = sum(lot[0] * lot[1] for lot in lots)
        if method == "average" and held:
            lots = deque([[held, cost / held]])
        found.append((held, cost / held if held else Fraction(0), realized))
    return found


@given(FILLS, st.sampled_from(METHODS))
@settings(max_examples=150, deadline=None)
def test_replay_is_plain_accounting(replay, fills, method) -> None:
    found = replay(fills, method)
    assert [row[0] for row in found] == list(range(1, len(fills) + 1))
    for row, (held, average, realized) in zip(found, accounted(fills, method), strict=True):
        assert Fraction(row[1]) == held
        assert float(row[2]) == pytest.approx(float(average), rel=1e-9)
        assert float(row[3]) == pytest.approx(float(realized), abs=1e-6)
        if method != "average":
            assert Fraction(row[3]) == realized, "no division, no rounding"
    assert [row[4] for row in found] == [
        sum(Decimal(f["fee"]) for f in fills[: n + 1]) for n in range(len(fills))
    ]


@given(FILLS)
@settings(max_examples=80, deadline=None)
def test_realized_and_unrealized_together_are_the_same_under_every_method(replay, fills) -> None:
    if not fills:
        return
    mark = Decimal("123.45")
    totals = [
        realized + position * (mark - average)
        for _, position, average, realized, _ in (replay(fills, m)[-1] for m in METHODS)
    ]
    cash = sum(
        Decimal(f["quantity"]) * Decimal(f["price"]) * (-1 if f["side"] == "buy" else 1)
        for f in fills
    )
    held = replay(fills, "fifo")[-1][1]
    for total in totals:
        assert float(total) == pytest.approx(float(cash + held * mark), abs=1e-6), "it ties to cash"


def test_replay_by_hand(replay) -> None:
    fills = [
        fill("buy", "100", "10", "1"),
        fill("buy", "100", "12", "1"),
        fill("sell", "150", "13", "2"),
    ]
    fills += [fill("sell", "100", "9", "1"), fill("buy", "50", "8")]
    assert replay(fills, "average") == [
        (1, 100, 10, 0, 1),
        (2, 200, 11, 0, 2),
        (3, 50, 11, 300, 4),
        (4, -50, 9, 200, 5),
        (5, 0, 0, 250, 5),
    ]
    assert replay(fills, "fifo")[2:] == [
        (3, 50, 12, 350, 4),
        (4, -50, 9, 200, 5),
        (5, 0, 0, 250, 5),
    ]
    assert replay(fills, "lifo")[2] == (3, 50, 10, 250, 4)


def test_replay_takes_numbers_and_no_fills(replay) -> None:
    assert replay([], "average") == []
    assert replay([{"side": "buy", "quantity": 1, "price": 2.5}], "fifo") == [
        (1, 1, Decimal("2.5"), 0, 0)
    ]


@pytest.mark.parametrize("method", [None, "", "FIFO", "hifo"])
def test_replay_by_an_unknown_method_is_refused(replay, method) -> None:
    with pytest.raises(psycopg.Error) as caught:
        replay([], method)
    assert caught.value.sqlstate == "TT001"


@pytest.mark.parametrize(
    "fills",
    [
        None,
        {},
        [1],
        [{}],
        [fill("short", "1", "1")],
        [fill("buy", "0", "1")],
        [fill("buy", "-1", "1")],
        [fill("buy", "NaN", "1")],
        [fill("buy", "infinity", "1")],
        [fill("buy", "1", "NaN")],
        [fill("buy", "1", "x")],
        [fill("buy", "1", "1", "NaN")],
        [{"side": "buy", "quantity": "1"}],
        [{"quantity": "1", "price": "1"}],
    ],
)
def test_replay_of_an_unusable_fill_names_it(replay, fills) -> None:
    good = [fill("buy", "1", "1")]
    with pytest.raises(psycopg.Error) as caught:
        replay(good + fills if isinstance(fills, list) else fills, "average")
    assert caught.value.sqlstate == "TT001"
    if isinstance(fills, list):
        assert "fill 2" in str(caught.value)
