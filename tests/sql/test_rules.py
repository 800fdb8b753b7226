"""Rules: what is refused, what is isolated, and what a session does with them."""

from __future__ import annotations

import math
import random
import statistics
from collections.abc import Callable
from datetime import timedelta
from typing import Any, LiteralString

import psycopg
import pytest
from psycopg.types.json import Jsonb

from factories import add_instrument
from rule_market import (
    OPEN,
    Event,
    News,
    Quote,
    Trade,
    at,
    events_of,
    matches,
    open_session,
    parity,
    run,
    save,
    step,
    store,
    store_news,
)

ANY_TRADE = {"pattern": [{"on": "trade"}]}
FAILING = {"pattern": [{"on": "trade", "when": "size / (size - 100) > 0"}]}


def on(when: str, kind: str = "trade", **more: Any) -> dict[str, Any]:
    return {"pattern": [{"on": kind, "when": when, **more}]}


REFUSED: list[tuple[Any, str, str]] = [
    (on("pirce > 1"), "TT002", 'unknown field "pirce": did you mean price?'),
    (on("price > agv(price, 5s)"), "TT002", 'unknown function "agv": did you mean avg?'),
    (on("SYP.mid > 1"), "TT002", 'unknown instrument "SYP": did you mean SPY?'),
    (on("SPY.midd > 1"), "TT002", "did you mean mid?"),
    (on("price > 1", "trades"), "TT002", "did you mean trade?"),
    (on("price > 1", utnil="price < 1"), "TT002", "did you mean until?"),
    (on("price > 1", symbol="SPX"), "TT002", "did you mean SPY?"),
    ({**ANY_TRADE, "instruments": ["SPT"]}, "TT002", "did you mean SPY?"),
    ({**ANY_TRADE, "cooldwn": "5s"}, "TT002", "did you mean cooldown?"),
    ({**ANY_TRADE, "timezone": "Mars"}, "TT002", "unknown timezone"),
    (on("mean(price, 5s) > 1"), "TT002", "unknown function"),
    (on("price >"), "TT001", "its end cannot stand there"),
    (on(""), "TT001", "its end cannot stand there"),
    (on("price > > 1"), "TT001", "cannot stand there"),
    (on("price 1"), "TT001", "cannot stand there"),
    (on("(price > 1"), "TT001", 'a ")" is missing'),
    (on("price > 1)"), "TT001", "too many"),
    (on("price, 1 > 2"), "TT001", "too many"),
    (on("avg() > 1"), "TT001", "cannot stand there"),
    (on("price > 1; drop table x"), "TT001", 'cannot read "; drop table x"'),
    (on("price > $1"), "TT001", "cannot read"),
    (on("price"), "TT001", "is no condition"),
    (on("price + 1"), "TT001", "is no condition"),
    (on("price and 1 > 0"), "TT001", "is over conditions"),
    (on("1 < price < 2"), "TT001", "is over numbers"),
    (on("price > 5s"), "TT001", "is over numbers"),
    (on("price > 'a'"), "TT001", "is over numbers"),
    (on("trades > 5"), "TT001", "is over numbers"),
    (on("abs(price, 2) > 5"), "TT001", "does not take 2 arguments"),
    (on("avg(price) > 5"), "TT001", "its window"),
    (on("avg(price, -5s) > 5"), "TT001", '"-5s": a duration must be above zero'),
    (on("-trades > 5"), "TT001", '-trades: "-" is over numbers'),
    (
        on("avg(price, 40d) > 1"),
        "TT001",
        '"40d" has an unknown unit: durations are in us, ms, s, m or h',
    ),
    (on("avg(price, 1.5min) > 1"), "TT001", '"1.5min" has an unknown unit'),
    ({**on("price > 1"), "within": "2d"}, "TT001", "744h (31 days), in us, ms, s, m or h"),
    (on("avg(price, 0s) > 5"), "TT001", "must be above zero"),
    (on("avg(price, 0) > 5"), "TT001", "window must be"),
    (on("avg(price, 1.5) > 5"), "TT001", "window must be"),
    (on("avg(price, 800h) > 5"), "TT001", "must be above zero and up to"),
    (on("avg(price, 10:00-09:00) > 5"), "TT001", "a part of one day"),
    (on("prev(price, 5s) > 5"), "TT001", "window must be"),
    (on("rate(trades, 5) > 5"), "TT001", "window must be"),
    (on("count(price, 5s) > 5"), "TT001", "is over quotes, trades or news"),
    (on("sum(trades, 5s) > 5"), "TT001", "is over numbers"),
    (on("avg(avg(price, 5s), 5s) > 5"), "TT001", "an aggregate of an aggregate"),
    (on("avg(price - mid, 5s) > 5"), "TT001", "one instrument's quotes, trades or news"),
    (on("mentions('x')"), "TT001", "in a step on news"),
    (on("mentions('a|b')", "news"), "TT001", "letters, digits"),
    (on("x" * 2001), "TT001", "at most 2000"),
    (on(5), "TT001", "a condition is a text"),  # type: ignore[arg-type]
    ({}, "TT001", "a rule needs"),
    ([], "TT001", "must be an object"),
    ({"pattern": []}, "TT001", "a rule needs"),
    ({"pattern": ["trade"]}, "TT001", "must be an object"),
    ({"pattern": [{"when": "price > 1"}]}, "TT001", 'needs "on" or "absent"'),
    ({"pattern": [{"absent": "trade"}]}, "TT001", 'needs "for"'),
    ({"pattern": [{"on": "trade", "for": "5s"}]}, "TT001", 'need "when"'),
    (on("price > 1", until="price < 1", **{"for": "1s"}), "TT001", "ends by itself"),
    (on("price > 1", **{"for": "-1s"}), "TT001", "must be above zero"),
    (on("price > 1", **{"for": 5}), "TT001", "must be above zero"),
    ({**ANY_TRADE, "cooldown": "soon"}, "TT001", 'cooldown "soon"'),
    ({**ANY_TRADE, "hours": "16:00-09:30"}, "TT001", "a part of one day"),
    ({**ANY_TRADE, "within": "5s"}, "TT001", "two steps or more"),
    ({**ANY_TRADE, "instruments": []}, "TT001", "a list of symbols"),
    ({**ANY_TRADE, "instruments": "SPY"}, "TT001", "a list of symbols"),
    (on("price > SPY.mid"), "TT001", 'needs "instruments"'),
    (
        {**on("price > 1", symbol="SPY"), "instruments": ["SPY"]},
        "TT001",
        '"instruments" has no use',
    ),
    (on("price > 1", symbols=["SPY", "IBM"], every=True), "TT001", "after the first step"),
    (on("price > 1", every=True), "TT001", 'needs "symbols"'),
    (on("price > 1", symbols=[]), "TT001", "is empty"),
    (on("price > 1", symbols="SPY"), "TT001", "as a list"),
    (
        on("price > 1", symbols=["SPY", "IBM"], until="price < 1"),
        "TT001",
        "a single instrument",
    ),
    (
        {"pattern": [{"on": "trade"}, {"absent": "trade", "for": "9s"}], "within": "5s"},
        "TT001",
        "could never match",
    ),
    ({"pattern": [{"on": "trade"}] * 9}, "TT001", "one to eight"),
    (on("price > 1e999"), "TT001", 'number "1e999" is too large'),
    (on("price > 1e-999"), "TT001", "too large or too small"),
    (on("price > " + "9" * 999), "TT001", "too large"),
    (on("prev(price, 1.5) > 1"), "TT001", "window must be"),
    (on("prev(price, 100001) > 1"), "TT001", "window must be"),
    (on("avg(price, 1e6) > 1"), "TT001", "window must be"),
    (on("avg(price, 0.1us) > 1"), "TT001", "must be above zero"),
    (on("Price > 1"), "TT002", "did you mean price?"),
    (on("price > 1", symbol="日経"), "TT002", 'unknown instrument "日経"'),
    (on("日経.mid > 1"), "TT001", "cannot read"),
    (on("mentions('日経')", "news"), "TT001", "letters, digits"),
    ({**ANY_TRADE, "timezone": None}, "TT001", '"timezone" must be a name'),
    ({**ANY_TRADE, "cooldown": None}, "TT001", "must be above zero"),
    ({**ANY_TRADE, "instruments": [None]}, "TT002", "unknown instrument"),
    (on("price > 1", symbols=["SPY", None]), "TT002", "unknown instrument"),
    (None, "TT001", "must be an object"),
    (
        {
            "pattern": [
                {"on": "trade", "symbols": ["IBM", "SPY"], "when": f"price > {n}"} for n in range(8)
            ],
            "without": {"on": "trade", "symbol": "SPY"},
            "within": 5,
        },
        "TT001",
        'within "5"',
    ),
]


