"""Quotes derived from books: once each, resumable, and right after late events."""

from __future__ import annotations

import random

import psycopg
import pytest
from psycopg import errors

from book_reference import Book
from books_events import START_US, Event, apply, generate, write
from tsdb_trader.api import books, market
from tsdb_trader.errors import InputError, UnknownObjectError


def stored(conn, feed: str = "itch") -> list[tuple]:
    """Return (seq, time, ns, best bid, best ask) of the derived quotes in their order."""
    return conn.execute(
        """select q.seq, q.ts, q.ns, q.bid_price, q.bid_size, q.ask_price, q.ask_size
           from market._quotes q join ops.feeds f using (feed_id)
           where f.feed = %s and q.conditions = 'derived'
           order by q.ts, q.ns, q.source_id, q.seq""",
        (feed,),
    ).fetchall()


def expected(events: list[Event]) -> list[tuple]:
    """Return what the book in Python says, with the number of each event."""
    book, shown, found = Book(), (None,) * 4, []
    for number, event in enumerate(events):
        apply(book, number, event)
        top = book.top()
        now = (top[0], top[1], top[3], top[4])
        if now != shown:
            found.append((number, event.ns, *now))
            shown = now
    return found


def source(conn, content: str = "a") -> int:
    [found] = conn.execute(
        "select source_id from market.sources where content = %s", (content,)
    ).fetchone()
    return found


@pytest.mark.parametrize("limit", [100_000, 50, 7])
def test_derived_quotes_are_the_changes_of_the_book(conn, limit):
    events = generate(21, 300)
    write(conn, events)
    assert books.derive_quotes(conn, source(conn), limit) == 300
    assert [(r[0], *r[2:]) for r in stored(conn)] == expected(events)
    part = conn.execute(
        """select s.kind, s.parent_id, s.rows_read, s.rows_stored, s.instrument_id, s.content
           from market.sources s join market.derived_quotes d using (source_id)"""
    ).fetchone()
    count = len(expected(events))
    assert part == ("quotes", source(conn), count, count, 1, "a/AAA/book_events/derived quotes")


def test_derived_quotes_say_which_side_changed(conn):
    write(
        conn,
        [
            Event(1, "add", 1, "bid", 10_000, 5),
            Event(2, "add", 2, "ask", 10_100, 5),
            Event(3, "add", 3, "bid", 9_000, 5),
            Event(4, "execute", 1, size=5),
            Event(5, "clear"),
        ],
    )
    books.derive_quotes(conn, source(conn))
    rows = conn.execute("select seq, flags, recv_ts - ts from market.quotes order by seq")
    assert [(seq, flags, delay.microseconds) for seq, flags, delay in rows] == [
        (0, 1, 5),
        (1, 2, 5),
        (3, 1, 5),
        (4, 3, 5),
    ]


def test_derive_quotes_again_does_nothing_and_goes_on_with_new_events(conn):
    events = generate(22, 200)
    write(conn, events[:120])
    assert books.derive_quotes(conn, source(conn)) == 120
    before = stored(conn)
    assert books.derive_quotes(conn, source(conn)) == 0
    assert stored(conn) == before
    write(conn, events[120:])
    taken = books.derive_quotes(conn, source(conn))
    # The new events may share their time with old ones, which are then taken again.
    assert 80 <= taken <= 90
    assert [(r[0], *r[2:]) for r in stored(conn)] == expected(events)


def test_derive_quotes_after_late_events_is_done_anew_from_there(conn):
    events = generate(23, 200, wild=False)
    write(conn, events)
    books.derive_quotes(conn, source(conn))
    late = Event(events[100].ts, "add", 10**12, "bid", 20_000, 1)
    write(conn, [late], content="late")
    books.derive_quotes(conn, source(conn))
    books.derive_quotes(conn, source(conn, "late"))
    rows = stored(conn)
    whole = sorted(
        [*((e.ts, e.ns, 0, n, e) for n, e in enumerate(events)), (late.ts, 0, 1, 0, late)],
        key=lambda row: row[:4],
    )
    numbers = [row[3] if row[2] == 0 else -1 for row in whole]
    wanted = [
        (0 if numbers[i] < 0 else numbers[i], *rest)
        for i, *rest in expected([row[4] for row in whole])
    ]
    assert [(r[0], *r[2:]) for r in rows] == wanted
    assert conn.execute(
        """select sum(s.rows_stored) from market.sources s
           join market.derived_quotes d using (source_id)"""
    ).fetchone() == (len(rows),)


