"""The FIX feed against a venue without an engine: the texts are the test's own."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest

from fix.harness import until
from fix.raw_venue import RawVenue
from fix.test_market_data_feed import Feed, one

pytestmark = pytest.mark.slow

WHEN = ((272, "20260105"), (273, "15:00:00"))


@pytest.fixture
def venue() -> Iterator[RawVenue]:
    venue = RawVenue()
    yield venue
    venue.close()


@pytest.fixture
def feed(role_url: Callable[[str | None], str], tmp_path: Path, venue: RawVenue) -> Iterator[Feed]:
    feed = Feed(role_url("tsdb_worker_feeds"), tmp_path, venue.port, statuses=False, heartbeat_s=5)
    yield feed
    feed.stop()


def subscribed(venue: RawVenue) -> str:
    """Answer the security list, and return the MDReqID of the subscription that follows."""
    asked = venue.message("x")
    assert asked[559] == "4"
    head = [(320, asked[320]), (322, "L1"), (560, 0), (393, 1), (893, "Y")]
    venue.send("y", *head, (146, 1), (55, "IBM"))
    request = venue.message("V")
    assert (request[263], request[264], request[55]) == ("1", "1", "IBM")
    return request[262]


def snapshot(venue: RawVenue, request: str, number: int, bid: str) -> None:
    venue.send(
        *("W", (262, request), (55, "IBM"), (83, number), (268, 2)),
        *((269, 0), (270, bid), (271, 100), *WHEN, (269, 1), (270, "101.50"), (271, 200), *WHEN),
    )


def bid_change(number: object, bid: object, *more: tuple[int, object]) -> list[tuple[int, object]]:
    entry = [(279, 1), (269, 0), (55, "IBM"), (270, bid), (271, 7), *WHEN, (83, number)]
    return [(268, 1), *entry, *more]


ROWS = "select q.seq, q.bid_price, q.ask_price, q.ts::text from market._quotes q order by q.recv_ts, q.seq"


def test_feed_takes_raw_texts_recovers_from_a_gap_and_keeps_what_is_refused(
    venue: RawVenue, feed: Feed, conn: psycopg.Connection
) -> None:
    request = subscribed(venue)
    snapshot(venue, request, 100, "101.25")
    venue.send("X", (262, request), *bid_change(101, "101.26"))
    # Garbled on the wire: wrong checksum, then bytes that are no FIX at all.
    venue.send_bytes(b"8=FIX.4.4\x019=5\x0135=0\x0110=000\x01")
    # The engine itself refuses one without its required group.
    venue.send("X", (262, request), (58, b"caf\xe9"))
    assert venue.message("3")[371] == "268"
    # A venue's own tags, and a text that is no UTF-8, do no harm.
    venue.send("X", (262, request), *bid_change(102, "101.27", (9001, "x"), (58, b"caf\xe9\xff")))
    until(lambda: len(conn.execute(ROWS).fetchall()) == 3, "three rows")
    # 103 never comes, 104 waits for the snapshot that is asked for at once.
    venue.send("X", (262, request), *bid_change(104, "101.29"))
    end, again = venue.message("V"), venue.message("V")
    assert (end[263], end[262]) == ("2", request)
    assert again[263] == "1"
    assert again[262] != request
    snapshot(venue, again[262], 104, "101.29")
    venue.send("X", (262, again[262]), *bid_change(105, "101.30"))
    until(lambda: len(conn.execute(ROWS).fetchall()) == 5, "five rows")
    assert conn.execute(ROWS).fetchall() == [
        (n, bid, 1_015_000, "2026-01-05 15:00:00+00")
        for n, bid in (
            (100, 1_012_500),
            (101, 1_012_600),
            (102, 1_012_700),
            (104, 1_012_900),
            (105, 1_013_000),
        )
    ]
    assert one(conn, "select first_missing, last_missing from market.gaps") == (103, 103)
    reasons = conn.execute("select reason, raw from market.quarantine").fetchall()
    assert [reason for reason, _ in reasons] == ["malformed"]
    assert "caf\\xe9" in reasons[0][1]
    assert "Required tag missing" in reasons[0][1]


def test_feed_reconnects_and_counts_what_it_missed(
    venue: RawVenue, feed: Feed, conn: psycopg.Connection
) -> None:
    request = subscribed(venue)
    snapshot(venue, request, 1, "101.25")
    until(lambda: len(conn.execute(ROWS).fetchall()) == 1, "the first row")
    venue.drop()
    feed.event("lost")
    request = subscribed(venue)
    snapshot(venue, request, 11, "101.00")
    until(lambda: len(conn.execute(ROWS).fetchall()) == 2, "the second row")
    assert one(conn, "select first_missing, last_missing from market.gaps") == (2, 10)
    assert (
        one(
            conn,
            "select rows_missing from market.sources where content like 'SIM/%' "
            "and parent_id is null",
        )
        == 9
    )
