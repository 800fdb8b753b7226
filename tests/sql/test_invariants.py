"""ops.check_invariants: each promise fails when its rows say otherwise."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime

import psycopg
import pytest
from tests import factories

from tsdb_trader.api import summary


def _fill(conn: psycopg.Connection, session: uuid.UUID, order_id: int, number: int) -> None:
    """Fill an order in our books and in the venue's."""
    venue = factories.Venue(conn, order_id)
    venue.fill(100)
    conn.execute(
        """insert into venue._orders (venue, order_no, participant, fix_session, cl_ord_id,
            root_cl_ord_id, session_id, symbol, side, quantity, order_type, time_in_force, status,
            cumulative_quantity, notional, rank, as_of)
        values ('SIM', %s, 'TSDB', 'x', %s, %s, %s, 'IBM', 'buy', 100, 'limit', 'day', 'filled', 100, 10000,
            1, %s)""",
        (number, venue.cl_ord_id, venue.cl_ord_id, session, factories.AS_OF),
    )
    conn.execute(
        """insert into venue._reports (venue, report_no, participant, fix_session, msg_type, exec_id,
            exec_type, order_no, session_id, cl_ord_id, quantity, price, ts, fields, sent)
        values ('SIM', %s, 'TSDB', 'x', '8', %s, 'F', %s, %s, %s, 100, 100, %s, '{}', true)""",
        (number, f"E{order_id}-1", number, session, venue.cl_ord_id, factories.AS_OF),
    )


@pytest.fixture
def session_id(conn: psycopg.Connection) -> uuid.UUID:
    """Return a session with one filled order of an operator, which the venue knows as well."""
    session = factories.open_session(conn)
    factories.set_quote(conn, session)
    ((order_id, status, reasons),) = factories.submit(conn, factories.order(session))
    assert status == "pending_new", reasons
    _fill(conn, session, order_id, 1)
    return session


def _broken(conn: psycopg.Connection, session_id: uuid.UUID) -> list[str]:
    return [i.invariant for i in summary.check_invariants(conn, session_id) if not i.passed]


def test_invariants_of_a_sound_session_all_hold(
    conn: psycopg.Connection, session_id: uuid.UUID
) -> None:
    found = summary.check_invariants(conn, session_id)
    assert [i for i in found if not i.passed] == []
    assert len(found) == 10


def test_order_whose_replace_was_never_told_of_is_compared_all_the_same(
    conn: psycopg.Connection, session_id: uuid.UUID
) -> None:
    conn.execute("update venue._orders set cl_ord_id = 'R-1'")
    assert _broken(conn, session_id) == []
    conn.execute("update venue._orders set cumulative_quantity = 90")
    assert any("the venue's own book" in name for name in _broken(conn, session_id))


def test_invariants_of_a_parent_whose_child_filled_all_hold(
    conn: psycopg.Connection, session_id: uuid.UUID
) -> None:
    spec = factories.order(session_id, is_parent=True, quantity="300")
    ((parent_id, _, _),) = factories.submit(conn, spec)
    spec = factories.order(session_id, origin="parent", operator=None, parent_order_id=parent_id)
    ((child_id, status, reasons),) = factories.submit(conn, spec)
    assert status == "pending_new", reasons
    _fill(conn, session_id, child_id, 2)
    assert _broken(conn, session_id) == []


@pytest.mark.parametrize(
    ("change", "promise"),
    [
        ("update venue._orders set cumulative_quantity = 99", "executions = quantity"),
        ("delete from venue._orders", "executions = quantity"),
        ("delete from oms.executions", "executions = quantity"),
        ("update portfolio._positions set quantity = quantity + 1", "position and cash"),
        ("update portfolio._positions set cash = cash + 1", "position and cash"),
        ("update portfolio._positions set realized_pnl = 7", "cash + marked positions"),
        ("delete from market.latest_quotes", "cash + marked positions"),
        (
            # The table is append-only: a second decision is what can be faked.
            "insert into risk.decisions (order_id, as_of, passed, controls, passes, reasons, "
            "observed, limit_values) select order_id, as_of, passed, controls, passes, reasons, "
            "observed, limit_values from risk.decisions",
            "every order has a risk decision",
        ),
        ("delete from oms.fix_messages where direction = 'in'", "every FIX message"),
        (
            "insert into oms.breaks (kind, ours, theirs) values ('quantity', '{}', '{}')",
            "no reconciliation break",
        ),
    ],
)
def test_invariant_broken_is_found(
    change: str, promise: str, conn: psycopg.Connection, session_id: uuid.UUID
) -> None:
    conn.execute(change)
    assert any(name.startswith(promise) for name in _broken(conn, session_id))


def test_invariant_order_without_an_answer_is_found(
    conn: psycopg.Connection, session_id: uuid.UUID
) -> None:
    factories.submit(conn, factories.order(session_id))
    assert "no order is stuck" in _broken(conn, session_id)


def test_invariant_lost_row_of_a_file_is_found(
    conn: psycopg.Connection,
) -> None:
    conn.execute("insert into ops.feeds (feed, format) values ('test', 'test')")
    now = datetime(2013, 10, 8, 14, 0, tzinfo=UTC)
    conn.execute(
        """insert into market.sources (feed_id, sha256, content, name, kind, instrument_id, status,
            next_row, rows_read, rows_stored, first_ts, last_ts)
        select feed_id, 'x', 'x', 'x', 'quotes', %s, 'complete', 1, 1, 1, %s, %s from ops.feeds
        where feed = 'test'""",
        (factories.add_instrument(conn), now, now),
    )
    row = conn.execute("select ops.open_session('paper', 'test', 'test')").fetchone()
    assert row is not None
    assert _broken(conn, row[0]) == ["rows read = stored + quarantined, in every file"]


def test_invariants_of_an_unknown_session_are_an_error(conn: psycopg.Connection) -> None:
    with pytest.raises(psycopg.Error) as error:
        summary.check_invariants(conn, uuid.uuid4())
    assert error.value.sqlstate == "TT002"
