"""Trading states: the strictest counts, each change is kept, only persons make it less strict."""

from __future__ import annotations

import threading
import uuid
from typing import Any

import psycopg
import pytest
from psycopg.types.json import Jsonb

from factories import open_session, order, set_quote, submit
from scopes import KEYS, add_names, request, wait_for_lock


def set_state(
    conn: psycopg.Connection, state: Any, reason: str = "test", **scope: str
) -> int | None:
    row = conn.execute(
        "select risk.set_state(%s, %s, %s)", (Jsonb(scope), state, reason)
    ).fetchone()
    assert row is not None
    return row[0]  # type: ignore[no-any-return]


def state_of(conn: psycopg.Connection, **scope: str) -> str:
    row = conn.execute("select risk.state_of(%s)", (Jsonb(scope),)).fetchone()
    assert row is not None
    return str(row[0])


def covering(conn: psycopg.Connection, known: dict[str, str | None]) -> tuple[str, str | None]:
    """Return the state and reason that the controls find for an order."""
    row = conn.execute(
        "select * from risk._state_of(risk._scope_keys("
        "jsonb_populate_record(null::risk.order_request, %s)))",
        (Jsonb(known),),
    ).fetchone()
    assert row is not None
    return row  # type: ignore[return-value]


@pytest.mark.parametrize("key", [None, *KEYS])
def test_state_of_a_scope_covers_the_orders_it_contains(conn, key):
    mine = request()
    add_names(conn, mine)
    scope = {} if key is None else {key: str(mine[key])}
    set_state(conn, "reducing", "slow down", **scope)
    assert covering(conn, mine) == ("reducing", "slow down")
    assert state_of(conn, **scope) == "reducing"
    if key is not None:
        assert covering(
            conn, mine | {key: "another"} if key != "session_id" else mine | {key: None}
        ) == (
            "active",
            None,
        )
        assert state_of(conn) == "active", "a narrower scope says nothing of a wider one"


def test_strictest_of_all_covering_states_wins_with_its_reasons(conn):
    add_names(conn, request())
    set_state(conn, "reducing", "loss", account="main")
    assert covering(conn, request()) == ("reducing", "loss")
    set_state(conn, "halted", "venue down", venue="SIM")
    set_state(conn, "halted", "news", symbol="IBM")
    assert covering(conn, request()) == ("halted", "venue down; news")
    assert state_of(conn, account="main", venue="SIM") == "halted"
    assert state_of(conn, account="main") == "reducing"


def test_every_change_is_a_row_with_who_when_why_and_until_when(conn, connect_as):
    operator = connect_as("tsdb_operator")
    ids = [
        set_state(operator, state, reason, account="main")
        for state, reason in (
            ("reducing", "soft limit"),
            ("halted", "hard limit"),
            ("reducing", "looked at"),
            ("active", "all well"),
        )
    ]
    rows = conn.execute(
        "select halt_id, state, reason, set_by, ended_by, end_reason, until = "
        "lead(since, 1, until) over (order by halt_id) from risk.state_history order by halt_id"
    ).fetchall()
    who = "tsdb_operator"
    assert rows == [
        (ids[0], "reducing", "soft limit", who, who, "hard limit", True),
        (ids[1], "halted", "hard limit", who, who, "looked at", True),
        (ids[2], "reducing", "looked at", who, who, "all well", True),
    ]
    assert ids[3] == ids[2]
    assert conn.execute("select count(*) from risk.states").fetchone() == (0,)


def test_state_that_is_in_force_already_is_not_set_again(conn):
    add_names(conn, request())
    first = set_state(conn, "halted", "one", symbol="IBM")
    assert set_state(conn, "halted", "two", symbol="IBM") == first
    assert conn.execute("select state, reason, scope from risk.states").fetchall() == [
        ("halted", "one", {"symbol": "IBM"})
    ]
    assert set_state(conn, "active", "never was", symbol="AIG") is None


def test_halt_makes_a_reducing_scope_stricter_and_resume_ends_it(conn):
    add_names(conn, request())
    set_state(conn, "reducing", symbol="IBM")
    conn.execute("select risk.halt('{\"symbol\": \"IBM\"}', 'worse')")
    assert state_of(conn, symbol="IBM") == "halted"
    assert conn.execute("select risk.resume('{\"symbol\": \"IBM\"}', 'calm')").fetchone() == (True,)
    assert state_of(conn, symbol="IBM") == "active"


