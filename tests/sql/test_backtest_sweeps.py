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
from tsdb_trader.api import backtest

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
