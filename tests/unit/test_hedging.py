"""Hedge ratios over time and Johansen's test against statsmodels, on real closes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import statsmodels.api as sm
from statsmodels.regression.recursive_ls import RecursiveLS
from statsmodels.regression.rolling import RollingOLS
from statsmodels.tsa.statespace.kalman_filter import KalmanFilter
from statsmodels.tsa.vector_ar.vecm import coint_johansen

from daily_bars import sp500_closes
from tsdb_trader.research import hedging

pytestmark = pytest.mark.needs_data
PAIRS = 8


@pytest.fixture(scope="module")
def legs(data_folder: Path) -> tuple[Any, Any]:
    """Return log closes of both legs of a few pairs."""
    logs = np.log(sp500_closes(data_folder).loc["2015":"2015"].dropna(axis=1).to_numpy().T)
    return logs[:PAIRS], logs[PAIRS : 2 * PAIRS]


def test_rolling_slopes_equal_statsmodels(legs: tuple[Any, Any]) -> None:
    log_a, log_b = legs
    found = hedging.rolling_slopes(log_a, log_b, 60)
    for n in range(PAIRS):
        expected = RollingOLS(log_a[n], sm.add_constant(log_b[n]), 60).fit().params[:, 1]
        np.testing.assert_allclose(found[n], expected, rtol=1e-7)
    assert np.isnan(found[:, :59]).all()


@pytest.mark.parametrize(("slope_step", "level_step"), [(1e-3, 0.0), (5e-3, 2e-3)])
def test_kalman_slopes_equal_statsmodels_filter(
    legs: tuple[Any, Any], slope_step: float, level_step: float
) -> None:
    log_a, log_b = legs
    noise = np.linspace(1e-5, 1e-3, PAIRS)
    found = hedging.kalman_slopes(log_a, log_b, noise, slope_step=slope_step, level_step=level_step)
    for n in range(PAIRS):
        off = log_b[n] - log_b[n][0]
        model = KalmanFilter(1, 2)
        model.bind(np.ascontiguousarray(log_a[n][:, None]))
        model["design"] = np.stack([np.ones_like(off), off])[None]
        model["obs_cov"] = [[noise[n]]]
        model["transition"] = model["selection"] = np.eye(2)
        model["state_cov"] = np.diag([level_step**2, slope_step**2])
        model.initialize_known(np.zeros(2), np.eye(2) * 100)
        # The library's own way, too, keeps its digits once the wide prior has narrowed.
        level, slope = model.filter().filtered_state
        np.testing.assert_allclose(found.slope[n][10:], slope[10:], rtol=1e-6)
        whole = level - slope * log_b[n][0]
        np.testing.assert_allclose(found.level[n][10:], whole[10:], rtol=1e-6, atol=1e-6)
        deviations = np.sqrt(model.filter().filtered_state_cov[1, 1])
        np.testing.assert_allclose(found.slope_deviation[n][10:], deviations[10:], rtol=1e-6)


def test_kalman_slopes_that_do_not_walk_are_recursive_least_squares(
    legs: tuple[Any, Any],
) -> None:
    log_a, log_b = legs
    found = hedging.kalman_slopes(log_a, log_b, np.full(PAIRS, 1e-4), slope_step=0.0, prior=1e4)
    for n in range(PAIRS):
        recursive = RecursiveLS(log_a[n], sm.add_constant(log_b[n])).fit()
        expected = recursive.recursive_coefficients.filtered[1]
        np.testing.assert_allclose(found.slope[n][60:], expected[60:], atol=1e-4)


def test_hedge_ratios_do_not_depend_on_later_days(legs: tuple[Any, Any]) -> None:
    log_a, log_b = legs
    until = 150
    later_a, later_b = log_a.copy(), log_b.copy()
    later_a[:, until:] += 1.0
    later_b[:, until:] -= 0.5
    noise = np.full(PAIRS, 1e-4)
    for one, other in (
        (hedging.rolling_slopes(log_a, log_b, 60), hedging.rolling_slopes(later_a, later_b, 60)),
        (
            hedging.kalman_slopes(log_a, log_b, noise).slope,
            hedging.kalman_slopes(later_a, later_b, noise).slope,
        ),
    ):
        np.testing.assert_array_equal(one[:, :until], other[:, :until])
        assert (one[:, until:] != other[:, until:]).all()


@pytest.mark.parametrize("lags", [1, 2, 4])
def test_johansen_traces_equal_statsmodels(legs: tuple[Any, Any], lags: int) -> None:
    log_a, log_b = legs
    found = hedging.johansen_traces(log_a, log_b, lags)
    for n in range(PAIRS):
        expected = coint_johansen(np.column_stack([log_a[n], log_b[n]]), 0, lags)
        np.testing.assert_allclose(found[n], expected.lr1, rtol=1e-8)
        for row, values in enumerate(hedging.JOHANSEN_CRITICAL.values()):
            np.testing.assert_array_equal(values, expected.cvt[row])
