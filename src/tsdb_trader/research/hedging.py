"""Hedge ratios that move with time, and Johansen's test: for the pairs that were chosen.

All functions take many pairs at once, logarithms of prices as pairs by days, and use for a day what
was known on it, that day's closes included.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from statsmodels.tsa.coint_tables import c_sjt

from tsdb_trader.research.cointegration import independent

Array = npt.NDArray[np.float64]

# Below it what sets two regressors apart is rounding.
_LEAST_OWN = 1e-12


@dataclass(frozen=True)
class Filtered:
    """The state ln A = level + slope ln B + noise of every day, as filtered; pairs by days."""

    level: Array
    slope: Array
    slope_deviation: Array


def rolling_slopes(log_a: Array, log_b: Array, window: int) -> Array:
    """Return the slopes of ordinary least squares over the last `window` days.

    Pairs by days; the first ``window - 1`` are NaN, and so are those of a leg B that did not move.
    """
    slopes = np.full(log_a.shape, np.nan)
    a = np.lib.stride_tricks.sliding_window_view(log_a, window, axis=1)
    b = np.lib.stride_tricks.sliding_window_view(log_b, window, axis=1)
    # One pair after the other: the centred windows of all would be large.
    for n in range(log_a.shape[0]):
        off = b[n] - b[n].mean(axis=1, keepdims=True)
        off[np.ptp(b[n], axis=1) == 0] = np.nan
        slopes[n, window - 1 :] = (off * a[n]).sum(axis=1) / (off * off).sum(axis=1)
    return slopes


def kalman_slopes(
    log_a: Array,
    log_b: Array,
    noise: Array,
    *,
    slope_step: float = 1e-3,
    level_step: float = 0.0,
    prior: float = 100.0,
) -> Filtered:
    """Filter the regression of ln A on ln B with a slope, and a level, that walk at random.

    Observation ln A_t = level_t + slope_t ln B_t + e_t (Kalman, 1960; for pairs: Elliott, van der
    Hoek and Malcolm, Pairs trading, 2005). Of ln B the first day's is taken off, which keeps level
    and slope apart without a look at later days.

    Parameters
    ----------
    log_a, log_b
        Pairs by days.
    noise
        Variance of e, one per pair.
    slope_step, level_step
        Standard deviations of a day's step of slope and level.
    prior
        Variance of both before the first day.
    """
    pairs, days = log_a.shape
    off = log_b - log_b[:, :1]
    state = np.zeros((pairs, 2))
    covariance = np.tile(np.diag([prior, prior]), (pairs, 1, 1))
    step = np.diag([level_step**2, slope_step**2])
    found = Filtered(*(np.empty((pairs, days)) for _ in range(3)))
    for day in range(days):
        if day:
            covariance = covariance + step
        design = np.stack([np.ones(pairs), off[:, day]], axis=1)
        gain = np.einsum("pij,pj->pi", covariance, design)
        variance = np.einsum("pi,pi->p", design, gain) + noise
        surprise = log_a[:, day] - np.einsum("pi,pi->p", design, state)
        gain /= variance[:, None]
        state = state + gain * surprise[:, None]
        # Joseph's form stays positive where the plain one loses its digits to the wide prior.
        kept = np.eye(2) - gain[:, :, None] * design[:, None, :]
        covariance = kept @ covariance @ kept.transpose(0, 2, 1) + (
            noise[:, None, None] * gain[:, :, None] * gain[:, None, :]
        )
        found.slope[:, day] = state[:, 1]
        found.level[:, day] = state[:, 0] - state[:, 1] * log_b[:, 0]
        found.slope_deviation[:, day] = np.sqrt(covariance[:, 1, 1])
    return found


def johansen_traces(log_a: Array, log_b: Array, lags: int = 1) -> Array:
    """Return Johansen's (1991) trace statistics of pairs, with a constant: pairs by 2.

    The first is of no cointegrating relation, the second of at most one; against
    `JOHANSEN_CRITICAL`. As `statsmodels.tsa.vector_ar.vecm.coint_johansen` with ``det_order=0``.
    NaN where a leg hardly ever changes, so that there is no such regression.
    """
    levels = np.stack([log_a, log_b], axis=2)
    levels = levels - levels.mean(axis=1, keepdims=True)
    changes = np.diff(levels, axis=1)
    last = changes.shape[1]
    short_run = np.concatenate(
        [changes[:, lags - k : last - k] for k in range(1, lags + 1)], axis=2
    )
    short_run = short_run - short_run.mean(axis=1, keepdims=True)
    moved = changes[:, lags:] - changes[:, lags:].mean(axis=1, keepdims=True)
    before = levels[:, 1 : last - lags + 1]
    before = before - before.mean(axis=1, keepdims=True)
    moved, before = _without(moved, short_run), _without(before, short_run)
    days = moved.shape[1]
    own = before.transpose(0, 2, 1) @ before / days
    mixed = before.transpose(0, 2, 1) @ moved / days
    change = moved.transpose(0, 2, 1) @ moved / days
    product = _solve(own, mixed @ _solve(change, mixed.transpose(0, 2, 1)))
    # The eigenvalues of a 2 by 2 matrix, real because the matrix is similar to a symmetric one.
    half = (product[:, 0, 0] + product[:, 1, 1]) / 2
    found = product[:, 0, 0] * product[:, 1, 1] - product[:, 0, 1] * product[:, 1, 0]
    root = np.sqrt(np.maximum(half**2 - found, 0))
    with np.errstate(invalid="ignore", divide="ignore"):
        large, small = np.log1p(-(half + root)), np.log1p(-(half - root))
    traces: Array = -days * np.stack([large + small, small], axis=1)
    return traces


# At 10%, 5% and 1%, with a constant (MacKinnon, Haug and Michelis, 1999).
JOHANSEN_CRITICAL: dict[str, list[float]] = {
    "none": [float(value) for value in c_sjt(2, 0)],
    "at_most_one": [float(value) for value in c_sjt(1, 0)],
}


def _without(values: Array, regressors: Array) -> Array:
    """Return the residuals of a regression, pair by pair."""
    transposed = regressors.transpose(0, 2, 1)
    fitted: Array = regressors @ _solve(transposed @ regressors, transposed @ values)
    return values - fitted


def _solve(matrices: Array, values: Array) -> Array:
    """Solve pair by pair; NaN for a pair whose matrix is singular but for rounding."""
    sound = independent(matrices, _LEAST_OWN) & np.isfinite(values).all(axis=(1, 2))
    found = np.full(values.shape, np.nan)
    if sound.any():
        found[sound] = np.linalg.solve(matrices[sound], values[sound])
    return found
