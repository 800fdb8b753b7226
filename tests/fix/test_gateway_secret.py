"""No file of the home, no log and no table holds the password of a FIX session."""

from __future__ import annotations

from pathlib import Path

import pytest

from fix.harness import Desk, Gateway, Proxy, until
from fix.raw_venue import RawVenue
from fix.trading import SECRET, SENDERS, Trading

pytestmark = pytest.mark.slow


def holders(home: Path) -> list[str]:
    """Return the files below a folder that hold the password."""
    files = [path for path in home.rglob("*") if path.is_file()]
    assert any(path.suffix == ".body" for path in files)
    assert any(path.name == "gateway.log" for path in files)
    return [str(path) for path in files if SECRET.encode() in path.read_bytes()]


@pytest.mark.parametrize("version", SENDERS)
def test_password_is_in_no_file_below_the_home_and_in_no_table(
    trading: Trading, tmp_path: Path, version: str
) -> None:
    trading.open(version)
    order = trading.submit()
    trading.await_state(order, "new", 100)
    # A second Logon, by a process that was killed and one that ended in peace.
    trading.gateway.kill()
    trading.gateway.start()
    trading.await_gate()
    trading.cancel(order)
    trading.await_state(order, "cancelled", 100)
    trading.gateway.process.terminate()
    trading.gateway.process.wait(20)
    assert holders(tmp_path) == []
    logons = "select count(*) from oms.fix_messages where direction = 'out' and msg_type = 'A'"
    assert trading.one(logons) >= 2
    for table in ("oms.fix_messages", "venue._messages"):
        found = f"select count(*) from {table} where raw like '%%' || %s || '%%'"
        assert trading.one(found, SECRET) == 0


def test_resend_over_a_scrubbed_logon_is_a_gap_fill(
    desk: Desk,
    gateway: Gateway,
    line: Proxy,
    port: int,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("TSDB_TRADER_FIX_SIM_PASSWORD", SECRET)
    venue = RawVenue(port, client="TSDB", resets=False)
    try:
        gateway.start()
        gate = "select detail->>'gate' from ops.heartbeats where worker = 'fix:SIM'"
        until(lambda: desk.conn.execute(gate).fetchall() == [("open",)], "the gate to open")
        assert venue.logon[554] == SECRET, "on the wire it is what it is"
        first = desk.submit()
        assert venue.message("D")[34] == "2"
        venue.send("2", (7, 1), (16, 0))
        filled = venue.message("4")
        assert (filled[34], filled[43], filled[123], filled[36]) == ("1", "Y", "Y", "3")
        desk.cancel(first)
        assert venue.message("F")[34] == "3"
        assert holders(tmp_path) == []
    finally:
        venue.close()
