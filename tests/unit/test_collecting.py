"""Answers in several messages: complete, cut short, refused or repeated."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from tsdb_trader.fix.collecting import Collection, Collections

NOW = datetime(2024, 1, 2, tzinfo=UTC)


class Clock:
    """A clock that stands still until told."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def now(self) -> datetime:
        return NOW

    def monotonic(self) -> float:
        return self.seconds


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def collections(clock: Clock) -> Collections:
    made = Collections(clock, timeout_s=5.0)
    made.open(Collection("R1", "working", NOW))
    return made


def taken(collections: Collections) -> list[Collection]:
    """Return what is ready, and close it."""
    found = collections.ready()
    for one in found:
        collections.close(one)
    return found


def test_answer_stays_until_it_is_closed(collections: Collections) -> None:
    collections.add("R1", "a", [{"x": "1"}], ended=True)
    assert collections.ready() == collections.ready()
    [found] = taken(collections)
    assert found.items() == [{"x": "1"}]
    assert collections.ready() == []


def test_answer_is_complete_with_as_many_messages_as_announced(collections: Collections) -> None:
    assert not collections.add("R1", "a", [{"x": "1"}], expected=2)
    assert taken(collections) == []
    # The same message again is the same message.
    assert not collections.add("R1", "a", [{"x": "1"}], expected=2)
    assert collections.add("R1", "b", [{"x": "2"}, {"x": "3"}], expected=2)
    [found] = taken(collections)
    assert found.items() == [{"x": "1"}, {"x": "2"}, {"x": "3"}]
    assert not found.failure
    assert taken(collections) == []


def test_answer_is_complete_with_its_last_message(collections: Collections) -> None:
    assert not collections.add("R1", "a", [{"x": "1"}])
    assert collections.add("R1", "b", [{"x": "2"}], ended=True)
    assert collections.kind("R1") == "working"
    assert len(taken(collections)) == 1
    assert collections.kind("R1") is None


def test_answer_announced_as_empty_is_complete_at_once(collections: Collections) -> None:
    assert collections.announce("R1", 0)
    [found] = taken(collections)
    assert found.items() == []


def test_answer_cut_short_fails_after_the_silence_and_not_before(
    collections: Collections, clock: Clock
) -> None:
    clock.seconds = 4.9
    collections.add("R1", "a", [{}], expected=2)
    clock.seconds = 9.8
    assert taken(collections) == []
    assert collections.waits("working")
    clock.seconds = 9.9
    [found] = taken(collections)
    assert found.failure == "no answer for 5 s"
    assert not collections.waits("working")


def test_answer_that_came_in_time_is_good_however_late_it_is_taken(
    collections: Collections, clock: Clock
) -> None:
    collections.announce("R1", 0)
    clock.seconds = 60.0
    assert taken(collections)[0].failure == ""


def test_request_refused_fails_with_the_reason(collections: Collections) -> None:
    assert collections.fail("R1", "not here", unsupported=True)
    [found] = taken(collections)
    assert (found.failure, found.unsupported) == ("not here", True)


def test_messages_that_nobody_waits_for_change_nothing(collections: Collections) -> None:
    assert not collections.add("R2", "a", [{}], ended=True)
    assert not collections.announce(None, 0)
    assert not collections.fail("R2", "no")
    collections.clear()
    assert not collections.add("R1", "a", [{}], ended=True)
    assert taken(collections) == []
