"""Order books in SQL: any instant, ties, snapshots that late events undo, feeds, errors."""

from __future__ import annotations

import threading
from datetime import timedelta

import psycopg
import pytest
from psycopg import errors

from book_reference import Book
from books_events import START, Event, apply, generate, instrument, write
from tsdb_trader.api import books
from tsdb_trader.errors import InputError, UnknownObjectError
from tsdb_trader.workers.scheduler import JOBS, run_job

DEEP = 100


def at(microseconds: float):
    return START + timedelta(microseconds=microseconds)


def l2(conn, ts: float, depth: int = DEEP, feed: str | None = None) -> list[tuple]:
    """Return (side, level, price, size, orders) of the book of AAA."""
    found = books.book_at(conn, instrument(conn), at(ts), depth, feed)
    return [(r.side, r.level, r.price, r.size, r.orders) for r in found]


def expected_l2(book: Book, depth: int = DEEP) -> list[tuple]:
    return [
        (side, level, price / 10_000, float(size), orders)
        for side in ("bid", "ask")
        for level, (price, size, orders) in enumerate(book.depth(side, depth), 1)
    ]


def expected_orders(book: Book) -> list[tuple]:
    return [
        (side, level, place, key, price / 10_000, float(book.orders[key].size))
        for side in ("bid", "ask")
        for level, (price, _, _) in enumerate(book.depth(side, DEEP), 1)
        for place, key in enumerate(book.queue(side, price), 1)
    ]


def orders(conn, ts: float) -> list[tuple]:
    return [
        (o.side, o.level, o.place, o.order_id, o.price, o.size)
        for o in books.orders_at(conn, instrument(conn), at(ts))
    ]


def place(conn, events: list[Event], number: int) -> str:
    """Return the place of an event of the first source, as SQL reads it."""
    event = events[number]
    [found] = conn.execute(
        """select row(%s::timestamptz, %s, source_id, %s)::market.book_position::text
           from market.sources where kind = 'book_events' order by source_id limit 1""",
        (at(event.ts), event.ns, number),
    ).fetchone()
    return found


def check_all(conn, events: list[Event]) -> None:
    """Compare best prices after every event, and all orders after every one in ten."""
    key = instrument(conn)
    [feed] = conn.execute("select feed_id from ops.feeds where feed = 'itch'").fetchone()
    rows = conn.execute(
        """select b.seq, b.bid_price, b.bid_size, b.bid_orders, b.ask_price, b.ask_size,
                  b.ask_orders
           from market._book_bbo(%s, %s, market._book_end('-infinity'),
                                 market._book_end('infinity')) b""",
        (key, feed),
    ).fetchall()
    found = {row[0]: row[1:] for row in rows}
    assert len(found) == len(rows)
    book, shown = Book(), (None,) * 6
    for number, event in enumerate(events):
        apply(book, number, event)
        assert (number in found) == (book.top() != shown), (number, event)
        shown = found.get(number, shown)
        assert shown == book.top(), (number, event)
        if number % 10 == 0 or number == len(events) - 1:
            rows = conn.execute(
                """select o.order_id, o.side, o.price, o.size
                   from market._book_orders(%s, %s, %s::text::market.book_position) o
                   order by o.side, o.price, o.queue_no""",
                (key, feed, place(conn, events, number)),
            ).fetchall()
            assert rows == [
                (k, o.side, o.price, o.size)
                for _, _, _, k, o in sorted(
                    (o.side, o.price, o.since, k, o) for k, o in book.orders.items()
                )
            ], (number, event)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("every", [None, 37])
def test_book_after_every_event_equals_the_book_in_python(conn, seed, every):
    events = generate(seed, 400)
    write(conn, events[:150], events[150:])
    if every:
        assert books.snapshot_books(conn, every) > 5
    check_all(conn, events)


@pytest.mark.long
@pytest.mark.parametrize("seed", range(100, 140))
def test_book_of_long_runs_equals_the_book_in_python(conn, seed):
    events = generate(seed, 3_000)
    write(conn, events)
    books.snapshot_books(conn, 211)
    check_all(conn, events)


def test_book_at_includes_every_event_of_the_instant(conn):
    events = [
        Event(10, "add", 1, "bid", 10_000, 5, ns=999),
        Event(10, "add", 2, "bid", 10_000, 7, ns=1),
        Event(10, "reduce", 1, size=2, ns=999),
        Event(11, "delete", 2),
    ]
    write(conn, events)
    assert l2(conn, 9) == []
    assert l2(conn, 10) == [("bid", 1, 1.0, 10.0, 2)]
    # Nanoseconds come before the order in the file.
    assert orders(conn, 10) == [("bid", 1, 1, 2, 1.0, 7.0), ("bid", 1, 2, 1, 1.0, 3.0)]
    assert l2(conn, 11) == [("bid", 1, 1.0, 3.0, 1)]


