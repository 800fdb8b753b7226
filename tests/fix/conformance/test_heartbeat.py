"""Heartbeats, test requests and silence, with an interval of one second."""

from __future__ import annotations

import pytest

from fix.conformance.wire import TEXT, Wire

pytestmark = pytest.mark.slow


def test_test_request_is_answered_with_its_token(wire: Wire) -> None:
    wire.log_on()
    wire.send("1", {112: "any text = at all"})
    wire.expect("0", {112: "any text = at all"})


def test_heartbeat_is_taken_without_an_answer(wire: Wire) -> None:
    wire.log_on()
    wire.send("0")
    wire.send("0", {112: "nobody asked"})
    wire.expect_alive()


def test_silence_on_both_sides_brings_a_heartbeat_then_a_test_request_then_the_end(
    wire: Wire,
) -> None:
    wire.log_on({108: "1"})
    wire.expect("0")
    wire.expect("1", {112: TEXT})
    wire.expect_end()


def test_answer_to_a_test_request_keeps_the_session(wire: Wire) -> None:
    wire.log_on({108: "1"})
    wire.expect("0")
    asked = wire.expect("1", {112: TEXT})
    wire.send("0", {112: asked[112]})
    wire.expect("0")
    wire.expect_alive()


def test_heartbeats_of_the_participant_keep_the_session(wire: Wire) -> None:
    wire.log_on({108: "1"})
    for _ in range(3):
        wire.expect("0")
        wire.send("0")
    wire.expect_alive()
