"""A gateway whose wall clock is set back: the engine alone would wait until the old time comes."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import quickfix

from chaos.processes import Child, Nurse, fake_time_library
from fix.harness import HERE, until
from tsdb_trader.clock import SystemClock
from tsdb_trader.fix.engine_log import EngineLog

pytestmark = pytest.mark.slow


@pytest.fixture
def child(tmp_path: Path, port: int, line: Any) -> Iterator[Child]:
    """Return a gateway process with a clock of its own, started again when it ends."""
    library = fake_time_library()
    if library is None:
        pytest.skip("libfaketime does not work on this machine")
    found = Child(
        "gateway",
        [str(HERE / "gateway_process.py"), line.url, "20", "20", "SIM"],
        tmp_path,
        library,
        TSDB_TRADER_FIX_PORT=str(port),
    )
    nurse = Nurse([found])
    yield found
    nurse.stop()
    found.end(20)


def test_gateway_connects_again_after_its_clock_was_set_back(
    child: Child, venue: Any, desk: Any
) -> None:
    child.start()
    venue.expect("logon")
    child.jump(3600)
    venue.stop()
    tried = '"event_text": "Connecting'
    before = child.log.read_text().count(tried)
    until(lambda: child.log.read_text().count(tried) > before + 1, "the gateway to try again")
    child.jump(0)
    venue.start()
    venue.expect("logon")
    assert child.ends == {"exit 1": 1}
    assert desk.alerts() == ["clocks"]


class MovedClock(SystemClock):
    """A wall clock of the test's."""

    offset_s = 0.0

    def now(self) -> datetime:
        return super().now() + timedelta(seconds=self.offset_s)


def test_clock_set_back_is_measured_from_the_latest_time_seen() -> None:
    clock = MovedClock()
    log = EngineLog(clock)
    assert isinstance(log, quickfix.Log)
    assert log.set_back_s() == 0.0
    clock.offset_s = 100.0
    log.note_time()
    assert log.set_back_s() == pytest.approx(0.0, abs=0.1)
    clock.offset_s = 40.0
    assert log.set_back_s() == pytest.approx(60.0, abs=0.1)
    # A clock that goes forwards again is none that was set back.
    clock.offset_s = 130.0
    assert log.set_back_s() == 0.0
