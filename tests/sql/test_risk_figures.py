"""Risk figures in SQL against numpy, scipy and published examples."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from typing import Any

import numpy as np
import psycopg
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

CONFIDENCES = (0.9, 0.95, 0.975, 0.99, 0.5, 0.123)
PNL = st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=60)
# Hull, Options, Futures, and Other Derivatives: 10 million of Microsoft (2% a day), 5 million of AT&T
# (1%), correlation 0.3.
HULL = [10e6, 5e6]
HULL_COVARIANCE = [[0.02**2, 0.3 * 0.02 * 0.01], [0.3 * 0.02 * 0.01, 0.01**2]]


@pytest.fixture(scope="module")
def module_conn(server, clones) -> Iterator[psycopg.Connection]:
    """Return one connection for all: nothing is written here."""
    name = clones.take()
    with psycopg.connect(server.url(database=name), autocommit=True) as connection:
        yield connection
    clones.give_back(name)


@pytest.fixture(scope="module")
def figures(module_conn: psycopg.Connection):
    def call(statement: str, *arguments: Any) -> Any:
        return module_conn.execute(f"select {statement}", arguments).fetchone()[0]

    return call


@pytest.fixture(scope="module")
def rows(module_conn: psycopg.Connection):
    def call(statement: str, *arguments: Any) -> list[Any]:
        return module_conn.execute(f"select * from {statement}", arguments).fetchall()

    return call


def covariance(n: int, seed: int = 1) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return np.cov(rng.normal(0, 0.01, (3 * n, n)) @ rng.normal(0, 1, (n, n)), rowvar=False).reshape(
        n, n
    )


@given(PNL, st.sampled_from(CONFIDENCES), st.sampled_from(["linear", "lower"]))
@settings(max_examples=200, deadline=None)
def test_var_historical_is_numpys_quantile(figures, pnl, confidence, method) -> None:
    found = figures("risk.var_historical(%s::float8[], %s, %s)", pnl, confidence, method)
    assert found == -np.quantile(pnl, 1 - confidence, method=method)


@pytest.mark.parametrize(
    "pnl", [[5e-324], [0.0, 5e-324], [-5e-324, 0.0, 5e-324], [-1e-300, 0.0], [0.0, 1.5e-323, 1.0]]
)
@pytest.mark.parametrize("confidence", CONFIDENCES)
def test_figures_of_the_least_numbers_are_numpys(figures, pnl, confidence) -> None:
    found = figures("risk.var_historical(%s::float8[], %s)", pnl, confidence)
    assert found == -np.quantile(pnl, 1 - confidence)
    shortfall = figures("risk.expected_shortfall(%s::float8[], %s)", pnl, confidence)
    assert shortfall == pytest.approx(acerbi_tasche(pnl, confidence), rel=1e-12, abs=1e-250)


def test_var_historical_by_default_is_linear(figures) -> None:
    pnl = [float(n) for n in range(-10, 11)]
    assert figures("risk.var_historical(%s::float8[], 0.93)", pnl) == -np.quantile(pnl, 1 - 0.93)


def acerbi_tasche(pnl: list[float], confidence: float) -> float:
    """Integrate the quantile function over the tail, exactly: it is a step function."""
    tail = 1 - confidence
    steps = np.minimum(np.arange(1, len(pnl) + 1) / len(pnl), tail)
    weights = np.diff(np.concatenate([[0.0], steps]))
    return float(-(weights * np.sort(pnl)).sum() / tail)


@given(PNL, st.sampled_from(CONFIDENCES))
@settings(max_examples=200, deadline=None)
def test_expected_shortfall_is_the_tails_mean(figures, pnl, confidence) -> None:
    found = figures("risk.expected_shortfall(%s::float8[], %s)", pnl, confidence)
    assert found == pytest.approx(acerbi_tasche(pnl, confidence), rel=1e-12, abs=1e-6)


def test_expected_shortfall_with_a_fraction_of_an_observation(figures) -> None:
    pnl = [-10.0, -8.0, -4.0] + [1.0] * 22
    # 25 observations at 90%: two and a half of them are the tail.
    assert figures("risk.expected_shortfall(%s::float8[], 0.9)", pnl) == pytest.approx(20 / 2.5)


@pytest.mark.parametrize(
    "p", [1e-300, 1e-20, 1e-9, 0.001, 0.07, 0.075, 0.3, 0.5, 0.925, 0.95, 0.999, 1 - 1e-12]
)
def test_normal_quantile_is_scipys(figures, p) -> None:
    assert figures("risk._normal_quantile(%s)", p) == pytest.approx(
        stats.norm.ppf(p), rel=1e-14, abs=1e-15
    )


@pytest.mark.parametrize("degrees", [1, 2])
@pytest.mark.parametrize("value", [0, 1e-12, 0.1, 1, 3.84, 4.4, 4.6, 6.63, 40, 300, 1300, 2000])
def test_chi_square_tail_is_scipys(figures, value, degrees) -> None:
    found = figures("risk._chi_square_tail(%s, %s)", value, degrees)
    assert found == pytest.approx(stats.chi2.sf(value, degrees), rel=1e-12, abs=1e-290)


def test_var_parametric_of_hulls_portfolio(figures) -> None:
    deviation = figures(
        "risk.var_parametric(%s::float8[], %s::float8[], 0.99)", HULL, HULL_COVARIANCE
    ) / stats.norm.ppf(0.99)
    assert deviation == pytest.approx(220_227, abs=1), "220,200 in the book"


@pytest.mark.parametrize("n", [1, 2, 7, 40])
def test_var_parametric_and_components_are_numpys(figures, rows, n) -> None:
    positions = np.random.default_rng(n).normal(0, 1e6, n)
    matrix = covariance(n)
    z = stats.norm.ppf(0.975)
    var = z * math.sqrt(positions @ matrix @ positions)
    arguments = (positions.tolist(), matrix.tolist())
    assert figures(
        "risk.var_parametric(%s::float8[], %s::float8[], 0.975)", *arguments
    ) == pytest.approx(var)
    found = np.array(rows("risk.var_components(%s::float8[], %s::float8[], 0.975)", *arguments))
    assert found[:, 0].tolist() == list(range(1, n + 1))
    marginal = z * matrix @ positions / math.sqrt(positions @ matrix @ positions)
    assert found[:, 1] == pytest.approx(marginal)
    assert found[:, 2].sum() == pytest.approx(var)
    for i in range(n):
        without = positions.copy()
        without[i] = 0
        rest = z * math.sqrt(without @ matrix @ without)
        assert found[i, 3] == pytest.approx(var - rest, abs=1e-6 * var)


def test_components_of_a_whole_without_risk_are_zero(rows) -> None:
    hedged = rows("risk.var_components(array[1, -1]::float8[], '{{4,4},{4,4}}'::float8[], 0.99)")
    assert [r[1:3] for r in hedged] == [(0, 0), (0, 0)]
    assert [r[3] for r in hedged] == pytest.approx([-2 * stats.norm.ppf(0.99)] * 2)


@given(
    st.lists(st.floats(-0.2, 0.2), max_size=40),
    st.sampled_from([0.94, 0.97, 0.5]),
    st.floats(0, 0.1),
)
@settings(max_examples=100, deadline=None)
def test_ewma_volatility_is_the_weighted_sum(figures, returns, decay, initial) -> None:
    n = len(returns)
    weights = (1 - decay) * decay ** np.arange(n)[::-1]
    variance = decay**n * initial**2 + float(weights @ np.square(returns))
    found = figures("risk.ewma_volatility(%s::float8[], %s, %s)", returns, decay, initial)
    assert found == pytest.approx(math.sqrt(variance), rel=1e-12, abs=1e-15)


def test_monte_carlo_comes_near_the_formula_and_its_seed_decides(figures) -> None:
    positions = np.random.default_rng(5).normal(0, 1e6, 10)
    arguments = (positions.tolist(), covariance(10).tolist())
    exact = figures("risk.var_parametric(%s::float8[], %s::float8[], 0.95)", *arguments)
    draw = "risk.var_monte_carlo(%s::float8[], %s::float8[], 0.95, %s, %s)"
    found = [figures(draw, *arguments, 20_000, seed) for seed in (1, 1, 2)]
    assert found[0] == found[1] != found[2]
    # The standard error of this quantile is about 1.1% of it.
    assert found[0] == pytest.approx(exact, rel=0.04)


@pytest.mark.parametrize("seed", [1, 20261004])
def test_uniform_draws_of_a_path_are_uniform_and_not_correlated(rows, seed) -> None:
    """Neighbouring draws are what a normal number, and the factors of a path, are made of."""
    draws = np.array(
        [
            u
            for (u,) in rows(
                "(select array_agg(risk._uniform(%s, path, draw) order by draw) "
                "from generate_series(1, 20000) path, generate_series(2, 9) draw group by path) u",
                seed,
            )
        ]
    )
    paths, n = draws.shape
    correlations = np.corrcoef(draws, rowvar=False)[np.triu_indices(n, 1)]
    assert stats.chi2.sf(paths * np.square(correlations).sum(), correlations.size) > 1e-4
    for column in draws.T:
        assert stats.kstest(column, "uniform").pvalue > 1e-4
    # Each pair of draws is a normal number, whose tails are what VaR is read from.
    normal = np.sqrt(-2 * np.log(draws[:, ::2])) * np.cos(2 * np.pi * draws[:, 1::2])
    for tail in (0.01, 0.99):
        beyond = (normal < stats.norm.ppf(tail)).sum()
        assert stats.binomtest(int(beyond), normal.size, tail).pvalue > 1e-3


def test_normal_draws_have_the_covariance_and_give_the_same_var(figures, rows) -> None:
    matrix = covariance(3)
    draws = np.array(
        [d for _, d in rows("risk.draw_normal(%s::float8[], 20000, 7)", matrix.tolist())]
    )
    assert draws.shape == (20_000, 3)
    assert np.cov(draws, rowvar=False) == pytest.approx(matrix, rel=0.05, abs=0.03 * matrix.max())
    for column in draws.T:
        assert stats.kstest(column / column.std(), "norm").pvalue > 1e-4
    positions = [1e6, -2e6, 5e5]
    simulated = figures(
        "risk.var_monte_carlo(%s::float8[], %s::float8[], 0.99, 20000, 7)",
        positions,
        matrix.tolist(),
    )
    assert simulated == pytest.approx(-np.quantile(draws @ positions, 1 - 0.99))


def test_draws_with_a_factor_that_others_determine(rows) -> None:
    draws = np.array([d for _, d in rows("risk.draw_normal('{{4,-4},{-4,4}}'::float8[], 100, 1)")])
    assert draws[:, 0] == pytest.approx(-draws[:, 1])


def test_empirical_draws_are_whole_days_of_history(rows) -> None:
    history = [[0.01, -0.02], [0.0, 0.03], [-0.05, 0.001]]
    drawn = [tuple(d) for _, d in rows("risk.draw_empirical(%s::float8[], 3000, 11)", history)]
    assert set(drawn) == {tuple(day) for day in history}
    assert min(drawn.count(tuple(day)) for day in history) > 900
    assert drawn == [
        tuple(d) for _, d in rows("risk.draw_empirical(%s::float8[], 3000, 11)", history)
    ]


def test_non_linear_revaluation_on_draws(figures) -> None:
    """A short straddle loses by the square, either way: twice the chi-square's quantile."""
    found = figures(
        "risk.var_historical(array_agg(-(d.draws[1] ^ 2)), 0.95) "
        "from risk.draw_normal('{{1}}'::float8[], 20000, 3) d"
    )
    assert found == pytest.approx(stats.chi2.ppf(0.95, 1), rel=0.05)


