"""The FIX feed end to end: a venue process, FIX, and ticks in the database."""

from __future__ import annotations

import json
import os
import queue
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

import nursery
from fix.harness import until
from fix.simvenue.bench import WAIT_S, Client, Market, Venue, free_port

pytestmark = pytest.mark.slow
HERE = Path(__file__).parent
QUOTE = ("100.00", 500, "100.02", 300)


class Feed:
    """Drives market_data_process.py."""

    def __init__(self, url: str, home: Path, port: int, **configuration: Any) -> None:
        self._url, self._home = url, home
        self._configuration = {"port": port, "connect_timeout_s": 15} | configuration
        self.events: queue.Queue[dict[str, Any]] = queue.Queue()
        self.start()

    def start(self) -> None:
        log = (self._home / "feed.log").open("ab")
        self.process = nursery.start(
            HERE / "market_data_process.py",
            self._url,
            json.dumps(self._configuration),
            environment={**os.environ, "TSDB_TRADER_HOME": str(self._home)},
            piped=True,
            stderr=log,
        )
        log.close()
        threading.Thread(target=self._read, args=(self.process,), daemon=True).start()

    def _read(self, process: nursery.Child) -> None:
        assert process.stdout is not None
        for line in process.stdout:
            self.events.put(json.loads(line))
        process.stdout.close()

    def event(self, name: str) -> dict[str, Any]:
        """Wait for an event, passing over others."""
        while True:
            found = self.events.get(timeout=WAIT_S)
            if found["event"] == name:
                return found

    def kill(self) -> None:
        self.process.kill()
        self.process.wait(WAIT_S)
        assert self.process.stdin is not None
        self.process.stdin.close()

    def stop(self) -> int:
        assert self.process.stdin is not None
        if not self.process.stdin.closed:
            self.process.stdin.close()
        return self.process.wait(WAIT_S)


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


Start = Callable[..., Feed]


@pytest.fixture
def start_feed(
    role_url: Callable[[str | None], str], venue: Venue, market: Market
) -> Iterator[Start]:
    feeds: list[Feed] = []

    def start(**configuration: Any) -> Feed:
        feed = Feed(role_url("tsdb_worker_feeds"), venue.home, venue.port, **configuration)
        feeds.append(feed)
        feed.event("open")
        return feed

    yield start
    for feed in feeds:
        feed.stop()


@pytest.fixture
def trader(venue: Venue, market: Market) -> Iterator[Client]:
    client = Client(venue.home, venue.port, "TSDB", market.session_id)
    client.start()
    client.event("logon")
    yield client
    client.stop()


def stored(conn: psycopg.Connection, symbol: str = "IBM") -> list[tuple[Any, ...]]:
    """Return the quotes that came over FIX: time and both sides, in stored integers."""
    return conn.execute(
        """select q.ts, q.bid_price, q.bid_size, q.ask_price, q.ask_size
           from market._quotes q join market.sources s using (source_id)
           join ops.feeds f on f.feed_id = q.feed_id
           join ref.instruments i on i.instrument_id = q.instrument_id
           where f.feed = 'fixmd' and i.symbol = %s order by s.parent_id, q.seq""",
        (symbol,),
    ).fetchall()


def shown(conn: psycopg.Connection, symbol: str = "IBM") -> list[tuple[Any, ...]]:
    """Return the quotes of the session's market, without those that repeat the one before."""
    rows = conn.execute(
        """select q.ts, q.bid_price, q.bid_size, q.ask_price, q.ask_size
           from market._quotes q join ops.feeds f on f.feed_id = q.feed_id
           join ref.instruments i on i.instrument_id = q.instrument_id
           where f.feed <> 'fixmd' and i.symbol = %s order by q.seq""",
        (symbol,),
    ).fetchall()
    return [row for n, row in enumerate(rows) if n == 0 or row[1:] != rows[n - 1][1:]]


def one(conn: psycopg.Connection, query: str) -> Any:
    row = conn.execute(query).fetchone()
    assert row is not None
    return row[0] if len(row) == 1 else row


