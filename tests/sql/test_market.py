"""Ticks in the database: views, sources, batches and who may write them."""

from __future__ import annotations

import itertools
import threading
import uuid
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest

from lean_files import QUOTES, TRADES, archive
from tsdb_trader.api import market
from tsdb_trader.feeds import loader

OPEN = datetime(2013, 10, 7, 13, 30, tzinfo=UTC)
MS = timedelta(milliseconds=1)


def one(conn: psycopg.Connection, statement: str, *arguments: Any) -> Any:
    row = conn.execute(statement, arguments).fetchone()
    assert row is not None
    return row[0]


@pytest.fixture
def ticks(conn: psycopg.Connection, tmp_path: Path) -> psycopg.Connection:
    """Return a connection to a database with the ticks of one symbol."""
    archive(tmp_path, QUOTES)
    archive(tmp_path, TRADES, "trade")
    loader.load(conn, "lean", [tmp_path])
    return conn


def replay(conn: psycopg.Connection, feed: str = "lean") -> uuid.UUID:
    return one(
        conn,
        "select ops.open_session('replay', 'test', %s, %s, %s)",
        feed,
        OPEN - MS,
        OPEN + timedelta(minutes=2),
    )


# Reference data


def test_instrument_id_unknown_symbol_raises_tt002(conn):
    with pytest.raises(psycopg.Error, match="unknown symbol NOPE") as caught:
        conn.execute("select ref.instrument_id('NOPE')")
    assert caught.value.sqlstate == "TT002"


def test_add_instrument_twice_returns_the_same_id(conn):
    first = market.add_instrument(conn, "ABC", kind="etf", tick_size="0.05")
    assert market.add_instrument(conn, "ABC", kind="etf", tick_size="0.05") == first
    assert one(conn, "select ref.instrument_id('ABC')") == first


def test_add_instrument_with_another_definition_raises_tt006(conn):
    market.add_instrument(conn, "ABC")
    with pytest.raises(psycopg.Error, match="another definition") as caught:
        conn.execute("select ref.add_instrument('ABC', p_price_scale => 6)")
    assert caught.value.sqlstate == "TT006"


# Views


def test_quotes_show_decimals_and_what_each_row_set(ticks):
    rows = ticks.execute(
        "select ts, bid_price, bid_size, ask_price, ask_size, exchange, conditions, flags, seq, ns,"
        " recv_ts = ts from market.quotes order by seq"
    ).fetchall()
    assert rows[0] == (OPEN, None, None, 100.02, 300.0, "Q", "1", 2, 0, 0, True)
    assert rows[4] == (OPEN + 61_000 * MS, 100.0, 200.0, 100.01, 400.0, "Q", "1", 2, 4, 0, True)


def test_trades_show_decimals_and_conditions(ticks):
    rows = ticks.execute(
        "select ts, price, size, exchange, conditions, flags from market.trades order by seq"
    ).fetchall()
    # 48: the archive's filter leaves sweeps and exempt trades out of prices.
    assert rows[1] == (OPEN, 100.02, 50.0, "Q", "20000020", 48)
    assert rows[2] == (OPEN + 59_999 * MS, 100.03, 200.0, "Q", "1", 4)


@pytest.mark.parametrize("view", ["quotes", "trades"])
def test_view_has_the_columns_others_rely_on(conn, view):
    common = ["instrument_id", "ts", "recv_ts", "ns", "seq", "feed_id"]
    own = {
        "quotes": ["bid_price", "bid_size", "ask_price", "ask_size"],
        "trades": ["price", "size", "conditions"],
    }[view]
    cursor = conn.execute(f"select * from market.{view}")
    assert [c.name for c in cursor.description or []][: len(common + own)] == common + own


def test_quotes_with_finer_scale_show_the_same_decimals(conn, tmp_path):
    market.add_instrument(conn, "ABC", price_scale=6, size_scale=2)
    loader.load(conn, "lean", [archive(tmp_path, TRADES, "trade")])
    assert conn.execute("select max(price), max(size) from market.trades").fetchone() == (
        100.03,
        200.0,
    )
    assert one(conn, "select max(price) from market._trades") == 100_030_000


# Batches


def test_write_batch_takes_what_is_after_from_up_to_as_of(ticks):
    session = replay(ticks)
    batch = market.write_batch(ticks, session, OPEN, OPEN + MS)
    assert ticks.execute(
        "select batch_no, quote_count, trade_count from market.batches where batch_id = %s",
        (batch,),
    ).fetchone() == (1, 2, 0)
    assert ticks.execute(
        "select first_seq, last_seq from market.batch_ranges where batch_id = %s", (batch,)
    ).fetchall() == [(2, 3)]


