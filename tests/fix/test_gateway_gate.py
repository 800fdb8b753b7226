"""The recovery gate: open only on a live connection with nothing unanswered."""

from __future__ import annotations

import dataclasses
from datetime import UTC, datetime
from uuid import UUID

import pytest

from tsdb_trader.fix.recovery import Ask, Gate
from tsdb_trader.model import Question, Report


class Clock:
    """A clock that stands still until told."""

    def __init__(self) -> None:
        self.seconds = 100.0

    def now(self) -> datetime:
        return datetime(2024, 1, 2, tzinfo=UTC)

    def monotonic(self) -> float:
        return self.seconds


def question(number: int) -> Question:
    return Question(number, f"P-{number}", UUID(int=1), "IBM", "buy", "unknown")


def answer(number: int, request_id: str | None = None, exec_type: str = "status") -> Report:
    return Report("8", exec_type, "new", f"P-{number}", ord_status_req_id=request_id)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def gate(clock: Clock) -> Gate:
    return Gate(clock, "run", timeout_s=5.0, window=2)


def asked(gate: Gate) -> Ask:
    ask = gate.next_ask()
    assert ask is not None
    return ask


def test_gate_before_the_list_is_shut(gate: Gate) -> None:
    gate.connected()
    assert gate.needs_list()
    assert not gate.is_open


def test_gate_with_nothing_in_doubt_opens_with_the_connection(gate: Gate) -> None:
    gate.load(gate.generation, [])
    assert not gate.is_open
    gate.connected()
    assert gate.is_open


def test_gate_opens_with_the_last_answer(gate: Gate) -> None:
    gate.load(gate.generation, [question(1), question(2), question(3)])
    assert gate.next_ask() is None
    gate.connected()
    first, second = asked(gate), asked(gate)
    assert gate.next_ask() is None
    assert not gate.answered(first.request_id)
    third = asked(gate)
    assert not gate.answered(second.request_id)
    assert gate.answered(third.request_id)
    assert gate.is_open


def test_gate_after_a_lost_connection_needs_a_new_list(gate: Gate) -> None:
    gate.load(gate.generation, [])
    gate.connected()
    gate.disconnected()
    gate.connected()
    assert gate.needs_list()
    assert not gate.is_open


def test_list_taken_before_a_connection_was_lost_is_ignored(gate: Gate) -> None:
    generation = gate.generation
    gate.disconnected()
    gate.load(generation, [])
    gate.connected()
    assert gate.needs_list()
    assert not gate.is_open


def test_answer_that_comes_after_the_connection_was_lost_does_not_count(gate: Gate) -> None:
    gate.load(gate.generation, [question(1)])
    gate.connected()
    late = asked(gate)
    gate.disconnected()
    gate.load(gate.generation, [question(1)])
    gate.connected()
    asked(gate)
    assert gate.matches(answer(1, late.request_id), False) is None
    assert not gate.answered(late.request_id)


def test_question_unanswered_is_asked_again_under_its_id(gate: Gate, clock: Clock) -> None:
    gate.load(gate.generation, [question(1)])
    gate.connected()
    first = asked(gate)
    clock.seconds += 4.9
    assert gate.overdue() == []
    clock.seconds += 0.1
    assert gate.overdue() == [first]
    assert gate.overdue() == []
    assert not gate.is_open
    assert asked(gate).request_id == first.request_id


@pytest.mark.parametrize("again", [False, True])
def test_answer_that_comes_after_its_time_settles_the_question(
    gate: Gate, clock: Clock, again: bool
) -> None:
    gate.load(gate.generation, [question(1)])
    gate.connected()
    first = asked(gate)
    clock.seconds += 5
    gate.overdue()
    if again:
        asked(gate)
    answers = gate.matches(answer(1, first.request_id), False)
    assert answers == first.request_id
    assert gate.answered(answers)
    assert gate.next_ask() is None


