"""Lean archives: names, containers, and rows from bytes to ticks."""

from __future__ import annotations

import io
import zipfile
from datetime import UTC, date, datetime, timedelta
from itertools import combinations, pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from feed_blocks import joined, rows
from lean_files import QUOTES, TRADES, archive
from tsdb_trader.errors import InputError
from tsdb_trader.feeds import base, csv_rows, duplicates, lean_decode
from tsdb_trader.feeds.base import (
    ASK_SET,
    BID_SET,
    DUPLICATE,
    EPOCH,
    NULL,
    REASONS,
    Block,
    Kind,
    Rules,
)
from tsdb_trader.feeds.duplicates import Duplicates
from tsdb_trader.feeds.lean import LeanFormat
from tsdb_trader.feeds.order import InOrder, keep_in_order

DAY = date(2013, 10, 7)


def decode(text: str | bytes, kind: Kind, day: date = DAY) -> Block:
    content = text.encode() if isinstance(text, str) else text
    return joined(lean_decode.decode("file", io.BytesIO(content), kind, day, Rules()))


def quotes(text: str | bytes, day: date = DAY) -> Block:
    return decode(text, "quotes", day)


def trades(text: str | bytes) -> Block:
    return decode(text, "trades")


def load_file(path: Path) -> Block:
    reader = LeanFormat()
    [file] = reader.discover([path])
    with reader.open(file) as content:
        return joined(reader.decode(file, content, Rules()))


def reasons(block: Block) -> list[tuple[int, str]]:
    assert {r.reason for r in block.rejected} <= set(REASONS)
    return [(r.position, r.reason) for r in block.rejected]


def instants(block: Block) -> list[datetime]:
    return [EPOCH + timedelta(microseconds=int(us)) for us in block.ticks[0].ts]


# Names and containers


def test_discover_folder_finds_archives_of_all_symbols(tmp_path):
    archive(tmp_path, QUOTES)
    archive(tmp_path / "deep", TRADES, "trade", "xyz")
    (tmp_path / "readme.zip").write_bytes(b"ignored")
    found = LeanFormat().discover([tmp_path, tmp_path / "abc"])
    assert [(f.content, f.kind, f.symbol) for f in found] == [
        ("ABC/2013-10-07/quotes", "quotes", "ABC"),
        ("XYZ/2013-10-07/trades", "trades", "XYZ"),
    ]


def test_discover_folder_without_archives_is_an_error(tmp_path):
    with pytest.raises(InputError, match="no lean files"):
        LeanFormat().discover([tmp_path])


def test_discover_missing_path_is_an_error(tmp_path):
    with pytest.raises(InputError, match="no such file"):
        LeanFormat().discover([tmp_path / "nowhere"])


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("abc/20131007_quote.csv", "not a lean file name"),
        ("abc/20131307_quote.zip", "no date"),
        ("a b/20131007_quote.zip", "cannot be a ticker"),
    ],
)
def test_discover_wrong_name_is_an_error(tmp_path, name, message):
    path = tmp_path / name
    path.parent.mkdir()
    path.write_bytes(b"")
    with pytest.raises(InputError, match=message):
        LeanFormat().discover([path])


@pytest.mark.parametrize(
    "member",
    [
        "20131008_abc_Quote_Tick.csv",
        "20131007_xyz_Quote_Tick.csv",
        "20131007_abc_Trade_Tick.csv",
        "20131007_abc_hour_quote.csv",
        "ticks.txt",
    ],
)
def test_discover_member_that_disagrees_is_an_error(tmp_path, member):
    path = archive(tmp_path, QUOTES, member=member)
    with pytest.raises(InputError, match=str(path)):
        LeanFormat().discover([path])


def test_discover_no_zip_is_an_error(tmp_path):
    path = archive(tmp_path, QUOTES)
    path.write_text("34200000,0,0")
    with pytest.raises(InputError, match="not a zip file"):
        LeanFormat().discover([path])


@pytest.mark.parametrize("members", [0, 2])
def test_discover_not_one_member_is_an_error(tmp_path, members):
    path = archive(tmp_path, QUOTES)
    with zipfile.ZipFile(path, "w") as packed:
        for i in range(members):
            packed.writestr(f"{i}.csv", QUOTES)
    with pytest.raises(InputError, match="expected one CSV"):
        LeanFormat().discover([path])


