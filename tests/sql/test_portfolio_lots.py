"""Lots by every method, busts and corrections, against plain accounting in fractions."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from fractions import Fraction
from typing import Any

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from psycopg.types.json import Jsonb

from portfolio_books import KNOWN, Books, account_of, books

METHODS = ("average", "fifo", "lifo")

_signed = st.integers(-300, 300).filter(bool)
_price = st.decimals("0.01", "500", places=2)
_fee = st.decimals("-1", "5", places=3)
_steps = st.lists(
    st.one_of(
        st.tuples(st.just("fill"), _signed, _price, _fee),
        st.tuples(st.just("bust"), st.integers(0, 30)),
        st.tuples(st.just("correct"), st.integers(0, 30), st.integers(1, 300), _price, _fee),
    ),
    min_size=1,
    max_size=16,
)


def _replayed(own: Books, steps: list[tuple[Any, ...]]) -> list[tuple[datetime, dict[int, Any]]]:
    """Write the steps; return what stood after each, by the time it was known."""
    standing: dict[int, Any] = {}
    history = []
    for step in steps:
        if step[0] == "fill":
            key = own.fill(*step[1:])
            standing[key] = (key, *step[1:])
        elif standing:
            key = sorted(standing)[step[1] % len(standing)]
            if step[0] == "bust":
                own.bust(key)
                standing = {k: v for k, v in standing.items() if k != key}
            else:
                own.correct(key, step[2], *step[3:])
                sign = 1 if standing[key][1] > 0 else -1
                standing = standing | {key: (key, sign * step[2], *step[3:])}
        history.append((own.known, standing))
        standing = dict(standing)
    return history


@given(steps=_steps, moment=st.integers(0, 15))
@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_positions_any_fills_busts_and_corrections_are_those_of_fractions(conn, steps, moment):
    own = books(conn)
    history = _replayed(own, steps)
    known, standing = history[moment % len(history)]
    earned = set()
    for method in METHODS:
        expected = account_of([standing[k] for k in sorted(standing)], method)
        rows = own.query(
            "select quantity, cost, realized_pnl, fees, cash from "
            "portfolio.positions_at('infinity', %s, %s, %s)",
            *(known, method),
        )
        quantity, cost, realized, fees, cash = rows[0] if rows else (0, 0, 0, 0, 0)
        assert (quantity, Fraction(fees)) == (expected.quantity, expected.fees)
        assert Fraction(cash) == expected.cash
        assert realized - fees == cash + cost, "to the last digit"
        assert abs(Fraction(realized) - expected.realized) < Fraction(1, 10**9)
        if method != "average":
            assert Fraction(realized) == expected.realized
        earned.add(realized - cost)
    assert len(earned) == 1, "realized + unrealized is the same under every method, exactly"
    own.rebuild()
    assert own.broken() == []


@given(steps=_steps)
@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_lots_any_fills_are_those_of_fractions(conn, steps):
    own = books(conn)
    _, standing = _replayed(own, steps)[-1]
    for method in ("fifo", "lifo"):
        expected = account_of([standing[k] for k in sorted(standing)], method)
        opened = own.query(
            "select opening_execution_id, quantity, cost from "
            "portfolio.lots('infinity', 'infinity', %s, %s) order by lot_no",
            method,
        )
        assert [(k, q, Fraction(c)) for k, q, c in opened] == [
            (lot.opened_by, lot.quantity, lot.cost) for lot in expected.lots
        ]
        closed = own.query(
            "select opening_execution_id, closing_execution_id, quantity, realized_pnl from "
            "portfolio.closed_lots('infinity', 'infinity', %s, %s) order by match_no",
            method,
        )
        assert [(a, b, q, Fraction(r)) for a, b, q, r in closed] == expected.closed


@given(st.lists(st.tuples(_signed, _price, _fee), min_size=1, max_size=15))
@settings(
    max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_positions_at_is_the_last_row_of_replay(conn, fills):
    own = books(conn)
    for fill in fills:
        own.fill(*fill)
    replayed = Jsonb(
        [
            {
                "side": "buy" if q > 0 else "sell",
                "quantity": str(abs(q)),
                "price": str(p),
                "fee": str(f),
            }
            for q, p, f in fills
        ]
    )
    for method in METHODS:
        [(quantity, average, realized, fees)] = own.query(
            "select quantity, average_price, realized_pnl, fees from "
            "portfolio.positions_at('infinity', 'infinity', %s, %s)",
            method,
        )
        assert conn.execute(
            "select position, average_price, realized, fees from portfolio.replay(%s, %s) "
            "order by n desc limit 1",
            (replayed, method),
        ).fetchone() == (quantity, average or 0, realized, fees)


def test_positions_at_a_time_leaves_out_what_came_later_and_what_was_known_later(conn):
    own = books(conn)
    first = own.fill(100, 10, 1, on="2014-06-02")
    before = own.known
    own.fill(-40, 12, 1, on="2014-06-03")
    own.correct(first, 100, 11, 1)
    ask = (
        "select quantity, cost, realized_pnl, fees from portfolio.positions_at(%s, %s, 'fifo', %s)"
    )
    monday = datetime(2014, 6, 2, 20, tzinfo=UTC)
    assert own.query(ask, monday, "infinity") == [(100, 1100, 0, 1)]
    assert own.query(ask, monday, before) == [(100, 1000, 0, 1)]
    assert own.query(ask, "infinity", before) == [(100, 1000, 0, 1)]
    assert own.query(ask, "infinity", own.known - timedelta(minutes=1)) == [(60, 600, 80, 2)]
    assert own.query(ask, "infinity", "infinity") == [(60, 660, 40, 2)]
    assert own.query(ask, monday, KNOWN) == []


def test_closed_lots_tell_how_long_each_was_held(conn):
    own = books(conn)
    a = own.fill(10, 10, on="2014-06-02")
    b = own.fill(10, 20, on="2014-06-10")
    c = own.fill(-15, 30, on="2014-07-02")
    rows = own.query(
        "select opening_execution_id, closing_execution_id, quantity, cost, proceeds, realized_pnl, "
        "days_held, closed_by from portfolio.closed_lots('infinity', 'infinity', 'fifo', %s) "
        "order by match_no"
    )
    assert rows == [
        (a, c, 10, 100, 300, 200, 30, "fill"),
        (b, c, 5, 100, 150, 50, 22, "fill"),
    ]
    assert own.query(
        "select opening_execution_id, opened_on, quantity, cost, price from "
        "portfolio.lots('infinity', 'infinity', 'fifo', %s)"
    ) == [(b, date(2014, 6, 10), 5, 100, 20)]


def _assign(conn: psycopg.Connection, *arguments: Any) -> None:
    conn.execute("select portfolio.assign_lot(%s, %s, %s, %s)", arguments)


def test_assigned_lot_is_closed_first_and_the_rest_first_in_first_out(conn):
    own = books(conn)
    a, b, c = own.fill(10, 10), own.fill(10, 20), own.fill(10, 30)
    sold = own.fill(-15, 40)
    _assign(conn, sold, c, 8, "highest cost first")
    ask = (
        "select opening_execution_id, quantity, realized_pnl from "
        "portfolio.closed_lots('infinity', %s, 'specific', %s) order by match_no"
    )
    assert own.query(ask, "infinity") == [(c, 8, 80), (a, 7, 210)]
    _assign(conn, sold, b, 2, "and some of these")
    assert own.query(ask, "infinity") == [(c, 8, 80), (b, 2, 40), (a, 5, 150)]
    _assign(conn, sold, c, 0, "taken back")
    assert own.query(ask, "infinity") == [(b, 2, 40), (a, 10, 300), (b, 3, 60)]
    assert own.query(ask, KNOWN + timedelta(days=1)) == [(a, 10, 300), (b, 5, 100)], (
        "known before any assignment"
    )
    assert conn.execute(
        "select quantity, reason, assigned_by = session_user from portfolio.lot_assignments "
        "order by assignment_id"
    ).fetchall() == [
        (8, "highest cost first", True),
        (2, "and some of these", True),
        (0, "taken back", True),
    ]
    own.rebuild()
    assert own.broken() == []


def test_assignment_of_a_lot_busted_later_falls_to_first_in_first_out(conn):
    own = books(conn)
    a, b = own.fill(10, 10), own.fill(10, 20)
    sold = own.fill(-5, 40)
    _assign(conn, sold, b, 5, "these")
    own.bust(b)
    assert own.query(
        "select opening_execution_id, quantity from "
        "portfolio.closed_lots('infinity', 'infinity', 'specific', %s)"
    ) == [(a, 5)]


@pytest.mark.parametrize(
    ("closing", "opening", "quantity", "reason", "sqlstate"),
    [
        ("sold", "later", 5, "opened after", "TT004"),
        ("sold", "sold", 5, "itself", "TT004"),
        ("bought", "bought too", 5, "the same side", "TT004"),
        ("sold", "other", 5, "another instrument", "TT004"),
        ("sold", "elsewhere", 5, "another account", "TT004"),
        ("sold", "bought", 11, "more than the lot", "TT004"),
        ("sold", "busted", 1, "busted", "TT004"),
        ("sold", "nothing", 5, "unknown", "TT002"),
        ("sold", "bought", -1, "negative", "TT001"),
        ("sold", "bought", "NaN", "no number", "TT001"),
        ("sold", "bought", None, "no quantity", "TT001"),
        ("sold", "bought", 5, "", "TT001"),
        ("sold", "bought", 5, None, "TT001"),
    ],
)
def test_assignment_that_cannot_be_is_refused(conn, closing, opening, quantity, reason, sqlstate):
    own = books(conn)
    busted = own.fill(10, 9)
    own.bust(busted)
    conn.execute("insert into ref.accounts (account) values ('second')")
    ids = {
        "bought": own.fill(10, 10),
        "bought too": own.fill(10, 10),
        "other": own.fill(10, 10, symbol="AIG"),
        "elsewhere": own.fill(10, 10, account="second"),
        "sold": own.fill(-15, 40),
        "later": own.fill(10, 10),
        "busted": busted,
        "nothing": -1,
    }
    with pytest.raises(psycopg.Error) as caught:
        _assign(conn, ids[closing], ids[opening], quantity, reason)
    assert caught.value.sqlstate == sqlstate
    assert conn.execute("select count(*) from portfolio.lot_assignments").fetchone() == (0,)


def test_assignment_of_a_lot_closed_before_needs_the_former_closing_assigned_elsewhere(conn):
    own = books(conn)
    a, b = own.fill(10, 10), own.fill(10, 20)
    first, second = own.fill(-10, 30), own.fill(-10, 40)
    with pytest.raises(psycopg.Error, match=f"execution {second} can close 0"):
        _assign(conn, second, a, 10, "first in, first out came first")
    _assign(conn, first, b, 10, "so that the other is left")
    _assign(conn, second, a, 10, "which now it is")
    assert own.query(
        "select opening_execution_id from portfolio.closed_lots('infinity', 'infinity', 'specific', %s) "
        "order by match_no"
    ) == [(b,), (a,)]
    with pytest.raises(psycopg.Error, match=f"execution {second} can close 0"):
        _assign(conn, first, b, 0, "would take the lot of the other")
