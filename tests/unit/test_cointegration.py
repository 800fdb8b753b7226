"""Statistics of all pairs against statsmodels, scipy, arch and plain loops, on real closes."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import statsmodels.api as sm
from scipy import stats
from statsmodels.stats.multitest import multipletests
from statsmodels.tsa.adfvalues import mackinnonp
from statsmodels.tsa.stattools import adfuller, coint

from daily_bars import sp500_closes
from tsdb_trader.research import cointegration
from tsdb_trader.research.cointegration import Statistics

pytestmark = pytest.mark.needs_data


@pytest.fixture(scope="module")
def closes(data_folder: Path) -> Any:
    """Return a year's closes of 160 symbols, more than one block of rows."""
    frame = sp500_closes(data_folder).loc["2014":"2014"].dropna(axis=1)
    return np.ascontiguousarray(frame.to_numpy().T[::3])


@pytest.fixture(scope="module")
def found(closes: Any) -> Statistics:
    """Return the statistics of all their pairs."""
    return cointegration.all_pairs(closes)


def some(found: Statistics, count: int = 60) -> list[int]:
    """Return pairs at random, and the extreme ones."""
    drawn = np.random.default_rng(1).choice(len(found), count, replace=False)
    ends = [found.t.argmin(), found.t.argmax(), found.r2.argmax(), found.r2.argmin()]
    return [int(n) for n in (*drawn, *ends)]


def test_all_pairs_are_every_pair_once(closes: Any, found: Statistics) -> None:
    count = closes.shape[0]
    assert count > 128
    assert len(found) == count * (count - 1) // 2
    assert len({frozenset((int(a), int(b))) for a, b in zip(found.a, found.b, strict=True)}) == len(
        found
    )


def test_legs_are_in_the_order_given_whatever_the_data(found: Statistics) -> None:
    assert np.all(found.a < found.b)


def test_t_and_p_value_equal_statsmodels_coint(closes: Any, found: Statistics) -> None:
    logs = np.log(closes)
    for n in some(found):
        t, p, critical = coint(
            logs[found.a[n]], logs[found.b[n]], trend="c", maxlag=1, autolag=None
        )
        assert found.t[n] == pytest.approx(t, abs=1e-8)
        assert found.p_value[n] == pytest.approx(p, abs=1e-8)
        assert cointegration.critical_values(closes.shape[1]) == pytest.approx(critical, abs=1e-12)


@pytest.mark.parametrize("lags", [0, 2, 5])
def test_t_with_other_lags_equals_statsmodels_coint(closes: Any, lags: int) -> None:
    some_closes = closes[:12]
    found = cointegration.all_pairs(some_closes, lags)
    logs = np.log(some_closes)
    for n in range(len(found)):
        t = coint(logs[found.a[n]], logs[found.b[n]], trend="c", maxlag=lags, autolag=None)[0]
        assert found.t[n] == pytest.approx(t, abs=1e-8)
        # The fit that half-lives come from does not depend on the lags of the test.
        assert found.phi[n] == pytest.approx(fitted(logs, found, n)[1], abs=1e-9)


def test_t_equals_arch(closes: Any, found: Statistics) -> None:
    arch = pytest.importorskip("arch.unitroot.cointegration", reason="arch is not installed")
    import pandas as pd

    logs = np.log(closes)
    for n in some(found, 10):
        y, x = (
            pd.Series(logs[leg[n]], name=name) for leg, name in ((found.a, "y"), (found.b, "x"))
        )
        tested = arch.engle_granger(y, x, trend="c", lags=1, method="bic")
        assert found.t[n] == pytest.approx(tested.stat, abs=1e-8)
        # Its response surface is another simulation, with the number of days in it.
        assert found.p_value[n] == pytest.approx(tested.pvalue, abs=0.02)


def fitted(logs: Any, found: Statistics, n: int) -> tuple[Any, float]:
    """Return the regression of a pair, and phi of its residuals, by statsmodels."""
    regression = sm.OLS(logs[found.a[n]], sm.add_constant(logs[found.b[n]])).fit()
    residuals = np.asarray(regression.resid)
    phi = sm.OLS(residuals[1:], sm.add_constant(residuals[:-1])).fit().params[1]
    return regression, float(phi)


def test_regression_and_autoregression_equal_statsmodels(closes: Any, found: Statistics) -> None:
    logs = np.log(closes)
    for n in some(found):
        regression, phi = fitted(logs, found, n)
        assert found.hedge_ratio[n] == pytest.approx(regression.params[1], rel=1e-9, abs=1e-12)
        assert found.r2[n] == pytest.approx(regression.rsquared, abs=1e-11)
        assert found.deviation[n] == pytest.approx(np.std(regression.resid, ddof=1), rel=1e-9)
        assert found.phi[n] == pytest.approx(phi, abs=1e-9)