def kupiec(n: int, x: int, p: float) -> float:
    """Twice the difference of scipy's binomial log-likelihoods."""
    return 2 * (stats.binom.logpmf(x, n, x / n) - stats.binom.logpmf(x, n, p))


@pytest.mark.parametrize(("n", "x"), [(250, 0), (250, 1), (250, 4), (255, 7), (1000, 30), (10, 10)])
def test_kupiec_is_the_likelihood_ratio(rows, n, x) -> None:
    [(test, statistic, p_value)] = rows("risk.kupiec_pof(%s, %s, 0.01)", n, x)
    assert test == "kupiec_pof"
    assert statistic == pytest.approx(kupiec(n, x, 0.01), rel=1e-9, abs=1e-9)
    assert p_value == pytest.approx(stats.chi2.sf(statistic, 1), rel=1e-12)


@pytest.mark.parametrize(("n", "lowest", "highest"), [(255, 1, 6), (510, 2, 10), (1000, 5, 16)])
def test_kupiec_accepts_the_published_range(rows, n, lowest, highest) -> None:
    """Kupiec 1995 (as in Jorion, Value at Risk): N < 7, 1 < N < 11, 4 < N < 17.

    The table leaves out that no exception in 255 days has a ratio of 5.13 already.
    """

    def refused(x: int) -> bool:
        return rows("risk.kupiec_pof(%s, %s, 0.01)", n, x)[0][2] < 0.05

    assert [x for x in range(30) if not refused(x)] == list(range(lowest, highest + 1))


