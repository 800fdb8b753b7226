"""Session rejects: the right reason, the tag it is about, the type and number of the message."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from fix.conformance.wire import SOH, TEXT, Expected, Wire, frame, stamp

pytestmark = pytest.mark.slow
Fields = dict[int, Expected]


@pytest.fixture
def wire(wire: Wire) -> Wire:
    wire.log_on()
    return wire


@pytest.fixture
def order() -> Fields:
    return {11: "A1", 21: "1", 38: "100", 40: "1", 54: "1", 55: "IBM", 60: stamp()}


def send_with(wire: Wire, kind: str, fields: Fields, more: str) -> None:
    """Send a message with further fields, as text, at its end."""
    body = wire.build(kind, fields) + more.replace("|", SOH)
    wire.sent += 1
    wire.send_raw(frame(wire.profile.begin_string, body))


@pytest.mark.parametrize("tag", [4998, 0], ids=["undefined", "zero"])
def test_tag_that_does_not_exist_is_rejected(wire: Wire, tag: int) -> None:
    send_with(wire, "1", {112: "x"}, f"{tag}=y|")
    wire.expect_reject(2, "1", 0, tag)
    wire.expect_alive()


@pytest.mark.parametrize("missing", [112, 52], ids=["body", "header"])
def test_required_tag_that_is_missing_is_rejected(wire: Wire, missing: int) -> None:
    wire.send("1", {112: "x", missing: ""})
    wire.expect_reject(2, "1", 1, missing)
    wire.expect_alive()


def test_required_tag_that_is_missing_in_an_order_is_rejected(wire: Wire, order: Fields) -> None:
    wire.send("D", {**order, 11: ""})
    wire.expect_reject(2, "D", 1, 11)
    wire.expect_alive()


def test_tag_of_other_messages_is_rejected(wire: Wire) -> None:
    wire.send("1", {112: "x", 7: "1"})
    wire.expect_reject(2, "1", 2, 7)
    wire.expect_alive()


def test_user_defined_tag_is_rejected(wire: Wire) -> None:
    wire.send("1", {112: "x", 9876: "y"})
    wire.expect_reject(2, "1", 0, 9876)
    wire.expect_alive()


def test_user_defined_tag_is_taken_where_the_session_allows_it(
    participant: Callable[..., Wire],
) -> None:
    lenient = participant("LENIENT")
    lenient.log_on()
    lenient.expect_alive(fields={9876: "y"})


@pytest.mark.parametrize(
    ("kind", "tag"), [("1", 112), ("0", 43), ("D", 55)], ids=["body", "header", "order"]
)
def test_tag_without_value_is_rejected(wire: Wire, order: Fields, kind: str, tag: int) -> None:
    fields = {"1": {112: "x"}, "0": {}, "D": order}[kind]
    body = wire.build(kind, {**fields, tag: "@"})
    wire.sent += 1
    wire.send_raw(frame(wire.profile.begin_string, body.replace("=@", "=")))
    wire.expect_reject(2, kind, 4, tag)
    wire.expect_alive()


@pytest.mark.parametrize(("tag", "value"), [(40, "w"), (54, "Z"), (21, "9")])
def test_value_that_is_not_listed_is_rejected(
    wire: Wire, order: Fields, tag: int, value: str
) -> None:
    wire.send("D", {**order, tag: value})
    wire.expect_reject(2, "D", 5, tag)
    wire.expect_alive()


@pytest.mark.parametrize(
    ("tag", "value"), [(38, "+200.00"), (38, "1e3"), (44, "1,5"), (60, "noon"), (54, "12")]
)
def test_value_of_a_wrong_format_is_rejected(
    wire: Wire, order: Fields, tag: int, value: str
) -> None:
    wire.send("D", {**order, tag: value})
    wire.expect_reject(2, "D", 6, tag)
    wire.expect_alive()


def test_number_of_a_wrong_format_in_a_session_message_is_rejected(wire: Wire) -> None:
    wire.send("2", {7: "one", 16: "0"})
    wire.expect_reject(2, "2", 6, 7)
    wire.expect_alive()


@pytest.mark.parametrize("shift", [-3600, 3600], ids=["old", "early"])
def test_sending_time_that_is_not_now_is_rejected_and_ends_the_session(
    wire: Wire, shift: int
) -> None:
    wire.send("0", {52: stamp(shift)})
    wire.expect_reject(2, "0", 10)
    wire.expect("5", optional=(58,))
    wire.send("5")
    wire.expect_end()


def test_sending_time_a_minute_off_is_taken(wire: Wire) -> None:
    wire.send("1", {52: stamp(-60), 112: "late"})
    wire.expect("0", {112: "late"})


@pytest.mark.parametrize("precision", [0, 6, 9])
def test_sending_time_of_any_precision_is_taken(wire: Wire, precision: int) -> None:
    whole, _, _ = stamp().partition(".")
    time = whole if not precision else f"{whole}.{'0' * precision}"
    wire.send("1", {52: time, 112: "precise"})
    wire.expect("0", {112: "precise"})


def test_sender_that_changes_is_rejected_and_ends_the_session(wire: Wire) -> None:
    wire.send("0", {49: "OTHER"})
    wire.expect_reject(2, "0", 9)
    wire.expect("5", optional=(58,))
    wire.send("5")
    wire.expect_end()


def test_target_that_changes_is_rejected_and_ends_the_session(wire: Wire) -> None:
    wire.send("0", {56: "OTHER"})
    wire.expect_reject(2, "0", 9)
    wire.expect("5", optional=(58,))
    wire.send("5")
    wire.expect_end()
    wire.sent = wire.received = 0
    wire.log_on()


def test_begin_string_that_changes_ends_the_session(wire: Wire) -> None:
    wire.send_raw(frame("FIX.4.1", wire.build("0")))
    wire.sent += 1
    wire.expect("5", {58: TEXT})
    wire.send("5")
    wire.expect_end()


@pytest.mark.parametrize("kind", ["*", "zz", "1 "], ids=["sign", "letters", "blank"])
def test_msg_type_that_does_not_exist_is_rejected(wire: Wire, kind: str) -> None:
    wire.send(kind)
    wire.expect_reject(2, kind, 11)
    wire.expect_alive()


def test_repeated_tag_is_rejected(wire: Wire) -> None:
    send_with(wire, "1", {112: "x"}, "112=y|")
    wire.expect_reject(2, "1", 13, 112)
    wire.expect_alive()


def test_repeated_header_tag_is_rejected(wire: Wire) -> None:
    body = wire.build("0").replace(f"49=FRESH{SOH}", f"49=FRESH{SOH}49=FRESH{SOH}")
    wire.sent += 1
    wire.send_raw(frame(wire.profile.begin_string, body))
    wire.expect_reject(2, "0", 13, 49)
    wire.expect_alive()


def test_body_tag_before_the_header_ends_is_rejected(wire: Wire) -> None:
    kind, rest = wire.build("1").split(SOH, 1)
    wire.sent += 1
    wire.send_raw(frame(wire.profile.begin_string, f"{kind}{SOH}112=x{SOH}{rest}"))
    wire.expect_reject(2, "1", 14, 34)
    wire.expect_alive()


def test_fields_of_header_and_body_in_another_order_are_taken(wire: Wire) -> None:
    parts = wire.build("1", {112: "mixed"}).split(SOH)[:-1]
    wire.sent += 1
    turned = [parts[0], *reversed(parts[1:-1]), parts[-1]]
    wire.send_raw(frame(wire.profile.begin_string, SOH.join(turned) + SOH))
    wire.expect("0", {112: "mixed"})


@pytest.mark.parametrize("count", [1, 3], ids=["too few", "too many"])
def test_group_with_another_count_is_rejected(wire: Wire, order: Fields, count: int) -> None:
    send_with(wire, "D", order, f"78={count}|79=a|80=40|79=b|80=60|")
    wire.expect_reject(2, "D", 16, 78)
    wire.expect_alive()


def test_group_that_does_not_begin_with_its_first_field_is_rejected(
    wire: Wire, order: Fields
) -> None:
    send_with(wire, "D", order, "78=1|80=40|79=a|")
    wire.expect_reject(2, "D", 16, 78)
    wire.expect_alive()


def test_header_fields_for_third_parties_are_turned_around(wire: Wire, order: Fields) -> None:
    wire.send("D", {**order, 115: "CLIENT", 116: "DESK", 40: "w"})
    wire.expect_reject(2, "D", 5, 40, t128="CLIENT", t129="DESK")
    wire.send("D", {**order, 128: "BROKER", 129: "FLOOR", 40: "w"})
    wire.expect_reject(3, "D", 5, 40, t115="BROKER", t116="FLOOR")


def test_reject_of_the_participant_is_taken_without_an_answer(wire: Wire) -> None:
    wire.send("3", {45: 1, 58: "did not like it"})
    wire.expect_alive()


def test_rejected_message_counts_and_is_not_asked_for_again(wire: Wire) -> None:
    wire.send("1", {112: ""})
    wire.expect_reject(2, "1", 1, 112)
    wire.send("1", {112: ""})
    wire.expect_reject(3, "1", 1, 112)
    wire.expect_alive()


def test_rejected_message_in_a_resend_lets_what_waits_follow(wire: Wire) -> None:
    wire.send("1", {34: 3, 112: "waited"})
    wire.expect("2", {7: 2, 16: 0})
    wire.send("1", {34: 2, 43: "Y", 122: stamp(-1), 112: "x", 7: "1"})
    wire.expect_reject(2, "1", 2, 7)
    wire.expect("0", {112: "waited"})
