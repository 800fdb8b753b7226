"""Formats csv and parquet, taq and daily: from bytes to blocks, with whatever is in them."""

from __future__ import annotations

import csv
import gzip
import io
import json
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from feed_blocks import joined, rows
from tsdb_trader.errors import InputError
from tsdb_trader.feeds import base
from tsdb_trader.feeds.base import (
    CANCELLED,
    DUPLICATE,
    EPOCH,
    NULL,
    REASONS,
    SUSPICIOUS,
    Block,
    Options,
    Rules,
)
from tsdb_trader.feeds.csv_format import CsvFormat, decode_text
from tsdb_trader.feeds.daily import DailyFormat
from tsdb_trader.feeds.lean import LeanFormat
from tsdb_trader.feeds.mapping import Mapping
from tsdb_trader.feeds.mapping_file import read_mapping
from tsdb_trader.feeds.parquet_format import ParquetFormat
from tsdb_trader.feeds.taq import TaqFormat

TRADES = """\
kind = "trades"
symbol = "s"
time = { column = "t", format = "ms" }
[columns]
price = "p"
size = "q"
exchange = "x"
"""
HEADER = "t,s,p,q,x\n"
ROWS = "1000,ABC,1.5,10,N\n1001,XYZ,2.25,20,N\n1001,ABC,1.5,10,N\n1001,ABC,1.5,10,N\n"


def decode(folder: Path, content: str | bytes, mapping: str = TRADES, name: str = "f.csv") -> Block:
    (folder / "m.toml").write_text(mapping)
    path = folder / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return decode_file(CsvFormat(Options(mapping=folder / "m.toml")), path)


def decode_file(reader: base.Format, path: Path) -> Block:
    [file] = reader.discover([path])
    with reader.open(file) as content:
        return joined(reader.decode(file, content, Rules()))


def reasons(block: Block) -> list[tuple[int, str]]:
    assert {r.reason for r in block.rejected} <= set(REASONS)
    return [(r.position, r.reason) for r in block.rejected]


# CSV


def test_csv_rows_become_ticks_of_their_symbols(tmp_path):
    block = decode(tmp_path, HEADER + ROWS)
    [ticks] = block.ticks
    assert [ticks.symbols.values[c] for c in ticks.symbols.codes] == ["ABC", "XYZ", "ABC", "ABC"]
    assert ticks.numbers["price"].tolist() == [15000, 22500, 15000, 15000]
    assert ticks.flags.tolist() == [0, 0, 0, DUPLICATE]
    assert ticks.ts.tolist()[0] == (datetime(1970, 1, 1, 0, 0, 1, tzinfo=UTC) - EPOCH) // timedelta(
        microseconds=1
    )


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ("1002,ABC,1.5,10", "malformed"),
        ("1002,ABC,1.5,10,N,", "malformed"),
        ("", "missing_value"),
        ('1002,ABC,1.5,10,"N', "malformed"),
        ("1002,ABC,1.5,10,N\0", "malformed"),
        ("1002,A\rBC,1.5,10,N", "malformed"),
        (b"1002,ABC,1.5,10,\xff", "not_utf8"),
        ("1002,abc,1.5,10,N", "bad_symbol"),
        ("1002,,1.5,10,N", "bad_symbol"),
        ("1002,ABC,1.23456,10,N", "too_precise"),
        ("1002,ABC,1.5,10.5,N", "too_precise"),
        ("1002,ABC,1e15,10,N", "out_of_range"),
        ("1002,ABC,one,10,N", "not_a_number"),
        ("1002,ABC,inf,10,N", "nan"),
        ("1002,ABC,,10,N", "missing_value"),
        ("1002,ABC,1.5,NA,N", "missing_value"),
        (",ABC,1.5,10,N", "missing_value"),
        ("1002,ABC,0,10,N", "zero_price"),
        ("1002,ABC,-1,10,N", "negative_price"),
        ("1002,ABC,1,0,N", "zero_size"),
        ("1002,ABC,1,-3,N", "negative_size"),
        ("-1,ABC,1,1,N", "absurd_time"),
        ("99999999999999,ABC,1,1,N", "absurd_time"),
        ("noon,ABC,1,1,N", "not_a_number"),
        ("900,ABC,1,1,N", "time_backwards"),
        (f"1002,ABC,1,1,{'x' * 4096}", "too_long"),
    ],
)
def test_csv_bad_row_is_rejected_alone_with_its_reason_and_text(tmp_path, row, reason):
    raw = row if isinstance(row, bytes) else row.encode()
    lines = ROWS.encode().splitlines()
    content = b"\n".join([HEADER.strip().encode(), *lines[:3], raw, *lines[3:], b""])
    block = decode(tmp_path, content)
    assert reasons(block) == [(3, reason)]
    assert block.rejected[0].raw == base.as_text(raw)
    assert block.ticks[0].seq.tolist() == [0, 1, 2, 4]


