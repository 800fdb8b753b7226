"""Rules over random events in random batches: what the definition says, batch by batch and scanned."""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import psycopg
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

import rule_reference as reference
from rule_market import (
    OPEN,
    Event,
    News,
    Quote,
    Trade,
    events_of,
    matches,
    open_session,
    parity,
    run,
    save,
    store,
)

EXAMPLES = 15
KINDS = {"quote": Quote, "trade": Trade, "news": News}
NAMES = {kind: name for name, kind in KINDS.items()}


@dataclass(frozen=True)
class Condition:
    """A condition as text, and the same in Python."""

    kind: str
    text: str
    when: reference.Predicate


def values(
    history: Sequence[Event],
    kind: type,
    value: Callable[[Any], float | None],
    ms: int | None = None,
) -> list[float]:
    """Return what events of a kind give, those of the last milliseconds only, if asked for."""
    now = reference.known(history[-1])
    found = [
        value(e)
        for e in history
        if isinstance(e, kind) and (ms is None or reference.known(e) > now - ms)
    ]
    return [v for v in found if v is not None]


def mid(q: Quote) -> float | None:
    return None if q.bid is None or q.ask is None else (q.bid + q.ask) / 2


def price(t: Trade) -> float:
    return t.price


def over(a: float | None, b: float | None) -> bool | None:
    return None if a is None or b is None else a > b


def last(
    history: Sequence[Event], kind: type, value: Callable[[Any], float | None]
) -> float | None:
    found = [value(e) for e in history if isinstance(e, kind)]
    return found[-1] if found else None


def conditions(n: int, ms: int, limit: int) -> list[Condition]:
    """Return conditions with a count, a duration and a limit."""

    def window(f: Callable[[list[float]], float], count: int, full: bool) -> reference.Predicate:
        def when(h: Sequence[Event]) -> bool | None:
            v = values(h, Trade, price)[-count:]
            return None if full and len(v) < count else h[-1].price > f(v) + 0.013  # type: ignore[union-attr]

        return when

    def extreme(f: Callable[[list[float]], float], sign: int) -> reference.Predicate:
        return lambda h: sign * (f(values(h, Trade, price, ms)) - h[-1].price) > 0.3  # type: ignore[union-attr]

    def spread_wide(h: Sequence[Event]) -> bool | None:
        q = h[-1]
        assert isinstance(q, Quote)
        return None if q.bid is None or q.ask is None else q.ask - q.bid > limit / 4 + 0.1

    def mid_low(h: Sequence[Event]) -> bool | None:
        v, now = values(h, Quote, mid, ms), mid(h[-1])  # type: ignore[arg-type]
        return None if now is None or not v else now < sum(v) / len(v) - 0.013

    def varied(h: Sequence[Event]) -> bool | None:
        v = values(h, Trade, price)[-n - 1 :]
        return None if len(v) < n + 1 else statistics.stdev(v) > 0.313

    def rising(h: Sequence[Event]) -> bool | None:
        v = values(h, Trade, price)
        return None if len(v) < n + 1 else v[-1] > v[-n - 1]

    def changed(h: Sequence[Event]) -> bool:
        v = values(h, Trade, price, ms)
        return v[-1] - v[0] > 0.3

    return [
        Condition("trade", f"price > {8 + limit}", lambda h: h[-1].price > 8 + limit),  # type: ignore[union-attr]
        Condition("trade", f"price > avg(price, {n}) + 0.013", window(lambda v: sum(v) / len(v), n, True)),
        Condition("trade", f"max(price, {ms}ms) - price > 0.3", extreme(max, 1)),
        Condition("trade", f"price - min(price, {ms}ms) > 0.3", extreme(min, -1)),
        Condition("trade", f"price > min(price, {n}) + 0.013", window(min, n, True)),
        Condition("trade", f"count(trades, {ms}ms) > {limit}", lambda h: len(values(h, Trade, price, ms)) > limit),
        Condition(
            "trade",
            f"sum(size, {ms}ms) > {limit * 100}",
            lambda h: sum(values(h, Trade, lambda t: t.size, ms)) > limit * 100,
        ),
        Condition("trade", f"stddev(price, {n + 1}) > 0.313", varied),
        Condition("trade", f"price > prev(price, {n})", rising),
        Condition("trade", f"change(price, {ms}ms) > 0.3", changed),
        Condition("trade", "price > mid", lambda h: over(h[-1].price, last(h, Quote, mid))),  # type: ignore[union-attr]
        Condition("quote", f"spread > {limit / 4 + 0.1}", spread_wide),
        Condition("quote", f"mid < avg(mid, {ms}ms) - 0.013", mid_low),
        Condition(
            "quote",
            "not (price <= mid)",
            lambda h: over(last(h, Trade, price), mid(h[-1])),  # type: ignore[arg-type]
        ),
        Condition("quote", "bid >= ask", lambda h: None if mid(h[-1]) is None else h[-1].bid >= h[-1].ask),  # type: ignore[arg-type,union-attr,operator]
        Condition("news", f"count(news, {ms}ms) >= {n} or mentions('merger')", lambda h: (
            len(values(h, News, lambda e: e.sentiment, ms)) >= n or "merger" in h[-1].headline.lower().split())),  # type: ignore[union-attr]
        Condition("news", "sentiment < -0.25", lambda h: h[-1].sentiment < -0.25),  # type: ignore[union-attr]
    ]  # fmt: skip


