"""A venue that misbehaves on command, over a real connection."""

from __future__ import annotations

import pytest

from fix.conftest import Hall
from fix.harness import until
from fix.simvenue.bench import Client, Market

pytestmark = pytest.mark.slow
QUOTE = ("100.00", 500, "100.02", 300)


@pytest.fixture
def client(hall: Hall, tape: Market) -> Client:
    """Return a participant of an open venue."""
    tape.batch(("IBM", QUOTE))
    hall.open()
    return hall.connect()


def test_venue_delayed_acknowledgement_comes_after_its_fill(hall: Hall, client: Client) -> None:
    fault = hall.fault("delay_ack", milliseconds=700)
    client.order("1", 100)
    assert client.states(2) == ["F2", "00"]
    until(lambda: hall.fired(fault), "the fault is noted")
    client.order("1", 100)
    assert client.states(2) == ["00", "F2"]


def test_venue_socket_dropped_in_mid_fill_loses_no_execution(hall: Hall, client: Client) -> None:
    hall.fault("drop", after=1)
    order = client.order("1", 400, "100.02")
    assert client.states(2) == ["00", "F1"]
    client.event("logout")
    hall.tape.batch(("IBM", ("100.00", 500, "100.02", 301)))
    client.event("logon")
    rest = client.message()
    assert (rest["11"], rest["32"], rest["39"]) == (order, "100", "2")


def test_venue_duplicate_execution_repeats_its_exec_id(hall: Hall, client: Client) -> None:
    hall.fault("duplicate")
    client.order("1", 100)
    new, fill, again = (client.message(repeats=True) for _ in range(3))
    assert new["150"] == "0"
    assert (fill["150"], fill["17"], fill["14"]) == (again["150"], again["17"], again["14"])
    assert "97" not in again
    assert int(again["34"]) == int(fill["34"]) + 1
    assert client.ask(fill["11"])["14"] == "100"


def test_venue_reordered_executions_come_the_wrong_way_round(hall: Hall, client: Client) -> None:
    hall.fault("reorder")
    client.order("1", 100)
    client.order("1", 100)
    reports = [client.message() for _ in range(4)]
    assert [r["150"] for r in reports] == ["0", "0", "F", "F"]
    assert [r["11"] for r in reports[2:]] == [r["11"] for r in reports[:2]][::-1]


def test_venue_bust_and_unsolicited_cancel_follow_what_they_undo(
    hall: Hall, client: Client
) -> None:
    hall.fault("bust")
    client.order("1", 100)
    assert client.states(3) == ["00", "F2", "H4"]
    fault = hall.fault("cancel")
    order = client.order("1", 100, "99.00")
    assert client.states(1) == ["00"]
    gone = client.message()
    assert (gone["150"], gone["11"], gone["58"]) == ("4", order, "cancelled by the venue")
    assert hall.fired(fault)


def test_venue_sequence_gap_is_filled_on_request(hall: Hall, client: Client) -> None:
    hall.fault("gap", numbers=3)
    order = client.order("1", 100)
    reports = [client.message(), client.message()]
    assert [r["11"] for r in reports] == [order, order]
    # Three numbers have no message: the engine's gap fill passes over them.
    assert int(reports[0]["34"]) >= 5


def test_venue_that_lost_its_session_state_is_refused_until_both_start_anew(
    hall: Hall, client: Client
) -> None:
    client.order("1", 100)
    assert client.states(2) == ["00", "F2"]
    hall.fault("lost_state")
    client.event("logout")
    # The participant sees numbers that it has had.
    until(lambda: "MsgSeqNum too low" in hall.venue.log(), "the participant refuses the logon")


def test_venue_logout_ends_the_session_and_lets_it_back_in_later(
    hall: Hall, client: Client
) -> None:
    hall.fault("logout", text="closing early", milliseconds=500)
    logout = client.message()
    assert (logout["35"], logout["58"]) == ("5", "closing early")
    client.event("logout")
    client.event("logon")
    client.order("1", 100)
    assert client.states(2) == ["00", "F2"]


def test_venue_silence_ends_when_the_participant_gives_up(hall: Hall, client: Client) -> None:
    other = hall.connect("OTHER")
    hall.fault("silence", participant="TSDB")
    order = client.order("1", 100)
    other.order("1", 100)
    assert other.states(2) == ["00", "F2"]
    # Neither a report nor a heartbeat: the participant's engine ends the connection itself.
    client.event("logout")
    client.event("logon")
    assert {client.message()["11"], client.message()["11"]} == {order}


def test_venue_faults_are_armed_by_operators_only_and_checked(hall: Hall) -> None:
    for call, message in (
        ("venue.inject_fault('SIM', 'fire')", 'a venue knows no fault "fire"'),
        ("venue.inject_fault('NONE', 'drop')", 'no simulated venue is called "NONE"'),
        ("venue.inject_fault('SIM', 'drop', '[]')", "the parameters of drop are no JSON object"),
        ("venue.send_command('SIM', 'fire')", 'a venue knows no command "fire"'),
        ("venue.configure('SIM', '{\"speed\": 1}')", "venues have no setting speed"),
        ("venue.configure('SIM', '{\"latency_ms\": -1}')", "venue SIM cannot have these settings"),
        (
            "venue.set_participant('SIM', 'X', '{\"password_hash\": \"clear\"}')",
            "participant X cannot have these settings",
        ),
    ):
        with pytest.raises(Exception, match=message):
            hall.conn.execute(f"select {call}")  # type: ignore[call-overload]