def test_dickey_fuller_of_residuals_is_without_a_constant(closes: Any, found: Statistics) -> None:
    logs = np.log(closes)
    residuals = np.asarray(fitted(logs, found, 0)[0].resid)
    t = adfuller(residuals, maxlag=1, autolag=None, regression="n", result_object=False)[0]
    assert found.t[0] == pytest.approx(t, abs=1e-8)


def test_distance_is_that_of_normalised_prices(closes: Any, found: Statistics) -> None:
    normalised = closes / closes[:, :1]
    for n in some(found):
        by_hand = sum((normalised[found.a[n]] - normalised[found.b[n]]) ** 2)
        assert found.distance[n] == pytest.approx(by_hand, rel=1e-10)


def test_p_values_equal_mackinnons_everywhere() -> None:
    t = np.linspace(-25, 3, 1_401)
    expected = [mackinnonp(value, regression="c", N=2) for value in t]
    np.testing.assert_allclose(cointegration.p_values(t), expected, rtol=1e-12, atol=1e-15)


@pytest.mark.parametrize("method", ["bh", "by"])
def test_adjusted_p_values_of_statsmodels_equal_scipys(found: Statistics, method: str) -> None:
    adjusted = multipletests(found.p_value, method=f"fdr_{method}")[1]
    np.testing.assert_allclose(
        adjusted, stats.false_discovery_control(found.p_value, method=method), rtol=1e-12
    )


def test_half_life_halves_a_deviation_in_that_many_days() -> None:
    phi = np.array([0.5, 0.9, 0.99])
    np.testing.assert_allclose(phi ** cointegration.half_lives(phi), 0.5)
    # The other convention: ln 2 over the slope of changes on levels.
    np.testing.assert_allclose(cointegration.euler_half_lives(phi), math.log(2) / (1 - phi))
    assert np.all(cointegration.euler_half_lives(phi) > cointegration.half_lives(phi))


def test_half_life_without_reversion_is_infinite() -> None:
    phi = np.array([-0.2, 0.0, 1.0, 1.1, np.nan])
    assert np.all(np.isinf(cointegration.half_lives(phi)))
    assert np.isinf(cointegration.euler_half_lives(phi)).tolist() == [
        False,
        False,
        True,
        True,
        True,
    ]


def test_half_life_of_a_simulated_process_is_found() -> None:
    rng = np.random.default_rng(5)
    days, theta = 20_000, 0.05
    walk = np.cumsum(rng.normal(0, 0.02, days))
    spread = np.zeros(days)
    # The exact step of an Ornstein-Uhlenbeck process over a day.
    for n in range(1, days):
        spread[n] = math.exp(-theta) * spread[n - 1] + rng.normal(0, 0.005)
    prices = np.exp(np.stack([3 + 0.7 * walk + spread, walk]))
    found = cointegration.all_pairs(prices)
    assert found.hedge_ratio[0] == pytest.approx(0.7, abs=0.02)
    assert cointegration.half_lives(found.phi)[0] == pytest.approx(math.log(2) / theta, rel=0.15)
    assert found.p_value[0] < 1e-6


def test_false_positives_of_independent_walks_are_as_many_as_announced() -> None:
    rng = np.random.default_rng(6)
    prices = np.exp(np.cumsum(rng.normal(0, 0.01, (400, 500)), axis=1))
    p = np.concatenate(
        [cointegration.all_pairs(prices[n : n + 2]).p_value for n in range(0, 400, 2)]
    )
    # 200 independent tests at 5%: binomial, 10 expected; 22 have a probability of 0.0003.
    assert 2 <= np.sum(p < 0.05) <= 21


def test_collinear_legs_have_no_test(closes: Any) -> None:
    found = cointegration.all_pairs(np.stack([closes[0], closes[0] * 3, closes[1]]))
    same = (found.a != 2) & (found.b != 2)
    assert np.isnan(found.t[same]).all()
    assert np.isnan(found.phi[same]).all()
    assert np.isnan(found.p_value[same]).all()
    assert np.isfinite(found.p_value[~same]).all()


def test_block_size_changes_nothing(
    closes: Any, found: Statistics, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cointegration, "_BLOCK", 17)
    done: list[tuple[int, int]] = []
    other = cointegration.all_pairs(closes, progress=lambda n, of: done.append((n, of)))
    np.testing.assert_array_equal(other.a, found.a)
    np.testing.assert_allclose(other.t, found.t, rtol=1e-9)
    assert done[-1] == (len(found), len(found))
    assert len(done) == math.ceil(closes.shape[0] / 17)