def test_discover_truncated_zip_is_an_error(tmp_path):
    path = archive(tmp_path, QUOTES * 100)
    path.write_bytes(path.read_bytes()[:-40])
    with pytest.raises(InputError, match="truncated"):
        LeanFormat().discover([path])


def test_read_flipped_byte_is_an_error(tmp_path):
    path = archive(tmp_path, QUOTES * 100)
    content = bytearray(path.read_bytes())
    content[70] ^= 0xFF
    path.write_bytes(content)
    with pytest.raises(InputError, match="damaged"):
        load_file(path)


@pytest.mark.parametrize("text", ["", "\n\n"])
def test_read_empty_member_is_an_error(tmp_path, text):
    with pytest.raises(InputError, match="empty"):
        load_file(archive(tmp_path, text))


@pytest.mark.parametrize("text", ["1,2,3\n" * 5, "a,b,c,d,e,f,g,h\n" * 5, "\x00\x01\x02"])
def test_decode_other_schema_is_an_error(text):
    with pytest.raises(InputError, match="not a lean quote tick file"):
        quotes(text)


def test_decode_trades_as_quotes_is_an_error():
    with pytest.raises(InputError, match="not a lean quote tick file"):
        quotes(TRADES)


# Rows


def test_decode_one_sided_rows_carries_the_other_side_forward():
    ticks = quotes(QUOTES).ticks[0]
    assert ticks.numbers["bid_price"].tolist() == [NULL, 1000000, 1000000, 1000000, 1000000]
    assert ticks.numbers["bid_size"].tolist() == [NULL, 200, 200, 200, 200]
    assert ticks.numbers["ask_price"].tolist() == [1000200] * 4 + [1000100]
    assert ticks.numbers["ask_size"].tolist() == [300] * 4 + [400]
    assert ticks.flags.tolist() == [ASK_SET, BID_SET, BID_SET, BID_SET | DUPLICATE, ASK_SET]


def test_decode_duplicate_rows_are_all_kept():
    assert quotes(QUOTES).ticks[0].seq.tolist() == [0, 1, 2, 3, 4]


def test_decode_last_line_without_newline_is_a_row():
    assert quotes(QUOTES.rstrip("\n")).stop == quotes(QUOTES).stop == 5


def test_decode_blank_last_line_is_no_row():
    assert quotes(QUOTES + "\n").stop == 5


def test_decode_carriage_returns_change_nothing():
    decoded = quotes(QUOTES.replace("\n", "\r\n"))
    assert decoded.rejected == []
    assert decoded.ticks[0].numbers["bid_price"].tolist() == (
        quotes(QUOTES).ticks[0].numbers["bid_price"].tolist()
    )


def test_decode_trades_keep_exchange_conditions_and_flag():
    ticks = trades(TRADES).ticks[0]
    exchange, conditions = ticks.texts["exchange"], ticks.texts["conditions"]
    assert [exchange.values[c] for c in exchange.codes] == ["D", "Q", "Q", "N"]
    assert [conditions.values[c] for c in conditions.codes] == [
        "1",
        "20000020",
        "1",
        "2000",
    ]
    assert ticks.flags.tolist() == [0, 0, 4, 0]
    assert ticks.numbers["price"].tolist() == [1000100, 1000200, 1000300, 1000000]


def test_decode_summer_and_winter_use_new_yorks_offset():
    row = "34200000,1000000,200,0,0,P,1,0\n"
    assert instants(quotes(row)) == [datetime(2013, 10, 7, 13, 30, tzinfo=UTC)]
    assert instants(quotes(row, date(2013, 12, 9))) == [datetime(2013, 12, 9, 14, 30, tzinfo=UTC)]