def test_rule_that_cannot_be_is_refused_with_its_reason(conn: psycopg.Connection) -> None:
    for symbol in ("SPY", "IBM"):
        add_instrument(conn, symbol)
    for definition, code, said in REFUSED:
        with pytest.raises(psycopg.Error) as caught:
            save(conn, "bad", definition)
        assert (caught.value.sqlstate, said in str(caught.value)) == (code, True), (
            definition,
            str(caught.value),
        )
    assert conn.execute("select count(*) from signal.rules").fetchone() == (0,)


def test_rule_at_the_edge_of_what_can_be_is_saved(conn: psycopg.Connection) -> None:
    trade = {"on": "trade"}
    held = {"on": "quote", "when": "bid > 1", "for": "10s"}
    for definition in (
        on("(" * 900 + "price > 1" + ")" * 900),
        on("not " * 400 + "price > 1"),
        on(" or ".join(f"avg(price, {n}) > 1" for n in range(1, 80))),
        on("avg(price, 100000) > 1 and max(price, 744h) > 1 and sum(price, 00:00-24:00) > 1"),
        on("prev(price, 1.0) > 1 and avg(price, 1e2) > 1"),
        {"pattern": [trade] * 8, "within": "1us", "cooldown": "744h", "hours": "00:00-24:00"},
        # Either can come to its end within five seconds of the trade.
        {"pattern": [held, trade], "within": "5s"},
        {"pattern": [trade, held], "within": "5s"},
    ):
        save(conn, "r", definition)
    store(conn, [Trade(n * 10, 5) for n in range(90)])
    session = open_session(conn)
    run(conn, session, [400, 1000])
    assert parity(conn, session) == []
    assert conn.execute("select count(*) from signal.rule_errors").fetchone() == (0,)


