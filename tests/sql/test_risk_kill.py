"""The kill switch and disabled strategies: one decision halts a scope and cancels what works in it."""

from __future__ import annotations

import threading
import uuid
from typing import Any

import psycopg
import pytest
from psycopg.types.json import Jsonb

from factories import AS_OF, Venue, open_session, order, set_quote, submit
from scopes import wait_for_lock


@pytest.fixture
def session(conn: psycopg.Connection) -> uuid.UUID:
    session_id = open_session(conn)
    set_quote(conn, session_id)
    conn.execute("insert into ref.accounts (account) values ('other')")
    return session_id


def kill(
    conn: psycopg.Connection, *, request_id: uuid.UUID | None = None, **scope: str
) -> list[tuple[int, str, list[str]]]:
    """Use the kill switch; return the orders it found."""
    return conn.execute(
        "select * from oms.kill(%s, 'runaway', %s, %s) order by order_id",
        (Jsonb(scope), request_id or uuid.uuid4(), AS_OF),
    ).fetchall()


def working(conn: psycopg.Connection, session: uuid.UUID, **changes: Any) -> int:
    """Return an order that its venue has acknowledged."""
    order_id = submit(conn, order(session, **changes))[0][0]
    Venue(conn, order_id).report("new")
    return order_id


def test_kill_halts_a_scope_and_cancels_its_orders_in_all_sessions_and_venues(conn, session):
    second = open_session(conn, "second")
    set_quote(conn, second)
    found = [
        working(conn, session),
        working(conn, session, venue="SIMPR"),
        working(conn, second),
        submit(conn, order(session))[0][0],
    ]
    spared = working(conn, session, account="other")
    assert kill(conn, account="main") == [(one, "pending_cancel", []) for one in found]
    assert conn.execute(
        "select scope, reason, orders_found, orders_cancelled, killed_by from risk.kills"
    ).fetchall() == [({"account": "main"}, "runaway", found, found, "tsdb_trader")]
    assert conn.execute(
        "select s.state, s.reason from risk.kills join risk.states s using (halt_id)"
    ).fetchall() == [("halted", "runaway")]
    cancels = conn.execute(
        "select order_id from oms.order_actions where kind = 'cancel' and status = 'pending' "
        "order by order_id"
    ).fetchall()
    assert [row[0] for row in cancels] == found, "they wait in the outbox for their gateways"
    assert submit(conn, order(session))[0][1:] == ("denied", ["halt: halted: runaway"])
    assert submit(conn, order(second))[0][1] == "denied"
    assert submit(conn, order(session, account="other"))[0][1] == "pending_new"
    assert conn.execute(
        "select status from oms.orders where order_id = %s", (spared,)
    ).fetchone() == ("new",)


@pytest.mark.parametrize(
    "scope",
    [
        {},
        {"account": "main"},
        {"strategy": "manual"},
        {"symbol": "IBM"},
        {"venue": "SIM"},
        {"sector": "tech"},
        {"symbol": "IBM", "venue": "SIM", "account": "main"},
    ],
)
def test_kill_of_each_scope_finds_the_orders_in_it(conn, session, scope):
    conn.execute("update ref.instruments set sector = 'tech'")
    order_id = working(conn, session)
    assert kill(conn, **scope) == [(order_id, "pending_cancel", [])]
    assert submit(conn, order(session))[0][1] == "denied"


def test_kill_of_a_session_leaves_the_others(conn, session):
    second = open_session(conn, "second")
    set_quote(conn, second)
    mine, theirs = working(conn, session), working(conn, second)
    assert kill(conn, session_id=str(session)) == [(mine, "pending_cancel", [])]
    assert submit(conn, order(second))[0][1] == "pending_new"
    assert conn.execute(
        "select status from oms.orders where order_id = %s", (theirs,)
    ).fetchone() == ("new",)


def test_kill_cancels_held_orders_parents_and_children(conn, session):
    entry, exit_leg = (
        row[0]
        for row in submit(
            conn,
            [order(session), order(session, side="sell", limit_price="101", contingent_on=1)],
        )
    )
    parent = submit(conn, order(session, is_parent=True))[0][0]
    child = submit(
        conn,
        order(session, origin="parent", operator=None, parent_order_id=parent, quantity="40"),
    )[0][0]
    found = {order_id: status for order_id, status, _ in kill(conn)}
    assert found == {
        entry: "pending_cancel",
        exit_leg: "cancelled",
        parent: "pending_cancel",
        child: "pending_cancel",
    }
    [(orders_found, orders_cancelled)] = conn.execute(
        "select orders_found, orders_cancelled from risk.kills"
    ).fetchall()
    assert sorted(orders_found) == sorted(found)
    assert set(orders_found) - set(orders_cancelled) == {child}, "asked for with its parent"


