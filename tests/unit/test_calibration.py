"""Calibration against numpy and processes of known parameters."""

from __future__ import annotations

import json
import math
from datetime import timedelta
from typing import Any

import numpy as np
import psycopg
import pytest

from pair_market import OPEN, add_source, add_trade_source
from tsdb_trader import cli
from tsdb_trader.api import signal
from tsdb_trader.errors import InputError
from tsdb_trader.research import calibration

SECOND = timedelta(seconds=1)
SETTINGS = calibration.Settings()
HEDGE, HALF_LIFE_S, SIGMA = 0.7, 60.0, 0.0004


def ornstein_uhlenbeck(count: int, seed: int) -> tuple[Any, Any]:
    """Return log mids of B, a random walk, and A = 0.7 B + a process of half-life 60 s."""
    rng = np.random.default_rng(seed)
    log_b = math.log(50) + np.cumsum(rng.normal(0, 0.0003, count))
    phi = 0.5 ** (1 / HALF_LIFE_S)
    noise = rng.normal(0, SIGMA * math.sqrt(1 - phi**2), count)
    spread = np.zeros(count)
    for n in range(1, count):
        spread[n] = phi * spread[n - 1] + noise[n]
    return 1.5 + HEDGE * log_b + spread, log_b


def mids(log_mids: Any) -> signal.Mids:
    times = [OPEN + SECOND * (n + 1) for n in range(len(log_mids))]
    return signal.Mids(times, [float(v) for v in np.exp(log_mids)])


def test_fit_simulated_pair_recovers_its_parameters() -> None:
    fits = [
        calibration.fit(*calibration.align(mids(a), mids(b), SECOND), SECOND)
        for a, b in (ornstein_uhlenbeck(20_000, seed) for seed in range(8))
    ]
    assert np.mean([f.hedge_ratio for f in fits]) == pytest.approx(HEDGE, abs=0.01)
    assert np.mean([f.half_life_s or math.inf for f in fits]) == pytest.approx(HALF_LIFE_S, rel=0.1)
    assert max(f.p_value for f in fits) < 0.01


def test_fit_equals_normal_equations() -> None:
    log_a, log_b = ornstein_uhlenbeck(5_000, 3)
    found = calibration.fit(log_a, log_b, np.ones(4_999, dtype=bool), SECOND)
    slope = np.cov(log_a, log_b)[0, 1] / np.var(log_b, ddof=1)
    residuals = log_a - log_a.mean() - slope * (log_b - log_b.mean())
    phi = np.polyfit(residuals[:-1], residuals[1:], 1)[0]
    assert found.hedge_ratio == pytest.approx(slope, rel=1e-8)
    assert found.r2 == pytest.approx(np.corrcoef(log_a, log_b)[0, 1] ** 2, rel=1e-8)
    assert found.half_life_s == pytest.approx(-math.log(2) / math.log(phi), rel=1e-6)


def test_fit_independent_random_walks_are_seldom_cointegrated() -> None:
    rng = np.random.default_rng(1)
    p_values = [
        calibration.fit(
            *np.cumsum(rng.normal(0, 0.001, (2, 2_000)), axis=1), np.ones(1_999, bool), SECOND
        ).p_value
        for _ in range(40)
    ]
    assert sum(p < 0.05 for p in p_values) <= 6


def test_align_does_not_carry_a_mid_into_the_next_day() -> None:
    day = timedelta(days=1)
    times = [OPEN + SECOND, OPEN + 3 * SECOND, OPEN + day + SECOND, OPEN + day + 2 * SECOND]
    log_a, log_b, follows = calibration.align(
        signal.Mids(times, [1.0, 2.0, 3.0, 4.0]),
        signal.Mids([times[0], times[3]], [1.0, 2.0]),
        SECOND,
    )
    np.testing.assert_allclose(np.exp(log_a), [1, 1, 2, 4])
    np.testing.assert_allclose(np.exp(log_b), [1, 1, 1, 2])
    assert follows.tolist() == [True, True, False]