def test_write_batch_numbers_without_gaps_and_skips_empty_spans(ticks):
    session = replay(ticks)
    edges = [OPEN - MS, OPEN, OPEN + MS, OPEN + 30_000 * MS, OPEN + 120_000 * MS]
    batches = [market.write_batch(ticks, session, a, b) for a, b in itertools.pairwise(edges)]
    assert batches[2] is None
    assert ticks.execute(
        "select batch_no, quote_count, trade_count from market.batches order by batch_no"
    ).fetchall() == [(1, 2, 2), (2, 2, 0), (3, 1, 2)]


def test_write_batch_keeps_the_last_usable_quote(ticks):
    session = replay(ticks)
    market.write_batch(ticks, session, OPEN - MS, OPEN + MS)
    expected = (1, OPEN + MS, 3, 1_000_000, 1_000_200)
    columns = "batch_no, ts, seq, bid_price, ask_price"
    assert ticks.execute(f"select {columns} from market.batch_quotes").fetchall() == [expected]
    assert ticks.execute(f"select {columns} from market.latest_quotes").fetchall() == [expected]
    assert ticks.execute(
        "select symbol, bid_price, ask_price, mid from market.latest where session_id = %s",
        (session,),
    ).fetchall() == [("ABC", 100.0, 100.02, 100.01)]


def test_write_batch_crossed_or_one_sided_quotes_are_no_news(conn, tmp_path):
    rows = (
        "34200000,1000000,200,0,0,P,1,0\n"
        "34200001,0,0,1000100,200,P,1,0\n"
        "34200002,1000200,200,0,0,P,1,0\n"
    )
    loader.load(conn, "lean", [archive(tmp_path, rows)])
    session = replay(conn)
    market.write_batch(conn, session, OPEN - MS, OPEN)
    assert one(conn, "select count(*) from market.batch_quotes") == 0
    market.write_batch(conn, session, OPEN, OPEN + MS)
    market.write_batch(conn, session, OPEN + MS, OPEN + 2 * MS)
    assert conn.execute("select batch_no, seq from market.batch_quotes").fetchall() == [(2, 1)]
    assert conn.execute("select batch_no, seq from market.latest_quotes").fetchall() == [(2, 1)]


def test_write_batch_sees_no_other_feed(ticks, tmp_path):
    loader.load(ticks, "lean", [archive(tmp_path / "other", QUOTES)], feed="other")
    session = replay(ticks, "other")
    batch = market.write_batch(ticks, session, OPEN - MS, OPEN + timedelta(minutes=2))
    assert ticks.execute(
        "select quote_count, trade_count from market.batches where batch_id = %s", (batch,)
    ).fetchone() == (5, 0)


def test_write_batch_that_overlaps_the_last_one_raises_tt001(ticks):
    session = replay(ticks)
    market.write_batch(ticks, session, OPEN - MS, OPEN + MS)
    with pytest.raises(psycopg.Error, match="overlaps") as caught:
        ticks.execute("select market.write_batch(%s, %s, %s)", (session, OPEN, OPEN + 2 * MS))
    assert caught.value.sqlstate == "TT001"


def test_write_batch_of_a_closed_or_unknown_session_is_refused(ticks):
    session = replay(ticks)
    ticks.execute("select ops.close_session(%s)", (session,))
    for session_id, state in ((session, "TT001"), (uuid.uuid4(), "TT002")):
        with pytest.raises(psycopg.Error) as caught:
            ticks.execute("select market.write_batch(%s, %s, %s)", (session_id, OPEN, OPEN + MS))
        assert caught.value.sqlstate == state


def test_write_batch_two_writers_of_a_session_queue_up(ticks, connect_as):
    session = replay(ticks)
    first, second = connect_as("worker_replay", autocommit=False), connect_as("worker_replay")
    market.write_batch(first, session, OPEN - MS, OPEN)
    blocked: list[Any] = []

    def write() -> None:
        blocked.append(market.write_batch(second, session, OPEN, OPEN + MS))

    thread = threading.Thread(target=write)
    thread.start()
    pid = second.info.backend_pid
    while not one(ticks, "select cardinality(pg_blocking_pids(%s)) > 0", pid):
        assert thread.is_alive()
    assert blocked == []
    first.commit()
    thread.join()
    assert ticks.execute(
        "select array_agg(batch_no order by batch_no) from market.batches"
    ).fetchone() == ([1, 2],)


