"""Real order-by-order files: the book in SQL against one in Python, at every message."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import databento_dbn
import psycopg
import pyarrow as pa
import pytest

from book_reference import Book
from tsdb_trader.api import books
from tsdb_trader.feeds import loader

FILES = {
    "ESH4": ("esh4-glbx-mdp3-20231224.mbo.dbn.zst", 8_725),
    "ESM4": ("orderbooks_mbo_2024-05-08T00-00-00_2024-05-08T00-00-02.dbn.zst", 13_796),
}
UNIT = 100_000
"""Databento's 1e-9 to our four decimals."""

pytestmark = pytest.mark.needs_data


@dataclass
class Loaded:
    """A file in the database, and its messages as the library reads them."""

    conn: psycopg.Connection
    symbol: str
    instrument_id: int
    feed_id: int
    messages: list[databento_dbn.MBOMsg]

    def place(self, number: int) -> str:
        """Return the place of a message in the order of events, as SQL reads it."""
        message = self.messages[number]
        snapshot = int(message.flags) & databento_dbn.F_SNAPSHOT
        time = message.ts_recv if snapshot else message.ts_event
        [source] = self.conn.execute(
            "select source_id from market.sources where instrument_id = %s and kind = 'book_events'",
            (self.instrument_id,),
        ).fetchone()
        [place] = self.conn.execute(
            """select row(timestamptz '1970-01-01 00:00:00+00' + %s * interval '1 microsecond',
                          %s, %s, %s)::market.book_position::text""",
            (time // 1000, time % 1000, source, number),
        ).fetchone()
        return str(place)

    def after(self) -> Iterator[tuple[int, databento_dbn.MBOMsg, Book]]:
        """Yield every message with the book in Python after it."""
        book = Book()
        for number, message in enumerate(self.messages):
            book.databento(number, message)
            yield number, message, book


def read(path: Path) -> list[databento_dbn.MBOMsg]:
    decoder = databento_dbn.DBNDecoder()
    with pa.CompressedInputStream(pa.OSFile(str(path)), "zstd") as content:
        decoder.write(content.read())
    return [r for r in decoder.decode() if isinstance(r, databento_dbn.MBOMsg)]


@pytest.fixture(params=FILES)
def loaded(request, conn, data_folder) -> Loaded:
    """Return a loaded file, named by its symbol."""
    name, records = FILES[request.param]
    path = data_folder / "cme_mbo" / name
    report = loader.load(conn, "dbn", [path])
    assert (report.total().read, report.total().stored) == (records, records)
    found = conn.execute(
        """select instrument_id, feed_id from market.sources join ref.instruments using
           (instrument_id) where market.sources.kind = 'book_events' and symbol = %s""",
        (request.param,),
    ).fetchone()
    assert found is not None
    return Loaded(conn, request.param, *found, read(path))


def test_messages_of_the_files_are_consistent(loaded):
    *_, (_, _, book) = loaded.after()
    assert book.wrong == []
    assert len(loaded.messages) == FILES[loaded.symbol][1]


@pytest.mark.parametrize("every", [None, 700])
def test_bbo_after_every_message_equals_the_book_in_python(loaded, every):
    if every:
        assert books.snapshot_books(loaded.conn, every) > 3
    rows = loaded.conn.execute(
        """select b.seq, b.bid_price, b.bid_size, b.bid_orders, b.ask_price, b.ask_size, b.ask_orders
           from market._book_bbo(%s, %s, market._book_end('-infinity'),
                                 market._book_end('infinity'), true) b""",
        (loaded.instrument_id, loaded.feed_id),
    ).fetchall()
    found = {seq: top for seq, *top in rows}
    assert len(found) == len(rows)
    shown = [None] * 6
    for number, message, book in loaded.after():
        top = [v // UNIT if i in (0, 3) and v else v for i, v in enumerate(book.top())]
        assert (number in found) == (top != shown), (number, message)
        shown = found.get(number, shown)
        assert shown == top, (number, message)


def test_every_message_does_to_its_order_what_the_book_in_python_does(loaded):
    rows = loaded.conn.execute(
        """select s.seq, s.order_id, s.side, s.price, s.size, s.was_price, s.was_size, s.queue_no
           from market._book_steps(%s, %s, market._book_end('-infinity'),
                                   market._book_end('infinity')) s
           where s.order_id is not null""",
        (loaded.instrument_id, loaded.feed_id),
    ).fetchall()
    steps = {row[0]: row[1:] for row in rows}
    assert len(steps) == len(rows)
    before: dict[int, tuple[int, int]] = {}
    for number, message, book in loaded.after():
        if str(message.action) in "RTF":
            assert number not in steps
            before = {} if str(message.action) == "R" else before
            continue
        key, side, price, size, was_price, was_size, _ = steps.pop(number)
        assert key == message.order_id
        assert (was_price, was_size or 0) == before.get(key, (None, 0))
        order = book.orders.get(key)
        if order is None:
            assert size == 0
            before[key] = (price, 0)
        else:
            assert (side, price, size) == (order.side, order.price // UNIT, order.size)
            before[key] = price, size
    assert steps == {}


@pytest.mark.parametrize("every", [None, 700])
def test_ten_levels_and_queues_equal_the_book_in_python(loaded, every):
    if every:
        books.snapshot_books(loaded.conn, every)
    count = len(loaded.messages)
    chosen = {0, 1, 2, 700, 701, count // 2, count - 190, count - 80, count - 40, count - 1}
    for number, _, book in loaded.after():
        if number not in chosen:
            continue
        orders = loaded.conn.execute(
            """select o.side, o.price, o.order_id, o.size
               from market._book_orders(%s, %s, %s::text::market.book_position) o
               order by o.side, o.price, o.queue_no""",
            (loaded.instrument_id, loaded.feed_id, loaded.place(number)),
        ).fetchall()
        expected = sorted(
            (o.side, o.price // UNIT, o.since, key, o.size) for key, o in book.orders.items()
        )
        assert orders == [(s, p, key, size) for s, p, _, key, size in expected], number


@pytest.mark.parametrize("step", [10, pytest.param(1, marks=pytest.mark.long)])
def test_book_at_instants_equals_the_book_in_python(loaded, step):
    """After the last message of an instant, through the public function."""
    books.snapshot_books(loaded.conn, 2_000)
    compared = 0
    following = [*loaded.messages[1:], None]
    for (number, message, book), next_message in zip(loaded.after(), following, strict=True):
        whole = int(message.flags) & databento_dbn.F_SNAPSHOT
        time = message.ts_recv if whole else message.ts_event
        if next_message is not None:
            next_whole = int(next_message.flags) & databento_dbn.F_SNAPSHOT
            next_time = next_message.ts_recv if next_whole else next_message.ts_event
            # p_as_of is no finer than a microsecond.
            if next_time // 1000 == time // 1000 or number % step:
                continue
        rows = loaded.conn.execute(
            """select b.side, b.level, b.price, b.size, b.orders
               from market.book_at(%s, timestamptz '1970-01-01 00:00:00+00'
                                       + %s * interval '1 microsecond', 10) b""",
            (loaded.instrument_id, time // 1000),
        ).fetchall()
        expected = [
            (side, level, price / 1e9, float(size), orders)
            for side in ("bid", "ask")
            for level, (price, size, orders) in enumerate(book.depth(side, 10), 1)
        ]
        assert rows == expected, number
        compared += 1
    assert compared >= (10 if loaded.symbol == "ESM4" else 1)
