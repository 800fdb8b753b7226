"""`tsdb-trader calibrate pairs` on daily bars: what is chosen, refused and saved, point in time."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import psycopg
import pytest
import statsmodels.api as sm
from statsmodels.tsa.stattools import coint

from daily_bars import add_bars, load_sp500
from factories import add_instrument
from tsdb_trader import cli
from tsdb_trader.api import calibration, signal
from tsdb_trader.errors import InputError
from tsdb_trader.research import walk_forward

DAYS = [
    day
    for n in range(600)
    if (day := date(2013, 1, 2) + timedelta(days=n)).weekday() < 5 and day < date(2014, 3, 1)
]
FIRST, SECOND = date(2013, 7, 1), date(2014, 1, 1)


def made_closes() -> dict[str, Any]:
    """Return closes by symbol and day: two pairs that revert, and what cannot be used."""
    rng = np.random.default_rng(11)
    walks = np.cumsum(rng.normal(0, 0.01, (4, len(DAYS))), axis=1)
    spreads = np.zeros((2, len(DAYS)))
    for n in range(1, len(DAYS)):
        spreads[:, n] = 0.5 * spreads[:, n - 1] + rng.normal(0, 0.01, 2)
    series = {
        "AAA": 40 * np.exp(walks[0] + spreads[0]),
        "BBB": 30 * np.exp(walks[0]),
        "CCC": 20 * np.exp(walks[1] + spreads[1]),
        "DDD": 50 * np.exp(walks[1]),
        "EEE": 60 * np.exp(walks[2]),
        "FLAT": np.full(len(DAYS), 25.0),
        "GAPS": 35 * np.exp(walks[3]),
        "GONE": 15 * np.exp(walks[3] / 2),
        "LATE": 45 * np.exp(walks[2] / 2),
        "SPIN": 80 * np.exp(walks[3] / 3),
    }
    series["SPIN"][DAYS.index(date(2013, 4, 10)) :] *= 0.5
    made: dict[str, Any] = {
        symbol: {day: f"{close:.4f}" for day, close in zip(DAYS, values, strict=True)}
        for symbol, values in series.items()
    }
    for day in DAYS[20:27]:
        del made["GAPS"][day]
    made["GONE"] = {day: c for day, c in made["GONE"].items() if day < date(2013, 6, 20)}
    made["LATE"] = {day: c for day, c in made["LATE"].items() if day > date(2013, 5, 20)}
    # To the last digit four times as much: they move as one.
    made["TWIN"] = {day: f"{4 * float(c):.4f}" for day, c in made["EEE"].items()}
    return made


@pytest.fixture
def market(conn: psycopg.Connection, database: str, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Point the command line at a database with daily bars."""
    for symbol, closes in made_closes().items():
        add_bars(conn, add_instrument(conn, symbol), closes)
    # The configuration is read from the environment; a test's database belongs to nobody else.
    monkeypatch.setattr("tsdb_trader.db.database_url", lambda role=None: database)
    return conn


