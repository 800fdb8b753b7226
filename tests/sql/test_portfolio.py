"""Positions by average cost, cash and P&L, against an independent first-principles account."""

from __future__ import annotations

import uuid
from decimal import Decimal
from fractions import Fraction

import psycopg
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from factories import Venue, open_session, order, set_quote, submit

fills = st.lists(
    st.tuples(st.integers(-500, 500).filter(bool), st.decimals("0.01", "999.99", places=2)),
    min_size=1,
    max_size=12,
)


def book(conn: psycopg.Connection, session: uuid.UUID, quantity: int, price: Decimal) -> None:
    conn.execute(
        "select portfolio._book_fill(%s, 'main', 1, "
        "(select instrument_id from ref.instruments where symbol = 'IBM'), %s, %s, %s)",
        (session, quantity, price, Decimal("0.003") * abs(quantity)),
    )


@given(fills)
@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_position_any_fills_ties_to_cash_and_to_exact_average_cost(conn, trades):
    session = open_session(conn)
    set_quote(conn, session)
    quantity, average, realized, cash = 0, Fraction(0), Fraction(0), Fraction(0)
    for q, price in trades:
        book(conn, session, q, price)
        p = Fraction(price)
        cash -= q * p + Fraction(3, 1000) * abs(q)
        if quantity * q >= 0:
            average = (abs(quantity) * average + abs(q) * p) / (abs(quantity) + abs(q))
        else:
            closed = min(abs(quantity), abs(q))
            realized += closed * (p - average) * (1 if quantity > 0 else -1)
            if abs(q) > abs(quantity):
                average = p
        quantity += q
    row = conn.execute(
        "select quantity, average_price, realized_pnl, cash, fees, cost, total_pnl, unrealized_pnl "
        "from portfolio.pnl join portfolio.positions using (session_id, account, strategy_id, "
        "instrument_id, quantity, average_price, realized_pnl, cash, fees) where session_id = %s",
        (session,),
    ).fetchone()
    assert row is not None
    assert row[0] == quantity
    assert Fraction(row[3]) == cash
    assert row[2] - row[4] == row[3] + row[5], "realized - fees = cash + cost, to the last digit"
    assert abs(Fraction(row[2]) - realized) < Fraction(1, 10**9)
    if quantity:
        assert abs(Fraction(row[1]) - average) < Fraction(1, 10**9)
    assert row[6] == row[2] + row[7] - row[4], "total = realized + unrealized - fees"


def test_pnl_marks_at_the_mid(conn):
    session = open_session(conn)
    set_quote(conn, session, bid=99.0, ask=101.0)
    Venue(conn, submit(conn, order(session))[0][0]).fill(100, "99.50")
    row = conn.execute(
        "select mark, unrealized_pnl, realized_pnl, fees, total_pnl from portfolio.pnl"
    ).fetchone()
    assert row == (100, 50, 0, Decimal("0.3"), Decimal("49.7"))


def test_pnl_without_a_mark_is_null_not_zero(conn):
    session = open_session(conn)
    set_quote(conn, session)
    Venue(conn, submit(conn, order(session))[0][0]).fill(100)
    conn.execute("delete from market.latest_quotes")
    assert conn.execute("select unrealized_pnl, total_pnl from portfolio.pnl").fetchone() == (
        None,
        None,
    )
    assert conn.execute("select portfolio.mark_session(%s, now())", (session,)).fetchone() == (1,)
    assert conn.execute("select unrealized_pnl from portfolio.pnl_history").fetchone() == (None,)


def test_mark_session_same_time_twice_writes_once(conn):
    session = open_session(conn)
    set_quote(conn, session)
    Venue(conn, submit(conn, order(session))[0][0]).fill(100)
    mark = "select portfolio.mark_session(%s, '2013-10-08 14:31:00+00')"
    assert conn.execute(mark, (session,)).fetchone() == (1,)
    assert conn.execute(mark, (session,)).fetchone() == (0,)


def test_sessions_open_at_once_share_neither_positions_nor_limits(conn):
    conn.execute("select risk.set_limit('position', '{}', 100, 'test')")
    sessions = [open_session(conn, "the day"), open_session(conn, "the day again")]
    for session in sessions:
        set_quote(conn, session)
        [(order_id, status, _)] = submit(conn, order(session))
        assert status == "pending_new"
        Venue(conn, order_id).fill(100)
        assert submit(conn, order(session, quantity="1"))[0][1] == "denied"
    assert conn.execute(
        "select session_id, quantity from portfolio.positions order by 1"
    ).fetchall() == [(session, 100) for session in sorted(sessions)]
