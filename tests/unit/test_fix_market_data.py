"""FIX market data as rows: what is stored, refused, missing, for any messages in any order."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tsdb_trader.errors import InputError
from tsdb_trader.feeds.base import REASONS, Block
from tsdb_trader.fix import market_data
from tsdb_trader.fix.market_data import FixMarketDataStream
from tsdb_trader.fix.market_data_engine import Inbox

NOW = datetime(2026, 1, 5, 15, 0, tzinfo=UTC)
CONTENT = "SIM/S/V/IBM"
SESSION = "TSDBMD->SIM"


class FixedClock:
    """Its monotonic time moves a little at every look."""

    def __init__(self) -> None:
        self.time = 0.0

    def now(self) -> datetime:
        return NOW

    def monotonic(self) -> float:
        self.time += 0.01
        return self.time


class Engine:
    """Stands in for the engine: messages come from the test, what is sent is kept."""

    last_event = ""

    def __init__(self) -> None:
        self.inbox = Inbox(FixedClock())  # type: ignore[arg-type]
        self.sent: list[tuple[str, dict[int, str]]] = []

    def switch_on(self) -> None:
        self.inbox.open = True
        self.inbox.put("logon")

    def check_clock(self) -> None:
        """This one knows no time."""

    def switch_off(self) -> None:
        self.inbox.clear()

    def send(self, msg_type: str, body: Sequence[tuple[int, str]], groups: Any = ()) -> None:
        self.sent.append((msg_type, dict(body)))


class Line:
    """A stream between a scripted venue and the test."""

    def __init__(self, known: dict[str, int] | None = None, **configuration: Any) -> None:
        self.engine = Engine()
        self.stream = FixMarketDataStream({"port": 1} | configuration, FixedClock())  # type: ignore[arg-type]
        market_data.engine_for = lambda *_: self.engine  # type: ignore[assignment]
        self.stream.open(known or {})

    def read(self, *messages: str) -> dict[str, list[Block]]:
        """Hand over messages, read until nothing comes, and return checked blocks by content."""
        for message in messages:
            self.engine.inbox.put("message", message)
        found: dict[str, list[Block]] = {}
        for content, block in self.stream.read(0.0):
            block.check()
            assert all(r.reason in REASONS for r in block.rejected)
            assert all("\0" not in r.raw for r in block.rejected)
            found.setdefault(content, []).append(block)
        return found


@pytest.fixture(autouse=True)
def real_engine() -> Iterator[None]:
    before = market_data.engine_for
    yield
    market_data.engine_for = before


def fix(kind: str, *fields: tuple[int, object]) -> str:
    head = [(8, "FIX.4.4"), (9, 100), (35, kind), (34, 7), (49, "SIM"), (52, "20260105-15:00:00")]
    return "".join(f"{tag}={value}\x01" for tag, value in [*head, *fields, (10, "000")])


def entry(
    action: str, kind: str, price: object, size: object, number: object, **more: object
) -> list[tuple[int, object]]:
    fields: dict[int, object] = {
        **{279: action, 269: kind, 278: f"{kind}", 55: "IBM", 270: price, 271: size},
        **{272: "20260105", 273: "14:59:00.123456789", 336: "S", 625: "V", 83: number},
    }
    fields |= {int(k.removeprefix("t")): v for k, v in more.items()}
    return [(tag, value) for tag, value in fields.items() if value is not None]


def change(*entries: list[tuple[int, object]]) -> str:
    return fix("X", (262, "1"), (268, len(entries)), *(f for e in entries for f in e))


def full(number: object, bid: object = "100.00", ask: object = "100.02", size: object = 5) -> str:
    sides = [("0", bid), ("1", ask)]
    lines: list[tuple[int, object]] = []
    for kind, price in sides:
        lines += [(269, kind), (270, price), (271, size), (272, "20260105")]
        lines += [(273, "14:59:00"), (37, kind), (336, "S"), (625, "V")]
    head = [(262, "1"), (55, "IBM"), *([(83, number)] if number is not None else [])]
    return fix("W", *head, (268, 2), *lines)


def quotes(blocks: dict[str, list[Block]], content: str = CONTENT) -> list[tuple[int, ...]]:
    """Return row, bid, bid size, offer, offer size of the quotes of a content."""
    found = []
    for block in blocks.get(content, []):
        for ticks in block.ticks:
            if ticks.kind == "quotes":
                columns = [
                    ticks.seq,
                    *(ticks.numbers[n] for n in ("bid_price", "bid_size", "ask_price", "ask_size")),
                ]
                found += list(zip(*(c.tolist() for c in columns), strict=True))
    return found


def test_snapshot_then_changes_give_best_prices_with_exact_times() -> None:
    line = Line()
    found = line.read(full(41), change(entry("1", "0", "99.9999", "7", 42)))
    assert quotes(found) == [(41, 1_000_000, 5, 1_000_200, 5), (42, 999_999, 7, 1_000_200, 5)]
    (block,) = found[CONTENT]
    (ticks,) = block.ticks
    assert (block.start, block.stop) == (41, 43)
    assert ticks.ns is not None
    assert (int(ticks.ts[1]) % 60_000_000, int(ticks.ns[1])) == (123_456, 789)
    assert ticks.recv_ts is not None
    assert int(ticks.ts[1]) // 10**6 == int(ticks.recv_ts[1]) // 10**6 - 60


def test_gap_is_recorded_and_a_snapshot_asked_for_and_later_changes_wait_for_it() -> None:
    line = Line()
    assert quotes(line.read(full(1))) == [(1, 1_000_000, 5, 1_000_200, 5)]
    line.engine.sent.clear()
    trade = entry("0", "2", "100.01", "3", 5, t278="77")
    held = line.read(
        change(trade, entry("1", "0", "100.01", "1", 5)), change(entry("1", "1", "100.03", "9", 6))
    )
    assert held == {}
    # No subscription of ours is known here, so there is none to end.
    assert [(kind, body[263]) for kind, body in line.engine.sent] == [("V", "1")]
    found = line.read(full(6, "100.01", "100.03", 9), change(entry("1", "0", "100.02", "2", 7)))
    (block,) = found[CONTENT]
    assert (block.start, block.stop, block.missing) == (2, 8, 3)
    assert [(g.first, g.last) for g in block.gaps] == [(2, 4)]
    assert quotes(found) == [(6, 1_000_100, 9, 1_000_300, 9), (7, 1_000_200, 2, 1_000_300, 9)]
    trades = [t for t in block.ticks if t.kind == "trades"]
    assert [(t.seq.tolist(), t.numbers["trade_id"].tolist()) for t in trades] == [([5], [77])]


def test_gap_after_a_restart_counts_from_what_is_stored() -> None:
    line = Line({CONTENT: 10})
    (block,) = line.read(full(12))[CONTENT]
    assert (block.start, block.stop, block.missing) == (10, 13, 2)
    line = Line({CONTENT: 10})
    (block,) = line.read(full(9), change(entry("1", "0", "100.01", "1", 10)))[CONTENT]
    assert (block.start, block.stop, block.missing, block.duplicates) == (10, 11, 0, 1)


def test_numbers_that_start_again_are_another_content() -> None:
    line = Line({CONTENT: 10})
    found = line.read(full(3))
    assert [content.partition("@")[0] for content in found] == [CONTENT]
    assert CONTENT not in found


def test_numbers_that_start_again_twice_leave_no_hole_anywhere() -> None:
    line = Line()
    found = line.read(full(2), full(1), full(1), change(entry("1", "0", "99.00", "1", 2)))
    again = line.read(full(1), full(4))
    ends = {}
    for blocks in (found, again):
        for content, parts in blocks.items():
            for block in parts:
                assert block.start == ends.get(content, block.start)
                ends[content] = block.stop
    assert ends.pop(CONTENT) == 3
    assert list(ends.values()) == [3, 5]


def test_connection_lost_while_waiting_finishes_what_was_held_back() -> None:
    line = Line()
    line.read(full(1))
    trade = entry("0", "2", "100.01", "3", 4, t278="9")
    line.engine.inbox.put("message", change(entry("1", "0", "100.01", "1", 3)))
    line.engine.inbox.put("message", change(trade))
    line.engine.inbox.put("logout", "gone")
    (block,) = line.read()[CONTENT]
    assert (block.start, block.stop, block.missing) == (2, 5, 1)
    assert [(r.position, r.reason) for r in block.rejected] == [(3, "book_unknown")]
    with pytest.raises(ConnectionError, match="gone"):
        line.stream.read(0.0)


def test_venue_without_numbers_is_numbered_by_us() -> None:
    line = Line()
    found = line.read(
        full(None),
        change(entry("1", "0", "100.01", "1", None)),
        change(entry("1", "0", "x", "1", None)),
        change(entry("1", "0", "100.00", "1", None)),
        full(None),
        change(entry("1", "0", "99.00", "1", None)),
    )
    blocks = found[CONTENT]
    assert [row[:2] for row in quotes(found)] == [
        (0, 1_000_000),
        (1, 1_000_100),
        (4, 1_000_000),
        (5, 990_000),
    ]
    rejected = [(r.position, r.reason) for b in blocks for r in b.rejected]
    assert rejected == [(2, "not_a_number"), (3, "book_unknown")]


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"t270": "100.00001"}, "too_precise"),
        ({"t270": "0"}, "zero_price"),
        ({"t270": "-1"}, "negative_price"),
        ({"t271": "0"}, "zero_size"),
        ({"t271": "-5"}, "negative_size"),
        ({"t271": "1.5"}, "too_precise"),
        ({"t270": "nan"}, "nan"),
        ({"t270": "1e5"}, "not_a_number"),
        ({"t270": None}, "missing_value"),
        ({"t270": "9" * 30}, "out_of_range"),
        ({"t270": "200.00"}, "crossed"),
        ({"t273": "25:00:00"}, "not_a_time"),
        ({"t272": "19691231"}, "absurd_time"),
        ({"t272": "20300101"}, "absurd_time"),
        ({"t279": "7"}, "malformed"),
        ({"t269": "4"}, "malformed"),
    ],
)
def test_update_that_cannot_be_right_is_quarantined_with_its_text(
    changes: dict[str, object], reason: str
) -> None:
    line = Line()
    found = line.read(full(1), change(entry("1", "0", "100.01", "1", 2, **changes)))
    (block,) = found[CONTENT]
    ((row, found_reason, raw),) = [(r.position, r.reason, r.raw) for r in block.rejected]
    assert (row, found_reason) == (2, reason)
    assert "|35=X|" in raw
    # The next snapshot mends the book.
    assert quotes(line.read(full(2), change(entry("1", "0", "100.01", "1", 3))))[-1] == (
        *(3, 1_000_100, 1),
        *(1_000_200, 5),
    )


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        (fix("X", (262, "1"), (268, "two")), "malformed"),
        (fix("X", (262, "1"), (268, "2"), *entry("1", "0", "1", "1", 1)), "malformed"),
        (fix("X", (262, "1")), "malformed"),
        (change(entry("1", "0", "1", "1", 1, t55="no symbol")), "malformed"),
        (change(entry("1", "0", "1", "1", "x")), "malformed"),
        (change(entry("1", "0", "1", "1", 1, t55="AIG")), "unknown_instrument"),
        (fix("Y", (262, "1"), (281, "0"), (58, "no")), "request_refused"),
        (fix("j", (45, "1"), (372, "V"), (380, "3")), "request_refused"),
        (fix("f", (55, "IBM")), "missing_value"),
        (fix("f", (326, "2")), "bad_symbol"),
        (fix("B", (148, "news")), "unknown_type"),
        ("garbage", "malformed"),
        ("35=X\x01268=\udcff\x01", "malformed"),
    ],
)
def test_message_that_says_nothing_usable_is_a_rejected_row_of_the_session(
    message: str, reason: str
) -> None:
    line = Line({SESSION: 5})
    (block,) = line.read(message)[SESSION]
    assert (block.start, block.stop) == (5, 6)
    assert [(r.position, r.reason) for r in block.rejected] == [(5, reason)]


def test_change_of_a_line_that_is_not_there_is_quarantined() -> None:
    line = Line(depth=0)
    found = line.read(full(1), change(entry("1", "0", "98.00", "1", 2, t278="nobody")))
    (block,) = found[CONTENT]
    assert [(r.position, r.reason) for r in block.rejected] == [(2, "unknown_order")]


def test_levels_without_names_are_found_by_their_price() -> None:
    line = Line(depth=0, store=["book_events", "quotes"])
    nameless = {"t278": None}
    found = line.read(
        full(1).replace("37=0\x01", "").replace("37=1\x01", ""),
        change(entry("0", "0", "99.00", "1", 2, **nameless)),
        change(entry("2", "0", "100.00", None, 3, **nameless)),
        change(entry("1", "0", "99.00", "4", 4, **nameless)),
    )
    assert [row[:3] for row in quotes(found)] == [
        (1, 1_000_000, 5),
        (3, 990_000, 1),
        (4, 990_000, 4),
    ]


def test_broken_trade_is_a_correction_and_a_changed_one_is_refused() -> None:
    line = Line()
    found = line.read(
        full(1),
        change(entry("0", "2", "100.01", "3", 2, t278="7")),
        change(entry("2", "2", "100.01", "3", 3, t278="7")),
    )
    (block,) = found[CONTENT]
    assert list(block.corrections) == [("IBM", 7)]
    (block,) = line.read(change(entry("1", "2", "100.01", "4", 4, t278="7")))[CONTENT]
    assert [r.reason for r in block.rejected] == ["malformed"]


@pytest.mark.parametrize(
    "configuration",
    [
        {"depth": 2},
        {"store": ["quotes", "news"]},
        {"store": ["book_events"]},
        {"store": ["trades"], "depth": 0},
        {"prot": 1},
        {"port": "1"},
        {"symbols": "IBM"},
    ],
)
def test_configuration_that_cannot_be_used_is_refused(configuration: dict[str, Any]) -> None:
    with pytest.raises(InputError):
        FixMarketDataStream(configuration)


# Any loss, in any place ------------------------------------------------------------------------


def told(seed: int, count: int) -> list[tuple[str, str, tuple[int, ...]]]:
    """Return updates 2, 3, … of a venue: the message, the full refresh after it, best prices."""
    rng = random.Random(seed)
    bid, ask = [10_000, 5], [10_002, 5]
    found = []
    for number in range(2, count + 2):
        side, kind = rng.choice(((bid, "0"), (ask, "1")))
        side[0] = max(1, side[0] + rng.choice((-1, 0, 1)))
        if bid[0] > ask[0]:
            side[0] = ask[0] if side is bid else bid[0]
        side[1] = rng.randint(1, 99)
        entries = [entry("1", kind, f"{side[0] / 100:.2f}", side[1], number)]
        if rng.random() < 0.3:
            entries.append(entry("0", "2", "100.00", rng.randint(1, 9), number, t278=number))
        lines: list[tuple[int, object]] = []
        for name, (price, size) in (("0", bid), ("1", ask)):
            lines += [(269, name), (270, f"{price / 100:.2f}"), (271, size), (272, "20260105")]
            lines += [(273, "14:59:00"), (37, name), (336, "S"), (625, "V")]
        refresh = fix("W", (262, "1"), (55, "IBM"), (83, number), (268, 2), *lines)
        best = (number, bid[0] * 100, bid[1], ask[0] * 100, ask[1])
        found.append((change(*entries), refresh, best))
    return found


@given(
    st.integers(0, 1_000_000),
    st.lists(st.sampled_from("....xxdr"), min_size=1, max_size=40),
    st.integers(1, 7),
)
@example(1, list("...x..r.x.r"), 2)
@settings(max_examples=150, deadline=None)
def test_any_losses_leave_every_row_in_one_place_and_every_quote_right(
    seed: int, fates: list[str], reads: int
) -> None:
    """x: lost; d: told twice; r: followed by a full refresh. The last one always is."""
    line = Line()
    messages = [full(1)]
    lost = set()
    for number, (fate, (message, refresh, _)) in enumerate(
        zip(fates, told(seed, len(fates)), strict=True), 2
    ):
        if fate == "x":
            lost.add(number)
        else:
            messages += [message] * (2 if fate == "d" else 1)
        if fate == "r" or number == len(fates) + 1:
            messages.append(refresh)
    expected = {1: (1, 1_000_000, 5, 1_000_200, 5)}
    expected |= {best[0]: best for _, _, best in told(seed, len(fates))}
    blocks: list[Block] = []
    shown: list[tuple[int, ...]] = []
    for start in range(0, len(messages), reads):
        found = line.read(*messages[start : start + reads])
        assert set(found) <= {CONTENT}
        blocks += found.get(CONTENT, [])
        shown += quotes(found)
    assert [b.start for b in blocks] == [1, *(b.stop for b in blocks[:-1])]
    assert blocks[-1].stop == len(fates) + 2
    assert all(row == expected[row[0]] for row in shown)
    missing = {n for b in blocks for g in b.gaps for n in range(g.first, g.last + 1)}
    assert sum(b.missing for b in blocks) == len(missing)
    # A lost update that a full refresh covers as the very next thing has lost nothing.
    assert missing <= lost
    refreshed = {n for n, fate in enumerate(fates, 2) if fate == "r"} | {len(fates) + 1}
    assert lost - missing <= refreshed


# Garbage ---------------------------------------------------------------------------------------

SAMPLES = [
    full(1),
    full(2),
    full(None),
    change(entry("1", "0", "100.01", "1", 2), entry("0", "2", "100.01", "3", 2, t278="7")),
    change(entry("2", "0", "100.01", "1", 3)),
    fix("f", (55, "IBM"), (326, "2"), (60, "20260105-14:00:00.5")),
    fix("y", (320, "1"), (560, "0"), (146, "2"), (55, "IBM"), (55, "AIG")),
    fix("Y", (262, "1"), (281, "0"), (58, "no")),
    fix("X", (268, "1"), (279, "0"), (269, "0"), (354, "3"), (355, "a\x01b"), (270, "1")),
]


@st.composite
def damaged(draw: st.DrawFn) -> str:
    """A message with a few fields or characters changed, left out, told twice, or moved."""
    parts = draw(st.sampled_from(SAMPLES)).split("\x01")[:-1]
    for _ in range(draw(st.integers(0, 4))):
        place = draw(st.integers(0, len(parts) - 1))
        how = draw(st.integers(0, 4))
        tag, _, value = parts[place].partition("=")
        if how == 0:
            parts[place] = f"{tag}={draw(values)}"
        elif how == 1:
            parts[place] = f"{draw(tags)}={value}"
        elif how == 2:
            parts.insert(place, draw(st.sampled_from(parts)))
        elif how == 3 and len(parts) > 1:
            del parts[place]
        else:
            parts[place] = draw(st.text(max_size=12))
    return "".join(f"{part}\x01" for part in parts)


values = st.sampled_from(["", "0", "-1", "1e9", "NaN", "9" * 25, "1.23456789", "²", "W", "\udc80"])
values |= st.text(max_size=8) | st.integers(-(10**20), 10**20).map(str)
tags = st.sampled_from([55, 83, 262, 268, 269, 270, 271, 272, 273, 278, 279, 336, 625, 146, 95])


def read_garbage(messages: list[str], kinds: list[str]) -> None:
    """Whatever comes: no exception, every row in one place, contents without holes."""
    line = Line(depth=0, store=kinds)
    reached: dict[str, int] = {}
    for message in messages:
        for content, blocks in line.read(message).items():
            for block in blocks:
                assert block.start == reached.get(content, block.start)
                reached[content] = block.stop
                assert all(
                    ticks.numbers["price" if ticks.kind == "trades" else "size"].min() > 0
                    for ticks in block.ticks
                    if ticks.kind == "trades"
                )


kinds = st.sampled_from([["quotes", "trades"], ["book_events", "trades"], ["quotes"]])


@given(st.lists(damaged() | st.text(max_size=30), min_size=1, max_size=6), kinds)
@settings(max_examples=200, deadline=None)
def test_garbage_never_stops_the_feed(messages: list[str], kinds: list[str]) -> None:
    read_garbage(messages, kinds)


@pytest.mark.long
@given(st.lists(damaged() | st.text(max_size=30), min_size=4, max_size=8), kinds)
@settings(max_examples=4_000, deadline=None)
def test_garbage_long_fuzz_never_stops_the_feed(messages: list[str], kinds: list[str]) -> None:
    read_garbage(messages, kinds)