def test_derive_quotes_waits_for_the_end_of_a_snapshot(conn):
    told = [Event(1, "clear", flags=1)]
    told += [Event(1, "add", i, "bid", 10_000 + i, 1, flags=1) for i in range(1, 30)]
    write(conn, told)
    assert books.derive_quotes(conn, source(conn), 10) == 0
    assert stored(conn) == []
    write(conn, [Event(1, "add", 99, "ask", 11_000, 1, flags=5), Event(2, "delete", 1)])
    books.derive_quotes(conn, source(conn), 10)
    assert [r[0] for r in stored(conn)] == [30]


def test_derived_quotes_reach_batches_and_rollups(conn):
    events = [
        Event(1, "add", 1, "bid", 10_000, 5),
        Event(2, "add", 2, "ask", 10_100, 5),
        Event(3, "execute", 1, size=2),
    ]
    write(conn, events)
    books.derive_quotes(conn, source(conn))
    [session] = conn.execute(
        """insert into ops.sessions (kind, name, feed_id, from_ts)
           select 'replay', 'books', feed_id, '2024-03-04' from ops.feeds returning session_id"""
    ).fetchone()
    batch = conn.execute(
        "select market.write_batch(%s, '2024-03-04', '2024-03-05')", (session,)
    ).fetchone()
    assert batch is not None
    assert conn.execute("select bid_size, ask_size from market.latest").fetchall() == [(3.0, 5.0)]
    digest = conn.execute("select digest from market.batches").fetchone()
    assert (market.batch_digest(conn, batch[0]),) == digest


def test_derive_quotes_of_two_feeds_keep_apart(conn):
    first, second = generate(30, 80), generate(31, 80)
    write(conn, first, feed="itch", content="a")
    write(conn, second, feed="other", content="b")
    for content in ("a", "b"):
        books.derive_quotes(conn, source(conn, content))
    assert [(r[0], *r[2:]) for r in stored(conn)] == expected(first)
    assert [(r[0], *r[2:]) for r in stored(conn, "other")] == expected(second)


@pytest.mark.parametrize("seed", range(3))
def test_derive_quotes_in_any_order_of_arrival_ends_with_the_same(conn, seed):
    """Pieces of a day arrive in random order, with quotes and snapshots made in between."""
    events = generate(50 + seed, 240, wild=False)
    # Whole instants, as ties between files are in the order of the files.
    cuts = [0, *(i for i in range(40, 240, 40)), 240]
    cuts = [next((j for j in range(i, 240) if events[j].ts != events[j - 1].ts), 240) for i in cuts]
    pieces = [events[a:b] for a, b in zip([0, *cuts[1:-1]], cuts[1:], strict=True)]
    order = list(range(len(pieces)))
    random.Random(seed).shuffle(order)
    for number in order:
        write(conn, pieces[number], content=str(number))
        for known in order[: order.index(number) + 1]:
            books.derive_quotes(conn, source(conn, str(known)), 30)
        books.snapshot_books(conn, 20)
    for known in order:
        books.derive_quotes(conn, source(conn, str(known)))
    found = [((r[1].timestamp(), r[2]), r[3:]) for r in stored(conn)]
    offset = 946_684_800 + START_US / 10**6
    wanted = [((offset + events[n].ts / 10**6, ns), tuple(top)) for n, ns, *top in expected(events)]
    assert [top for _, top in found] == [top for _, top in wanted]
    assert [ns for (_, ns), _ in found] == [ns for (_, ns), _ in wanted]


def test_derive_quotes_of_what_has_none_is_refused(conn):
    write(conn, [Event(1, "add", 1, "bid", 10_000, 5)])
    for arguments, error, message in (
        ((10**6,), UnknownObjectError, "unknown source 1000000"),
        ((source(conn), 0), InputError, "limit 0"),
    ):
        with pytest.raises(error, match=message):
            books.derive_quotes(conn, *arguments)
    with pytest.raises(psycopg.Error, match="is of many") as caught:
        conn.execute("select market.derive_quotes(%s)", (source(conn),))
    assert caught.value.sqlstate == "TT001"


def test_derive_quotes_is_for_workers_and_operators(conn, connect_as):
    write(conn, [Event(1, "add", 1, "bid", 10_000, 5)])
    with pytest.raises(errors.InsufficientPrivilege):
        connect_as("tsdb_quant").execute("select market.derive_quotes(2)")
    assert books.derive_quotes(connect_as("tsdb_worker_feeds"), source(conn)) == 1
