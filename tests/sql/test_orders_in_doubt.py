"""Orders in doubt: what was asked of the venue is neither forgotten nor repeated."""

from __future__ import annotations

import uuid
from typing import Any

import psycopg
import pytest
from psycopg.types.json import Jsonb

from factories import AS_OF, Venue, open_session, order, set_quote, submit


@pytest.fixture
def session(conn: psycopg.Connection) -> uuid.UUID:
    session_id = open_session(conn)
    set_quote(conn, session_id)
    return session_id


@pytest.fixture
def order_id(conn: psycopg.Connection, session: uuid.UUID) -> int:
    return submit(conn, order(session))[0][0]


def cancel(conn: psycopg.Connection, order_id: int) -> Any:
    return conn.execute(
        "select status, reasons from oms.cancel_order(%s, %s, %s)", (order_id, uuid.uuid4(), AS_OF)
    ).fetchone()


def send_all(conn: psycopg.Connection) -> list[str]:
    """Mark every pending action as sent; return their kinds."""
    rows = conn.execute("select action_id, kind from oms.pending_actions('SIM', 10)").fetchall()
    messages = [
        {"action_id": a, "fix_session": "S", "seqnum": a, "msg_type": k, "raw": k} for a, k in rows
    ]
    conn.execute("select oms.record_sent(%s)", (Jsonb(messages),))
    return [kind for _, kind in rows]


def status(conn: psycopg.Connection, order_id: int) -> str:
    row = conn.execute("select status from oms.orders where order_id = %s", (order_id,)).fetchone()
    assert row is not None
    return str(row[0])


@pytest.mark.parametrize("late", ["new", "fill"])
def test_cancel_lost_on_the_way_goes_again_though_a_late_report_comes_before_the_answer(
    conn, order_id, late
):
    assert cancel(conn, order_id) == ("pending_cancel", [])
    assert send_all(conn) == ["new", "cancel"]
    conn.execute("select * from oms.begin_recovery('SIM')")
    venue = Venue(conn, order_id)
    # The venue got the order and not the cancel; what it said of the order comes first.
    venue.report("new") if late == "new" else venue.fill(40)
    assert status(conn, order_id) == "unknown"
    venue.status("new" if late == "new" else "partially_filled")
    assert status(conn, order_id) == "pending_cancel"
    assert send_all(conn) == ["cancel"]


@pytest.mark.parametrize("sent", [True, False])
def test_order_to_be_cancelled_that_the_venue_does_not_know_is_not_sent_again(conn, order_id, sent):
    cancel(conn, order_id)
    if sent:
        send_all(conn)
    conn.execute("select * from oms.begin_recovery('SIM')")
    venue = Venue(conn, order_id)
    for _ in range(2):
        venue.status("rejected", ord_rej_reason="unknown_order")
        assert status(conn, order_id) == "cancelled"
    assert send_all(conn) == []
    assert conn.execute("select count(*) from oms.breaks").fetchone() == (0,)
    assert cancel(conn, order_id) == ("cancelled", ["the order is cancelled already"])


def test_order_done_for_day_still_counts_for_the_position(conn, session, order_id):
    conn.execute("select risk.set_limit('position', '{}', 100, 'test')")
    venue = Venue(conn, order_id)
    venue.report("new")
    venue.report("done_for_day")
    assert submit(conn, order(session, quantity="1"))[0][1] == "denied"


@pytest.mark.parametrize("price", ["NaN", "Infinity"])
def test_price_of_a_report_that_fills_nothing_is_not_looked_at(conn, order_id, price):
    Venue(conn, order_id).report("new", last_px=price)
    row = conn.execute("select traded_value from oms.orders").fetchone()
    assert row == (0,)


def message(conn: psycopg.Connection, kind: str) -> dict[str, Any]:
    row = conn.execute(
        "select action_id, cl_ord_id from oms.order_actions where kind = %s", (kind,)
    ).fetchone()
    assert row is not None
    return {
        "action_id": row[0], "cl_ord_id": row[1], "fix_session": "S", "seqnum": row[0],
        "msg_type": "D" if kind == "new" else "F", "raw": kind,
    }  # fmt: skip


def actions(conn: psycopg.Connection) -> list[tuple[Any, ...]]:
    return conn.execute(
        """select a.kind, a.status, m.raw from oms.order_actions a left join oms.fix_messages m
           on m.message_id = a.message_id and m.recorded_at = a.message_at order by a.action_id"""
    ).fetchall()


def test_cancel_rejected_before_it_was_recorded_keeps_its_message(conn, order_id):
    send_all(conn)
    venue = Venue(conn, order_id)
    venue.report("new")
    cancel(conn, order_id)
    sent = message(conn, "cancel")
    venue.cancel_reject(sent["cl_ord_id"])
    conn.execute("select oms.record_sent(%s)", (Jsonb([sent]),))
    assert actions(conn) == [("new", "sent", "new"), ("cancel", "void", "cancel")]


def test_order_in_doubt_found_in_the_store_of_a_dead_gateway_keeps_its_message(conn, order_id):
    conn.execute("select * from oms.begin_recovery('SIM')")
    sent = message(conn, "new")
    assert conn.execute("select oms.archive_messages(%s)", (Jsonb([sent]),)).fetchone() == (1,)
    assert actions(conn) == [("new", "pending", "new")]
    Venue(conn, order_id).status("new")
    assert actions(conn) == [("new", "sent", "new")]


def test_alerts_about_a_silent_venue_are_resolved_when_it_answers(conn, order_id):
    conn.execute("select * from oms.begin_recovery('SIM')")
    detail = f'{{"order_id": {order_id}}}'
    conn.execute("select ops.raise_alert('status_unanswered', 'critical', 'silent', %s)", (detail,))
    conn.execute(
        "select ops.raise_alert('gateway_offline', 'critical', 'off', '{\"fix_session\": \"S\"}')"
    )
    watch = "select ops.watch_orders('1 hour')"
    still = "select array_agg(kind order by kind) from ops.alerts where resolved_at is null"
    conn.execute(watch)
    assert conn.execute(still).fetchone() == (["gateway_offline", "status_unanswered"],)
    Venue(conn, order_id).status("new")
    conn.execute(
        "select ops.beat('fix:SIM', 'fix_session', 1, 'h', 'running', "
        '\'{"fix_session": "S", "logged_on": true}\', now())'
    )
    conn.execute(watch)
    assert conn.execute(still).fetchone() == (None,)