def show(market: Market, *prices: int, symbol: str = "IBM") -> None:
    """Show quotes a cent wide, one batch each."""
    for cents in prices:
        bid, ask = f"{cents / 100:.2f}", f"{(cents + 1) / 100:.2f}"
        market.batch((symbol, (bid, cents % 7 + 1, ask, cents % 11 + 1)))


def test_feed_stores_the_venues_market_exactly(
    start_feed: Start, market: Market, conn: psycopg.Connection
) -> None:
    market.batch(("IBM", QUOTE), ("AIG", QUOTE))
    start_feed()
    until(lambda: len(stored(conn)) == 1 and len(stored(conn, "AIG")) == 1, "the snapshots")
    show(market, *range(10_000, 10_040))
    show(market, *range(5_000, 5_010), symbol="AIG")
    market.batch(("IBM", QUOTE), ("IBM", QUOTE), ("IBM", ("99.99", 1, "100.01", 2)))
    until(lambda: len(stored(conn)) == 43, "every quote of IBM")
    assert stored(conn) == shown(conn)
    until(lambda: len(stored(conn, "AIG")) == 11, "every quote of AIG")
    assert stored(conn, "AIG") == shown(conn, "AIG")
    assert one(conn, "select count(*) from market.quarantine") == 0
    assert one(conn, "select count(*) from market.gaps") == 0
    assert one(
        conn,
        "select sum(rows_read), sum(rows_stored), sum(rows_missing) from market.sources s "
        "join ops.feeds f using (feed_id) where feed = 'fixmd' and parent_id is null",
    ) == (43 + 11 + 2, 43 + 11 + 2, 0)


def test_feed_that_was_away_records_exactly_the_updates_it_missed(
    start_feed: Start, market: Market, conn: psycopg.Connection
) -> None:
    market.batch(("IBM", QUOTE))
    feed = start_feed(symbols=["IBM"])
    until(lambda: len(stored(conn)) == 1, "the first snapshot")
    show(market, 10_000, 10_100)
    until(lambda: len(stored(conn)) == 3, "what came before")
    feed.kill()
    show(market, 10_200, 10_300, 10_400, 10_500)
    feed.start()
    feed.event("open")
    until(lambda: len(stored(conn)) == 4, "the snapshot")
    show(market, 10_600)
    until(lambda: len(stored(conn)) == 5, "what came after")
    wanted = shown(conn)
    assert stored(conn) == [*wanted[:3], *wanted[6:]]
    assert one(conn, "select first_missing, last_missing from market.gaps") == (4, 6)
    assert one(
        conn,
        "select next_row, rows_stored, rows_missing from market.sources "
        "where content like 'SIM/%/IBM' and parent_id is null",
    ) == (9, 5, 3)


def test_feed_reconnects_to_a_venue_that_starts_again_under_new_numbers(
    start_feed: Start, market: Market, venue: Venue, conn: psycopg.Connection
) -> None:
    market.batch(("IBM", QUOTE))
    feed = start_feed(symbols=["IBM"], heartbeat_s=1)
    until(lambda: len(stored(conn)) == 1, "the first snapshot")
    show(market, 10_000)
    until(lambda: len(stored(conn)) == 2, "what came before")
    venue.kill()
    feed.event("lost")
    show(market, 10_100)
    venue.start()
    feed.event("open")
    until(lambda: len(stored(conn)) == 3, "the snapshot of the new process")
    show(market, 10_200)
    until(lambda: len(stored(conn)) == 4, "what came after")
    assert stored(conn) == shown(conn)
    assert one(conn, "select count(*) from market.gaps") == 0
    count = (
        "select count(*) from market.sources where content like 'SIM/%/IBM' and parent_id is null"
    )
    assert one(conn, count) == 2


