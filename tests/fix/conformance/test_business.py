"""Application messages, as far as the session layer answers for them; and how sessions end."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from fix.conformance.wire import TEXT, Wire, pairs, stamp

pytestmark = pytest.mark.slow


def expect_unsupported(wire: Wire, about: int, kind: str) -> None:
    """Expect a BusinessMessageReject; the engine adds the version of a FIXT session to it."""
    wire.expect("j", {45: about, 372: kind, 380: 3, 58: TEXT}, optional=(1137,))


def test_execution_report_sent_to_the_venue_is_not_supported(wire: Wire) -> None:
    wire.log_on()
    wire.send(
        "8",
        {37: "o", 17: "e", 20: _only_42(wire, "0"), 150: "0", 39: "0", 55: "IBM", 54: "1"}
        | {151: "1", 14: "0", 6: "0"},
    )
    expect_unsupported(wire, 2, "8")
    wire.expect_alive()


def test_unsupported_types_are_counted_one_by_one(wire: Wire) -> None:
    wire.log_on()
    for number in (2, 3):
        wire.send("6", {23: "I1", 28: "N", 55: "IBM", 54: "1", 27: "S"})
        expect_unsupported(wire, number, "6")
    wire.expect_alive()


def test_type_that_an_echo_session_does_not_know_is_not_supported(
    participant: Callable[..., Wire],
) -> None:
    echo = participant("ECHO")
    echo.log_on()
    echo.send("H", {11: "A1", 55: "IBM", 54: "1"})
    expect_unsupported(echo, 2, "H")


def test_type_of_a_later_version_does_not_exist_for_an_earlier_one(wire: Wire) -> None:
    wire.log_on()
    wire.send("BE", {923: "U1", 924: "1", 553: "me"})
    if wire.profile.begin_string == "FIX.4.2":
        wire.expect_reject(2, "BE", 11)
    else:
        expect_unsupported(wire, 2, "BE")
    wire.expect_alive()


def test_order_for_no_session_is_rejected_by_the_application(wire: Wire) -> None:
    wire.log_on()
    wire.send("D", {11: "A1", 21: "1", 38: "1", 40: "1", 54: "1", 55: "IBM", 60: stamp()})
    values = dict(pairs(wire.read()))
    assert (values["35"], values["34"]) in (("8", "2"), ("j", "2"))
    assert values.get("39", "8") == "8"
    wire.received += 1
    wire.expect_alive()


def _only_42(wire: Wire, value: str) -> str:
    return value if wire.profile.begin_string == "FIX.4.2" else ""


# Logout


def test_logout_is_answered_and_the_connection_ended(wire: Wire) -> None:
    wire.log_on()
    wire.send("5")
    wire.expect("5")
    wire.expect_end()


def test_logout_with_a_reason_is_answered(wire: Wire) -> None:
    wire.log_on()
    wire.send("5", {58: "end of day"})
    wire.expect("5")
    wire.expect_end()


def test_logout_beyond_a_gap_is_answered_and_the_gap_is_asked_for_at_the_next_logon(
    counting: Wire,
) -> None:
    counting.sent += 2
    counting.log_out()
    counting.connect()
    counting.send_logon()
    counting.expect_logon()
    counting.expect("2", {7: 2, 16: 0})


def test_participant_is_back_at_once_after_a_logout(wire: Wire) -> None:
    for _ in range(5):
        wire.sent = wire.received = 0
        wire.log_on()
        wire.log_out()
