"""A participant with two sessions: who hears what about an order that one of them entered."""

from __future__ import annotations

import pytest

from fix.conftest import Hall
from fix.simvenue.bench import Client, Market

pytestmark = pytest.mark.slow
QUOTE = ("100.00", 500, "100.02", 300)
TIME = "20131007-14:30:00.000"
AGAIN = {"97": "Y"}


@pytest.fixture
def pair(hall: Hall, tape: Market) -> tuple[Client, Client]:
    """Return the session that enters orders and another one of the same participant."""
    tape.batch(("IBM", QUOTE))
    hall.admit("DROP", drop_copy=True)
    hall.open()
    return both(hall)


def both(hall: Hall) -> tuple[Client, Client]:
    owner, other = hall.connect(), hall.connect("TSDB", "FIX.4.2")
    # One participant: its ClOrdIDs are unique over both sessions.
    other.number = 100
    return owner, other


def silent(client: Client) -> None:
    """Check that nothing came which was not read: the answer to a question comes first."""
    assert client.ask("nobody")["58"] == "unknown order"


def test_venue_status_request_of_another_session_is_answered_to_that_session(
    pair: tuple[Client, Client],
) -> None:
    owner, other = pair
    order = owner.order("1", 10, "99.00")
    assert owner.states(1) == ["00"]
    answer = other.ask(order)
    assert (answer["8"], answer["11"], answer["20"]) == ("FIX.4.2", order, "3")
    silent(owner)


def test_venue_repeated_order_of_another_session_is_answered_to_that_session(
    pair: tuple[Client, Client],
) -> None:
    owner, other = pair
    order = owner.order("1", 10, "99.00")
    assert owner.states(1) == ["00"]
    other.order("1", 10, "99.00", cl_ord_id=order, header=AGAIN)
    known = other.message()
    assert (known["11"], known["20"], known["39"]) == (order, "3", "0")
    other.order("1", 10, "99.00", cl_ord_id=order)
    rejected = other.message()
    assert (rejected["39"], rejected["58"]) == ("8", "ClOrdID was used before")
    cancelled = owner.cancel(order)
    assert owner.states(1) == ["44"]
    other.cancel(order, header=AGAIN, name=cancelled)
    known = other.message()
    assert (known["11"], known["20"], known["39"]) == (cancelled, "3", "4")
    silent(owner)


def test_venue_mass_status_of_another_session_is_answered_to_that_session(
    pair: tuple[Client, Client],
) -> None:
    new, old = pair
    orders = [old.order("1", 10, "99.00"), old.order("1", 10, "99.01")]
    assert old.states(2) == ["00", "00"]
    new.send(t35="AF", t584="S1", t585="7")
    answers = [new.message(), new.message()]
    assert [(a["8"], a["11"], a["584"]) for a in answers] == [("FIX.4.4", o, "S1") for o in orders]
    silent(old)


def test_venue_changes_by_another_session_are_told_to_both_and_copied_once(
    hall: Hall, pair: tuple[Client, Client]
) -> None:
    owner, other = pair
    copies = hall.connect("DROP")
    order = owner.order("1", 10, "99.00")
    assert owner.states(1) == ["00"]
    replaced = other.replace(order, "1", 20, "99.00")
    answer, told = other.message(), owner.message()
    assert [(m["8"], m["150"], m["11"], m["41"], m["38"]) for m in (answer, told)] == [
        ("FIX.4.2", "5", replaced, order, "20"),
        ("FIX.4.4", "5", replaced, order, "20"),
    ]
    assert answer["17"] == told["17"]
    other.cancel(replaced)
    assert other.states(1) + owner.states(1) == ["44", "44"]
    assert [(m["150"], m["797"]) for m in (copies.message() for _ in range(3))] == [
        ("0", "Y"),
        ("5", "Y"),
        ("4", "Y"),
    ]
    other.cancel(replaced)
    assert other.states(1) == ["9"]
    silent(owner)


def test_venue_fill_after_a_replacement_by_another_session_goes_to_who_entered_the_order(
    pair: tuple[Client, Client],
) -> None:
    owner, other = pair
    order = owner.order("1", 10, "99.00")
    assert owner.states(1) == ["00"]
    other.replace(order, "1", 10, "100.02")
    assert other.states(1) == ["50"]
    assert owner.states(2) == ["50", "F2"]
    silent(other)


def test_venue_pending_requests_of_another_session_are_decided_to_that_session(
    hall: Hall, tape: Market
) -> None:
    tape.batch(("IBM", QUOTE))
    hall.configure(pending_ms=200)
    hall.open()
    owner, other = both(hall)
    order = owner.order("1", 10, "99.00")
    assert owner.states(2) == ["AA", "00"]
    other.cancel(order)
    assert other.states(2) == ["66", "44"]
    assert owner.states(2) == ["66", "44"]


def test_venue_mass_cancel_of_another_session_is_answered_to_that_session_and_told_to_the_owner(
    pair: tuple[Client, Client],
) -> None:
    new, old = pair
    orders = [old.order("1", 10, "99.00"), old.order("1", 10, "99.01")]
    assert old.states(2) == ["00", "00"]
    new.send(t35="q", t11="M1", t530="7", t60=TIME)
    answer, *gone = [new.message() for _ in range(3)]
    assert (answer["35"], answer["533"]) == ("r", "2")
    told = [old.message(), old.message()]
    assert [(m["11"], m["39"]) for m in gone] == [(o, "4") for o in orders]
    assert [(m["11"], m["39"]) for m in told] == [(o, "4") for o in orders]
