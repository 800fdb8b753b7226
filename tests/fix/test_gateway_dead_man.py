"""The dead-man's switch: the database falls silent, and the venue is asked to cancel everything."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from fix.harness import Proxy, until
from fix.trading import SENDERS, Trading
from tsdb_trader.workers.dead_man import DeadMan, Pulse


class Clock:
    """A clock that stands still until told."""

    def __init__(self) -> None:
        self.seconds = 100.0

    def now(self) -> datetime:
        return datetime(2024, 1, 2, tzinfo=UTC)

    def monotonic(self) -> float:
        return self.seconds


class Session:
    """A session that notes what is asked of it."""

    def __init__(self, clock: Clock) -> None:
        self.pulse = Pulse(clock)
        self.left = 7.0
        self.sends = True
        self.asked: list[bool] = []

    def lease_left(self) -> float:
        return self.left

    def may_send(self) -> bool:
        return self.sends

    def cancel_everything(self, *, singly: bool = False) -> int:
        self.asked.append(singly)
        return 1


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def session(clock: Clock) -> Session:
    return Session(clock)


def test_switch_fires_once_per_silence(clock: Clock, session: Session) -> None:
    switch = DeadMan(session, 5.0)
    for after in (0.0, 4.9, 0.1, 1.0, 60.0):
        clock.seconds += after
        switch.look()
    assert session.asked == [False]
    session.pulse.touch()
    switch.look()
    assert not switch.fired
    clock.seconds += 5
    switch.look()
    assert session.asked == [False, False]


def test_switch_does_not_wait_for_the_end_of_the_lease(clock: Clock, session: Session) -> None:
    switch = DeadMan(session, 6.0)
    session.left = 0.9
    clock.seconds += 1.9
    switch.look()
    assert session.asked == []
    clock.seconds += 0.2
    switch.look()
    assert session.asked == [False]


def test_switch_without_a_session_fires_when_there_is_one(clock: Clock, session: Session) -> None:
    switch = DeadMan(session, 5.0)
    session.sends = False
    clock.seconds += 9
    switch.look()
    assert session.asked == []
    session.sends = True
    switch.look()
    assert session.asked == [False]


def test_switch_whose_mass_cancel_is_refused_cancels_singly(clock: Clock, session: Session) -> None:
    switch = DeadMan(session, 5.0)
    switch.refused()
    clock.seconds += 5
    switch.look()
    assert session.asked == [False]
    switch.refused()
    switch.look()
    switch.look()
    assert session.asked == [False, True]


@pytest.mark.slow
@pytest.mark.parametrize("version", SENDERS)
@pytest.mark.parametrize("line_is", ["frozen", "cut"])
def test_database_silent_cancels_everything_and_afterwards_nothing_is_lost(
    trading: Trading, line: Proxy, version: str, line_is: str
) -> None:
    trading.open(version, silence_s=2)
    orders = [trading.submit() for _ in range(3)]
    for order_id in orders:
        trading.await_state(order_id, "new", 100)
    line.freeze() if line_is == "frozen" else line.cut()
    until(
        lambda: trading.one("select count(*) from venue.orders where status = 'cancelled'") == 3,
        "the venue to have cancelled everything",
    )
    later = trading.submit()
    line.thaw() if line_is == "frozen" else line.mend()
    until(
        lambda: (
            trading.gateway.process.poll() is not None
            or [trading.state(order_id)[0] for order_id in orders] == ["cancelled"] * 3
        ),
        "the reports to be applied, or the process to end",
    )
    if trading.gateway.process.poll() is not None:
        trading.gateway.start()
    for order_id in orders:
        trading.await_state(order_id, "cancelled", 100)
    trading.await_state(later, "new", 100)
    kind, count = ("F", 3) if version == "FIX.4.2" else ("q", 1)
    until(lambda: trading.kinds().count(kind) == count, "the cancels in the archive, once")
    until(lambda: "dead_man" in trading.alerts(), "the alert")
    assert trading.alerts().count("dead_man") == 1
    assert [k for k in trading.kinds() if k in "DG"] == ["D"] * 4
    assert trading.breaks() == []
    assert trading.one("select count(*) from oms.execution_keys") == trading.one(
        "select count(distinct exec_id) from oms.execution_keys"
    )
