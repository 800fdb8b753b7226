"""Crashes, lost connections and a lost database: nothing lost, nothing sent twice unasked."""

from __future__ import annotations

import shutil
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeAlias

import psycopg
import pytest

from fix.harness import until

pytestmark = pytest.mark.slow


@pytest.fixture
def trading(gateway: Any, venue: Any, desk: Any) -> tuple[Any, Any, Any]:
    """Return a gateway that is logged on, its venue and the desk."""
    gateway.start()
    venue.expect("logon")
    return gateway, venue, desk


Die: TypeAlias = Callable[[Callable[[], Any], str], tuple[Any, dict[str, str]]]


@pytest.fixture
def send_and_die(trading: Any, connect_as: Any) -> Die:
    """Return a function that lets a message leave and kills the gateway before it records that."""
    gateway, venue, desk = trading

    def act(submit: Callable[[], Any], kind: str) -> tuple[Any, dict[str, str]]:
        token = venue.settle()
        heartbeat = f"%112={token}%"
        until(
            lambda: desk.one(
                "select count(*) = 2 from oms.fix_messages where raw like %s", heartbeat
            ),
            "the gateway to have nothing left to archive",
        )
        before = desk.sent(kind)
        blocker = connect_as(None, autocommit=False)
        # Recording waits for this lock; sending does not.
        blocker.execute("lock table oms.fix_messages in exclusive mode")
        result = submit()
        sent = venue.message(kind)
        gateway.kill()
        # Or the statement of the dead process would still be carried out.
        connect_as("tsdb_worker_gateway").execute(
            "select pg_terminate_backend(pid, 5000) from pg_stat_activity "
            "where datname = current_database() and usename = current_user "
            "and pid <> pg_backend_pid()"
        )
        blocker.rollback()
        assert desk.sent(kind) == before
        return result, sent

    return act


def test_gateway_killed_between_send_and_record_asks_before_anything_else(
    trading: Any, send_and_die: Die
) -> None:
    gateway, venue, desk = trading
    order_id, sent = send_and_die(trading[2].submit, "D")
    gateway.start()
    asked = venue.message("H")
    assert asked["11"] == sent["11"]
    assert desk.status(order_id) == "unknown"
    # What the dead process sent and did not record came back from its message store.
    assert [raw.split("\x0134=")[1].split("\x01")[0] for raw in desk.sent()] == [sent["34"]]
    venue.answer(asked, "0")
    venue.settle()
    assert desk.status(order_id) == "new"
    assert len(desk.sent()) == 1
    venue.fill(sent, 100, 100)
    venue.settle()
    assert desk.filled(order_id) == ("filled", 100, 1)
    assert desk.one("select count(*) from oms.breaks where resolved_at is null") == 0


def test_order_the_venue_does_not_know_goes_again_with_poss_resend(
    trading: Any, send_and_die: Die
) -> None:
    gateway, venue, desk = trading
    order_id, sent = send_and_die(trading[2].submit, "D")
    gateway.start()
    venue.answer_unknown(venue.message("H"))
    again = venue.message("D")
    assert (again["11"], again["97"]) == (sent["11"], "Y")
    assert "43" not in again
    venue.report(again, "0", "0")
    venue.settle()
    assert desk.status(order_id) == "new"
    until(lambda: len(desk.sent()) == 2, "the second message in the archive")


def test_answer_without_echo_of_our_id_is_accepted(trading: Any, send_and_die: Die) -> None:
    gateway, venue, desk = trading
    order_id, _ = send_and_die(trading[2].submit, "D")
    gateway.start()
    venue.answer(venue.message("H"), "0", t790=None)
    venue.settle()
    assert desk.status(order_id) == "new"


def test_refusal_as_unknown_counts_as_the_answer(trading: Any, send_and_die: Die) -> None:
    gateway, venue, _desk = trading
    _, sent = send_and_die(trading[2].submit, "D")
    gateway.start()
    asked = venue.message("H")
    venue.report(asked, "8", "8", t103="5", t58="unknown order")
    assert venue.message("D")["11"] == sent["11"]


def test_new_order_waits_until_all_questions_are_answered(trading: Any, send_and_die: Die) -> None:
    gateway, venue, desk = trading
    send_and_die(trading[2].submit, "D")
    gateway.start()
    asked = venue.message("H")
    later = desk.submit()
    venue.settle()
    assert desk.status(later) == "pending_new"
    venue.answer(asked, "0")
    sent = venue.message("D")
    assert "97" not in sent
    venue.report(sent, "0", "0")
    venue.settle()
    assert desk.status(later) == "new"


def test_report_missed_while_down_is_booked_before_the_answer(
    trading: Any, send_and_die: Die
) -> None:
    gateway, venue, desk = trading
    order_id, sent = send_and_die(trading[2].submit, "D")
    venue.expect("logout")
    venue.fill(sent, 40, 40)
    gateway.start()
    venue.answer(venue.message("H"), "1", t14=40, t151=60)
    venue.settle()
    assert desk.filled(order_id) == ("partially_filled", 40, 1)
    assert desk.one("select count(*) from oms.breaks") == 0