def test_condition_that_held_before_the_step_before_it_completes_the_pattern(
    conn: psycopg.Connection,
) -> None:
    held = {"on": "quote", "when": "bid > 1", "for": "10s"}
    save(conn, "after", {"pattern": [{"on": "trade"}, held], "within": "5s"})
    save(conn, "before", {"pattern": [held, {"on": "trade"}], "within": "5s"})
    store(conn, [Quote(0, 2, 3), Trade(8000, 1), Trade(12_000, 1)])
    session = open_session(conn)
    run(conn, session, [5000, 9000, 13_000])
    assert matches(conn, session, "after") == [(10_000, "A")]
    assert matches(conn, session, "before") == [(12_000, "A")]
    assert parity(conn, session) == []


def test_window_of_too_many_values_is_an_error_of_the_next_event(conn: psycopg.Connection) -> None:
    rule_id = save(conn, "r", on("count(trades, 1s) > 100000 or count(trades, 1s) = 1"))
    row = conn.execute(
        f"""select cardinality((c.done).hits), (c.done).errors[1].message,
            (select array_agg((e).t order by (e).t) from unnest((c.done).errors) e)
        from (select signal._rule_{rule_id}(null, array(
            select row(n, n, 2, 1, null, null, null, null, 1, 1, null, null, 1, n)::signal.rule_event
            from unnest(array(select generate_series(1, 100002)) || array[1000001, 5000000]) n), 1) as done) c"""
    ).fetchone()
    # A second after the first trade there is room for one more.
    assert row == (2, "a window holds more than 100000 values: make it shorter", [100001, 100002])


def test_rule_name_and_validity_that_cannot_be_are_refused(conn: psycopg.Connection) -> None:
    with pytest.raises(psycopg.Error, match="a rule's name"):
        save(conn, "A b", ANY_TRADE)
    with pytest.raises(psycopg.Error, match="valid from before"):
        conn.execute(
            "select signal.save_rule('x', %s, p_valid_from => now(), p_valid_to => now())",
            (Jsonb(ANY_TRADE),),
        )


def test_rule_saved_again_is_the_same_or_a_new_version(conn: psycopg.Connection) -> None:
    first = save(conn, "r", ANY_TRADE, enabled=False)
    assert save(conn, "r", ANY_TRADE) == first
    second = save(conn, "r", on("price > 1"))
    rows = conn.execute(
        "select rule_id, version, enabled, superseded_at = 'infinity' from signal.rules order by 1"
    ).fetchall()
    assert rows == [(first, 1, False, False), (second, 2, False, True)]
    assert save(conn, "r", on("price > 1"), enabled=True) == second
    assert conn.execute("select enabled from signal.rules where version = 2").fetchone() == (True,)


def test_condition_binds_as_arithmetic_does(conn: psycopg.Connection) -> None:
    cases = {
        "price - 1 - 2 = 7": True,
        "price / 2 / 5 = 1": True,
        "2 + price * 3 = 32": True,
        "-price + 20 = 10": True,
        "price > 5 or price > 99 and price > 99": True,
        "not price > 99 and price = 10": True,
        "not (price > 5 or price > 99)": False,
        "price <> 10": False,
        "least(price, 3, 12) = 3 and greatest(price, 3) = 10": True,
        "abs(3 - price) = 7 and sqrt(price * price) = 10 and sign(-price) = -1": True,
        "ln(exp(1.5)) > 1.49 and 1e1 = price and .5 < 0.6": True,
        "mid > 1 or price = 10": True,
        "mid > 1 and price = 10": False,
        "not mid > 1": False,
    }
    for n, when in enumerate(cases):
        save(conn, f"r{n}", on(when))
    store(conn, [Trade(0, 10)])
    session = open_session(conn)
    run(conn, session, [100])
    assert conn.execute("select message from signal.rule_errors").fetchall() == []
    assert {w: bool(matches(conn, session, f"r{n}")) for n, w in enumerate(cases)} == cases


