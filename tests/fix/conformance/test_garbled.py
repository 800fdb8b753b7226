"""Garbled messages are ignored and their number stays free for a good one."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from fix.conformance.wire import SOH, Wire, frame

pytestmark = pytest.mark.slow


@pytest.fixture
def wire(wire: Wire) -> Wire:
    wire.log_on()
    return wire


def framed(text: str) -> bytes:
    """Put a right CheckSum behind any text."""
    data = text.encode()
    return data + b"10=%03d\x01" % (sum(data) % 256)


def good(wire: Wire) -> bytes:
    return frame(wire.profile.begin_string, wire.build("1", {112: "good"}))


def test_wrong_checksum_is_ignored(wire: Wire) -> None:
    right = good(wire)
    wire.send_raw(right[:-4] + b"%03d\x01" % ((int(right[-4:-1]) + 1) % 256))
    wire.expect_alive()


@pytest.mark.parametrize("by", [-5, -1])
def test_body_length_too_small_is_ignored(wire: Wire, by: int) -> None:
    body = wire.build("1", {112: "good"})
    wire.send_raw(framed(f"8={wire.profile.begin_string}{SOH}9={len(body) + by}{SOH}{body}"))
    wire.expect_alive()


def test_body_length_that_reaches_into_the_next_message_takes_it_along(wire: Wire) -> None:
    body = wire.build("0")
    wire.send_raw(framed(f"8={wire.profile.begin_string}{SOH}9={len(body) + 30}{SOH}{body}"))
    wire.send("0")
    wire.send("0")
    wire.expect("2", {7: 2, 16: 0})


def test_body_length_that_is_no_number_takes_along_what_came_with_it(
    participant: Callable[..., Wire],
) -> None:
    wire = participant("LENIENT")
    wire.log_on({108: "1"})
    body = wire.build("0")
    garbled = framed(f"8={wire.profile.begin_string}{SOH}9=long{SOH}{body}")
    wire.send_raw(garbled + good(wire))
    # A heartbeat says that what came before it was read.
    wire.expect("0")
    wire.send("0", {34: 3})
    wire.expect("2", {7: 2, 16: 0})


def test_second_field_that_is_not_body_length_is_ignored(wire: Wire) -> None:
    body = wire.build("1", {112: "good"})
    kind, _, rest = body.partition(SOH)
    begin = f"8={wire.profile.begin_string}{SOH}"
    wire.send_raw(framed(f"{begin}{kind}{SOH}9={len(rest)}{SOH}{rest}"))
    wire.expect_alive()


def test_third_field_that_is_not_msg_type_is_ignored(wire: Wire) -> None:
    kind, number, rest = wire.build("1", {112: "good"}).split(SOH, 2)
    wire.send_raw(frame(wire.profile.begin_string, SOH.join((number, kind, rest))))
    wire.expect_alive()


def test_message_without_msg_type_is_ignored(wire: Wire) -> None:
    _, _, rest = wire.build("1", {112: "good"}).partition(SOH)
    wire.send_raw(frame(wire.profile.begin_string, rest))
    wire.expect_alive()


def test_empty_body_is_ignored(wire: Wire) -> None:
    wire.send_raw(frame(wire.profile.begin_string, ""))
    wire.expect_alive()


def test_delimiter_inside_a_value_is_ignored(wire: Wire) -> None:
    wire.send_raw(frame(wire.profile.begin_string, wire.build("1", {112: f"one{SOH}two"})))
    wire.expect_alive()


def test_tag_that_is_no_number_is_ignored(wire: Wire) -> None:
    body = wire.build("1", {112: "good"})
    wire.send_raw(frame(wire.profile.begin_string, f"{body}tag=value{SOH}"))
    wire.expect_alive()


def test_bytes_between_messages_are_ignored(wire: Wire) -> None:
    wire.send_raw(b"\r\nnothing of FIX\x01\x00\xff")
    wire.expect_alive()


def test_message_in_small_pieces_is_taken(wire: Wire) -> None:
    for byte in good(wire):
        wire.send_raw(bytes((byte,)))
    wire.sent += 1
    wire.expect("0", {112: "good"})


def test_many_messages_in_one_piece_are_taken(wire: Wire) -> None:
    data = b""
    for number in range(50):
        data += frame(wire.profile.begin_string, wire.build("1", {112: str(number)}))
        wire.sent += 1
    wire.send_raw(data)
    for number in range(50):
        wire.expect("0", {112: str(number)})