def test_feed_stores_the_venues_trades_with_the_numbers_of_their_reports(
    start_feed: Start, market: Market, trader: Client, conn: psycopg.Connection
) -> None:
    market.batch(("IBM", QUOTE))
    start_feed(symbols=["IBM"])
    until(lambda: len(stored(conn)) == 1, "the snapshot")
    trader.order("1", 120)
    trader.order("5", 30)
    trader.order("1", 40, "100.01")
    trader.order("2", 15, "100.01")
    until(lambda: one(conn, "select count(*) from market._trades") == 3, "three trades")
    found = conn.execute(
        "select t.trade_id, t.ts, t.price::numeric / 10000, t.size, t.exchange "
        "from market._trades t order by t.trade_id"
    ).fetchall()
    journaled = conn.execute(
        """select split_part(e.exec_id, '-E', 2)::bigint, e.ts, e.price, e.quantity, e.venue
           from venue.executions e join venue.orders o using (venue, order_no)
           where not (o.side = 'sell') order by 1"""
    ).fetchall()
    assert found == [(n, ts, price, int(size), venue) for n, ts, price, size, venue in journaled]
    best = "select bid_price, bid_size, ask_price, ask_size from market._quotes q join ops.feeds f"
    last = f"{best} using (feed_id) where f.feed = 'fixmd' order by seq desc limit 1"
    until(lambda: one(conn, last) == (1_000_100, 25, 1_000_200, 180), "the last best prices")


def test_feed_of_single_orders_rebuilds_the_venues_book(
    start_feed: Start, market: Market, trader: Client, conn: psycopg.Connection
) -> None:
    market.batch(("IBM", QUOTE))
    first = trader.order("1", 70, "99.98")
    start_feed(symbols=["IBM"], depth=0, store=["book_events", "quotes", "trades"])
    events = """select e.action, e.side, e.order_id, e.price, e.size, e.flags
                from market._book_events e order by e.seq, e.action <> 'clear', e.order_id"""
    until(lambda: len(conn.execute(events).fetchall()) == 4, "the snapshot")
    trader.order("2", 10, "100.05")
    trader.cancel(first)
    trader.order("1", 100)
    until(lambda: len(conn.execute(events).fetchall()) == 7, "three events")
    assert conn.execute(events).fetchall() == [
        ("clear", "", None, None, None, 1),
        ("add", "bid", 1, 1_000_000, 500, 1),
        ("add", "ask", 2, 1_000_200, 300, 1),
        ("add", "bid", 11, 999_800, 70, 1),
        ("add", "ask", 12, 1_000_500, 10, 0),
        ("delete", "bid", 11, 999_800, 70, 0),
        ("modify", "ask", 2, 1_000_200, 200, 0),
    ]
    # Best prices are told where they changed: at the snapshot and after the trade.
    assert [row[4] for row in stored(conn)] == [300, 200]
    assert one(conn, "select count(*) from market._trades") == 1


def test_feed_stores_statuses_and_quarantines_what_the_venue_refuses(
    start_feed: Start, market: Market, conn: psycopg.Connection
) -> None:
    feed = start_feed(symbols=["IBM", "NONE"], trading_session=str(market.session_id))
    until(lambda: one(conn, "select count(*) from market.quarantine") == 1, "the refusal")
    reason, raw = one(conn, "select reason, raw from market.quarantine")
    assert reason == "request_refused"
    assert "|35=Y|" in raw
    assert "unknown symbol NONE" in raw
    conn.execute("update ref.instruments set status = 'halted' where symbol = 'IBM'")
    market.batch(("IBM", QUOTE))
    codes = """select i.symbol, s.kind, s.code, s.detail->>'unsolicited' from market.statuses s
               join ref.instruments i using (instrument_id) order by s.seq"""
    until(lambda: len(conn.execute(codes).fetchall()) == 3, "three statuses")
    assert conn.execute(codes).fetchall() == [
        ("IBM", "security_status", "17", None),
        ("NONE", "security_status", "20", None),
        ("IBM", "security_status", "2", "Y"),
    ]
    assert feed.stop() == 0
    detail = feed.event("detail")["detail"]
    assert detail["refused"] == 1
    assert "NONE" in detail["last_refusal"]