def test_window_statistics_equal_those_of_python(conn: psycopg.Connection) -> None:
    rng = random.Random(3)
    # Large prices that differ little, and more values than a sum is kept for without forming it anew.
    ticks = [
        Trade(n * 100, 50_000 + rng.randrange(100) / 100, rng.randrange(1, 9)) for n in range(1500)
    ]
    names = ("avg", "stddev", "min", "max", "first", "last", "change", "sum")
    terms = [f"{f}(price, {w})" for f in names for w in ("5s", "30", "09:30-09:31")]
    terms += ["count(trades, 5s)", "rate(trades, 5s)", "change_bps(price, 5s)", "prev(price, 7)"]
    save(conn, "r", on(" or ".join(f"{t} > -1" for t in terms)))
    store(conn, ticks)
    session = open_session(conn)
    run(conn, session, [777, 20_000, 90_000, 149_900])
    assert parity(conn, session) == []
    rows = conn.execute(
        "select as_of, events->0->'values' from signal.rule_matches order by 1"
    ).fetchall()
    assert len(rows) == len(ticks)
    functions: dict[str, Callable[[list[float]], float]] = {
        "avg": statistics.fmean,
        "stddev": statistics.stdev,
        "min": min,
        "max": max,
        "first": lambda v: v[0],
        "last": lambda v: v[-1],
        "change": lambda v: v[-1] - v[0],
        "sum": math.fsum,
    }
    for n in (0, 5, 29, 30, 599, 600, 1000, 1400, 1499):
        ms = (rows[n][0] - OPEN) / timedelta(milliseconds=1)
        values = rows[n][1]
        windows = {
            "5s": [t.price for t in ticks[: n + 1] if t.ms > ms - 5000],
            "30": [t.price for t in ticks[max(n - 29, 0) : n + 1]] if n >= 29 else [],
            "09:30-09:31": [t.price for t in ticks[:600]] if ms >= 60_000 else [],
        }
        for window, held in windows.items():
            for name, function in functions.items():
                found = values[f"{name}(price, {window})"]
                if len(held) < (2 if name == "stddev" else 1):
                    assert found is None
                else:
                    assert found == pytest.approx(function(held), rel=1e-9, abs=1e-9), (
                        n,
                        name,
                        window,
                    )
        held = windows["5s"]
        assert values["count(trades, 5s)"] == len(held)
        assert values["rate(trades, 5s)"] == pytest.approx(len(held) / 5)
        assert values["change_bps(price, 5s)"] == pytest.approx(
            1e4 * (held[-1] / held[0] - 1), abs=1e-7
        )
        assert values["prev(price, 7)"] == (ticks[n - 7].price if n >= 7 else None)


def test_match_names_its_events_and_what_they_were_about(conn: psycopg.Connection) -> None:
    save(
        conn,
        "r",
        {
            "pattern": [
                {"on": "quote", "when": "spread > 1"},
                {"on": "trade", "when": "price > mid"},
            ]
        },
    )
    store(conn, [Quote(0, 9, 11), Trade(500, 9), Trade(700, 10.5)])
    session = open_session(conn)
    run(conn, session, [100, 1000])
    row = conn.execute("select batch_no, known_at, events from signal.rule_matches").fetchone()
    assert row is not None
    assert row[:2] == (2, at(1000))
    quote, trade = row[2]
    assert (quote["step"], quote["kind"], quote["ts"]) == (
        1,
        "quote",
        "2013-10-07T13:30:00.000000Z",
    )
    assert (trade["symbol"], trade["seq"], trade["values"]) == ("A", 1, {"price": 10.5, "mid": 10})
    assert conn.execute(
        "select price from market.trades where source_id = %s and seq = %s",
        (trade["source_id"], trade["seq"]),
    ).fetchone() == (10.5,)


@pytest.mark.parametrize("ends", [[100], [1, 100], [0, 1, 2, 100]])
def test_event_that_serves_steps_of_several_sequences_stands_in_each_by_itself(
    conn: psycopg.Connection, ends: list[float]
) -> None:
    save(conn, "three", {"pattern": [{"on": "trade"}] * 2 + on("price > 5")["pattern"]})
    save(conn, "four", {"pattern": [{"on": "trade"}] * 3 + on("price > 5")["pattern"]})
    store(conn, [Trade(n, price) for n, price in enumerate((1, 1, 1, 1, 9))])
    session = open_session(conn)
    run(conn, session, ends)
    for rule, places in (("three", (2, 3, 4)), ("four", (1, 2, 3, 4))):
        assert events_of(conn, session, rule) == [
            [(step, place, "trade", place) for step, place in enumerate(places, 1)]
        ]
    assert parity(conn, session) == []


def test_display_settings_change_no_match(conn: psycopg.Connection) -> None:
    save(conn, "r", on("price > 1", **{"for": "1s"}))
    store(conn, [Trade(0, 10.123), Trade(5000, 11)])
    session = open_session(conn)
    run(conn, session, [100, 6000])
    conn.execute("set extra_float_digits = -5")
    conn.execute("set timezone = 'Asia/Tokyo'")
    assert parity(conn, session) == []


