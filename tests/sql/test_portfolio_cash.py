"""portfolio.book_cash and the ledger: every amount once, nothing changed afterwards, ties to the positions."""

from __future__ import annotations

import uuid
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import psycopg
import pytest

from factories import Venue, open_session, order, set_quote, submit
from portfolio_books import books

AS_OF = datetime(2014, 6, 2, 15, tzinfo=UTC)


def book(conn: psycopg.Connection, session: uuid.UUID | None, **changes: Any) -> int:
    """Book a deposit, or what it is changed to."""
    entry = {
        "account": "main",
        "kind": "deposit",
        "currency": "USD",
        "amount": 1000,
        "as_of": AS_OF,
        "reference": "wire 1",
    } | changes
    names = ", ".join(f"p_{name} => %({name})s" for name in entry)
    row = conn.execute(
        f"select portfolio.book_cash(p_session_id => %(session)s, {names})",
        entry | {"session": session},
    ).fetchone()
    assert row is not None
    return int(row[0])


def test_cash_booked_again_is_the_same_entry(conn):
    session = open_session(conn)
    first = book(conn, session)
    assert book(conn, session) == first
    assert book(conn, session, reference="wire 2") != first
    with pytest.raises(psycopg.Error) as caught:
        book(conn, session, amount=1001)
    assert caught.value.sqlstate == "TT006"
    assert conn.execute(
        "select count(*), sum(amount) from portfolio.cash_entries where session_id = %s", (session,)
    ).fetchone() == (2, 2000)


@pytest.mark.parametrize(
    ("changes", "sqlstate"),
    [
        ({"kind": "gift"}, "TT001"),
        ({"kind": None}, "TT001"),
        ({"amount": 0}, "TT001"),
        ({"amount": None}, "TT001"),
        ({"amount": "NaN"}, "TT001"),
        ({"amount": "Infinity"}, "TT001"),
        ({"amount": -1}, "TT001"),
        ({"kind": "withdrawal", "amount": 1}, "TT001"),
        ({"as_of": None}, "TT001"),
        ({"as_of": "infinity"}, "TT001"),
        ({"reference": ""}, "TT001"),
        ({"reference": None}, "TT001"),
        ({"kind": "funding", "symbol": "IBM"}, "TT001"),
        ({"currency": "XXX"}, "TT002"),
        ({"account": "nobody"}, "TT002"),
        ({"strategy": "nothing"}, "TT002"),
        ({"strategy": "manual", "symbol": "NONE"}, "TT002"),
    ],
)
def test_cash_that_cannot_be_is_refused(conn, changes, sqlstate):
    session = open_session(conn)
    set_quote(conn, session)
    with pytest.raises(psycopg.Error) as caught:
        book(conn, session, **changes)
    assert caught.value.sqlstate == sqlstate
    assert conn.execute("select count(*) from portfolio._cash_entries").fetchone() == (0,)


def test_cash_of_an_unknown_session_is_refused(conn):
    for session in (None, uuid.uuid4()):
        with pytest.raises(psycopg.Error) as caught:
            book(conn, session)
        assert caught.value.sqlstate in ("TT001", "TT002")


@pytest.mark.parametrize(
    "change", ["update portfolio.{0} set recorded_at = now()", "delete from portfolio.{0}"]
)
@pytest.mark.parametrize("table", ["_cash_entries", "lot_assignments", "position_changes"])
def test_ledgers_are_append_only(conn, table, change):
    own = books(conn)
    book(conn, own.session)
    bought, sold = own.fill(10, 10), own.fill(-10, 11)
    conn.execute("select portfolio.assign_lot(%s, %s, 10, 'test')", (sold, bought))
    conn.execute(
        "insert into portfolio.position_changes (session_id, account, strategy_id, instrument_id, "
        "trading_date, before, after) values (%s, 'main', 1, 1, '2014-06-02', '{}', '{}')",
        (own.session,),
    )
    with pytest.raises(psycopg.Error, match="append-only"):
        conn.execute(change.format(table))


