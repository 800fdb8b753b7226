"""Trained pipelines as numbers that the database scores by (``signal.model_form``)."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from tsdb_trader.errors import InputError

MAX_NODES = 500_000
"""Nodes of all trees that the database takes (``signal._check_form``)."""


class NotExportableError(InputError):
    """The model cannot be scored in the database."""


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
    NotExportableError
        The model cannot be written this way, such as one of more than two classes.
    InputError
        What was trained is not finite.
    """
    steps = pipeline.named_steps
    estimator = steps["estimate"]
    classes = getattr(estimator, "classes_", None)
    if classes is not None and len(classes) != 2:
        raise NotExportableError(f"a classification is of two classes, not of {len(classes)}")
    form: dict[str, Any] = {
        "fills": steps["impute"].statistics_.tolist() if "impute" in steps else None,
        "link": "logistic" if task == "classification" else "identity",
    }
    if "scale" in steps:
        form |= _scaling(steps["scale"], scoring)
    if scoring == "linear":
        form |= _linear(estimator)
    elif hasattr(estimator, "_predictors"):
        form |= _histogram_trees(estimator)
    else:
        form |= _trees(estimator)
    numbers = [x for value in form.values() if isinstance(value, list) for x in value]
    if not all(math.isfinite(x) for x in numbers):
        raise InputError("the trained model has coefficients that are not finite")
    return form


def _scaling(scaler: Any, scoring: str) -> dict[str, Any]:
    """Write a scaler as (x - centre) / scale."""
    if hasattr(scaler, "data_min_"):
        if scoring == "trees":
            # It multiplies and adds: a value at a threshold could take the other leaf.
            raise NotExportableError("trees of features scaled by min_max")
        return {"centres": scaler.data_min_.tolist(), "scales": (1 / scaler.scale_).tolist()}
    centres = scaler.center_ if hasattr(scaler, "center_") else scaler.mean_
    return {"centres": centres.tolist(), "scales": scaler.scale_.tolist()}


def _linear(estimator: Any) -> dict[str, Any]:
    if getattr(estimator, "loss", None) == "modified_huber":
        raise NotExportableError("the probabilities of the loss modified_huber are not logistic")
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
        raise NotExportableError("the probabilities of the loss exponential are not logistic")
    found = [e.tree_ for e in np.ravel(getattr(estimator, "estimators_", [estimator]))]
    rate = float(estimator.learning_rate) if boosted else 1.0
    form = _nodes(
        [
            {
                "leaf": tree.children_left < 0,
                "feature": tree.feature,
                "threshold": tree.threshold,
                "left": tree.children_left,
                "right": tree.children_right,
                "missing_left": tree.missing_go_to_left,
                "value": tree.value[:, 0, -1] * rate,
            }
            for tree in found
        ]
    )
    form["base"] = _base(estimator) if boosted else 0.0
    form["divisor"] = 1.0 if boosted else float(len(found))
    if not boosted:
        # The shares of the second class in a leaf are probabilities already.
        form["link"] = "identity"
    return form


def _histogram_trees(estimator: Any) -> dict[str, Any]:
    """Write the nodes of histogram boosting, which compares in double precision."""
    if estimator.is_categorical_ is not None:
        raise NotExportableError("features that are categories")
    if estimator.loss in ("poisson", "gamma"):
        raise NotExportableError(f"predictions of the loss {estimator.loss} are exponentials")
    found = [tree.nodes for trees in estimator._predictors for tree in trees]
    form = _nodes(
        [
            {
                "leaf": nodes["is_leaf"] != 0,
                "feature": nodes["feature_idx"].astype(np.int64),
                "threshold": nodes["num_threshold"],
                "left": nodes["left"].astype(np.int64),
                "right": nodes["right"].astype(np.int64),
                "missing_left": nodes["missing_go_to_left"],
                "value": nodes["value"],
            }
            for nodes in found
        ]
    )
    base = float(np.ravel(estimator._baseline_prediction)[0])
    return form | {"base": base, "divisor": 1.0, "in_double": True}


def _nodes(trees: list[dict[str, Any]]) -> dict[str, Any]:
    form: dict[str, Any] = {
        "roots": [],
        **{key: [] for key in ("split_features", "thresholds", "lefts", "rights")},
        **{key: [] for key in ("missing_lefts", "leaf_values")},
    }
    count = sum(tree["leaf"].size for tree in trees)
    if count > MAX_NODES:
        raise NotExportableError(
            f"{count:,} nodes of trees, of at most {MAX_NODES:,} (max_depth, max_leaf_nodes, "
            "min_samples_leaf and the number of trees bound them)"
        )
    # A split of what is known from what is missing has an infinite threshold.
    largest = np.finfo(np.float64).max
    for tree in trees:
        leaf = tree["leaf"]
        offset = len(form["split_features"]) + 1
        form["roots"].append(offset)
        form["split_features"] += np.where(leaf, 0, tree["feature"] + 1).tolist()
        form["thresholds"] += np.where(leaf, 0.0, np.minimum(tree["threshold"], largest)).tolist()
        form["lefts"] += np.where(leaf, 0, tree["left"] + offset).tolist()
        form["rights"] += np.where(leaf, 0, tree["right"] + offset).tolist()
        form["missing_lefts"] += (~leaf & (tree["missing_left"] != 0)).tolist()
        form["leaf_values"] += np.where(leaf, tree["value"], 0.0).tolist()
    return form


def _base(estimator: Any) -> float:
    """Return what boosting starts from, the same for every row, before any link."""
    start = np.ravel(estimator._raw_predict_init(np.zeros((1, estimator.n_features_in_))))
    return float(start[0])
