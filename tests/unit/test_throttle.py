"""The throttle: never more messages in any second than the venue allows, and none held for nothing."""

from __future__ import annotations

from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from tsdb_trader.fix.throttle import Throttle


class Clock:
    """A clock that stands still until told."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def now(self) -> datetime:
        return datetime(2024, 1, 2, tzinfo=UTC)

    def monotonic(self) -> float:
        return self.seconds


@given(
    st.integers(1, 20),
    st.lists(st.floats(0, 1.5, allow_nan=False, allow_infinity=False), max_size=200),
)
def test_throttle_never_lets_more_through_in_any_second(per_s: int, pauses: list[float]) -> None:
    clock = Clock()
    throttle = Throttle(per_s, clock)
    left: list[float] = []
    for pause in pauses:
        clock.seconds += pause
        # Greedy, as the outbox is: everything that may leave does.
        for _ in range(throttle.room()):
            throttle.note()
            left.append(clock.seconds)
    for begin in left:
        assert sum(1 for at in left if begin <= at <= begin + 1.0) <= per_s


@given(st.integers(1, 20), st.lists(st.floats(0, 1.5), max_size=50))
def test_throttle_is_open_again_after_the_wait_it_names(per_s: int, pauses: list[float]) -> None:
    clock = Clock()
    throttle = Throttle(per_s, clock)
    for pause in pauses:
        clock.seconds += pause
        wait_s = throttle.wait_s()
        assert (wait_s == 0) == (throttle.room() > 0)
        clock.seconds += wait_s + 1e-9
        assert throttle.room() > 0
        throttle.note()


def test_throttle_without_a_limit_is_always_open() -> None:
    throttle = Throttle(None, Clock())
    for _ in range(1000):
        throttle.note()
    assert throttle.wait_s() == 0
    assert throttle.room() > 1000
