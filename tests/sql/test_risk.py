"""The pre-trade gate: exactly at a limit passes, one unit over is denied, what is missing denies."""

from __future__ import annotations

import uuid
from datetime import timedelta
from typing import Any

import psycopg
import pytest
from psycopg.types.json import Jsonb

from factories import AS_OF, Venue, add_instrument, open_session, order, set_quote, submit


@pytest.fixture
def session(conn: psycopg.Connection) -> uuid.UUID:
    session_id = open_session(conn)
    set_quote(conn, session_id)
    return session_id


def limit(conn: psycopg.Connection, control: str, value: Any, **scope: str) -> None:
    conn.execute("select risk.set_limit(%s, %s, %s, 'test')", (control, Jsonb(scope), value))


def denied_by(conn: psycopg.Connection, spec: dict[str, Any], as_of: Any = AS_OF) -> list[str]:
    """Submit, and return the controls that denied the order, after checking the books agree."""
    [(order_id, status, reasons)] = submit(conn, spec, as_of=as_of)
    failed = [
        control
        for (control,) in conn.execute(
            "select control from risk.checks where order_id = %s and not passed", (order_id,)
        ).fetchall()
    ]
    assert (status == "denied") == bool(failed)
    assert [reason.split(":")[0] for reason in reasons] == failed
    sent = conn.execute(
        "select count(*) from oms.order_actions where order_id = %s", (order_id,)
    ).fetchone()
    assert sent == (0 if failed else 1,)
    return failed


@pytest.mark.parametrize(
    ("control", "at", "passes", "fails"),
    [
        ("order_quantity", 100, {}, {"quantity": "101"}),
        ("order_value", "10001", {}, {"limit_price": "100.02"}),
        (
            "order_value",
            "10001",
            {"order_type": "market", "limit_price": None},
            {"quantity": "101"},
        ),
        (
            "order_value",
            "9999",
            {"side": "sell", "limit_price": "99.5"},
            {"side": "sell", "limit_price": "100"},
        ),
        ("price_collar", "0.01", {"limit_price": "101"}, {"limit_price": "101.01"}),
        ("price_collar", "0.01", {"limit_price": "99"}, {"limit_price": "98.99"}),
        ("position", 100, {}, {"quantity": "101"}),
        (
            "position",
            100,
            {"side": "sell_short", "limit_price": "100"},
            {"side": "sell_short", "quantity": "101", "limit_price": "100"},
        ),
    ],
)
def test_limit_at_the_limit_passes_and_one_over_is_denied(
    conn, session, control, at, passes, fails
):
    limit(conn, control, at)
    over = open_session(conn, "over")
    set_quote(conn, over)
    assert denied_by(conn, order(over, **fails)) == [control]
    assert denied_by(conn, order(session, **passes)) == []


def test_quote_age_at_the_limit_passes_and_older_is_denied(conn, session):
    limit(conn, "market_data", 5)
    assert denied_by(conn, order(session), AS_OF + timedelta(seconds=5)) == []
    assert denied_by(conn, order(session), AS_OF + timedelta(seconds=5, microseconds=1)) == [
        "market_data"
    ]


def test_quote_later_than_the_order_is_denied(conn, session):
    assert denied_by(conn, order(session), AS_OF - timedelta(microseconds=1)) == ["market_data"]


def test_no_quote_denies_everything_that_needs_one(conn, session):
    add_instrument(conn, "NEW")
    assert denied_by(conn, order(session, symbol="NEW")) == ["market_data", "price_collar"]
    market = order(session, symbol="NEW", order_type="market", limit_price=None)
    assert denied_by(conn, market) == ["market_data", "order_value", "price_collar"]


@pytest.mark.parametrize(
    "control", ["market_data", "order_quantity", "order_value", "price_collar", "position"]
)
def test_no_limit_set_denies(conn, session, control):
    limit(conn, control, None)
    assert denied_by(conn, order(session)) == [control]
    limit(conn, control, 100000, symbol="IBM")
    assert denied_by(conn, order(session)) == []


@pytest.mark.parametrize(
    ("statement", "control"),
    [
        ("update ref.instruments set status = 'restricted'", "instrument"),
        ("update ref.accounts set status = 'inactive'", "account"),
        ("update ref.venues set status = 'halted'", "venue"),
        ("update signal.strategies set status = 'disabled'", "strategy"),
    ],
)
def test_anything_not_active_denies(conn, session, statement, control):
    conn.execute(statement)
    assert denied_by(conn, order(session)) == [control]


def test_closed_session_denies(conn, session):
    conn.execute("select ops.close_session(%s)", (session,))
    assert denied_by(conn, order(session)) == ["session"]


def test_instrument_in_another_currency_denies(conn, session):
    conn.execute("update ref.instruments set currency = 'EUR'")
    assert denied_by(conn, order(session)) == ["order_value"]


@pytest.mark.parametrize(
    "scope", [{}, {"symbol": "IBM"}, {"account": "main"}, {"strategy": "manual", "venue": "SIM"}]
)
def test_halt_of_a_matching_scope_denies_until_resumed(conn, session, scope):
    conn.execute("select risk.halt(%s, 'too wild')", (Jsonb(scope),))
    assert denied_by(conn, order(session)) == ["halt"]
    [reason] = conn.execute("select reasons[1] from oms.orders").fetchone()
    assert reason == "halt: halted: too wild"
    assert conn.execute("select risk.resume(%s, 'calm')", (Jsonb(scope),)).fetchone() == (True,)
    assert denied_by(conn, order(session)) == []


