"""Numbers: gaps, repeats, resets, and the flags that explain them."""

from __future__ import annotations

import pytest

from fix.conformance.wire import TEXT, Wire, stamp

pytestmark = pytest.mark.slow


@pytest.fixture
def wire(wire: Wire) -> Wire:
    wire.log_on()
    return wire


def repeat(number: int, **more: str) -> dict[int, str | int]:
    """Return the header of a message that is sent again."""
    tags = {int(name.removeprefix("t")): value for name, value in more.items()}
    return {34: number, 43: "Y", 122: stamp(-1), **tags}


# Too high


def test_gap_is_asked_for_from_the_first_missing_number_on(wire: Wire) -> None:
    wire.send("0", {34: 5})
    wire.expect("2", {7: 2, 16: 0})


def test_gap_filled_by_resent_messages_then_what_waited_is_answered(wire: Wire) -> None:
    wire.send("1", {34: 4, 112: "third"})
    wire.expect("2", {7: 2, 16: 0})
    wire.send("1", repeat(2, t112="first"))
    wire.expect("0", {112: "first"})
    wire.send("1", repeat(3, t112="second"))
    wire.expect("0", {112: "second"})
    wire.expect("0", {112: "third"})
    wire.sent = 4
    wire.expect_alive()


def test_gap_filled_by_a_gap_fill_then_what_waited_is_answered(wire: Wire) -> None:
    wire.send("1", {34: 6, 112: "waited"})
    wire.expect("2", {7: 2, 16: 0})
    wire.send("4", repeat(2, t123="Y", t36="6"))
    wire.expect("0", {112: "waited"})
    wire.sent = 6
    wire.expect_alive()


def test_gap_is_asked_for_once(wire: Wire) -> None:
    wire.send("0", {34: 5})
    wire.send("0", {34: 6})
    wire.expect("2", {7: 2, 16: 0})
    wire.send("4", repeat(2, t123="Y", t36="5"))
    wire.sent = 6
    wire.expect_alive()


def test_gap_fill_beyond_a_gap_asks_for_the_gap_first(wire: Wire) -> None:
    wire.send("4", {34: 4, 123: "Y", 36: "9"})
    wire.expect("2", {7: 2, 16: 0})
    wire.send("4", repeat(2, t123="Y", t36="4"))
    wire.sent = 8
    wire.expect_alive()


# Too low


def test_number_used_before_ends_the_session_with_the_reason(wire: Wire) -> None:
    wire.expect_alive()
    wire.send("0", {34: 2})
    answer = wire.expect("5", {58: TEXT})
    assert "3" in answer[58]
    wire.expect_end()


def test_number_used_before_of_a_possible_duplicate_is_ignored(wire: Wire) -> None:
    wire.expect_alive()
    wire.send("1", repeat(2, t112="again"))
    wire.expect_alive()


def test_old_possible_duplicate_without_its_first_time_is_rejected(wire: Wire) -> None:
    wire.expect_alive()
    wire.send("1", repeat(2, t112="again", t122=""))
    wire.expect_reject(2, "1", 1, 122)
    wire.expect_alive()


def test_old_possible_duplicate_first_sent_later_ends_the_session(wire: Wire) -> None:
    wire.expect_alive()
    wire.send("1", repeat(2, t112="again", t122=stamp(30)))
    wire.expect_reject(2, "1", 10)
    wire.expect("5", optional=(58,))
    wire.send("5")
    wire.expect_end()


# Possible duplicates that are new all the same


def test_new_possible_duplicate_is_taken(wire: Wire) -> None:
    wire.send("1", repeat(2, t112="late"))
    wire.expect("0", {112: "late"})
    wire.sent = 2
    wire.expect_alive()


def test_new_possible_duplicate_without_its_first_time_is_rejected_and_counted(wire: Wire) -> None:
    order = {11: "A1", 21: "1", 38: "1", 40: "1", 54: "1", 55: "IBM", 60: stamp()}
    wire.send("D", {43: "Y", **order})
    wire.expect_reject(2, "D", 1, 122)
    wire.expect_alive()


def test_new_heartbeat_marked_as_duplicate_without_its_first_time_is_rejected_and_counted(
    wire: Wire,
) -> None:
    wire.send("0", {43: "Y"})
    wire.expect_reject(2, "0", 1, 122)
    wire.expect_alive()


def test_new_possible_duplicate_first_sent_later_ends_the_session(wire: Wire) -> None:
    wire.send("0", {43: "Y", 122: stamp(30)})
    wire.expect_reject(2, "0", 10)
    wire.expect("5", {58: TEXT})
    wire.send("5")
    wire.expect_end()
    wire.sent = wire.received = 0
    wire.log_on()
    wire.expect_alive()


def test_possible_duplicate_flag_n_needs_no_first_time(wire: Wire) -> None:
    wire.send("1", {43: "N", 112: "plain"})
    wire.expect("0", {112: "plain"})


# SequenceReset


@pytest.mark.parametrize("number", [2, 1, 900], ids=["due", "low", "high"])
@pytest.mark.parametrize("flag", ["N", ""], ids=["flag N", "no flag"])
def test_reset_moves_the_expected_number_whatever_its_own(
    wire: Wire, number: int, flag: str
) -> None:
    wire.send("4", {34: number, 123: flag, 36: "20"})
    wire.sent = 19
    wire.expect_alive()


def test_reset_to_the_expected_number_changes_nothing(wire: Wire) -> None:
    wire.send("4", {34: 2, 36: "2"})
    wire.expect_alive()


def test_reset_to_a_lower_number_is_rejected(wire: Wire) -> None:
    wire.expect_alive()
    wire.send("4", {34: 3, 36: "2"})
    wire.expect_reject(3, "4", 5)
    wire.expect_alive()


def test_gap_fill_moves_the_expected_number(wire: Wire) -> None:
    wire.send("4", {123: "Y", 36: "10"})
    wire.sent = 9
    wire.expect_alive()


@pytest.mark.parametrize("to", ["1", "2"], ids=["lower", "its own number"])
def test_gap_fill_that_fills_nothing_is_rejected(wire: Wire, to: str) -> None:
    wire.send("4", {34: 2, 123: "Y", 36: to})
    wire.expect_reject(2, "4", 5, 36)
    wire.expect_alive()


def test_old_gap_fill_of_a_possible_duplicate_is_ignored(wire: Wire) -> None:
    wire.expect_alive()
    wire.send("4", repeat(2, t123="Y", t36="9"))
    wire.expect_alive()


def test_old_gap_fill_ends_the_session(wire: Wire) -> None:
    wire.expect_alive()
    wire.send("4", {34: 2, 123: "Y", 36: "9"})
    wire.expect("5", {58: TEXT})
    wire.expect_end()


@pytest.mark.parametrize("number", ["", "two"], ids=["missing", "no number"])
def test_message_without_a_number_ends_the_session(wire: Wire, number: str) -> None:
    wire.send("0", {34: number})
    wire.expect("5", {58: TEXT})
    wire.send("5")
    wire.expect_end()
    wire.sent = wire.received = 0
    wire.log_on()
