"""What a rule has to find, straight from what its definition says: no state, every pair of events looked at.

Conditions are given as Python predicates over the history up to an event; nothing here is shared with
the database's way of folding events.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from rule_market import Event, News, Quote, Trade

Predicate = Callable[[Sequence[Event]], bool | None]
_RANK = {Quote: 1, Trade: 2, News: 3}


@dataclass(frozen=True)
class Step:
    """One step of a pattern: a kind of event and its condition; `seconds` for held and absent ones."""

    kind: type
    when: Predicate
    until: Predicate | None = None
    held_ms: int | None = None
    absent_ms: int | None = None


@dataclass(frozen=True)
class Rule:
    """A pattern with its bounds."""

    steps: Sequence[Step]
    within_ms: int | None = None
    without: Step | None = None
    cooldown_ms: int = 0


@dataclass
class Found:
    """Where a step happened: position in the order of things (an event's, or a clock's) and time."""

    order: float
    ms: int
    by_clock: bool = False


@dataclass
class Occurrences:
    """Of one step, everything that happened, and for a later absence what breaks it."""

    happened: list[Found] = field(default_factory=list)
    breaks: list[Found] = field(default_factory=list)


def in_order(events: Sequence[Event]) -> list[Event]:
    """Return events of one instrument in the total order; headlines by the time they were known."""
    numbered = list(enumerate(events))
    return [
        e
        for _, e in sorted(
            numbered,
            key=lambda x: (known(x[1]), _RANK[type(x[1])], x[0]),
        )
    ]


def known(event: Event) -> int:
    """Return when an event was known."""
    return event.ms + (event.late if isinstance(event, News) else 0)


def matches(rule: Rule, events: Sequence[Event], end_ms: int) -> list[int]:
    """Return the times of all matches of a rule over one instrument's events, up to a time."""
    ordered = in_order(events)
    steps = [_occurrences(s, i, ordered, end_ms) for i, s in enumerate(rule.steps)]
    kills = (
        [Found(n, known(e)) for n, e in enumerate(ordered) if _true(rule.without, ordered, n)]
        if rule.without
        else []
    )
    found: list[int] = []
    last: int | None = None
    after = -1.0
    for candidate in _completions(rule, steps, ordered, end_ms):
        begun = _begins(rule, steps, kills, candidate, after)
        if not begun:
            continue
        after = candidate.order
        if last is None or candidate.ms - last >= rule.cooldown_ms:
            last = candidate.ms
            found.append(candidate.ms)
    return found


def _true(step: Step, ordered: Sequence[Event], n: int) -> bool:
    return isinstance(ordered[n], step.kind) and bool(step.when(ordered[: n + 1]))


def _order_of(ms: int, ordered: Sequence[Event], step: int = 0) -> float:
    """Return the place of a clock: after every event up to its time, then by time and step."""
    return sum(known(e) <= ms for e in ordered) - 0.5 + ms * 1e-6 + step * 1e-8


def _occurrences(step: Step, i: int, ordered: Sequence[Event], end_ms: int) -> Occurrences:
    true = [n for n in range(len(ordered)) if _true(step, ordered, n)]
    here = [Found(n, known(ordered[n])) for n in true]
    if step.absent_ms is not None:
        if i > 0:
            return Occurrences(breaks=here)
        ends = [
            f.ms + step.absent_ms
            for n, f in enumerate(here)
            if f.ms + step.absent_ms <= end_ms
            and (n + 1 == len(here) or here[n + 1].ms > f.ms + step.absent_ms)
        ]
        return Occurrences([Found(_order_of(ms, ordered, i), ms, True) for ms in ends])
    if step.held_ms is not None:
        clocks = []
        for n, e in enumerate(ordered):
            of_kind = [m for m in range(n) if isinstance(ordered[m], step.kind)]
            begins = n in true and not (of_kind and of_kind[-1] in true)
            broken = [
                known(x)
                for m, x in enumerate(ordered)
                if m > n and isinstance(x, step.kind) and m not in true
            ]
            ms = known(e) + step.held_ms
            if begins and ms <= end_ms and not (broken and broken[0] <= ms):
                clocks.append(Found(_order_of(ms, ordered, i), ms, True))
        return Occurrences(clocks)
    if step.until is not None:
        armed, kept = True, []
        for n, e in enumerate(ordered):
            if isinstance(e, step.kind):
                if armed and n in true:
                    kept.append(Found(n, known(e)))
                    armed = False
                elif not armed and step.until(ordered[: n + 1]):
                    armed = True
        return Occurrences(kept)
    return Occurrences(here)


def _completions(
    rule: Rule, steps: Sequence[Occurrences], ordered: Sequence[Event], end_ms: int
) -> list[Found]:
    last = rule.steps[-1]
    if last.absent_ms is None or len(steps) == 1:
        return steps[-1].happened
    ends = sorted({f.ms + last.absent_ms for f in steps[-2].happened})
    return [Found(_order_of(ms, ordered, len(steps)), ms, True) for ms in ends if ms <= end_ms]


def _begins(
    rule: Rule,
    steps: Sequence[Occurrences],
    kills: Sequence[Found],
    end: Found,
    after: float,
) -> bool:
    """Tell whether a sequence ends here that begins after the last match and that nothing breaks."""

    def reaches(i: int, found: Found) -> list[Found]:
        """Return the first events of sequences that come to step i with this one."""
        if i == 0:
            return [found] if found.order > after else []
        step = rule.steps[i]
        before = [f for f in steps[i - 1].happened if f.order < found.order and f.order > after]
        if step.absent_ms is not None:
            before = [
                f
                for f in before
                if f.ms + step.absent_ms == found.ms
                and not any(f.order < b.order and b.ms <= found.ms for b in steps[i].breaks)
            ]
        return [first for f in before for first in reaches(i - 1, f)]

    return any(
        (rule.within_ms is None or end.ms - first.ms <= rule.within_ms)
        and not any(first.order < k.order < end.order for k in kills)
        for first in reaches(len(steps) - 1, end)
    )