HITS = st.lists(st.booleans(), min_size=2, max_size=80)


@given(HITS, st.sampled_from([0.01, 0.05, 0.3]))
@settings(max_examples=150, deadline=None)
def test_christoffersen_is_the_markov_likelihood_ratio(rows, hits, p) -> None:
    counts = {(a, b): 0 for a in (False, True) for b in (False, True)}
    for pair in itertools.pairwise(hits):
        counts[pair] += 1

    def likelihood(misses: int, found: int) -> float:
        total = misses + found
        return sum(k * math.log(k / total) for k in (misses, found) if k)

    independent = likelihood(
        counts[False, False] + counts[True, False], counts[False, True] + counts[True, True]
    )
    markov = sum(likelihood(counts[a, False], counts[a, True]) for a in (False, True))
    found = rows("risk.christoffersen(%s, %s)", hits, p)
    assert [r[0] for r in found] == ["independence", "conditional_coverage"]
    assert found[0][1] == pytest.approx(max(0, 2 * (markov - independent)), abs=1e-9)
    coverage = max(0, kupiec(len(hits), sum(hits), p))
    assert found[1][1] == pytest.approx(found[0][1] + coverage, rel=1e-9, abs=1e-9)
    assert found[0][2] == pytest.approx(stats.chi2.sf(found[0][1], 1), rel=1e-9)
    assert found[1][2] == pytest.approx(stats.chi2.sf(found[1][1], 2), rel=1e-9)