def test_question_unanswered_is_asked_later_each_time(gate: Gate, clock: Clock) -> None:
    gate.load(gate.generation, [question(1)])
    gate.connected()
    asked(gate)
    for wait_s in (5, 10, 20, 40, 80, 80):
        clock.seconds += wait_s - 0.1
        assert gate.overdue() == []
        clock.seconds += 0.1
        assert len(gate.overdue()) == 1
        asked(gate)


def test_question_taken_back_is_forgotten_with_the_connection(gate: Gate, clock: Clock) -> None:
    gate.load(gate.generation, [question(1)])
    gate.connected()
    asked(gate)
    clock.seconds += 5
    gate.overdue()
    gate.disconnected()
    gate.load(gate.generation, [])
    gate.connected()
    assert gate.next_ask() is None
    assert gate.is_open


@pytest.mark.parametrize(
    ("report", "duplicate", "counts"),
    [
        (answer(1, "run-1"), False, True),
        (answer(1, "run-1"), True, True),
        (answer(1, "dead-1"), False, False),
        (answer(1), False, True),
        (answer(1), True, False),
        (answer(2), False, False),
        (answer(1, exec_type="trade"), False, False),
        (answer(1, exec_type="rejected"), False, False),
        (Report("8", "status", "new", "C-9", "P-1"), False, True),
        (Report("8", "rejected", "rejected", "P-1", ord_rej_reason="unknown_order"), False, True),
        (Report("9", None, "new", "P-1"), False, False),
    ],
)
def test_report_counts_as_an_answer_only_when_it_is_one(
    gate: Gate, report: Report, duplicate: bool, counts: bool
) -> None:
    gate.load(gate.generation, [question(1)])
    gate.connected()
    asked(gate)
    assert (gate.matches(report, duplicate) is not None) == counts


def test_answer_under_a_later_id_of_the_order_counts(gate: Gate) -> None:
    """A venue that has carried out a replace and a cancel, whose reports never came, names those."""
    named = dataclasses.replace(question(1), cl_ord_ids=("P-1", "R-1", "C-1"))
    gate.load(gate.generation, [named])
    gate.connected()
    asked(gate)
    report = Report("8", "status", "cancelled", "C-1", "R-1")
    assert gate.matches(report, False) == "run-1"
    assert gate.matches(Report("8", "status", "cancelled", "X-1", "X-2"), False) is None


def test_gate_in_bulk_asks_once_for_all_and_then_for_what_is_left(gate: Gate) -> None:
    gate.load(gate.generation, [question(1), question(2)], in_bulk=True)
    assert gate.next_bulk() is None
    gate.connected()
    generation = gate.next_bulk()
    assert generation == gate.generation
    assert gate.next_bulk() is None
    assert gate.next_ask() is None
    gate.settled(1)
    gate.settled(None)
    assert not gate.is_open
    assert gate.open_questions == 1
    assert not gate.end_bulk(generation)
    left = asked(gate)
    assert left.question.order_id == 2
    assert gate.answered(left.request_id)
    assert gate.is_open


def test_gate_in_bulk_opens_when_nothing_is_left(gate: Gate) -> None:
    gate.load(gate.generation, [], in_bulk=True)
    gate.connected()
    generation = gate.next_bulk()
    assert generation is not None
    assert not gate.is_open
    assert gate.end_bulk(generation)
    assert gate.is_open


def test_end_of_a_list_from_before_a_lost_connection_does_not_count(gate: Gate) -> None:
    gate.load(gate.generation, [question(1)], in_bulk=True)
    gate.connected()
    before = gate.next_bulk()
    assert before is not None
    gate.disconnected()
    gate.load(gate.generation, [question(1)], in_bulk=True)
    gate.connected()
    assert not gate.end_bulk(before)
    assert gate.next_bulk() is not None
    assert not gate.end_bulk(before)
    assert gate.next_ask() is None


def test_gate_in_doubt_is_shut_until_a_new_list_is_settled(gate: Gate) -> None:
    gate.load(gate.generation, [])
    gate.connected()
    assert gate.is_open
    gate.doubt()
    assert not gate.is_open
    assert gate.needs_list()
    gate.load(gate.generation, [])
    assert gate.is_open
