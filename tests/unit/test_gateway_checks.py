"""What a gateway asks in bulk: answers that do not come, or that cannot be stored, are asked for later."""

from __future__ import annotations

from contextlib import nullcontext
from datetime import UTC, date, datetime
from types import SimpleNamespace
from typing import Any

import psycopg
import pytest

from tsdb_trader.api import fix_sessions, reconciliation
from tsdb_trader.api.fix_sessions import FixSession
from tsdb_trader.fix.codec import Outgoing
from tsdb_trader.fix.collecting import Collections
from tsdb_trader.fix.recovery import Gate
from tsdb_trader.fix.versions import FIX44
from tsdb_trader.model import FixMessage
from tsdb_trader.workers.gateway_checks import Checks

NOW = datetime(2024, 1, 2, 12, tzinfo=UTC)
DAY = date(2024, 1, 2)
# Nothing here reaches a database.
CONN: Any = SimpleNamespace(transaction=nullcontext)


class Clock:
    """A clock that stands still until told."""

    def __init__(self) -> None:
        self.seconds = 1000.0

    def now(self) -> datetime:
        return NOW

    def monotonic(self) -> float:
        return self.seconds


class Desk:
    """Checks of a session that is logged on, and what they have sent."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.clock = Clock()
        self.sent: list[str] = []
        self.reconciled = 0
        self.away = False
        self.gate = Gate(self.clock, "run")
        self.collections = Collections(self.clock)
        row = FixSession(
            "S", "V", "order", "FIX.4.4", None, None, "A", "B",
            mass_status_every_s=60, trades_every_s=300,
        )  # fmt: skip
        self.checks = Checks(row, FIX44, self.gate, self.collections, self.clock, "run", self._send)
        monkeypatch.setattr(fix_sessions, "database_time", lambda conn: NOW)
        monkeypatch.setattr(fix_sessions, "trade_dates", lambda conn, venue, since: [DAY])
        monkeypatch.setattr(reconciliation, "reconcile_orders", self._reconcile)
        monkeypatch.setattr(reconciliation, "record_venue_trades", lambda *a, **k: None)

    def _send(self, outgoing: Outgoing) -> FixMessage:
        self.sent.append(outgoing.msg_type)
        return FixMessage("out", "S", 1, outgoing.msg_type, "")

    def _reconcile(self, *_arguments: object) -> int:
        if self.away:
            raise psycopg.OperationalError("away")
        self.reconciled += 1
        return 0

    def log_on(self) -> None:
        self.gate.disconnected()
        self.collections.clear()
        self.checks.connected_anew()
        self.gate.load(self.gate.generation, [], in_bulk=True)
        self.gate.connected()

    def open_request(self, kind: str) -> str:
        """Return the id of the request of this kind that waits for its answer."""
        [found] = [c for c in self.collections._open.values() if c.kind == kind]
        return found.request_id

    def asks(self) -> list[str]:
        """Return what is asked now."""
        self.sent.clear()
        self.checks.recover(CONN)
        if self.gate.is_open:
            self.checks.compare(CONN)
        return list(self.sent)


@pytest.fixture
def desk(monkeypatch: pytest.MonkeyPatch) -> Desk:
    made = Desk(monkeypatch)
    made.log_on()
    return made


def recovered(desk: Desk) -> None:
    assert desk.asks() == ["AF"]
    desk.collections.add(desk.open_request("recovery"), "", [], ended=True)
    desk.checks.finish(CONN)
    assert desk.gate.is_open


def test_mass_status_that_the_database_could_not_take_is_kept(desk: Desk) -> None:
    desk.asks()
    desk.collections.add(desk.open_request("recovery"), "", [], ended=True)
    desk.away = True
    with pytest.raises(psycopg.OperationalError):
        desk.checks.finish(CONN)
    assert not desk.gate.is_open
    desk.away = False
    desk.checks.finish(CONN)
    assert desk.gate.is_open
    assert desk.reconciled == 1


def test_mass_status_lost_with_the_connection_is_asked_for_later_each_time(desk: Desk) -> None:
    assert desk.asks() == ["AF"]
    for wait_s in (1, 2, 4, 8):
        desk.log_on()
        assert desk.asks() == []
        desk.clock.seconds += wait_s - 0.1
        assert desk.asks() == []
        desk.clock.seconds += 0.1
        assert desk.asks() == ["AF"]


def test_mass_status_answered_is_asked_for_at_once_after_the_next_logon(desk: Desk) -> None:
    recovered(desk)
    desk.log_on()
    recovered(desk)


def test_trades_of_the_day_are_not_listed_at_each_logon(desk: Desk) -> None:
    recovered(desk)
    assert desk.asks() == ["AD"]
    desk.collections.add(desk.open_request("trades"), "", [], ended=True)
    desk.checks.finish(CONN)
    for _ in range(3):
        desk.clock.seconds += 9
        desk.log_on()
        recovered(desk)
        assert desk.asks() == []
    desk.clock.seconds += 3
    assert desk.asks() == ["AD"]


def test_trades_not_listed_in_time_are_asked_for_again_later_each_time(desk: Desk) -> None:
    recovered(desk)
    assert desk.asks() == ["AD"]
    for wait_s in (5, 10, 20):
        desk.clock.seconds += 5
        desk.checks.finish(CONN)
        desk.clock.seconds += wait_s - 0.1
        assert "AD" not in desk.asks()
        desk.clock.seconds += 0.1
        assert "AD" in desk.asks()
    desk.collections.announce(desk.open_request("trades"), 0)
    desk.checks.finish(CONN)
    assert "AD" not in desk.asks()


def test_trades_refused_for_good_are_not_asked_for_again(desk: Desk) -> None:
    recovered(desk)
    desk.asks()
    desk.collections.fail(desk.open_request("trades"), "no", unsupported=True)
    desk.checks.finish(CONN)
    desk.clock.seconds += 1000
    assert "AD" not in desk.asks()