def test_basel_zones(figures) -> None:
    zones = [figures("risk.basel_zone(%s)", x) for x in range(12)]
    assert zones == ["green"] * 5 + ["yellow"] * 5 + ["red"] * 2


@pytest.mark.parametrize(
    "statement",
    [
        "risk.var_historical('{}', 0.9)",
        "risk.var_historical(null, 0.9)",
        "risk.var_historical('{1,null}', 0.9)",
        "risk.var_historical('{1,NaN}', 0.9)",
        "risk.var_historical('{1,infinity}', 0.9)",
        "risk.var_historical('{1}', 1)",
        "risk.var_historical('{1}', 0)",
        "risk.var_historical('{1}', 'NaN')",
        "risk.var_historical('{1}', null)",
        "risk.var_historical('{1}', 0.9, 'higher')",
        "risk.var_historical('{1}', 0.9, null)",
        "risk.expected_shortfall('{}', 0.9)",
        "risk.expected_shortfall('{1}', 1)",
        "risk.var_parametric('{1,2}', '{{1}}', 0.9)",
        "risk.var_parametric('{1}', '{1}', 0.9)",
        "risk.var_parametric('{1,1}', '{{1,2,3},{1,2,3}}', 0.9)",
        "risk.var_parametric('{1,1}', '{{1,0.5},{0.4,1}}', 0.9)",
        "risk.var_parametric('{1,-1}', '{{1,2},{2,1}}', 0.9)",
        "risk.var_parametric('{1,1}', '{{1,2},{2,1}}', 0.9)",
        "risk.var_parametric('{1,1}', '{{1,1.5},{1.5,1.5}}', 0.9)",
        "risk.var_parametric('{1,0}', '{{1,0},{0,-1}}', 0.9)",
        "risk.var_components('{1,1}', '{{1,-2},{-2,1}}', 0.9)",
        "risk.var_parametric('{1,null}', '{{1,0},{0,1}}', 0.9)",
        "risk.var_components('{1}', '{{NaN}}', 0.9)",
        "risk.ewma_volatility('{0.1}', 1, 0.1)",
        "risk.ewma_volatility('{0.1}', 0.94, -0.1)",
        "risk.ewma_volatility('{0.1}', 0.94, null)",
        "risk.ewma_volatility(null, 0.94, 0.1)",
        "risk.ewma_volatility('{NaN}', 0.94, 0.1)",
        "risk.var_monte_carlo('{1}', '{{1}}', 0.9, 0, 1)",
        "risk.var_monte_carlo('{1}', '{{1}}', 0.9, 10, null)",
        "risk.var_monte_carlo('{1,0}', '{{1,2},{2,1}}', 0.9, 10, 1)",
        "risk.var_monte_carlo(array_fill(0::float8, array[51]), array_fill(0::float8, array[51, 51]), 0.9, 10, 1)",
        "risk.draw_normal('{{0,1},{1,1}}', 10, 1)",
        "risk.draw_normal('{}', 10, 1)",
        "risk.draw_normal(null, 10, 1)",
        "risk.draw_empirical('{1,2}', 10, 1)",
        "risk.draw_empirical('{{1,2}}', 10, null)",
        "risk.kupiec_pof(0, 0, 0.01)",
        "risk.kupiec_pof(10, 11, 0.01)",
        "risk.kupiec_pof(10, -1, 0.01)",
        "risk.kupiec_pof(10, 1, 0)",
        "risk.kupiec_pof(null, 1, 0.1)",
        "risk.christoffersen('{t}', 0.01)",
        "risk.christoffersen('{t,null}', 0.01)",
        "risk.christoffersen('{{t,f},{f,t}}', 0.01)",
        "risk.christoffersen('{t,f}', 1.5)",
        "risk.basel_zone(-1)",
        "risk.basel_zone(null)",
    ],
)
def test_unusable_input_is_refused(module_conn, statement) -> None:
    with pytest.raises(psycopg.Error) as caught:
        module_conn.execute(f"select * from {statement}")
    assert caught.value.sqlstate == "TT001", caught.value