condition = st.builds(
    lambda n, ms, limit, which: (c := conditions(n, ms, limit))[which % len(c)],
    st.integers(1, 4),
    st.sampled_from([100, 250, 700, 2000]),
    st.integers(0, 3),
    st.integers(0, 1000),
)
milliseconds = st.sampled_from([100, 300, 500, 1000])


OFTEN = ("price > 8", "price > prev(price, 1)", "count(trades, 700ms) > 0")


@st.composite
def steps(
    draw: st.DrawFn, wanted: st.SearchStrategy[Condition], forms: Sequence[str]
) -> tuple[dict[str, Any], reference.Step]:
    """Return a step as a definition has it, and as the reference has it."""
    c = draw(wanted)
    form = draw(st.sampled_from(forms))
    kind = KINDS[c.kind]
    if form == "event":
        return {"on": c.kind, "when": c.text}, reference.Step(kind, c.when)
    if form == "until":
        again = draw(condition.filter(lambda d: d.kind == c.kind))
        return (
            {"on": c.kind, "when": c.text, "until": again.text},
            reference.Step(kind, c.when, until=again.when),
        )
    ms = draw(milliseconds)
    if form == "held":
        return (
            {"on": c.kind, "when": c.text, "for": f"{ms}ms"},
            reference.Step(kind, c.when, held_ms=ms),
        )
    return (
        {"absent": c.kind, "when": c.text, "for": f"{ms}ms"},
        reference.Step(kind, c.when, absent_ms=ms),
    )


@st.composite
def rules(draw: st.DrawFn) -> tuple[dict[str, Any], reference.Rule]:
    """Return a definition of up to three steps, and the rule for the reference."""
    count = draw(st.integers(1, 3))
    forms = ["event", "until", "held"]
    drawn = []
    for i in range(count):
        # An absence after the first step waits from the first time on that the step before it was
        # reached: with a sequence before that, this is not the same as any sequence.
        absent = ["absent"] if i == 0 or (i == 1 and count == 2) else []
        drawn.append(draw(steps(condition, forms + absent)))
    return draw(bounded(drawn, st.none() | condition))


@st.composite
def long_rules(
    draw: st.DrawFn, forms: Sequence[str] = ("event",) * 4 + ("until", "held")
) -> tuple[dict[str, Any], reference.Rule]:
    """Return a pattern of three to eight steps that are often true, and at the same events."""
    often = st.sampled_from([c for c in conditions(1, 700, 0) if c.text in OFTEN])
    drawn = [draw(steps(often, forms)) for _ in range(draw(st.integers(3, 8)))]
    return draw(bounded(drawn, st.sampled_from([None, None, *conditions(1, 700, 3)])))


@st.composite
def bounded(
    draw: st.DrawFn,
    drawn: list[tuple[dict[str, Any], reference.Step]],
    breaks: st.SearchStrategy[Condition | None],
) -> tuple[dict[str, Any], reference.Rule]:
    """Return a pattern of these steps with bounds."""
    definition: dict[str, Any] = {"pattern": [d for d, _ in drawn]}
    within = without = None
    if len(drawn) > 1:
        within = draw(st.sampled_from([None, 1000, 3000]))
        if within:
            definition["within"] = f"{within}ms"
        c = draw(breaks)
        if c:
            definition["without"] = {"on": c.kind, "when": c.text}
            without = reference.Step(KINDS[c.kind], c.when)
    cooldown = draw(st.sampled_from([0, 800]))
    if cooldown:
        definition["cooldown"] = f"{cooldown}ms"
    return definition, reference.Rule([s for _, s in drawn], within, without, cooldown)


quarters = st.integers(32, 48).map(lambda n: n / 4)
moments = st.integers(0, 60).map(lambda n: n * 50)
symbols = st.sampled_from(["A", "B"])
events = st.lists(
    st.one_of(
        st.builds(Trade, moments, quarters, st.sampled_from([50, 100, 300]), symbols),
        st.builds(Quote, moments, quarters, quarters | st.none(), symbol=symbols),
        st.builds(
            News,
            moments,
            st.sampled_from(["news", "A merger", "Mergers"]),
            st.sampled_from([-0.5, 0.5]),
            st.sampled_from([("A",), ("A", "B")]),
            st.sampled_from([0, 100, 950]),
        ),
    ),
    min_size=1,
    max_size=50,
).filter(lambda found: any(not isinstance(e, News) for e in found))

