"""Who may log on, how, and what numbers a session begins with."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from fix.conformance.wire import TEXT, Wire, frame, stamp

pytestmark = pytest.mark.slow
Participant = Callable[..., Wire]


def test_logon_valid_is_answered_with_the_same_heartbeat_interval(wire: Wire) -> None:
    wire.log_on({108: "7"})
    wire.expect_alive()


def test_logon_without_heartbeats_is_accepted(wire: Wire) -> None:
    wire.log_on({108: "0"})
    wire.expect_alive()


def test_first_message_that_is_no_logon_ends_the_connection(wire: Wire) -> None:
    wire.connect()
    wire.send("0")
    wire.expect_end()


def test_logon_with_another_begin_string_ends_the_connection(wire: Wire) -> None:
    wire.connect()
    wire.send_raw(frame("FIX.4.1", wire.build("A", {98: "0", 108: "30"})))
    wire.expect_end()


@pytest.mark.parametrize("names", [{49: "NOBODY"}, {56: "ELSEWHERE"}], ids=["sender", "target"])
def test_logon_with_unknown_comp_id_ends_the_connection(wire: Wire, names: dict[int, str]) -> None:
    wire.connect()
    wire.send_logon(names)
    wire.expect_end()


@pytest.mark.parametrize(
    "fields",
    [
        {108: ""},
        {108: "often"},
        {98: ""},
        {98: "9"},
        {34: ""},
        {52: ""},
        {52: "yesterday"},
        {52: stamp(-3600)},
        {52: stamp(3600)},
        {55: "IBM"},
        {141: "perhaps"},
    ],
    ids=[
        "no HeartBtInt",
        "HeartBtInt is no number",
        "no EncryptMethod",
        "unknown EncryptMethod",
        "no MsgSeqNum",
        "no SendingTime",
        "SendingTime is no time",
        "SendingTime an hour ago",
        "SendingTime in an hour",
        "a field of other messages",
        "ResetSeqNumFlag is neither Y nor N",
    ],
)
def test_logon_that_is_not_valid_ends_the_connection_and_frees_the_session(
    wire: Wire, fields: dict[int, str]
) -> None:
    wire.connect()
    wire.send_logon(fields)
    wire.expect_end()
    wire.sent = 0
    wire.log_on()
    wire.expect_alive()


@pytest.mark.parametrize(
    "fields",
    [{108: "-1"}, {98: "1"}, {141: "Y", 34: 5}],
    ids=["negative HeartBtInt", "encryption", "reset with a number other than 1"],
)
def test_logon_that_is_refused_gets_a_logout_with_the_reason(
    wire: Wire, fields: dict[int, str]
) -> None:
    wire.connect()
    wire.send_logon(fields)
    wire.expect("5", {58: TEXT})
    wire.expect_end()
    wire.sent = wire.received = 0
    wire.log_on()


def test_logon_with_a_wrong_checksum_ends_the_connection(wire: Wire) -> None:
    wire.connect()
    right = frame(wire.profile.begin_string, wire.build("A", {98: "0", 108: "30"}))
    wire.send_raw(right[:-4] + b"%03d\x01" % ((int(right[-4:-1]) + 1) % 256))
    wire.expect_end()


def test_logon_with_a_wrong_body_length_ends_the_connection(wire: Wire) -> None:
    wire.connect()
    right = frame(wire.profile.begin_string, wire.build("A", {98: "0", 108: "30"}))
    length = int(right.split(b"\x01")[1][2:])
    wire.send_raw(right.replace(b"\x019=%d\x01" % length, b"\x019=%d\x01" % (length - 9)))
    wire.expect_end()


def test_second_logon_in_a_session_ends_it(wire: Wire) -> None:
    wire.log_on()
    wire.send_logon()
    wire.expect_end()


def test_second_connection_of_a_participant_is_refused_and_the_first_lives(
    participant: Participant,
) -> None:
    first, second = participant(), participant()
    first.log_on()
    second.connect()
    second.send_logon()
    second.expect_end()
    first.expect_alive()


def test_logon_with_reset_begins_at_one(counting: Wire) -> None:
    counting.expect_alive()
    counting.log_out()
    counting.sent = counting.received = 0
    counting.log_on({141: "Y"})
    counting.expect_alive()


def test_logon_with_reset_inside_a_session_begins_at_one(wire: Wire) -> None:
    wire.log_on()
    wire.expect_alive()
    wire.sent = wire.received = 0
    wire.send_logon({141: "Y"})
    wire.expect_logon({141: "Y"})
    wire.expect_alive()


def test_logon_without_reset_goes_on_counting(counting: Wire) -> None:
    counting.expect_alive()
    counting.log_out()
    counting.log_on({141: "N"})
    counting.expect_alive()
    assert (counting.sent, counting.received) == (5, 5)


def test_logon_numbered_too_high_is_answered_then_the_gap_is_asked_for(counting: Wire) -> None:
    counting.log_out()
    counting.sent += 3
    counting.connect()
    counting.send_logon()
    counting.expect_logon()
    counting.expect("2", {7: 3, 16: 0})
    counting.send("4", {34: 3, 43: "Y", 122: stamp(), 123: "Y", 36: 7})
    counting.expect_alive()


def test_logon_numbered_too_low_gets_a_logout_that_says_what_is_expected(counting: Wire) -> None:
    counting.expect_alive()
    counting.log_out()
    counting.connect()
    counting.send_logon({34: 1})
    answer = counting.expect("5", {58: TEXT})
    assert "4" in answer[58]
    counting.expect_end()
    counting.log_on()
    counting.expect_alive()


def test_session_that_was_cut_goes_on_counting(counting: Wire) -> None:
    counting.expect_alive()
    counting.close()
    counting.log_on()
    counting.expect_alive()
    assert (counting.sent, counting.received) == (4, 4)


def test_messages_of_an_earlier_connection_are_resent(counting: Wire) -> None:
    counting.expect_alive()
    counting.log_out()
    counting.log_on()
    counting.send("2", {7: 1, 16: 0})
    counting.expect("4", {43: "Y", 122: TEXT, 123: "Y", 36: 5}, number=1)
    counting.expect_alive()


def test_two_participants_count_on_their_own(participant: Participant) -> None:
    one, other = participant("FRESH"), participant("LENIENT")
    one.log_on()
    other.log_on()
    one.expect_alive()
    one.expect_alive()
    other.expect_alive()
    one.log_out()
    other.expect_alive()
    assert (one.received, other.received) == (4, 3)