def test_kill_of_an_empty_scope_halts_it(conn, session):
    assert kill(conn, account="other") == []
    assert submit(conn, order(session, account="other"))[0][1] == "denied"


def test_kill_of_a_halted_scope_names_the_halt_that_is_in_force(conn, session):
    halt_id = conn.execute("select risk.halt('{}', 'before')").fetchone()[0]
    kill(conn)
    assert conn.execute("select halt_id from risk.kills").fetchone() == (halt_id,)


def test_kill_repeated_by_request_id_acts_once(conn, session):
    order_id = working(conn, session)
    request = uuid.uuid4()
    first = kill(conn, request_id=request)
    assert kill(conn, request_id=request) == first == [(order_id, "pending_cancel", [])]
    assert conn.execute("select count(*) from risk.kills").fetchone() == (1,)
    with pytest.raises(psycopg.Error) as caught:
        kill(conn, request_id=request, account="main")
    assert caught.value.sqlstate == "TT006"


def test_kill_again_says_that_cancels_are_under_way(conn, session):
    order_id = working(conn, session)
    kill(conn)
    assert kill(conn) == [(order_id, "pending_cancel", ["a cancel is under way already"])]


@pytest.mark.parametrize(
    ("scope", "reason", "request_id", "sqlstate"),
    [
        ({"account": "mian"}, "r", uuid.UUID(int=1), "TT002"),
        ({"strategy": "mian"}, "r", uuid.UUID(int=1), "TT002"),
        ({"symbol": "MIAN"}, "r", uuid.UUID(int=1), "TT002"),
        ({"venue": "MIAN"}, "r", uuid.UUID(int=1), "TT002"),
        ({"sector": "mian"}, "r", uuid.UUID(int=1), "TT002"),
        ({"session_id": str(uuid.UUID(int=9))}, "r", uuid.UUID(int=1), "TT002"),
        ({"side": "buy"}, "r", uuid.UUID(int=1), "TT001"),
        ([], "r", uuid.UUID(int=1), "TT001"),
        ({}, "", uuid.UUID(int=1), "TT001"),
        ({}, None, uuid.UUID(int=1), "TT001"),
        ({}, "r", None, "TT001"),
    ],
)
def test_kill_with_unusable_arguments_is_refused_and_does_nothing(
    conn, session, scope, reason, request_id, sqlstate
):
    with pytest.raises(psycopg.Error) as caught:
        conn.execute("select oms.kill(%s, %s, %s)", (Jsonb(scope), reason, request_id))
    assert caught.value.sqlstate == sqlstate
    assert conn.execute("select count(*) from risk.states").fetchone() == (0,)


@pytest.mark.parametrize("level", ["REPEATABLE READ", "SERIALIZABLE"])
def test_kill_on_an_old_snapshot_is_refused(conn, level):
    conn.execute(f"begin isolation level {level}")
    with pytest.raises(psycopg.Error) as caught:
        kill(conn)
    assert caught.value.sqlstate == "TT003"


@pytest.mark.parametrize("role", ["quant", "readonly", "venue"])
def test_kill_switch_is_closed_to_roles_that_only_read(connect_as, role):
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        kill(connect_as(f"tsdb_{role}"))


@pytest.mark.parametrize("scope", [{}, {"account": "main"}, {"strategy": "manual"}])
def test_order_being_submitted_is_found_by_the_kill_that_waits_for_it(
    conn, session, connect_as, scope
):
    submitter, killer = connect_as("tsdb_operator", autocommit=False), connect_as("tsdb_operator")
    order_id = submit(submitter, order(session))[0][0]
    found: list[Any] = []
    waiter = threading.Thread(target=lambda: found.extend(kill(killer, **scope)))
    waiter.start()
    wait_for_lock(conn, killer)
    assert found == []
    submitter.commit()
    waiter.join(30)
    assert found == [(order_id, "pending_cancel", [])]


