"""Numbers and messages outlive the venue's process."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from fix.conformance.wire import PROFILES, TEXT, Profile, Wire, pairs, stamp
from fix.simvenue.bench import WAIT_S, Venue

pytestmark = pytest.mark.slow
# The session layer of FIXT with the application version that is read fastest.
RESTARTED = (*PROFILES[:-1], Profile("FIXT.1.1", "FIXT.1.1", "7"))


@pytest.fixture(params=RESTARTED, ids=lambda p: p.name)
def profile(request: pytest.FixtureRequest) -> Profile:
    found: Profile = request.param
    return found


@pytest.fixture
def wire(own_venue: Venue, profile: Profile) -> Iterator[Wire]:
    made = Wire(own_venue.port, profile, "COUNTING")
    made.log_on()
    made.expect_alive()
    yield made
    made.close()


def test_venue_that_stops_logs_out_and_goes_on_when_it_is_back(
    wire: Wire, own_venue: Venue
) -> None:
    process = own_venue.process
    assert process is not None
    process.terminate()
    wire.expect("5")
    wire.send("5")
    wire.expect_end()
    assert process.wait(WAIT_S) == 0
    own_venue.start()
    wire.log_on()
    wire.expect_alive()
    wire.send("2", {7: 1, 16: 0})
    wire.expect("4", {43: "Y", 122: TEXT, 123: "Y", 36: 6}, number=1)
    assert (wire.sent, wire.received) == (6, 5)


def test_venue_that_is_killed_asks_for_the_last_message_at_most(
    wire: Wire, own_venue: Venue
) -> None:
    own_venue.kill()
    wire.expect_end()
    own_venue.start()
    wire.log_on()
    wire.send("1", {112: "back"})
    while (kind := (answer := dict(pairs(wire.read())))["35"]) != "0":
        # It counts a message when it has dealt with it: the kill may have come between.
        assert (kind, answer["7"]) == ("2", "2")
        wire.send("4", {34: 2, 43: "Y", 122: stamp(), 123: "Y", 36: 4})
    assert answer["112"] == "back"
    assert int(answer["34"]) in (4, 5)
