"""Faults in what a venue sends: late, twice, in the wrong order, or cut off; pure.

A fault is armed once and fires once, when there is occasion for it. `through` takes every report
on its way out and says what becomes of it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from tsdb_trader.api.venue import Fault
from tsdb_trader.venue.journal import Report

# Done by the session, not to a report.
SESSION_FAULTS = frozenset({"gap", "lost_state", "logout", "silence"})
# Done to orders, by the exchange.
BOOK_FAULTS = frozenset({"bust", "cancel"})
_ANSWERS = frozenset("0458AE6")


class Passed(NamedTuple):
    """A report that goes out, so many milliseconds later; `cut` ends the connection after it."""

    report: Report
    delay_ms: int = 0
    cut: bool = False


@dataclass(slots=True)
class _Armed:
    fault: Fault
    seen: dict[str, int] = field(default_factory=dict)
    held: Report | None = None
    left: int = 0


@dataclass
class Tampering:
    """The faults that are armed against reports, and what came of them.

    Attributes
    ----------
    fired
        Numbers of the faults that have happened, for the caller to take.
    """

    fired: list[int] = field(default_factory=list)
    _armed: list[_Armed] = field(default_factory=list)

    def arm(self, fault: Fault) -> None:
        """Have a fault happen at the next occasion."""
        left = max(1, number(fault.parameters, "count", 1))
        self._armed.append(_Armed(fault, left=left))

    def through(self, report: Report) -> list[Passed]:
        """Return what goes out now that a report is on its way."""
        for armed in self._armed:
            if not concerns(armed.fault, report.participant):
                continue
            match armed.fault.kind:
                case "delay_ack" if report.msg_type == "9" or report.exec_type in _ANSWERS:
                    self._fire(armed)
                    return [Passed(report, number(armed.fault.parameters, "milliseconds", 1000))]
                case "duplicate" if report.exec_type == "F":
                    armed.left -= 1
                    if not armed.left:
                        self._fire(armed)
                    return [Passed(report), Passed(report)]
                case "reorder" if report.exec_type == "F":
                    return self._reorder(armed, report)
                case "drop" if report.exec_type == "F":
                    return [self._drop(armed, report)]
        return [Passed(report)]

    def forget(self, fix_session: str) -> None:
        """Let go of what is held back for a session that has ended: it is owed to it still."""
        for armed in self._armed:
            if armed.held is not None and armed.held.fix_session == fix_session:
                armed.held = None

    def _reorder(self, armed: _Armed, report: Report) -> list[Passed]:
        held = armed.held
        if held is None or held.fix_session != report.fix_session:
            before = [] if held is None else [Passed(held)]
            armed.held = report
            return before
        self._fire(armed)
        return [Passed(report), Passed(held)]

    def _drop(self, armed: _Armed, report: Report) -> Passed:
        order_id = str(report.fields.get("37", ""))
        armed.seen[order_id] = armed.seen.get(order_id, 0) + 1
        if armed.seen[order_id] < number(armed.fault.parameters, "after", 1):
            return Passed(report)
        self._fire(armed)
        return Passed(report, cut=True)

    def _fire(self, armed: _Armed) -> None:
        self._armed.remove(armed)
        self.fired.append(armed.fault.fault_no)


def concerns(fault: Fault, participant: str) -> bool:
    """Say whether a fault is meant for a participant."""
    return fault.parameters.get("participant") in (None, participant)


def number(parameters: dict[str, Any], name: str, default: int) -> int:
    """Return a parameter that is a number, its default if it is missing or none."""
    value = parameters.get(name, default)
    return int(value) if isinstance(value, int | float | str) and str(value).isdigit() else default


def first(faults: Iterable[Fault], kind: str, participants: Iterable[str]) -> Fault | None:
    """Return the first fault of a kind that concerns one of the participants."""
    known = list(participants)
    return next((f for f in faults if f.kind == kind and any(concerns(f, p) for p in known)), None)