def test_book_at_depth_cuts_the_levels_of_each_side(conn):
    adds = [
        Event(i, "add", i, "bid" if i % 2 else "ask", 10_000 + (-i if i % 2 else i), 1)
        for i in range(1, 41)
    ]
    write(conn, adds)
    found = l2(conn, 100, 3)
    assert [(r[0], r[1], r[2]) for r in found] == [
        ("bid", 1, 0.9999),
        ("bid", 2, 0.9997),
        ("bid", 3, 0.9995),
        ("ask", 1, 1.0002),
        ("ask", 2, 1.0004),
        ("ask", 3, 1.0006),
    ]
    [feed] = conn.execute("select feed_id from ops.feeds").fetchone()
    assert conn.execute("select * from market.bbo where instrument_id = 1").fetchall() == [
        (1, feed, at(40), 0, 0.9999, 1.0, 1, 1.0002, 1.0, 1)
    ]


def test_book_priority_follows_itch_and_cme(conn):
    adds = [Event(i, "add", i, "bid", 10_000, 10) for i in range(1, 6)]
    write(
        conn,
        [
            *adds,
            Event(11, "execute", 1, size=3),
            Event(12, "reduce", 2, size=3),
            Event(13, "replace", 3, "bid", 10_000, 10, 33),
            Event(14, "modify", 4, "bid", 10_000, 9),
            Event(15, "modify", 5, "bid", 10_000, 11),
            Event(16, "modify", 4, "bid", 10_000, 9),
        ],
    )
    found = books.orders_at(conn, instrument(conn), at(20))
    assert [(o.order_id, o.size) for o in found] == [(1, 7), (2, 7), (4, 9), (33, 10), (5, 11)]
    assert [o.priority_ts for o in found] == [at(1), at(2), at(4), at(13), at(15)]


def test_book_snapshot_rows_of_the_source_start_it_anew(conn):
    told = {"flags": 1, "placed_ns": 1_700_000_000_123_456_789}
    write(
        conn,
        [
            Event(1, "add", 1, "bid", 9_000, 10),
            Event(5, "clear", flags=1),
            Event(5, "add", 2, "bid", 10_000, 10, **told),
            Event(5, "add", 3, "ask", 10_100, 10, **told | {"flags": 5}),
            Event(6, "add", 4, "bid", 10_050, 1),
        ],
    )
    assert l2(conn, 5) == [("bid", 1, 1.0, 10.0, 1), ("ask", 1, 1.01, 10.0, 1)]
    order = books.orders_at(conn, instrument(conn), at(5))[0]
    assert int(order.priority_ts.timestamp() * 10**6) == 1_700_000_000_123_456
    assert order.priority_ns == 789
    # A book half told is nobody's best bid and offer.
    rows = conn.execute(
        "select seq, bid_price, ask_price from market.bbo(%s, %s, %s)",
        (instrument(conn), at(0), at(6)),
    ).fetchall()
    assert rows == [(0, 0.9, None), (3, 1.0, 1.01)]


def test_bbo_of_a_span_starts_from_the_book_before_it(conn):
    events = generate(7, 300)
    write(conn, events)
    key = instrument(conn)
    query = "select * from market.bbo(%s, %s, %s)"
    whole = conn.execute(query, (key, at(0), at(10**9))).fetchall()
    middle = at(events[150].ts)
    first = conn.execute(query, (key, at(0), middle)).fetchall()
    second = conn.execute(query, (key, middle, at(10**9))).fetchall()
    assert first
    assert second
    assert first + second == whole
    assert all(row[0] < middle for row in first)


def test_books_of_two_feeds_are_never_mixed(conn):
    write(conn, [Event(1, "add", 1, "bid", 10_000, 10)], feed="itch")
    write(conn, [Event(2, "add", 1, "ask", 10_100, 20)], feed="other")
    assert l2(conn, 1) == [("bid", 1, 1.0, 10.0, 1)]
    assert l2(conn, 2) == [("ask", 1, 1.01, 20.0, 1)]
    assert l2(conn, 2, feed="itch") == [("bid", 1, 1.0, 10.0, 1)]
    tops = conn.execute("select bid_price, ask_price from market.bbo order by feed_id").fetchall()
    assert tops == [(1.0, None), (None, 1.01)]


def test_book_of_several_files_goes_on_from_one_to_the_next(conn):
    events = generate(3, 200)
    write(conn, events[100:], content="afternoon")
    write(conn, events[:100], content="morning")
    book = Book()
    for number, event in enumerate(events):
        apply(book, number, event)
    assert orders(conn, 10**9) == expected_orders(book)


