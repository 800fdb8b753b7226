"""What a model is: its configuration, and the scikit-learn pipeline that it stands for."""

from __future__ import annotations

import difflib
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from importlib import import_module, metadata
from pathlib import Path
from typing import Any

from tsdb_trader.errors import ConfigurationError, InputError

_KINDS: dict[str, Any] = {
    "features": (list, tuple),
    "parameters": Mapping,
    "embargo_days": (int, float),
    "drift_threshold": (int, float),
    "horizon": int,
    "folds": int,
    "seed": int,
}
_TREES = "trees"
_LINEAR = "linear"
_WORKER = "worker"


@dataclass(frozen=True)
class Estimator:
    """A scikit-learn class per task, how it is scored, and whether it wants scaled features.

    `routes` says that its trees route missing values; `defaults` are parameters by
    task that differ from scikit-learn's.
    """

    scoring: str
    regression: str | None
    classification: str | None
    scaled: bool = False
    seeded: bool = True
    routes: bool = False
    defaults: Mapping[str, Any] = field(default_factory=dict)


ESTIMATORS = {
    "linear": Estimator(_LINEAR, "linear_model.LinearRegression", None, True, seeded=False),
    "ridge": Estimator(_LINEAR, "linear_model.Ridge", None, True),
    "lasso": Estimator(_LINEAR, "linear_model.Lasso", None, True),
    "elastic_net": Estimator(_LINEAR, "linear_model.ElasticNet", None, True),
    "huber": Estimator(_LINEAR, "linear_model.HuberRegressor", None, True, seeded=False),
    "logistic": Estimator(_LINEAR, None, "linear_model.LogisticRegression", True),
    "sgd": Estimator(
        _LINEAR, "linear_model.SGDRegressor", "linear_model.SGDClassifier", True,
        defaults={"classification": {"loss": "log_loss"}},
    ),
    "decision_tree": Estimator(
        _TREES, "tree.DecisionTreeRegressor", "tree.DecisionTreeClassifier", routes=True
    ),
    "random_forest": Estimator(
        _TREES, "ensemble.RandomForestRegressor", "ensemble.RandomForestClassifier", routes=True
    ),
    "extra_trees": Estimator(
        _TREES, "ensemble.ExtraTreesRegressor", "ensemble.ExtraTreesClassifier", routes=True
    ),
    "gradient_boosting": Estimator(
        _TREES, "ensemble.GradientBoostingRegressor", "ensemble.GradientBoostingClassifier"
    ),
    "histogram_boosting": Estimator(
        _TREES,
        "ensemble.HistGradientBoostingRegressor",
        "ensemble.HistGradientBoostingClassifier",
        routes=True,
    ),
    "neighbours": Estimator(
        _WORKER, "neighbors.KNeighborsRegressor", "neighbors.KNeighborsClassifier", True, False
    ),
    "neural_network": Estimator(
        _WORKER, "neural_network.MLPRegressor", "neural_network.MLPClassifier", True
    ),
}  # fmt: skip
"""By the name that a configuration says; those of scoring "worker" are stored as artefacts."""
_SCALERS = {
    "standard": "StandardScaler",
    "robust": "RobustScaler",
    "min_max": "MinMaxScaler",
    "none": None,
}


@dataclass(frozen=True)
class ModelConfig:
    """What is trained; `parameters` are scikit-learn's own of the estimator.

    `horizon` is in bars, `embargo_days` in calendar days. A classification predicts the
    probability that the return over the horizon is above zero. `missing` is "refuse" (a row
    with a missing feature is left out, and has no prediction), "impute" (by the median of the
    training rows) or "route" (trees that send it where it fitted best). `scaling` is standard,
    robust, min_max or none, by default what the estimator wants.
    """

    model: str
    features: tuple[str, ...]
    estimator: str
    task: str = "regression"
    horizon: int = 5
    parameters: Mapping[str, Any] = field(default_factory=dict)
    missing: str = "refuse"
    scaling: str = ""
    scheme: str = "walk_forward"
    folds: int = 5
    embargo_days: float = 5.0
    seed: int = 1
    drift_threshold: float = 0.2
    description: str = ""

    def __post_init__(self) -> None:
        """Refuse what cannot be trained."""
        kind = ESTIMATORS.get(self.estimator)
        if kind is None:
            raise InputError(_unknown("estimator", self.estimator, ESTIMATORS))
        checks = {
            "task is regression or classification": self.task in ("regression", "classification"),
            f"estimator {self.estimator} cannot do {self.task}": self.class_path is not None,
            "missing is refuse, impute or route": self.missing in ("refuse", "impute", "route"),
            f"estimator {self.estimator} cannot route what is missing: refuse or impute it": (
                self.missing != "route" or kind.routes
            ),
            f"scaling is {', '.join(_SCALERS)}": self.scaling in ("", *_SCALERS),
            "scheme is walk_forward or k_fold": self.scheme in ("walk_forward", "k_fold"),
            "features names one or more, each once": 0
            < len(set(self.features))
            == len(self.features),
            "horizon is 1 to 60 bars": 1 <= self.horizon <= 60,
            "folds is 2 to 50": 2 <= self.folds <= 50,
            "embargo_days is 0 to 365": 0 <= self.embargo_days <= 365,
            "drift_threshold is above 0": self.drift_threshold > 0,
        }
        wrong = next((text for text, right in checks.items() if not right), None)
        if wrong is not None:
            raise InputError(f"model {self.model}: {wrong}")

    @property
    def kind(self) -> Estimator:
        """Return what the estimator is."""
        return ESTIMATORS[self.estimator]

    @property
    def class_path(self) -> str | None:
        """Return the scikit-learn class, None where the estimator cannot do the task."""
        kind = self.kind
        return kind.regression if self.task == "regression" else kind.classification


