"""Market data of the simulated venue, asked for by an independent FIX engine."""

from __future__ import annotations

import json
import os
import queue
import signal
import threading
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import uuid4

import psycopg
import pytest

import nursery
from fix.simvenue.bench import WAIT_S, Client, Market, Venue, free_port
from tsdb_trader.venue.market_data_flow import Flow

pytestmark = pytest.mark.slow
HERE = Path(__file__).parent
QUOTE = ("100.00", 500, "100.02", 300)
Pairs = list[list[str]]


class Listener:
    """Drives market_data_client.py."""

    def __init__(
        self, folder: Path, port: int, comp_id: str = "TSDBMD", begin: str = "FIX.4.4"
    ) -> None:
        home = folder / f"listener-{comp_id}"
        home.mkdir(exist_ok=True)
        self.process = nursery.start(
            HERE / "market_data_client.py", str(home), str(port), comp_id, begin, piped=True
        )
        self.lines: queue.Queue[dict[str, Any]] = queue.Queue()
        threading.Thread(target=self._read, daemon=True).start()
        self.count = 0

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.lines.put(json.loads(line))
        self.process.stdout.close()

    def say(self, **command: Any) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps(command, default=str) + "\n")
        self.process.stdin.flush()

    def event(self, name: str) -> None:
        assert self.lines.get(timeout=WAIT_S) == {"event": name}

    def message(self, kind: str) -> Pairs:
        line = self.lines.get(timeout=WAIT_S)
        found: Pairs = line.get("message", [])
        assert dict(map(tuple, found)).get("35") == kind, line
        return found

    def ask(
        self,
        *symbols: str,
        kind: str = "1",
        depth: str = "1",
        types: str = "012",
        request: str = "",
        session: object = None,
        more: Pairs | None = None,
    ) -> str:
        """Send a MarketDataRequest and return its id."""
        self.count += 1
        request = request or f"R{self.count}"
        body = [["262", request], ["263", kind], ["264", depth], ["265", "1"], *(more or [])]
        groups: list[Any] = [
            ["267", [[["269", t]] for t in types]],
            ["146", [[["55", s]] for s in symbols]],
        ]
        if session is not None:
            groups.append(["386", [[["336", session]]]])
        self.say(type="V", body=body, groups=groups)
        return request

    def stop(self) -> None:
        assert self.process.stdin is not None
        if self.process.poll() is None:
            self.say(quit=True)
        self.process.wait(WAIT_S)
        self.process.stdin.close()


def value(message: Pairs, tag: str) -> str | None:
    return next((v for t, v in message if t == tag), None)


def entries(message: Pairs, *tags: str) -> list[tuple[str | None, ...]]:
    """Return the given fields of each market data entry."""
    first = {"W": "269", "X": "279"}[str(value(message, "35"))]
    found: list[dict[str, str]] = []
    inside = False
    for tag, text in message:
        inside = inside or tag == "268"
        if inside and tag == first:
            found.append({})
        if found:
            found[-1].setdefault(tag, text)
    assert len(found) == int(str(value(message, "268")))
    return [tuple(entry.get(tag) for tag in tags) for entry in found]


@pytest.fixture
def market(conn: psycopg.Connection) -> Market:
    market = Market(conn)
    market.list("IBM")
    market.list("AIG")
    return market


@pytest.fixture
def venue(role_url: Callable[[str | None], str], tmp_path: Path) -> Iterator[Venue]:
    venue = Venue(role_url("tsdb_venue"), tmp_path, free_port())
    venue.start()
    yield venue
    venue.stop()


@pytest.fixture
def listener(venue: Venue, market: Market) -> Iterator[Listener]:
    listener = Listener(venue.home, venue.port)
    try:
        listener.event("logon")
        yield listener
    finally:
        listener.stop()


@pytest.fixture
def trader(venue: Venue, market: Market) -> Iterator[Client]:
    client = Client(venue.home, venue.port, "TSDB", market.session_id)
    client.start()
    client.event("logon")
    yield client
    client.stop()


def test_market_data_best_prices_come_as_snapshot_then_numbered_changes(
    listener: Listener, market: Market
) -> None:
    market.batch(("IBM", QUOTE))
    request = listener.ask("IBM")
    full = listener.message("W")
    assert (value(full, "262"), value(full, "55"), value(full, "83")) == (request, "IBM", "1")
    assert entries(full, "269", "270", "271", "272", "273") == [
        ("0", "100", "500", "20131007", "14:30:00.999000"),
        ("1", "100.02", "300", "20131007", "14:30:00.999000"),
    ]
    market.batch(("IBM", ("100.00", 400, "100.02", 300)), ("AIG", QUOTE))
    change = listener.message("X")
    assert value(change, "262") == request
    assert entries(change, "279", "269", "55", "270", "271", "83", "336") == [
        ("1", "0", "IBM", "100", "400", "2", str(market.session_id))
    ]
    # A quote that changes nothing is no update.
    market.batch(("IBM", ("100.00", 400, "100.02", 300)))
    market.batch(("IBM", ("100.01", 100, "100.02", 200)), ("IBM", ("100.01", 100, "100.03", 200)))
    assert [entries(listener.message("X"), "279", "269", "270", "271", "83") for _ in range(2)] == [
        [("1", "0", "100.01", "100", "3"), ("1", "1", "100.02", "200", "3")],
        [("1", "1", "100.03", "200", "4")],
    ]


