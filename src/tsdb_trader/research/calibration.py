"""Calibration of the pairs strategy on mids of a past window.

For the legs A and B, on a regular grid with the last mid carried forward within a day:

- hedge ratio and r2: ordinary least squares of ln A on a constant and ln B, the first step of
  Engle and Granger (1987);
- p-value: their test for cointegration on the residuals with MacKinnon's critical values
  (`statsmodels.tsa.stattools.coint`, constant, one lag);
- half-life: -ln 2 / ln phi, with phi of the AR(1) fit e_t = c + phi e_(t-1) of the residuals;
- deviation and mean: of the spread around the exponentially weighted mean that the strategy itself
  keeps, measured by running the SQL step function over the window.

Testing many pairs finds some by chance: ``p_value_adjusted`` is that of Benjamini and Hochberg
(1995) over all pairs of the run.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import statsmodels.api as sm
from statsmodels.stats.multitest import multipletests
from statsmodels.tsa.stattools import coint

from tsdb_trader.api import signal
from tsdb_trader.db import Connection
from tsdb_trader.errors import InputError

Array = npt.NDArray[np.float64]
Pair = tuple[str, str]

MIN_POINTS = 300
# A day's residuals revert in minutes; a mean slower than that follows the drift of a pair that is
# not cointegrated for longer than the day, a faster one follows the quotes' own noise.
_SHORTEST_S, _LONGEST_S = 60.0, 600.0
_SHARE_OF_HALF_LIFE = 1 / 3


@dataclass(frozen=True)
class Settings:
    """What the trader chooses; the half-lives and gaps are in seconds, None is derived."""

    entry: float = 2.0
    exit: float = 0.5
    stop: float = 6.0
    half_life_s: float | None = None
    warm_up_s: float | None = None
    max_gap_s: float = 300.0
    notional: float = 25_000.0
    grid: timedelta = timedelta(seconds=1)


@dataclass(frozen=True)
class Fit:
    """Estimates for one pair; half_life_s is None where the residuals do not revert."""

    hedge_ratio: float
    r2: float
    p_value: float
    half_life_s: float | None
    points: int


@dataclass(frozen=True)
class Calibration:
    """A pair that can be saved: its parameters, and what they rest on."""

    symbol_a: str
    symbol_b: str
    fit: Fit
    parameters: dict[str, float | None]
    round_trips: int
    p_value_adjusted: float = field(default=math.nan)

    def statistics(self, tests: int) -> dict[str, Any]:
        """Return what is kept with the pair."""
        return {
            **asdict(self.fit),
            "p_value_adjusted": self.p_value_adjusted,
            "tests": tests,
            "round_trips_in_sample": self.round_trips,
        }


def align(
    mids_a: signal.Mids, mids_b: signal.Mids, grid: timedelta
) -> tuple[Array, Array, npt.NDArray[np.bool_]]:
    """Return the log mids of both legs on the full grid, and which points follow on the one before.

    A mid is carried forward within its day (UTC), never into the next.
    """
    frame = pd.concat(
        {"a": pd.Series(mids_a.values, mids_a.times), "b": pd.Series(mids_b.values, mids_b.times)},
        axis=1,
    ).sort_index()
    days = [
        day.reindex(pd.date_range(day.index[0], day.index[-1], freq=grid)).ffill().dropna()
        for _, day in frame.groupby(pd.DatetimeIndex(frame.index).date)
    ]
    whole = pd.concat(days)
    times = pd.DatetimeIndex(whole.index)
    follows = np.asarray((times[1:] - times[:-1]) == grid)
    log_mids = np.log(whole.to_numpy(dtype=np.float64))
    return log_mids[:, 0], log_mids[:, 1], follows


def fit(log_a: Array, log_b: Array, follows: npt.NDArray[np.bool_], grid: timedelta) -> Fit:
    """Estimate a pair from the log mids of its legs.

    Parameters
    ----------
    log_a, log_b
        Log mids on the grid, shape (n,).
    follows
        Whether point i + 1 comes one grid step after point i, shape (n - 1,).

    Raises
    ------
    InputError
        Fewer than `MIN_POINTS` points, or a leg that never moved.
    """
    if log_a.size < MIN_POINTS:
        raise InputError(
            f"{log_a.size} of at least {MIN_POINTS} grid points have both mids: "
            "take a longer window or a finer grid"
        )
    if np.ptp(log_a) == 0 or np.ptp(log_b) == 0:
        raise InputError("a leg never moved in the window")
    regression = sm.OLS(log_a, sm.add_constant(log_b)).fit()
    residuals = np.asarray(regression.resid)
    if residuals.std() < 1e-12:
        raise InputError("the legs move as one: there is no spread to trade")
    p_value = float(coint(log_a, log_b, trend="c", maxlag=1, autolag=None)[1])
    return Fit(
        hedge_ratio=float(regression.params[1]),
        r2=float(regression.rsquared),
        p_value=p_value,
        half_life_s=half_life(residuals, follows, grid.total_seconds()),
        points=int(log_a.size),
    )


def half_life(residuals: Array, follows: npt.NDArray[np.bool_], step_s: float) -> float | None:
    """Return -ln 2 / ln phi of an AR(1) fit in seconds, None unless 0 < phi < 1."""
    before, after = residuals[:-1][follows], residuals[1:][follows]
    phi = float(sm.OLS(after, sm.add_constant(before)).fit().params[1])
    return -math.log(2) / math.log(phi) * step_s if 0 < phi < 1 else None


def choose_parameters(found: Fit, settings: Settings) -> dict[str, float | None]:
    """Return the strategy's parameters, with deviation 1 and no mean until they are measured."""
    half_life_s = settings.half_life_s
    if half_life_s is None:
        reverts_s = math.inf if found.half_life_s is None else found.half_life_s
        wanted = reverts_s * _SHARE_OF_HALF_LIFE
        shortest = max(_SHORTEST_S, 10 * settings.grid.total_seconds())
        half_life_s = min(max(wanted, shortest), max(_LONGEST_S, shortest))
    warm_up_s = 2 * half_life_s if settings.warm_up_s is None else settings.warm_up_s
    return {
        "hedge_ratio": found.hedge_ratio,
        "mean": None,
        "deviation": 1.0,
        "entry": settings.entry,
        "exit": settings.exit,
        "stop": settings.stop,
        "half_life_s": half_life_s,
        "warm_up_s": warm_up_s,
        "max_gap_s": settings.max_gap_s,
        "notional": settings.notional,
    }