def read_config(path: Path, **changes: Any) -> ModelConfig:
    """Read a configuration in TOML; `changes` that are not None replace its keys.

    Raises
    ------
    InputError
        The file cannot be read, has an unknown key, or a value that cannot be.
    """
    try:
        found = tomllib.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: {error}") from None
    found |= {key: value for key, value in changes.items() if value is not None}
    return make_config(found)


def make_config(values: Mapping[str, Any]) -> ModelConfig:
    """Make a configuration of keys and values.

    Raises
    ------
    InputError
        A key is unknown or missing, or a value cannot be.
    """
    known = [f.name for f in fields(ModelConfig)]
    unknown = next((key for key in values if key not in known), None)
    if unknown is not None:
        raise InputError(_unknown("key", unknown, known))
    absent = [key for key in ("model", "features", "estimator") if key not in values]
    if absent:
        raise InputError(f"a model needs {', '.join(absent)}")
    for key, value in values.items():
        wanted = _KINDS.get(key, str)
        if not isinstance(value, wanted) or isinstance(value, bool):
            raise InputError(f"model {values['model']}: {key} cannot be {value!r}")
    features = values["features"]
    if not all(isinstance(name, str) for name in features):
        raise InputError("features is a list of names")
    return ModelConfig(**{**values, "features": tuple(features)})


def build(config: ModelConfig) -> Any:
    """Return the untrained pipeline: imputer where asked for, scaler where needed, estimator.

    Raises
    ------
    InputError
        scikit-learn does not know a parameter.
    ConfigurationError
        It is not installed.
    """
    try:
        pipeline = import_module("sklearn.pipeline")
        imputation = import_module("sklearn.impute")
        preprocessing = import_module("sklearn.preprocessing")
        assert config.class_path is not None  # noqa: S101 - checked when the configuration was made
        module, name = config.class_path.rsplit(".", 1)
        estimator = getattr(import_module(f"sklearn.{module}"), name)
    except ImportError:
        raise ConfigurationError(
            "models need scikit-learn: install the extra research "
            "(pip install 'tsdb-trader[research]')"
        ) from None
    parameters = dict(config.kind.defaults.get(config.task, {})) | dict(config.parameters)
    if config.kind.seeded:
        parameters.setdefault("random_state", config.seed)
    try:
        last = estimator(**parameters)
    except TypeError as error:
        raise InputError(f"model {config.model}: {error}") from None
    steps: list[tuple[str, Any]] = []
    if config.missing == "impute":
        # A feature that begins to be known in a later fold is there in this one, as zeros.
        imputer = imputation.SimpleImputer(strategy="median", keep_empty_features=True)
        steps.append(("impute", imputer))
    scaler = _SCALERS[config.scaling or ("standard" if config.kind.scaled else "none")]
    if scaler is not None:
        steps.append(("scale", getattr(preprocessing, scaler)()))
    return pipeline.Pipeline([*steps, ("estimate", last)])


def libraries() -> dict[str, str]:
    """Return the versions of what models are trained with."""
    return {name: metadata.version(name) for name in ("scikit-learn", "numpy", "joblib")}


def _unknown(what: str, name: str, known: Any) -> str:
    close = difflib.get_close_matches(name, known, 1)
    hint = f", did you mean {close[0]}?" if close else ""
    return f"unknown {what} {name}{hint} Known are {', '.join(known)}"
