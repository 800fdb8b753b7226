"""`tsdb-trader risk` from end to end: what it does, and how it refuses."""

from __future__ import annotations

import json
from uuid import UUID

import psycopg
import pytest

from factories import Venue, add_instrument, open_session, order, set_quote, submit
from workers.command_line import Done, Run, runner

WHY = ("--reason", "looks wrong")


@pytest.fixture
def run(at_test_database: None, capsys: pytest.CaptureFixture[str]) -> Run:
    """Return a function that runs `tsdb-trader risk` in this process."""
    return runner(capsys, "risk")


@pytest.fixture
def session(conn: psycopg.Connection) -> UUID:
    """Return a session in which orders pass."""
    session: UUID = open_session(conn)
    set_quote(conn, session)
    return session


def written(conn: psycopg.Connection) -> list[object]:
    """Return what the tables that these commands write hold."""
    tables = ("risk.halts", "risk.limits", "risk.kills", "risk.strategy_audit", "oms.requests")
    return [
        conn.execute(f"select t::text from {table} t order by 1").fetchall()  # type: ignore[call-overload]
        for table in tables
    ]


BAD = [
    (("kill", "--scope", "main", *WHY), 5, "--scope main: write it like account=main"),
    (("kill", "--scope", '{"account": "main"', *WHY), 5, '--scope {"account": "main": Expecting'),
    (("kill", "--scope", "account=a", "--scope", "account=b", *WHY), 5, "account is a and b"),
    (("kill", "--scope", "account=mian", *WHY), 5, 'account "mian" does not exist'),
    (("kill", "--scope", "colour=red", *WHY), 5, "colour"),
    (("kill", "--scope", '{"account": 3}', *WHY), 5, 'scope key "account" must be one of'),
    (("kill", "--scope", "account=main", "--reason", " "), 5, "the kill switch needs a reason"),
    (("kill", "--scope", "account=main"), 2, "Missing option '--reason'"),
    (("kill", "--scope", "account=main", "--as-of", "noon", *WHY), 5, "noon"),
    (("halt", "--yes", "--reason", ""), 5, "needs a reason"),
    (("reduce", "--scope", "side=buy", *WHY), 5, 'scope key "side"'),
    (("resume", "--reason", ""), 5, "needs a reason"),
    (("set-limit", "luck", "1", *WHY), 5, 'control "luck" has no limit'),
    (("set-limit", "position", "many", *WHY), 5, "value 'many' is no number"),
    (("set-limit", "position", "NaN", *WHY), 5, "limit NaN is not a number"),
    (("set-limit", "position", "1", "--from", "2013-10-08", *WHY), 5, "has no zone"),
    (("set-limit", "position", "1", "--period", "5", *WHY), 5, "does not count over time"),
    (("set-limit", "position", "1"), 2, "Missing option '--reason'"),
    (("set-limit", "position"), 2, "Missing argument 'value'"),
    (("disable", "nobody", *WHY), 5, 'strategy "nobody" does not exist'),
    (("enable", "manual", "--reason", ""), 5, "enabling a strategy needs a reason"),
]


@pytest.mark.parametrize(("arguments", "status", "says"), BAD, ids=lambda v: str(v)[:60])
def test_risk_command_with_bad_input_is_refused_in_one_line_and_writes_nothing(
    conn: psycopg.Connection, run: Run, arguments: tuple[str, ...], status: int, says: str
) -> None:
    before = written(conn)
    done = run(*arguments)
    assert (done.status, done.out) == (status, ""), done
    assert says in done.err
    assert "Traceback" not in done.err
    assert written(conn) == before