def test_market_data_full_depth_shows_orders_and_levels_trades_and_cancels(
    listener: Listener, trader: Client, market: Market
) -> None:
    market.batch(("IBM", QUOTE))
    listener.ask("IBM", depth="0")
    listener.ask("IBM", depth="0", more=[["266", "N"]])
    assert entries(listener.message("W"), "269", "270", "271", "346", "37") == [
        ("0", "100", "500", "1", "B1000000"),
        ("1", "100.02", "300", "1", "A1000200"),
    ]
    assert entries(listener.message("W"), "269", "270", "271", "37") == [
        ("0", "100", "500", "1"),
        ("1", "100.02", "300", "2"),
    ]
    order = trader.order("1", 70, "100.00")
    assert trader.message()["150"] == "0"
    assert entries(listener.message("X"), "279", "278", "270", "271", "346", "83") == [
        ("1", "B1000000", "100", "570", "2", "2")
    ]
    assert entries(listener.message("X"), "279", "269", "278", "270", "271", "83") == [
        ("0", "0", "11", "100", "70", "2")
    ]
    trader.order("1", 100)
    assert trader.message()["150"] == "0"
    fill = trader.message()
    number = fill["17"].rpartition("E")[2]
    for shown in (("A1000200",), ("2",)):
        assert entries(listener.message("X"), "279", "269", "278", "270", "271") == [
            ("0", "2", number, "100.02", "100"),
            ("1", "1", *shown, "100.02", "200"),
        ]
    trader.cancel(order)
    assert trader.message()["150"] == "4"
    assert entries(listener.message("X"), "279", "278", "271") == [("1", "B1000000", "500")]
    assert entries(listener.message("X"), "279", "278", "271") == [("2", "11", "70")]


def test_market_data_two_orders_that_meet_are_one_trade(
    listener: Listener, trader: Client, market: Market
) -> None:
    market.batch(("IBM", QUOTE))
    listener.ask("IBM", types="2")
    assert entries(listener.message("W"), "269") == []
    trader.order("1", 70, "100.01")
    trader.order("2", 50, "100.01")
    assert entries(listener.message("X"), "279", "269", "270", "271", "83") == [
        ("0", "2", "100.01", "50", "1")
    ]
    trader.order("2", 20, "100.01")
    assert entries(listener.message("X"), "270", "271", "83") == [("100.01", "20", "2")]


def test_market_data_snapshot_only_and_unsubscribe_bring_no_updates(
    listener: Listener, market: Market
) -> None:
    market.batch(("IBM", QUOTE))
    listener.ask("IBM", "AIG", kind="0")
    assert entries(listener.message("W"), "269") == [("0",), ("1",)]
    assert entries(listener.message("W"), "269") == []
    request = listener.ask("IBM")
    listener.message("W")
    listener.ask("IBM", kind="2", request=request)
    market.batch(("IBM", ("99.00", 1, "100.02", 300)))
    listener.ask("AIG", kind="2", request="never")
    reject = listener.message("Y")
    assert (value(reject, "262"), value(reject, "281")) == ("never", None)


UNUSABLE: list[tuple[dict[str, Any], str]] = [
    ({"symbols": ("NONE",)}, "0"),
    ({"symbols": ("IBM", "NONE")}, "0"),
    ({"request": "taken"}, "1"),
    ({"depth": "5"}, "5"),
    ({"more": [["266", "N"]]}, "7"),
    ({"types": "04"}, "8"),
    ({"session": uuid4()}, "9"),
    ({"session": "nonsense"}, "9"),
]


def test_market_data_unusable_requests_are_rejected_with_their_reasons(
    listener: Listener, market: Market
) -> None:
    listener.ask("IBM", request="taken")
    listener.message("W")
    for changes, reason in UNUSABLE:
        symbols = changes.get("symbols", ("IBM",))
        asked = listener.ask(*symbols, **{k: v for k, v in changes.items() if k != "symbols"})
        reject = listener.message("Y")
        assert (value(reject, "262"), value(reject, "281")) == (asked, reason)
        assert value(reject, "58")


def test_market_data_of_several_sessions_needs_a_name_and_stays_apart(
    listener: Listener, market: Market, conn: psycopg.Connection
) -> None:
    other = Market(conn)
    other._sources = market._sources
    listener.ask("IBM")
    assert value(listener.message("Y"), "281") == "9"
    market.batch(("IBM", QUOTE))
    listener.ask("IBM", session=market.session_id)
    listener.ask("IBM", session=other.session_id)
    assert len(entries(listener.message("W"), "269")) == 2
    assert entries(listener.message("W"), "269") == []
    market.batch(("IBM", ("99.00", 1, "100.02", 300)))
    assert entries(listener.message("X"), "336") == [(str(market.session_id),)]