def test_csv_times_are_in_order_by_symbol_and_not_at_all_if_so_said(tmp_path):
    content = HEADER + "2000,ABC,1,1,N\n1000,XYZ,1,1,N\n1500,ABC,1,1,N\n2500,ABC,1,1,N\n"
    assert reasons(decode(tmp_path, content)) == [(2, "time_backwards")]
    free = TRADES.replace("[columns]", 'order = "any"\n[columns]')
    assert reasons(decode(tmp_path, content, free)) == []


def test_csv_quotes_of_one_side_cross_and_zero(tmp_path):
    mapping = """
kind = "quotes"
symbol = { constant = "EURUSD" }
time = "t"
suspicious = { column = "f", texts = ["bad"] }
[instrument]
kind = "fx"
price_scale = 5
[columns]
bid_price = "b"
ask_price = "a"
bid_size = "n"
"""
    block = decode(
        tmp_path,
        "t,b,a,n,f\n"
        "2014-05-01 00:00:01,1.38727,1.38729,1,\n"
        "2014-05-01 00:00:01.5,1.38730,,2,bad\n"
        "2014-05-01 00:00:02,,1.38729,,\n"
        "2014-05-01 00:00:03,1.38731,1.38729,1,\n"
        "2014-05-01 00:00:04,1.5,1.38729,1,\n"
        "2014-05-01 00:00:05,,,,\n"
        "2014-05-01 00:00:06,,1.38729,5,\n"
        "2014-05-01 00:00:07,0,1.38729,0,\n",
        mapping,
    )
    [ticks] = block.ticks
    assert ticks.symbols is None
    assert ticks.numbers["bid_price"].tolist() == [138727, 138730, NULL, 138731]
    assert ticks.numbers["ask_price"].tolist() == [138729, NULL, 138729, 138729]
    assert ticks.flags.tolist() == [3, 1 | SUSPICIOUS, 2, 3]
    assert reasons(block) == [
        (4, "crossed"),
        (5, "missing_value"),
        (6, "zero_price"),
        (7, "zero_price"),
    ]


def test_csv_book_events_and_series_keep_what_they_say(tmp_path):
    book = """
kind = "book_events"
symbol = { constant = "ABC" }
time = { column = "t", format = "ns" }
[columns]
action = { column = "a", values = { A = "add", D = "delete" } }
side = { column = "s", values = { B = "bid", S = "ask" } }
order_id = "id"
price = "p"
size = "q"
"""
    block = decode(
        tmp_path,
        "t,a,s,id,p,q\n1001,A,B,9007199254740993,1.5,3\n1002,D,B,7,,\n1003,?,B,7,,\n",
        book,
    )
    [ticks] = block.ticks
    assert ticks.numbers["order_id"].tolist() == [9007199254740993, 7]
    assert (ticks.ns.tolist(), ticks.numbers["price"].tolist()) == ([1, 2], [15000, NULL])
    assert reasons(block) == [(2, "malformed")]
    series = """
kind = "series"
time = "month"
recv_time = "published"
symbol = "s"
[columns]
series = { constant = "cpi" }
value = "v"
unit = { constant = "%" }
"""
    block = decode(
        tmp_path,
        "month,published,v,s\n2013-01-01,2013-02-15 08:30,1.23456789012345678901234,\n"
        "2040-01-01,2013-03-15,7,ABC\n2013-03-01,2013-04-15,x,\n",
        series,
    )
    first, second = block.messages
    assert first.columns == {
        "series": "cpi",
        "value": Decimal("1.23456789012345678901234"),
        "unit": "%",
    }
    assert (first.symbol, second.symbol) == (None, "ABC")
    assert first.recv_ts - first.ts == 45 * 86_400_000_000 + 510 * 60_000_000
    assert reasons(block) == [(2, "not_a_number")]


