"""Market data in FIX 4.2 and 5.0 SP2, checked by an engine that has only their own dictionaries."""

from __future__ import annotations

from collections.abc import Iterator

import psycopg
import pytest

from fix.conftest import Hall
from fix.simvenue.bench import Market
from fix.test_market_data_venue import Listener, entries, value

pytestmark = pytest.mark.slow
QUOTE = ("100.00", 500, "100.02", 300)


@pytest.fixture(params=[("OLD", "FIX.4.2"), ("NEW", "FIXT.1.1")], ids=["FIX.4.2", "FIX.5.0SP2"])
def listener(request: pytest.FixtureRequest, hall: Hall, tape: Market) -> Iterator[Listener]:
    tape.batch(("IBM", QUOTE))
    comp_id, begin = request.param
    hall.open(newest=comp_id == "NEW")
    found = Listener(hall.venue.home, hall.venue.port, comp_id, begin)
    try:
        found.event("logon")
        yield found
    finally:
        found.stop()


def test_market_data_of_other_versions_comes_as_snapshot_then_changes(
    hall: Hall, listener: Listener, tape: Market
) -> None:
    request = listener.ask("IBM", depth="0")
    full = listener.message("W")
    old = value(full, "8") == "FIX.4.2"
    session = str(tape.session_id) if old else None

    def numbered(number: str) -> tuple[str | None, ...]:
        """Return RptSeq, TradingSessionID and TradingSessionSubID as the version has them."""
        return (None if old else number, session, None)

    where = ("83", "336", "625")
    assert (value(full, "262"), value(full, "55")) == (request, "IBM")
    assert entries(full, "269", "270", "271", *where) == [
        ("0", "100", "500", *numbered("1")),
        ("1", "100.02", "300", *numbered("1")),
    ]
    assert len(str(entries(full, "273")[0][0])) == len("14:30:00.999" if old else "14:30:00.999000")
    tape.batch(("IBM", ("100.00", 400, "100.02", 300)))
    change = listener.message("X")
    assert value(change, "262") == request
    assert entries(change, "279", "269", "55", "271", *where) == [
        ("1", "0", "IBM", "400", *numbered("2"))
    ]
    trader = hall.connect()
    trader.order("1", 100)
    assert trader.states(2) == ["00", "F2"]
    assert entries(listener.message("X"), "279", "269", "270", "271", *where) == [
        ("0", "2", "100.02", "100", *numbered("3")),
        ("1", "1", "100.02", "200", *numbered("3")),
    ]
    listener.ask("IBM", types="2")
    assert entries(listener.message("W"), "269") == []
    listener.ask("NONE")
    assert value(listener.message("Y"), "281") == "0"
    tape.close()
    over = listener.message("f")
    assert [value(over, tag) for tag in ("55", "326", "336")] == ["IBM", "18", session]


def test_market_data_of_other_versions_is_asked_for_by_session(
    listener: Listener, tape: Market, conn: psycopg.Connection
) -> None:
    other = Market(conn)
    listener.ask("IBM")
    reject = listener.message("Y")
    old = value(reject, "8") == "FIX.4.2"
    assert value(reject, "281") == (None if old else "9")
    named = [["55", "IBM"], ["336", tape.session_id]] if old else [["55", "IBM"]]
    body = [["262", "R"], ["263", "0"], ["264", "1"], ["265", "1"]]
    groups = [["267", [[["269", "0"]]]], ["146", [named]]]
    if not old:
        groups.append(["386", [[["336", tape.session_id]]]])
    listener.say(type="V", body=body, groups=groups)
    assert entries(listener.message("W"), "270") == [("100",)]
    assert other.session_id != tape.session_id


def test_security_status_in_other_versions_tells_of_every_phase(
    hall: Hall, listener: Listener
) -> None:
    listener.say(type="e", body=[["324", "S1"], ["263", "1"], ["55", "IBM"]])
    status = listener.message("f")
    assert [value(status, t) for t in ("324", "55", "326")] == ["S1", "IBM", "17"]
    trader = hall.connect()
    trader.order("1", 10, "99.00")
    assert trader.states(1) == ["00"]
    for command, code in (("halt", "2"), ("auction", "1"), ("resume", "17")):
        hall.command(command, symbol="IBM")
        assert value(listener.message("f"), "326") == code
    listener.say(type="e", body=[["324", "S2"], ["263", "0"], ["55", "NONE"]])
    assert value(listener.message("f"), "326") == "20"


def test_security_list_is_refused_where_the_version_has_none(listener: Listener) -> None:
    listener.say(type="x", body=[["320", "Q1"], ["559", "4"]])
    answer = listener.lines.get(timeout=20)["message"]
    if value(answer, "8") == "FIX.4.2":
        # A type that the version does not define is the session's to reject: 11, invalid MsgType.
        assert [value(answer, t) for t in ("35", "372", "373")] == ["3", "x", "11"]
    else:
        assert [value(answer, t) for t in ("35", "560", "393")] == ["y", "0", "1"]
        assert value(answer, "55") == "IBM"
