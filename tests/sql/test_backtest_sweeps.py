"""Sweeps, walks forward, and what the best of many trials is worth, against figures of others."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import psycopg
import pytest
from psycopg.types.json import Jsonb
from scipy import stats

from daily_bars import add_frames
from tsdb_trader.api import backtest, sweeps

START, END = pd.Timestamp("2014-01-01", tz="UTC"), pd.Timestamp("2014-12-01", tz="UTC")
DAY_S = 86_400.0


def load(conn: psycopg.Connection) -> None:
    """Store two instruments whose spread reverts, and their pair, valid from 2014 on."""
    rng = np.random.default_rng(11)
    days = pd.bdate_range("2013-11-01", "2014-12-31")
    spread = np.zeros(len(days))
    for day in range(1, len(days)):
        spread[day] = 0.85 * spread[day - 1] + rng.normal(0, 0.02)
    common = 50 * np.exp(rng.normal(0, 0.01, len(days)).cumsum())
    add_frames(
        conn,
        {
            symbol: pd.DataFrame(
                {"open": closes, "close": closes, "volume": 10_000}, index=days.date
            )
            for symbol, closes in (("A", common * np.exp(spread)), ("B", common))
        },
    )
    parameters = {"hedge_ratio": 1, "mean": None, "deviation": 0.03, "entry": 2, "exit": 0.5,
                  "stop": 9, "half_life_s": 40 * DAY_S, "warm_up_s": 5 * DAY_S,
                  "max_gap_s": 8 * DAY_S, "notional": 10_000}  # fmt: skip
    conn.execute(
        "select signal.save_pair('A', 'B', 'daily', %s, '{}', '2013-12-01', '2014-01-01', '[]', 'x')",
        (Jsonb(parameters),),
    )


def frame(conn: psycopg.Connection, query: str, *arguments: Any) -> pd.DataFrame:
    cursor = conn.execute(query, arguments)
    assert cursor.description is not None
    return pd.DataFrame(cursor.fetchall(), columns=[c.name for c in cursor.description])


def store_sweep(conn: psycopg.Connection, returns: npt.NDArray[np.float64]) -> int:
    """Store a sweep whose runs have these returns: a row per day, a column per run."""
    row = conn.execute(
        """insert into backtest.sweeps (strategy, parameters, grid, costs)
           values ('pairs', '{}', '{}', 'none') returning sweep_id"""
    ).fetchone()
    assert row is not None
    days = pd.bdate_range("2014-01-01", periods=len(returns) + 1)
    for number, column in enumerate(returns.T):
        run = conn.execute(
            """insert into backtest.runs (strategy, parameters, costs, code_hash, data_watermark,
                   sweep_id, changes)
               values ('pairs', '{"capital": 1000000}', 'none', 'x', '[]', %s, %s) returning run_id""",
            (row[0], Jsonb({"n": number})),
        ).fetchone()
        assert run is not None
        equity = 1e6 * (1 + np.r_[0, column.cumsum()])
        with conn.cursor().copy(
            "copy backtest.equity (run_id, as_of, trading_date, equity) from stdin"
        ) as copy:
            for day, value in zip(days, equity, strict=True):
                copy.write_row((run[0], day.tz_localize("UTC"), day.date(), repr(float(value))))
    return int(row[0])


def cross_validate(
    returns: npt.NDArray[np.float64], blocks: int
) -> tuple[float, float, float, int]:
    """Return PBO, median logit, share of losses and choices: Bailey et al. 2016, section 2, in numpy."""
    parts = np.array_split(returns, blocks)
    logits, losses = [], []
    for inside in itertools.combinations(range(blocks), blocks // 2):
        train = np.concatenate([parts[n] for n in inside])
        test = np.concatenate([parts[n] for n in range(blocks) if n not in inside])
        best = np.argmax(train.mean(axis=0) / train.std(axis=0, ddof=1))
        outside = test.mean(axis=0) / test.std(axis=0, ddof=1)
        share = stats.rankdata(outside)[best] / (returns.shape[1] + 1)
        logits.append(np.log(share / (1 - share)))
        losses.append(test[:, best].sum() < 0)
    return (
        float(np.mean(np.array(logits) <= 0)),
        float(np.median(logits)),
        float(np.mean(losses)),
        len(logits),
    )


def deflate(sharpe: float, sample: npt.NDArray[np.float64], trials: int, variance: float) -> float:
    """Return the deflated Sharpe ratio by scipy."""
    expected = np.sqrt(variance) * (
        (1 - np.euler_gamma) * stats.norm.ppf(1 - 1 / trials)
        + np.euler_gamma * stats.norm.ppf(1 - 1 / (trials * np.e))
    )
    spread = (
        1 - stats.skew(sample) * sharpe + (stats.kurtosis(sample, fisher=False) - 1) / 4 * sharpe**2
    )
    return float(stats.norm.cdf((sharpe - expected) * np.sqrt(len(sample) - 1) / np.sqrt(spread)))


@pytest.mark.parametrize("x", [-40, -9, -7.2, -5, -1.3, -0.2, 0, 0.4, 2.5, 7.05, 7.08, 12])
def test_normal_cdf_equals_scipys(conn: psycopg.Connection, x: float) -> None:
    row = conn.execute("select backtest._normal_cdf(%s::float8)", (x,)).fetchone()
    assert row is not None
    assert row[0] == pytest.approx(stats.norm.cdf(x), rel=1e-8, abs=1e-300)


@pytest.mark.parametrize(("trials", "expected"), [(100, 0.9004), (46, 0.9505)])
def test_deflated_sharpe_is_that_of_the_papers_example(
    conn: psycopg.Connection, trials: int, expected: float
) -> None:
    # Bailey and Lopez de Prado 2014, "A numerical example": annual Sharpe ratio of 2.5 over five years
    # of 250 days, variance of the trials' annual ratios one half, skewness -3, kurtosis 10.
    row = conn.execute(
        "select backtest.deflated_sharpe(2.5 / sqrt(250), 1250, -3, 10, %s, 0.5 / 250)", (trials,)
    ).fetchone()
    assert row is not None
    assert row[0] == pytest.approx(expected, abs=5e-5)


@pytest.mark.parametrize(
    ("skewness", "kurtosis", "expected"), [(0, 3, 0.982), (-2.448, 10.164, 0.913)]
)
def test_deflated_sharpe_of_one_trial_is_the_probabilistic_ratio_of_the_papers_example(
    conn: psycopg.Connection, skewness: float, kurtosis: float, expected: float
) -> None:
    # Bailey and Lopez de Prado 2012, "The Sharpe ratio efficient frontier": 24 months, a monthly
    # Sharpe ratio of 0.458 (1.59 a year), once as if normal and once as the returns were.
    row = conn.execute(
        "select backtest.deflated_sharpe(0.458, 24, %s, %s, 1, 0)", (skewness, kurtosis)
    ).fetchone()
    assert row is not None
    assert row[0] == pytest.approx(expected, abs=5e-4)


def test_deflated_sharpe_of_what_the_best_of_many_has_is_one_half(conn: psycopg.Connection) -> None:
    # Bailey, Borwein, Lopez de Prado and Zhu 2014, "Pseudo-mathematics and financial charlatanism":
    # the best of 10 trials without skill has 1.57 deviations, and after five years of 45 trials one
    # expects an annual ratio of 1, each trial's having a variance of one over the years.
    row = conn.execute(
        """select backtest.deflated_sharpe(1.57, 1000, 0, 3, 10, 1),
               backtest.deflated_sharpe(1 / sqrt(252), 5 * 252, 0, 3, 45, 1.0 / 5 / 252)"""
    ).fetchone()
    assert row is not None
    # 0.005 of a deviation of 1.57 over sqrt(1000) is what rounding the paper's figure may do.
    assert abs(stats.norm.ppf(row[0])) < 0.005 * np.sqrt(999 / (1 + 1.57**2 / 2))
    assert row[1] == pytest.approx(0.5, abs=0.02)


@pytest.mark.parametrize(
    "arguments",
    [
        "0.1, 1, 0, 3, 5, 0.1",
        "0.1, 100, 0, 3, 0, 0.1",
        "0.1, 100, 0, 3, 5, 'NaN'",
        "0.1, 100, 0, 3, 5, -0.1",
        "'NaN', 100, 0, 3, 5, 0.1",
        "'-infinity', 100, 0, 3, 5, 0.1",
        "0.1, 100, 'NaN', 3, 5, 0.1",
        "0.1, 100, 0, 'infinity', 5, 0.1",
    ],
)
def test_deflated_sharpe_of_what_cannot_be_is_an_error(
    conn: psycopg.Connection, arguments: str
) -> None:
    with pytest.raises(psycopg.Error) as caught:
        conn.execute(f"select backtest.deflated_sharpe({arguments})")
    assert caught.value.sqlstate == "TT001"


def test_deflated_sharpe_is_for_readers(connect_as: Callable[..., psycopg.Connection]) -> None:
    row = (
        connect_as("tsdb_readonly")
        .execute("select backtest.deflated_sharpe(0.1, 100, 0, 3, 5, 0.01)")
        .fetchone()
    )
    assert row is not None
    # scipy, by the formula of deflate().
    expected = 0.1 * (
        (1 - np.euler_gamma) * stats.norm.ppf(0.8)
        + np.euler_gamma * stats.norm.ppf(1 - 1 / (5 * np.e))
    )
    assert row[0] == pytest.approx(
        stats.norm.cdf((0.1 - expected) * np.sqrt(99) / np.sqrt(1 + 0.5 * 0.01)), rel=1e-8
    )


@pytest.mark.parametrize("call", ["overfitting", "judge_sweep"])
@pytest.mark.parametrize("sweep", [99, None])
def test_judgement_of_an_unknown_sweep_is_an_error(
    conn: psycopg.Connection, call: str, sweep: int | None
) -> None:
    with pytest.raises(psycopg.Error, match="does not exist") as caught:
        conn.execute(f"select * from backtest.{call}(%s)", (sweep,))
    assert caught.value.sqlstate == "TT002"


@pytest.mark.parametrize(
    ("skill", "trials", "days", "blocks"), [(0.0, 9, 253, 8), (0.25, 6, 200, 10), (0.0, 4, 61, 16)]
)
def test_judge_sweep_equals_numpy(
    conn: psycopg.Connection, skill: float, trials: int, days: int, blocks: int
) -> None:
    rng = np.random.default_rng(days)
    returns = rng.standard_t(5, (days, trials)) * 0.01
    returns[:, 2] += skill * 0.01
    # As stored: equity is kept in decimals.
    returns = np.diff(np.vstack([np.zeros(trials), returns.cumsum(axis=0)]), axis=0)
    sweep = store_sweep(conn, returns)
    found = frame(conn, "select * from backtest.overfitting(%s, %s)", sweep, blocks).iloc[0]
    pbo, logit, loss, choices = cross_validate(returns, blocks)
    assert (found.trials, found.periods, found.choices) == (trials, days, choices)
    assert found.pbo == pytest.approx(pbo, abs=1e-12)
    assert found.median_logit == pytest.approx(logit, abs=1e-9)
    assert found.loss_share == pytest.approx(loss, abs=1e-12)
    if skill:
        assert found.pbo < 0.1

    judged = frame(conn, "select * from backtest.judge_sweep(%s, %s)", sweep, blocks).iloc[0]
    ratios = returns.mean(axis=0) / returns.std(axis=0, ddof=1)
    best = int(ratios.argmax())
    assert judged.point == {"n": best}
    assert judged.sharpe == pytest.approx(ratios[best], rel=1e-9)
    assert judged["skewness"] == pytest.approx(stats.skew(returns[:, best]), rel=1e-7)
    assert judged["kurtosis"] == pytest.approx(
        stats.kurtosis(returns[:, best], fisher=False), rel=1e-7
    )
    expected = deflate(ratios[best], returns[:, best], trials, ratios.var(ddof=1))
    assert judged.deflated_sharpe == pytest.approx(expected, rel=1e-7)
    assert judged.pbo == found.pbo


@pytest.mark.parametrize(
    ("trials", "days", "blocks", "message"),
    [
        (1, 100, 8, "two runs of the same periods"),
        (3, 10, 8, "two periods a block"),
        (3, 100, 7, "even number"),
        (3, 100, 18, "even number"),
    ],
)
def test_overfitting_of_too_little_is_an_error(
    conn: psycopg.Connection, trials: int, days: int, blocks: int, message: str
) -> None:
    sweep = store_sweep(conn, np.random.default_rng(1).normal(size=(days, trials)) * 0.01)
    with pytest.raises(psycopg.Error, match=message) as caught:
        conn.execute("select * from backtest.overfitting(%s, %s)", (sweep, blocks))
    assert caught.value.sqlstate == "TT001"


def test_sweep_runs_every_point_and_compare_says_what_differs(
    conn: psycopg.Connection, connect_as: Callable[..., psycopg.Connection]
) -> None:
    load(conn)
    quant = connect_as("tsdb_quant")
    grid = {"entry": [1, 1.5, 2], "exit": [0, 0.5]}
    found = frame(
        quant,
        "select * from backtest.sweep('pairs', '{\"capital\": 20000}', %s, %s, %s)",
        Jsonb(grid),
        START,
        END,
    )
    points = {(p["entry"], p["exit"]) for p in found.point}
    assert points == {*itertools.product(grid["entry"], grid["exit"])}
    assert list(found.sharpe) == sorted(found.sharpe, reverse=True)
    assert {*conn.execute("select run_by from backtest.sweeps").fetchall()} == {("tsdb_quant",)}
    for row in found.head(2).itertuples():
        alone = backtest.run(conn, "pairs", {"capital": 20000, **row.point}, START, END)
        assert (alone.trades, alone.sharpe, alone.costs) == (row.trades, row.sharpe, row.costs)
    judged = quant.execute(
        "select point, pbo, deflated_sharpe from backtest.judge_sweep(%s, 8)",
        (int(found.sweep_id[0]),),
    ).fetchone()
    assert judged is not None
    assert judged[0] == found.point[0]
    assert 0 <= judged[1] <= 1
    assert 0 < judged[2] < 1

    compared = frame(
        quant,
        "select * from backtest.compare(%s, %s)",
        int(found.run_id[0]),
        int(found.run_id[1]),
    ).set_index("measure")
    assert compared.a["sharpe"] == found.sharpe[0]
    assert compared.difference["sharpe"] == found.sharpe[1] - found.sharpe[0]
    changed = {
        key
        for key in ("entry", "exit")
        if found.point[0][key] != found.point[1][key]
    }  # fmt: skip
    assert {m.split()[1] for m in compared.index if m.startswith("parameter")} == changed
    assert json.dumps(compared.detail[f"parameter {changed.copy().pop()}"]).startswith("[")
    returns = [
        frame(conn, "select change from backtest._returns(%s)", int(run_id)).change
        for run_id in found.run_id[:2]
    ]
    assert compared.a["correlation"] == pytest.approx(np.corrcoef(*returns)[0, 1])
    same = frame(
        quant, "select * from backtest.compare(%s, %s)", int(found.run_id[0]), int(found.run_id[0])
    ).set_index("measure")
    assert (same.a["signals_alone"], same.b["signals_alone"]) == (0, 0)
    assert not [m for m in same.index if m.startswith("parameter")]


def test_judgement_does_not_depend_on_which_point_was_run_first(conn: psycopg.Connection) -> None:
    load(conn)
    points = [{"entry": entry, "exit": out} for entry in (1, 1.5, 2) for out in (0, 0.5)]
    judged = []
    for order in (points, points[::-1], points[3:] + points[:3]):
        sweep = sweeps.open_sweep(
            conn, "pairs", {}, {"entry": [1, 1.5, 2], "exit": [0, 0.5]}, START, END
        )
        for point in order:
            sweeps.run_point(conn, sweep, point)
        judged.append(
            conn.execute(
                """select point, float8send(sharpe), float8send(variance), float8send(kurtosis),
                       float8send(deflated_sharpe), float8send(pbo)
                   from backtest.judge_sweep(%s, 8)""",
                (sweep,),
            ).fetchone()
        )
    assert judged[0] is not None
    assert judged[0] == judged[1] == judged[2]


def test_runs_of_equal_ratio_rank_by_their_point(conn: psycopg.Connection) -> None:
    # Later runs of the same returns: the first point is the best, whenever it was run.
    returns = np.random.default_rng(5).normal(0.001, 0.01, (100, 1)).repeat(3, axis=1)
    sweep = store_sweep(conn, returns)
    conn.execute(
        "update backtest.runs set changes = jsonb_build_object('n', -run_id) where sweep_id = %s",
        (sweep,),
    )
    found = conn.execute(
        "select j.point, (select max(run_id) from backtest.runs) from backtest.judge_sweep(%s, 8) j",
        (sweep,),
    ).fetchone()
    assert found is not None
    assert found[0] == {"n": -found[1]}


def test_sweep_of_a_point_that_fails_goes_on_and_one_of_all_raises(
    conn: psycopg.Connection,
) -> None:
    load(conn)
    found = frame(
        conn,
        "select * from backtest.sweep('pairs', '{}', '{\"entry\": [-1, 1]}', %s, %s)",
        START,
        END,
    )
    assert [point["entry"] for point in found.point] == [1, -1]
    assert found.error.isna().tolist() == [True, False]
    assert found.run_id.isna().tolist() == [False, True]
    assert "entry" in found.error[1]
    assert conn.execute("select point from backtest.sweep_failures").fetchall() == [
        ({"entry": -1},)
    ]
    with pytest.raises(psycopg.Error, match="entry") as caught:
        conn.execute(
            "select * from backtest.sweep('pairs', '{}', '{\"entry\": [-1, -2]}', %s, %s)",
            (START, END),
        )
    assert caught.value.sqlstate == "TT001"
    assert conn.execute("select count(*) from backtest.sweeps").fetchone() == (1,)


def test_point_that_failed_and_runs_later_loses_its_failure(conn: psycopg.Connection) -> None:
    load(conn)
    sweep = sweeps.open_sweep(conn, "pairs", {}, {"entry": [1, 2]}, START, END)
    sweeps.fail_point(conn, sweep, {"entry": 1}, "58000", "lost")
    sweeps.fail_point(conn, sweep, {"entry": 1.0}, "58000", "lost again")
    assert [f.error for f in sweeps.sweep_failures(conn, sweep)] == ["lost again"]
    run = sweeps.run_point(conn, sweep, {"entry": 1.0})
    assert sweeps.run_point(conn, sweep, {"entry": 1}) == run
    sweeps.fail_point(conn, sweep, {"entry": 1}, "58000", "too late")
    assert sweeps.sweep_failures(conn, sweep) == []
    assert sweeps.missing_points(conn, sweep) == [{"entry": 2}]


@pytest.mark.parametrize(
    "point", [{"entry": 3}, {}, {"entry": 1}, {"entry": 1, "exit": 0, "stop": 4}, None, 7, []]
)
def test_point_that_is_none_of_the_grid_is_refused(conn: psycopg.Connection, point: Any) -> None:
    load(conn)
    sweep = sweeps.open_sweep(conn, "pairs", {}, {"entry": [1, 2], "exit": [0]}, START, END)
    for call in ("run_point", "claim_point"):
        with pytest.raises(psycopg.Error, match="has no point") as caught:
            conn.execute(f"select backtest.{call}(%s, %s)", (sweep, Jsonb(point)))
        assert caught.value.sqlstate == "TT001"


def test_walk_forward_figures_are_those_of_pandas(conn: psycopg.Connection) -> None:
    load(conn)
    walk = frame(
        conn,
        """select * from backtest.walk_forward('pairs', '{"capital": 20000}',
               '{"entry": [1, 1.5, 2]}', %s, %s, '4 months', '3 months')""",
        START,
        END,
    )
    assert len(walk) == 3
    assert (walk.test_from[1:].to_numpy() == walk.test_to[:-1].to_numpy()).all()
    stitched = []
    for step in walk.itertuples():
        equity = frame(
            conn,
            "select as_of, equity::float8 from backtest.equity where run_id = %s order by as_of",
            step.run_id,
        ).set_index("as_of")["equity"]
        assert equity.index[0] > step.test_from
        assert equity.index[-1] <= step.test_to
        changes = equity.diff().dropna()
        assert step.total_return == pytest.approx(equity.iloc[-1] / 20_000 - 1, abs=1e-12)
        assert step.sharpe == pytest.approx(changes.mean() / changes.std() * np.sqrt(252), rel=1e-9)
        peak = equity.cummax().clip(lower=20_000)
        assert step.max_drawdown == pytest.approx(((peak - equity) / peak).max(), abs=1e-12)
        stitched.append(equity)
        # What the training chose, by the equity of all its runs.
        trained = {
            run_id: frame(
                conn,
                "select equity::float8 from backtest.equity where run_id = %s order by as_of",
                run_id,
            )["equity"].diff()
            for (run_id,) in conn.execute(
                "select run_id from backtest.runs where sweep_id = %s", (step.sweep_id,)
            )
        }
        ratios = pd.Series({run: c.mean() / c.std() for run, c in trained.items()})
        chosen = conn.execute(
            "select changes from backtest.runs where run_id = %s", (int(ratios.idxmax()),)
        ).fetchone()
        assert chosen == (step.point,)
        assert step.train_sharpe == pytest.approx(ratios.max() * np.sqrt(252), rel=1e-9)
    # The tests follow one another: no day is in two of them, and none is missing.
    days = pd.concat(stitched).index
    assert days.is_monotonic_increasing
    assert days.is_unique
    expected = pd.bdate_range(walk.test_from[0], END, inclusive="left", tz="UTC").normalize()
    assert list(days.normalize()) == list(expected)


def test_walk_forward_tests_what_the_training_before_chose(conn: psycopg.Connection) -> None:
    load(conn)
    walk = frame(
        conn,
        """select * from backtest.walk_forward('pairs', '{}', '{"entry": [1, 1.5, 2]}', %s, %s,
               '4 months', '3 months')""",
        START,
        END,
    )
    assert [str(t.date()) for t in walk.test_from] == ["2014-05-01", "2014-08-01", "2014-11-01"]
    assert list(walk.test_to)[-1] == END
    for step in walk.itertuples():
        best = conn.execute(
            """select changes, sharpe from backtest.runs where sweep_id = %s
               order by sharpe desc nulls last, run_id limit 1""",
            (step.sweep_id,),
        ).fetchone()
        assert best == (step.point, step.train_sharpe)
        spans = conn.execute(
            """select min(from_ts), max(to_ts) from backtest.runs where sweep_id = %s""",
            (step.sweep_id,),
        ).fetchone()
        assert spans == (step.train_from, step.test_from)
        tested = conn.execute(
            "select from_ts, to_ts, parameters->'changes', trades from backtest.runs where run_id = %s",
            (step.run_id,),
        ).fetchone()
        assert tested == (step.test_from, step.test_to, step.point, step.trades)


@pytest.mark.parametrize(
    ("statement", "state", "message"),
    [
        ("backtest.sweep('nope', '{}', '{\"entry\": [1]}', %s, %s)", "TT002", "unknown strategy"),
        ("backtest.sweep('pairs', '{}', '{}', %s, %s)", "TT001", "grid"),
        ("backtest.sweep('pairs', '{}', '[]', %s, %s)", "TT001", "grid"),
        ("backtest.sweep('pairs', '{}', '{\"entry\": 1}', %s, %s)", "TT001", "list of values"),
        ("backtest.sweep('pairs', '{}', '{\"entry\": []}', %s, %s)", "TT001", "list of values"),
        ("backtest.sweep('pairs', '{}', '{\"entyr\": [1]}', %s, %s)", "TT001", 'mean "entry"'),
        (
            "backtest.sweep('pairs', '{\"x\": 1}', '{\"entry\": [1]}', %s, %s)",
            "TT001",
            'unknown parameter "x"',
        ),
        (
            "backtest.sweep('pairs', '{}', '{\"entry\": [1, 2, 1.0]}', %s, %s)",
            "TT001",
            "more than once",
        ),
        (
            "backtest.sweep('pairs', '{}', '{\"entry\": [1]}', %s, %s, 'cheap')",
            "TT002",
            "cost model",
        ),
        (
            "backtest.walk_forward('pairs', '{}', '{\"entry\": [1]}', %s, %s, '2 years', '1 day')",
            "TT001",
            "first test before",
        ),
        ("backtest.compare(1, 2) where %s < %s", "TT002", "run 1 does not exist"),
        ("backtest.overfitting(9) where %s < %s", "TT002", "sweep 9 does not exist"),
        ("backtest.run_point(9, '{}') where %s < %s", "TT002", "sweep 9 does not exist"),
    ],
)
def test_sweep_wrong_input_is_an_error(
    conn: psycopg.Connection, statement: str, state: str, message: str
) -> None:
    load(conn)
    with pytest.raises(psycopg.Error, match=message) as caught:
        conn.execute(f"select * from {statement}", (START, END))
    assert caught.value.sqlstate == state
    assert conn.execute("select count(*) from backtest.sweeps").fetchone() == (0,)


def test_open_sweep_too_many_points_is_an_error(conn: psycopg.Connection) -> None:
    grid = {"entry": list(range(101)), "exit": list(range(100))}
    with pytest.raises(psycopg.Error, match="10100 points"):
        conn.execute("select backtest.open_sweep('pairs', '{}', %s, null, null)", (Jsonb(grid),))