@pytest.mark.parametrize("scope", ['{"account": "main"}', "account=main"])
def test_kill_command_halts_a_scope_and_says_what_became_of_its_orders(
    conn: psycopg.Connection, session: UUID, run: Run, scope: str
) -> None:
    order_id = submit(conn, order(session))[0][0]
    Venue(conn, order_id).report("new")
    done = run("kill", "--scope", scope, *WHY)
    assert done == Done(
        0, f"account=main is halted, 1 orders found\norder {order_id} is pending_cancel\n", ""
    )
    assert submit(conn, order(session))[0][1:] == ("denied", ["halt: halted: looks wrong"])
    again = run("kill", "--scope", scope, *WHY)
    assert again.out.endswith("pending_cancel: a cancel is under way already\n")


@pytest.mark.parametrize("command", ["kill", "halt", "reduce"])
def test_command_without_a_scope_asks_and_takes_no_for_an_answer(
    conn: psycopg.Connection, run: Run, monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    monkeypatch.setattr("typer.confirm", _refuse)
    before = written(conn)
    assert run(command, *WHY).status == 1
    assert written(conn) == before
    assert run(command, "--yes", *WHY).status == 0
    assert conn.execute("select scope from risk.states").fetchall() == [({},)]


def _refuse(question: str, *, abort: bool) -> None:
    import typer

    assert abort
    assert question.endswith("?")
    raise typer.Abort


def test_states_are_set_listed_and_ended(conn: psycopg.Connection, run: Run) -> None:
    add_instrument(conn, "IBM")
    assert run("reduce", "--scope", "symbol=IBM", *WHY).out == "symbol=IBM is reducing\n"
    assert run("halt", "--scope", "symbol=IBM", "--scope", "venue=SIM", *WHY).status == 0
    listed = run("states").out.splitlines()
    assert listed[0].startswith("symbol=IBM reducing since ")
    assert listed[0].endswith("by tsdb_trader: looks wrong")
    assert [row["scope"] for row in json.loads(run("states", "--json").out)] == [
        {"symbol": "IBM"},
        {"venue": "SIM", "symbol": "IBM"},
    ]
    assert (
        run("resume", "--scope", "symbol=IBM", "--reason", "calm").out == "symbol=IBM is active\n"
    )
    assert run("resume", "--scope", "symbol=IBM", "--reason", "calm") == Done(
        1, "symbol=IBM was active\n", ""
    )
    assert len(run("states").out.splitlines()) == 1
    assert "by tsdb_trader: calm" in run("states", "--all").out


def test_limits_are_set_listed_and_withdrawn(conn: psycopg.Connection, run: Run) -> None:
    add_instrument(conn, "IBM")
    setting = ("set-limit", "order_quantity", "500", "--scope", "symbol=IBM", *WHY)
    times = ("--from", "2013-10-08T14:00Z", "--to", "2013-10-09T14:00Z")
    assert run(*setting, *times) == Done(0, "", "")
    listed = run("limits", "order_quantity").out.splitlines()
    assert [" ".join(line.split()) for line in listed] == [
        "order_quantity symbol=IBM 500 units from 2013-10-08 14:00:00 to 2013-10-09 14:00:00 "
        "(tsdb_trader: looks wrong)",
        "order_quantity everything 10000 units (installation: shipped default)",
    ]
    found = json.loads(run("limits", "--json").out)
    assert {row["control"] for row in found} >= {"position", "order_quantity", "order_value"}
    assert run("set-limit", "order_quantity", "none", "--scope", "symbol=IBM", *WHY).status == 0
    assert len(run("limits", "order_quantity").out.splitlines()) == 1


def test_strategy_is_disabled_and_enabled(conn: psycopg.Connection, run: Run) -> None:
    assert run("disable", "pairs", *WHY).out == "strategy pairs is disabled\n"
    assert run("disable", "pairs", *WHY) == Done(1, "strategy pairs was disabled\n", "")
    assert run("enable", "pairs", *WHY).out == "strategy pairs is enabled\n"
    assert run("enable", "pairs", *WHY) == Done(1, "strategy pairs was enabled\n", "")
    assert conn.execute("select count(*) from risk.strategy_audit").fetchone() == (2,)