def test_status_question_unanswered_is_asked_again_and_alerted(
    trading: Any, send_and_die: Die
) -> None:
    gateway, venue, desk = trading
    order_id, _ = send_and_die(trading[2].submit, "D")
    gateway.answer_timeout_s = 1.0
    gateway.start()
    first = venue.message("H")
    second = venue.message("H")
    assert (second["11"], second["790"]) == (first["11"], first["790"]), "a late answer counts too"
    assert "status_unanswered" in desk.alerts()
    assert desk.status(order_id) == "unknown"
    venue.answer(second, "0")
    until(lambda: desk.status(order_id) == "new", "the answer to count")


def test_old_answer_replayed_to_a_new_process_does_not_count(
    trading: Any, send_and_die: Die
) -> None:
    gateway, venue, desk = trading
    order_id, _ = send_and_die(trading[2].submit, "D")
    gateway.start()
    first = venue.message("H")
    gateway.kill()
    venue.expect("logout")
    # Answered while nobody listened: the next process gets it as a replay.
    venue.answer_unknown(first)
    gateway.start()
    second = venue.message("H")
    venue.settle()
    assert desk.status(order_id) == "unknown"
    venue.answer(second, "0")
    venue.settle()
    assert desk.status(order_id) == "new"


def test_connection_lost_and_regained_shuts_the_gate_until_answers(trading: Any) -> None:
    _, venue, desk = trading
    order_id = desk.submit()
    sent = venue.message("D")
    venue.report(sent, "0", "0")
    venue.settle()
    venue.command("logout")
    venue.expect("logout")
    later = desk.submit()
    venue.command("logon")
    asked = [venue.message("H")]
    if desk.status(later) == "unknown":
        asked.append(venue.message("H"))
    assert asked[0]["11"] == sent["11"]
    venue.settle()
    for question in asked:
        if question["11"] == sent["11"]:
            venue.answer(question, "0")
        else:
            venue.answer_unknown(question)
    second = venue.message("D")
    assert second["11"] != sent["11"]
    venue.report(second, "0", "0")
    venue.settle()
    assert (desk.status(order_id), desk.status(later)) == ("new", "new")


def test_venue_killed_and_restarted_is_asked_for_what_it_acknowledged(trading: Any) -> None:
    _, venue, desk = trading
    order_id = desk.submit()
    sent = venue.message("D")
    venue.report(sent, "0", "0")
    venue.settle()
    venue.stop()
    venue.start()
    asked = venue.message("H")
    assert asked["11"] == sent["11"]
    venue.answer(asked, "0")
    venue.settle()
    assert desk.status(order_id) == "new"


def test_cancel_lost_with_the_gateway_goes_again(trading: Any, send_and_die: Die) -> None:
    gateway, venue, desk = trading
    order_id = desk.submit()
    sent = venue.message("D")
    venue.report(sent, "0", "0")
    venue.settle()
    _, cancel = send_and_die(lambda: desk.cancel(order_id), "F")
    gateway.start()
    asked = venue.message("H")
    assert asked["11"] == sent["11"]
    venue.answer(asked, "0")
    again = venue.message("F")
    assert (again["11"], again["41"]) == (cancel["11"], sent["11"])
    venue.report(again, "4", "4", t41=sent["11"], t151=0)
    venue.settle()
    assert desk.status(order_id) == "cancelled"


@pytest.mark.parametrize("at", ["D", "H", "F"])
def test_gateway_killed_by_its_own_message_recovers(trading: Any, at: str) -> None:
    """The venue kills it at the moment the message arrives, wherever the gateway is by then."""
    gateway, venue, desk = trading
    order_id = desk.submit()
    if at == "D":
        venue.arm(gateway.process.pid, at="D")
    sent = venue.message("D")
    if at == "F":
        venue.report(sent, "0", "0")
        venue.settle()
        venue.arm(gateway.process.pid, at="F")
        venue.settle()
        desk.cancel(order_id)
        venue.message("F")
    if at == "H":
        gateway.kill()
        process = gateway.start()
        venue.arm(process.pid, at="H")
        venue.message("H")
    gateway.process.kill()
    gateway.process.wait()
    gateway.start()
    asked = venue.message("H")
    venue.answer(asked, "0")
    if at == "F":
        venue.report(venue.message("F"), "4", "4", t41=sent["11"], t151=0)
    venue.settle()
    assert desk.status(order_id) == ("cancelled" if at == "F" else "new")
    assert len(desk.sent()) == 1


def test_database_lost_in_a_callback_holds_the_report_until_it_is_back(
    trading: Any, line: Any
) -> None:
    gateway, venue, desk = trading
    order_id = desk.submit()
    sent = venue.message("D")
    venue.report(sent, "0", "0")
    venue.settle()
    line.cut()
    venue.fill(sent, 100, 100)
    until(lambda: "database away" in gateway.log(), "the gateway to notice")
    line.mend()
    venue.settle()
    assert desk.filled(order_id) == ("filled", 100, 1)
    assert gateway.process.poll() is None