def call(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as exited:
        cli.main(["calibrate", "pairs", *arguments])
    printed = capsys.readouterr()
    return int(exited.value.code or 0), printed.out, printed.err


def saved(conn: psycopg.Connection, until: date = SECOND) -> list[Any]:
    """Return every pair that is valid from a day up to `until` on, superseded ones too."""
    return conn.execute(
        """select pair_id, instrument_a, instrument_b, parameters, statistics, calibrated_from,
               calibrated_to, data_watermark, code_version, valid_from, valid_to, superseded_at::text
           from signal.pairs where valid_from <= %s::timestamp at time zone 'America/New_York'
           order by pair_id""",
        (until,),
    ).fetchall()


def test_calibrate_without_arguments_walks_forward(
    market: psycopg.Connection, capsys: pytest.CaptureFixture[str]
) -> None:
    status, out, err = call(capsys, "--json")
    assert status == 0, err
    first, second = json.loads(out)
    assert [f["formation_end"] for f in (first, second)] == ["2013-07-01", "2014-01-01"]
    for formation in (first, second):
        names = {(p["symbol_a"], p["symbol_b"]) for p in formation["pairs"]}
        assert {("AAA", "BBB"), ("CCC", "DDD")} <= names
    assert "2013-07-01: 128 days, 6 symbols (5 refused), 14 pairs tested" in err
    rows = market.execute(
        """select valid_from at time zone 'America/New_York', valid_to at time zone 'America/New_York',
               bool_and(calibrated_to = valid_from), count(*)
           from signal.pairs where superseded_at = 'infinity' group by 1, 2 order by 1"""
    ).fetchall()
    assert [(row[0].date(), row[1].date(), row[2]) for row in rows] == [
        (FIRST, SECOND, True),
        (SECOND, date(2014, 7, 1), True),
    ]
    runs = market.execute(
        """select days, symbols, tested, kept, refused, code_version, run_by = session_user
           from signal.calibrations order by calibrated_to"""
    ).fetchall()
    version = f"0.1.0+{signal.code_hash(market)[:12]}"
    assert runs[0][:3] == (128, 6, 14)
    assert runs[0][3:] == (rows[0][3], 6, version, True)


def test_parameters_are_those_of_the_formation_period(
    market: psycopg.Connection, capsys: pytest.CaptureFixture[str]
) -> None:
    _, out, _ = call(capsys, "--json", "--to", "2013-07-01", "--entry", "1.5", "--max-gap", "6")
    ((found,),) = [[p for p in f["pairs"] if p["symbol_a"] == "AAA"][:1] for f in json.loads(out)]
    made = made_closes()
    a, b = (np.log([float(made[s][day]) for day in DAYS if day < FIRST]) for s in ("AAA", "BBB"))
    fitted = sm.OLS(a, sm.add_constant(b)).fit()
    parameters, statistics = found["parameters"], found["statistics"]
    spread = a - fitted.params[1] * b
    assert parameters["hedge_ratio"] == pytest.approx(fitted.params[1], rel=1e-9)
    assert parameters["mean"] == pytest.approx(spread.mean(), rel=1e-9)
    assert parameters["deviation"] == pytest.approx(spread.std(ddof=1), rel=1e-9)
    assert (parameters["entry"], parameters["max_gap_s"]) == (1.5, 6 * 86_400)
    t, p, _ = coint(a, b, trend="c", maxlag=1, autolag=None)
    assert statistics["t"] == pytest.approx(t, abs=1e-8)
    assert statistics["p_value"] == pytest.approx(p, abs=1e-8)
    assert statistics["p_value_bh"] >= statistics["p_value"]
    phi = statistics["phi"]
    assert statistics["half_life_days"] == pytest.approx(-math.log(2) / math.log(phi))
    assert statistics["half_life_euler_days"] == pytest.approx(-math.log(2) / (phi - 1))
    # Over the half year that the pair is valid the mean moves by less than 2% of its distance.
    assert 1 - 2 ** (-184 * 86_400 / parameters["half_life_s"]) < 0.02
    assert parameters["warm_up_s"] == 184 * 86_400


def test_symbols_and_pairs_that_cannot_be_used_are_refused_and_the_others_go_on(
    market: psycopg.Connection, capsys: pytest.CaptureFixture[str]
) -> None:
    _, out, _ = call(capsys, "--json", "--to", "2013-07-01")
    (formation,) = json.loads(out)
    reasons = {r["name"]: r["reason"] for r in formation["refusals"]}
    assert reasons == {
        "FLAT": "constant",
        "GAPS": "missing_days",
        "GONE": "no_last_bar",
        "LATE": "too_few_days",
        "SPIN": "distribution",
        "EEE/TWIN": "collinear",
    }
    kept = market.execute(
        """select coalesce(a.symbol || '/' || b.symbol, a.symbol), r.reason
           from signal.calibration_refusals r
           join ref.instruments a on a.instrument_id = r.instrument_a
           left join ref.instruments b on b.instrument_id = r.instrument_b"""
    ).fetchall()
    assert dict(kept) == reasons
    details = {r["name"]: r["detail"] for r in formation["refusals"]}
    assert details["GONE"] == "no close after 2013-06-19: delisted, renamed or halted"
    assert details["SPIN"].startswith("2013-04-10: -")


def test_calibrate_again_changes_nothing(
    market: psycopg.Connection, capsys: pytest.CaptureFixture[str]
) -> None:
    _, first, _ = call(capsys, "--json")
    before = saved(market)
    _, second, _ = call(capsys, "--json")
    assert saved(market) == before
    ids = [[p["pair_id"] for f in json.loads(out) for p in f["pairs"]] for out in (first, second)]
    assert ids[0] == ids[1]
    assert market.execute("select count(*) from signal.calibrations").fetchone() == (4,)


def test_data_after_the_formation_end_change_nothing_and_data_before_do(
    market: psycopg.Connection, capsys: pytest.CaptureFixture[str]
) -> None:
    call(capsys, "--to", "2013-07-01")
    before = saved(market)
    assert before
    market.execute(
        """update market._source_bars set close = close * 2 + seq where seq %% 3 = 0
           and ts >= %(end)s::timestamp at time zone 'America/New_York'""",
        {"end": FIRST},
    )
    market.execute(
        """insert into ref.splits (instrument_id, ex_date, new_shares, old_shares, known_at, source)
           select instrument_id, '2013-07-02', 7, 1, '2013-06-01Z', 'test' from ref.instruments"""
    )
    call(capsys, "--to", "2013-07-01")
    assert saved(market) == before
    market.execute(
        """update market._source_bars b set close = close + 1 from ref.instruments i
           where i.instrument_id = b.instrument_id and i.symbol = 'AAA'
               and b.ts = '2013-06-28'::timestamp at time zone 'America/New_York'"""
    )
    call(capsys, "--to", "2013-07-01")
    after = saved(market)
    assert len(after) > len(before)
    assert all(row[-1] != "infinity" for row in after[: len(before)])


def test_a_split_before_the_formation_end_is_carried_forward(
    market: psycopg.Connection, capsys: pytest.CaptureFixture[str]
) -> None:
    before = calibration.read_closes(market, "daily", DAYS[0], FIRST)
    market.execute(
        """insert into ref.splits (instrument_id, ex_date, new_shares, old_shares, known_at, source)
           select instrument_id, '2013-04-10', 2, 1, '2013-04-10Z', 'test'
           from ref.instruments where symbol = 'SPIN'"""
    )
    after = calibration.read_closes(market, "daily", DAYS[0], FIRST)
    for one, other in zip(before, after, strict=True):
        factor = np.array([2.0 if day >= date(2013, 4, 10) else 1.0 for day in one.dates])
        factor = factor if one.symbol == "SPIN" else np.ones_like(factor)
        np.testing.assert_allclose(other.closes, np.array(one.closes) * factor, rtol=1e-15)
    _, out, _ = call(capsys, "--json", "--to", "2013-07-01")
    assert "SPIN" not in {r["name"] for r in json.loads(out)[0]["refusals"]}


def test_dividends_are_reinvested_forward(market: psycopg.Connection) -> None:
    market.execute(
        """insert into ref.dividends
               (instrument_id, ex_date, kind, amount, currency, known_at, source)
           select instrument_id, '2013-04-10', 'regular', 1.5, 'USD', '2013-04-01Z', 'test'
           from ref.instruments where symbol = 'FLAT'"""
    )
    (flat,) = (
        one
        for one in calibration.read_closes(market, "daily", DAYS[0], FIRST)
        if one.symbol == "FLAT"
    )
    closes = dict(zip(flat.dates, flat.closes, strict=True))
    assert closes[date(2013, 4, 9)] == 25.0
    assert closes[date(2013, 4, 10)] == pytest.approx(25 / (1 - 1.5 / 25), rel=1e-14)


def test_an_action_that_cannot_be_used_refuses_its_symbol_only(
    market: psycopg.Connection, capsys: pytest.CaptureFixture[str]
) -> None:
    market.execute(
        """insert into ref.dividends
               (instrument_id, ex_date, kind, amount, currency, known_at, source)
           select instrument_id, '2013-04-10', 'regular', 500, 'USD', '2013-04-01Z', 'test'
           from ref.instruments where symbol = 'EEE'"""
    )
    _, out, _ = call(capsys, "--json", "--to", "2013-07-01")
    (formation,) = json.loads(out)
    refused = {r["name"]: (r["reason"], r["detail"]) for r in formation["refusals"]}
    assert refused["EEE"][0] == "bad_action"
    assert "500 paid on a share worth" in refused["EEE"][1]
    assert formation["pairs"]


def test_distance_method_keeps_the_nearest_with_a_hedge_of_one(
    market: psycopg.Connection, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ("--json", "--to", "2013-07-01", "--method", "distance", "--top", "3")
    _, out, _ = call(capsys, *arguments)
    (formation,) = json.loads(out)
    distances = [p["statistics"]["distance"] for p in formation["pairs"]]
    assert len(distances) == 3
    assert distances == sorted(distances)
    assert {p["parameters"]["hedge_ratio"] for p in formation["pairs"]} == {1.0}


def test_cointegration_method_keeps_the_surest(
    market: psycopg.Connection, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ("--json", "--to", "2013-07-01", "--method", "cointegration", "--fdr", "0.05")
    _, out, _ = call(capsys, *arguments)
    (formation,) = json.loads(out)
    found = [p["statistics"] for p in formation["pairs"]]
    assert [f["p_value"] for f in found] == sorted(f["p_value"] for f in found)
    assert max(f["p_value_bh"] for f in found) <= 0.05
    assert {(p["symbol_a"], p["symbol_b"]) for p in formation["pairs"]} == {
        ("AAA", "BBB"),
        ("CCC", "DDD"),
    }


@pytest.mark.parametrize("hedge", ["rolling", "kalman", "one"])
def test_other_hedge_ratios_are_those_of_the_last_day(
    market: psycopg.Connection, capsys: pytest.CaptureFixture[str], hedge: str
) -> None:
    _, out, _ = call(capsys, "--json", "--to", "2013-07-01", "--hedge", hedge)
    for pair in json.loads(out)[0]["pairs"]:
        expected = 1.0 if hedge == "one" else pair["statistics"][f"{hedge}_hedge"]
        assert pair["parameters"]["hedge_ratio"] == expected
        assert pair["statistics"]["hedge"] == hedge


def test_sectors_file_makes_pairs_within_a_sector_only(
    market: psycopg.Connection, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    file = tmp_path / "sectors.csv"
    file.write_text("symbol,sector\nAAA,one\nBBB,one\nCCC,two\nDDD,one\n")
    arguments = ("--json", "--to", "2013-07-01", "--sectors", str(file), "--method", "distance")
    _, out, _ = call(capsys, *arguments)
    (formation,) = json.loads(out)
    assert formation["tested"] == 3
    assert not any("CCC" in (p["symbol_a"], p["symbol_b"]) for p in formation["pairs"])
    refused = {r["name"]: r["reason"] for r in formation["refusals"]}
    assert (refused["EEE"], refused["TWIN"]) == ("no_sector", "no_sector")


def test_dry_run_saves_nothing(
    market: psycopg.Connection, capsys: pytest.CaptureFixture[str]
) -> None:
    status, out, _ = call(capsys, "--dry-run", "--pairs", "BBB/AAA", "--every", "once")
    assert status == 0
    assert "AAA/BBB" in out
    assert "1 pairs in 1 formations, nothing saved" in out
    for table in ("pairs", "calibrations"):
        assert market.execute(f"select count(*) from signal.{table}").fetchone() == (0,)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--feed", "nope"), "nope"),
        (("--source", "ticks"), "unknown source 'ticks': use daily or quotes"),
        (("--source", "quotes"), "quotes need --feed, --from and --to"),
        (("--grid", "1s"), "--grid is for quotes"),
        (("--method", "best"), "--method best: one of distance, cointegration, both"),
        (("--fdr-method", "holm"), "--fdr-method holm: one of bh, by"),
        (("--fdr", "0"), "--fdr must be above 0"),
        (("--max-p", "1.5"), "--max-p must be above 0"),
        (("--every", "5"), "formations every 5 months"),
        (("--every", "often"), "--every often: a number of months, or once"),
        (("--formation", "0"), "a formation of 0 months"),
        (("--entry", "0.1"), "exit < entry"),
        (("--notional", "-1"), "notional must be above zero"),
        (("--max-gap", "nan"), "--max-gap nan: a finite number"),
        (("--max-gap", "0"), "max_gap_s must be above zero"),
        (("--from", "soon"), "time 'soon'"),
        (("--from", "2014-01-01", "--to", "2013-01-01", "--every", "once"), "has no day"),
        (("--from", "2013-12-01"), "of at least 120 trading days"),
        (("--symbols", "AAA"), "a pair needs two symbols"),
        (("--symbols", "AAA,ZZZ"), "no daily bars of ZZZ"),
        (("--pairs", "AAA/ZZZ"), "no daily bars of ZZZ"),
        (("--pairs", "AAA-BBB"), "write it as AIG/BAC"),
        (("--pairs", "AAA/BBB", "--symbols", "AAA,BBB"), "not both"),
        (("--pairs", "EEE/TWIN"), "the legs move as one"),
        (("--schedule", "--every", "once"), "--schedule needs formations"),
        (("--sectors", "/nowhere.csv"), "/nowhere.csv: No such file"),
    ],
)
@pytest.mark.usefixtures("market")
def test_wrong_input_is_one_line(
    capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], message: str
) -> None:
    status, _, err = call(capsys, *arguments)
    assert status == 5, err
    assert err.splitlines()[-1].startswith("error: ")
    assert message in err.splitlines()[-1]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("symbol,group\nA,x\n", "columns symbol and sector"),
        ("symbol,sector\nA,\n", "line 2: no symbol or no sector"),
        ("symbol,sector\nA,x\nA,y\n", "line 3: A has two sectors"),
        ("symbol,sector,from\nA,x,\nA,y,2018-09-24\nA,z,2018-09-24\n", "line 4: A has two sectors"),
        ("symbol,sector,from\nA,x,24/9/2018\n", "line 2: cannot read the date '24/9/2018'"),
        ("symbol,sector\n", "there is no symbol in it"),
    ],
)
@pytest.mark.usefixtures("market")
def test_wrong_sectors_file_says_where(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, text: str, message: str
) -> None:
    file = tmp_path / "sectors.csv"
    file.write_text(text)
    status, _, err = call(capsys, "--sectors", str(file))
    assert status == 5
    assert message in err.splitlines()[-1]


