"""Drift: the index against scipy's divergence, when it alarms, and what small samples do to it."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import numpy.typing as npt
import psycopg
import pytest
from scipy import special, stats

from model_data import make_bars, store_bars
from tsdb_trader.api import models as api
from tsdb_trader.research import estimators, models

WINDOW = (datetime(2015, 1, 1, tzinfo=UTC), datetime(2015, 10, 1, tzinfo=UTC))
AT = datetime(2015, 11, 2, 21, tzinfo=UTC)
Array = npt.NDArray[np.float64]


def jeffreys(expected: Array, actual: Array) -> float:
    """Return the sum of both Kullback-Leibler divergences of shares, none below 0.0001."""
    e, a = np.maximum(expected, 1e-4), np.maximum(actual, 1e-4)
    return float(np.sum(special.rel_entr(a, e)) + np.sum(special.rel_entr(e, a)))


@pytest.fixture
def version_id(conn: psycopg.Connection) -> int:
    """Save a model of return_1d whose training values were 20,000 of a standard normal."""
    store_bars(conn, make_bars())
    config = estimators.make_config(
        {"model": "m", "features": ["return_1d"], "estimator": "ridge", "folds": 2, "horizon": 1}
    )
    trained = models.train(conn, config, WINDOW)
    bins = {"return_1d": models.bins_of(np.random.default_rng(1).normal(0, 1, 20_000))}
    saved = models.save(conn, replace(trained, version=trained.version | {"bins": bins}))
    api.activate_model(conn, "m")
    return saved


def observe(conn: psycopg.Connection, version_id: int, values: Array) -> tuple[float, list[Any]]:
    """Let a version see values, and return the index of its feature and the open alerts."""
    conn.execute("delete from signal.predictions")
    conn.execute("delete from signal.drift")
    rows = [
        api.Scored(AT - timedelta(seconds=n), 1, 0.0, None, [value])
        for n, value in enumerate(values.tolist())
    ]
    api.save_predictions(conn, version_id, (WINDOW[1], AT), rows)
    (found,) = api.watch_drift(conn, AT)
    assert (found.variable, found.observations) == ("return_1d", values.size)
    alerts = conn.execute(
        "select detail->'psi' from ops.alerts where kind = 'model_drift' and resolved_at is null"
    ).fetchall()
    return found.psi, alerts


def shares(values: Array, edges: Array) -> Array:
    counts = np.histogram(values, np.concatenate([[-np.inf], edges, [np.inf]]))[0]
    return np.asarray(counts / values.size)


@pytest.mark.parametrize(
    ("shift", "scale", "alarms"),
    [
        (0.0, 1.0, False),
        # Of normals a shift of d deviations has an index of about d squared.
        (0.3, 1.0, False),
        (0.5, 1.0, True),
        (0.7, 1.0, True),
        (-0.5, 1.0, True),
        (0.0, 1.6, True),
        (0.0, 1.1, False),
    ],
)
def test_watch_drift_alarms_beyond_its_threshold_only(conn, version_id, shift, scale, alarms):
    values = np.random.default_rng(2).normal(shift, scale, 3000)
    psi, alerts = observe(conn, version_id, values)
    edges = np.quantile(np.random.default_rng(1).normal(0, 1, 20_000), np.arange(1, 10) / 10)
    expected = shares(np.random.default_rng(1).normal(0, 1, 20_000), edges)
    assert psi == pytest.approx(jeffreys(expected, shares(values, edges)), rel=1e-9)
    assert (psi > 0.2) == alarms
    assert len(alerts) == alarms
    if scale == 1.0 and shift:
        assert psi == pytest.approx(shift**2, rel=0.25)
    # What is normal again resolves it.
    assert observe(conn, version_id, np.random.default_rng(3).normal(0, 1, 3000))[1] == []


@pytest.mark.parametrize("threshold", [0.1, 0.25])
def test_watch_drift_threshold_of_the_version_decides(conn, version_id, threshold):
    conn.execute("update signal.model_versions set drift_threshold = %s", (threshold,))
    random = np.random.default_rng(4)
    for shift in (0.25, 0.4, 0.6):
        psi, alerts = observe(conn, version_id, random.normal(shift, 1, 5000))
        assert len(alerts) == (psi > threshold) == (shift**2 > threshold)


def test_watch_drift_missing_values_are_a_shift_too(conn, version_id):
    values = np.random.default_rng(5).normal(0, 1, 1000)
    values[:300] = np.nan
    psi, alerts = observe(conn, version_id, values)
    # Empty in training, which counts as 0.0001.
    assert psi > 0.3 * np.log(0.3 / 1e-4)
    assert len(alerts) == 1


@pytest.mark.parametrize(("size", "alarms"), [(199, 0), (200, 1)])
def test_watch_drift_needs_observations_enough_to_alarm(conn, version_id, size, alarms):
    _, alerts = observe(conn, version_id, np.random.default_rng(6).normal(3, 1, size))
    assert len(alerts) == alarms


def test_population_stability_of_one_distribution_is_chi_squared_over_the_sample(conn):
    """Yurdakul and Naranjo (2020): n times the index has B - 1 degrees of freedom, of B bins."""
    found = {}
    for size in (30, 200, 2000):
        counts = np.random.default_rng(size).multinomial(size, [0.1] * 10, 2000)
        found[size] = np.array(
            conn.execute(
                "select array_agg(signal.population_stability(array_fill(0.1::float8, array[10]), "
                "array(select x / %s::float8 from unnest(r.counts[n:n]) x))) "
                "from (select %s::float8[] as counts) r, generate_series(1, 2000) n",
                (size, counts.astype(float).tolist()),
            ).fetchone()[0]
        )
    assert found[200].mean() == pytest.approx(9 / 200, rel=0.1)
    assert found[2000].mean() == pytest.approx(9 / 2000, rel=0.05)
    assert np.quantile(found[2000], 0.95) * 2000 == pytest.approx(stats.chi2.ppf(0.95, 9), rel=0.05)
    # From 200 independent observations on hardly anything passes 0.2 by chance; of 30 most does.
    assert np.mean(found[200] > 0.2) < 0.001
    assert np.mean(found[30] > 0.2) > 0.5