def test_database_lost_for_too_long_ends_the_process_and_the_report_comes_again(
    gateway: Any, venue: Any, desk: Any, line: Any
) -> None:
    gateway.patience_s = 1.0
    process = gateway.start()
    venue.expect("logon")
    order_id = desk.submit()
    sent = venue.message("D")
    venue.report(sent, "0", "0")
    venue.settle()
    line.cut()
    venue.fill(sent, 40, 40)
    assert process.wait(30) == 70
    line.mend()
    gateway.start()
    venue.answer(venue.message("H"), "1", t14=40, t151=60)
    venue.settle()
    assert desk.filled(order_id) == ("partially_filled", 40, 1)


def test_database_lost_between_send_and_record_sends_nothing_twice(
    trading: Any, database: str, line: Any
) -> None:
    gateway, venue, desk = trading
    token = venue.settle()
    until(
        lambda: desk.one(
            "select count(*) = 2 from oms.fix_messages where raw like %s", f"%112={token}%"
        ),
        "the gateway to have nothing left to archive",
    )
    with psycopg.connect(database) as blocker:
        blocker.execute("lock table oms.fix_messages in exclusive mode")
        order_id = desk.submit()
        sent = venue.message("D")
        line.cut()
        until(lambda: "database unavailable" in gateway.log(), "the gateway to notice")
    line.mend()
    until(
        lambda: (
            desk.one("select status from oms.order_actions where order_id = %s", order_id) == "sent"
        ),
        "the message recorded after all",
    )
    venue.report(sent, "0", "0")
    venue.settle()
    assert desk.status(order_id) == "new"
    assert len(desk.sent()) == 1


def test_gateway_paused_past_its_lease_sends_nothing_when_it_goes_on(trading: Any) -> None:
    gateway, venue, desk = trading
    venue.settle()
    first = gateway.process
    first.send_signal(signal.SIGSTOP)
    order_id = desk.submit()
    second = gateway.start()
    until(
        lambda: desk.one("select epoch from ops.leases where lease = 'fix:SIM'") > 1,
        "the second gateway to take the lease",
    )
    until(lambda: desk.status(order_id) == "unknown", "the second gateway to look at the orders")
    first.send_signal(signal.SIGCONT)
    assert first.wait(30) != 0
    asked = venue.message("H")
    assert second.poll() is None
    venue.answer_unknown(asked)
    sent = venue.message("D")
    assert (sent["11"], sent["97"]) == (asked["11"], "Y")
    venue.settle()
    until(lambda: len(desk.sent()) == 1, "the one order in the archive")


@pytest.mark.parametrize("lost", ["gateway", "venue"])
def test_message_store_lost_on_one_side_halts_with_an_alert(
    trading: Any, tmp_path: Path, lost: str
) -> None:
    gateway, venue, desk = trading
    sent = [venue.message("D") for _ in range(3) if desk.submit()]
    for one in sent:
        venue.report(one, "0", "0")
    venue.settle()
    gateway.kill()
    venue.expect("logout")
    if lost == "gateway":
        [store] = tmp_path.rglob("*TSDB-SIM.seqnums")
    else:
        venue.stop()
        [store] = tmp_path.rglob("*SIM-TSDB.seqnums")
    shutil.rmtree(store.parent)
    if lost == "venue":
        venue.start()
    gateway.start()
    until(lambda: "fix_sequence" in desk.alerts(), "the alert")
    until(lambda: "halted" in gateway.log(), "the gateway to halt")
    later = desk.submit()
    until(
        lambda: (
            desk.one("select detail ->> 'gate' from ops.heartbeats where kind = 'fix_session'")
            == "halted"
        ),
        "the heartbeat to say so",
    )
    assert gateway.process.poll() is None
    assert desk.status(later) == "pending_new"
    assert len(desk.sent()) == 3


def test_message_store_that_cannot_be_written_ends_the_gateway_until_it_can(
    gateway: Any, venue: Any, desk: Any, tmp_path: Path
) -> None:
    body = tmp_path / "fix" / "gateway" / "FIX.4.4-TSDB-SIM.body"
    body.parent.mkdir(parents=True)
    body.symlink_to("/dev/full")
    order_id = desk.submit()
    assert gateway.start().wait(30) == 1
    assert "fix_store" in desk.alerts()
    body.unlink()
    gateway.start()
    asked = venue.message("H")
    assert desk.status(order_id) == "unknown"
    venue.answer_unknown(asked)
    assert venue.message("D")["11"] == asked["11"]

    def is_resolved() -> bool:
        desk.one("select ops.watch_orders('1 hour')")
        return bool(
            desk.one("select resolved_at is not null from ops.alerts where kind = 'fix_store'")
        )

    until(is_resolved, "the alert to be resolved")