# Events enough for patterns of many steps.
busy = st.lists(
    st.one_of(
        st.builds(Trade, moments, quarters.map(lambda p: p + 1)),
        st.builds(Quote, moments, quarters, quarters),
    ),
    min_size=20,
    max_size=40,
)


@pytest.fixture
def prepared(conn: psycopg.Connection) -> psycopg.Connection:
    """Return a connection to a database that has the day's chunks, which are dear to make."""
    store(conn, [Quote(0, 1, 2, symbol="Z"), Trade(0, 1, symbol="Z")], feed="other")
    store(conn, [News(0, symbols=("Z",))])
    session = open_session(conn, "other")
    save(conn, "rule0", {"pattern": [{"on": "trade"}]})
    run(conn, session, [1000])
    conn.execute("delete from market.news")
    return conn


def expected(
    drawn: reference.Rule, market: Sequence[Event], from_ms: float, until_ms: float
) -> list[tuple[float, str, list[Any]]]:
    """Return the matches that the reference finds in a session: time, symbol, events."""
    counts: Counter[Any] = Counter()
    places = {}
    for e in market:
        source = (type(e), None if isinstance(e, News) else e.symbol)
        places[id(e)] = NAMES[type(e)], counts[source]
        counts[source] += 1
    found: list[tuple[float, str, list[Any]]] = []
    for symbol in ("A", "B"):
        own = [
            e
            for e in market
            # A session begins with its first batch: news before it is not its own.
            if from_ms < reference.known(e) <= until_ms
            and symbol in (e.symbols if isinstance(e, News) else (e.symbol,))
        ]
        for m in reference.matches(drawn, own, int(until_ms)):
            events = [
                (n, float(ms), *(places[id(e)] if e else (None, None)))
                for n, (ms, e) in enumerate(m.steps, 1)
            ]
            found.append((float(m.ms), symbol, events))
    return sorted(found, key=lambda m: m[:2])


def check(
    conn: psycopg.Connection,
    market: Sequence[Event],
    drawn: Sequence[tuple[dict[str, Any], reference.Rule]],
    ends: Sequence[int],
) -> None:
    """Compare what rules find in batches, scanned and by the reference."""
    with conn.transaction(force_rollback=True):
        store(conn, market)
        for n, (definition, _) in enumerate(drawn):
            save(conn, f"rule{n}", definition)
        session = open_session(conn)
        run(conn, session, sorted({*ends, 5000}))
        assert parity(conn, session) == []
        row = conn.execute(
            "select extract(epoch from max(as_of) - %s) * 1000,"
            " extract(epoch from min(from_ts) - %s) * 1000 from market.batches"
            " where session_id = %s",
            (OPEN, OPEN, session),
        ).fetchone()
        assert row is not None
        assert conn.execute("select message from signal.rule_errors").fetchall() == []
        for n, (definition, rule) in enumerate(drawn):
            name = f"rule{n}"
            found = [
                (*m, events)
                for m, events in zip(
                    matches(conn, session, name), events_of(conn, session, name), strict=True
                )
            ]
            found.sort(key=lambda m: m[:2])
            assert found == expected(rule, market, row[1], row[0]), definition


moments_between = st.integers(0, 99).map(lambda n: n * 50 + 25)
ends = st.lists(moments_between, min_size=1, max_size=8, unique=True)
few = st.lists(moments_between, min_size=1, max_size=3, unique=True)
examples = settings(
    max_examples=EXAMPLES,
    deadline=None,
    # Shrinking a failure on a database takes longer than a test may.
    phases=[Phase.explicit, Phase.reuse, Phase.generate],
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


@examples
@given(events, st.lists(rules(), min_size=4, max_size=6), ends)
def test_rule_over_random_events_finds_what_its_definition_says_in_any_batches(
    prepared: psycopg.Connection,
    market: list[Event],
    drawn: list[tuple[dict[str, Any], reference.Rule]],
    ends: list[int],
) -> None:
    check(prepared, market, drawn, ends)


@examples
@given(busy, st.lists(long_rules(), min_size=3, max_size=4), few)
def test_pattern_of_many_steps_that_share_events_finds_what_its_definition_says_in_any_batches(
    prepared: psycopg.Connection,
    market: list[Event],
    drawn: list[tuple[dict[str, Any], reference.Rule]],
    ends: list[int],
) -> None:
    check(prepared, market, drawn, ends)


@examples
@given(
    busy,
    st.lists(long_rules(("event", "event", "absent", "held")), min_size=3, max_size=4),
    few,
)
def test_pattern_with_absences_anywhere_finds_the_same_scanned_in_any_batches(
    prepared: psycopg.Connection,
    market: list[Event],
    drawn: list[tuple[dict[str, Any], reference.Rule]],
    ends: list[int],
) -> None:
    conn = prepared
    with conn.transaction(force_rollback=True):
        store(conn, market)
        for n, (definition, _) in enumerate(drawn):
            save(conn, f"rule{n}", definition)
        session = open_session(conn)
        run(conn, session, sorted({*ends, 5000}))
        assert parity(conn, session) == []