def test_csv_delimiter_encoding_names_and_gzip_are_as_the_mapping_says(tmp_path):
    mapping = TRADES.replace(
        "[columns]",
        '[file]\ndelimiter = ";"\nencoding = "utf-16"\nnames = ["t","s","p","q","x"]\n[columns]',
    )
    content = "1000;ABC;1.5;10;é\n1001;ABC;1.5;10;\ufffd\n"
    path = tmp_path / "f.csv.gz"
    path.write_bytes(gzip.compress(content.encode("utf-16")))
    (tmp_path / "m.toml").write_text(mapping)
    block = decode_file(CsvFormat(Options(mapping=tmp_path / "m.toml")), path)
    assert block.ticks[0].texts["exchange"].values[block.ticks[0].texts["exchange"].codes[0]] == "é"
    assert reasons(block) == [(1, "not_utf8")]


def test_csv_byte_order_mark_and_carriage_returns_change_nothing(tmp_path):
    plain = decode(tmp_path, HEADER + ROWS)
    other = decode(tmp_path, b"\xef\xbb\xbf" + (HEADER + ROWS).replace("\n", "\r\n").encode())
    assert rows(plain.ticks[0]) == rows(other.ticks[0])


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "no column 't'"),
        (HEADER, "no row"),
        (HEADER + "\n\n", "no row"),
        ("a,b\n1,2\n", "no column 't'; there are a, b"),
        ("t,s,p,q,x,x\n1,2,3,4,5,6\n", "more than one column 'x'"),
        (HEADER + "1;ABC;1;1;N\n" * 3, "most rows do not have the 5 fields"),
        (HEADER + "then,ABC,1,1,N\n" * 200, "none of the first 200 rows can be used"),
        (b"\xff\xfe\x00\n1,2", "no header"),
    ],
)
def test_csv_of_another_form_is_one_error(tmp_path, content, message):
    with pytest.raises(InputError, match=message) as caught:
        decode(tmp_path, content)
    assert "f.csv" in str(caught.value)


def test_csv_truncated_gzip_is_an_error(tmp_path):
    content = gzip.compress((HEADER + ROWS * 1000).encode())[:-30]
    with pytest.raises(InputError, match="damaged"):
        decode(tmp_path, content, name="f.csv.gz")


fields = st.text(st.characters(codec="utf-8", exclude_characters="\r\n\0"), max_size=6)


@given(st.lists(st.tuples(fields, st.integers(1, 99), fields), min_size=1, max_size=8))
@settings(deadline=None)
def test_csv_fields_written_by_the_csv_module_come_back_unchanged(tmp_path_factory, table):
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["note", "t", "s", "p", "q", "x"])
    writer.writerows([note, 1000, "ABC", "1.5", size, x] for note, size, x in table)
    block = decode(tmp_path_factory.mktemp("c"), text.getvalue())
    assert block.rejected == []
    [ticks] = block.ticks
    assert ticks.numbers["size"].tolist() == [size for _, size, _ in table]
    assert [ticks.texts["exchange"].values[c] for c in ticks.texts["exchange"].codes] == [
        x for _, _, x in table
    ]


anything = st.one_of(
    st.just(b"1000,ABC,1.5,10,N\n"),
    st.builds("{},{},{},{},N\n".format, st.integers(0, 2**45), st.sampled_from(["ABC", "X", "?"]), st.floats(), st.integers(-9, 9)).map(str.encode),
    st.binary(max_size=12),
    st.sampled_from([b'"', b",", b"\n", b"\r\n", b"\0", b"\xff", b'""', b"1000,ABC,"]),
)  # fmt: skip


@pytest.fixture(scope="module")
def mapped(tmp_path_factory) -> Mapping:
    path = tmp_path_factory.mktemp("m") / "m.toml"
    path.write_text(TRADES)
    return read_mapping(path, None, None)