def calibrate_pair(
    conn: Connection, pair: Pair, mids: Mapping[str, signal.Mids], settings: Settings
) -> Calibration:
    """Fit a pair and measure its spread by the step function the strategy runs on.

    Raises
    ------
    InputError
        The pair's quotes cannot be calibrated on; the message names the pair and says why.
    """
    mids_a, mids_b = mids[pair[0]], mids[pair[1]]
    try:
        if not mids_a.times or not mids_b.times:
            raise InputError("a leg has no usable quote in regular hours of the window")
        found = fit(*align(mids_a, mids_b, settings.grid), settings.grid)
        parameters = choose_parameters(found, settings)
        times, values_a, values_b = _inputs(mids_a, mids_b)
        measured = signal.measure_deviation(conn, times, values_a, values_b, parameters)
        if not measured.deviation or measured.points < MIN_POINTS:
            raise InputError("the warm-up leaves too little of the window: take a longer one")
        parameters |= {"deviation": measured.deviation, "mean": measured.last_mean}
        traded = signal.measure_deviation(conn, times, values_a, values_b, parameters)
    except InputError as error:
        raise InputError(f"{pair[0]}/{pair[1]}: {error}") from None
    return Calibration(*pair, found, parameters, traded.round_trips)


def rank(calibrations: Iterable[Calibration]) -> list[Calibration]:
    """Return the calibrations, the most surely cointegrated first, with adjusted p-values."""
    ranked = sorted(calibrations, key=lambda c: (c.fit.p_value, c.symbol_a, c.symbol_b))
    if not ranked:
        return []
    adjusted = multipletests([c.fit.p_value for c in ranked], method="fdr_bh")[1]
    return [replace(c, p_value_adjusted=float(p)) for c, p in zip(ranked, adjusted, strict=True)]


def save(
    conn: Connection,
    calibrations: Sequence[Calibration],
    *,
    feed: str,
    window: tuple[datetime, datetime],
    watermark: Sequence[Mapping[str, Any]],
    code_version: str,
    tests: int,
) -> list[int]:
    """Save pairs in the caller's transaction; their ids."""
    ids = []
    for calibration in calibrations:
        pair_id = signal.save_pair(
            conn,
            symbol_a=calibration.symbol_a,
            symbol_b=calibration.symbol_b,
            feed=feed,
            parameters=calibration.parameters,
            statistics=calibration.statistics(tests),
            window=window,
            data_watermark=watermark,
            code_version=code_version,
        )
        ids.append(pair_id)
    return ids


def _inputs(
    mids_a: signal.Mids, mids_b: signal.Mids
) -> tuple[list[datetime], list[float | None], list[float | None]]:
    """Merge two legs into the inputs of the step function: None is a leg without a quote."""
    by_time_a = dict(zip(mids_a.times, mids_a.values, strict=True))
    by_time_b = dict(zip(mids_b.times, mids_b.values, strict=True))
    times = sorted(by_time_a.keys() | by_time_b.keys())
    return times, [by_time_a.get(t) for t in times], [by_time_b.get(t) for t in times]