@pytest.mark.parametrize(
    ("log_a", "log_b", "message"),
    [
        (np.zeros(100), np.zeros(100), "100 of at least 300"),
        (np.zeros(400), np.arange(400.0), "never moved"),
        (np.arange(400.0), np.arange(400.0) * 2, "no spread"),
    ],
)
def test_fit_unusable_series_says_why(log_a: Any, log_b: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        calibration.fit(log_a, log_b, np.ones(log_a.size - 1, bool), SECOND)


@pytest.mark.parametrize(
    ("half_life_s", "expected"), [(30, 60), (360, 120), (9_000, 600), (None, 600)]
)
def test_choose_parameters_mean_follows_a_third_of_the_half_life(
    half_life_s: float | None, expected: float
) -> None:
    found = calibration.Fit(1.0, 0.9, 0.01, half_life_s, 1_000)
    chosen = calibration.choose_parameters(found, SETTINGS)
    assert (chosen["half_life_s"], chosen["warm_up_s"]) == (expected, 2 * expected)


def test_rank_adjusts_p_values_for_the_number_of_tests() -> None:
    ranked = calibration.rank(
        calibration.Calibration("A", str(n), calibration.Fit(1, 0, p, None, 1), {}, 0)
        for n, p in enumerate((0.04, 0.01, 0.03))
    )
    assert [c.fit.p_value for c in ranked] == [0.01, 0.03, 0.04]
    # Benjamini and Hochberg: p * m / rank, made monotone from the largest down.
    assert [c.p_value_adjusted for c in ranked] == pytest.approx([0.03, 0.04, 0.04])


def test_calibrate_pair_deviation_is_that_of_the_spread_around_its_running_mean(
    conn: psycopg.Connection,
) -> None:
    log_a, log_b = ornstein_uhlenbeck(3_000, 5)
    both = {"A": mids(log_a), "B": mids(log_b)}
    found = calibration.calibrate_pair(conn, ("A", "B"), both, SETTINGS)
    half_life_s, warm_up_s = found.parameters["half_life_s"], found.parameters["warm_up_s"]
    assert half_life_s is not None
    assert warm_up_s is not None
    spread = log_a - found.fit.hedge_ratio * log_b
    weight = 1 - 2 ** (-1 / half_life_s)
    means = [spread[0]]
    for n in range(1, spread.size):
        means.append(means[-1] + weight * (spread[n - 1] - means[-1]))
    deviations = (spread - means)[round(warm_up_s) :]
    assert found.parameters["deviation"] == pytest.approx(deviations.std(ddof=1), rel=1e-9)
    assert found.parameters["mean"] == pytest.approx(means[-1], rel=1e-9)
    assert found.round_trips > 5


@pytest.fixture
def market(conn: psycopg.Connection, database: str, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Point the command line at a database with quotes of three symbols and trades of a fourth."""
    log_a, log_b = ornstein_uhlenbeck(1_500, 9)
    flat = np.full(1_500, math.log(20.0))
    for symbol, series in (("AAA", log_a), ("BBB", log_b), ("FLAT", flat)):
        prices = np.round(np.exp(series) * 10_000).astype(int)
        add_source(
            conn,
            symbol,
            [(OPEN + SECOND * n, int(p) - 1, int(p) + 1) for n, p in enumerate(prices, start=1)],
        )
    add_trade_source(conn, "TRD", OPEN, 10)
    # The configuration is read from the environment; a test's database belongs to nobody else.
    monkeypatch.setattr("tsdb_trader.db.database_url", lambda role=None: database)
    return conn


def call(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    window = ("--from", "2013-10-07T13:30Z", "--to", "2013-10-07T14:00Z")
    with pytest.raises(SystemExit) as exited:
        cli.main(["calibrate", "pairs", "--feed", "test", *window, *arguments])
    printed = capsys.readouterr()
    return int(exited.value.code or 0), printed.out, printed.err


def test_calibrate_pairs_all_symbols_saves_what_can_be_traded(
    market: psycopg.Connection, capsys: pytest.CaptureFixture[str]
) -> None:
    status, out, err = call(capsys, "--json")
    assert status == 0, err
    (row,) = json.loads(out)
    assert (row["symbol_a"], row["symbol_b"]) == ("AAA", "BBB")
    assert "no quotes in the window: TRD" in err
    assert "AAA/FLAT: a leg never moved" in err
    saved = market.execute(
        """select p.pair_id, (p.parameters).hedge_ratio, p.valid_from = p.calibrated_to,
               jsonb_array_length(p.data_watermark), p.statistics->>'tests', p.code_version
           from signal.pairs p"""
    ).fetchall()
    version = f"0.1.0+{signal.code_hash(market)[:12]}"
    expected = (row["pair_id"], row["parameters"]["hedge_ratio"], True, 2, "1", version)
    assert saved[0][:3] == expected[:3]
    assert saved[0][3] >= 2
    assert saved[0][4:] == expected[4:]


def test_calibrate_pairs_dry_run_saves_nothing(
    market: psycopg.Connection, capsys: pytest.CaptureFixture[str]
) -> None:
    status, out, _ = call(capsys, "--pairs", "BBB/AAA", "--dry-run")
    assert status == 0
    assert "BBB/AAA" in out
    assert market.execute("select count(*) from signal.pairs").fetchone() == (0,)


@pytest.mark.usefixtures("market")
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--symbols", "AAA,BBA"), "did you mean BBB?"),
        (("--symbols", "AAA"), "a pair needs two symbols"),
        (("--symbols", "AAA,TRD"), "a pair needs two symbols"),
        (("--pairs", "AAA/TRD"), "TRD has trades only"),
        (("--pairs", "AAA-BBB"), "write it as AIG/BAC"),
        (("--pairs", "AAA/FLAT"), "AAA/FLAT: a leg never moved"),
        (("--grid", "soon"), "write it as 500ms, 1s or 1m"),
        (("--grid", "1m"), "of at least 300"),
        (("--entry", "0.1"), "exit < entry"),
        (("--feed", "tset"), "did you mean test?"),
        (("--from", "2013-10-09T13:30Z", "--to", "2013-10-09T20:00Z"), "has no quotes from"),
        (("--to", "2013-10-07T13:00Z"), "--from must be before --to"),
    ],
)
def test_calibrate_pairs_wrong_input_is_one_line(
    arguments: tuple[str, ...], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    status, _, err = call(capsys, *arguments)
    assert status == 5
    assert message in err.splitlines()[-1]
    assert err.splitlines()[-1].startswith("error: ")