def check_any_bytes(mapping: Mapping, pieces: list[bytes], block_rows: int) -> None:
    content = HEADER.encode() + b"".join(pieces)

    def decoded() -> Block | None:
        file = base.DataFile(Path("f.csv"), "f")
        try:
            return joined(decode_text(file, io.BytesIO(content), mapping, Rules()))
        except InputError:
            return None

    if (whole := decoded()) is None:
        return
    reasons(whole)
    kept = content.split(b"\n", 1)[1].rstrip(b"\r\n")
    assert whole.stop == (kept.count(b"\n") + 1 if kept else 0)
    assert not any("\0" in rejected.raw for rejected in whole.rejected)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(base, "BLOCK_ROWS", block_rows)
        parts = decoded()
    assert parts is None or parts.stop == whole.stop


@given(st.lists(anything, max_size=12), st.integers(1, 5))
@settings(max_examples=300, deadline=None)
def test_csv_any_bytes_are_stored_rejected_or_refused(mapped, pieces, block_rows):
    check_any_bytes(mapped, pieces, block_rows)


@pytest.mark.long
@given(st.lists(anything, max_size=12), st.integers(1, 5))
@pytest.mark.timeout(3600)
@settings(max_examples=25_000, deadline=None)
def test_csv_any_bytes_are_stored_rejected_or_refused_long(mapped, pieces, block_rows):
    check_any_bytes(mapped, pieces, block_rows)


# Parquet


def parquet(folder: Path, table: pa.Table, mapping: str = TRADES) -> Block:
    (folder / "m.toml").write_text(mapping)
    pq.write_table(table, folder / "f.parquet", row_group_size=3)
    return decode_file(ParquetFormat(Options(mapping=folder / "m.toml")), folder / "f.parquet")


def test_parquet_same_rows_as_csv_whatever_the_types(tmp_path):
    expected = rows(decode(tmp_path, HEADER + ROWS).ticks[0])
    symbols, exchange = ["ABC", "XYZ", "ABC", "ABC"], ["N"] * 4
    stamps = [datetime(1970, 1, 1, 0, 0, 1, 1000 * i, tzinfo=UTC) for i in (0, 1, 1, 1)]
    prices = [1.5, 2.25, 1.5, 1.5]
    for t, p, q, form in (
        (pa.array([1000, 1001, 1001, 1001]), pa.array(prices), pa.array([10, 20, 10, 10], pa.int32()), "ms"),
        (pa.array(stamps, pa.timestamp("ns", "America/New_York")), pa.array(prices, pa.float32()), pa.array([10.0, 20, 10, 10]), "iso"),
        (pa.array([s.replace(tzinfo=None) for s in stamps], pa.timestamp("us")), pa.array([str(v) for v in prices]), pa.array(["10", "20", "10", "10"], pa.large_string()), "iso"),
        (pa.array([s.isoformat() for s in stamps]).dictionary_encode(), pa.array([Decimal(str(v)) for v in prices], pa.decimal128(12, 3)), pa.array([10, 20, 10, 10], pa.uint64()), "iso"),
    ):  # fmt: skip
        table = pa.table(
            {
                "t": t,
                "s": pa.array(symbols).dictionary_encode(),
                "p": p,
                "q": q,
                "x": exchange,
                "unused": [[1]] * 4,
            }
        )
        assert (
            rows(parquet(tmp_path, table, TRADES.replace('"ms"', f'"{form}"')).ticks[0]) == expected
        )


def test_parquet_bad_rows_are_rejected_with_their_values(tmp_path):
    table = pa.table(
        {
            "t": [1000, None, 1002, 1003, -5],
            "s": ["ABC"] * 5,
            "p": [0.1 + 0.2, 1.0, 1.0, float("nan"), 1.0],
            "q": [1, 1, None, 1, 1],
            "x": ["N\0", "", "", "", ""],
        }
    )
    block = parquet(tmp_path, table)
    assert reasons(block) == [
        (0, "too_precise"),
        (1, "missing_value"),
        (2, "missing_value"),
        (3, "nan"),
        (4, "absurd_time"),
    ]
    assert json.loads(block.rejected[0].raw)["p"] == 0.1 + 0.2


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"t": [1], "s": ["A"], "p": [1.0], "q": [1]}, "no column 'x'; there are t, s, p, q"),
        ({"t": [1], "s": ["A"], "p": [[1.0]], "q": [1], "x": [""]}, "'p' is of type list"),
        ({"t": [1], "s": ["A"], "p": [b"1"], "q": [1], "x": [""]}, "'p' is of type binary"),
    ],
)
def test_parquet_unusable_column_is_one_error(tmp_path, columns, message):
    with pytest.raises(InputError, match=message):
        parquet(tmp_path, pa.table(columns))


