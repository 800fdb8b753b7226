"""Models: trained, scored in the database as in Python, valid by time, watched for drift."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import psycopg
import pytest
from psycopg.types.json import Jsonb

from model_data import make_bars, read_sp500, store_bars
from tsdb_trader.api import models as api
from tsdb_trader.errors import InputError, TransitionError, UnknownObjectError
from tsdb_trader.research import estimators, models

WINDOW = (datetime(2015, 1, 1, tzinfo=UTC), datetime(2015, 10, 1, tzinfo=UTC))
AFTER = datetime(2015, 11, 2, 21, tzinfo=UTC)
FEATURES = ["return_1d", "return_5d", "volatility_20d", "rsi_14d", "range_1d", "relative_1d"]
IN_DATABASE = [
    ("linear", "regression", {}),
    ("ridge", "regression", {"alpha": 10.0}),
    ("logistic", "classification", {"C": 0.5}),
    ("decision_tree", "regression", {"max_depth": 5}),
    ("decision_tree", "classification", {"max_leaf_nodes": 12}),
    ("random_forest", "regression", {"n_estimators": 12, "max_depth": 6}),
    ("random_forest", "classification", {"n_estimators": 12, "max_depth": 6}),
    ("gradient_boosting", "regression", {"n_estimators": 20, "max_depth": 3}),
    ("gradient_boosting", "classification", {"n_estimators": 20, "subsample": 0.7}),
    ("histogram_boosting", "regression", {"max_iter": 20}),
]


def config(estimator: str = "ridge", **changes: Any) -> estimators.ModelConfig:
    return estimators.make_config(
        {"model": "m", "features": FEATURES, "estimator": estimator, "folds": 3, "horizon": 2}
        | changes
    )


@pytest.fixture
def ids(conn: psycopg.Connection) -> dict[str, int]:
    return store_bars(conn, make_bars())


def train(conn: psycopg.Connection, **changes: Any) -> models.Trained:
    return models.train(conn, config(**changes), WINDOW)


def save(conn: psycopg.Connection, **changes: Any) -> int:
    return models.save(conn, train(conn, **changes))


def rows_of(
    conn: psycopg.Connection, version_id: int, start: datetime, end: datetime
) -> list[api.Scored]:
    return api.score_version(conn, version_id, (start, end))


def python_predictions(trained: models.Trained, rows: list[api.Scored]) -> np.ndarray[Any, Any]:
    features = np.array([row.features for row in rows], dtype=np.float64)
    return models.predict(trained.pipeline, trained.config.task, features)


@pytest.mark.parametrize(("estimator", "task", "parameters"), IN_DATABASE)
@pytest.mark.parametrize("missing", ["refuse", "impute"])
def test_predictions_in_the_database_are_those_of_python(
    conn, ids, estimator, task, parameters, missing
):
    # Some volumes are unknown, so that there is something to refuse or fill.
    conn.execute("update market._source_bars set volume = 0 where seq %% 97 = 0", ())
    trained = train(
        conn, estimator=estimator, task=task, parameters=parameters, missing=missing,
        features=[*FEATURES, "volume_z_20d"],
    )  # fmt: skip
    rows = rows_of(conn, models.save(conn, trained), *(datetime(2015, 4, 1, tzinfo=UTC), AFTER))
    scored = [row for row in rows if row.reason is None]
    refused = {row.reason for row in rows} - {None}
    assert refused == ({"volume_z_20d is missing"} if missing == "refuse" else set())
    assert len(scored) > 300
    ours = np.array([row.prediction for row in scored])
    theirs = python_predictions(trained, scored)
    if trained.config.kind.scoring == "linear":
        np.testing.assert_allclose(ours, theirs, rtol=1e-12, atol=1e-15)
    elif estimator == "gradient_boosting" and task == "classification":
        # The logistic function of two libraries, of the same sum.
        np.testing.assert_allclose(ours, theirs, rtol=1e-14)
    else:
        assert ours.tolist() == theirs.tolist()
    assert np.unique(ours).size > 3


def test_predictions_of_rows_that_trees_route_are_those_of_python(conn, ids):
    conn.execute("update market._source_bars set volume = 0 where seq %% 97 = 0", ())
    for estimator, parameters in (
        ("histogram_boosting", {"max_iter": 10}),
        ("random_forest", {"n_estimators": 5, "max_depth": 5}),
    ):
        trained = train(
            conn, estimator=estimator, parameters=parameters, missing="route",
            features=[*FEATURES, "volume_z_20d"],
        )  # fmt: skip
        rows = rows_of(conn, models.save(conn, trained), WINDOW[1], AFTER)
        assert {row.reason for row in rows} == {None}
        assert any(None in row.features for row in rows)
        assert [row.prediction for row in rows] == python_predictions(trained, rows).tolist()


def test_train_model_that_the_database_cannot_score_says_that_a_worker_will(conn, ids):
    said: list[str] = []
    settings = config(
        "gradient_boosting",
        task="classification",
        parameters={"loss": "exponential", "n_estimators": 3},
    )
    trained = models.train(conn, settings, WINDOW, progress=said.append)
    assert trained.version["scoring"] == "worker"
    assert trained.artefact is not None
    assert any(
        text.startswith("a worker will score it, because the database cannot") for text in said
    )


@pytest.mark.needs_data
def test_predictions_on_real_bars_are_those_of_python(conn, data_folder: Path):
    symbols = ["AAPL", "AMD", "BAC", "EBAY", "IBM", "JPM", "KO", "VRTX"]
    store_bars(conn, read_sp500(data_folder, symbols))
    window = (datetime(2014, 6, 1, tzinfo=UTC), datetime(2016, 1, 1, tzinfo=UTC))
    for estimator, task, parameters in IN_DATABASE:
        trained = models.train(conn, config(estimator, task=task, parameters=parameters), window)
        rows = rows_of(
            conn, models.save(conn, trained), window[1], datetime(2018, 3, 1, tzinfo=UTC)
        )
        scored = [row for row in rows if row.reason is None]
        assert len(scored) > 8 * 500
        ours = np.array([row.prediction for row in scored])
        theirs = python_predictions(trained, scored)
        if trained.config.kind.scoring == "trees" and task == "regression":
            assert ours.tolist() == theirs.tolist()
        else:
            np.testing.assert_allclose(ours, theirs, rtol=1e-12, atol=1e-15)


def test_score_trees_walks_in_single_precision_as_scikit_learn(conn):
    from sklearn.tree import DecisionTreeRegressor

    random = np.random.default_rng(3)
    # Neighbours that only double precision tells apart, and values too small for single precision.
    x = np.repeat(random.normal(0, 1, 200), 4).reshape(-1, 1) * (
        1 + 1e-9 * random.normal(0, 1, (800, 1))
    )
    x[::50] = random.normal(0, 1, (16, 1)) * 1e-50
    tree = DecisionTreeRegressor(random_state=1).fit(x, random.normal(0, 1, 800))
    from tsdb_trader.research.model_forms import export

    class Alone:
        named_steps = {"estimate": tree}  # noqa: RUF012

    form = export(Alone(), "trees", "regression")
    ours = conn.execute(
        "select signal.score_trees(%s::float8[], jsonb_populate_record(null::signal.model_form, %s))",
        (x.tolist(), Jsonb(form)),
    ).fetchone()[0]
    assert ours == tree.predict(x).tolist()


@pytest.mark.parametrize(
    ("function", "form"),
    [
        ("score_linear", {"coefficients": [1000.0], "intercept": 0.0}),
        ("score_trees", {"roots": [1], "split_features": [1, 0, 0], "thresholds": [0.0, 0.0, 0.0],
                         "lefts": [2, 0, 0], "rights": [3, 0, 0], "leaf_values": [0.0, -2000.0, 2000.0],
                         "base": 0.0, "divisor": 1.0}),
    ],
)  # fmt: skip
def test_score_of_far_out_sums_is_zero_or_one(conn, function, form):
    found = conn.execute(
        f"select signal.{function}('{{{{-2}},{{2}}}}', jsonb_populate_record(null::signal.model_form, %s))",
        (Jsonb(form | {"link": "logistic"}),),
    ).fetchone()[0]
    assert found == [0.0, 1.0]


def test_train_twice_gives_the_same_model_bit_by_bit(conn, ids):
    from threadpoolctl import threadpool_limits

    for estimator, parameters in (
        ("random_forest", {"n_estimators": 5}),
        ("histogram_boosting", {"max_iter": 5}),
        ("neural_network", {"max_iter": 500, "tol": 0.01}),
    ):
        found = []
        for threads in (1, 2):
            with threadpool_limits(threads):
                found.append(train(conn, estimator=estimator, parameters=parameters).version)
        assert json.dumps(found[0]) == json.dumps(found[1])


def test_train_predictions_of_folds_use_no_row_that_overlaps(conn, ids, monkeypatch):
    data = models.dataset(conn, config(), WINDOW)
    seen: list[Any] = []
    fit = models._fit

    def note(settings, dataset, rows):
        seen.append(rows)
        return fit(settings, dataset, rows)

    monkeypatch.setattr(models, "_fit", note)
    predictions, folds = models.validate(config(), data)
    assert len(folds) == len(seen) == 3
    for fold, rows in zip(folds, seen, strict=True):
        assert data.ends[rows].max() + np.timedelta64(5, "D") < np.datetime64(fold["from"])
    assert np.isnan(predictions[data.starts < np.datetime64(folds[0]["from"])]).all()


def test_train_metrics_are_those_of_scipy_and_scikit_learn(conn, ids):
    from scipy.stats import spearmanr
    from sklearn.metrics import log_loss, roc_auc_score

    settings = config("logistic", task="classification")
    data = models.dataset(conn, settings, WINDOW)
    predictions, _ = models.validate(settings, data)
    seen = np.flatnonzero(~np.isnan(predictions))
    found = models.measure(settings, data, seen, predictions[seen])
    returns = data.returns[seen]
    assert found["ic"] == pytest.approx(spearmanr(predictions[seen], returns)[0])
    assert found["auc"] == pytest.approx(roc_auc_score(returns > 0, predictions[seen]))
    assert found["log_loss"] == pytest.approx(log_loss(returns > 0, predictions[seen]))
    daily = [
        spearmanr(predictions[seen][data.starts[seen] == t], returns[data.starts[seen] == t])[0]
        for t in np.unique(data.starts[seen])
    ]
    assert found["ic_by_time"] == pytest.approx(np.mean(daily))


def test_train_finds_a_relation_that_is_there(conn, ids):
    # A leak on purpose: were the joining of features and labels a bar off, it could not be found.
    conn.execute(
        """create function signal.oracle(p_instruments integer[], p_from timestamptz, p_to timestamptz)
           returns table (as_of timestamptz, instrument_id integer, features double precision[])
           language sql stable as $$
               select l.as_of, l.instrument_id, array[l.label] from signal.labels($1, $2, $3 + interval '9 days', 2) l
               where l.as_of <= $3 $$"""
    )
    conn.execute(
        "select signal.register_feature('oracle', 'signal.oracle(integer[], timestamptz, timestamptz)', 1, 'd', '0')"
    )
    found = train(conn, estimator="linear", features=["rsi_14d", "oracle"])
    assert found.version["metrics"]["overall"]["r2"] == pytest.approx(1)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"folds": 30}, "fold 1 has .* rows to train on"),
        ({"features": ["news_sentiment"]}, "no row has features and a label"),
        ({"features": ["return_1d", "news_count_5d"]}, "feature news_count_5d has no value"),
        ({"features": ["return_1d", "rsi_41d"]}, "did you mean"),
        ({"parameters": {"alpha": -1.0}}, "alpha"),
        ({"estimator": "neural_network", "parameters": {"max_iter": 2}}, "hasn't converged"),
    ],
)
def test_train_that_cannot_be_is_refused(conn, ids, changes, says):
    with pytest.raises((InputError, UnknownObjectError), match=says):
        train(conn, **changes)
    assert api.registry(conn) == []


def register_constant(conn: psycopg.Connection, value: str) -> None:
    conn.execute(
        f"""create function signal.constant(p_instruments integer[], p_from timestamptz, p_to timestamptz)
           returns table (as_of timestamptz, instrument_id integer, features double precision[])
           language sql stable as $$
               select f.as_of, f.instrument_id, array[{value}] from signal.daily_features($1, $2, $3) f $$"""
    )
    conn.execute(
        "select signal.register_feature('constant', 'signal.constant(integer[], timestamptz, timestamptz)', 1, 'd', '0')"
    )


def test_train_constant_feature_is_refused(conn, ids):
    register_constant(conn, "0.5")
    with pytest.raises(InputError, match=r"feature constant is always 0\.5"):
        train(conn, features=["return_1d", "constant"])


def test_rows_with_what_is_no_number_are_refused_in_training_and_scoring(conn, ids):
    register_constant(conn, "case when f.features[1] > 0 then 'NaN'::float8 else f.features[1] end")
    trained = train(conn, features=["return_1d", "constant"])
    assert trained.version["metrics"]["rows_refused"] > 500
    rows = rows_of(conn, models.save(conn, trained), WINDOW[1], AFTER)
    assert {r.reason for r in rows} == {None, "constant is not a number"}
    assert all((r.prediction is None) == (r.reason is not None) for r in rows)


def test_save_model_keeps_what_it_rests_on(conn, ids):
    save(conn)
    (found,) = api.registry(conn, "m")
    assert (found["version"], found["status"], found["scoring"]) == (1, "candidate", "linear")
    assert found["features"] == FEATURES
    digest = found["data_watermark"].pop("rows_sha256")
    assert found["data_watermark"] == {
        "feeds": ["daily"], "bars": 193 * 8, "last_bar": "2015-09-30 04:00:00+00"
    }  # fmt: skip
    assert found["libraries"]["scikit-learn"]
    assert found["trained_to"] == datetime(2015, 9, 30, 20, tzinfo=UTC)
    assert found["saved_by"] == "tsdb_trader"
    assert save(conn) > found["version_id"]
    assert [row["version"] for row in api.registry(conn, "m")] == [1, 2]
    assert api.registry(conn, "m")[1]["data_watermark"]["rows_sha256"] == digest
    # As many bars, one of them corrected.
    conn.execute("update market._source_bars set close = close + 1 where seq = 100")
    save(conn)
    assert api.registry(conn, "m")[2]["data_watermark"]["rows_sha256"] != digest
    with pytest.raises(UnknownObjectError, match='unknown model "mm"'):
        api.registry(conn, "mm")


@pytest.mark.parametrize(
    "changes",
    [
        {"task": "guess"},
        {"horizon": 0},
        {"form": None},
        {"features": []},
        {"horizon": "x"},
        {"missing": "route"},
        {"form": {"link": "identity", "intercept": 0.0, "coefficients": [1.0]}},
    ],
)
def test_save_model_value_that_cannot_be_is_refused(conn, ids, changes):
    trained = train(conn)
    with pytest.raises((InputError, UnknownObjectError)):
        models.save(conn, replace(trained, version=trained.version | changes))


def test_versions_answer_within_their_periods_only(conn, ids):
    for _ in range(2):
        save(conn)
    save(conn, estimator="linear")
    start, change, end = (datetime(2015, m, 1, tzinfo=UTC) for m in (10, 10, 11))
    change += timedelta(days=14)
    with pytest.raises(InputError, match="cannot answer"):
        api.activate_model(conn, "m", 1, datetime(2015, 9, 1, tzinfo=UTC))
    assert conn.execute("select * from signal.predict('m', %s)", (AFTER,)).fetchall() == []
    assert api.activate_model(conn, "m", 1, start) == 1
    assert api.activate_model(conn, "m", 3, change) == 3
    found = conn.execute(
        "select version, min(as_of), max(as_of), count(*) from signal.score_model('m', null, '2015-01-01', %s) "
        "group by 1 order by 1",
        (end,),
    ).fetchall()
    assert [(v, a.date().isoformat(), b.date().isoformat()) for v, a, b, _ in found] == [
        (1, "2015-10-01", "2015-10-14"), (3, "2015-10-15", "2015-10-30")
    ]  # fmt: skip
    assert [row["status"] for row in api.registry(conn, "m")] == ["retired", "candidate", "active"]
    api.retire_model(conn, "m", end)
    assert conn.execute("select * from signal.predict('m', %s)", (end,)).fetchall() == []
    assert (
        len(conn.execute("select * from signal.predict('m', %s)", (end - timedelta(1),)).fetchall())
        == 8
    )
    # What was believed before is still there.
    assert conn.execute("select count(*) from signal.model_periods").fetchone() == (4,)
    with pytest.raises(TransitionError, match="answers for no time"):
        api.retire_model(conn, "m", end)


def test_predict_is_the_last_row_known_and_not_too_old(conn, ids):
    save(conn)
    api.activate_model(conn, "m")
    conn.execute(
        "delete from market._source_bars where instrument_id = %s and ts > '2015-10-10'",
        (ids["S0"],),
    )

    def known(at: str) -> dict[int, str]:
        rows = conn.execute("select instrument_id, known_at from signal.predict('m', %s)", (at,))
        return {i: str(t.date()) for i, t in rows.fetchall()}

    others = set(ids.values()) - {ids["S0"]}
    assert known("2015-10-13T19:59Z") == {ids["S0"]: "2015-10-09"} | dict.fromkeys(
        others, "2015-10-12"
    )
    assert known("2015-10-13T20:00Z") == {ids["S0"]: "2015-10-09"} | dict.fromkeys(
        others, "2015-10-13"
    )
    assert known("2015-10-14T20:00Z") == dict.fromkeys(others, "2015-10-14")
    with pytest.raises(psycopg.Error, match='unknown model "n"'):
        conn.execute("select * from signal.predict('n', now())")


def test_population_stability_is_that_by_hand(conn):
    expected, actual = [0.25, 0.25, 0.4, 0.1], [0.1, 0.3, 0.6, 0.0]
    by_hand = (
        (0.1 - 0.25) * math.log(0.1 / 0.25)
        + (0.3 - 0.25) * math.log(0.3 / 0.25)
        + (0.6 - 0.4) * math.log(0.6 / 0.4)
        + (0.0001 - 0.1) * math.log(0.0001 / 0.1)
    )
    found = conn.execute(
        "select signal.population_stability(%s, %s)", (expected, actual)
    ).fetchone()
    assert found[0] == pytest.approx(by_hand, rel=1e-13)
    for wrong in ([0.5, 0.5], [], [0.2, 0.2, 0.2, 1.2], [None, 0.3, 0.6, 0.1]):
        with pytest.raises(psycopg.Error, match="two arrays of shares") as caught:
            conn.execute("select signal.population_stability(%s, %s::float8[])", (expected, wrong))
        assert caught.value.sqlstate == "TT001"


def test_drift_counts_values_in_the_bins_of_the_training(conn, ids):
    trained = train(conn, features=["return_1d", "range_1d"])
    edges, shares = [0.0, 0.01], [0.5, 0.2, 0.2, 0.1]
    bins = {
        "return_1d": {"edges": edges, "shares": shares},
        "prediction": {"edges": [0.0], "shares": [0.5, 0.5, 0.0]},
    }
    version_id = models.save(conn, replace(trained, version=trained.version | {"bins": bins}))
    values = [-1.0, -0.5, 0.0, 0.005, 0.01, 7.0, 8.0, None]
    rows = [
        api.Scored(
            AFTER,
            100 + n,
            None if v is None else float(np.sign(v)),
            "x" if v is None else None,
            [v, 1.0],
        )
        for n, v in enumerate(values)
    ]
    api.save_predictions(conn, version_id, (WINDOW[1], AFTER), rows)
    found = conn.execute(
        "select variable, observations, psi from signal.drift_of(%s, %s, %s)",
        (version_id, WINDOW[1], AFTER),
    ).fetchall()

    def psi(actual: list[float], expected: list[float]) -> float:
        pairs = [(max(a, 1e-4), max(e, 1e-4)) for a, e in zip(actual, expected, strict=True)]
        return sum((a - e) * math.log(a / e) for a, e in pairs)

    assert [row[:2] for row in found] == [("prediction", 7), ("return_1d", 8)]
    assert found[0][2] == pytest.approx(psi([2 / 7, 5 / 7, 0], [0.5, 0.5, 0]))
    assert found[1][2] == pytest.approx(psi([2 / 8, 2 / 8, 3 / 8, 1 / 8], shares))


def test_bins_of_training_are_those_that_the_database_counts(conn):
    random = np.random.default_rng(5)
    values = np.concatenate([random.normal(0, 1, 500).round(1), np.full(20, np.nan)])
    bins = models.bins_of(values)
    counted = conn.execute(
        "select array_agg(n order by b) from (select width_bucket(v, %s::float8[]) as b, count(*) as n "
        "from unnest(%s::float8[]) v group by 1) q",
        (bins["edges"], values[~np.isnan(values)].tolist()),
    ).fetchone()[0]
    assert [*counted, 20] == pytest.approx((np.array(bins["shares"]) * 520).tolist())
    assert sum(bins["shares"]) == pytest.approx(1)


def test_watch_drift_raises_and_resolves_its_alert(conn, ids):
    version_id = save(conn)
    api.activate_model(conn, "m")
    at = datetime(2015, 11, 6, 22, tzinfo=UTC)
    api.record_predictions(conn, version_id, (WINDOW[1], at))
    quiet = conn.execute(
        "select variable, observations, psi from signal.watch_drift(%s, '30 days', 100)", (at,)
    ).fetchall()
    assert {variable for variable, _, _ in quiet} == {*FEATURES, "prediction"}

    def alerts() -> list[Any]:
        return conn.execute(
            "select detail from ops.alerts where kind = 'model_drift' and resolved_at is null"
        ).fetchall()

    conn.execute("update signal.model_versions set drift_threshold = 1000")
    later = at + timedelta(minutes=1)
    conn.execute("select signal.watch_drift(%s)", (later,))
    assert alerts() == []
    conn.execute("update signal.model_versions set drift_threshold = 1e-9")
    conn.execute("select signal.watch_drift(%s, '30 days', 100)", (later,))
    conn.execute("select signal.watch_drift(%s, '30 days', 100)", (later,))
    assert [set(detail["psi"]) for (detail,) in alerts()] == [{*FEATURES, "prediction"}]
    # Too few observations tell nothing.
    conn.execute("select signal.watch_drift(%s, '30 days', 100000)", (later,))
    assert alerts() == []
    assert conn.execute("select count(*) from signal.drift").fetchone() == (14,)


def test_models_are_read_by_readers_and_changed_by_operations(conn, connect_as, ids):
    version_id = save(conn)
    api.activate_model(conn, "m")
    quant = connect_as("tsdb_quant")
    assert len(quant.execute("select * from signal.predict('m', %s)", (AFTER,)).fetchall()) == 8
    for call in (
        "select signal.activate_model('m')",
        "select signal.retire_model('m', now())",
        f"select signal.record_predictions({version_id}, now(), now())",
        "select signal.watch_drift(now())",
        "select signal.save_model('x', '', '{}')",
    ):
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            quant.execute(call)
    operations = connect_as("tsdb_ops")
    operations.execute("select signal.retire_model('m', '2015-12-01')")
    audited = conn.execute(
        "select login, action, object from ops.audit where login = 'tsdb_ops'"
    ).fetchall()
    assert audited == [("tsdb_ops", "signal.retire_model", "m")]
    with pytest.raises(
        TransitionError, match="tsdb_ops may save only models that are scored in the database"
    ):
        models.save(operations, replace(train(conn, estimator="neighbours"), artefact=b"anything"))


def test_models_and_their_artefacts_are_written_by_functions_only(conn, connect_as, ids):
    version_id = save(conn, estimator="neighbours")
    api.activate_model(conn, "m")
    tables = ("models", "model_versions", "model_periods", "model_bins", "predictions", "drift")
    granted = conn.execute(
        """select r.rolname, t.name, p.privilege
           from pg_roles r, unnest(%s::text[]) t (name), unnest('{insert,update,delete,truncate}'::text[]) p (privilege)
           where r.rolname like 'tsdb\\_%%' and r.rolname <> 'tsdb_trader' and not r.rolsuper
               and has_table_privilege(r.oid, ('signal.' || t.name)::regclass, p.privilege)""",
        (list(tables),),
    ).fetchall()
    assert granted == []
    # Not even the owner deletes what was activated, and a session that reads it goes on.
    with pytest.raises(psycopg.errors.ForeignKeyViolation):
        conn.execute("delete from signal.model_versions where version_id = %s", (version_id,))
    with pytest.raises(psycopg.errors.ForeignKeyViolation):
        conn.execute("delete from signal.models")


def test_imputed_feature_that_begins_later_is_there_in_every_fold(conn, ids):
    conn.execute(
        "update market._source_bars set volume = 0 where ts < '2015-08-01'",
    )
    trained = train(conn, missing="impute", features=[*FEATURES, "volume_z_20d"])
    assert len(trained.version["metrics"]["folds"]) == 3
    rows = rows_of(conn, models.save(conn, trained), WINDOW[1], AFTER)
    ours = np.array([row.prediction for row in rows])
    np.testing.assert_allclose(ours, python_predictions(trained, rows), rtol=1e-12, atol=1e-15)