def test_clock_runs_out_at_its_time_whatever_batch_brings_it(conn: psycopg.Connection) -> None:
    save(conn, "r", {"pattern": [{"absent": "trade", "for": "1s"}]})
    events: list[Event] = [
        Trade(0, 1),
        Trade(1000, 1),
        *(Quote(n, 1, 2, symbol="B") for n in (2000, 2001, 9000)),
    ]
    store(conn, events)
    for ends in ([1500, 2000, 2001], [1500, 1999.999, 9000], [9000], [2000.001, 9000]):
        session = open_session(conn)
        run(conn, session, ends)
        # Nothing is known at 1500; the trade at 1000 comes exactly one second after the first one.
        assert matches(conn, session, "r") == [(2000, "A")], ends
        assert parity(conn, session) == []


@pytest.mark.parametrize("ends", [[9000], [1000, 9000], [1000, 5000, 9000], [1000, 4500, 9000]])
def test_absence_ends_with_the_first_event_of_a_batch_whatever_follows_it(
    conn: psycopg.Connection, ends: list[float]
) -> None:
    save(conn, "stale", {"pattern": [{"absent": "quote", "for": "5s"}]})
    save(conn, "rare", {"pattern": [{"absent": "quote", "for": "4s"}, {"on": "trade"}]})
    # No two quotes are five seconds apart, the first and the last one are.
    store(conn, [*(Quote(ms, 1, 2) for ms in (0, 4000, 8000)), Trade(9000, 1)])
    session = open_session(conn)
    run(conn, session, ends)
    assert matches(conn, session, "stale") == []
    assert matches(conn, session, "rare") == []
    assert parity(conn, session) == []


def test_news_stored_too_late_comes_with_the_next_batch_live_and_scanned(
    conn: psycopg.Connection,
) -> None:
    save(conn, "r", {"pattern": [{"on": "news"}]})
    store(conn, [Trade(n * 1000, 1) for n in range(6)])
    store_news(conn, [News(500), News(2500, late=1000)])
    session = open_session(conn)
    run(conn, session, [1100])
    store_news(conn, [News(900, "late"), News(-5000, "older than the session")])
    for start, end in ((1100, 2100), (2100, 5100)):
        step(conn, session, start, end)
    assert matches(conn, session, "r") == [(500, "A"), (1100.001, "A"), (3500, "A")]
    assert parity(conn, session) == []


def test_news_of_an_interval_without_ticks_comes_with_the_next_batch(
    conn: psycopg.Connection,
) -> None:
    save(conn, "r", {"pattern": [{"on": "news"}]})
    store(conn, [Trade(0, 1), Trade(9000, 1), News(5000)])
    session = open_session(conn)
    step(conn, session, -1, 1000)
    step(conn, session, 8000, 9000)
    assert matches(conn, session, "r") == [(5000, "A")]
    assert parity(conn, session) == []


def test_condition_that_cannot_be_evaluated_is_recorded_and_the_others_go_on(
    conn: psycopg.Connection,
) -> None:
    save(conn, "bad", FAILING)
    save(conn, "good", ANY_TRADE)
    store(conn, [Trade(n, 1, 100 if n % 2 else 200) for n in range(4)])
    session = open_session(conn)
    run(conn, session, [10])
    assert len(matches(conn, session, "good")) == 4
    assert matches(conn, session, "bad") == [(0, "A"), (2, "A")]
    assert parity(conn, session) == []
    rows = conn.execute(
        "select as_of, kind, seq, code, message from signal.rule_errors order by 1"
    ).fetchall()
    assert rows == [(at(n), "trade", n, "22012", "division by zero") for n in (1, 3)]
    alerts = conn.execute(
        "select kind, detail->>'rule' from ops.alerts where resolved_at is null"
    ).fetchall()
    assert alerts == [("rule_error", "bad")]
    assert conn.execute(
        "select errors, matches from signal.rule_spans order by errors desc"
    ).fetchall() == [(2, 2), (0, 4)]


@pytest.mark.parametrize("ends", [[100], [2, 6, 100]])
def test_failure_at_an_event_that_changes_nothing_is_recorded_in_any_batches(
    conn: psycopg.Connection, ends: list[float]
) -> None:
    # From the first trade on the rule is disarmed.
    save(
        conn,
        "bad",
        on("price > 0 or change_bps(size - 100, 2) > 1", until="price < 0"),
    )
    sizes = [200, 200, 200, 100, 200, 200, 100, 300]
    store(conn, [Trade(n, 1, size) for n, size in enumerate(sizes)])
    session = open_session(conn)
    run(conn, session, ends)
    assert conn.execute("select as_of from signal.rule_errors order by 1").fetchall() == [
        (at(4),),
        (at(7),),
    ]
    assert matches(conn, session, "bad") == [(0, "A")]
    assert parity(conn, session) == []


