"""Distance and cointegration of all pairs of many series, by matrix products.

Every statistic of a pair's residual u = a - c - h b is made of sums of products of the residual,
its lags and its differences, and each such sum is bilinear in the two series:

    sum(x_u y_u) = sum(x_a y_a) - h (sum(x_a y_b) + sum(x_b y_a)) + h^2 sum(x_b y_b)

So a few products of matrices (series by days) hold what all pairs need, and no residual is ever
made. Blocks of rows bound the memory by the block, not by the number of pairs.

- distance: sum of squared differences of prices normalised to 1 on the first day (Gatev,
  Goetzmann and Rouwenhorst, Pairs Trading: Performance of a Relative-Value Arbitrage Rule, 2006);
- t statistic: the augmented Dickey-Fuller regression of the residuals of ordinary least squares of
  ln A on a constant and ln B, without a constant and with a fixed number of lags (Engle and
  Granger, 1987);
- p-value: MacKinnon's (1994) response surface for residuals of an estimated relation of two series,
  as in statsmodels; `critical_values` are those of MacKinnon (2010) for the number of days;
- phi: of the AR(1) fit u_t = k + phi u_(t-1).

Which leg is A is the order of the rows and not for the data to say: the p-values are those of a
regression that was fixed before. With the leg that varies less as A, 8.4% of pairs of independent
random walks pass the test at 5% (250 days, 120,000 pairs).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import combinations_with_replacement

import numpy as np
import numpy.typing as npt
from scipy import special
from statsmodels.tsa import adfvalues

Array = npt.NDArray[np.float64]
Indices = npt.NDArray[np.intp]

# From here on statsmodels calls two series collinear as well: the residual is rounding.
COLLINEAR = 1 - 100 * float(np.sqrt(np.finfo(float).eps))
_BLOCK = 128
# Below these shares what is left of a regressor, or of the change, is rounding.
_LEAST_OWN, _LEAST_LEFT = 1e-9, 1e-9


@dataclass(frozen=True)
class Statistics:
    """Statistics of pairs, one element per pair; `a` and `b` are rows of the prices.

    deviation is the sample standard deviation of the residuals. t, p_value and phi are NaN where
    the legs are collinear, t and p_value also where the test cannot be made: a residual that hardly
    ever changes, or whose changes follow from those before without an error.
    """

    a: Indices
    b: Indices
    distance: Array
    hedge_ratio: Array
    r2: Array
    deviation: Array
    t: Array
    p_value: Array
    phi: Array

    def __len__(self) -> int:
        return self.a.size

    def take(self, chosen: npt.NDArray[np.bool_] | Indices) -> Statistics:
        """Return the statistics of some of the pairs."""
        return Statistics(**{name: values[chosen] for name, values in vars(self).items()})


def half_lives(phi: Array) -> Array:
    """Return days until half of a deviation is gone, -ln 2 / ln phi; infinite unless 0 < phi < 1.

    Exact for an Ornstein-Uhlenbeck process seen once a day: phi = exp(-theta), half-life ln 2 /
    theta. See `euler_half_lives` for the other convention.
    """
    found = np.full(phi.shape, np.inf)
    reverts = (phi > 0) & (phi < 1)
    found[reverts] = -np.log(2) / np.log(phi[reverts])
    return found


def euler_half_lives(phi: Array) -> Array:
    """Return -ln 2 / (phi - 1): half-lives by Euler's step, longer than those of `half_lives`.

    It is what the slope of the regression of changes on levels gives; by ln 2 / 2 days for slow
    pairs, and by 39% where phi is 0.5.
    """
    found = np.full(phi.shape, np.inf)
    reverts = phi < 1
    found[reverts] = -np.log(2) / (phi[reverts] - 1)
    return found


def p_values(t: Array) -> Array:
    """Return `statsmodels.tsa.adfvalues.mackinnonp` of many statistics, two series, constant."""
    low = np.polyval(adfvalues.tau_c_smallp[1][::-1], t)
    high = np.polyval(adfvalues.tau_c_largep[1][::-1], t)
    p = special.ndtr(np.where(t <= adfvalues.tau_star_c[1], low, high))
    p[t > adfvalues.tau_max_c[1]] = 1.0
    p[t < adfvalues.tau_min_c[1]] = 0.0
    return p


def critical_values(days: int) -> tuple[float, float, float]:
    """Return MacKinnon's (2010) critical values of t at 1%, 5% and 10% for a window of days."""
    one, five, ten = adfvalues.mackinnoncrit(N=2, regression="c", nobs=days - 1)
    return float(one), float(five), float(ten)