def test_decode_day_of_clock_change_skips_the_missing_hour():
    rows = "".join(f"{hour * 3_600_000},1000000,200,0,0,P,1,0\n" for hour in (1, 2, 3))
    decoded = quotes(rows, date(2013, 3, 10))
    assert instants(decoded) == [datetime(2013, 3, 10, h, tzinfo=UTC) for h in (6, 7)]
    assert reasons(decoded) == [(1, "skipped_time")]


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ("34200001,1000000,200,0,0,P,1", "malformed"),
        ("34200001,1000000,200,0,0,P,1,0,9", "malformed"),
        ("", "malformed"),
        ("34200001,1000000,200,0,0,P,1,7", "malformed"),
        ("34200001,1000000,2\x0000,0,0,P,1,0", "malformed"),
        ("34200001,100000x,200,0,0,P,1,0", "not_a_number"),
        ("0x10,1000000,200,0,0,P,1,0", "not_a_number"),
        (",1000000,200,0,0,P,1,0", "not_a_number"),
        ("34200001,100000.5,200,0,0,P,1,0", "not_an_integer"),
        ("34200001,NaN,200,0,0,P,1,0", "nan"),
        ("34200001,inf,200,0,0,P,1,0", "nan"),
        ("34200001,99999999999999999999,200,0,0,P,1,0", "out_of_range"),
        ("34200001,9999999999999999,200,0,0,P,1,0", "out_of_range"),
        ("34200001,0,0,0,0,P,1,0", "zero_price"),
        ("34200001,0,200,0,0,P,1,0", "zero_price"),
        ("34200001,0,200,1000100,100,P,1,0", "zero_price"),
        ("34200001,1000000,0,0,0,P,1,0", "zero_size"),
        ("34200001,-1000000,200,0,0,P,1,0", "negative_price"),
        ("34200001,1000000,-200,0,0,P,1,0", "negative_size"),
        ("34200001,1010000,200,1000000,200,P,1,0", "crossed"),
        ("86400000,1000000,200,0,0,P,1,0", "time_out_of_day"),
        ("-1,1000000,200,0,0,P,1,0", "time_out_of_day"),
        ("34199999,1000000,200,0,0,P,1,0", "time_backwards"),
    ],
)
def test_decode_bad_quote_is_rejected_with_its_reason(row, reason):
    lines = QUOTES.splitlines()
    decoded = quotes("\n".join([*lines[:2], row, *lines[2:]]) + "\n")
    assert reasons(decoded) == [(2, reason)]
    assert decoded.rejected[0].raw == row.replace("\0", "\\x00")
    assert decoded.ticks[0].seq.tolist() == [0, 1, 3, 4, 5]


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ("34200001,0,200,P,1,0", "zero_price"),
        ("34200001,-5,200,P,1,0", "negative_price"),
        ("34200001,1000000,0,P,1,0", "zero_size"),
        ("34200001,1000000,-1,P,1,0", "negative_size"),
    ],
)
def test_decode_bad_trade_is_rejected_with_its_reason(row, reason):
    assert reasons(trades(TRADES + row)) == [(4, reason)]


def test_decode_row_that_is_no_text_is_rejected_alone():
    decoded = quotes(b"34200000,1000000,200,0,0,\xff,1,0\n" + QUOTES.encode())
    assert reasons(decoded) == [(0, "not_utf8")]
    assert decoded.rejected[0].raw == "34200000,1000000,200,0,0,\\xff,1,0"


def test_decode_lone_carriage_return_is_no_line_end():
    assert reasons(quotes("34200000,1000000,200,0,0,P\r,1,0\n" + QUOTES)) == [(0, "malformed")]


def test_decode_header_is_a_rejected_row():
    header = "ms,bid,bid_size,ask,ask_size,exchange,condition,suspicious\n"
    assert reasons(quotes(header + QUOTES)) == [(0, "not_a_number")]


def test_decode_rejected_row_sets_no_side():
    ticks = quotes("34200000,1000000,200,0,0,P,1,0\n34200001,9,-1,0,0,P,1,0\n" + QUOTES).ticks[0]
    assert set(ticks.numbers["bid_price"].tolist()) == {1000000}


def test_decode_sides_on_separate_rows_may_cross():
    rows = "34200000,1100000,200,0,0,P,1,0\n34200000,0,0,1000000,200,P,1,0\n"
    assert reasons(quotes(rows)) == []


@pytest.mark.parametrize("bid", [1000000, 1000200, 1002500])
def test_decode_cross_within_tolerance_is_kept(bid):
    assert reasons(quotes(f"34200000,{bid},200,1000000,200,P,1,0\n")) == []


def test_decode_one_time_far_ahead_is_the_only_row_given_up():
    rows = [f"{34200000 + i},1000000,200,0,0,P,1,0" for i in range(10)]
    rows.insert(3, "57600000,1000000,200,0,0,P,1,0")
    assert reasons(quotes("\n".join(rows))) == [(3, "time_backwards")]