def test_windows_after_a_failure_hold_every_event_in_any_batches(conn: psycopg.Connection) -> None:
    when = "sum(price, 3) > 0 and count(trades, 1s) > 0 and size / (size - 100) > 0"
    save(conn, "r", on(when))
    store(conn, [Trade(n * 10, 10 + n, 100 if n in (2, 5) else 200) for n in range(8)])
    found = []
    for ends in ([100], [25, 55, 100], [*range(5, 80, 10)]):
        session = open_session(conn)
        run(conn, session, ends)
        found.append(
            conn.execute(
                """select (m.as_of - %s) / 10, m.events->0->'values'->'sum(price, 3)',
                    m.events->0->'values'->'count(trades, 1s)'
                from signal.rule_matches m where session_id = %s order by 1""",
                (OPEN, session),
            ).fetchall()
        )
        assert parity(conn, session) == []
    # The event that fails is left out, and what it brought is in the windows all the same.
    expected = [(timedelta(milliseconds=n), 27 + 3 * n, n + 1) for n in (3, 4, 6, 7)]
    assert found == [expected] * 3


def test_rules_of_which_one_fails_as_a_whole_keep_their_states_from_batch_to_batch(
    conn: psycopg.Connection,
) -> None:
    gone = save(conn, "gone", ANY_TRADE)
    save(conn, "counting", on("count(trades, 10s) = 3"))
    store(conn, [Trade(n * 1000, 1) for n in range(3)])
    session = open_session(conn)
    step(conn, session, -1, 500)
    conn.execute(f"drop function signal._rule_{gone}")
    for start, end in ((500, 1500), (1500, 2500)):
        step(conn, session, start, end)
    assert matches(conn, session, "counting") == [(2000, "A")]


def test_hundredth_error_ends_the_rule_in_the_session_until_it_is_enabled(
    conn: psycopg.Connection,
) -> None:
    save(conn, "bad", FAILING)
    save(conn, "good", ANY_TRADE)
    store(conn, [Trade(n, 1, 100 if n < 150 else 200) for n in range(200)])
    session = open_session(conn)
    run(conn, session, [90, 160, 170])
    assert len(matches(conn, session, "bad")) == 11
    assert len(matches(conn, session, "good")) == 171
    assert parity(conn, session) == []
    spans = "select first_batch_no, last_batch_no, ended_by, errors from signal.rule_spans s join signal.rules using (rule_id) where rule = 'bad' order by 1"
    assert conn.execute(spans).fetchall() == [(1, 2, "errors", 150)]
    assert conn.execute("select count(*) from signal.rule_errors").fetchone() == (20,)
    assert conn.execute("select signal.enable_rule('bad')").fetchone() == (True,)
    assert conn.execute("select count(*) from ops.alerts where resolved_at is null").fetchone() == (
        0,
    )
    step(conn, session, 170, 180)
    assert len(matches(conn, session, "bad")) == 21
    assert conn.execute(spans).fetchall() == [(1, 2, "cleared", 150), (4, None, None, 0)]
    assert parity(conn, session) == []


def test_rule_that_fails_as_a_whole_is_ended_and_the_others_go_on(conn: psycopg.Connection) -> None:
    rule_id = save(conn, "gone", ANY_TRADE)
    save(conn, "good", ANY_TRADE)
    store(conn, [Trade(n * 1000, 1) for n in range(3)])
    session = open_session(conn)
    run(conn, session, [500])
    conn.execute(f"drop function signal._rule_{rule_id}")
    for start, end in ((500, 1500), (1500, 2500)):
        step(conn, session, start, end)
    assert len(matches(conn, session, "good")) == 3
    assert len(matches(conn, session, "gone")) == 1
    assert conn.execute("select kind, severity from ops.alerts").fetchall() == [
        ("rule_stopped", "critical")
    ]
    assert conn.execute("select batch_no, kind, code from signal.rule_errors").fetchall() == [
        (2, None, "42883")
    ]
    assert conn.execute(
        "select last_batch_no from signal.rule_spans where rule_id = %s", (rule_id,)
    ).fetchone() == (1,)


def test_two_sessions_at_once_find_each_its_own_and_fail_each_for_itself(
    conn: psycopg.Connection,
) -> None:
    save(conn, "three", on("count(trades, 10s) = 3"))
    save(conn, "bad", FAILING)
    # The second feed's trades all have the size at which the rule cannot be evaluated.
    store(conn, [Trade(n * 1000, 1, 200) for n in range(5)])
    store(conn, [Trade(n * 20, 1, 100, symbol="B") for n in range(250)], feed="other")
    one, other = open_session(conn), open_session(conn, "other")
    for end in range(500, 5500, 1000):
        step(conn, one, end - 1000, end)
        step(conn, other, end - 1000, end)
    assert matches(conn, one, "three") == [(2000, "A")]
    assert matches(conn, other, "three") == [(40, "B")]
    assert len(matches(conn, one, "bad")) == 5
    spans = conn.execute(
        """select session_id, ended_by from signal.rule_spans join signal.rules using (rule_id)
        where rule = 'bad'"""
    ).fetchall()
    assert dict(spans) == {one: None, other: "errors"}
    assert parity(conn, one) == parity(conn, other) == []


