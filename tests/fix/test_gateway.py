"""The gateway against an independent FIX 4.4 acceptor: orders out, reports in."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

import nursery
from factories import AS_OF, order, set_quote, submit
from fix.harness import until

pytestmark = pytest.mark.slow


@pytest.fixture
def trading(gateway: Any, venue: Any, desk: Any) -> tuple[Any, Any, Any]:
    """Return a gateway that is logged on, its venue and the desk."""
    gateway.start()
    venue.expect("logon")
    return gateway, venue, desk


def test_order_acknowledged_and_filled_is_booked(trading: Any) -> None:
    _, venue, desk = trading
    order_id = desk.submit()
    sent = venue.message("D")
    assert (sent["55"], sent["54"], sent["38"], sent["44"], sent["40"]) == (
        "IBM",
        "1",
        "100",
        "100.01",
        "2",
    )
    assert (sent["386"], sent["336"]) == ("1", str(desk.session))
    assert sent["60"] == "20131008-14:30:00.000"
    assert "97" not in sent
    venue.report(sent, "0", "0")
    venue.settle()
    assert desk.status(order_id) == "new"
    venue.fill(sent, 40, 40)
    venue.settle()
    assert desk.filled(order_id) == ("partially_filled", 40, 1)
    venue.fill(sent, 60, 100)
    venue.settle()
    assert desk.filled(order_id) == ("filled", 100, 2)
    position = desk.one("select quantity::integer, average_price from portfolio.positions")
    assert (position[0], str(position[1])[:7]) == (100, "100.005")
    kinds = desk.conn.execute(
        "select direction, msg_type, count(*)::integer from oms.fix_messages "
        "where msg_type in ('D', '8') group by 1, 2 order by 1"
    ).fetchall()
    assert kinds == [("in", "8", 3), ("out", "D", 1)]


def test_order_sent_is_archived_as_on_the_wire_and_marked_sent(trading: Any) -> None:
    _, venue, desk = trading
    order_id = desk.submit()
    sent = venue.message("D")
    venue.report(sent, "0", "0")
    venue.settle()
    row = desk.one(
        "select a.status, m.raw, m.seqnum from oms.order_actions a "
        "join oms.fix_messages m on m.message_id = a.message_id where a.order_id = %s",
        order_id,
    )
    assert row[0] == "sent"
    assert f"\x0134={sent['34']}\x01" in row[1]
    assert row[1].endswith(f"\x0110={sent['10']}\x01")


def test_reject_of_order_carries_the_venues_reason(trading: Any) -> None:
    _, venue, desk = trading
    order_id = desk.submit()
    venue.report(venue.message("D"), "8", "8", t103="3", t58="too large", t151=0)
    venue.settle()
    assert desk.one("select status, reasons from oms.orders where order_id = %s", order_id) == (
        "rejected",
        ["venue: too large"],
    )


def test_cancel_accepted_ends_the_order(trading: Any) -> None:
    _, venue, desk = trading
    order_id = desk.submit()
    sent = venue.message("D")
    venue.report(sent, "0", "0")
    venue.settle()
    desk.cancel(order_id)
    cancel = venue.message("F")
    assert (cancel["41"], cancel["55"], cancel["54"]) == (sent["11"], "IBM", "1")
    assert cancel["11"] != sent["11"]
    venue.report(cancel, "4", "4", t41=sent["11"], t151=0)
    venue.settle()
    assert desk.status(order_id) == "cancelled"


def test_cancel_rejected_leaves_the_order_working(trading: Any) -> None:
    _, venue, desk = trading
    order_id = desk.submit()
    sent = venue.message("D")
    venue.report(sent, "0", "0")
    venue.settle()
    desk.cancel(order_id)
    cancel = venue.message("F")
    venue.send(
        (35, "9"),
        (11, cancel["11"]),
        (41, sent["11"]),
        (37, "V1"),
        (39, "0"),
        (434, "1"),
        (102, "0"),
        (58, "too late"),
    )
    venue.settle()
    assert desk.status(order_id) == "new"


def test_report_sent_twice_is_booked_once(trading: Any) -> None:
    _, venue, desk = trading
    order_id = desk.submit()
    sent = venue.message("D")
    exec_id = venue.fill(sent, 40, 40)
    venue.fill(sent, 40, 40, t17=exec_id)
    venue.settle()
    assert desk.filled(order_id) == ("partially_filled", 40, 1)


def test_fill_of_unknown_order_is_booked_to_suspense(trading: Any) -> None:
    _, venue, desk = trading
    venue.fill({"11": "NOBODY-1", "54": "1", "55": "IBM"}, 10, 10)
    venue.settle()
    assert desk.one("select account, quantity::integer from oms.executions") == ("suspense", 10)
    assert desk.one("select kind from oms.breaks") == "unknown_order"


def test_report_that_cannot_be_used_is_kept_and_the_next_one_applied(trading: Any) -> None:
    _, venue, desk = trading
    order_id = desk.submit()
    sent = venue.message("D")
    bad = venue.fill(sent, 40, 40, t31="0")
    venue.fill(sent, 100, 100)
    venue.settle()
    assert desk.filled(order_id)[2] == 1
    assert desk.one("select count(*) from oms.fix_messages where exec_id = %s", bad) == 1
    assert "unusable_report" in desk.alerts()


def test_status_report_nobody_asked_for_changes_nothing(trading: Any) -> None:
    _, venue, desk = trading
    order_id = desk.submit()
    sent = venue.message("D")
    venue.report(sent, "0", "0")
    venue.answer_unknown(sent)
    venue.settle()
    assert desk.status(order_id) == "new"
    assert desk.one("select count(*) from oms.breaks") == 0


@pytest.mark.parametrize("kind", ["3", "j"])
def test_session_reject_of_order_rejects_it(trading: Any, kind: str) -> None:
    _, venue, desk = trading
    order_id = desk.submit()
    sent = venue.message("D")
    reason = (380, "0") if kind == "j" else (373, "5")
    venue.send((35, kind), (45, sent["34"]), (372, "D"), reason, (58, "no such field"))
    venue.settle()
    assert desk.one("select status, reasons from oms.orders where order_id = %s", order_id) == (
        "rejected",
        ["venue: session reject: no such field"],
    )
    assert "message_rejected" in desk.alerts()


def test_session_reject_of_cancel_leaves_the_order_working(trading: Any) -> None:
    _, venue, desk = trading
    order_id = desk.submit()
    venue.report(venue.message("D"), "0", "0")
    venue.settle()
    desk.cancel(order_id)
    cancel = venue.message("F")
    venue.send((35, "3"), (45, cancel["34"]), (58, "no"))
    venue.settle()
    assert desk.status(order_id) == "new"


def test_resend_request_of_venue_never_repeats_an_order(trading: Any) -> None:
    _, venue, desk = trading
    desk.submit()
    sent = venue.message("D")
    venue.report(sent, "0", "0")
    venue.settle()
    venue.send((35, "2"), (7, 1), (16, 0))
    # The next application message is the new order, not the old one again.
    desk.submit()
    assert venue.message("D")["11"] != sent["11"]


def test_message_of_venue_that_the_engine_refuses_is_archived_and_alerted(trading: Any) -> None:
    _, venue, desk = trading
    order_id = desk.submit()
    sent = venue.message("D")
    lost = venue.fill(sent, 40, 40, t60="yesterday")
    venue.settle()
    assert desk.status(order_id) == "pending_new"
    until(lambda: "message_refused" in desk.alerts(), "an alert")
    # It is archived in the step that alerts, after the alert.
    until(
        lambda: desk.one("select count(*) from oms.fix_messages where exec_id = %s", lost) == 1,
        "the refused message in the archive",
    )


def test_session_messages_both_ways_are_archived(
    trading: Any, terminate: Callable[[nursery.Child], int]
) -> None:
    gateway, venue, desk = trading
    venue.settle()
    assert terminate(gateway.process) == 0
    found = desk.conn.execute(
        "select distinct direction, msg_type from oms.fix_messages "
        "where msg_type in ('A', '1', '0', '5')"
    ).fetchall()
    assert {("in", "A"), ("out", "A"), ("in", "1"), ("out", "0"), ("out", "5")} <= set(found)


def test_gateway_whose_lease_is_taken_sends_nothing_and_ends(trading: Any) -> None:
    gateway, venue, desk = trading
    venue.settle()
    # Expired and taken by somebody else in between, as after a long pause of the process.
    desk.conn.execute(
        "update ops.leases set owner = 'other', epoch = epoch + 1, "
        "expires_at = clock_timestamp() + interval '1 hour' where lease = 'fix:SIM'"
    )
    assert gateway.process.wait(60) != 0
    assert "another process owns it" in gateway.log()


def test_second_gateway_stands_by_until_the_first_ends(
    trading: Any, terminate: Callable[[nursery.Child], int]
) -> None:
    gateway, venue, desk = trading
    first = gateway.process
    desk.submit()
    sent = venue.message("D")
    venue.report(sent, "0", "0")
    venue.settle()
    gateway.start()
    until(lambda: "standing by" in gateway.log(), "a second gateway standing by")
    assert terminate(first) == 0
    venue.expect("logon")
    asked = venue.message("H")
    assert asked["11"] == sent["11"]


def test_order_of_a_later_session_time_keeps_it(trading: Any) -> None:
    _, venue, desk = trading
    later = AS_OF + timedelta(hours=2, milliseconds=7)
    set_quote(desk.conn, desk.session, ts=later)
    submit(desk.conn, order(desk.session), request_id=uuid.uuid4(), as_of=later)
    assert venue.message("D")["60"] == "20131008-16:30:00.007"
