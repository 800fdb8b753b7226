"""The rules of docs/rules.md, as they stand there, over markets made for them."""

from __future__ import annotations

import re
from collections.abc import Sequence

import psycopg

from factories import add_instrument
from rule_market import Event, News, Quote, Trade, at, matches, open_session, parity, run, store
from tsdb_trader import schema

SYMBOLS = ("SPY", "AIG", "BAC", "JPM")
TEXT = (schema.root() / "docs" / "rules.md").read_text()
EXAMPLES = dict(
    re.findall(r"```sql\n(?=select signal\.save_rule\('(\w+)')(.*?)```", TEXT, re.DOTALL)
)


def quotes(*prices: tuple[int, float, float], symbol: str = "A") -> list[Event]:
    return [Quote(ms, bid, ask, symbol=symbol) for ms, bid, ask in prices]


def trades(*prices: tuple[int, float]) -> list[Event]:
    return [Trade(ms, price) for ms, price in prices]


def steady(count: int, every_ms: int, price: float = 100.0, size: int = 100) -> list[Event]:
    return [Trade(n * every_ms, price, size) for n in range(count)]


M = 60_000
CASES: list[tuple[str, Sequence[Event], list[tuple[int, str | None]]]] = [
    ("price_spike", trades((0, 100), (1000, 101.9), (70_000, 102.5)), []),
    # 102.1 of an average of 101.05; the average of the next minute is below 100.4; then again.
    (
        "price_spike",
        trades((0, 100), (1000, 102.1), (2000, 104), (3000, 100), (80_000, 100), (81_000, 104)),
        [(1000, "A"), (81_000, "A")],
    ),
    (
        "spread_blowout",
        quotes(*((n * 1000, 99.99, 100.01) for n in range(20)), (20_000, 98, 102), (21_000, 97, 103),
               (22_000, 99.99, 100.01), (23_000, 92, 108)),
        [(20_000, "A"), (23_000, "A")],
    ),
    ("quote_stale", quotes((0, 1, 2), (5000, 1, 2), (9000, 1, 2), (20_000, 1, 2)), [(14_000, "A"), (25_000, "A")]),
    ("trade_burst", steady(60, 50), [(950, "A")]),
    ("trade_burst", steady(40, 60), []),
    ("sudden_silence", [*steady(40, 1000), Trade(120_000, 100)], [(49_000, "A")]),
    ("sudden_silence", [*steady(29, 1000), Trade(120_000, 100)], []),
    (
        "lead_lag",
        [*quotes((0, 99, 101), (500, 99.04, 101.04), (600, 99.04, 101.04), symbol="SPY"),
         *quotes((0, 49, 51), (700, 49, 51), (6200, 49, 51), symbol="AIG"),
         *quotes((0, 24, 25), (700, 24.1, 25.1), symbol="BAC"), *quotes((0, 24, 25), (700, 24, 25), symbol="JPM")],
        [(700, "AIG")],
    ),
    (
        "banks_follow",
        [*quotes((0, 99.9, 100.1), (1000, 99.8, 100), (40_000, 99.8, 100), symbol="SPY"),
         *quotes((0, 49, 51), (2000, 48.9, 50.9), symbol="AIG"), *quotes((0, 24, 25), (20_000, 23.9, 24.9), symbol="BAC"),
         *quotes((0, 24, 25), (25_000, 24.1, 25.1), (29_000, 23.9, 24.9), symbol="JPM")],
        [(29_000, None)],
    ),
    (
        "news_shock",
        [*steady(20, M), News(20 * M, "Ills", -0.5), News(20 * M + 50, "Good", 0.9), Trade(20 * M + 100, 100, 100),
         Trade(21 * M, 99, 900), Trade(22 * M, 99, 5000)],
        [(21 * M, "A")],
    ),
    ("news_shock", [*steady(20, M), News(20 * M, "Ills", -0.5), Trade(26 * M, 99, 9000)], []),
    ("three_rising", trades((0, 1), (1, 2), (2, 3), (3, 3), (4, 4), (5, 5), (6, 6), (7, 7)), [(6, "A")]),
    ("crossed_market", quotes((0, 10, 9), (900, 10, 9.5), (1500, 9, 10), (2000, 10, 9), (3000, 9, 10)), [(1000, "A")]),
    (
        "vwap_deviation",
        [Trade(0, 100, 1000), Trade(1000, 100.4), Trade(2000, 100.6), Trade(3000, 101), Trade(4000, 100.1), Trade(5000, 99)],
        [(2000, "A"), (5000, "A")],
    ),
    (
        "print_then_fall",
        [Trade(0, 100), Trade(100, 100, 10_000), Trade(1000, 99.9), Trade(10_000, 100, 10_000),
         *quotes((10_500, 99, 101)), Trade(11_000, 99.9), Trade(20_000, 100, 10_000), Trade(22_001, 99)],
        [(1000, "A")],
    ),
    (
        "opening_range",
        trades((0, 100), (10 * M, 102), (20 * M, 98), (29 * M, 101.5), (30 * M, 102), (31 * M, 102.5), (32 * M, 103),
               (33 * M, 97.5), (34 * M, 102.01)),
        [(31 * M, "A"), (34 * M, "A")],
    ),
    (
        "imbalance",
        [Quote(0, 9, 10, 1000, 100), Quote(300, 9, 10, 900, 99), Quote(800, 9, 10, 100, 100), Quote(900, 9, 10, 2000, 200),
         Quote(6000, 9, 10, 1900, 200)],
        [(500, "A")],
    ),
    (
        "takeover",
        [Trade(0, 100), News(1000, "A merger with B"), Trade(2000, 100.4), Trade(3000, 100.6), News(4000, "Mergers"),
         Trade(5000, 101.5)],
        [(3000, "A")],
    ),
]  # fmt: skip


