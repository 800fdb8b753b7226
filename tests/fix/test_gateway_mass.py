"""Mass status, trade capture, throttle and several processes, against a scripted venue."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

import nursery
from fix.harness import until

pytestmark = pytest.mark.slow


@pytest.fixture
def trading(gateway: Any, venue: Any, desk: Any) -> tuple[Any, Any, Any]:
    """Return a gateway, its venue and the desk with mass status; nothing is started yet."""
    desk.configure(has_mass_status=True)
    return gateway, venue, desk


def listed(venue: Any, asked: dict[str, str], *orders: dict[str, str], **changes: object) -> None:
    """Answer a mass status request with these orders."""
    if not orders:
        none = {"11": "NONE", "54": "7", "55": "[N/A]"}
        venue.report(none, "I", "8", t584=asked["584"], t911=0, t912="Y", t103="5", t37="NONE")
    for number, order in enumerate(orders, 1):
        last = "Y" if number == len(orders) else "N"
        fields = {"t584": asked["584"], "t911": len(orders), "t912": last}
        venue.report(order, "I", "0", **(fields | changes))


def heartbeat(desk: Any) -> dict[str, Any]:
    query = "select detail from ops.heartbeats where worker = 'fix:SIM'"
    row = desk.conn.execute(query).fetchone()
    return dict(row[0]) if row else {"gate": "none"}


def working(trading: Any) -> dict[str, str]:
    """Start, open the gate, and return an order that works."""
    gateway, venue, desk = trading
    gateway.start()
    listed(venue, venue.message("AF"))
    desk.submit()
    sent = venue.message("D")
    venue.report(sent, "0", "0")
    venue.settle()
    return dict(sent)


def test_first_logon_asks_for_all_orders_before_it_sends_one(trading: Any) -> None:
    gateway, venue, desk = trading
    desk.submit()
    gateway.start()
    asked = venue.message("AF")
    assert asked["585"] == "7"
    venue.settle()
    listed(venue, asked)
    # In doubt since before the logon and not listed: that alone does not prove it unknown.
    question = venue.message("H")
    venue.answer_unknown(question)
    assert venue.message("D")["97"] == "Y"
    assert desk.one("select count(*) from oms.breaks") == 0


def test_order_that_is_listed_is_not_asked_about(trading: Any) -> None:
    gateway, venue, desk = trading
    sent = working(trading)
    gateway.kill()
    gateway.start()
    listed(venue, venue.message("AF"), sent)
    later = desk.submit()
    assert venue.message("D")["11"] != sent["11"]
    assert desk.status(later) == "pending_new"
    assert desk.sent("H") == []
    assert desk.one("select count(*) from oms.breaks") == 0


def test_order_listed_that_nobody_knows_is_a_break(trading: Any) -> None:
    gateway, venue, desk = trading
    sent = working(trading)
    gateway.kill()
    gateway.start()
    listed(venue, venue.message("AF"), sent, {"11": "NOBODY-1", "54": "1", "55": "IBM"})
    until(
        lambda: (
            desk.conn.execute("select kind, source from oms.breaks").fetchall()
            == [("unknown_order", "mass_status")]
        ),
        "the break",
    )
    until(lambda: heartbeat(desk)["differences"] == 1, "the heartbeat to say so")


@pytest.mark.parametrize("answer", ["silence", "part", "business reject", "session reject"])
def test_mass_status_without_a_complete_answer_falls_back_to_single_questions(
    trading: Any, answer: str
) -> None:
    gateway, venue, desk = trading
    gateway.answer_timeout_s = 1.0
    sent = working(trading)
    gateway.kill()
    gateway.start()
    asked = venue.message("AF")
    if answer == "part":
        stranger = {"11": "NOBODY-1", "54": "1", "55": "IBM"}
        venue.report(stranger, "I", "0", t584=asked["584"], t911=2, t912="N")
    elif answer == "business reject":
        venue.send((35, "j"), (45, asked["34"]), (372, "AF"), (380, "3"), (58, "not here"))
    elif answer == "session reject":
        venue.send((35, "3"), (45, asked["34"]), (373, "11"), (58, "what?"))
    question = venue.message("H")
    assert question["11"] == sent["11"]
    venue.answer(question, "0")
    desk.submit()
    venue.message("D")
    # Half a list compares nothing.
    assert desk.one("select count(*) from oms.breaks") == 0
    if answer.endswith("reject"):
        # A venue that does not know the message is not asked again.
        venue.command("logout")
        venue.expect("logout")
        venue.command("logon")
        assert {venue.message("H")["11"], venue.message("H")["11"]} >= {sent["11"]}


def test_answer_cut_off_by_a_lost_connection_is_asked_for_again(trading: Any) -> None:
    gateway, venue, _desk = trading
    sent = working(trading)
    gateway.kill()
    gateway.start()
    first = venue.message("AF")
    stranger = {"11": "NOBODY-1", "54": "1", "55": "IBM"}
    venue.report(stranger, "I", "0", t584=first["584"], t911=2, t912="N")
    venue.settle()
    venue.command("logout")
    venue.expect("logout")
    venue.command("logon")
    second = venue.message("AF")
    assert second["584"] != first["584"]
    listed(venue, second, sent)
    venue.settle()


def test_trades_of_the_day_are_asked_for_after_the_logon_and_compared(trading: Any) -> None:
    gateway, venue, desk = trading
    sent = working(trading)
    exec_id = venue.fill(sent, 40, 40)
    venue.settle()
    gateway.kill()
    desk.configure(has_trade_capture=True)
    gateway.start()
    listed(venue, venue.message("AF"), sent, t14=40, t151=60)
    asked = venue.message("AD")
    assert (asked["569"], asked["580"], asked["75"]) == ("1", "2", "20131008")
    venue.send((35, "AQ"), (568, asked["568"]), (569, "1"), (748, 1), (749, 0), (750, 0))
    venue.send(
        *((35, "AE"), (571, "T1"), (568, asked["568"]), (748, 1), (912, "Y"), (17, exec_id)),
        *((570, "N"), (55, "IBM"), (32, 40), (31, "100.005"), (75, "20131008")),
        *((60, "20131008-14:30:01.000"), (552, 1), (54, "1"), (37, "V1"), (11, sent["11"])),
    )
    until(
        lambda: (
            desk.conn.execute(
                "select trade_date::text, (select count(*) from oms.venue_trades) "
                "from oms.venue_statements where source = 'trade_capture'"
            ).fetchall()
            == [("2013-10-08", 1)]
        ),
        "the venue's trades",
    )
    until(
        lambda: (
            desk.one(
                "select count(*) from oms.fix_messages where direction = 'in' "
                "and msg_type in ('AQ', 'AE')"
            )
            == 2
        ),
        "the answer in the archive",
    )


def test_throttled_orders_wait_and_a_cancel_overtakes_them(trading: Any) -> None:
    gateway, venue, desk = trading
    desk.configure(has_mass_status=False, throttle_per_s=2, queue_alert_s=0.5)
    gateway.start()
    until(lambda: heartbeat(desk)["gate"] == "open", "the gate to open")
    first = desk.submit()
    sent = venue.message("D")
    venue.report(sent, "0", "0")
    venue.settle()
    waiting = [desk.submit() for _ in range(8)]
    desk.cancel(first)
    left = []
    while len(left) < 9:
        left.append(venue.expect("message")["fields"])
    kinds = [m["35"] for m in left]
    assert kinds.count("D") == 8
    # At most the window that was free when the cancel came went before it.
    assert kinds.index("F") <= 2
    times = [m["52"] for m in left]
    assert all(later[:17] != earlier[:17] for earlier, later in zip(times, times[3:], strict=False))
    assert all(desk.status(order_id) == "pending_new" for order_id in waiting)
    assert "gateway_queue" in desk.alerts()


def test_order_that_waited_too_long_is_refused_and_a_cancel_is_sent(trading: Any) -> None:
    gateway, venue, desk = trading
    desk.configure(stale_s=5)
    sent = working(trading)
    order_id = desk.one("select order_id from oms.orders")
    venue.command("logout")
    venue.expect("logout")
    venue.stop()
    stale = desk.submit()
    desk.cancel(order_id)
    desk.conn.execute("update oms.order_actions set recorded_at = recorded_at - interval '9 s'")
    venue.start()
    listed(venue, venue.message("AF"), sent)
    if desk.status(stale) == "unknown":
        venue.answer_unknown(venue.message("H"))
    assert venue.message("F")["41"] == sent["11"]
    until(lambda: desk.status(stale) == "rejected", "the order to be refused")
    assert "gateway: stale" in desk.one(
        "select reasons[1] from oms.orders where order_id = %s", stale
    )
    assert gateway.process.poll() is None


def test_sessions_of_two_processes_are_shared_and_taken_over(
    trading: Any, terminate: Callable[[nursery.Child], int]
) -> None:
    gateway, venue, desk = trading
    desk.conn.execute(
        'select oms.add_fix_session(\'LAB\', \'SIMPR\', \'{"kind": "drop_copy", "sender": "X"}\')'
    )
    gateway.sessions = ["SIM"]
    first = gateway.start()
    listed(venue, venue.message("AF"))
    gateway.sessions = []
    second = gateway.start()
    until(lambda: "standing by" in gateway.log(), "the second process to stand by for SIM")
    holders = "select lease, owner like %s from ops.leases where lease like 'fix:%%' order by 1"
    until(
        lambda: (
            dict(desk.conn.execute(holders, (f"%#{second.pid}@%",)).fetchall())
            == {"fix:LAB": True, "fix:SIM": False, "fix:SIMDARK": True, "fix:SIMPR": True}
        ),
        "every other session in the second process",
    )
    assert terminate(first) == 0
    listed(venue, venue.message("AF"))
    until(
        lambda: desk.one(
            "select owner like %s from ops.leases where lease = 'fix:SIM'", f"%#{second.pid}@%"
        ),
        "the second process to take over",
    )


def test_changed_session_lets_the_process_begin_anew(trading: Any) -> None:
    gateway, venue, desk = trading
    process = gateway.start()
    listed(venue, venue.message("AF"))
    desk.configure(heartbeat_s=7)
    assert process.wait(30) == 0
    assert "sessions changed" in gateway.log()


def test_session_that_does_not_exist_ends_the_process(trading: Any) -> None:
    gateway, _venue, _desk = trading
    gateway.sessions = ["NONE"]
    assert gateway.start().wait(30) != 0
    assert "no FIX session is called NONE" in gateway.log()


def test_mass_cancel_before_a_clean_logout_is_sent_once(
    trading: Any, terminate: Callable[[nursery.Child], int]
) -> None:
    gateway, venue, desk = trading
    desk.configure(has_mass_cancel=True, cancel_on_disconnect=True)
    sent = working(trading)
    assert terminate(gateway.process) == 0
    cancel = venue.message("q")
    assert cancel["530"] == "7"
    gateway.start()
    asked = venue.message("AF")
    venue.report(sent, "4", "4", t151=0)
    listed(venue, asked)
    venue.settle()
    assert desk.one("select status from oms.orders") == "cancelled"
    assert len(desk.sent("q")) == 1
    assert "dead_man" not in desk.alerts()


def test_session_added_or_made_inactive_leaves_the_others_connected(
    trading: Any, terminate: Callable[[nursery.Child], int]
) -> None:
    gateway, venue, desk = trading
    for name in ("SIMPR", "SIMDARK"):
        desk.configure(name, status="inactive")
    gateway.sessions = []
    process = gateway.start()
    listed(venue, venue.message("AF"))
    until(lambda: heartbeat(desk)["gate"] == "open", "the gate to open")
    connected = gateway.log().count("logged on")
    leases = (
        "select lease from ops.leases where lease like 'fix:%' and expires_at > clock_timestamp() "
        "order by 1"
    )

    def held() -> list[str]:
        return [row[0] for row in desk.conn.execute(leases)]

    desk.configure("SIMPR", status="active")
    until(lambda: held() == ["fix:SIM", "fix:SIMPR"], f"the other session, there is {held()}")
    desk.configure("SIMPR", status="inactive")
    until(lambda: held() == ["fix:SIM"], f"it to end, there is {held()}")
    desk.submit()
    assert venue.message("D")["55"] == "IBM"
    assert gateway.log().count("logged on") == connected == 1
    # The engine does not forget a session: to have it again takes a new process.
    desk.configure("SIMPR", status="active")
    assert process.wait(30) == 0
    assert "sessions changed" in gateway.log()