@given(st.lists(st.integers(0, 6), min_size=1, max_size=9))
def test_keep_in_order_any_times_gives_up_fewest_and_latest(times):
    keep = keep_in_order(np.array(times, dtype=np.int64))
    best = next(
        chosen
        for size in range(len(times), 0, -1)
        for chosen in combinations(range(len(times)), size)
        if all(times[a] <= times[b] for a, b in pairwise(chosen))
    )
    assert tuple(np.flatnonzero(keep).tolist()) == best


# Blocks


def row(ms: int, bid: int = 1000000, ask: int = 0) -> str:
    return f"{ms},{bid},{100 if bid else 0},{ask},{100 if ask else 0},P,1,0"


@given(
    st.lists(
        st.tuples(
            st.integers(0, 2),
            st.sampled_from([(1000000, 0), (0, 1000100), (1000100, 0), (0, 0), (1, 2)]),
            # Now and then a row is late by a little, early by a lot, or no row at all.
            st.sampled_from([0] * 20 + [-5, 20_000_000, None]),
        ),
        min_size=1,
        max_size=120,
    ),
    st.integers(30, 60),
)
@settings(deadline=None)
def test_decode_any_block_size_gives_the_same_rows(steps, block_rows):
    ms, lines = 34_200_000, []
    for step, sides, shift in steps:
        ms += step
        lines.append("?" if shift is None else row(ms + shift, *sides))
    lines += [row(ms + i) for i in range(60)]
    whole = quotes("\n".join(lines))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(base, "BLOCK_ROWS", block_rows)
        parts = quotes("\n".join(lines))
    assert rows(parts.ticks[0]) == rows(whole.ticks[0])
    assert parts.rejected == whole.rejected


def test_decode_time_far_ahead_at_a_blocks_end_poisons_nothing(monkeypatch):
    monkeypatch.setattr(base, "BLOCK_ROWS", 10)
    lines = [row(34_200_000 + i) for i in range(40)]
    lines[9] = lines[19] = row(57_600_000)
    assert reasons(quotes("\n".join(lines))) == [(9, "time_backwards"), (19, "time_backwards")]


def test_decode_blank_lines_at_the_end_of_a_block_are_rows_only_if_more_follows(monkeypatch):
    monkeypatch.setattr(base, "BLOCK_ROWS", 2)
    assert reasons(quotes(row(34_200_000) + "\n\n\n" + row(34_200_001) + "\n\n\n")) == [
        (1, "malformed"),
        (2, "malformed"),
    ]


def test_line_blocks_pieces_of_any_size_give_the_same_lines(monkeypatch):
    text = b"".join(b"x" * (i % 7) + b"\r\n"[i % 2 :] for i in range(500)) + b"end\n\n"
    expected = text.replace(b"\r", b"").rstrip(b"\n")
    for piece in (1, 2, 3, 64, 10_000):
        monkeypatch.setattr(csv_rows, "_PIECE", piece)
        blocks = [lines.body for lines in csv_rows.line_blocks("f", io.BytesIO(text), 7)]
        assert b"\n".join(blocks) == expected
        assert {block.count(b"\n") for block in blocks[:-1]} == {6}


def test_line_blocks_long_lines_make_shorter_blocks_not_larger_memory(monkeypatch):
    monkeypatch.setattr(csv_rows, "_PIECE", 50)
    monkeypatch.setattr(csv_rows, "_BLOCK_BYTES", 100)
    text = b"\n".join(b"x" * 30 for _ in range(20))
    blocks = list(csv_rows.line_blocks("f", io.BytesIO(text), 1000))
    assert [len(lines) for lines in blocks] == [3, 3, 3, 3, 3, 3, 2]
    with pytest.raises(InputError, match="no CSV"):
        list(csv_rows.line_blocks("f", io.BytesIO(b"x" * 1000), 1000))


