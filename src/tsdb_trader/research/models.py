"""Training of models on point-in-time features, with purged and embargoed validation.

The rows are those of ``signal.feature_rows``, the labels the returns of ``signal.labels``; both
come with the time at which they were known, so that a split can keep what overlaps apart
(`splits`). What is reported is measured on predictions of rows that the predicting model did not
see.
"""

from __future__ import annotations

import hashlib
import io
import warnings
from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from importlib import import_module
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy import stats

from tsdb_trader import __version__
from tsdb_trader.api import models as api
from tsdb_trader.db import Connection
from tsdb_trader.errors import InputError
from tsdb_trader.research import estimators, model_forms, splits

Array = npt.NDArray[np.float64]

MIN_TRAIN, MIN_TEST = 100, 20
"""Rows that a fold has at least."""
MAX_ARTEFACT = 256 * 1024**2
"""Bytes of a model that a worker scores; each run reads them."""
_BINS = 10
_AT_ONCE = timedelta(days=366)
Progress = Callable[[str], None]


@dataclass(frozen=True)
class Dataset:
    """Rows to learn from, by time: features (n, k), returns (n,), when both were known (n,).

    `refused` counts rows left out because a feature is missing or not finite; `raw` has the
    features of all rows, these included.
    """

    features: Array
    returns: Array
    starts: splits.Times
    ends: splits.Times
    raw: Array
    refused: int


@dataclass(frozen=True)
class Trained:
    """A trained pipeline, with what `signal.save_model` wants to know."""

    config: estimators.ModelConfig
    pipeline: Any
    version: dict[str, Any]
    artefact: bytes | None


def dataset(
    conn: Connection,
    config: estimators.ModelConfig,
    window: tuple[datetime, datetime],
    instrument_ids: list[int] | None = None,
) -> Dataset:
    """Read features and labels that were known in a window.

    Raises
    ------
    UnknownObjectError
        A feature is not defined.
    InputError
        There are no rows, or a feature is never known or never changes.
    """
    pieces = []
    first = window[0]
    # A year at a time: millions of Python's numbers at once would fill the memory.
    while first < window[1]:
        last = min(first + _AT_ONCE, window[1])
        rows = api.feature_rows(conn, config.features, instrument_ids, (first, last))
        values = np.array(rows.values, dtype=np.float64).reshape(-1, len(config.features))
        frame = pd.DataFrame(values, columns=list(config.features))
        frame["as_of"] = _times(rows.times)
        frame["instrument_id"] = np.array(rows.instrument_ids, dtype=np.int64)
        pieces.append(frame)
        first = last
    found = api.labels(conn, instrument_ids, window, config.horizon)
    labels = pd.DataFrame(
        {
            "as_of": _times(found.times),
            "instrument_id": np.array(found.instrument_ids, dtype=np.int64),
            "label": np.array(found.values, dtype=np.float64),
            "known": _times(found.known),
        }
    )
    joined = pd.concat(pieces).merge(labels, on=["as_of", "instrument_id"])
    joined = joined.sort_values(["as_of", "instrument_id"], ignore_index=True)
    return _checked(config, joined)


def train(
    conn: Connection,
    config: estimators.ModelConfig,
    window: tuple[datetime, datetime],
    instrument_ids: list[int] | None = None,
    progress: Progress = lambda text: None,
) -> Trained:
    """Validate a model on splits of a window, then train it on the whole of it.

    Raises
    ------
    InputError
        Too few rows for the splits, a constant feature, or a parameter that cannot be.
    """
    progress("reading features and labels")
    data = dataset(conn, config, window, instrument_ids)
    predictions, folds = validate(config, data, progress)
    progress(f"training on {data.returns.size:,} rows")
    pipeline = _fit(config, data, np.arange(data.returns.size))
    seen = ~np.isnan(predictions)
    metrics = {
        "overall": measure(config, data, np.flatnonzero(seen), predictions[seen]),
        "folds": folds,
        "rows": int(data.returns.size),
        "rows_refused": data.refused,
    }
    bins = {name: bins_of(data.raw[:, column]) for column, name in enumerate(config.features)} | {
        "prediction": bins_of(predict(pipeline, config.task, data.features))
    }
    form = _form(config, pipeline, progress)
    return _trained(conn, config, window, data, pipeline, form, metrics, bins)