def test_write_batch_wakes_listeners_once_at_commit(ticks, connect_as):
    listener = connect_as("worker_replay")
    listener.execute("listen market_batches")
    session = replay(ticks)
    with ticks.transaction():
        market.write_batch(ticks, session, OPEN - MS, OPEN)
        market.write_batch(ticks, session, OPEN, OPEN + MS)
    assert [n.payload for n in listener.notifies(timeout=5, stop_after=1)] == [""]
    assert list(listener.notifies(timeout=0)) == []


def test_next_tick_ts_is_the_first_after(ticks):
    session = replay(ticks)
    assert market.next_tick_ts(ticks, session, OPEN - MS) == OPEN
    assert market.next_tick_ts(ticks, session, OPEN + MS) == OPEN + 59_999 * MS
    assert market.next_tick_ts(ticks, session, OPEN + 61_000 * MS) is None


def test_next_tick_ts_stops_at_the_end_of_the_session(ticks):
    session = one(
        ticks, "select ops.open_session('replay', 'x', 'lean', %s, %s)", OPEN - MS, OPEN + 5 * MS
    )
    assert market.next_tick_ts(ticks, session, OPEN + MS) is None


def test_batch_ticks_come_in_the_total_order_with_decimals(ticks):
    session = replay(ticks)
    batch = market.write_batch(ticks, session, OPEN - MS, OPEN)
    assert ticks.execute(
        "select kind, seq, bid_price, ask_price, price, size from market.batch_ticks(%s)", (batch,)
    ).fetchall() == [
        ("quote", 0, None, 100.02, None, None),
        ("quote", 1, 100.0, 100.02, None, None),
        ("trade", 0, None, None, 100.01, 100.0),
        ("trade", 1, None, None, 100.02, 50.0),
    ]


@pytest.mark.parametrize(
    "change",
    [
        "update market._quotes set bid_price = bid_price + 1 where seq = 1",
        "update market._quotes set ask_size = 1 where seq = 1",
        "update market._quotes set flags = 4 where seq = 1",
        "update market._quotes set conditions = 'R' where seq = 1",
        "update market._quotes set ts = ts + interval '1 microsecond' where seq = 1",
        "update market._trades set price = price + 1 where seq = 0",
        "delete from market._trades where seq = 0",
        "delete from market._quotes where seq = 0",
        "insert into market._quotes select * from market._quotes where seq = 1",
    ],
)
def test_batch_digest_any_change_of_a_tick_shows(ticks, change):
    session = replay(ticks)
    batch = market.write_batch(ticks, session, OPEN - MS, OPEN)
    assert batch is not None
    recorded = one(ticks, "select digest from market.batches where batch_id = %s", batch)
    assert market.batch_digest(ticks, batch) == recorded
    ticks.execute(change)
    assert market.batch_digest(ticks, batch) != recorded


def test_batch_digest_two_replays_of_the_same_span_agree(ticks):
    for _ in range(2):
        market.write_batch(ticks, replay(ticks), OPEN - MS, OPEN + MS)
    assert one(ticks, "select count(distinct digest) from market.batches") == 1


# Rights


def test_worker_writes_batches_and_only_through_the_function(ticks, connect_as):
    worker = connect_as("worker_replay")
    session = replay(ticks)
    assert market.write_batch(worker, session, OPEN - MS, OPEN) is not None
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        worker.execute("update market.batches set digest = 0")


@pytest.mark.parametrize("role", ["quant", "readonly"])
def test_reader_reads_views_and_writes_nothing(ticks, connect_as, role):
    reader = connect_as(role)
    assert one(reader, "select count(*) from market.quotes") == 5
    assert len(reader.execute("select * from market.bars_1m").fetchall()) == 2
    batch = market.write_batch(ticks, replay(ticks), OPEN - MS, OPEN)
    assert batch is not None
    assert market.batch_digest(reader, batch) == market.batch_digest(ticks, batch)
    assert len(reader.execute("select * from market.batch_ticks(%s)", (batch,)).fetchall()) == 4
    for statement in (
        f"select market.write_batch('{uuid.uuid4()}', now(), now())",
        "select market.refresh_rollups()",
        "delete from market._quotes",
        "insert into market.quarantine (feed_id, source, position, reason, raw)"
        " values (1, '', 0, '', '')",
    ):
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            reader.execute(statement)
