"""The factor model of value at risk: principal components of the returns' covariance.

The covariance of N returns over T days, of mean zero, is S = R'R / T. With u_k the unit
eigenvectors of RR' / T, the smaller matrix where there are more instruments than days, the columns
R'u_k / sqrt(T) are the eigenvectors of S times the square roots of its eigenvalues: loadings on
factors of variance 1 that are not correlated. What the first of them leave of an instrument's
variance is its own (Jolliffe, Principal Component Analysis, 2002, chapters 3 and 7).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime

import numpy as np
import numpy.typing as npt

from tsdb_trader.api import value_at_risk
from tsdb_trader.db import Connection

Array = npt.NDArray[np.float64]


@dataclass(frozen=True)
class FactorModel:
    """Loadings, instruments by factors, and the variance that is an instrument's own."""

    loadings: Array
    specific_variances: Array


def principal_components(returns: Array, factors: int) -> FactorModel:
    """Return the factor model of daily returns.

    Parameters
    ----------
    returns
        Days by instruments, simple returns.
    factors
        How many components to keep; fewer when there are fewer days or instruments.
    """
    days = returns.shape[0]
    _, vectors = np.linalg.eigh(returns @ returns.T / days)
    kept = min(factors, *returns.shape)
    # eigh sorts upwards.
    loadings = returns.T @ vectors[:, : -kept - 1 : -1] / np.sqrt(days)
    # An eigenvector's sign is anybody's; so that draws do not depend on the library, it is ours.
    largest = np.abs(loadings).argmax(axis=0)
    loadings *= np.where(loadings[largest, range(kept)] < 0, -1.0, 1.0)
    own = (returns**2).mean(axis=0) - (loadings**2).sum(axis=1)
    return FactorModel(loadings, np.maximum(own, 0.0))


def prepare(conn: Connection, as_of: datetime) -> list[int]:
    """Prepare the history of value at risk as of a time, with its factors.

    Returns
    -------
    list of int
        The sets, one per currency that an account is in; none where no date is known.
    """
    with conn.transaction():
        set_ids = value_at_risk.prepare(conn, as_of)
        for set_id in set_ids:
            history = value_at_risk.without_factors(conn, set_id)
            if history is not None and history.instrument_ids:
                model = principal_components(np.array(history.returns).T, history.factors)
                value_at_risk.save_factors(
                    conn,
                    set_id,
                    history.instrument_ids,
                    model.loadings.tolist(),
                    model.specific_variances.tolist(),
                )
    return set_ids


def refresh(
    conn: Connection, first: date | None = None, last: date | None = None, feed: str | None = None
) -> int:
    """Make daily returns of `first` to `last` anew, by default of all bars; return what changed."""
    found = value_at_risk.bar_dates(conn)
    if found is None:
        return 0
    return value_at_risk.refresh_returns(conn, first or found[0], last or found[1], feed)