def all_pairs(
    prices: Array, lags: int = 1, progress: Callable[[int, int], None] = lambda done, of: None
) -> Statistics:
    """Return the statistics of every pair of series, the row above as leg A.

    Parameters
    ----------
    prices
        Series by days, above zero, none of them constant.
    lags
        Lagged differences in the Dickey-Fuller regression.
    progress
        Is told how many pairs are done, of how many.
    """
    count = prices.shape[0]
    normalised = prices / prices[:, :1] - 1
    terms = _Terms.of(np.log(prices), lags)
    blocks = []
    done = 0
    for start in range(0, count, _BLOCK):
        blocks.append(_block(terms, normalised, slice(start, start + _BLOCK)))
        done += len(blocks[-1])
        progress(done, count * (count - 1) // 2)
    return Statistics(**{n: np.concatenate([vars(b)[n] for b in blocks]) for n in vars(blocks[0])})


@dataclass(frozen=True)
class _Terms:
    """What the residuals' sums are made of, series by days.

    regression holds the terms of the Dickey-Fuller regression: the level before, the lagged
    changes, and last the change itself. squares are sums of products of each series with itself.
    """

    lags: int
    centred: Array
    regression: list[Array]
    squares: dict[tuple[int, int], Array]

    @classmethod
    def of(cls, logs: Array, lags: int) -> _Terms:
        centred = logs - logs.mean(axis=1, keepdims=True)
        changes = np.diff(centred, axis=1)
        last = changes.shape[1]
        regression = [
            centred[:, lags:-1],
            *(changes[:, lags - k : last - k] for k in range(1, lags + 1)),
            changes[:, lags:],
        ]
        squares = {
            (k, m): np.einsum("ij,ij->i", regression[k], regression[m])
            for k, m in combinations_with_replacement(range(lags + 2), 2)
        }
        return cls(lags, centred, regression, squares)


def _block(terms: _Terms, normalised: Array, rows: slice) -> Statistics:
    """Return the statistics of some series with all that come after them."""
    count, days = terms.centred.shape
    places = np.arange(count)
    upper = places[rows, None] < places[None, rows.start :]
    a, b = (found + rows.start for found in np.nonzero(upper))

    def cross(x: Array, y: Array) -> Array:
        product: Array = (x[rows] @ y[rows.start :].T)[upper]
        return product

    variances = np.einsum("ij,ij->i", terms.centred, terms.centred)
    lengths = np.einsum("ij,ij->i", normalised, normalised)
    distance = lengths[a] + lengths[b] - 2 * cross(normalised, normalised)
    covariance = cross(terms.centred, terms.centred)
    hedge = covariance / variances[b]
    r2 = hedge * covariance / variances[a]
    usable = r2 < COLLINEAR
    moments = {}
    for (k, m), squares in terms.squares.items():
        x, y = terms.regression[k], terms.regression[m]
        mixed = 2 * cross(x, x) if k == m else cross(x, y) + cross(y, x)
        moments[k, m] = squares[a] - hedge * mixed + hedge**2 * squares[b]
    t = np.where(usable, _dickey_fuller(moments, terms, usable), np.nan)
    return Statistics(
        a=a,
        b=b,
        distance=np.maximum(distance, 0),
        hedge_ratio=hedge,
        r2=r2,
        deviation=np.sqrt(np.maximum(variances[a] * (1 - r2), 0) / (days - 1)),
        t=t,
        p_value=p_values(t),
        phi=np.where(usable, _autoregression(moments, terms, a, b, hedge, usable), np.nan),
    )


def independent(grams: Array, least: float) -> npt.NDArray[np.bool_]:
    """Return of which matrices of products the regressors are more than rounding apart.

    `least` is of the determinant once every regressor has length one.
    """
    lengths = np.sqrt(np.maximum(np.einsum("pkk->pk", grams), 0))
    sound = np.isfinite(grams).all(axis=(1, 2)) & (lengths > 0).all(axis=1)
    scaled = np.tile(np.eye(grams.shape[1]), (grams.shape[0], 1, 1))
    scaled[sound] = grams[sound] / (lengths[sound, :, None] * lengths[sound, None, :])
    found: npt.NDArray[np.bool_] = sound & (np.linalg.det(scaled) > least)
    return found


def _dickey_fuller(
    moments: dict[tuple[int, int], Array], terms: _Terms, usable: npt.NDArray[np.bool_]
) -> Array:
    """Return the t statistic of the level in the regression of the change."""
    regressors = terms.lags + 1
    size = usable.size
    gram = np.empty((size, regressors, regressors))
    for k, m in combinations_with_replacement(range(regressors), 2):
        gram[:, k, m] = gram[:, m, k] = moments[k, m]
    usable = usable & independent(gram, _LEAST_OWN)
    gram[~usable] = np.eye(regressors)
    target = np.stack([moments[k, regressors] for k in range(regressors)], axis=1)
    inverse = np.linalg.inv(gram)
    slopes = np.einsum("pkm,pm->pk", inverse, target)
    explained = np.einsum("pk,pk->p", slopes, target)
    freedom = terms.regression[0].shape[1] - regressors
    changed = moments[regressors, regressors]
    usable &= changed - explained > _LEAST_LEFT * changed
    variance = np.where(usable, changed - explained, 1.0) / freedom
    found: Array = slopes[:, 0] / np.sqrt(variance * inverse[:, 0, 0])
    return np.where(usable, found, np.nan)


def _autoregression(
    moments: dict[tuple[int, int], Array],
    terms: _Terms,
    a: Indices,
    b: Indices,
    hedge: Array,
    usable: npt.NDArray[np.bool_],
) -> Array:
    """Return the slope of the residuals on those of the day before, with a constant."""
    lags, centred = terms.lags, terms.centred
    # The moments leave out the first days, which the lags need; and residuals sum to zero.
    first = centred[a, : lags + 1] - hedge[:, None] * centred[b, : lags + 1]
    last = centred[a, -1] - hedge * centred[b, -1]
    changes = np.diff(first, axis=1)
    squares = moments[0, 0] + (first[:, :-1] ** 2).sum(axis=1)
    moved = moments[0, lags + 1] + (first[:, :-1] * changes).sum(axis=1)
    before, after = -last, -first[:, 0]
    days = centred.shape[1] - 1
    products = squares + moved - before * after / days
    spread = np.where(usable, squares - before**2 / days, 1.0)
    found: Array = products / spread
    return found