@pytest.mark.parametrize("late", [0, 1, 60, 199])
def test_book_after_late_events_is_right_whatever_snapshots_there_were(conn, late):
    events = generate(11, 200, wild=False)
    times = sorted({e.ts for e in events})
    one = Event(events[late].ts, "add", 10**12, "bid", 9_000, 3)
    write(conn, events, content="first")
    made = books.snapshot_books(conn, 20)
    assert made > 3
    write(conn, [one], content="late")
    kept = conn.execute("select count(*) from market.book_snapshots").fetchone()[0]
    assert kept < made or late == 199
    book, number = Book(), 0
    ordered = sorted(
        [*((e.ts, e.ns, 0, n, e) for n, e in enumerate(events)), (one.ts, 0, 1, 0, one)],
        key=lambda row: row[:4],
    )
    for ts in times:
        while number < len(ordered) and ordered[number][0] <= ts:
            apply(book, number, ordered[number][4])
            number += 1
        assert l2(conn, ts) == expected_l2(book), ts
    books.snapshot_books(conn, 20)
    assert l2(conn, times[-1]) == expected_l2(book)


@pytest.mark.parametrize(
    "change",
    [
        "insert into market._book_events select ts, recv_ts, 999, 77, null, 100, 5, null, "
        "instrument_id, source_id, feed_id, ns, flags, 'add', 'bid' from market._book_events "
        "where seq = 2",
        "update market._book_events set size = 99 where seq = 3",
        "delete from market._book_events where seq = 4",
    ],
    ids=["insert", "update", "delete"],
)
def test_book_after_events_changed_by_hand_is_right(conn, change):
    write(conn, [Event(i, "add", i, "bid", 10_000 + i, 1) for i in range(1, 21)])
    assert books.snapshot_books(conn, 5) == 3
    before = orders(conn, 30)
    conn.execute(change)
    assert conn.execute("select count(*) from market.book_snapshots").fetchone() == (0,)
    after = orders(conn, 30)
    assert after != before
    books.snapshot_books(conn, 5)
    assert orders(conn, 30) == after


def test_snapshot_waits_for_a_writer_that_has_not_committed(conn, connect_as):
    """It could not see the writer's events, and would be wrong once they are there."""
    write(conn, [Event(i, "add", i, "bid", 10_000, 1) for i in range(1, 31)])
    writer = connect_as()
    written, may_end = threading.Event(), threading.Event()

    def store() -> None:
        with writer.transaction():
            write(writer, [Event(3, "add", 1_000, "bid", 10_000, 1)], content="late")
            written.set()
            may_end.wait(60)

    storing = threading.Thread(target=store)
    storing.start()
    assert written.wait(60)
    snapshotter = connect_as()
    with snapshotter.transaction(force_rollback=True):
        snapshotter.execute("set local lock_timeout = '200ms'")
        with pytest.raises(errors.LockNotAvailable):
            snapshotter.execute("select market.snapshot_book(1, 1, 10)")
    may_end.set()
    storing.join(60)
    assert books.snapshot_books(conn, 10) == 2
    assert l2(conn, 40) == [("bid", 1, 1.0, 31.0, 31)]


def test_snapshots_are_made_once_and_start_again_where_the_last_is(conn):
    write(conn, [Event(i, "add", i, "bid", 10_000, 1) for i in range(1, 26)])
    assert books.snapshot_books(conn, 10) == 2
    assert books.snapshot_books(conn, 10) == 0
    write(conn, [Event(i, "execute", i - 25, size=1) for i in range(26, 46)])
    # The last one has 20 orders, so 20 events make the next worth it.
    assert books.snapshot_books(conn, 10) == 1
    assert conn.execute(
        "select event_count, cardinality(order_ids) from market.book_snapshots order by ts"
    ).fetchall() == [(10, 10), (20, 20), (40, 10)]
    assert l2(conn, 100) == [("bid", 1, 1.0, 5.0, 5)]


def test_scheduler_makes_snapshots(conn, database, monkeypatch):
    write(conn, [Event(i, "add", i, "bid", 10_000, 1) for i in range(1, 26)])
    [job] = [j for j in JOBS if j.name == "snapshot_books"]
    run_job(database, job)
    assert conn.execute("select detail from ops.jobs where job = 'snapshot_books'").fetchall() == [
        ({"snapshots": 0},)
    ]


