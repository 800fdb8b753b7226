"""`tsdb-trader var` from end to end."""

from __future__ import annotations

import json
from datetime import date, timedelta

import psycopg
import pytest

from daily_bars import add_bars
from factories import add_instrument
from workers.command_line import Done, Run, runner


@pytest.fixture
def run(at_test_database: None, capsys: pytest.CaptureFixture[str]) -> Run:
    """Return a function that runs `tsdb-trader var` in this process."""
    return runner(capsys, "var")


@pytest.fixture
def bars(conn: psycopg.Connection) -> list[date]:
    """Return the dates on which there are bars of two instruments, and ask for eight of them."""
    days = [date(2015, 1, 5) + timedelta(days=n) for n in range(12)]
    for n, symbol in enumerate(("AAA", "BBB")):
        closes = {day: 100 + n + k % 3 for k, day in enumerate(days)}
        add_bars(conn, add_instrument(conn, symbol), closes)
    conn.execute("select risk.set_var_settings('{\"window_days\": 8}', 'test')")
    return days


def test_var_refresh_makes_the_returns_of_all_bars(conn, bars, run):
    done = run("refresh", "--json")
    assert (done.status, done.err) == (0, "")
    found = json.loads(done.out)
    assert found["changed"] == 2 * (len(bars) - 1)
    assert conn.execute("select count(*), min(date), max(date) from risk.returns").fetchone() == (
        22,
        bars[1],
        bars[-1],
    )
    assert found["sets"] == [], "bars of 2015 are no history of today"
    assert run("refresh").out == "returns changed: 0\nhistory: none\n"


def test_var_refresh_of_some_days_makes_those_alone(conn, bars, run):
    found = json.loads(run("refresh", "--from", "2015-01-07", "--to", "2015-01-08", "--json").out)
    # And the return that follows the last.
    assert found["changed"] == 6
    assert conn.execute("select min(date), max(date) from risk.returns").fetchone() == (
        date(2015, 1, 7),
        date(2015, 1, 9),
    )


def test_var_prepare_makes_the_history_of_a_time_with_its_factors(conn, bars, run):
    run("refresh")
    done = run("prepare", "2015-01-15T13:00:00", "--json")
    assert done.status == 0
    [number] = json.loads(done.out)["sets"]
    row = conn.execute(
        "select dates[cardinality(dates)], currency, factored_at is not null "
        "from risk._return_sets where set_id = %s",
        (number,),
    ).fetchone()
    # The bar of the 14th is known from the next midnight in New York.
    assert row == (date(2015, 1, 14), "USD", True)
    assert run("prepare", "2015-01-15T13:00:00").out == f"history: set {number}\n"


def test_var_prepare_makes_a_history_for_each_currency_of_the_accounts(conn, bars, run):
    conn.execute("insert into ref.accounts (account, currency) values ('euro', 'EUR')")
    run("refresh")
    assert len(json.loads(run("prepare", "2015-01-15", "--json").out)["sets"]) == 2


def test_var_without_bars_says_none(run):
    assert run("refresh") == Done(0, "returns changed: 0\nhistory: none\n", "")
    assert run("prepare", "2015-01-15").out == "history: none\n"


@pytest.mark.parametrize(
    ("arguments", "status", "says"),
    [
        (("refresh", "--feed", "nobody"), 5, "unknown feed nobody"),
        (("refresh", "--from", "2015-01-09", "--to", "2015-01-08"), 5, "cannot refresh returns"),
        (("refresh", "--from", "yesterday"), 2, "yesterday"),
        (("prepare", "noon"), 2, "noon"),
        (("prepare",), 2, "Missing argument"),
    ],
)
def test_var_command_with_bad_input_is_refused_and_writes_nothing(
    conn, bars, run, arguments, status, says
):
    done = run(*arguments)
    assert (done.status, done.out) == (status, "")
    assert says in done.err
    assert conn.execute("select count(*) from risk.returns").fetchone() == (0,)
