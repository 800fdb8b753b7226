"""`tsdb-trader plan` from end to end."""

from __future__ import annotations

import json
from uuid import UUID, uuid4

import psycopg
import pytest

from factories import AS_OF, Venue, open_session, order, set_quote, submit
from workers.command_line import Run, runner

WHY = ("--reason", "too large")
PACE = ("--schedule", '{"bucket_s": 60, "max_quantity": 10}')


@pytest.fixture
def run(at_test_database: None, capsys: pytest.CaptureFixture[str]) -> Run:
    """Return a function that runs `tsdb-trader plan` in this process."""
    return runner(capsys, "plan")


@pytest.fixture
def session(conn: psycopg.Connection) -> UUID:
    """Return a session that holds 100 IBM."""
    session = open_session(conn)
    set_quote(conn, session)
    Venue(conn, submit(conn, order(session))[0][0]).fill(100)
    return session


def test_plan_is_added_listed_paused_resumed_and_cancelled(run, conn, session):
    options = ("--session", str(session), "--account", "main", "--as-of", AS_OF.isoformat())
    status, out, err = run("add", '{"IBM": 40}', *options, *PACE, *WHY)
    assert (status, out) == (0, "plan 1 is active\n"), err
    assert conn.execute("select state from risk.states").fetchall() == [("reducing",)]
    for command, said, state in (
        ("pause", "is paused", "paused"),
        ("resume", "is active", "active"),
        ("cancel", "ends, its working orders are cancelled", "cancelling"),
    ):
        assert run(command, "1", *WHY)[:2] == (0, f"plan 1 {said}\n")
        assert conn.execute("select status from risk.reduction_plans").fetchone() == (state,)
    assert "plan_id=1" in run("list", "--session", str(session))[1]
    [listed] = json.loads(run("list", "--session", str(session), "--json")[1])
    assert listed["plan_id"] == 1


@pytest.mark.parametrize(
    ("targets", "pace", "said"),
    [
        ("IBM", PACE, "targets is no JSON"),
        ("[1]", PACE, "targets is a JSON object"),
        ("flat", ("--schedule", "slowly"), "--schedule is no JSON"),
        ('{"IBM": 140}', PACE, "IBM"),
        ("flat", ("--schedule", "{}"), "bucket_s"),
    ],
)
def test_plan_of_no_use_is_refused_in_one_line(run, conn, session, targets, pace, said):
    options = ("--session", str(session), "--account", "main", "--as-of", AS_OF.isoformat())
    status, _, err = run("add", targets, *options, *pace, *WHY)
    assert status == 5
    assert said in err
    assert err.count("\n") == 1
    assert conn.execute("select count(*) from risk.reduction_plans").fetchone() == (0,)


def test_plan_of_a_session_without_a_batch_needs_a_time(run, session):
    status, _, err = run("add", "flat", "--session", str(session), "--account", "main", *PACE, *WHY)
    assert (status, "--as-of" in err) == (5, True)


def test_order_of_a_plan_that_does_not_exist_is_refused(conn, session):
    spec = order(session, origin="plan", operator=None, plan_id=7)
    with pytest.raises(psycopg.Error, match="reduction plan 7 does not exist") as caught:
        submit(conn, spec, request_id=uuid4())
    assert caught.value.sqlstate == "TT002"
