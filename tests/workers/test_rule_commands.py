"""`tsdb-trader rule` from end to end."""

from __future__ import annotations

import json
from pathlib import Path

import psycopg
import pytest

from rule_market import Trade, open_session, step, store
from rule_market import run as run_batches
from workers.command_line import Run, runner

DEFINITION = '{"pattern": [{"on": "trade", "when": "price > prev(price)"}]}'

NO_SESSION = "11111111-1111-1111-1111-111111111111"


@pytest.fixture
def run(at_test_database: None, capsys: pytest.CaptureFixture[str]) -> Run:
    """Return a function that runs `tsdb-trader rule` in this process."""
    return runner(capsys, "rule")


def test_rule_is_saved_listed_scanned_evaluated_disabled_and_enabled(
    run: Run, conn: psycopg.Connection, tmp_path: Path
) -> None:
    file = tmp_path / "up.json"
    file.write_text(DEFINITION)
    status, out, err = run("save", "up", str(file), "--description", "A rise")
    assert (status, out) == (0, "rule up is version 1, enabled\n"), err
    assert run("save", "up", DEFINITION, "--disable")[1] == "rule up is version 2, disabled\n"
    assert run("list")[1] == "up                       v2 disabled matches=0 errors=0\n"
    [listed] = json.loads(run("list", "--json")[1])
    assert (listed["rule"], listed["version"], listed["enabled"]) == ("up", 2, False)
    shown = run("show", "up")[1]
    assert shown.startswith("up, version 2, disabled: \nvalid from -infinity to infinity")
    assert json.loads(run("show", "up", "--json")[1])["definition"] == json.loads(DEFINITION)

    store(conn, [Trade(0, 1), Trade(1000, 2), Trade(3000, 3)])
    session = open_session(conn)
    run_batches(conn, session, [1500])
    line = "2013-10-07T13:30:01.000000Z up v2 A batch 1 price=2 prev(price)=1\n"
    assert run("scan", "up", str(session))[1] == line
    assert run("matches")[1] == ""
    status, out, err = run("scan", "up", NO_SESSION)
    assert (status, out) == (5, ""), err
    assert "does not exist" in err

    assert run("enable", "up")[1] == "rule up is enabled\n"
    assert run("enable", "up")[1] == "rule up was enabled\n"
    step(conn, session, 1500, 2500)
    step(conn, session, 2500, 3500)
    # Evaluated from the second batch on, where there is one trade and so no rise.
    assert run("matches", "--rule", "up")[1] == ""
    session = open_session(conn)
    run_batches(conn, session, [3500])
    [_, last] = json.loads(run("matches", "--session", str(session), "--json")[1])
    assert (last["symbol"], last["events"][0]["values"]["price"]) == ("A", 3)
    assert len(run("matches", "--limit", "1")[1].splitlines()) == 1
    assert run("disable", "up")[1] == "rule up is disabled\n"
    assert run("disable", "up")[1] == "rule up was disabled\n"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("save", "up", "nowhere.json"), "cannot read nowhere.json"),
        (("save", "up", "{"), "is no JSON"),
        (("save", "up", "[1]"), "must be a JSON object"),
        (("save", "Up!", DEFINITION), "a rule's name has"),
        (("save", "up", '{"patern": []}'), "did you mean pattern?"),
        (("show", "up"), 'unknown rule "up"'),
        (("enable", "up"), 'unknown rule "up"'),
        (("disable", "up"), 'unknown rule "up"'),
        (("matches", "--rule", "up"), 'unknown rule "up"'),
        (("scan", "up", NO_SESSION), "does not exist"),
    ],
)
def test_rule_command_of_no_use_is_refused_in_one_line(
    run: Run, arguments: tuple[str, ...], said: str
) -> None:
    status, out, err = run(*arguments)
    assert (status, out) == (5, "")
    assert said in err
    assert err.count("\n") == 1