def test_book_questions_that_cannot_be_answered_are_refused(conn):
    write(conn, [Event(1, "add", 1, "bid", 10_000, 10)])
    key = instrument(conn)
    for arguments, error, message in (
        ((key, at(1), 0), InputError, "depth 0"),
        ((key, at(1), -3), InputError, "depth -3"),
        ((key, at(1), None), InputError, "depth null"),
        ((key, None, 5), InputError, "no time"),
        ((10**6, at(1), 5), UnknownObjectError, "unknown instrument 1000000"),
        ((None, at(1), 5), UnknownObjectError, "unknown instrument null"),
        ((key, at(1), 5, "nobody"), UnknownObjectError, "unknown feed nobody"),
    ):
        with pytest.raises(error, match=message):
            books.book_at(conn, *arguments)
    with pytest.raises(InputError, match="no time"):
        books.orders_at(conn, key, None)
    with pytest.raises(InputError, match="-1 events"):
        books.snapshot_books(conn, -1)
    for times in ((at(2), at(1)), (None, at(1)), (at(1), None)):
        with pytest.raises(psycopg.Error) as caught:
            conn.execute("select * from market.bbo(%s, %s, %s)", (key, *times))
        assert caught.value.sqlstate == "TT001"


def test_book_without_events_has_no_rows(conn):
    conn.execute("select ref.add_instrument('AAA')")
    assert l2(conn, 1) == []
    assert orders(conn, 1) == []
    assert (
        conn.execute(
            "select * from market.bbo(%s, %s, %s)", (instrument(conn), at(0), at(9))
        ).fetchall()
        == []
    )


def test_book_at_infinity_is_the_current_book(conn):
    write(conn, [Event(1, "add", 1, "bid", 10_000, 10)])
    [row] = conn.execute("select * from market.book_at(1, 'infinity', 5)").fetchall()
    assert row == ("bid", 1, 1.0, 10.0, 1)


@pytest.mark.parametrize("role", ["tsdb_ops", "tsdb_venue", "tsdb_quant", "tsdb_readonly"])
def test_books_may_be_read_by_every_role(conn, connect_as, role):
    write(conn, [Event(1, "add", 1, "bid", 10_000, 10)])
    reader = connect_as(role)
    assert len(reader.execute("select * from market.book_at(1, 'infinity', 5)").fetchall()) == 1
    assert len(reader.execute("select * from market.orders_at(1, 'infinity')").fetchall()) == 1
    assert len(reader.execute("select * from market.bbo").fetchall()) == 1
    assert len(reader.execute("select * from market.bbo(1, '2000-01-01', 'infinity')").fetchall())
    assert len(reader.execute("select * from market.book_events").fetchall()) == 1
    if role != "tsdb_ops":
        with pytest.raises(errors.InsufficientPrivilege):
            reader.execute("select market.snapshot_book(1, 1, 1)")
    with pytest.raises(errors.InsufficientPrivilege):
        reader.execute("delete from market.book_snapshots")


def test_snapshots_are_made_by_the_worker_role(conn, connect_as):
    write(conn, [Event(i, "add", i, "bid", 10_000, 1) for i in range(1, 26)])
    assert books.snapshot_books(connect_as("tsdb_worker_scheduler"), 10) == 2


def test_views_of_events_and_bars_show_decimals(conn):
    write(conn, [Event(1, "add", 1, "bid", 12_345, 10, ns=7)])
    assert conn.execute(
        "select action, side, order_id, price, size, ns, flags from market.book_events"
    ).fetchall() == [("add", "bid", 1, 1.2345, 10.0, 7, 0)]
    conn.execute(
        """insert into market._source_bars
           (ts, recv_ts, seq, open, high, low, close, volume, instrument_id, source_id, feed_id,
            ns, flags, resolution, side)
           values (%s, %s, 0, 10000, 12500, 9999, null, 100, 1, 1, 1, 0, 0, '1m', 'trade')""",
        (at(0), at(0)),
    )
    assert conn.execute(
        "select open, high, low, close, volume, resolution, side from market.source_bars"
    ).fetchall() == [(1.0, 1.25, 0.9999, None, 100.0, "1m", "trade")]


def test_book_reads_only_from_the_snapshot_on(conn):
    """The buffers touched do not grow with the history, nor do chunks before the snapshot."""
    day = 86_400 * 10**6

    def touched() -> int:
        conn.execute("analyze market._book_events")
        conn.execute("select * from market.book_at(1, 'infinity', 5)")
        [[plan]] = conn.execute(
            "explain (analyze, buffers, format json) select * from market.book_at(1, 'infinity', 5)"
        ).fetchone()
        return plan["Plan"]["Shared Hit Blocks"] + plan["Plan"]["Shared Read Blocks"]

    def quiet(days: range) -> None:
        """Store events that come and go."""
        for number in days:
            write(
                conn,
                [
                    event
                    for i in range(500)
                    for event in (
                        Event(number * day + 2 * i, "add", i, "bid", 10_000 + i % 7, 1),
                        Event(number * day + 2 * i + 1, "delete", i),
                    )
                ],
                content=str(number),
            )
        books.snapshot_books(conn, 100)

    quiet(range(3))
    few = touched()
    quiet(range(3, 30))
    assert touched() <= few * 1.2
    conn.execute("delete from market.book_snapshots")
    assert touched() > few * 3