def validate(
    config: estimators.ModelConfig, data: Dataset, progress: Progress = lambda text: None
) -> tuple[Array, list[dict[str, Any]]]:
    """Predict every row of a test block by a model that was not trained on what overlaps it.

    Returns the predictions, NaN for rows of no test, and the metrics of each fold.

    Raises
    ------
    InputError
        A fold has too few rows.
    """
    embargo = np.timedelta64(round(config.embargo_days * 86400), "s")
    predictions = np.full(data.returns.size, np.nan)
    folds = []
    scheme = splits.SCHEMES[config.scheme]
    for number, split in enumerate(scheme(data.starts, data.ends, config.folds, embargo), 1):
        if split.train.size < MIN_TRAIN or split.test.size < MIN_TEST:
            raise InputError(
                f"model {config.model}: fold {number} has {split.train.size} rows to train on and "
                f"{split.test.size} to test with, of at least {MIN_TRAIN} and {MIN_TEST}: take a "
                "longer window, more instruments or fewer folds"
            )
        progress(f"fold {number}: {split.train.size:,} rows, tested on {split.test.size:,}")
        pipeline = _fit(config, data, split.train)
        predictions[split.test] = predict(pipeline, config.task, data.features[split.test])
        found = measure(config, data, split.test, predictions[split.test])
        folds.append(
            {
                "from": str(data.starts[split.test].min()),
                "to": str(data.starts[split.test].max()),
                "trained": int(split.train.size),
                **found,
            }
        )
    return predictions, folds


def predict(pipeline: Any, task: str, features: Array) -> Array:
    """Return a pipeline's predictions: returns, or probabilities of one above zero."""
    with _one_thread():
        if task == "regression":
            return np.asarray(pipeline.predict(features), dtype=np.float64)
        return np.asarray(pipeline.predict_proba(features)[:, 1], dtype=np.float64)


def measure(
    config: estimators.ModelConfig, data: Dataset, rows: splits.Rows, predictions: Array
) -> dict[str, Any]:
    """Return how good predictions of rows are; what cannot be measured is None.

    ic is Spearman's rank correlation of predictions and returns over all rows, ic_by_time the
    mean of that within each time; accuracy is of the direction.
    """
    scores = import_module("sklearn.metrics")
    returns = data.returns[rows]
    up = returns > 0
    called = predictions > (0.5 if config.task == "classification" else 0.0)
    found: dict[str, Any] = {
        "rows": int(rows.size),
        "ic": _correlation(predictions, returns),
        "ic_by_time": _correlation_by_time(data.starts[rows], predictions, returns),
        "accuracy": float(np.mean(called == up)),
        "share_up": float(np.mean(up)),
    }
    if config.task == "regression":
        return found | {"r2": float(scores.r2_score(returns, predictions))}
    both = 0 < up.sum() < up.size
    return found | {
        "auc": float(scores.roc_auc_score(up, predictions)) if both else None,
        "log_loss": float(scores.log_loss(up, predictions, labels=[False, True])),
    }


def bins_of(values: Array) -> dict[str, list[float]]:
    """Return the edges of ten bins of about equal shares, and the shares; the last of NaN.

    A value that is an edge belongs to the bin above, as in SQL's width_bucket.
    """
    known = values[~np.isnan(values)]
    edges = np.unique(np.quantile(known, np.arange(1, _BINS) / _BINS))
    counts = np.bincount(np.searchsorted(edges, known, side="right"), minlength=edges.size + 1)
    shares = np.append(counts, values.size - known.size) / values.size
    return {"edges": edges.tolist(), "shares": shares.tolist()}


def digest(data: Dataset) -> str:
    """Return the SHA-256 of all rows: what bars, actions and news came to."""
    found = hashlib.sha256()
    for values in (data.starts, data.ends, data.returns, data.raw):
        found.update(np.ascontiguousarray(values).tobytes())
    return found.hexdigest()


def save(conn: Connection, trained: Trained) -> int:
    """Save a trained model as a new version; return its version_id."""
    config = trained.config
    return api.save_model(conn, config.model, config.description, trained.version, trained.artefact)


def _trained(
    conn: Connection,
    config: estimators.ModelConfig,
    window: tuple[datetime, datetime],
    data: Dataset,
    pipeline: Any,
    form: dict[str, Any] | None,
    metrics: dict[str, Any],
    bins: dict[str, Any],
) -> Trained:
    settings = asdict(config)
    kept = ("task", "estimator", "horizon", "missing", "drift_threshold")
    version = {
        **{key: settings[key] for key in kept},
        "scoring": "worker" if form is None else config.kind.scoring,
        "features": list(config.features),
        "parameters": {
            key: settings[key]
            for key in ("parameters", "scaling", "scheme", "folds", "embargo_days", "seed")
        },
        "metrics": metrics,
        "form": form,
        "trained_from": window[0].isoformat(),
        # What was known last: the model may answer from then on.
        "trained_to": str(data.ends.max()) + "Z",
        "data_watermark": api.bar_watermark(conn, window) | {"rows_sha256": digest(data)},
        "code_version": __version__,
        "features_hash": api.features_hash(conn, config.features),
        "libraries": estimators.libraries(),
        "bins": bins,
    }
    return Trained(config, pipeline, version, _artefact(pipeline) if form is None else None)


