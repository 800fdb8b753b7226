"""Statistics of all pairs on made-up series: against statsmodels, and where there is no test."""

from __future__ import annotations

import warnings
from datetime import date, timedelta
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from statsmodels.tsa.stattools import coint
from statsmodels.tsa.vector_ar.vecm import coint_johansen

from tsdb_trader.research import cointegration, formation, hedging

Array = npt.NDArray[np.float64]


def walk(random: np.random.Generator, days: int, volatility: float) -> Array:
    return np.asarray(30 * np.exp(np.cumsum(random.normal(0, volatility, days))))


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 100_000),
    days=st.integers(60, 400),
    volatility=st.sampled_from([0.001, 0.02, 0.2]),
    tied=st.floats(0, 1),
    lags=st.integers(0, 3),
    quantum=st.sampled_from([1e-9, 0.01, 0.25]),
)
def test_statistics_of_any_pair_equal_statsmodels(seed, days, volatility, tied, lags, quantum):
    random = np.random.default_rng(seed)
    b = walk(random, days, volatility)
    a = b**tied * walk(random, days, volatility / 3)
    prices = np.maximum(np.round(np.array([a, b]) / quantum) * quantum, quantum)
    if (np.ptp(prices, axis=1) == 0).any():
        return
    found = cointegration.all_pairs(prices, lags)
    if np.isnan(found.t[0]):
        # Coarse prices that hardly move.
        assert len(np.unique(prices[0])) < 12 or found.r2[0] >= cointegration.COLLINEAR
        return
    logs = np.log(prices)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        t, p, _ = coint(logs[0], logs[1], trend="c", maxlag=lags, autolag=None)
        traces = coint_johansen(logs.T, 0, max(lags, 1)).lr1
    assert found.t[0] == pytest.approx(t, rel=1e-6, abs=1e-6)
    assert found.p_value[0] == pytest.approx(p, abs=1e-6)
    ours = hedging.johansen_traces(logs[:1], logs[1:], max(lags, 1))[0]
    if not np.isnan(ours).any():
        np.testing.assert_allclose(ours, traces, rtol=1e-5, atol=1e-6)


def flat(days: int, *changes: tuple[int, float]) -> Array:
    """Return a series that moves on some days only."""
    found = np.full(days, 20.0)
    for day, change in changes:
        found[day:] += change
    return found


def alternating(days: int) -> Array:
    return np.where(np.arange(days) % 2 == 0, 20.0, 21.0)


@pytest.mark.parametrize(
    ("a", "b"),
    [
        # Each of these raised, or had an infinite t, which passes every test.
        (alternating(120), flat(120, (60, 2.0))),
        (alternating(121), flat(121, (1, 1.5))),
        (alternating(121), 10 + 0.01 * np.arange(121)),
    ],
)
def test_pair_without_a_test_is_refused_and_the_others_go_on(a, b):
    days = a.size
    random = np.random.default_rng(3)
    first = walk(random, days, 0.02)
    others = np.array([first, first * np.exp(random.normal(0, 0.01, days))])
    universe = formation.Universe(
        [date(2015, 1, 1) + timedelta(days=n) for n in range(days)],
        [1, 2, 3, 4],
        ["A", "B", "C", "D"],
        np.array([a, b, *others]),
    )
    chosen = formation.choose(universe, formation.Rules(min_days=100, max_half_life=1000))
    assert [(r.a, r.b, r.reason) for r in chosen.refusals] == [(1, 2, "degenerate")]
    assert chosen.tested == 5
    pair = cointegration.all_pairs(others)
    alone = cointegration.all_pairs(universe.closes)
    assert alone.t[-1] == pytest.approx(pair.t[0], rel=1e-12)
    assert np.isfinite(chosen.statistics.t).all()


@pytest.mark.parametrize("a", [flat(120, (119, 1.0)), flat(120, (1, 1.0)), alternating(120)])
def test_johansen_of_a_leg_that_hardly_moves_is_unknown_and_the_others_are_not(a):
    random = np.random.default_rng(4)
    b, c = walk(random, 120, 0.02), walk(random, 120, 0.02)
    found = hedging.johansen_traces(np.log([a, c]), np.log([flat(120, (119, 2.0)), b]), 1)
    assert np.isnan(found[0]).all()
    expected = coint_johansen(np.log(np.array([c, b]).T), 0, 1).lr1
    np.testing.assert_allclose(found[1], expected, rtol=1e-8)


def test_rolling_slope_of_a_leg_that_did_not_move_is_unknown():
    random = np.random.default_rng(5)
    a, b = np.log(walk(random, 90, 0.02)), np.log(walk(random, 90, 0.02))
    b[50:] = b[50]
    found = hedging.rolling_slopes(a[None], b[None], 30)[0]
    assert np.isnan(found[79:]).all()
    assert np.isfinite(found[29:79]).all()


def test_universe_of_one_symbol_has_no_pair_and_keeps_its_refusals():
    universe = formation.Universe([date(2015, 1, 1)], [1], ["A"], np.array([[1.0]]))
    chosen = formation.choose(universe, formation.Rules())
    assert (chosen.tested, chosen.eligible, len(chosen.statistics)) == (0, 0, 0)


def closes(**changes: Any) -> Any:
    return formation.Closes(**({"instrument_id": 1, "symbol": "A", "problem": None} | changes))


@pytest.mark.parametrize("price", [float("nan"), float("inf"), 0.0, -1.0])
def test_price_that_cannot_be_is_refused_or_a_missing_day(price):
    days = [date(2015, 1, 1) + timedelta(days=n) for n in range(130)]
    values = [20.0 + 0.1 * (n % 7) for n in range(130)]
    broken = [price if n == 60 else v for n, v in enumerate(values)]
    universe, refusals = formation.build_universe(
        [
            closes(dates=days, closes=broken),
            closes(instrument_id=2, symbol="B", dates=days, closes=values),
        ],
        [],
        formation.Rules(),
    )
    if np.isnan(price):
        assert universe.symbols == ["A", "B"]
        assert universe.closes[0, 60] == universe.closes[0, 59]
    else:
        assert universe.symbols == ["B"]
        assert [(r.a, r.reason) for r in refusals] == [(1, "bad_price")]