def test_two_bookings_at_once_of_one_reference_are_one_entry(conn, connect_as):
    session = open_session(conn)
    first, second = connect_as(autocommit=False), connect_as(autocommit=False)
    book(first, session)
    second.execute("set lock_timeout = '50ms'")
    with pytest.raises(psycopg.errors.LockNotAvailable):
        book(second, session)
    second.rollback()
    first.commit()
    book(second, session)
    second.commit()
    assert conn.execute("select count(*) from portfolio._cash_entries").fetchone() == (1,)


def test_ledger_of_a_bust_known_later_is_reversed_on_the_day_of_its_fill(conn):
    own = books(conn)
    bought = own.fill(100, 10, 1, on="2014-06-02")
    before = own.known
    own.bust(bought)
    ask = (
        "select coalesce(sum(amount), 0), count(*), min(trade_date) = max(trade_date) "
        "from portfolio.cash_entries_at('2014-06-03', %s, %s)"
    )
    assert own.query(ask, before) == [(-1001, 2, True)]
    assert own.query(ask, "infinity") == [(0, 4, True)]
    assert own.query(ask, before - timedelta(days=1)) == [(0, 0, None)]


def test_ledger_is_the_cash_of_positions_filled_by_a_venue(conn):
    session = open_session(conn)
    set_quote(conn, session)
    venue = Venue(conn, submit(conn, order(session, quantity="300"))[0][0])
    venue.fill(100, "10")
    venue.fill(50, "11")
    venue.report("trade_correct", exec_ref_id=f"E{venue.order_id}-2", last_qty="60", last_px="12")
    venue.report("trade_cancel", exec_ref_id=f"E{venue.order_id}-1")
    [(ledger,)] = conn.execute(
        "select sum(amount) from portfolio.cash_entries where session_id = %s", (session,)
    ).fetchall()
    row = conn.execute("select quantity, cash, cost, realized_pnl, fees from portfolio.positions")
    assert row.fetchone() == (60, ledger, 720, 0, Decimal("0.18"))
    assert (
        conn.execute(
            "select * from portfolio.check_invariants(%s) where not passed", (session,)
        ).fetchall()
        == []
    )


def test_funding_of_a_position_is_in_its_net_result(conn):
    own = books(conn)
    [(manual,)] = conn.execute(
        "select strategy_id from signal.strategies where strategy = 'manual'"
    ).fetchall()
    own.fill(-100, 10, strategy=manual)
    own.rebuild()
    set_quote(conn, own.session, bid=9.99, ask=10.01)
    ours = {"strategy": "manual", "symbol": "IBM", "kind": "funding"}
    book(conn, own.session, **ours, amount="-3.5", reference="borrow fee of 06-02")
    book(conn, own.session, **ours, amount=1, reference="rebate", as_of=AS_OF + timedelta(days=1))
    assert own.query(
        "select total_pnl, funding, net_pnl from portfolio.pnl where session_id = %s"
    ) == [(0, Decimal("-2.5"), Decimal("-2.5"))]
    assert own.query(
        "select funding from portfolio.positions_at(%s, p_session_id => %s)", AS_OF
    ) == [(Decimal("-3.5"),)]
    book(conn, own.session, **ours, currency="EUR", amount=1, reference="no rate")
    assert own.query("select funding, net_pnl from portfolio.pnl where session_id = %s") == [
        (None, None)
    ]


@pytest.mark.parametrize(
    ("role", "allowed"),
    [
        ("tsdb_worker", True),
        ("tsdb_operator", True),
        ("tsdb_quant", False),
        ("tsdb_readonly", False),
    ],
)
def test_only_workers_and_operators_book_and_readers_read(conn, connect_as, role, allowed):
    own = books(conn)
    own.fill(100, 10, on=date(2014, 6, 2))
    other = connect_as(role)
    if allowed:
        book(other, own.session)
        assert conn.execute("select booked_by from portfolio._cash_entries").fetchone() == (role,)
    else:
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            book(other, own.session)
    for table in ("_cash_entries", "lot_assignments", "position_changes", "applied_actions"):
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            other.execute(f"delete from portfolio.{table}")
    if role == "tsdb_worker":
        return
    for source in (
        "positions_at('infinity')",
        "lots('infinity')",
        "closed_lots('infinity')",
        "cash_entries",
        "pnl_daily",
        "equity",
    ):
        other.execute(f"select * from portfolio.{source}")
    other.execute("select * from portfolio.check_invariants(%s)", (own.session,))
