"""`tsdb-trader portfolio` from end to end."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import psycopg
import pytest

from portfolio_books import Books, books, closes
from workers.command_line import Run, runner

D = Decimal


@pytest.fixture
def run(at_test_database: None, capsys: pytest.CaptureFixture[str]) -> Run:
    """Return a function that runs `tsdb-trader portfolio` in this process."""
    return runner(capsys, "portfolio")


@pytest.fixture
def own(conn: psycopg.Connection) -> Books:
    """Return books with two purchases and a sale on three days: 100 at 10, 50 at 13, 120 sold at 14."""
    found = books(conn)
    for day, signed, price in (
        ("2014-06-02", 100, 10),
        ("2014-06-03", 50, 13),
        ("2014-06-04", -120, 14),
    ):
        found.fill(signed, price, 1, on=day)
    closes(conn, "IBM", [("2014-06-02", 11), ("2014-06-03", 13), ("2014-06-04", 15)])
    return found


def rows(run: Run, own: Books, *arguments: str) -> list[dict[str, Any]]:
    done = run(*arguments, "--session", str(own.session), "--json")
    assert (done.status, done.err) == (0, ""), done
    return list(json.loads(done.out))


@pytest.mark.parametrize(
    ("method", "realized"),
    [
        # 120 of 150 that cost 1,650.
        ("average", 120 * 14 - D(1650) * 120 / 150),
        ("fifo", 120 * 14 - (1000 + 20 * 13)),
        ("lifo", 120 * 14 - (50 * 13 + 70 * 10)),
    ],
)
def test_positions_command_answers_by_method(run, own, method, realized):
    [row] = rows(run, own, "positions", "--method", method)
    assert (row["symbol"], D(row["quantity"]), D(row["fees"])) == ("IBM", 30, 3)
    assert D(row["realized_pnl"]) == realized


def test_positions_command_answers_as_of_a_time(run, own):
    [row] = rows(run, own, "positions", "--as-of", "2014-06-03T12:00Z")
    assert D(row["quantity"]) == 100
    assert rows(run, own, "positions", "--known-at", "2019-01-01T00:00Z") == []
    empty = run("positions", "--session", str(own.session), "--known-at", "2019-01-01T00:00Z")
    assert empty.out == "nothing\n"


def test_lots_command_lists_what_is_left_of_each_purchase(run, own):
    [lot] = rows(run, own, "lots")
    assert (D(lot["quantity"]), D(lot["price"])) == (30, 13)
    [lot] = rows(run, own, "lots", "--method", "lifo")
    assert (D(lot["quantity"]), D(lot["price"])) == (30, 10)


def test_pnl_command_adds_up_to_the_equity(run, own):
    daily = rows(run, own, "pnl")
    totals = {row["trading_date"]: D(row["total"]) for row in daily if row["symbol"] == "IBM"}
    # 100 bought at 10 close at 11; those gain 2 more, and the 50 nothing; 120 gain 1 and 30 gain 2.
    assert totals == {"2014-06-02": 99, "2014-06-03": 199, "2014-06-04": 179}
    equity = rows(run, own, "equity")
    assert [D(row["equity"]) for row in equity] == [99, 298, 477]
    one = rows(run, own, "pnl", "--first", "2014-06-03", "--last", "2014-06-03")
    assert {row["trading_date"] for row in one} == {"2014-06-03"}
    assert len(rows(run, own, "equity", "--last", "2014-06-03")) == 2


def test_book_cash_command_books_once_per_reference(conn, run, own):
    booking = ("book-cash", "main", "deposit", "5000", "USD", "--session", str(own.session))
    booking += ("--reference", "R1", "--as-of", "2014-06-02T09:00Z", "--reason", "opening")
    first, second = run(*booking), run(*booking)
    assert (first.status, first.err) == (0, "")
    assert first.out == second.out, "booked once"
    assert conn.execute("select amount from portfolio._cash_entries").fetchall() == [(5000,)]
    assert [D(row["equity"]) for row in rows(run, own, "equity")] == [5099, 5298, 5477]


def test_positions_table_has_a_line_per_position(run, own):
    done = run("positions", "--session", str(own.session))
    lines = done.out.splitlines()
    assert len(lines) == 2
    assert {"symbol", "quantity", "realized_pnl"} <= set(lines[0].split())
    assert "IBM" in lines[1].split()


@pytest.mark.parametrize(
    ("arguments", "status", "says"),
    [
        (("positions", "--method", "luck"), 5, 'method "luck" is none of'),
        (("lots", "--as-of", "noon"), 5, "noon"),
        (("pnl", "--first", "2014-06-04", "--last", "2014-06-03"), 5, "no days from 2014-06-04"),
        (("pnl", "--first", "today"), 2, "today"),
        (("equity", "--last", "today"), 2, "today"),
        (("book-cash", "main", "deposit", "much", "USD", "--reference", "r"), 5, '"much" is no'),
        (("book-cash", "mian", "deposit", "1", "USD", "--reference", "r"), 5, "mian"),
        (("book-cash", "main", "gift", "1", "USD", "--reference", "r"), 5, "gift"),
        (("book-cash", "main", "deposit", "1", "USD"), 2, "Missing option '--reference'"),
    ],
)
def test_portfolio_command_with_bad_input_is_refused_in_one_line(
    conn, run, own, arguments, status, says
):
    done = run(*arguments, "--session", str(own.session))
    assert (done.status, done.out) == (status, "")
    assert says in done.err
    assert "Traceback" not in done.err
    assert conn.execute("select count(*) from portfolio._cash_entries").fetchone() == (0,)


@pytest.mark.parametrize("command", ["positions", "lots", "pnl", "equity"])
def test_portfolio_command_of_an_unknown_session_is_refused(run, command):
    unknown = "00000000-0000-0000-0000-000000000007"
    done = run(command, "--session", unknown)
    assert (done.status, done.out) == (5, "")
    assert unknown in done.err