def test_examples_are_fifteen_and_each_has_a_case() -> None:
    assert len(EXAMPLES) == 15
    assert {rule for rule, _, _ in CASES} == set(EXAMPLES)


def test_example_over_its_market_finds_what_it_says(conn: psycopg.Connection) -> None:
    for symbol in SYMBOLS:
        add_instrument(conn, symbol)
    # Chunks are dear to make: here once, instead of in every case.
    store(conn, [Quote(0, 1, 2), Trade(0, 1)], feed="other")
    for rule, market, expected in CASES:
        with conn.transaction(force_rollback=True):
            conn.execute(EXAMPLES[rule])
            store(conn, market)
            session = open_session(conn)
            last = max(e.ms for e in market)
            # The last quote of another instrument lets the clocks of this one run on.
            store(conn, [Quote(last + 20_000, 1, 2, symbol="Z")])
            run(conn, session, [*range(700, last, max(last // 7, 700)), last + 20_000])
            found = [m for m in matches(conn, session, rule) if m[1] != "Z"]
            assert (rule, found) == (rule, expected)
            assert parity(conn, session) == []
            assert conn.execute("select message from signal.rule_errors").fetchall() == []


def test_example_inputs_function_gives_matches_when_they_were_known(
    conn: psycopg.Connection,
) -> None:
    conn.execute(EXAMPLES["price_spike"])
    [function] = re.findall(r"```sql\n(create function.*?)```", TEXT, re.DOTALL)
    conn.execute(function)
    store(conn, trades((0, 100), (1000, 102.1), (2000, 100), (80_000, 100), (81_000, 104)))
    for ends in ([1500, 90_000], [90_000]):
        run(conn, open_session(conn), ends)
    ids = [add_instrument(conn, "A")]
    rows = conn.execute(
        "select as_of, features from signal.spike_inputs(%s, %s, %s)", (ids, at(0), at(90_000))
    ).fetchall()
    assert rows == [(at(1500), [1.0]), (at(90_000), [2.0])]
    rows = conn.execute(
        "select as_of, features from signal.spike_inputs(%s, %s, %s)", (ids, at(1500), at(90_000))
    ).fetchall()
    assert rows == [(at(90_000), [2.0])]