def test_worker_makes_states_stricter_and_lifts_only_a_reducing_one_of_its_own(conn, connect_as):
    worker, operator = connect_as("tsdb_worker"), connect_as("tsdb_operator")
    set_state(worker, "reducing", account="main")
    set_state(worker, "active", account="main")
    set_state(operator, "reducing", account="main")
    set_state(worker, "halted", account="main")
    for state in ("reducing", "active"):
        with pytest.raises(psycopg.errors.InsufficientPrivilege, match="named person"):
            set_state(worker, state, account="main")
    set_state(operator, "reducing", account="main")
    with pytest.raises(psycopg.errors.InsufficientPrivilege, match="named person"):
        set_state(worker, "active", account="main")
    assert state_of(conn, account="main") == "reducing"
    set_state(operator, "active", account="main")
    assert state_of(conn, account="main") == "active"


@pytest.mark.parametrize("role", ["quant", "readonly", "venue"])
def test_states_are_not_set_by_those_who_only_read(connect_as, role):
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        set_state(connect_as(f"tsdb_{role}"), "halted")


@pytest.mark.parametrize("role", ["operator", "quant", "readonly"])
def test_states_are_read_by_all_who_read(connect_as, role):
    reader = connect_as(f"tsdb_{role}")
    assert state_of(reader) == "active"
    assert reader.execute("select * from risk.states").fetchall() == []
    assert reader.execute("select * from risk.state_history").fetchall() == []


@pytest.mark.parametrize(
    ("scope", "state", "reason"),
    [
        ({}, "paused", "r"),
        ({}, None, "r"),
        ({}, "halted", " "),
        ({}, "active", None),
        ({"colour": "red"}, "halted", "r"),
        ([], "halted", "r"),
        ({"symbol": ""}, "active", "r"),
    ],
)
def test_unusable_state_is_refused(conn, scope, state, reason):
    with pytest.raises(psycopg.Error) as caught:
        conn.execute("select risk.set_state(%s, %s, %s)", (Jsonb(scope), state, reason))
    assert caught.value.sqlstate == "TT001"


@pytest.mark.parametrize("state", ["reducing", "halted"])
@pytest.mark.parametrize("key", KEYS)
def test_state_of_a_name_that_does_not_exist_is_refused(conn, key, state):
    value = str(uuid.UUID(int=7)) if key == "session_id" else "mian"
    with pytest.raises(psycopg.Error, match=f'{key} "{value}" does not exist') as caught:
        set_state(conn, state, **{key: value})
    assert caught.value.sqlstate == "TT002"


def test_state_of_a_name_that_has_changed_can_be_ended(conn):
    add_names(conn, request())
    set_state(conn, "halted", symbol="IBM")
    conn.execute("update ref.instruments set symbol = 'IBX' where symbol = 'IBM'")
    assert set_state(conn, "active", symbol="IBM") is not None
    assert state_of(conn, symbol="IBM") == "active"


def test_unusable_scope_has_no_state(conn):
    with pytest.raises(psycopg.Error) as caught:
        conn.execute("select risk.state_of('[]')")
    assert caught.value.sqlstate == "TT001"


def test_two_changes_of_a_state_at_once_follow_each_other(conn, connect_as):
    first, second = connect_as("tsdb_worker", autocommit=False), connect_as("tsdb_worker")
    set_state(first, "halted", "first", account="main")
    found: list[int | None] = []
    waiter = threading.Thread(
        target=lambda: found.append(set_state(second, "halted", "second", account="main"))
    )
    waiter.start()
    wait_for_lock(conn, second)
    first.commit()
    waiter.join(30)
    rows = conn.execute("select halt_id, reason from risk.states").fetchall()
    assert rows == [(found[0], "first")]


def test_orders_of_a_halted_scope_are_denied_until_it_is_active(conn):
    session = open_session(conn)
    set_quote(conn, session)
    set_state(conn, "halted", "stop", session_id=str(session), strategy="manual")
    assert submit(conn, order(session))[0][1:] == ("denied", ["halt: halted: stop"])
    set_state(conn, "active", session_id=str(session), strategy="manual")
    assert submit(conn, order(session))[0][1] == "pending_new"
