"""`tsdb-trader db add-user` and `drop-user` from end to end."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import psycopg
import pytest

from tsdb_trader.embedded import Server, people
from tsdb_trader.errors import UnknownObjectError
from workers.command_line import Done, Run, runner


@pytest.fixture
def run(server: Server, capsys: pytest.CaptureFixture[str]) -> Run:
    """Return a function that runs `tsdb-trader db` on the server under test."""
    return runner(capsys, "db")


@pytest.fixture
def name(server: Server) -> Iterator[str]:
    """Return a login that nobody has, and none has afterwards."""
    login = f"p_{secrets.token_hex(6)}"
    yield login
    with suppress(UnknownObjectError):
        people.drop_user(server, login)


def connected(server: Server, login: str, password: str) -> psycopg.Connection:
    url = psycopg.conninfo.make_conninfo(
        server.url(database="postgres"), user=login, password=password
    )
    return psycopg.connect(url, autocommit=True)


def groups(conn: psycopg.Connection) -> list[str]:
    rows = conn.execute(
        "select r.rolname from pg_roles r where r.rolname ~ '^tsdb_(trader_role|risk|ops|quant)$' "
        "and pg_has_role(current_user, r.oid, 'member') order by 1"
    ).fetchall()
    return [row[0] for row in rows]


def test_add_user_prints_a_password_that_opens_a_login_with_its_roles(server, run, name):
    done = run("add-user", name, "--role", "risk", "--role", "quant")
    assert (done.status, done.err) == (0, "")
    with connected(server, name, done.out.strip()) as conn:
        assert groups(conn) == ["tsdb_quant", "tsdb_risk"]


def test_add_user_with_a_password_file_prints_nothing(server, run, name, tmp_path):
    file = tmp_path / "password"
    file.write_text("correct horse battery\n")
    done = run("add-user", name, "--role", "readonly", "--password-file", str(file))
    assert done == Done(0, "", "")
    with connected(server, name, "correct horse battery") as conn:
        assert groups(conn) == []


def test_drop_user_ends_the_login_and_its_sessions(server, run, name):
    password = run("add-user", name, "--role", "ops").out.strip()
    conn = connected(server, name, password)
    assert run("drop-user", name) == Done(0, "", "")
    with pytest.raises(psycopg.OperationalError):
        conn.execute("select 1")
    with pytest.raises(psycopg.OperationalError):
        connected(server, name, password)
    again = run("drop-user", name)
    assert (again.status, again.out) == (5, "")
    assert f"'{name}' is no personal login" in again.err


def test_add_user_refuses_a_taken_name(run, name):
    assert run("add-user", name, "--role", "risk").status == 0
    again = run("add-user", name, "--role", "risk")
    assert (again.status, again.out) == (1, "")
    assert f"there is a login {name} already" in again.err


@pytest.mark.parametrize(
    ("arguments", "status", "says"),
    [
        (("add-user", "Ann", "--role", "risk"), 5, "'Ann' cannot be a person's login"),
        (("add-user", "ann_x", "--role", "worker"), 5, "needs a person's role"),
        (("add-user", "ann_x"), 2, "Missing option '--role'"),
        (("add-user", "ann_x", "--role", "risk", "--password-file", "no/such"), 2, "no/such"),
        (("drop-user", "postgres"), 5, "'postgres' is no personal login"),
        (("drop-user", "tsdb_risk"), 5, "'tsdb_risk' is no personal login"),
    ],
)
def test_user_command_with_bad_input_is_refused_in_one_line(run, arguments, status, says):
    done = run(*arguments)
    assert done.out == ""
    assert says in done.err
    assert "Traceback" not in done.err
    assert done.status == status


def test_add_user_refuses_a_short_password(run, name, tmp_path: Path):
    file = tmp_path / "password"
    file.write_text("short")
    done = run("add-user", name, "--role", "risk", "--password-file", str(file))
    assert (done.status, done.out) == (5, "")
    assert "shorter than 12" in done.err
