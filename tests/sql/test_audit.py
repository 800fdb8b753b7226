"""What people do leaves a row that says who, as what, when, what and why, and that stays."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

import psycopg
import pytest
from psycopg import errors
from psycopg.types.json import Jsonb

from access_rights import SCHEMAS
from factories import Venue, open_session, order, set_quote, submit
from tsdb_trader.embedded import Server, people
from tsdb_trader.embedded.roles import PEOPLE
from tsdb_trader.errors import ConflictError, InputError, UnknownObjectError

Connect = Callable[..., psycopg.Connection[Any]]

UNAUDITED = {
    "oms.submit_order": "is a basket of one, which is audited",
    "risk.halt": "is risk.set_state, which is audited",
    "risk.resume": "is risk.set_state, which is audited",
    "ref.change_symbol": "records facts with ref.record, which is audited",
    "oms.reconcile_orders": "only compares; what differs are rows of oms.breaks, resolved by name",
    "oms.reconcile_trades": "only compares, as oms.reconcile_orders",
    "oms.reconcile_flows": "only compares, as oms.reconcile_orders",
    "oms.reconcile_positions": "only compares, as oms.reconcile_orders",
    "oms.seal_log": "adds a seal; no choice of the caller's is in it",
    "ops.raise_alert": "adds a message for people; decides nothing",
    "ref.condition_flags": "notes a code that nobody explained yet; decides nothing",
    "market.snapshot_book": "made from stored events; the same whoever asks",
    "market.snapshot_books": "as market.snapshot_book",
    "market.derive_quotes": "made from stored events; the same whoever asks",
    "market.refresh_quality": "measured from stored ticks; the same whoever asks",
    "market.resolve_news": "follows from the registered symbols; the same whoever asks",
    "ops.check_invariants": "reads, writes nothing",
    "signal.record_predictions": "computed from stored features; the same whoever asks",
    "signal.watch_drift": "measured from stored features; the same whoever asks",
    "signal.note_model_failure": "adds a message for people; decides nothing",
}
"""Volatile functions that people may call and that leave no row, and why that is enough."""


@pytest.fixture
def session(conn: psycopg.Connection[Any]) -> Any:
    opened = open_session(conn)
    set_quote(conn, opened)
    conn.execute("select set_config('test.before', max(audit_id)::text, false) from ops.audit")
    return opened


def audit(
    conn: psycopg.Connection[Any], columns: str = "login, role, action, object, reason"
) -> Any:
    """Return the rows since the fixtures, without what the owner did."""
    return conn.execute(
        f"select {columns} from ops.audit where login <> 'tsdb_trader' order by audit_id".encode()
    ).fetchall()


@pytest.fixture
def person(server: Server, database: str) -> Iterator[Callable[..., psycopg.Connection[Any]]]:
    """Return a function that makes a personal login and connects as it."""
    made: list[tuple[str, psycopg.Connection[Any]]] = []
    name = str(psycopg.conninfo.conninfo_to_dict(database)["dbname"])

    def connect(login: str, *roles: str) -> psycopg.Connection[Any]:
        password = people.add_user(server, login, roles)
        url = psycopg.conninfo.make_conninfo(
            server.url(database=name), user=login, password=password, application_name="desk"
        )
        connection = psycopg.connect(url, autocommit=True)
        made.append((login, connection))
        return connection

    yield connect
    for login, connection in made:
        connection.close()
        with contextlib.suppress(UnknownObjectError):  # the test did
            people.drop_user(server, login)


def test_halt_by_a_person_names_the_login_and_the_reason(conn, session, person):
    anna = person("anna_test", "risk")
    anna.execute("""select risk.halt('{"account": "main"}', 'too fast')""")
    anna.execute("set role tsdb_risk")
    anna.execute("""select risk.resume('{"account": "main"}', 'it was a test')""")
    assert audit(conn) == [
        ("anna_test", "anna_test", "risk.set_state", '{"account": "main"}', "too fast"),
        ("anna_test", "tsdb_risk", "risk.set_state", '{"account": "main"}', "it was a test"),
    ]
    [(application, recent)] = conn.execute(
        "select distinct application, at > now() - interval '1 minute' from ops.audit "
        "where login = 'anna_test'"
    ).fetchall()
    assert (application, recent) == ("desk", True)


def test_call_over_the_network_keeps_the_clients_address(conn, session, server, database):
    name = str(psycopg.conninfo.conninfo_to_dict(database)["dbname"])
    with psycopg.connect(server.url("tsdb_risk", name, tcp=True), autocommit=True) as risk:
        risk.execute("select risk.halt('{}', 'r')")
    assert audit(conn, "host(client)") == [("127.0.0.1",)]


def test_order_submitted_replaced_and_cancelled_by_a_trader_is_audited(conn, session, connect_as):
    trader = connect_as("tsdb_trader_role")
    [(order_id, _, _)] = submit(trader, order(session))
    Venue(conn, order_id).report("new")
    trader.execute(
        "select oms.replace_order(%s, %s, gen_random_uuid(), %s)",
        (order_id, Jsonb({"quantity": "50"}), "2013-10-08 14:00Z"),
    )
    trader.execute("select oms.cancel_order(%s)", (order_id,))
    trader.execute("select oms.cancel_all('{}')")
    rows = audit(conn, "login, action, object, arguments")
    assert [row[:2] for row in rows] == [
        ("tsdb_trader_role", f"oms.{action}")
        for action in ("submit_basket", "replace_order", "cancel_order", "cancel_all")
    ]
    assert rows[0][3]["orders"][0]["quantity"] == order(session)["quantity"]
    assert (rows[1][2], rows[1][3]["changes"]) == (str(order_id), {"quantity": "50"})


def test_refused_call_leaves_no_row_and_changes_nothing(conn, session, connect_as):
    with pytest.raises(psycopg.Error, match="needs a reason"):
        connect_as("tsdb_risk").execute("select risk.halt('{}', '')")
    assert audit(conn) == []


def test_services_leave_no_row(conn, session, connect_as):
    connect_as("tsdb_worker_risk").execute("select risk.halt('{}', 'loss')")
    connect_as("tsdb_worker_scheduler").execute("select market.apply_retention('2020-01-01')")
    assert audit(conn) == []
    assert conn.execute("select halted_by from risk.halts").fetchone() == ("tsdb_worker_risk",)


def test_superuser_is_audited_too(conn, session, connect_as):
    connect_as("postgres").execute("select risk.halt('{}', 'r')")
    assert [row[0] for row in audit(conn)] == ["postgres"]


def test_secrets_are_masked_at_any_depth(conn, connect_as):
    ops = connect_as("tsdb_ops")
    configuration = {
        "url": "wss://x",
        "headers": [{"api_key": "K", "name": "n"}],
        "auth": {"password": "P", "token": {"env": "TSDB_TRADER_FEED_TOKEN"}},
        "Secret": {"deep": "S"},
    }
    ops.execute("select ops.add_feed('f', 'websocket', %s)", (Jsonb(configuration),))
    [(arguments,)] = audit(conn, "arguments")
    assert arguments["configuration"] == {
        "url": "wss://x",
        "headers": [{"api_key": "***", "name": "n"}],
        "auth": {"password": "***", "token": {"env": "TSDB_TRADER_FEED_TOKEN"}},
        "Secret": "***",
    }


@pytest.mark.parametrize(
    "role", [None, "tsdb_operator", "tsdb_risk", "tsdb_ops", "tsdb_worker", "tsdb_quant"]
)
@pytest.mark.parametrize(
    "statement",
    [
        "update ops.audit set login = 'somebody'",
        "delete from ops.audit",
        "truncate ops.audit",
        "drop table ops.audit",
        "alter table ops.audit disable trigger all",
        "drop schema ops cascade",
    ],
)
def test_audit_can_be_changed_by_nobody(conn, connect_as, role, statement):
    connect_as("tsdb_risk").execute("select risk.halt('{}', 'r')")
    with pytest.raises(errors.InsufficientPrivilege):
        connect_as(role).execute(statement.encode())


def test_audit_is_append_only_even_for_whoever_owns_it(conn, connect_as):
    admin = connect_as("postgres")
    connect_as("tsdb_risk").execute("select risk.halt('{}', 'r')")
    for statement in ("delete from ops.audit", "truncate ops.audit"):
        with pytest.raises(psycopg.Error, match="append-only"):
            admin.execute(statement)


@pytest.mark.parametrize("role", ["tsdb_operator", "tsdb_worker", "tsdb_quant"])
def test_audit_rows_cannot_be_made_up(connect_as, role):
    other = connect_as(role)
    with pytest.raises(errors.InsufficientPrivilege):
        other.execute(
            "insert into ops.audit (login, role, application, action, arguments) "
            "values ('anna', 'anna', '', 'risk.halt', '{}')"
        )
    with pytest.raises(errors.InsufficientPrivilege):
        other.execute("select ops._audit('risk.halt', '{}')")


def test_everything_people_may_change_is_audited_or_says_why_not(conn):
    rows = conn.execute(
        """select n.nspname || '.' || p.proname,
            strpos(p.prosrc, format('ops._audit(%%L', n.nspname || '.' || p.proname)) > 0
        from pg_proc p join pg_namespace n on n.oid = p.pronamespace
        where p.provolatile = 'v' and p.prokind in ('f', 'p') and n.nspname = any (%s)
            and exists (select from unnest(%s::text[]) r (role)
                where has_function_privilege(r.role, p.oid, 'execute'))""",
        (SCHEMAS, list(PEOPLE)),
    ).fetchall()
    assert len(rows) > 40
    silent = {name for name, audited in rows if not audited}
    assert silent - set(UNAUDITED) == set(), "perform ops._audit(...), or say why not above"
    assert set(UNAUDITED) - silent == set(), "no longer true"


# Personal logins --------------------------------------------------------------------------------


def test_personal_login_has_the_rights_and_timeouts_of_its_roles(conn, session, person):
    carl = person("carl_test", "trader", "quant")
    submit(carl, order(session))
    with pytest.raises(errors.InsufficientPrivilege):
        carl.execute("select risk.halt('{}', 'r')")
    assert carl.execute("show idle_in_transaction_session_timeout").fetchone() == ("1min",)


def test_personal_login_dropped_ends_its_sessions(server, person):
    dora = person("dora_test", "readonly")
    people.drop_user(server, "dora_test")
    with pytest.raises(psycopg.OperationalError):
        dora.execute("select 1")
    with pytest.raises(UnknownObjectError):
        people.drop_user(server, "dora_test")


@pytest.mark.parametrize(
    "name",
    ["tsdb_anna", "pg_anna", "Anna", "a", "", "anna; drop role x", "1anna", "postgres", "a" * 32],
)
def test_personal_login_bad_name_is_refused(server, name):
    with pytest.raises(InputError, match="cannot be a person's login"):
        people.add_user(server, name, ["risk"])


@pytest.mark.parametrize("roles", [[], ["operator"], ["worker_gateway"], ["tsdb_trader"]])
def test_personal_login_of_no_persons_role_is_refused(server, roles):
    with pytest.raises(InputError, match="needs a person's role"):
        people.add_user(server, "anna_test", roles)


def test_personal_login_short_password_and_taken_name_are_refused(server, person):
    with pytest.raises(InputError, match="shorter than 12"):
        people.add_user(server, "emil_test", ["risk"], "short")
    person("emil_test", "risk")
    with pytest.raises(ConflictError, match="emil_test already"):
        people.add_user(server, "emil_test", ["risk"])


@pytest.mark.parametrize("name", ["postgres", "tsdb_trader", "tsdb_risk", "nobody"])
def test_login_that_is_no_persons_is_not_dropped(server, name):
    with pytest.raises(UnknownObjectError):
        people.drop_user(server, name)
