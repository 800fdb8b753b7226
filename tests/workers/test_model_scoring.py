"""Scoring of models by the scheduler, and `tsdb-trader model` from end to end."""

from __future__ import annotations

import hashlib
import json
from collections import OrderedDict
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import psycopg
import pytest

from model_data import make_bars, store_bars
from tsdb_trader.api import models as api
from tsdb_trader.errors import InputError
from tsdb_trader.research import estimators, models, scoring
from workers.command_line import Run, runner

WINDOW = (datetime(2015, 1, 1, tzinfo=UTC), datetime(2015, 10, 1, tzinfo=UTC))
AFTER = datetime(2015, 10, 12, 21, tzinfo=UTC)
FEATURES = ["return_1d", "volatility_20d", "rsi_14d"]


@pytest.fixture
def ids(conn: psycopg.Connection) -> dict[str, int]:
    return store_bars(conn, make_bars())


def trained(
    conn: psycopg.Connection, estimator: str, model: str = "m", **changes: Any
) -> models.Trained:
    settings = estimators.make_config(
        {"model": model, "features": FEATURES, "estimator": estimator, "folds": 3, "horizon": 2}
        | changes
    )
    return models.train(conn, settings, WINDOW)


def activated(
    conn: psycopg.Connection, *arguments: Any, **changes: Any
) -> tuple[int, models.Trained]:
    found = trained(conn, *arguments, **changes)
    version_id = models.save(conn, found)
    api.activate_model(conn, found.config.model)
    return version_id, found


def stored(conn: psycopg.Connection) -> list[Any]:
    return conn.execute(
        "select version_id, as_of, instrument_id, prediction, reason, features from signal.predictions order by 1, 2, 3"
    ).fetchall()


@pytest.mark.parametrize(
    ("estimator", "task", "parameters"),
    [
        ("neighbours", "regression", {}),
        ("neighbours", "classification", {"weights": "distance"}),
        ("neural_network", "regression", {"max_iter": 500, "tol": 0.01}),
        # Of estimators that the database scores with other parameters.
        ("gradient_boosting", "classification", {"loss": "exponential", "n_estimators": 5}),
    ],
)
def test_worker_scores_what_the_database_cannot(conn, connect_as, ids, estimator, task, parameters):
    _, found = activated(conn, estimator, task=task, parameters=parameters)
    # With the scheduler's rights, and by the clock that it is given.
    (run,) = scoring.score_due(connect_as("tsdb_worker_scheduler"), AFTER)
    assert (run.model, run.version, run.error) == ("m", 1, None)
    rows = stored(conn)
    assert run.new == len(rows) == 8 * 9
    features = np.array([row[5] for row in rows])
    assert [row[3] for row in rows] == models.predict(found.pipeline, task, features).tolist()
    answers = conn.execute(
        "select instrument_id, prediction from signal.predict('m', %s) order by 1", (AFTER,)
    )
    assert answers.fetchall() == [(row[2], row[3]) for row in rows if row[1] == rows[-1][1]]


@pytest.mark.parametrize("estimator", ["ridge", "neighbours"])
def test_worker_repeats_nothing_and_catches_up(conn, ids, estimator):
    activated(conn, estimator)
    days = [AFTER + timedelta(days=n) for n in (0, 0, 1, 20)]
    assert [scoring.score_due(conn, day)[0].new for day in days] == [72, 0, 8, 13 * 8]
    once = stored(conn)
    # Its history is lost, as if it had died before it was written: what is there stays.
    conn.execute("delete from signal.model_runs")
    conn.execute("update signal.model_versions set missing = 'refuse'")
    assert scoring.score_due(conn, days[-1])[0].new == 0
    assert stored(conn) == once


def test_worker_scores_a_long_window_in_parts_with_the_same_predictions(conn, ids, monkeypatch):
    activated(conn, "neighbours")
    sizes = []
    real = api.save_predictions

    def save(*arguments: Any) -> int:
        sizes.append(len(arguments[3]))
        return real(*arguments)

    monkeypatch.setattr(scoring.api, "save_predictions", save)
    assert scoring.score_due(conn, AFTER)[0].new == 72
    whole = stored(conn)
    conn.execute("delete from signal.predictions")
    conn.execute("delete from signal.model_runs")
    monkeypatch.setattr(scoring, "PART_ROWS", 25)
    assert scoring.score_due(conn, AFTER)[0].new == 72
    assert sizes == [72, 25, 25, 22]
    assert stored(conn) == whole