def check_damaged_parquet(folder: Path, place: float, value: int, cut: int) -> None:
    table = pa.table(
        {"t": [1000] * 9, "s": ["ABC"] * 9, "p": [1.5] * 9, "q": [1] * 9, "x": ["N"] * 9}
    )
    (folder / "m.toml").write_text(TRADES)
    path = folder / "d.parquet"
    pq.write_table(table, path, row_group_size=3)
    content = bytearray(path.read_bytes())
    content[int(place * (len(content) - 1))] ^= value
    path.write_bytes(content[: len(content) - cut])
    try:
        block = decode_file(ParquetFormat(Options(mapping=folder / "m.toml")), path)
    except InputError:
        return
    reasons(block)


@given(st.floats(0, 1), st.integers(0, 255), st.sampled_from([0, 0, 0, 1, 50, 500]))
@example(0.408787819154076, 128, 0)  # the name of a column is not text
@settings(max_examples=200, deadline=None)
def test_parquet_damaged_is_an_error_or_rows(tmp_path_factory, place, value, cut):
    check_damaged_parquet(tmp_path_factory.getbasetemp(), place, value, cut)


@pytest.mark.long
@given(st.floats(0, 1), st.integers(0, 255), st.sampled_from([0, 0, 0, 1, 50, 500]))
@pytest.mark.timeout(3600)
@settings(max_examples=5_000, deadline=None)
def test_parquet_damaged_is_an_error_or_rows_long(tmp_path_factory, place, value, cut):
    check_damaged_parquet(tmp_path_factory.getbasetemp(), place, value, cut)


# Raw TAQ, against pandas and the catalog


def test_taq_zero_price_is_no_quote_on_that_side(tmp_path):
    path = tmp_path / "q.csv"
    path.write_text(
        "DT,EX,BID,BIDSIZ,OFR,OFRSIZ,SYMBOL\n"
        "2018-01-02 09:04:13.979000092,P,156.57,1,158.85,2,XXX\n"
        "2018-01-02 09:04:14,P,0.0,0,158.85,1,XXX\n"
        "2018-01-02 09:04:15,M,0.0,0,0.0,0,XXX\n"
        "2018-01-02 09:04:16,M,0.0,3,158.0,1,XXX\n"
    )
    block = decode_file(TaqFormat(), path)
    [ticks] = block.ticks
    assert ticks.numbers["bid_price"].tolist() == [1565700, NULL, NULL]
    assert ticks.numbers["bid_size"].tolist() == [100, NULL, NULL]
    assert ticks.numbers["ask_size"].tolist() == [200, 100, NULL]
    assert (ticks.ns.tolist(), ticks.flags.tolist()) == ([92, 0, 0], [3, 2, 0])
    assert reasons(block) == [(3, "zero_price")]


def test_taq_neither_quotes_nor_trades_is_an_error(tmp_path):
    (tmp_path / "x.csv").write_text("DT,PRICE\n")
    with pytest.raises(InputError, match="neither quotes"):
        TaqFormat().discover([tmp_path])


@pytest.mark.needs_data
def test_taq_recorded_quotes_are_what_pandas_reads(data_folder):
    path = data_folder / "taq_raw/taq_quotes_raw.csv.gz"
    theirs = pd.read_csv(path, dtype={"BID": str, "OFR": str})
    block = decode_file(TaqFormat(), path)
    [ticks] = block.ticks
    assert (block.stop, block.rejected) == (131_401, [])
    stamps = pd.to_datetime(theirs.DT).astype("int64").to_numpy()
    unix = (EPOCH - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)
    assert ((ticks.ts + unix) * 1000 + ticks.ns == stamps).all()
    numbers = ticks.numbers
    for side, price, size in (("bid", "BID", "BIDSIZ"), ("ask", "OFR", "OFRSIZ")):
        exact = np.array([int(Decimal(v) * 10_000) for v in theirs[price]])
        assert (np.where(exact == 0, NULL, exact) == numbers[f"{side}_price"]).all()
        lots = theirs[size].to_numpy() * 100
        assert (np.where(exact == 0, NULL, lots) == numbers[f"{side}_size"]).all()
    bid, ask = numbers["bid_price"], numbers["ask_price"]
    both = (bid != NULL) & (ask != NULL)
    assert int((bid == NULL).sum()) == 52
    assert int((ask == NULL).sum()) == 79
    # The catalog's crossed quotes are bids without an offer, with 0 taken for a price.
    assert int(((bid != NULL) & (ask == NULL)).sum()) == 44
    assert int((both & (bid > ask)).sum()) == 0
    # As are 17 of its 6,163 spreads over $5.
    assert int((both & (ask - bid > 50_000)).sum()) == 6_163 - 17
    assert int(((bid == NULL) & (ask != NULL)).sum()) == 17
    assert int((ticks.flags & DUPLICATE != 0).sum()) == 10_514


