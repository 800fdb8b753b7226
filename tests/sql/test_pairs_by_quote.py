"""The pairs strategy that other engines run against the database's, and the comparison of their orders."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest
from psycopg.types.json import Jsonb

from pair_market import PARAMETERS
from pairs_by_quote import Pair, Trade, compare

T0 = datetime(2013, 10, 8, 14, 0, tzinfo=UTC)
TRADE = Trade(1, 1, 1_000_000, "exit", -20, 10.5)


def make_news(seed: int) -> list[tuple[int, float | None, float | None]]:
    """Make a market whose spread wanders over every threshold, with gaps and legs without news."""
    rng = random.Random(seed)
    now, spread, news = 0, 0.0, []
    for _ in range(3000):
        now += rng.choice((1000, 250_000, 1_000_000)) if rng.random() > 0.002 else 400_000_000
        spread += -0.02 * spread + rng.gauss(0, 0.0006) + (0.01 if rng.random() < 0.002 else 0)
        a = round(50 * (1 + spread), 4) if rng.random() < 0.8 else None
        b = round(50 * (1 + rng.gauss(0, 0.0001)), 4) if rng.random() < 0.6 else None
        news.append((now, a, b))
    return news


@pytest.mark.parametrize("mean", [None, 0.0])
def test_step_over_random_news_gives_the_databases_states(
    conn: psycopg.Connection, mean: float | None
) -> None:
    parameters = PARAMETERS | {"mean": mean, "hedge_ratio": 0.9 if mean is None else 1.0}
    news = [n for n in make_news(seed=7) if n[1] is not None or n[2] is not None]
    with conn.cursor(row_factory=psycopg.rows.dict_row) as cursor:
        expected: list[dict[str, Any]] = cursor.execute(
            "select * from signal.trace_pair(%s::timestamptz[], %s::float8[], %s::float8[], "
            "signal.read_parameters(null, %s))",
            (
                [T0 + timedelta(microseconds=n[0]) for n in news],
                [n[1] for n in news],
                [n[2] for n in news],
                Jsonb(parameters),
            ),
        ).fetchall()
    pair = Pair(parameters)
    events = []
    for row, (now, a, b) in zip(expected, news, strict=True):
        event = pair.step(now, a, b)
        events.append(event)
        assert event == row["event"]
        assert pair.held == (row["quantity_a"] or 0, row["quantity_b"] or 0)
        assert pair.z_score == pytest.approx(row["z_score"], rel=1e-9, abs=1e-9)
    assert {"enter_long", "enter_short", "exit", "stop"} <= set(events)


def test_compare_with_another_price_finds_no_difference() -> None:
    other = Trade(1, 1, 1_000_000, "exit", -20, 10.49)
    assert compare([TRADE], [other]) == ([], [])


@pytest.mark.parametrize(
    "other",
    [
        Trade(2, 1, 1_000_000, "exit", -20),
        Trade(1, 2, 1_000_000, "exit", -20),
        Trade(1, 1, 1_000_001, "exit", -20),
        Trade(1, 1, 1_000_000, "stop", -20),
        Trade(1, 1, 1_000_000, "exit", 20),
    ],
)
def test_compare_with_another_decision_names_both(other: Trade) -> None:
    assert compare([TRADE], [other]) == ([TRADE], [other])
    assert compare([TRADE], []) == ([TRADE], [])
    assert compare([], [TRADE]) == ([], [TRADE])


def test_compare_with_one_decision_twice_is_refused() -> None:
    with pytest.raises(ValueError, match="two orders"):
        compare([TRADE, TRADE], [TRADE])
