"""A generated ITCH session: books in SQL against books in Python, at every message.

The messages are read by itchfeed, so neither the decoder nor the SQL checks itself.
"""

from __future__ import annotations

from collections import defaultdict
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from itch.messages import messages

from book_reference import Book
from itch_reference import frames
from tsdb_trader.api import books
from tsdb_trader.feeds import loader
from tsdb_trader.feeds.itch_generate import DAY, generate

COUNT, SYMBOLS = 20_000, 3
SIDES = {b"B": "bid", b"S": "ask"}


def told(message) -> tuple[str, int, dict] | None:
    """Return what a message does to an order: action, order, what else; None: nothing."""
    kind = message.message_type
    if kind in (b"A", b"F"):
        side = SIDES[message.buy_sell_indicator]
        more = {"side": side, "price": message.price, "size": message.shares}
        return "add", message.order_reference_number, more
    if kind in (b"E", b"C"):
        return "execute", message.order_reference_number, {"size": message.executed_shares}
    if kind == b"X":
        return "reduce", message.order_reference_number, {"size": message.cancelled_shares}
    if kind == b"D":
        return "delete", message.order_reference_number, {}
    if kind == b"U":
        more = {"new_key": message.new_order_reference_number, "price": message.price}
        return "replace", message.order_reference_number, more | {"size": message.shares}
    return None


@pytest.fixture
def session(conn, tmp_path):
    """Load a session; return for each symbol its messages: number, instant, what it does."""
    path = generate(tmp_path, messages=COUNT, symbols=SYMBOLS, seed=5).path
    assert loader.load(conn, "itch", [path]).total().quarantined == 0
    midnight = datetime(DAY.year, DAY.month, DAY.day, tzinfo=ZoneInfo("America/New_York"))
    names, found = {}, defaultdict(list)
    for number, raw in enumerate(frames(path.read_bytes())[0]):
        message = messages[raw[:1]](raw)
        if message.message_type == b"R":
            names[message.stock_locate] = message.stock.decode().strip()
        event = told(message)
        if event is not None:
            instant = midnight + timedelta(microseconds=message.timestamp // 1000)
            found[names[message.stock_locate]].append((number, instant, event))
    return found


def apply(book: Book, number: int, event: tuple[str, int, dict]) -> None:
    action, key, more = event
    if action == "replace":
        more = more | {"side": book.orders[key].side}
    book.itch(number, action, key, **more)


@pytest.mark.parametrize("every", [None, 500])
def test_bbo_and_orders_after_every_itch_message_equal_the_books_in_python(conn, session, every):
    if every:
        assert books.snapshot_books(conn, every) > 20
    compared = 0
    for symbol, events in session.items():
        key, feed = conn.execute(
            """select i.instrument_id, f.feed_id from ref.instruments i, ops.feeds f
               where i.symbol = %s and f.feed = 'itch'""",
            (symbol,),
        ).fetchone()
        tops = {
            seq: top
            for seq, *top in conn.execute(
                """select b.seq, b.bid_price, b.bid_size, b.bid_orders, b.ask_price, b.ask_size,
                          b.ask_orders
                   from market._book_bbo(%s, %s, market._book_end('-infinity'),
                                         market._book_end('infinity')) b""",
                (key, feed),
            )
        }
        steps = defaultdict(dict)
        for seq, order_id, *state in conn.execute(
            """select s.seq, s.order_id, s.side, s.price, s.size
               from market._book_steps(%s, %s, market._book_end('-infinity'),
                                       market._book_end('infinity')) s
               where s.order_id is not null""",
            (key, feed),
        ):
            steps[seq][order_id] = tuple(state)
        book, shown = Book(), [None] * 6
        for number, _, event in events:
            apply(book, number, event)
            assert (number in tops) == (list(book.top()) != shown), (symbol, number)
            shown = tops.get(number, shown)
            assert shown == list(book.top()), (symbol, number)
            touched = {event[1], event[2].get("new_key", event[1])}
            assert set(steps[number]) == touched
            for order_id in touched:
                order = book.orders.get(order_id)
                if order is None:
                    assert steps[number][order_id][2] == 0
                else:
                    assert steps[number][order_id] == (order.side, order.price, order.size)
            compared += 1
        assert book.wrong == []
    assert compared > COUNT * 0.9


def test_books_at_instants_of_an_itch_session_equal_the_books_in_python(conn, session):
    books.snapshot_books(conn, 1_000)
    for symbol, events in session.items():
        [key] = conn.execute("select ref.instrument_id(%s)", (symbol,)).fetchone()
        book = Book()
        for place, (number, instant, event) in enumerate(events):
            apply(book, number, event)
            more_to_come = place + 1 < len(events) and events[place + 1][1] == instant
            if place % 400 or more_to_come:
                continue
            rows = books.book_at(conn, key, instant, 10)
            assert [(r.side, r.level, r.price, r.size, r.orders) for r in rows] == [
                (side, level, price / 10_000, float(size), count)
                for side in ("bid", "ask")
                for level, (price, size, count) in enumerate(book.depth(side, 10), 1)
            ], (symbol, number)
            queue = [o.order_id for o in books.orders_at(conn, key, instant)]
            assert queue == [
                order_id
                for side in ("bid", "ask")
                for price, _, _ in book.depth(side, 10**6)
                for order_id in book.queue(side, price)
            ], (symbol, number)


def test_book_of_the_next_day_starts_empty(conn, tmp_path):
    for day in (DAY, DAY + timedelta(days=1)):
        generate(tmp_path, messages=2_000, symbols=1, day=day)
    loader.load(conn, "itch", [tmp_path])
    symbol, last, cleared = conn.execute(
        """select instrument_id, max(ts) filter (where ts < %(next)s),
                  min(ts) filter (where action = 'clear' and ts > %(next)s)
           from market.book_events group by instrument_id""",
        {"next": datetime(DAY.year, DAY.month, DAY.day, 23, tzinfo=ZoneInfo("America/New_York"))},
    ).fetchone()
    book = "select count(*) from market.book_at(%s, %s, 100)"
    assert conn.execute(book, (symbol, last)).fetchone()[0] > 0
    assert conn.execute(book, (symbol, cleared)).fetchone() == (0,)
