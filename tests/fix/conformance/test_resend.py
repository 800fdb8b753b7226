"""What the venue sends again when it is asked."""

from __future__ import annotations

import pytest

from fix.conformance.wire import TIME, Wire, stamp

pytestmark = pytest.mark.slow


@pytest.fixture
def order() -> dict[int, str]:
    return {11: "A1", 21: "1", 38: "100", 40: "1", 54: "1", 55: "IBM", 60: stamp()}


def trade(echo: Wire, order: dict[int, str], cl_ord_id: str) -> dict[int, str]:
    """Send an order and return what came back."""
    order = {**order, 11: cl_ord_id}
    echo.send("D", order)
    return echo.expect("D", order)


def expect_again(wire: Wire, first: dict[int, str]) -> None:
    """Expect a message that came before: same number and body, marked, with its first time."""
    body = {t: v for t, v in first.items() if t not in (8, 9, 10, 34, 35, 49, 52, 56)}
    wire.expect("D", {43: "Y", 122: first[52], **body}, number=int(first[34]))


def expect_gap_fill(wire: Wire, number: int, to: int) -> None:
    """Expect a gap fill in the place of session messages."""
    wire.expect("4", {43: "Y", 122: TIME, 123: "Y", 36: to}, number=number)


def ask(wire: Wire, begin: int, end: int) -> None:
    wire.send("2", {7: begin, 16: end})


def test_session_messages_are_replaced_by_one_gap_fill(echo: Wire) -> None:
    echo.expect_alive()
    echo.expect_alive()
    ask(echo, 1, 3)
    expect_gap_fill(echo, 1, 4)
    echo.expect_alive()


def test_application_messages_are_sent_again_as_they_were(
    echo: Wire, order: dict[int, str]
) -> None:
    sent = [trade(echo, order, f"A{n}") for n in range(3)]
    ask(echo, 2, 4)
    for one in sent:
        expect_again(echo, one)
    echo.expect_alive()


def test_gap_fills_stand_between_application_messages(echo: Wire, order: dict[int, str]) -> None:
    first = trade(echo, order, "A1")
    echo.expect_alive()
    echo.expect_alive()
    second = trade(echo, order, "A2")
    echo.expect_alive()
    ask(echo, 1, 6)
    expect_gap_fill(echo, 1, 2)
    expect_again(echo, first)
    expect_gap_fill(echo, 3, 5)
    expect_again(echo, second)
    expect_gap_fill(echo, 6, 7)
    echo.expect_alive()


@pytest.mark.parametrize("end", [0, 900], ids=["zero", "beyond the last"])
def test_open_end_means_up_to_the_last(echo: Wire, order: dict[int, str], end: int) -> None:
    first = trade(echo, order, "A1")
    echo.expect_alive()
    ask(echo, 2, end)
    expect_again(echo, first)
    expect_gap_fill(echo, 3, 4)
    echo.expect_alive()


def test_one_message_is_sent_again(echo: Wire, order: dict[int, str]) -> None:
    trade(echo, order, "A1")
    second = trade(echo, order, "A2")
    trade(echo, order, "A3")
    ask(echo, 3, 3)
    expect_again(echo, second)
    echo.expect_alive()


def test_message_asked_for_twice_keeps_its_first_time(echo: Wire, order: dict[int, str]) -> None:
    first = trade(echo, order, "A1")
    for _ in range(2):
        ask(echo, 2, 2)
        expect_again(echo, first)
    echo.expect_alive()


@pytest.mark.parametrize("begin", [0, 900], ids=["zero", "beyond the last"])
def test_begin_that_was_never_sent_is_rejected(echo: Wire, begin: int) -> None:
    ask(echo, begin, 0)
    echo.expect_reject(2, "2", 5, 7)
    echo.expect_alive()


def test_end_before_the_begin_is_rejected(echo: Wire) -> None:
    echo.expect_alive()
    ask(echo, 2, 1)
    echo.expect_reject(3, "2", 5, 16)
    echo.expect_alive()


def test_resend_request_beyond_a_gap_is_served_and_the_gap_asked_for_next(echo: Wire) -> None:
    echo.send("2", {34: 5, 7: 1, 16: 0})
    expect_gap_fill(echo, 1, 2)
    echo.send("0", {34: 6})
    echo.expect("2", {7: 2, 16: 0})
    echo.send("4", {34: 2, 43: "Y", 122: stamp(), 123: "Y", 36: 7})
    echo.sent = 6
    echo.expect_alive()


def test_order_marked_as_possible_resend_is_recognised(echo: Wire, order: dict[int, str]) -> None:
    trade(echo, order, "A1")
    echo.send("D", {**order, 97: "Y"})
    echo.expect_alive()
    echo.send("D", {**order, 11: "A2", 97: "Y"})
    echo.expect("D", {**order, 11: "A2", 97: "Y"})


def test_venue_report_is_sent_again(wire: Wire, order: dict[int, str]) -> None:
    wire.log_on()
    wire.send("D", order)
    first = _any_report(wire)
    ask(wire, 2, 2)
    again = _any_report(wire)
    fleeting = {8, 9, 10, 43, 52, 122}
    assert (again[34], again[43], again[122]) == (first[34], "Y", first[52])
    assert {t: v for t, v in again.items() if t not in fleeting} == {
        t: v for t, v in first.items() if t not in fleeting
    }
    wire.received = 2
    wire.expect_alive()


def _any_report(wire: Wire) -> dict[int, str]:
    parts = [part.partition("=") for part in wire.read().split("\x01")[:-1]]
    values = {int(tag): value for tag, _, value in parts}
    assert values[35] == "8", values
    return values