@given(
    st.lists(st.lists(st.tuples(*[st.integers(0, 2)] * 3), max_size=9), min_size=1, max_size=5),
    st.booleans(),
)
def test_duplicates_any_blocks_marks_all_but_the_first_of_equal_rows(blocks, by_symbol):
    # Time of each instrument does not run backwards: the block number leads it.
    marks, seen, expected = Duplicates(), set(), []
    found = []
    for number, block in enumerate(blocks):
        block = sorted(block) if number % 2 else sorted((0, *row[1:]) for row in block)
        ts = np.array([number // 2 * 3 + r[0] for r in block], dtype=np.int64)
        columns = [np.array([r[i] for r in block], dtype=np.int64) for i in (1, 2)]
        found += marks.mark(ts, columns[:1], columns[1] if by_symbol else None).tolist()
        for time, *rest in zip(ts.tolist(), *(c.tolist() for c in columns), strict=True):
            key = (time, *rest) if by_symbol else (time, rest[0])
            expected.append(key in seen)
            seen.add(key)
    assert found == expected


def test_duplicates_when_hashes_collide_are_found_all_the_same(monkeypatch):
    monkeypatch.setattr(duplicates, "_hashes", lambda rows: np.zeros(len(rows[0]), np.uint64))
    ts = np.zeros(5, dtype=np.int64)
    values = np.array([1, 2, 1, 3, 2])
    assert Duplicates().mark(ts, [values]).tolist() == [False, False, True, False, True]


def kept_rows(rows: list[tuple[int, int]], size: int, by_symbol: bool) -> list[bool]:
    """Judge (time, symbol) in blocks of a size; without `by_symbol` all are of one."""
    order, found = InOrder(), []
    table = np.array(rows, dtype=np.int64).reshape(-1, 2)
    for i in range(0, len(rows), size):
        now, ahead = table[i : i + size], table[i + size : i + 2 * size]
        symbols = (now[:, 1], ahead[:, 1]) if by_symbol else (None, None)
        found += order.keep(now[:, 0], ahead[:, 0], *symbols).tolist()
    return found


@given(
    st.lists(st.tuples(st.integers(0, 9), st.integers(0, 2)), max_size=40),
    st.integers(1, 10),
)
def test_in_order_any_instruments_and_blocks_never_runs_backwards(rows, size):
    last: dict[int, int] = {}
    for (time, symbol), kept in zip(rows, kept_rows(rows, size, True), strict=True):
        if kept:
            assert time >= last.get(symbol, time)
            last[symbol] = time


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 2)), max_size=40))
def test_in_order_many_instruments_are_judged_each_alone(rows):
    together = kept_rows(rows, 100, True)
    for symbol in range(3):
        alone = [row for row in rows if row[1] == symbol]
        mine = [kept for row, kept in zip(rows, together, strict=True) if row[1] == symbol]
        assert kept_rows(alone, 100, False) == mine


# Recorded data: the catalog's own figures


@pytest.mark.needs_data
@pytest.mark.slow
@pytest.mark.parametrize(
    ("symbol", "rows", "regular", "crossed", "locked"),
    [
        ("aig", 1_079_935, 1_079_366, 199, 27_766),
        ("bac", 476_855, 472_252, 0, 8_472),
        ("ibm", 109_067, 107_998, 86, 648),
    ],
)
def test_decode_recorded_quotes_match_the_published_counts(
    data_folder: Path, symbol, rows, regular, crossed, locked
):
    decoded = load_file(data_folder / f"us_equity_ticks/{symbol}/20131007_quote.zip")
    assert (decoded.stop, decoded.rejected) == (rows, [])
    midnight = (datetime(2013, 10, 7, 4, tzinfo=UTC) - EPOCH) // timedelta(milliseconds=1)
    ms = decoded.ticks[0].ts // 1000 - midnight
    hours = (ms >= 34_200_000) & (ms < 57_600_000)
    bid, ask = (decoded.ticks[0].numbers[f"{side}_price"][hours] for side in ("bid", "ask"))
    assert len(bid) == regular
    assert int(((bid > ask) & (ask > 0)).sum()) == crossed
    assert int((bid == ask).sum()) == locked


@pytest.mark.needs_data
def test_decode_recorded_quotes_keep_exact_duplicates(data_folder: Path):
    path = data_folder / "us_equity_ticks/aig/20131007_quote.zip"
    with zipfile.ZipFile(path) as packed:
        lines = packed.read(packed.namelist()[0]).splitlines()
    assert len(lines) - len(set(lines)) == 307_319
    ticks = load_file(path).ticks[0]
    assert len(ticks) == len(lines)
    first = np.unique(np.array(lines), return_index=True)[1]
    repeated = np.ones(len(lines), dtype=bool)
    repeated[first] = False
    assert ((ticks.flags & DUPLICATE != 0) == repeated).all()