@pytest.mark.needs_data
def test_taq_recorded_trades_are_what_pandas_reads(data_folder):
    path = data_folder / "taq_raw/taq_trades_raw.csv.gz"
    theirs = pd.read_csv(path, dtype={"PRICE": str}, keep_default_na=False)
    block = decode_file(TaqFormat(), path)
    [ticks] = block.ticks
    assert (block.stop, block.rejected) == (77_263, [])
    assert ticks.numbers["price"].tolist() == [int(Decimal(p) * 10_000) for p in theirs.PRICE]
    assert ticks.numbers["size"].tolist() == theirs.SIZE.tolist()
    conditions = ticks.texts["conditions"]
    assert [conditions.values[c] for c in conditions.codes] == theirs.COND.tolist()
    undone = np.flatnonzero(ticks.flags & CANCELLED)
    assert theirs.CORR[undone].tolist() == [8, 10]
    assert ((ticks.flags & DUPLICATE != 0) == theirs.duplicated().to_numpy()).all()


# Daily bars


@pytest.mark.needs_data
def test_daily_recorded_bars_are_what_pandas_reads(data_folder):
    path = next((data_folder / "sp500_daily").glob("*.csv.gz"))
    theirs = pd.read_csv(path, dtype=str, keep_default_na=False)
    block = decode_file(DailyFormat(), path)
    [ticks] = block.ticks
    assert block.stop == 619_040
    assert reasons(block) == [(row, "bad_bar") for row in (114621, 350735, 514845, 598458)]
    assert "LNT" in block.rejected[1].raw
    assert len(ticks.symbols.values) == 505
    kept = theirs.drop(index=[r.position for r in block.rejected])
    for name in ("open", "high", "low", "close"):
        exact = [int(Decimal(v) * 10_000) if v else NULL for v in kept[name]]
        assert ticks.numbers[name].tolist() == exact
    assert sum(int((column == NULL).sum()) for column in ticks.numbers.values()) == 27
    midnight = pd.to_datetime(kept.date).dt.tz_localize("America/New_York").astype("int64")
    unix = (EPOCH - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)
    assert ((ticks.ts + unix) * 1000 == midnight.to_numpy()).all()


def test_daily_row_without_any_price_is_rejected(tmp_path):
    path = tmp_path / "d.csv"
    path.write_text(
        "date,open,high,low,close,volume,Name\n2013-02-08,,,,,7,A\n2013-02-11,1,,,1,,A\n"
    )
    block = decode_file(DailyFormat(), path)
    assert reasons(block) == [(0, "missing_value")]
    assert block.ticks[0].numbers["volume"].tolist() == [NULL]


# Lean's bars and currencies


@pytest.mark.needs_data
def test_lean_recorded_quote_bars_are_a_bar_of_each_side(data_folder):
    path = data_folder / "us_equity_minute/aig/20131007_quote.zip"
    names = [
        "ms",
        *(f"{s} {n}" for s in ("bid", "ask") for n in ("open", "high", "low", "close", "size")),
    ]
    theirs = pd.read_csv(path, names=names)
    block = decode_file(LeanFormat(), path)
    [file] = LeanFormat().discover([path])
    assert (file.content, file.kind) == ("AIG/2013-10-07/1m/quote", "bars")
    [ticks] = block.ticks
    assert (block.stop, len(ticks), block.rejected) == (522, 1044, [])
    for part, side in ((slice(0, 522), "bid"), (slice(522, None), "ask")):
        for name in ("open", "high", "low", "close"):
            assert ticks.numbers[name][part].tolist() == theirs[f"{side} {name}"].tolist()
        assert ticks.numbers["volume"][part].tolist() == theirs[f"{side} size"].tolist()


