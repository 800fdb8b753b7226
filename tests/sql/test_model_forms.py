"""Forms of trained pipelines: the database predicts what scikit-learn predicts, and takes nothing else."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import numpy.typing as npt
import psycopg
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from psycopg.types.json import Jsonb
from threadpoolctl import threadpool_limits

from tsdb_trader.errors import InputError
from tsdb_trader.research import estimators, model_forms, models

Array = npt.NDArray[np.float64]

EXPORTED = [
    (name, task)
    for name, kind in estimators.ESTIMATORS.items()
    for task, path in (("regression", kind.regression), ("classification", kind.classification))
    if kind.scoring != "worker" and path is not None
]
PARAMETERS: dict[str, list[dict[str, Any]]] = {
    "linear": [{}, {"fit_intercept": False}, {"positive": True}],
    "ridge": [{}, {"alpha": 50.0}, {"solver": "lsqr"}],
    "lasso": [{"alpha": 0.01}, {"alpha": 1e-6, "selection": "random"}],
    "elastic_net": [{"alpha": 0.01}, {"alpha": 0.1, "l1_ratio": 0.1}],
    "huber": [{"max_iter": 1000}],
    "logistic": [{}, {"C": 1e-3}, {"solver": "liblinear"}, {"class_weight": "balanced"}],
    "sgd": [{"max_iter": 5000}],
    "decision_tree": [{}, {"max_depth": 3}, {"max_leaf_nodes": 5}, {"splitter": "random"}],
    "random_forest": [{"n_estimators": 5}, {"n_estimators": 3, "bootstrap": False, "max_features": 1}],
    "extra_trees": [{"n_estimators": 5}, {"n_estimators": 3, "bootstrap": True, "max_depth": 4}],
    "gradient_boosting": [
        {"n_estimators": 8}, {"n_estimators": 5, "init": "zero"}, {"n_estimators": 4, "subsample": 0.5}
    ],
    "histogram_boosting": [
        {"max_iter": 8, "min_samples_leaf": 3}, {"max_iter": 5, "max_bins": 8, "min_samples_leaf": 5},
        {"max_iter": 5, "l2_regularization": 2.0, "min_samples_leaf": 2},
    ],
}  # fmt: skip


def configure(estimator: str, task: str, **changes: Any) -> estimators.ModelConfig:
    return estimators.make_config(
        {"model": "m", "features": ["a", "b", "c"], "estimator": estimator, "task": task} | changes
    )


def fit(config: estimators.ModelConfig, x: Array, y: Array) -> Any:
    with warnings.catch_warnings(), threadpool_limits(1):
        # How well a model is fitted does not matter here.
        warnings.simplefilter("ignore")
        return estimators.build(config).fit(x, y > 0 if config.task == "classification" else y)


def score(
    conn: psycopg.Connection, config: estimators.ModelConfig, form: dict[str, Any], rows: Array
) -> list[float]:
    values = [[None if np.isnan(v) else v for v in row] for row in rows.tolist()]
    found = conn.execute(
        f"select signal.score_{config.kind.scoring}(%s::float8[], "
        "jsonb_populate_record(null::signal.model_form, %s))",
        (values, Jsonb(form)),
        binary=True,
    ).fetchone()
    assert found is not None
    return list(found[0])


def check_form(conn: psycopg.Connection, form: dict[str, Any], scoring: str, width: int) -> None:
    conn.execute(
        "select signal._check_form(jsonb_populate_record(null::signal.model_form, %s), %s, %s)",
        (Jsonb(form), scoring, width),
    )


def make(seed: int, scale: float, shape: str) -> tuple[Array, Array]:
    """Return features of several orders of magnitude, with ties, and returns that depend on them."""
    random = np.random.default_rng(seed)
    x = random.normal(0, 1, (240, 3)) * np.array([scale, 1.0, 1e-4]) + np.array([0, 30.0, 0])
    if shape == "ties":
        x = np.round(x / np.array([scale, 1.0, 1e-4]), 1) * np.array([scale, 1.0, 1e-4])
    elif shape == "heavy":
        x[:, 1] = 30 + random.standard_t(1.5, 240)
    y = 0.02 * np.tanh(x[:, 0] / scale) + 0.01 * (x[:, 1] > 30) + random.normal(0, 0.01, 240)
    return x, y - y.mean()


def thresholds_and_neighbours(form: dict[str, Any], rows: Array) -> Array:
    """Return rows whose features lie at, and a bit of single or double precision beside, thresholds."""
    if not form.get("thresholds"):
        return rows
    found = [rows]
    splits = zip(form["split_features"], form["thresholds"], strict=True)
    for n, (feature, threshold) in enumerate([s for s in splits if s[0]][:20]):
        if abs(threshold) > 1e30:
            continue
        single = np.float32(threshold)
        for value in (
            threshold,
            np.nextafter(threshold, np.inf),
            np.nextafter(threshold, -np.inf),
            float(single),
            float(np.nextafter(single, np.float32(np.inf))),
            float(np.nextafter(single, np.float32(-np.inf))),
        ):
            row = rows[n % len(rows)].copy()
            row[feature - 1] = value
            found.append(row[None, :])
    return np.concatenate(found)


def tolerance(config: estimators.ModelConfig, form: dict[str, Any], rows: Array) -> Array:
    """Return how far sums of the same terms in another order may be apart."""
    known = np.where(np.isnan(rows), form["fills"] or 0, rows)
    terms = known if form.get("centres") is None else np.abs(known) + np.abs(form["centres"])
    terms = np.abs(terms) / np.abs(form.get("scales") or 1) * np.abs(form["coefficients"])
    return np.asarray(
        64 * np.finfo(float).eps * (terms.sum(axis=1) + abs(form["intercept"]) + 1e-3)
    )


@pytest.mark.parametrize(("estimator", "task"), EXPORTED)
@settings(
    max_examples=10,
    deadline=None,
    # Shrinking trains models for minutes, and the seeds that failed say enough.
    phases=[Phase.explicit, Phase.reuse, Phase.generate],
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(data=st.data())
def test_any_exported_pipeline_predicts_in_the_database_as_in_python(conn, estimator, task, data):
    kind = estimators.ESTIMATORS[estimator]
    linear = kind.scoring == "linear"
    config = configure(
        estimator,
        task,
        parameters=data.draw(st.sampled_from(PARAMETERS[estimator])),
        missing=data.draw(st.sampled_from(["refuse", "impute"] + ["route"] * kind.routes)),
        scaling=data.draw(st.sampled_from(["", "robust", "none"] + ["min_max"] * linear)),
        seed=data.draw(st.integers(0, 99)),
    )
    x, y = make(
        data.draw(st.integers(0, 10_000)),
        10.0 ** data.draw(st.integers(-3, 3)),
        data.draw(st.sampled_from(["plain", "ties", "heavy"])),
    )
    if config.missing != "refuse":
        holes = np.random.default_rng(config.seed).random(x.shape) < [0.1, 0.0, 0.3]
        x[holes] = np.nan
    pipeline = fit(config, x[:200], y[:200])
    form = model_forms.export(pipeline, kind.scoring, task)
    check_form(conn, form, kind.scoring, 3)
    rows = thresholds_and_neighbours(form, x[150:])
    if config.missing != "refuse":
        # Missing where none was in training, and everything at once.
        rows = np.concatenate([rows, [[1.0, np.nan, 0.0], [np.nan] * 3]])
    ours = np.array(score(conn, config, form, rows))
    theirs = models.predict(pipeline, task, rows)
    if linear and task == "regression":
        assert np.all(np.abs(ours - theirs) <= tolerance(config, form, rows))
    elif linear:
        # The logistic function is at most a quarter as steep as its argument.
        assert np.all(np.abs(ours - theirs) <= tolerance(config, form, rows) / 4 + 1e-15)
    elif form["link"] == "logistic":
        np.testing.assert_allclose(ours, theirs, rtol=1e-14)
    else:
        assert ours.tolist() == theirs.tolist()


@pytest.mark.parametrize("scale", [1.0, 1.5, 3.0, 577.0, 1e300, 0.25])
@pytest.mark.parametrize("threshold", [0.0, 5e-324, -5e-324, 1e-200])
@pytest.mark.parametrize("in_double", [True, False])
def test_score_of_values_next_to_zero_takes_the_leaf_of_numpy(conn, scale, threshold, in_double):
    form = {
        "fills": [0.0], "centres": [0.0], "scales": [scale], "roots": [1], "split_features": [1, 0, 0],
        "thresholds": [threshold, 0.0, 0.0], "lefts": [2, 0, 0], "rights": [3, 0, 0],
        "missing_lefts": [True, True, True], "leaf_values": [0.0, -1.0, 1.0], "base": 0.0, "divisor": 1.0,
        "link": "identity", "in_double": in_double,
    }  # fmt: skip
    x = np.array([5e-324, 1e-323, 7.4e-322, 1e-200, 1e-199, 3e-46, 1.0, 0.0])
    rows = np.concatenate([x, -x])[:, None]
    scaled = rows[:, 0] / scale
    if not in_double:
        scaled = scaled.astype(np.float32).astype(float)
    config = configure("histogram_boosting", "regression")
    expected = np.where(scaled <= threshold, -1.0, 1.0)
    assert score(conn, config, form, rows) == expected.tolist()


@pytest.mark.parametrize(
    ("scale", "coefficient"), [(577.0, 1.0), (1e300, 1.0), (1.0, 1e-300), (1e-300, 1e-300)]
)
def test_linear_score_of_values_next_to_zero_is_that_of_numpy(conn, scale, coefficient):
    form = {
        "fills": [0.0], "centres": [0.0], "scales": [scale], "coefficients": [coefficient],
        "intercept": 0.5, "link": "identity",
    }  # fmt: skip
    rows = np.array([[5e-324], [-1e-200], [1e-100], [2.0]])
    found = score(conn, configure("ridge", "regression"), form, rows)
    np.testing.assert_allclose(found, rows[:, 0] / scale * coefficient + 0.5, rtol=1e-15)


@pytest.mark.parametrize(
    ("estimator", "task", "changes", "says"),
    [
        ("gradient_boosting", "classification", {"parameters": {"loss": "exponential"}}, "exponential"),
        ("sgd", "classification", {"parameters": {"loss": "modified_huber"}}, "modified_huber"),
        ("histogram_boosting", "regression", {"parameters": {"categorical_features": [0]}}, "categories"),
        ("histogram_boosting", "regression", {"parameters": {"loss": "poisson"}}, "exponentials"),
        ("decision_tree", "regression", {"scaling": "min_max"}, "min_max"),
    ],
)  # fmt: skip
def test_export_of_what_the_database_cannot_score_says_why(estimator, task, changes, says):
    config = configure(estimator, task, **changes)
    x, y = make(1, 1.0, "plain")
    x[:, 0] = np.round(np.abs(x[:, 0]))
    pipeline = fit(config, x, y if "classification" in task else np.abs(y))
    with pytest.raises(model_forms.NotExportableError, match=says):
        model_forms.export(pipeline, config.kind.scoring, task)


def test_export_more_nodes_than_the_database_takes_says_how_to_bound_them(monkeypatch):
    x, y = make(2, 1.0, "plain")
    config = configure("random_forest", "regression", parameters={"n_estimators": 5})
    pipeline = fit(config, x, y)
    monkeypatch.setattr(model_forms, "MAX_NODES", 100)
    with pytest.raises(model_forms.NotExportableError, match="max_depth"):
        model_forms.export(pipeline, "trees", "regression")


def test_export_three_classes_is_refused():
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import Pipeline

    x, y = make(3, 1.0, "plain")
    pipeline = Pipeline([("estimate", LogisticRegression())]).fit(x, np.digitize(y, [-0.01, 0.01]))
    with pytest.raises(model_forms.NotExportableError, match="two classes, not of 3"):
        model_forms.export(pipeline, "linear", "classification")


def test_very_deep_tree_is_walked_to_its_leaf(conn):
    # Every split takes one row off: 3,000 levels.
    x = np.exp2(np.arange(3000) / 40.0)[:, None] * np.array([[1.0, 0.0, 0.0]])
    y = np.where(np.arange(3000) % 2 == 0, 1.0, -1.0) * np.exp2(np.arange(3000) / 60.0)
    config = configure("decision_tree", "regression")
    pipeline = fit(config, x, y)
    assert pipeline[-1].get_depth() > 1000
    form = model_forms.export(pipeline, "trees", "regression")
    check_form(conn, form, "trees", 3)
    assert score(conn, config, form, x[::7]) == pipeline.predict(x[::7]).tolist()


def tree_form(**changes: Any) -> dict[str, Any]:
    return {
        "link": "identity", "roots": [1], "split_features": [1, 0, 0], "thresholds": [0.0, 0.0, 0.0],
        "lefts": [2, 0, 0], "rights": [3, 0, 0], "leaf_values": [0.0, -1.0, 1.0],
        "missing_lefts": [False, False, False], "base": 0.0, "divisor": 1.0,
    } | changes  # fmt: skip


def linear_form(**changes: Any) -> dict[str, Any]:
    return {"link": "identity", "coefficients": [1.0, 2.0], "intercept": 0.0} | changes


@pytest.mark.parametrize("scoring", ["trees", "linear"])
def test_check_form_takes_what_can_be_scored(conn, scoring):
    check_form(conn, tree_form() if scoring == "trees" else linear_form(), scoring, 2)


@pytest.mark.parametrize(
    ("scoring", "form", "says"),
    [
        # The first three would be walked for ever.
        ("trees", tree_form(lefts=[1, 0, 0]), "nodes behind it"),
        ("trees", tree_form(split_features=[1, 1, 0], lefts=[2, 1, 0], rights=[3, 3, 0]), "nodes behind it"),
        ("trees", tree_form(rights=[1, 0, 0]), "nodes behind it"),
        ("trees", tree_form(rights=[4, 0, 0]), "nodes behind it"),
        ("trees", tree_form(lefts=[None, 0, 0]), "nodes behind it"),
        ("trees", tree_form(roots=[4]), "from a root"),
        ("trees", tree_form(roots=[]), "trees have roots"),
        ("trees", tree_form(split_features=[3, 0, 0]), "features there are"),
        ("trees", tree_form(thresholds=[0.0]), "one element for each of 3 nodes"),
        ("trees", tree_form(missing_lefts=[True]), "one element for each of 3 nodes"),
        ("trees", tree_form(leaf_values=[0.0, "NaN", 1.0]), "finite"),
        ("trees", tree_form(divisor=0.0), "divisor"),
        ("trees", linear_form(), "trees have roots"),
        ("linear", tree_form(), "intercept"),
        ("linear", linear_form(coefficients=[1.0]), "each of 2 features"),
        ("linear", linear_form(coefficients=[1.0, "Infinity"]), "finite"),
        ("linear", linear_form(coefficients=[1.0, None]), "finite"),
        ("linear", linear_form(intercept="-Infinity"), "finite"),
        ("linear", linear_form(link="probit"), "link"),
        ("linear", linear_form(centres=[0.0, 0.0]), "scales"),
        ("linear", linear_form(centres=[0.0, 0.0], scales=[1.0, 0.0]), "no scale is zero"),
        ("linear", linear_form(fills=[0.0]), "fills"),
    ],
)  # fmt: skip
def test_check_form_that_cannot_be_scored_is_refused(conn, scoring, form, says):
    with pytest.raises(psycopg.Error, match=says) as caught:
        check_form(conn, form, scoring, 2)
    assert caught.value.sqlstate == "TT001"


def test_fit_classifier_without_probabilities_is_refused():
    config = configure("sgd", "classification", parameters={"loss": "hinge"})
    x, y = make(4, 1.0, "plain")
    times = np.arange(240).astype("datetime64[D]").astype("datetime64[us]")
    data = models.Dataset(x, y, times, times, x, 0)
    with pytest.raises(InputError, match="gives no probabilities"):
        models._fit(config, data, np.arange(240))
