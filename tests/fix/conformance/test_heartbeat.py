"""Heartbeats, test requests and silence, with an interval of one second."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from fix.conformance.wire import PROFILES, TEXT, Wire
from fix.simvenue.bench import Venue

pytestmark = pytest.mark.slow


@pytest.fixture
def wires(venue: Venue) -> Iterator[list[Wire]]:
    """Return a participant of each version, which counts anew with every logon."""
    made = [Wire(venue.port, profile, "FRESH") for profile in PROFILES]
    yield made
    for wire in made:
        wire.close()


def test_test_request_is_answered_with_its_token(wire: Wire) -> None:
    wire.log_on()
    wire.send("1", {112: "any text = at all"})
    wire.expect("0", {112: "any text = at all"})


def test_heartbeat_is_taken_without_an_answer(wire: Wire) -> None:
    wire.log_on()
    wire.send("0")
    wire.send("0", {112: "nobody asked"})
    wire.expect_alive()


# The waits of the versions run side by side.


def test_silence_on_both_sides_brings_a_heartbeat_then_a_test_request_then_the_end(
    wires: list[Wire],
) -> None:
    for wire in wires:
        wire.log_on({108: "1"})
    for wire in wires:
        wire.expect("0")
    for wire in wires:
        wire.expect("1", {112: TEXT})
    for wire in wires:
        wire.expect_end()


def test_answer_to_a_test_request_keeps_the_session(wires: list[Wire]) -> None:
    for wire in wires:
        wire.log_on({108: "1"})
    for wire in wires:
        wire.expect("0")
    for wire in wires:
        asked = wire.expect("1", {112: TEXT})
        wire.send("0", {112: asked[112]})
    for wire in wires:
        wire.expect("0")
        wire.expect_alive()


def test_heartbeats_of_the_participant_keep_the_session(wires: list[Wire]) -> None:
    for wire in wires:
        wire.log_on({108: "1"})
    for _ in range(3):
        for wire in wires:
            wire.expect("0")
            wire.send("0")
    for wire in wires:
        wire.expect_alive()