def test_load_keeps_pipelines_of_so_many_bytes_only(conn, ids, monkeypatch):
    versions = [models.save(conn, trained(conn, "neighbours", name, horizon=n))
                for n, name in enumerate("abc", 1)]  # fmt: skip
    (size,) = conn.execute("select max(length(artefact)) from signal.model_versions").fetchone()
    monkeypatch.setattr(scoring, "_kept", OrderedDict())
    monkeypatch.setattr(scoring, "KEPT_BYTES", 2 * size)
    first, second, _ = (scoring.load(conn, version)[0] for version in versions)
    assert len(scoring._kept) == 2
    assert scoring.load(conn, versions[1])[0] is second
    assert scoring.load(conn, versions[0])[0] is not first
    monkeypatch.setattr(scoring, "KEPT_BYTES", 1)
    assert scoring.load(conn, versions[1])[0] is second
    assert not scoring._kept
    assert scoring.load(conn, versions[1])[0] is not second


def test_worker_that_dies_midway_leaves_nothing_half_done(conn, ids, monkeypatch):
    activated(conn, "neighbours")

    class Died(BaseException):
        pass

    real = api.save_predictions
    monkeypatch.setattr(
        scoring.api, "save_predictions", lambda *a: (real(*a), (_ for _ in ()).throw(Died))[1]
    )
    with pytest.raises(Died):
        scoring.score_due(conn, AFTER)
    assert stored(conn) == []
    monkeypatch.undo()
    assert scoring.score_due(conn, AFTER)[0].new == 72


def test_worker_bars_that_came_late_are_scored_late(conn, ids):
    conn.execute(
        "delete from market._source_bars where ts > '2015-10-06' and instrument_id = %s",
        (ids["S0"],),
    )
    activated(conn, "ridge")
    assert scoring.score_due(conn, AFTER)[0].new == 72 - 5
    conn.execute("delete from market._source_bars where instrument_id = %s", (ids["S0"],))
    store_bars(conn, {"S0": make_bars()["S0"]})
    assert scoring.score_due(conn, AFTER + timedelta(minutes=5))[0].new == 5


def fail(conn: psycopg.Connection) -> None:
    """Make a feature that raises once the table is there."""
    conn.execute(
        """create function signal.fragile(p_instruments integer[], p_from timestamptz, p_to timestamptz)
           returns table (as_of timestamptz, instrument_id integer, features double precision[])
           language plpgsql stable as $$
           begin
               if to_regclass('signal.broken') is not null then
                   raise exception 'the vendor is gone';
               end if;
               return query select f.as_of, f.instrument_id, f.features[1:1] from signal.daily_features($1, $2, $3) f;
           end $$;
           grant execute on function signal.fragile(integer[], timestamptz, timestamptz) to public"""
    )
    conn.execute(
        "select signal.register_feature('fragile', 'signal.fragile(integer[], timestamptz, timestamptz)', 1, 'd', '0')"
    )


def test_worker_model_that_raises_is_recorded_and_the_others_go_on(conn, connect_as, ids):
    fail(conn)
    activated(conn, "ridge", "a")
    activated(conn, "ridge", "b", features=["rsi_14d", "fragile"])
    activated(conn, "neighbours", "c")
    conn.execute("create table signal.broken ()")
    worker = connect_as("tsdb_worker_scheduler")
    runs = {run.model: run for run in scoring.score_due(worker, AFTER)}
    assert (runs["a"].new, runs["c"].new) == (72, 72)
    assert runs["b"].error == "the vendor is gone"
    assert conn.execute(
        "select error from signal.model_runs where error is not null"
    ).fetchall() == [("the vendor is gone",)]
    alerts = "select kind, detail->>'model' from ops.alerts where resolved_at is null"
    assert conn.execute(alerts).fetchall() == [("model_failed", "b")]
    conn.execute("drop table signal.broken")
    assert {run.model: run.new for run in scoring.score_due(worker, AFTER)} == {
        "a": 0,
        "b": 72,
        "c": 0,
    }
    assert conn.execute(alerts).fetchall() == []


def refused(conn: psycopg.Connection, says: str) -> None:
    (run,) = scoring.score_due(conn, AFTER)
    assert says in str(run.error)
    assert stored(conn) == []


class Bomb:
    """Unpickling it would be noticed."""

    def __reduce__(self) -> Any:
        return (exec, ("raise SystemExit('code of an artefact ran')",))


