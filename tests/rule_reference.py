"""What a rule has to find, straight from what its definition says: no state, all sequences looked at.

Conditions are given as Python predicates over the history up to an event; nothing here is shared with
the database's way of folding events.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cache

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


@dataclass(frozen=True)
class Found:
    """Where a step happened: position in the order of things (an event's, or a clock's) and time.

    `event` is the one it is about: itself, or the one that a clock began with (none: a later absence).
    """

    order: float
    ms: int
    event: Event | None = None


@dataclass(frozen=True)
class Match:
    """What has to be found: the time of the last step, and for each step its time and its event."""

    ms: int
    steps: Sequence[tuple[int, Event | None]]


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


def matches(rule: Rule, events: Sequence[Event], end_ms: int) -> list[Match]:
    """Return all matches of a rule over one instrument's events, up to a time."""
    ordered = in_order(events)
    steps = [_occurrences(s, i, ordered, end_ms) for i, s in enumerate(rule.steps)]
    kills = (
        [Found(n, known(e), e) for n, e in enumerate(ordered) if _true(rule.without, ordered, n)]
        if rule.without
        else []
    )
    found: list[Match] = []
    after = -1.0
    for candidate in _completions(rule, steps, ordered, end_ms):
        sequence = _latest(rule, steps, kills, candidate, after)
        if sequence is None:
            continue
        after = candidate.order
        if not found or candidate.ms - found[-1].ms >= rule.cooldown_ms:
            found.append(Match(candidate.ms, [(f.ms, f.event) for f in sequence]))
    return found


def _true(step: Step, ordered: Sequence[Event], n: int) -> bool:
    return isinstance(ordered[n], step.kind) and bool(step.when(ordered[: n + 1]))


def _order_of(ms: int, ordered: Sequence[Event], step: int = 0) -> float:
    """Return the place of a clock: after every event up to its time, then by time and step."""
    return sum(known(e) <= ms for e in ordered) - 0.5 + ms * 1e-6 + step * 1e-8


def _occurrences(step: Step, i: int, ordered: Sequence[Event], end_ms: int) -> Occurrences:
    true = [n for n in range(len(ordered)) if _true(step, ordered, n)]
    here = [Found(n, known(ordered[n]), ordered[n]) for n in true]
    if step.absent_ms is not None:
        if i > 0:
            return Occurrences(breaks=here)
        ends = [
            (f.ms + step.absent_ms, f.event)
            for n, f in enumerate(here)
            if f.ms + step.absent_ms <= end_ms
            and (n + 1 == len(here) or here[n + 1].ms > f.ms + step.absent_ms)
        ]
        return Occurrences([Found(_order_of(ms, ordered, i), ms, e) for ms, e in ends])
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
                clocks.append(Found(_order_of(ms, ordered, i), ms, e))
        return Occurrences(clocks)
    if step.until is not None:
        armed, kept = True, []
        for n, e in enumerate(ordered):
            if isinstance(e, step.kind):
                if armed and n in true:
                    kept.append(Found(n, known(e), e))
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
    return [Found(_order_of(ms, ordered, len(steps)), ms) for ms in ends if ms <= end_ms]


def _latest(
    rule: Rule,
    steps: Sequence[Occurrences],
    kills: Sequence[Found],
    end: Found,
    after: float,
) -> tuple[Found, ...] | None:
    """Return the sequence that ends here, begins after the last match and that nothing breaks.

    Of several the one whose last but one step happened last, of these the one whose step before
    that did, and so on.
    """

    def may_begin(first: Found) -> bool:
        return (
            first.order > after
            and (rule.within_ms is None or end.ms - first.ms <= rule.within_ms)
            and not any(first.order < k.order < end.order for k in kills)
        )

    @cache
    def leading_to(i: int, found: Found) -> tuple[Found, ...] | None:
        if i == 0:
            return (found,) if may_begin(found) else None
        step = rule.steps[i]
        before = [f for f in steps[i - 1].happened if f.order < found.order]
        if step.absent_ms is not None:
            before = [
                f
                for f in before
                if f.ms + step.absent_ms == found.ms
                and not any(f.order < b.order and b.ms <= found.ms for b in steps[i].breaks)
            ]
        for f in sorted(before, key=lambda f: f.order, reverse=True):
            sequence = leading_to(i - 1, f)
            if sequence is not None:
                return (*sequence, found)
        return None

    return leading_to(len(steps) - 1, end)