@pytest.mark.needs_data
@pytest.mark.parametrize(
    ("broker", "day", "count", "crossed"),
    [
        ("fxcm", "20140501", 51_053, 3_991),
        ("fxcm", "20140502", 96_406, 12_061),
        ("oanda", "20140501", 24_179, 0),
        ("oanda", "20140502", 49_341, 0),
    ],
)
def test_lean_recorded_currencies_are_exact_and_crossed_quotes_kept(
    data_folder, broker, day, count, crossed
):
    path = data_folder / f"fx_ticks/{broker}/eurusd/{day}_quote.zip"
    theirs = pd.read_csv(path, names=["ms", "bid", "ask"], dtype=str)
    reader = LeanFormat()
    [file] = reader.discover([path])
    assert (file.symbol, file.definition.kind, file.definition.currency) == ("EURUSD", "fx", "USD")
    assert file.content.endswith(f"/quotes/{broker.upper()}")
    block = decode_file(reader, path)
    [ticks] = block.ticks
    assert (block.stop, block.rejected) == (count, [])
    assert ticks.numbers["bid_price"].tolist() == [int(Decimal(v) * 100_000) for v in theirs.bid]
    assert int((ticks.numbers["bid_price"] > ticks.numbers["ask_price"]).sum()) == crossed
    assert set(ticks.texts["exchange"].values) == {broker.upper()}


def test_lean_one_sided_quote_bar_is_one_bar(tmp_path):
    import zipfile

    path = tmp_path / "abc" / "20131007_quote.zip"
    path.parent.mkdir()
    with zipfile.ZipFile(path, "w") as packed:
        packed.writestr(
            "20131007_abc_minute_quote.csv",
            "34200000,1,2,1,2,100,,,,,\n34260000,0,0,0,0,0,3,3,3,3,5\n34320000,,,,,,,,,,\n",
        )
    block = decode_file(LeanFormat(), path)
    assert block.ticks[0].texts["side"].values[0] == "bid"
    assert block.ticks[0].seq.tolist() == [0, 1]
    assert reasons(block) == [(2, "missing_value")]


def check_any_lean(text: bytes, kind: str) -> None:
    from tsdb_trader.feeds import lean_decode

    day = datetime(2013, 10, 7, tzinfo=UTC).date()
    try:
        block = joined(lean_decode.decode("f", io.BytesIO(text), kind, day, Rules()))
    except InputError:
        return
    reasons(block)
    kept = text.rstrip(b"\r\n")
    assert block.stop == kept.count(b"\n") + 1


lean_rows = st.one_of(
    st.sampled_from([b"34200000,1000000,200,0,0,P,1,0\n", b"34200001,0,0,1000200,100,P,1,0\n"] * 3),
    st.builds("{},{},{},{},{},{},1,0\n".format, *[st.integers(-2, 2**33)] * 5, st.text(max_size=3)).map(lambda s: s.encode("utf-8", "replace")),
    st.binary(max_size=10),
    st.sampled_from([b"\n", b"\r\n", b"\0", b",", b"34200000,1e6,200,0,0,P,1,0\n"]),
)  # fmt: skip


@given(
    st.lists(lean_rows, min_size=1, max_size=12).map(b"".join),
    st.sampled_from(["quotes", "trades"]),
)
@settings(max_examples=300, deadline=None)
def test_lean_any_bytes_are_stored_rejected_or_refused(text, kind):
    check_any_lean(text, kind)


@pytest.mark.long
@given(
    st.lists(lean_rows, min_size=1, max_size=12).map(b"".join),
    st.sampled_from(["quotes", "trades"]),
)
@pytest.mark.timeout(3600)
@settings(max_examples=50_000, deadline=None)
def test_lean_any_bytes_are_stored_rejected_or_refused_long(text, kind):
    check_any_lean(text, kind)


def test_crc_of_a_damaged_archive_is_noticed(tmp_path):
    content = bytearray(gzip.compress((HEADER + ROWS * 100).encode()))
    content[-6] ^= 1
    with pytest.raises(InputError, match="damaged"):
        decode(tmp_path, bytes(content), name="f.csv.gz")
