"""Reports that an engine would refuse and answers it would not send: what a venue says counts."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest

from fix.harness import Desk, Gateway, until
from fix.raw_venue import RawVenue
from fix.test_gateway_dead_man_wire import TIME, report, start

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("ahead", [timedelta(hours=1), timedelta(hours=-1)])
def test_fill_of_a_venue_whose_clock_is_wrong_is_booked_and_a_person_told(
    desk: Desk,
    gateway: Gateway,
    port: int,
    listen: Callable[[str, int], RawVenue],
    ahead: timedelta,
) -> None:
    venue = listen("FIX.4.4", port)
    start(gateway, desk, port, "FIX.4.4", heartbeat_s=1)
    order = desk.submit(limit_price="99.90")
    asked = venue.message("D")
    report(venue, "FIX.4.4", asked, "0")
    venue.ahead = ahead
    venue.send(
        "8", (37, "V1"), (11, asked[11]), (17, "E-fill"), (150, "F"), (39, "2"), (55, "IBM"), (54, asked[54]),
        (38, 100), (32, 100), (31, "99.9"), (151, 0), (14, 100), (6, "99.9"), (75, "20131008"), TIME,
    )  # fmt: skip
    until(lambda: desk.status(order) == "filled", "the fill")
    venue.send("0")
    until(lambda: "clocks" in desk.alerts(), "the alert")


def test_status_answered_under_the_id_of_an_unreported_replace_opens_the_gate(
    desk: Desk, gateway: Gateway, port: int, listen: Callable[[str, int], RawVenue]
) -> None:
    """FIX 4.2 has no id for the question: the answer is recognised by the order."""
    venue = listen("FIX.4.2", port)
    start(gateway, desk, port, "FIX.4.2")
    order = desk.submit(limit_price="99.90")
    asked = venue.message("D")
    report(venue, "FIX.4.2", asked, "0")
    until(lambda: desk.status(order) == "new", "the acknowledgement")
    desk.replace(order, limit_price="99.80")
    replace = venue.message("G")
    venue.drop()
    question = venue.message("H")
    assert question[11] == asked[11]
    venue.send(
        "8", (37, f"V{asked[11]}"), (11, replace[11]), (41, asked[11] + "-X"), (17, "E-status"), (20, "3"), (150, "0"),
        (39, "0"), (55, "IBM"), (54, asked[54]), (38, 100), (44, "99.8"), (151, 100), (14, 0), (6, 0), TIME,
    )  # fmt: skip
    until(lambda: desk.status(order) == "new", "the order to be out of doubt")
    desk.submit(limit_price="99.70")
    assert venue.message("D")[44] == "99.70"
