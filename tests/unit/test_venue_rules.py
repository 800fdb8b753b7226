"""Throttle, faults and passwords of a venue; pure."""

from __future__ import annotations

from pathlib import Path

import pytest

from tsdb_trader.api.venue import Fault, Participant
from tsdb_trader.venue import faults
from tsdb_trader.venue.faults import Tampering
from tsdb_trader.venue.journal import Report
from tsdb_trader.venue.passwords import hash_password, refusal
from tsdb_trader.venue.throttle import Throttle


def report(number: int, exec_type: str = "F", session: str = "TSDB", order: str = "O1") -> Report:
    fields: dict[str, str | list[list[list[str]]]] = {"37": order}
    return Report(number, f"FIX.4.4:SIM->{session}", "8", fields, exec_type)


def numbers(tampering: Tampering, *given: Report) -> list[int]:
    return [p.report.report_no for one in given for p in tampering.through(one)]


def test_throttle_lets_so_many_pass_in_any_second() -> None:
    throttle = Throttle(2)
    waits = [throttle.wait_s("a", now, queue=False) for now in (0.0, 0.5, 0.9, 1.0, 1.4, 1.5)]
    assert waits == pytest.approx([0, 0, 0.1, 0, 0.1, 0])
    assert throttle.wait_s("b", 0.9, queue=False) == 0
    assert Throttle(None).wait_s("a", 0.0, queue=True) == 0


def test_throttle_that_delays_queues_requests_behind_each_other() -> None:
    throttle = Throttle(1)
    waits = [throttle.wait_s("a", 0.0, queue=True) for _ in range(4)]
    assert waits == pytest.approx([0, 1, 2, 3])


def test_tampering_duplicate_repeats_as_many_executions_as_wanted() -> None:
    tampering = Tampering()
    tampering.arm(Fault(5, "duplicate", {"count": 2}))
    found = numbers(tampering, report(1, "0"), report(2), report(3), report(4))
    assert found == [1, 2, 2, 3, 3, 4]
    assert tampering.fired == [5]


def test_tampering_reorder_swaps_two_executions_of_one_session() -> None:
    tampering = Tampering()
    tampering.arm(Fault(5, "reorder", {}))
    assert numbers(tampering, report(1), report(2, session="OTHER")) == [1]
    assert tampering.fired == []
    assert numbers(tampering, report(3, session="OTHER")) == [3, 2]
    assert tampering.fired == [5]


def test_tampering_forgets_what_it_holds_when_the_session_ends() -> None:
    tampering = Tampering()
    tampering.arm(Fault(5, "reorder", {}))
    assert numbers(tampering, report(1)) == []
    tampering.forget("FIX.4.4:SIM->TSDB")
    assert numbers(tampering, report(2), report(3)) == [3, 2]


def test_tampering_drop_counts_the_executions_of_each_order() -> None:
    tampering = Tampering()
    tampering.arm(Fault(5, "drop", {"after": 2}))
    sent = [p for r in (report(1), report(2, order="O2"), report(3)) for p in tampering.through(r)]
    assert [p.cut for p in sent] == [False, False, True]


def test_tampering_delay_waits_for_an_answer_of_its_participant() -> None:
    tampering = Tampering()
    tampering.arm(Fault(5, "delay_ack", {"milliseconds": "20", "participant": "TSDB"}))
    given = [report(1, "0", "OTHER"), report(2, "F"), report(3, "5"), report(4, "0")]
    delays = [p.delay_ms for one in given for p in tampering.through(one)]
    assert delays == [0, 0, 20, 0]


def test_fault_parameters_that_are_no_numbers_are_their_defaults() -> None:
    assert faults.number({"after": "3"}, "after", 1) == 3
    assert faults.number({"after": "x"}, "after", 1) == 1
    assert faults.number({}, "after", 1) == 1


def test_password_hash_matches_its_password_only() -> None:
    stored = hash_password("right")
    assert stored != hash_password("right")
    known = Participant("TSDB", username="trader", password_hash=stored)
    assert refusal(known, "trader", "right") is None
    for name, password in (("trader", "wrong"), ("other", "right"), ("", "")):
        assert refusal(known, name, password) == "unknown user or wrong password"
    foreign = Participant("TSDB", password_hash="scrypt$1:1:1$AA==$AA==")
    assert refusal(foreign, "", "right") is not None


def test_password_comes_from_the_environment_or_a_file(tmp_path: Path) -> None:
    file = tmp_path / "secret"
    file.write_text("right\n")
    for place in ("env:VENUE_SECRET", f"file:{file}"):
        known = Participant("TSDB", password_from=place)
        environment = {"VENUE_SECRET": "right"}
        assert refusal(known, "", "right", environment) is None
        assert refusal(known, "", "wrong", environment) == "unknown user or wrong password"
    lost = Participant("TSDB", password_from=f"file:{tmp_path / 'none'}")
    assert refusal(lost, "", "", {}) == "the venue cannot find the participant's password"


def test_participant_without_a_password_needs_none() -> None:
    assert refusal(None, "any", "any") is None
    assert refusal(Participant("TSDB"), "any", "any") is None
