"""Trained pipelines as numbers that the database scores by (``signal.model_form``)."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from tsdb_trader.errors import InputError


def export(pipeline: Any, scoring: str, task: str) -> dict[str, Any]:
    """Return the form of a trained pipeline, by the names of the type's attributes.

    Parameters
    ----------
    pipeline
        Of the steps impute and scale, both optional, and estimate.
    scoring
        "linear" or "trees".

    Raises
    ------
    InputError
        The model cannot be written this way, such as one of more than two classes.
    """
    steps = pipeline.named_steps
    form: dict[str, Any] = {
        "fills": steps["impute"].statistics_.tolist() if "impute" in steps else None,
        "centres": steps["scale"].mean_.tolist() if "scale" in steps else None,
        "scales": steps["scale"].scale_.tolist() if "scale" in steps else None,
        "link": "logistic" if task == "classification" else "identity",
    }
    estimator = steps["estimate"]
    classes = getattr(estimator, "classes_", None)
    if classes is not None and len(classes) != 2:
        raise InputError(f"a classification is of two classes, not of {len(classes)}")
    form |= _linear(estimator) if scoring == "linear" else _trees(estimator)
    numbers = [x for value in form.values() if isinstance(value, list) for x in value]
    if not all(math.isfinite(x) for x in numbers):
        raise InputError("the trained model has coefficients that are not finite")
    return form


def _linear(estimator: Any) -> dict[str, Any]:
    return {
        "coefficients": np.ravel(estimator.coef_).tolist(),
        "intercept": float(np.ravel(estimator.intercept_)[0]),
    }


def _trees(estimator: Any) -> dict[str, Any]:
    """Write the nodes of all trees behind one another; feature 0 marks a leaf.

    A boosted model's learning rate is in its leaves: scikit-learn too multiplies it with each leaf.
    """
    boosted = hasattr(estimator, "init_")
    if getattr(estimator, "loss", None) == "exponential":
        raise InputError("boosting with the exponential loss is not scored in the database")
    found = [e.tree_ for e in np.ravel(getattr(estimator, "estimators_", [estimator]))]
    rate = float(estimator.learning_rate) if boosted else 1.0
    form: dict[str, Any] = {
        "base": _base(estimator) if boosted else 0.0,
        "divisor": 1.0 if boosted else float(len(found)),
        **{key: [] for key in ("roots", "split_features", "thresholds")},
        **{key: [] for key in ("lefts", "rights", "leaf_values")},
    }
    if not boosted:
        # The shares of the second class in a leaf are probabilities already.
        form["link"] = "identity"
    for tree in found:
        offset = len(form["split_features"]) + 1
        leaf = tree.children_left < 0
        values = tree.value[:, 0, -1]
        form["roots"].append(offset)
        form["split_features"] += np.where(leaf, 0, tree.feature + 1).tolist()
        form["thresholds"] += np.where(leaf, 0.0, tree.threshold).tolist()
        form["lefts"] += np.where(leaf, 0, tree.children_left + offset).tolist()
        form["rights"] += np.where(leaf, 0, tree.children_right + offset).tolist()
        form["leaf_values"] += np.where(leaf, values * rate, 0.0).tolist()
    return form


def _base(estimator: Any) -> float:
    """Return what boosting starts from, the same for every row, before any link."""
    start = np.ravel(estimator._raw_predict_init(np.zeros((1, estimator.n_features_in_))))
    return float(start[0])