def test_rules_over_events_at_the_same_time_and_of_the_same_content_count_each(
    conn: psycopg.Connection,
) -> None:
    for symbol in ("A", "Q"):
        add_instrument(conn, symbol)
    save(conn, "three", on("count(trades, 1s) = 3"))
    save(conn, "twice", {"pattern": [{"on": "trade"}, {"on": "trade"}]})
    save(
        conn,
        "none",
        {"pattern": [{"on": "quote", "symbol": "Q"}, {"on": "trade"}], "instruments": ["A"]},
    )
    save(conn, "bare", on("mid > 0 or bid > 0", "quote"))
    store(conn, [Trade(0, 5)] * 5 + [Quote(0, None, None), Quote(0, 5, None)])
    for ends in ([0, 100], [100]):
        session = open_session(conn)
        run(conn, session, ends)
        assert matches(conn, session, "three") == [(0, "A")]
        assert matches(conn, session, "twice") == [(0, "A")] * 2
        assert matches(conn, session, "none") == []
        assert matches(conn, session, "bare") == [(0, "A")]
        assert parity(conn, session) == []


def test_rule_enabled_in_mid_session_is_scanned_from_there(conn: psycopg.Connection) -> None:
    when = on("count(trades, 10s) = 2")
    save(conn, "other", ANY_TRADE)
    save(conn, "r", when, enabled=False)
    store(conn, [Trade(n * 1000, 1) for n in range(9)])
    session = open_session(conn)
    run(conn, session, [2500])
    conn.execute("select signal.enable_rule('r')")
    run_on = [(2500, 4500), (4500, 5500)]
    for start, end in run_on:
        step(conn, session, start, end)
    conn.execute("select signal.disable_rule('r')")
    step(conn, session, 5500, 6500)
    conn.execute("select signal.enable_rule('r')")
    step(conn, session, 6500, 8500)
    assert matches(conn, session, "r") == [(4000, "A"), (8000, "A")]
    assert parity(conn, session) == []
    # A session in which it was never evaluated is scanned whole.
    row = conn.execute(
        "select count(*) from signal.scan_rules('r', %s)", (open_session(conn),)
    ).fetchone()
    assert row == (0,)


def test_new_version_takes_over_with_the_next_batch(conn: psycopg.Connection) -> None:
    save(conn, "r", on("price > 1"))
    store(conn, [Trade(n * 1000, 2) for n in range(4)])
    session = open_session(conn)
    run(conn, session, [1500])
    save(conn, "r", on("price > 100"))
    step(conn, session, 1500, 2500)
    assert matches(conn, session, "r") == [(0, "A"), (1000, "A")]
    assert parity(conn, session) == []
    rows = conn.execute(
        "select version, batch_no from signal.scan_rules('r', %s, 1)", (session,)
    ).fetchall()
    assert rows == [(1, 1), (1, 1)]
    with pytest.raises(psycopg.Error, match="no version 9"):
        conn.execute("select * from signal.scan_rules('r', %s, 9)", (session,))


def test_rule_is_evaluated_while_it_is_valid(conn: psycopg.Connection) -> None:
    conn.execute(
        "select signal.save_rule('r', %s, p_valid_from => %s, p_valid_to => %s)",
        (Jsonb(ANY_TRADE), at(1000), at(2000)),
    )
    store(conn, [Trade(n * 500, 1) for n in range(6)])
    session = open_session(conn)
    run(conn, session, [900, 1500, 2500])
    assert matches(conn, session, "r") == [(1000, "A"), (1500, "A")]
    assert parity(conn, session) == []


def test_batch_is_evaluated_once_and_in_its_turn(conn: psycopg.Connection) -> None:
    save(conn, "r", ANY_TRADE)
    store(conn, [Trade(n * 1000, 1) for n in range(3)])
    session = open_session(conn)
    ids = [
        conn.execute(
            "select market.write_batch(%s, %s, %s)",
            (session, at(n * 1000 - 500), at(n * 1000 + 500)),
        ).fetchone()
        for n in range(3)
    ]
    evaluate = "select signal.evaluate_rules(%s)"
    assert [conn.execute(evaluate, ids[0]).fetchone() for _ in range(2)] == [(1,), (0,)]
    with pytest.raises(psycopg.Error, match="wait for batch 2") as caught:
        conn.execute(evaluate, ids[2])
    assert caught.value.sqlstate == "TT001"
    with pytest.raises(psycopg.Error, match="does not exist"):
        conn.execute(evaluate, (0,))
    assert len(matches(conn, session, "r")) == 1


