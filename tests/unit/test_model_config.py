"""Configurations of models: what is read, and what is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from tsdb_trader.errors import InputError
from tsdb_trader.research import estimators

GOOD = {"model": "m", "features": ["return_1d"], "estimator": "ridge"}


def test_read_config_reads_toml_and_applies_changes(tmp_path: Path) -> None:
    path = tmp_path / "m.toml"
    path.write_text(
        'model = "m"\nfeatures = ["return_1d", "rsi_14d"]\nestimator = "ridge"\n'
        "horizon = 3\n[parameters]\nalpha = 2.5\n"
    )
    found = estimators.read_config(path, estimator="linear", seed=None)
    assert (found.features, found.estimator, found.horizon) == (
        ("return_1d", "rsi_14d"),
        "linear",
        3,
    )
    assert found.parameters == {"alpha": 2.5}


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"estimator": "rigde"}, "unknown estimator rigde, did you mean ridge"),
        ({"horizont": 3}, "unknown key horizont, did you mean horizon"),
        ({"features": []}, "features names one or more"),
        ({"features": ["a", "a"]}, "each once"),
        ({"features": "return_1d"}, "features cannot be"),
        ({"task": "ranking"}, "task is regression or classification"),
        ({"task": "classification"}, "ridge cannot do classification"),
        ({"horizon": 0}, "1 to 60 bars"),
        ({"folds": 1}, "2 to 50"),
        ({"missing": "zero"}, "missing is refuse, impute or route"),
        ({"missing": "route"}, "ridge cannot route what is missing"),
        ({"scaling": "quantile"}, "scaling is standard, robust, min_max, none"),
        ({"scheme": "shuffled"}, "walk_forward or k_fold"),
        ({"embargo_days": -1}, "0 to 365"),
        ({"drift_threshold": 0}, "above 0"),
        ({"horizon": "five"}, "horizon cannot be .five."),
        ({"features": ["a", 1]}, "a list of names"),
    ],
)
def test_config_that_cannot_be_is_refused(changes, says):
    with pytest.raises(InputError, match=says):
        estimators.make_config(GOOD | changes)


def test_config_without_its_keys_is_refused():
    with pytest.raises(InputError, match="needs features, estimator"):
        estimators.make_config({"model": "m"})


@pytest.mark.parametrize("text", ["model = ", None])
def test_read_config_broken_file_is_refused(tmp_path, text):
    path = tmp_path / "m.toml"
    if text is not None:
        path.write_text(text)
    with pytest.raises(InputError, match=r"m\.toml"):
        estimators.read_config(path)


def test_build_unknown_parameter_is_refused():
    with pytest.raises(InputError, match="alhpa"):
        estimators.build(estimators.make_config(GOOD | {"parameters": {"alhpa": 1}}))


@pytest.mark.parametrize("name", sorted(estimators.ESTIMATORS))
def test_build_every_estimator_for_its_tasks(name):
    kind = estimators.ESTIMATORS[name]
    for task, path in (("regression", kind.regression), ("classification", kind.classification)):
        if path is None:
            continue
        config = estimators.make_config(
            GOOD | {"estimator": name, "task": task, "missing": "impute"}
        )
        steps = estimators.build(config).named_steps
        assert type(steps["estimate"]).__name__ == path.rsplit(".", 1)[1]
        assert ("scale" in steps) == kind.scaled
        if task == "classification":
            assert hasattr(steps["estimate"], "predict_proba")
        assert "impute" in steps