def test_market_data_numbers_go_on_while_nobody_listens(listener: Listener, market: Market) -> None:
    market.batch(("IBM", QUOTE))
    listener.ask("IBM")
    name = entries(listener.message("W"), "625")
    listener.say(logout=True)
    listener.event("logout")
    for bid in ("99.01", "99.02", "99.03"):
        market.batch(("IBM", (bid, 1, "100.02", 300)))
    listener.say(logon=True)
    listener.event("logon")
    listener.ask("IBM")
    full = listener.message("W")
    assert (value(full, "83"), entries(full, "625")) == ("4", name)
    # Nothing but the answer: the subscription of the last connection is gone.
    market.batch(("IBM", ("99.04", 1, "100.02", 300)))
    assert entries(listener.message("X"), "270", "83") == [("99.04", "5")]
    market.batch(("IBM", ("99.05", 1, "100.02", 300)))
    assert entries(listener.message("X"), "270", "83") == [("99.05", "6")]


def test_market_data_of_a_session_that_closes_ends_with_a_status(
    listener: Listener, market: Market
) -> None:
    market.batch(("IBM", QUOTE))
    listener.ask("IBM")
    listener.message("W")
    market.close()
    status = listener.message("f")
    found = [value(status, tag) for tag in ("55", "326", "336")]
    assert found == ["IBM", "18", str(market.session_id)]
    listener.ask("IBM", session=market.session_id)
    assert value(listener.message("Y"), "281") == "9"


def test_security_list_gives_every_symbol_or_one(
    listener: Listener, conn: psycopg.Connection
) -> None:
    conn.execute(
        "insert into ref.instruments (symbol) select 'S' || n from generate_series(1, 400) n"
    )
    listener.say(type="x", body=[["320", "Q1"], ["559", "4"]])
    symbols: list[str] = []
    for last in ("N", "N", "Y"):
        part = listener.message("y")
        assert [value(part, tag) for tag in ("320", "560", "393", "893")] == [
            "Q1",
            "0",
            "402",
            last,
        ]
        symbols += [v for t, v in part if t == "55"]
    assert len(set(symbols)) == 402
    listener.say(type="x", body=[["320", "Q2"], ["559", "0"], ["55", "IBM"]])
    assert [v for t, v in listener.message("y") if t == "55"] == ["IBM"]
    listener.say(type="x", body=[["320", "Q3"], ["559", "0"], ["55", "NONE"]])
    assert value(listener.message("y"), "560") == "2"
    listener.say(type="x", body=[["320", "Q4"], ["559", "2"]])
    assert value(listener.message("y"), "560") == "1"


def test_security_status_tells_of_a_halt_unasked(
    listener: Listener, market: Market, conn: psycopg.Connection
) -> None:
    listener.say(type="e", body=[["324", "S1"], ["263", "1"], ["55", "IBM"]])
    status = listener.message("f")
    assert [value(status, t) for t in ("324", "55", "326", "325")] == ["S1", "IBM", "17", None]
    listener.say(type="e", body=[["324", "S2"], ["263", "0"], ["55", "NONE"]])
    assert value(listener.message("f"), "326") == "20"
    for state, code in (("halted", "2"), ("active", "17")):
        conn.execute("update ref.instruments set status = %s where symbol = 'IBM'", (state,))
        market.batch(("IBM", QUOTE))
        status = listener.message("f")
        assert [value(status, t) for t in ("55", "326", "325")] == ["IBM", code, "Y"]
    listener.say(type="e", body=[["324", "S1"], ["263", "2"], ["55", "IBM"]])


def test_slow_listener_gets_a_snapshot_instead_of_what_it_could_not_take() -> None:
    flow = Flow(ask_every=2, most=6)
    signs = []
    while flow.allows("A"):
        signs.append(flow.sent("A"))
    assert signs == [None, "MD2", None, "MD4", None, "MD6"]
    assert flow.allows("B")
    assert not flow.answered("A", "MD2")
    assert not flow.allows("A")
    assert not flow.answered("A", "nonsense")
    assert flow.answered("A", "MD6")
    assert flow.allows("A")


def test_market_data_of_a_stopped_listener_does_not_stop_matching(
    listener: Listener, trader: Client, market: Market, conn: psycopg.Connection
) -> None:
    """A listener that takes nothing for thousands of updates, then catches up by a snapshot."""
    market.batch(("IBM", QUOTE))
    listener.ask("IBM")
    listener.message("W")
    os.kill(listener.process.pid, signal.SIGSTOP)
    price = Decimal("50.00")
    for batch in range(30):
        quotes = [("IBM", (str(price + n + 1000 * batch), 1, "99999", 1)) for n in range(100)]
        market.batch(*quotes)
    trader.order("1", 1)
    assert trader.message()["150"] == "0"
    assert trader.message()["150"] == "F"
    os.kill(listener.process.pid, signal.SIGCONT)
    updates, last = 0, 0
    while True:
        line = listener.lines.get(timeout=WAIT_S)
        message = line.get("message", [])
        if value(message, "35") == "W":
            break
        updates += 1
        last = int(str(value(message, "83")))
    assert last == updates + 1
    assert 1000 < updates < 3000
    assert int(str(value(message, "83"))) == 3002