@pytest.mark.parametrize(
    ("change", "kinds"),
    [
        ("delete from signal.rule_matches where batch_no = 2", ["missing_match"]),
        ("delete from signal.rule_matches", ["missing_match"] * 3),
        (
            "insert into signal.rule_matches select * from signal.rule_matches limit 1",
            ["extra_match"],
        ),
        (
            "update signal.rule_matches set as_of = as_of + interval '1 us' where batch_no = 2",
            ["extra_match", "missing_match"],
        ),
        (
            "update signal.rule_matches set events = jsonb_set(events, '{0,values,price}', '2') where batch_no = 2",
            ["extra_match", "missing_match"],
        ),
        ("delete from signal.rule_spans", ["extra_match"] * 3),
        (
            "update market._trades set price = price + 1 where seq = 1",
            ["extra_match", "missing_match", "tick_digest"],
        ),
        ("delete from market._trades where seq = 1", ["extra_match", "tick_digest"]),
        (
            "do $$ begin execute (select format('drop function signal._rule_%s', rule_id) from signal.rules); end $$",
            ["rule_error"],
        ),
    ],
)
def test_parity_after_a_change_says_which_matches_differ(
    conn: psycopg.Connection, change: LiteralString, kinds: list[str]
) -> None:
    save(conn, "r", on("price >= 1"))
    store(conn, [Trade(n * 1000, 1) for n in range(3)])
    session = open_session(conn)
    conn.execute("select market.write_batch(%s, %s, %s)", (session, at(-1), at(500)))
    conn.execute("select market.write_batch(%s, %s, %s)", (session, at(500), at(1500)))
    conn.execute("select market.write_batch(%s, %s, %s)", (session, at(1500), at(2500)))
    for _ in range(3):
        conn.execute("select ops.consume_batch(%s)", (session,))
    query = "select kind, batch_no, pair_id, detail from backtest.parity(%s)"
    assert parity(conn, session) == conn.execute(query, (session,)).fetchall() == []
    conn.execute(change)
    rows = conn.execute(query, (session,)).fetchall()
    assert sorted(row[0] for row in rows) == kinds
    for kind, _, pair_id, detail in rows:
        assert pair_id is None
        assert "match" not in kind or (detail["rule"], detail["version"]) == ("r", 1)
    if kinds[0] != "rule_error":
        assert len(parity(conn, session)) == sum("match" in kind for kind in kinds)
    invariants = conn.execute(
        "select invariant, passed from ops.check_invariants(%s) where invariant = 'live signals = recomputed signals'",
        (session,),
    ).fetchall()
    assert [passed for _, passed in invariants] == [False]


def test_instrument_that_changes_its_symbol_is_no_difference(conn: psycopg.Connection) -> None:
    save(conn, "r", {"pattern": [{"on": "trade"}, {"on": "trade"}]})
    store(conn, [Trade(n * 1000, 1) for n in range(3)])
    session = open_session(conn)
    run(conn, session, [2500])
    conn.execute("select ref.change_symbol('A', 'AA', '2020-01-02')")
    assert parity(conn, session) == []
    assert matches(conn, session, "r") == [(1000, "AA")]


def test_parity_of_an_unknown_session_is_refused(conn: psycopg.Connection) -> None:
    for query in (
        "select * from signal.rule_parity(gen_random_uuid())",
        "select * from signal.scan_rules(null, gen_random_uuid())",
    ):
        with pytest.raises(psycopg.Error, match="does not exist") as caught:
            conn.execute(query)
        assert caught.value.sqlstate == "TT002"


def test_rule_never_evaluated_in_a_session_is_no_difference(conn: psycopg.Connection) -> None:
    save(conn, "r", on("price >= 1"))
    store(conn, [Trade(0, 1)])
    session = open_session(conn)
    run(conn, session, [500])
    save(conn, "later", on("price >= 1"))
    assert parity(conn, session) == []
    rows = conn.execute("select rule from signal.scan_rules(null, %s)", (session,)).fetchall()
    assert rows == [("later",), ("r",)]


def test_consumed_batch_evaluates_the_rules_in_its_transaction(conn: psycopg.Connection) -> None:
    save(conn, "r", ANY_TRADE)
    store(conn, [Trade(0, 1)])
    session = open_session(conn)
    conn.execute("select market.write_batch(%s, %s, %s)", (session, at(-1), at(500)))
    conn.execute("listen signal_rule_matches")
    conn.execute("select ops.consume_batch(%s)", (session,))
    assert [n.channel for n in conn.notifies(timeout=5, stop_after=1)] == ["signal_rule_matches"]
    assert matches(conn, session, "r") == [(0, "A")]
    assert conn.execute("select rules, events, matches from signal.rule_batches").fetchall() == [
        (1, 1, 1)
    ]


def test_rules_are_saved_by_ops_alone_and_scanned_by_a_quant(
    conn: psycopg.Connection, connect_as: Callable[..., psycopg.Connection]
) -> None:
    save(conn, "r", ANY_TRADE)
    store(conn, [Trade(0, 1)])
    session = open_session(conn)
    run(conn, session, [500])
    quant = connect_as("tsdb_quant")
    assert (
        len(quant.execute("select * from signal.scan_rules('r', %s)", (session,)).fetchall()) == 1
    )
    assert parity(quant, session) == []
    assert quant.execute("select matches from signal.rule_monitor").fetchall() == [(1,)]
    for call in (
        "select signal.save_rule('x', '{}')",
        "select signal.enable_rule('r')",
        "select signal.disable_rule('r')",
        "select signal.evaluate_rules(1)",
        "delete from signal.rule_matches",
    ):
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            quant.execute(call)  # type: ignore[arg-type]
    assert connect_as("tsdb_ops").execute("select signal.disable_rule('r')").fetchone() == (True,)