def _form(
    config: estimators.ModelConfig, pipeline: Any, progress: Progress
) -> dict[str, Any] | None:
    """Return what the database scores by, None where a worker has to."""
    if config.kind.scoring == "worker":
        return None
    try:
        return model_forms.export(pipeline, config.kind.scoring, config.task)
    except model_forms.NotExportableError as error:
        progress(f"a worker will score it, because the database cannot: {error}")
        return None


def _artefact(pipeline: Any) -> bytes:
    content = io.BytesIO()
    import_module("joblib").dump(pipeline, content)
    if content.tell() > MAX_ARTEFACT:
        raise InputError(
            f"the trained model has {content.tell():,} bytes, of at most {MAX_ARTEFACT:,}: bound "
            "its trees with max_depth, or take fewer"
        )
    return content.getvalue()


def _fit(config: estimators.ModelConfig, data: Dataset, rows: splits.Rows) -> Any:
    targets: Any = data.returns[rows]
    if config.task == "classification":
        targets = targets > 0
        if targets.all() or not targets.any():
            raise InputError(f"model {config.model}: all returns of a fold have the same sign")
    pipeline = estimators.build(config)
    if config.task == "classification" and not hasattr(pipeline[-1], "predict_proba"):
        raise InputError(
            f"model {config.model}: {config.estimator} gives no probabilities with these parameters"
        )
    unconverged = import_module("sklearn.exceptions").ConvergenceWarning
    try:
        with warnings.catch_warnings(), _one_thread():
            warnings.simplefilter("error", unconverged)
            return pipeline.fit(data.features[rows], targets)
    except (ValueError, unconverged) as error:
        # scikit-learn checks parameters when it fits.
        raise InputError(f"model {config.model}: {error}") from None


def _one_thread() -> Any:
    """Return a context in which sums have one order, whatever number of cores there is."""
    return import_module("threadpoolctl").threadpool_limits(1)


def _checked(config: estimators.ModelConfig, joined: pd.DataFrame) -> Dataset:
    if joined.empty:
        raise InputError(f"model {config.model}: no row has features and a label in the window")
    raw = joined[list(config.features)].to_numpy(dtype=np.float64)
    for column, name in enumerate(config.features):
        known = raw[np.isfinite(raw[:, column]), column]
        if known.size == 0:
            raise InputError(f"feature {name} has no value in the window: leave it out")
        if np.ptp(known) == 0:
            raise InputError(f"feature {name} is always {known[0]}: leave it out")
    usable = ~np.isinf(raw).any(axis=1)
    if config.missing == "refuse":
        usable &= ~np.isnan(raw).any(axis=1)
    kept = joined[usable]
    if kept.empty:
        raise InputError(f"model {config.model}: every row lacks a feature")
    return Dataset(
        raw[usable],
        kept["label"].to_numpy(dtype=np.float64),
        kept["as_of"].to_numpy(dtype="datetime64[us]"),
        kept["known"].to_numpy(dtype="datetime64[us]"),
        raw,
        int((~usable).sum()),
    )


def _times(found: list[datetime]) -> splits.Times:
    """Return times in UTC without a zone, as numpy keeps them."""
    return np.array(
        [time.astimezone(UTC).replace(tzinfo=None) for time in found], dtype="datetime64[us]"
    )


def _correlation(predictions: Array, returns: Array) -> float | None:
    if np.ptp(predictions) == 0 or np.ptp(returns) == 0:
        return None
    return float(stats.spearmanr(predictions, returns).statistic)


def _correlation_by_time(starts: splits.Times, predictions: Array, returns: Array) -> float | None:
    frame = pd.DataFrame({"p": predictions, "r": returns}).groupby(starts)
    ranks = frame.rank()
    found = [c for _, group in ranks.groupby(starts) if (c := _rank_correlation(group)) is not None]
    return float(np.mean(found)) if found else None


def _rank_correlation(ranks: pd.DataFrame) -> float | None:
    p, r = ranks["p"].to_numpy(), ranks["r"].to_numpy()
    if p.size < 3 or np.ptp(p) == 0 or np.ptp(r) == 0:
        return None
    return float(np.corrcoef(p, r)[0, 1])