def bomb() -> bytes:
    import pickle

    return pickle.dumps(Bomb())


def test_worker_artefact_of_another_digest_is_not_read(conn, ids):
    version_id, _ = activated(conn, "neighbours")
    conn.execute(
        "update signal.model_versions set artefact = %s where version_id = %s", (bomb(), version_id)
    )
    refused(conn, "is not the one that was saved")


def test_worker_artefact_of_a_login_without_the_rights_is_not_read(conn, ids):
    version_id, _ = activated(conn, "neighbours")
    content = bomb()
    for login in ("tsdb_quant", "gone"):
        conn.execute(
            "update signal.model_versions set artefact = %s, artefact_sha256 = %s, saved_by = %s where version_id = %s",
            (content, hashlib.sha256(content).hexdigest(), login, version_id),
        )
        refused(conn, f"saved by {login}, who has not the scheduler's rights")


def test_worker_artefact_of_another_scikit_learn_is_not_read(conn, ids):
    found = trained(conn, "neighbours")
    libraries = found.version["libraries"] | {"scikit-learn": "0.1"}
    models.save(conn, replace(found, version=found.version | {"libraries": libraries}))
    api.activate_model(conn, "m")
    refused(conn, "train it again")


def test_load_version_without_an_artefact_is_refused(conn, ids):
    version_id, _ = activated(conn, "ridge")
    with pytest.raises(InputError, match="has no artefact"):
        scoring.load(conn, version_id)
    other = models.save(conn, trained(conn, "neighbours", "n"))
    with pytest.raises(psycopg.Error, match="is scored by a worker") as caught:
        conn.execute("select signal.record_predictions(%s, %s, %s)", (other, *WINDOW))
    assert caught.value.sqlstate == "TT004"


def test_save_predictions_arrays_that_do_not_fit_are_refused(conn, ids):
    version_id, _ = activated(conn, "ridge")
    row = api.Scored(AFTER, 1, 0.5, None, [1.0, 2.0])
    with pytest.raises(InputError, match="1 rows of predictions with 3 features"):
        api.save_predictions(conn, version_id, WINDOW, [row])


@pytest.fixture
def run(at_test_database: None, capsys: pytest.CaptureFixture[str]) -> Run:
    """Return a function that runs a command in this process."""
    return runner(capsys)


def test_model_commands_from_training_to_retirement(conn, ids, run, tmp_path):
    path = tmp_path / "m.toml"
    path.write_text(
        f'model = "m"\nfeatures = {json.dumps(FEATURES)}\nestimator = "ridge"\nfolds = 3\nhorizon = 2\n'
    )
    window = ("--from", "2015-01-01T00:00Z", "--to", "2015-10-01T00:00Z")
    done = run("model", "train", str(path), *window, "--activate")
    assert done.status == 0, done.err
    assert "m version 1, active" in done.out
    assert "fold 3" in done.err
    some = run("model", "train", str(path), *window, "--symbols", "S0,S1,S2,S3", "--json")
    assert json.loads(some.out)["metrics"]["rows"] < 800
    assert run("model", "list").out.splitlines()[1].startswith("m 2  candidate  ridge  linear  ic ")
    assert "trained on" in run("model", "show", "m", "--version", "1").out
    assert len(json.loads(run("model", "export", "m").out)["coefficients"]) == 3
    assert (
        run("model", "score", "m", "--as-of", "2015-10-12T21:00Z").out
        == "m 1: 72 new predictions\n"
    )
    drift = json.loads(run("model", "drift", "--as-of", "2015-10-12T21:00Z", "--json").out)
    assert {row["variable"] for row in drift} == {*FEATURES, "prediction"}
    assert run("model", "activate", "m", "--version", "2").out == "version 2 answers for m\n"
    assert run("model", "retire", "m", "--as-of", "2015-11-01T00:00Z").out == "m is retired\n"


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("show", "q"), 'unknown model "q"'),
        (("export", "q"), 'unknown model "q"'),
        (("score", "q"), 'unknown model "q"'),
        (("retire", "q"), 'unknown model "q"'),
        (("score", "--as-of", "2015-10-12"), "has no zone"),
        (("train", "missing.toml", "--from", "2015-01-01T00:00Z", "--to", "2015-10-01T00:00Z"), "missing.toml"),
    ],
)  # fmt: skip
def test_model_command_that_cannot_be_says_why(run, arguments, says):
    done = run("model", *arguments)
    assert done.status == 5
    assert says in done.err