@pytest.mark.parametrize("scope", [{}, {"account": "main"}, {"symbol": "IBM"}])
def test_order_submitted_during_a_kill_waits_and_is_denied(conn, session, connect_as, scope):
    killer, submitter = connect_as("tsdb_operator", autocommit=False), connect_as("tsdb_operator")
    kill(killer, **scope)
    result: list[Any] = []
    waiter = threading.Thread(target=lambda: result.extend(submit(submitter, order(session))))
    waiter.start()
    wait_for_lock(conn, submitter)
    assert result == []
    killer.commit()
    waiter.join(30)
    assert [row[1:] for row in result] == [("denied", ["halt: halted: runaway"])]


def test_order_of_a_session_that_opens_during_a_kill_is_denied(conn, session, connect_as):
    """The kill cannot see the session, nor the session the halt, before they commit."""
    opener, killer = connect_as("tsdb_trader", autocommit=False), connect_as("tsdb_operator")
    late = open_session(opener, "late")
    set_quote(opener, late)
    killer.autocommit = False
    kill(killer)
    result: list[Any] = []
    waiter = threading.Thread(
        target=lambda: (result.extend(submit(opener, order(late))), opener.commit())
    )
    waiter.start()
    wait_for_lock(conn, opener)
    killer.commit()
    waiter.join(30)
    assert [row[1] for row in result] == ["denied"]


def test_no_order_of_many_submitters_slips_past_a_kill(conn, session, connect_as):
    """Whatever the moment: each order is cancelled or denied, and after the kill none is new."""
    stop = threading.Event()
    failures: list[BaseException] = []
    accounts = ("main", "other")

    def flood(account: str) -> None:
        connection = connect_as("tsdb_operator")
        try:
            while not stop.is_set():
                basket = [order(session, quantity="1", account=a) for a in (account, accounts[0])]
                if submit(connection, basket)[0][1] == "denied":
                    return
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=flood, args=(account,)) for account in accounts * 2]
    for thread in threads:
        thread.start()
    while conn.execute("select count(*) > 40 from oms.orders").fetchone() != (True,):
        threading.Event().wait(0.005)
    kill(connect_as("tsdb_operator"))
    for thread in threads:
        thread.join(60)
    stop.set()
    assert failures == []
    assert conn.execute("select distinct status from oms.orders order by 1").fetchall() == [
        ("denied",),
        ("pending_cancel",),
    ]


AUDIT = "select action, reason, acted_by from risk.strategy_audit order by audit_id"


def test_strategy_disabled_by_a_worker_trades_again_when_a_person_enables_it(
    conn, session, connect_as
):
    worker, operator = connect_as("tsdb_worker"), connect_as("tsdb_operator")
    disable = "select risk.disable_strategy('manual', 'forty fills of one order')"
    assert worker.execute(disable).fetchone() == (True,)
    assert worker.execute(disable).fetchone() == (False,)
    assert submit(conn, order(session))[0][1:] == (
        "denied",
        ["strategy: the strategy is disabled"],
    )
    enable = "select risk.enable_strategy('manual', 'a wrong parameter')"
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        worker.execute(enable)
    assert operator.execute(enable).fetchone() == (True,)
    assert operator.execute(enable).fetchone() == (False,)
    assert submit(conn, order(session))[0][1] == "pending_new"
    assert conn.execute(AUDIT).fetchall() == [
        ("disabled", "forty fills of one order", "tsdb_worker"),
        ("enabled", "a wrong parameter", "tsdb_operator"),
    ]
    assert conn.execute(
        "select s.enabled_at between d.recorded_at and e.recorded_at "
        "from signal.strategies s, risk.strategy_audit d, risk.strategy_audit e "
        "where s.strategy = 'manual' and d.action = 'disabled' and e.action = 'enabled'"
    ).fetchone() == (True,)


def test_process_that_may_call_it_cannot_enable_a_strategy(conn, connect_as):
    """A grant is not enough: the login has to be a person's."""
    conn.execute("grant execute on function risk.enable_strategy(text, text) to tsdb_worker")
    with pytest.raises(psycopg.errors.InsufficientPrivilege, match="named person"):
        connect_as("tsdb_worker").execute("select risk.enable_strategy('manual', 'r')")


@pytest.mark.parametrize("function", ["disable_strategy", "enable_strategy"])
@pytest.mark.parametrize(
    ("strategy", "reason", "sqlstate"),
    [("nobody", "r", "TT002"), (None, "r", "TT002"), ("manual", "", "TT001")],
)
def test_unknown_strategy_or_no_reason_is_refused(conn, function, strategy, reason, sqlstate):
    with pytest.raises(psycopg.Error) as caught:
        conn.execute(f"select risk.{function}(%s, %s)", (strategy, reason))
    assert caught.value.sqlstate == sqlstate
