"""Position sizes against numpy and scipy."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any

import numpy as np
import psycopg
import pytest
from scipy import optimize

from daily_bars import add_bars
from factories import add_instrument


def one(conn: psycopg.Connection, statement: str, *arguments: Any) -> Any:
    row = conn.execute(statement, arguments).fetchone()
    assert row is not None
    return row[0]


def covariance(n: int, seed: int) -> np.ndarray[Any, Any]:
    """Return a covariance of n positions with correlations of both signs."""
    rng = np.random.default_rng(seed)
    factors = rng.normal(size=(n, 3 * n))
    scale = rng.uniform(0.005, 0.05, n)
    found: np.ndarray[Any, Any] = np.corrcoef(factors) * np.outer(scale, scale)
    return found


def test_size_by_volatility_gives_the_target_volatility(conn: psycopg.Connection) -> None:
    returns = np.random.default_rng(1).normal(0, 0.013, 60)
    notional = one(conn, "select signal.size_by_volatility(%s, 500)", list(returns))
    assert np.std(notional * returns, ddof=1) == pytest.approx(500, rel=1e-12)


@pytest.mark.parametrize(
    ("returns", "target", "message"),
    [
        ([0.01, 0.01, 0.01], 1, "do not vary"),
        ([0.01], 1, "do not vary"),
        ([], 1, "do not vary"),
        ([0.01, float("nan")], 1, "not finite"),
        ([0.01, None, 0.02], 1, "missing"),
        ([0.01, 0.02], 0, "above zero"),
        ([0.01, 0.02], float("nan"), "above zero"),
    ],
)
def test_size_by_volatility_input_that_cannot_be_is_refused(
    conn: psycopg.Connection, returns: list[Any], target: float, message: str
) -> None:
    with pytest.raises(psycopg.Error, match=message) as caught:
        conn.execute("select signal.size_by_volatility(%s::float8[], %s)", (returns, target))
    assert caught.value.sqlstate == "TT001"


@pytest.mark.parametrize(("n", "given"), [(1, False), (2, False), (5, True), (30, True)])
def test_size_by_risk_budget_equals_an_optimisation_by_scipy(
    conn: psycopg.Connection, n: int, given: bool
) -> None:
    matrix = covariance(n, n) if n > 1 else np.array([[0.0004]])
    budgets = np.random.default_rng(n).uniform(0.2, 2, n) if given else np.ones(n)
    sizes = np.array(
        one(
            conn,
            "select signal.size_by_risk_budget(%s, 1000, %s::float8[])",
            matrix.tolist(),
            budgets.tolist() if given else None,
        )
    )
    share = budgets / budgets.sum()
    contributions = sizes * (matrix @ sizes) / (sizes @ matrix @ sizes)
    assert contributions == pytest.approx(share, rel=1e-9)
    assert np.sqrt(sizes @ matrix @ sizes) == pytest.approx(1000, rel=1e-12)
    # The same by minimising the convex function of logarithms of sizes.
    scale = np.sqrt(np.diag(matrix))
    correlation = matrix / np.outer(scale, scale)
    found = optimize.minimize(
        lambda x: np.exp(x) @ correlation @ np.exp(x) / 2 - share @ x,
        np.zeros(n),
        jac=lambda x: np.exp(x) * (correlation @ np.exp(x)) - share,
        method="BFGS",
        options={"gtol": 1e-10},
    )
    other = np.exp(found.x) / scale
    other *= 1000 / np.sqrt(other @ matrix @ other)
    assert sizes == pytest.approx(other, rel=1e-5)


@pytest.mark.parametrize(
    ("matrix", "budgets", "target", "message"),
    [
        ([[1.0, 0.5]], None, 1, "square"),
        ([], None, 1, "square"),
        ([[1.0, 0.5], [0.4, 1.0]], None, 1, "symmetric"),
        ([[1.0, 0.0], [0.0, 0.0]], None, 1, "positive on its diagonal"),
        ([[1.0, float("nan")], [float("nan"), 1.0]], None, 1, "finite"),
        ([[1.0, -1.0], [-1.0, 1.0]], None, 1, "singular"),
        ([[1.0, 2.0], [2.0, 1.0]], None, 1, "negative variance"),
        ([[1.0, 0.9, 0.0], [0.9, 1.0, 0.9], [0.0, 0.9, 1.0]], None, 1, "negative variance"),
        ([[1.0, 0.0], [0.0, 1.0]], [1.0], 1, "one for each"),
        ([[1.0, 0.0], [0.0, 1.0]], [1.0, 0.0], 1, "above zero"),
        ([[1.0, 0.0], [0.0, 1.0]], [1.0, 1.0], -1, "above zero"),
    ],
)
def test_size_by_risk_budget_input_that_cannot_be_is_refused(
    conn: psycopg.Connection, matrix: Any, budgets: Any, target: float, message: str
) -> None:
    with pytest.raises(psycopg.Error, match=message) as caught:
        conn.execute(
            "select signal.size_by_risk_budget(%s::float8[], %s, %s::float8[])",
            (matrix, target, budgets),
        )
    assert caught.value.sqlstate == "TT001"


def test_size_by_risk_budget_of_more_positions_than_returns_is_solved(
    conn: psycopg.Connection,
) -> None:
    # Singular, but no variance is negative: numpy's smallest eigenvalue is zero but for rounding.
    returns = (
        np.random.default_rng(4).normal(0.0, 0.01, (20, 30))
        + 0.02 * np.linspace(-1, 1, 20)[:, None]
    )
    matrix = np.cov(returns, rowvar=False)
    assert np.linalg.eigvalsh(matrix)[0] < 1e-15
    sizes = np.array(one(conn, "select signal.size_by_risk_budget(%s, 100)", matrix.tolist()))
    assert sizes * (matrix @ sizes) == pytest.approx(np.full(30, 100**2 / 30), rel=1e-9)


def test_daily_returns_are_those_of_the_weighted_position_known_then(
    conn: psycopg.Connection,
) -> None:
    rng = np.random.default_rng(3)
    days: list[date | str] = [date(2014, 1, 1) + timedelta(days=n) for n in range(40)]
    closes = np.round(50 * np.exp(np.cumsum(rng.normal(0, 0.02, (40, 2)), axis=0)), 4)
    for n, symbol in enumerate(("AAA", "BBB")):
        add_bars(conn, add_instrument(conn, symbol),
                 {d: float(c) for k, (d, c) in enumerate(zip(days, closes[:, n], strict=True))
                  if n == 0 or k != 20})  # fmt: skip
    as_of = datetime(2014, 1, 31, 15, 0, tzinfo=UTC)  # the 31st bar is not over
    returns = one(
        conn,
        "select signal.daily_returns('{AAA,BBB}', '{1,-0.5}', 'daily', %s, 28)",
        as_of,
    )
    known = np.delete(closes[:30], 20, axis=0)
    expected = known[1:] / known[:-1] - 1
    assert returns == pytest.approx(expected[:, 0] - 0.5 * expected[:, 1], rel=1e-12)
    for arguments, message in (
        (("{AAA}", "{1,2}", as_of, 10), "a weight for each"),
        (("{AAA}", "{1}", as_of, 1), "from 2 to"),
        (("{AAA}", "{1}", as_of, 30), "has 29 daily returns"),
    ):
        with pytest.raises(psycopg.Error, match=message) as caught:
            conn.execute(
                "select signal.daily_returns(%s, %s, 'daily', %s, %s)",
                arguments,
            )
        assert caught.value.sqlstate == "TT001"