def test_without_daily_bars_says_what_to_load(
    conn: psycopg.Connection,
    database: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr("tsdb_trader.db.database_url", lambda role=None: database)
    status, _, err = call(capsys)
    assert status == 5
    assert "tsdb-trader load daily FILE" in err


def test_two_feeds_with_daily_bars_one_must_be_named(
    market: psycopg.Connection, capsys: pytest.CaptureFixture[str]
) -> None:
    add_bars(market, add_instrument(market, "XYZ"), {"2013-01-02": "1"}, feed="other")
    status, _, err = call(capsys)
    assert status == 5
    assert "name one of daily, other with --feed" in err
    assert call(capsys, "--feed", "daily", "--dry-run")[0] == 0


def test_calibrations_of_other_periods_end_where_the_next_begins(
    market: psycopg.Connection, capsys: pytest.CaptureFixture[str]
) -> None:
    call(capsys, "--every", "12")
    call(capsys, "--every", "6", "--from", "2013-01-02")
    rows = market.execute(
        """select distinct valid_from at time zone 'America/New_York',
               valid_to at time zone 'America/New_York'
           from signal.pairs where superseded_at = 'infinity' order by 1"""
    ).fetchall()
    assert [(a.date(), b.date()) for a, b in rows] == [(FIRST, SECOND), (SECOND, date(2014, 7, 1))]
    (overlaps,) = market.execute(
        """select count(*) from signal.pairs p join signal.pairs q on p.pair_id < q.pair_id
               and (p.instrument_a, p.instrument_b) = (q.instrument_a, q.instrument_b)
               and p.valid_from < q.valid_to and q.valid_from < p.valid_to
           where p.superseded_at = 'infinity' and q.superseded_at = 'infinity'"""
    ).fetchone()
    assert overlaps == 0


def test_scheduled_calibration_is_done_once_and_again_when_bars_come_late(
    market: psycopg.Connection, connect_as: Callable[..., Any], capsys: pytest.CaptureFixture[str]
) -> None:
    assert walk_forward.repeat(market, date(2014, 2, 1)) == {}
    status, _, err = call(capsys, "--schedule", "--to", "2013-07-01")
    assert status == 0, err
    worker = connect_as("tsdb_worker_scheduler")
    # Before the end of the next formation there is nothing to do, the last one is as it was.
    assert walk_forward.repeat(worker, date(2013, 12, 31)) == {"daily": []}
    assert walk_forward.repeat(worker, date(2014, 1, 1)) == {"daily": ["2014-01-01"]}
    before = saved(market)
    assert walk_forward.repeat(worker, date(2014, 1, 2)) == {"daily": []}
    assert saved(market) == before
    market.execute(
        """update market._source_bars set close = close + 1
           where ts = '2013-12-31'::timestamp at time zone 'America/New_York'"""
    )
    assert walk_forward.repeat(worker, date(2014, 1, 3)) == {"daily": ["2014-01-01"]}
    call(capsys, "--no-schedule", "--to", "2013-07-01")
    assert walk_forward.repeat(worker, date(2014, 1, 4)) == {}


def test_quants_and_readers_read_calibrations_and_save_none(
    market: psycopg.Connection, connect_as: Callable[..., Any]
) -> None:
    for role in ("tsdb_quant", "tsdb_readonly"):
        reader = connect_as(role)
        assert len(calibration.read_closes(reader, "daily", DAYS[0], FIRST)) == 11
        assert reader.execute("select count(*) from signal.calibrations").fetchone() == (0,)
        for call_ in (
            "select signal.save_calibration('daily', '2013-01-02Z', '2013-07-01Z', 'infinity', "
            "'[]', '[]', '{}', '{}', 'x')",
            "select signal.schedule_calibration('daily', true, '{}')",
        ):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                reader.execute(call_)


RUN = (
    '{"arguments": {}, "days": 1, "symbols": 2, "tested": 1, "eligible": 1, "passed_over": {},'
    ' "elapsed_s": 1}'
)


@pytest.mark.parametrize(
    ("pairs", "times", "message"),
    [
        ("[]", ("2013-07-01Z", "2013-01-02Z", "infinity"), "from < to < valid to"),
        ("[]", ("2013-01-02Z", "2013-07-01Z", "2013-07-01Z"), "from < to < valid to"),
        ('[{"a": 999999, "b": 1}]', None, "unknown instrument 999999"),
        ('[{"a": 1}]', None, "unknown instrument null"),
        ('[{"a": 1, "b": 1, "parameters": {}}]', None, "two symbols, and is saved once"),
        ('[{"a": 1, "b": 2, "parameters": {"entry": 2}}]', None, "hedge_ratio must be"),
    ],
)
def test_save_calibration_wrong_input_saves_nothing(
    market: psycopg.Connection, pairs: str, times: tuple[str, ...] | None, message: str
) -> None:
    times = times or ("2013-01-02Z", "2013-07-01Z", "infinity")
    with pytest.raises(psycopg.Error, match=message) as raised:
        market.execute(
            "select signal.save_calibration('daily', %s, %s, %s, %s, '[]', %s, '{}', 'x')",
            (*times, pairs, RUN),
        )
    assert raised.value.sqlstate in ("TT001", "TT002")
    assert market.execute("select count(*) from signal.calibrations").fetchone() == (0,)


@pytest.mark.needs_data
def test_real_year_refuses_what_is_not_adjusted(
    conn: psycopg.Connection,
    database: str,
    data_folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    load_sp500(conn, data_folder)
    monkeypatch.setattr("tsdb_trader.db.database_url", lambda role=None: database)
    status, out, err = call(capsys, "--json", "--from", "2015-01-01", "--to", "2016-01-01")
    assert status == 0, err
    half, year = json.loads(out)
    assert (half["days"], year["days"]) == (124, 252)
    reasons = {r["name"]: r["reason"] for r in year["refusals"]}
    for symbol in ("EBAY", "BAX", "NI"):
        assert reasons[symbol] == "distribution"
    assert reasons["DHR"] == reasons["ES"] == reasons["O"] == "missing_days"
    assert year["tested"] == year["symbols"] * (year["symbols"] - 1) // 2
    assert len(year["pairs"]) == 50
    found = [p["statistics"] for p in year["pairs"]]
    assert [f["distance"] for f in found] == sorted(f["distance"] for f in found)
    assert all(f["p_value"] <= 0.05 and f["half_life_days"] <= 60 for f in found)


def test_formation_without_two_symbols_is_recorded_with_the_reasons(
    market: psycopg.Connection, capsys: pytest.CaptureFixture[str]
) -> None:
    market.execute(
        """update market._source_bars b set close = 200000 from ref.instruments i
           where i.instrument_id = b.instrument_id and i.symbol <> 'AAA'"""
    )
    status, _, err = call(capsys, "--to", "2013-07-01")
    assert status == 5
    assert "no formation has a pair to trade: 2013-07-01: of 0 pairs none passed" in err
    assert "every close is 20" in err
    assert market.execute("select symbols, tested, kept from signal.calibrations").fetchall() == [
        (1, 0, 0)
    ]
    reasons = market.execute("select distinct reason from signal.calibration_refusals").fetchall()
    assert ("constant",) in reasons


def test_scheduled_calibration_of_a_feed_that_cannot_be_lets_the_others_go_on(
    market: psycopg.Connection, capsys: pytest.CaptureFixture[str]
) -> None:
    status, _, err = call(capsys, "--schedule", "--to", "2013-07-01")
    assert status == 0, err
    # A feed that comes first, with hardly a bar.
    market.execute("insert into ops.feeds (feed, format) values ('brief', 'daily')")
    market.execute(
        """insert into market._source_bars (ts, recv_ts, seq, open, high, low, close, volume,
               instrument_id, source_id, feed_id, ns, flags, resolution, side)
           select b.ts, b.recv_ts, b.seq, b.open, b.high, b.low, b.close, b.volume, b.instrument_id,
               b.source_id, f.feed_id, b.ns, b.flags, b.resolution, b.side
           from market._source_bars b, ops.feeds f
           where f.feed = 'brief' and (b.ts < '2013-03-01' or b.ts > '2013-12-20')"""
    )
    market.execute(
        "insert into signal.calibration_schedules (feed_id, enabled, arguments) "
        "select f.feed_id, true, s.arguments from ops.feeds f, signal.calibration_schedules s "
        "where f.feed = 'brief'"
    )
    with pytest.raises(
        InputError, match=r"^feed brief, 2014-01-01: .* of at least 120 trading days"
    ):
        walk_forward.repeat(market, date(2014, 1, 1))
    assert market.execute(
        """select f.feed, c.kept > 0 from signal.calibrations c join ops.feeds f using (feed_id)
           where c.calibrated_to > '2013-12-01'"""
    ).fetchall() == [("daily", True)]


def test_sectors_with_dates_are_those_before_each_formation_end(
    market: psycopg.Connection, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    file = tmp_path / "sectors.csv"
    # BBB changes to the sector of AAA on the first day that the second formation no longer reads.
    rows = ["AAA,x,", "BBB,y,", f"BBB,x,{SECOND}", "CCC,y,", f"DDD,y,{FIRST}"]
    file.write_text("symbol,sector,from\n" + "\n".join(rows))
    arguments = ("--json", "--sectors", str(file), "--method", "distance")
    status, out, err = call(capsys, *arguments)
    assert status == 0, err
    first, second = json.loads(out)
    assert {(p["symbol_a"], p["symbol_b"]) for p in first["pairs"]} == {("BBB", "CCC")}
    assert {r["name"] for r in first["refusals"] if r["reason"] == "no_sector"} >= {"DDD"}
    assert {(p["symbol_a"], p["symbol_b"]) for p in second["pairs"]} == {
        ("BBB", "CCC"), ("BBB", "DDD"), ("CCC", "DDD")
    }  # fmt: skip
    rows[2] = f"BBB,x,{SECOND - timedelta(days=1)}"
    file.write_text("symbol,sector,from\n" + "\n".join(rows))
    _, out, _ = call(capsys, *arguments)
    assert {(p["symbol_a"], p["symbol_b"]) for p in json.loads(out)[1]["pairs"]} == {
        ("AAA", "BBB"), ("CCC", "DDD")
    }  # fmt: skip
    kept = market.execute("select arguments from signal.calibrations limit 1").fetchone()
    assert kept is not None
    assert walk_forward.Settings.of(kept[0]).sectors_before(FIRST) == {
        "AAA": "x", "BBB": "y", "CCC": "y"
    }  # fmt: skip
    undated = kept[0] | {"sectors": {"AAA": "x"}}
    assert walk_forward.Settings.of(undated).sectors_before(FIRST) == {"AAA": "x"}


@pytest.mark.parametrize(
    ("header", "suffix", "undated"), [("", "", True), (",from", ",2000-01-01", False)]
)
def test_survivorship_check_finds_calibrations_by_sectors_without_dates(
    market: psycopg.Connection,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    header: str,
    suffix: str,
    undated: bool,
) -> None:
    file = tmp_path / "sectors.csv"
    rows = "".join(f"{symbol},x{suffix}\n" for symbol in ("AAA", "BBB", "CCC"))
    file.write_text(f"symbol,sector{header}\n{rows}")
    status, out, err = call(capsys, "--json", "--sectors", str(file), "--method", "distance")
    assert status == 0, err

    def found(parameters: str) -> list[Any]:
        return market.execute(
            "select instances, detail from backtest.check_survivorship("
            "'pairs', '2013-07-01', '2014-02-01', %s) where kind = 'sectors_undated' order by 1",
            (parameters,),
        ).fetchall()

    pairs = sum(len(formation["pairs"]) for formation in json.loads(out))
    expected = [(pairs, {"by": "calibration", "calibrations": 2})] if undated else []
    assert found("{}") == expected
    bound = {"by": "portfolio", "max_sector_net": 1000}
    assert found('{"portfolio": {"max_sector_net": 1000}}') == [*expected, (None, bound)]
