"""Blocks of many instruments and kinds, gaps and corrections, as the store writes them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from tsdb_trader.api.market import PartAdvance
from tsdb_trader.errors import ConflictError, InputError, UnknownObjectError
from tsdb_trader.feeds import base
from tsdb_trader.feeds.base import NULL, Block, Definition, Gap, Message, Rejected, Text, Ticks
from tsdb_trader.feeds.store import SourceWriter, build

SECOND = 1_000_000


def texts(*values: str) -> Text:
    known = sorted(set(values))
    return Text(known, np.array([known.index(v) for v in values], dtype=np.int32))


def integers(*values: int) -> base.Integers:
    return np.array(values, dtype=np.int64)


def trades(rows: list[tuple[int, str, int, int]], *, first_id: int = 100) -> Ticks:
    """(seq, symbol, price, size) of one second each."""
    seq = integers(*(row[0] for row in rows))
    count = len(rows)
    return Ticks(
        "trades",
        seq * SECOND,
        seq,
        {
            "price": integers(*(row[2] for row in rows)),
            "size": integers(*(row[3] for row in rows)),
            "trade_id": seq + first_id,
        },
        np.zeros(count, dtype=np.int16),
        {"exchange": base.constant("Q", count), "conditions": base.constant("", count)},
        texts(*(row[1] for row in rows)),
        ns=np.arange(count, dtype=np.int16),
        recv_ts=seq * SECOND + 7,
    )


def writer(conn, **changes) -> SourceWriter:
    return SourceWriter(
        conn,
        **{"feed": "f", "file_format": "test", "sha256": "stream", "content": "c", "name": "n"}
        | changes,
    )


def one(conn, statement: str, *values: object) -> tuple:
    row = conn.execute(statement, values).fetchone()
    assert row is not None
    return row


def mixed() -> Block:
    """Six rows: three trades of two symbols, a book event that is a trade as well, two others."""
    events = Ticks(
        "book_events",
        integers(3 * SECOND),
        integers(3),
        {"price": integers(NULL), "size": integers(5), "order_id": integers(77)},
        np.zeros(1, dtype=np.int16),
        {"action": texts("execute"), "side": texts("bid")},
        texts("AAA"),
    )
    status = Message(
        "statuses",
        4 * SECOND,
        4,
        {"kind": "system_event", "code": "Q", "detail": {"market": "Nasdaq"}},
    )
    rows = [(0, "AAA", 10_000, 1), (1, "BBB", 20_000, 2), (2, "AAA", 10_100, 3), (3, "AAA", 1, 5)]
    return Block(0, 6, [trades(rows), events], [status], [Rejected(5, "unknown_type", "hex:00")])


def test_write_many_kinds_and_instruments_gives_each_a_part(conn):
    source = writer(conn)
    counts = source.write(build(mixed()))
    assert (counts.read, counts.stored, counts.quarantined) == (6, 5, 1)
    assert source.stored_by_kind == {"trades": 4, "book_events": 1, "statuses": 1}
    assert one(
        conn,
        "select rows_read, rows_stored, rows_quarantined, next_row, kind "
        "from market.sources where parent_id is null",
    ) == (6, 5, 1, 6, "many")
    assert conn.execute(
        """select i.symbol, p.kind, p.rows_stored from market.sources p
           left join ref.instruments i using (instrument_id)
           where p.parent_id = %s order by 1, 2""",
        (source.source.source_id,),
    ).fetchall() == [
        ("AAA", "book_events", 1),
        ("AAA", "trades", 3),
        ("BBB", "trades", 1),
        (None, "statuses", 1),
    ]
    assert conn.execute(
        """select i.symbol, t.seq, t.price, t.trade_id, t.ns, t.recv_ts - t.ts = '7 us'::interval,
                  s.kind
           from market._trades t join ref.instruments i using (instrument_id)
           join market.sources s on s.source_id = t.source_id and s.instrument_id = t.instrument_id
           order by t.seq"""
    ).fetchall() == [
        ("AAA", 0, 10_000, 100, 0, True, "trades"),
        ("BBB", 1, 20_000, 101, 1, True, "trades"),
        ("AAA", 2, 10_100, 102, 2, True, "trades"),
        ("AAA", 3, 1, 103, 3, True, "trades"),
    ]
    assert one(conn, "select price, size, order_id, action, side from market._book_events") == (
        None,
        5,
        77,
        "execute",
        "bid",
    )
    assert one(conn, "select kind, code, detail, instrument_id from market.statuses") == (
        "system_event",
        "Q",
        {"market": "Nasdaq"},
        None,
    )


def test_write_by_a_new_writer_goes_on_where_the_last_one_stood(conn):
    writer(conn).write(build(mixed()))
    second = writer(conn)
    assert second.source.next_row == 6
    second.write(build(Block(6, 7, [trades([(6, "BBB", 5, 5)])])))
    assert one(conn, "select count(*), count(distinct source_id) from market._trades") == (5, 2)
    with pytest.raises(ConflictError, match="does not stand at row 6"):
        second.write(build(Block(6, 7, [trades([(6, "BBB", 5, 5)])])))
    assert one(conn, "select count(*) from market._trades") == (5,)


def test_write_that_fails_leaves_nothing_and_may_be_tried_again(conn):
    source = writer(conn)

    def fail(advances: Sequence[PartAdvance]) -> None:
        assert len(advances) == 4
        raise OSError("gone")

    with pytest.raises(OSError, match="gone"):
        source.write(build(mixed()), then=fail)
    assert one(conn, "select count(*) from ref.instruments") == (0,)
    assert source.stored_by_kind == {}
    source.write(build(mixed()))
    assert one(conn, "select count(*) from market._trades") == (4,)


def test_write_row_in_no_place_is_refused(conn):
    block = mixed()
    for wrong in (
        Block(0, 7, block.ticks, block.messages, block.rejected),
        Block(0, 6, block.ticks, block.messages),
        Block(0, 6, block.ticks, block.messages, block.rejected, missing=1),
    ):
        with pytest.raises(AssertionError, match="stored"):
            build(wrong)


def test_write_gap_filled_in_part_is_split(conn):
    source = writer(conn, first_row=1)
    source.write(build(Block(1, 2, [trades([(1, "AAA", 1, 1)])], gaps=[Gap(2, 9)], duplicates=2)))
    source.write(
        build(
            Block(
                2, 10, [trades([(4, "AAA", 1, 1), (5, "AAA", 1, 1)])], missing=6, filled=[Gap(4, 5)]
            )
        )
    )
    assert conn.execute(
        """select first_missing, last_missing, filled_at is not null from market.gaps
           order by first_missing"""
    ).fetchall() == [(2, 3, False), (4, 5, True), (6, 9, False)]
    assert one(
        conn,
        "select rows_read, rows_stored, rows_missing, rows_duplicate, next_row "
        "from market.sources where parent_id is null",
    ) == (3, 3, 6, 2, 10)


def test_write_correction_takes_the_trade_out(conn):
    source = writer(conn)
    source.write(build(mixed()))
    later = Message("statuses", 9 * SECOND, 6, {"kind": "broken_trade", "code": "B", "detail": {}})
    source.write(build(Block(6, 7, messages=[later], corrections=[("AAA", 102), ("AAA", 999)])))
    assert conn.execute("select trade_id from market._trades where flags & 128 > 0").fetchall() == [
        (102,)
    ]


def test_write_scales_every_instrument_on_its_own(conn):
    conn.execute("select ref.add_instrument('BBB', p_price_scale => 6, p_size_scale => 2)")
    writer(conn).write(build(mixed()))
    assert conn.execute(
        """select i.symbol, t.price, t.size, v.price, v.size
           from market._trades t join market.trades v using (source_id, seq)
           join ref.instruments i on i.instrument_id = t.instrument_id order by t.seq limit 2"""
    ).fetchall() == [("AAA", 10_000, 1, 1.0, 1.0), ("BBB", 2_000_000, 200, 2.0, 2.0)]


def test_write_number_too_large_for_its_instrument_is_an_error(conn):
    conn.execute("select ref.add_instrument('AAA', p_price_scale => 8)")
    huge = Block(0, 1, [trades([(0, "AAA", 10**15, 1)])])
    with pytest.raises(InputError, match="price is too large"):
        writer(conn).write(build(huge))
    assert one(conn, "select count(*) from market._trades") == (0,)


def test_write_instrument_with_too_few_decimals_is_an_error(conn):
    conn.execute("select ref.add_instrument('BBB', p_price_scale => 2)")
    with pytest.raises(InputError, match="BBB keeps 2"):
        writer(conn).write(build(mixed()))
    assert one(conn, "select count(*) from market._trades") == (0,)


def test_write_new_instruments_take_the_files_definition(conn):
    writer(conn, definition=Definition("fx", "EUR", 5, 3)).write(build(mixed()))
    assert one(
        conn, "select distinct kind, currency, price_scale, size_scale from ref.instruments"
    ) == ("fx", "EUR", 5, 3)


def test_write_unknown_symbol_is_refused_where_only_known_ones_are_wanted(conn):
    conn.execute("select ref.add_instrument('AAA')")
    with pytest.raises(UnknownObjectError, match="BBB"):
        writer(conn, known_only=True).write(build(mixed()))