def test_halt_of_another_scope_does_not_matter(conn, session):
    add_instrument(conn, "AIG")
    conn.execute("""select risk.halt('{"symbol": "AIG"}', 'x')""")
    assert denied_by(conn, order(session)) == []


def test_tightest_matching_limit_binds(conn, session):
    limit(conn, "order_quantity", 50, account="main")
    limit(conn, "order_quantity", 500, symbol="IBM")
    assert denied_by(conn, order(session, quantity="51")) == ["order_quantity"]
    assert denied_by(conn, order(session, quantity="50")) == []


def test_position_counts_working_orders_fills_and_other_strategies(conn, session):
    limit(conn, "position", 250)
    first = submit(conn, order(session))[0][0]
    submit(conn, order(session, strategy="pairs"))
    assert denied_by(conn, order(session, quantity="51")) == ["position"]
    venue = Venue(conn, first)
    venue.fill(60)
    assert denied_by(conn, order(session, quantity="51")) == ["position"]
    venue.report("cancelled")
    assert denied_by(conn, order(session, quantity="91")) == ["position"]
    assert denied_by(conn, order(session, quantity="90")) == []


def test_position_limit_of_a_strategy_looks_at_that_strategy(conn, session):
    limit(conn, "position", 100, strategy="pairs")
    submit(conn, order(session))
    assert denied_by(conn, order(session, strategy="pairs")) == []
    assert denied_by(conn, order(session, strategy="pairs", quantity="1")) == ["position"]
    assert denied_by(conn, order(session, quantity="1")) == []


def test_order_that_reduces_passes_a_limit_lowered_below_the_position(conn, session):
    Venue(conn, submit(conn, order(session))[0][0]).fill(100)
    limit(conn, "position", 10)
    assert denied_by(conn, order(session, side="sell", quantity="100", limit_price="100")) == []
    assert denied_by(conn, order(session, quantity="1")) == ["position"]


def test_dry_run_without_a_time_is_refused(conn, session):
    with pytest.raises(psycopg.Error, match="an order needs p_as_of") as caught:
        conn.execute("select * from risk.check_order(%s, null)", (Jsonb(order(session)),))
    assert caught.value.sqlstate == "TT001"


def test_dry_run_says_what_submission_would_and_writes_nothing(conn, session, connect_as):
    limit(conn, "order_quantity", 10)
    rows = (
        connect_as("readonly")
        .execute("select * from risk.check_order(%s, %s)", (Jsonb(order(session)), AS_OF))
        .fetchall()
    )
    assert [(r[0], r[2], r[3], r[4]) for r in rows if not r[1]] == [
        ("order_quantity", "100 is over the limit of 10", 100, 10)
    ]
    assert conn.execute("select count(*) from risk.decisions").fetchone() == (0,)


def test_limits_keep_their_history(conn):
    limit(conn, "order_quantity", 10)
    limit(conn, "order_quantity", 20)
    rows = conn.execute(
        "select value, superseded_at = 'infinity' from risk.limits "
        "where control = 'order_quantity' order by limit_id"
    ).fetchall()
    assert rows == [(10000, False), (10, False), (20, True)]


@pytest.mark.parametrize(
    ("arguments", "sqlstate"),
    [
        (("order_quantity", {}, "NaN", "r"), "TT001"),
        (("order_quantity", {}, -1, "r"), "TT001"),
        (("order_quantity", {}, "Infinity", "r"), "TT001"),
        (("order_quantity", {}, 1, ""), "TT001"),
        (("order_quantity", {"colour": "red"}, 1, "r"), "TT001"),
        (("order_quantity", {"symbol": 3}, 1, "r"), "TT001"),
        (("order_quantity", [1], 1, "r"), "TT001"),
        (("halt", {}, 1, "r"), "TT002"),
        (("luck", {}, 1, "r"), "TT002"),
    ],
)
def test_set_limit_unusable_is_refused(conn, arguments, sqlstate):
    control, scope, value, reason = arguments
    with pytest.raises(psycopg.Error) as caught:
        conn.execute(
            "select risk.set_limit(%s, %s, %s, %s)", (control, Jsonb(scope), value, reason)
        )
    assert caught.value.sqlstate == sqlstate


@pytest.mark.parametrize("role", ["quant", "readonly", "venue"])
def test_order_path_is_closed_to_roles_that_only_read(conn, session, connect_as, role):
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        submit(connect_as(role), order(session))


@pytest.mark.parametrize("role", ["worker", "quant", "readonly", "venue", "trader", "ops"])
def test_limits_are_set_by_operators_only(connect_as, role):
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        connect_as(role).execute("select risk.set_limit('order_quantity', '{}', 1, 'r')")


@pytest.mark.parametrize(
    "table", ["oms.orders", "oms.executions", "risk.limits", "portfolio._positions"]
)
def test_workers_change_tables_through_functions_only(connect_as, table):
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        connect_as("worker").execute(f"delete from {table}")


def test_venue_role_cannot_read_orders(connect_as):
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        connect_as("venue").execute("select * from oms.orders")
