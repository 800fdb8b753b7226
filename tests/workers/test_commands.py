"""`tsdb-trader fix`, `order` and `breaks` from end to end: what they do, and how they refuse."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from uuid import UUID

import psycopg
import pytest

from factories import Venue, open_session, order, set_quote, submit
from workers.command_line import Done, Run, runner

NOON = ("--as-of", "2013-10-08T14:30Z")
HEADER = "trade_date,exec_id,symbol,side,quantity,price"
# Every table that these commands could write.
TABLES = (
    "oms.fix_sessions",
    "oms.orders",
    "oms.order_actions",
    "oms.order_events",
    "oms.executions",
    "oms.breaks",
    "oms.break_audit",
    "oms.venue_trades",
    "oms.requests",
    "ops.alerts",
)


@pytest.fixture
def run(at_test_database: None, capsys: pytest.CaptureFixture[str]) -> Run:
    """Return a function that runs a command in this process."""
    return runner(capsys)


@pytest.fixture
def session(conn: psycopg.Connection) -> UUID:
    """Return a session with an order that works and one that is over."""
    session: UUID = open_session(conn)
    set_quote(conn, session)
    working, filled = (submit(conn, order(session))[0][0] for _ in range(2))
    Venue(conn, working).report("new")
    Venue(conn, filled).fill(100)
    return session


def contents(conn: psycopg.Connection) -> list[object]:
    """Return what the tables hold."""
    found: list[object] = []
    for table in TABLES:
        rows = conn.execute(f"select t::text from {table} t order by 1").fetchall()  # type: ignore[call-overload]
        found += [(table, row[0]) for row in rows]
    return found


def refused(conn: psycopg.Connection, done: Callable[[], Done], status: int, says: str) -> None:
    """Check that a command fails with one clear line, and writes nothing."""
    before = contents(conn)
    found = done()
    assert (found.status, found.out) == (status, ""), found
    assert says in found.err
    if status != 2:
        assert found.err.startswith("error: ")
        assert found.err.count("\n") == 1
    assert "Traceback" not in found.err
    assert contents(conn) == before


ADD = ("fix", "add")
SET = ("fix", "set")
FIX = [
    ((*ADD, "X", "NOWHERE"), 5, 'venue "NOWHERE" does not exist'),
    ((*ADD, "a b", "SIM"), 5, 'FIX session "a b" cannot be a name'),
    ((*ADD, "", "SIM"), 5, 'FIX session "" cannot be a name'),
    ((*ADD, "x" * 49, "SIM"), 5, "cannot be a name: use up to 48"),
    ((*ADD, "SIM", "SIM", "--set", "port=9"), 1, "FIX session SIM exists with other settings"),
    ((*ADD, "SIM", "SIMPR"), 1, "FIX session SIM exists with other settings"),
    ((*ADD, "X", "SIM", "--set", "sender=ME"), 5, "has an active order session already"),
    ((*ADD, "X", "SIM", "--set", "kind=drop_copy"), 5, "the same version, sender and target"),
    ((*ADD, "X", "SIM", "--set", "version"), 5, "--set version: write it like key=value"),
    ((*ADD, "X", "SIM", "--set", "=1"), 5, "--set =1: write it like key=value"),
    ((*ADD, "X", "SIM", "--set", "sender=ME", "--set", "colour=red"), 5, '"colour" is no setting'),
    (
        (*ADD, "X", "SIM", "--set", "sender=ME", "--set", "venue_id=1"),
        5,
        '"venue_id" is no setting',
    ),
    ((*ADD, "X"), 2, "Missing argument 'venue'"),
    (SET, 2, "Missing argument 'name'"),
    ((*SET, "SIM"), 2, "Missing argument 'values'"),
    ((*SET, "NOBODY", "port=9"), 5, 'FIX session "NOBODY" does not exist'),
    ((*SET, "SIM", "port"), 5, "port: write it like key=value"),
    ((*SET, "SIM", "fix_session=Y"), 5, '"fix_session" is no setting'),
    ((*SET, "SIM", "port=x"), 5, 'FIX session SIM: invalid input syntax for type integer: "x"'),
    ((*SET, "SIM", "status=paused"), 5, "FIX session SIM: "),
    ((*SET, "SIM", "status=null"), 5, "FIX session SIM: "),
    ((*SET, "SIM", "version=FIX.9"), 5, "FIX session SIM: "),
    ((*SET, "SIM", "kind=copy"), 5, "FIX session SIM: "),
    ((*SET, "SIM", "port=0"), 5, "FIX session SIM: "),
    ((*SET, "SIM", "port=65536"), 5, "FIX session SIM: "),
    ((*SET, "SIM", "heartbeat_s=0"), 5, "FIX session SIM: "),
    ((*SET, "SIM", "silence_s=7"), 5, "FIX session SIM: "),
    ((*SET, "SIM", "throttle_per_s=0"), 5, "FIX session SIM: "),
    ((*SET, "SIM", "throttle_per_s=99999999999"), 5, "FIX session SIM: "),
    ((*SET, "SIM", "sender="), 5, "FIX session SIM: "),
    ((*SET, "SIM", "sender=A=B"), 5, "FIX session SIM: "),
    ((*SET, "SIM", "cancel_on_disconnect=perhaps"), 5, "FIX session SIM: "),
    # The good setting before the bad one is not written either.
    ((*SET, "SIM", "port=9", "heartbeat_s=-1"), 5, "FIX session SIM: "),
    (("fix", "list", "SIM"), 2, "unexpected extra argument"),
    (("fix", "remove"), 2, "No such command 'remove'"),
]


@pytest.mark.parametrize(("arguments", "status", "says"), FIX, ids=lambda v: str(v)[:40])
def test_fix_command_with_bad_input_is_refused_in_one_line_and_writes_nothing(
    conn: psycopg.Connection, run: Run, arguments: tuple[str, ...], status: int, says: str
) -> None:
    refused(conn, lambda: run(*arguments), status, says)


def test_fix_sessions_are_added_changed_and_listed(run: Run) -> None:
    copy = ("--set", "kind=drop_copy", "--set", "sender=ME", "--set", "port=9002")
    assert run(*ADD, "SIM-COPY", "SIM", *copy) == Done(0, "", "")
    assert run(*ADD, "SIM-COPY", "SIM", *copy).status == 0, "the same again changes nothing"
    assert run(*SET, "SIM-COPY", "port=null", "host=10.0.0.5", "status=inactive").status == 0
    listed = json.loads(run("fix", "list", "--json").out)["fix_sessions"]
    [found] = [row for row in listed if row["fix_session"] == "SIM-COPY"]
    assert [found[k] for k in ("venue", "kind", "sender", "host", "port", "status")] == [
        "SIM",
        "drop_copy",
        "ME",
        "10.0.0.5",
        None,
        "inactive",
    ]
    assert "SIM-COPY" in run("fix", "list").out


ORDER = [
    (("order", "cancel", "999", *NOON), 5, "order 999 does not exist"),
    (("order", "cancel", "abc"), 2, "Invalid value for 'order_id'"),
    (("order", "cancel", "1", "--as-of", "noon"), 5, "noon"),
    (("order", "cancel"), 2, "Missing argument 'order_id'"),
    (("order", "cancel-all", "--scope", "IBM", *NOON), 5, "--scope IBM: write it like symbol=IBM"),
    (("order", "cancel-all", "--scope", "colour=red", *NOON), 5, "colour"),
    (("order", "replace", "{working}", *NOON), 2, "Missing option '--set'"),
    (("order", "replace", "{working}", "--set", "quantity", *NOON), 5, "write it like quantity"),
    (("order", "replace", "{working}", "--set", "quantity=x", *NOON), 5, "quantity"),
    (("order", "replace", "{working}", "--set", "quantity=0", *NOON), 5, "quantity"),
    (("order", "replace", "{working}", "--set", "limit_price=-1", *NOON), 5, "limit_price"),
    (("order", "replace", "{working}", "--set", "symbol=AIG", *NOON), 5, "symbol"),
    (("order", "replace", "{working}", "--set", "colour=red", *NOON), 5, "colour"),
    (("order", "replace", "999", "--set", "quantity=200", *NOON), 5, "order 999 does not exist"),
    (("order", "settle", "{working}", "cancelled"), 2, "Missing option '--reason'"),
    (("order", "settle", "{working}", "filled", "--reason", "x"), 5, "settled as cancelled"),
    (("order", "settle", "{working}", "cancelled", "--reason", " "), 5, "reason"),
    (("order", "settle", "{filled}", "cancelled", "--reason", "x"), 1, "is filled: only a"),
    (("order", "settle", "999", "cancelled", "--reason", "x"), 5, "order 999 does not exist"),
    (("order", "list", "--limit", "0"), 2, "Invalid value for '--limit'"),
    (("order", "list", "--limit", "many"), 2, "Invalid value for '--limit'"),
    (("order", "verify", "--seals", "/nowhere/seals"), 5, "/nowhere/seals: no such file"),
]


@pytest.mark.parametrize(("arguments", "status", "says"), ORDER, ids=lambda v: str(v)[:60])
def test_order_command_with_bad_input_is_refused_in_one_line_and_writes_nothing(
    conn: psycopg.Connection,
    session: UUID,
    run: Run,
    arguments: tuple[str, ...],
    status: int,
    says: str,
) -> None:
    rows = conn.execute("select order_id, status from oms.orders order by order_id").fetchall()
    names = {"{working}": str(rows[0][0]), "{filled}": str(rows[1][0])}
    given = [names.get(argument, argument) for argument in arguments]
    refused(conn, lambda: run(*given), status, says)


def test_order_that_is_over_is_not_cancelled_or_replaced_and_the_exit_status_says_so(
    conn: psycopg.Connection, session: UUID, run: Run
) -> None:
    [filled] = conn.execute("select order_id from oms.orders where status = 'filled'").fetchone()
    actions = "select count(*) from oms.order_actions"
    before = conn.execute(actions).fetchone()
    for command in (("cancel", str(filled)), ("replace", str(filled), "--set", "quantity=200")):
        done = run("order", *command, *NOON)
        assert (done.status, done.err) == (1, "")
        assert done.out.startswith(f"order {filled} is filled: the order is filled")
    assert conn.execute(actions).fetchone() == before
    none = run("order", "cancel-all", "--scope", "symbol=NONE", *NOON)
    assert none == Done(0, "no order that could be cancelled matches\n", "")


def test_order_cancel_all_without_a_scope_asks_and_takes_no_for_an_answer(
    conn: psycopg.Connection, session: UUID, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("typer.confirm", _refuse)
    before = contents(conn)
    assert run("order", "cancel-all", *NOON).status == 1
    assert contents(conn) == before
    assert run("order", "cancel-all", "--yes", *NOON).out.count("pending_cancel") == 1


def _refuse(question: str, *, abort: bool) -> None:
    import typer

    assert abort
    assert question == "Cancel every order of every account?"
    raise typer.Abort


FILES = {
    "good": f"{HEADER}\n2013-10-08,E1,IBM,B,10,100\n",
    "header": "exec_id,symbol\nE1,IBM\n",
    "line": f"{HEADER}\n2013-10-08,E1,IBM,B,10,100\n2013-10-08,E2,IBM,B,many,100\n",
    "positions": "account,symbol,quantity\nmain,IBM,90\n",
}
UNKNOWN = "ffffffff-0000-0000-0000-000000000000"
BREAKS = [
    (("breaks", "resolve", "999", "keep_ours", "--reason", "x"), 5, "break 999 does not exist"),
    (("breaks", "resolve", "1", "keep_ours"), 2, "Missing option '--reason'"),
    (("breaks", "resolve", "one", "keep_ours", "--reason", "x"), 2, "Invalid value for 'break_id'"),
    (("breaks", "resolve", "{break}", "guess", "--reason", "x"), 5, "guess"),
    (("breaks", "resolve", "{break}", "keep_ours", "--reason", ""), 5, "reason"),
    (("breaks", "trades", "/nowhere.csv", "--venue", "SIM"), 5, "/nowhere.csv"),
    (("breaks", "trades", "{good}"), 2, "Missing option '--venue'"),
    (("breaks", "trades", "{good}", "--venue", "NOWHERE"), 5, "NOWHERE"),
    (("breaks", "trades", "{header}", "--venue", "SIM"), 5, "the header has to be trade_date"),
    (("breaks", "trades", "{line}", "--venue", "SIM"), 5, "line 3: quantity 'many' is no number"),
    (("breaks", "positions", "{positions}", "--session", "x"), 2, "Invalid value for '--session'"),
    (("breaks", "positions", "{positions}", "--session", UNKNOWN), 5, UNKNOWN),
    (("breaks", "positions", "{header}", "--session", "{session}"), 5, "the header has to be"),
    (("breaks", "list", "all"), 2, "unexpected extra argument"),
]


@pytest.mark.parametrize(("arguments", "status", "says"), BREAKS, ids=lambda v: str(v)[:60])
def test_breaks_command_with_bad_input_is_refused_in_one_line_and_writes_nothing(
    conn: psycopg.Connection,
    session: UUID,
    run: Run,
    tmp_path: Path,
    arguments: tuple[str, ...],
    status: int,
    says: str,
) -> None:
    names = {"{session}": str(session)}
    for name, text in FILES.items():
        (tmp_path / f"{name}.csv").write_text(text)
        names[f"{{{name}}}"] = str(tmp_path / f"{name}.csv")
    # Another fill than ours: one break to resolve.
    assert run("breaks", "trades", names["{good}"], "--venue", "SIM").status == 1
    found = json.loads(run("breaks", "list", "--json").out)
    names["{break}"] = str(found[0]["break_id"])
    given = [names.get(argument, argument) for argument in arguments]
    refused(conn, lambda: run(*given), status, says)
