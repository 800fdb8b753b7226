"""Mapping files and what they make of columns: exactly, or not at all."""
# ruff: noqa: DTZ001 - wall clocks have no zone

from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal, InvalidOperation
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tsdb_trader.errors import InputError
from tsdb_trader.feeds.base import EPOCH, NULL, REASONS
from tsdb_trader.feeds.mapping import Number, Time
from tsdb_trader.feeds.mapping_file import read_mapping
from tsdb_trader.feeds.mapping_times import instants
from tsdb_trader.feeds.mapping_values import LIMIT, scaled
from tsdb_trader.feeds.row_checks import Checks

QUOTES = """
kind = "quotes"
symbol = { constant = "ABC" }
time = { column = "t", format = "ms" }
[columns]
bid_price = "bid"
ask_price = { column = "ask", divisor = 100 }
"""
LATEST = datetime(2030, 1, 1, tzinfo=UTC)


def mapping(folder: Path, text: str, **given: str):
    path = folder / "m.toml"
    path.write_text(text)
    return read_mapping(path, given.get("zone"), given.get("symbol"))


# Mapping files


def test_read_mapping_all_keys_are_understood(tmp_path):
    found = mapping(
        tmp_path,
        """
kind = "trades"
symbol = { column = "s", values = { "BTC/USD" = "BTC-USD" } }
time = { column = "clock", date = "day", format = "%H:%M:%S.%f", zone = "Europe/Berlin", ambiguous = "first" }
recv_time = { column = "r", format = "us" }
nulls = ["-"]
order = "any"
vocabulary = "taq"
zero_is_null = true
suspicious = { column = "x", texts = ["y"] }
cancelled = { column = "c" }
[instrument]
kind = "crypto"
currency = "EUR"
price_scale = 2
size_scale = 8
[file]
delimiter = ";"
quote = ""
encoding = "latin-1"
names = ["day", "clock", "s", "p", "q", "r", "x", "c", "id"]
[columns]
price = { column = "p", divisor = 100 }
size = { column = "q", factor = 10 }
trade_id = "id"
exchange = { constant = "X" }
""",
    )
    assert found.columns == ["day", "clock", "r", "p", "q", "id", "x", "c", "s"]
    assert found.outputs[0].numbers["price"] == Number("p", 2)
    assert (found.definition.price_scale, found.definition.size_scale) == (2, 8)
    assert (found.layout.delimiter, found.layout.encoding) == (";", "iso8859-1")
    assert not found.in_order


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("kind", "kinds"), "kind: is missing; use one of quotes, trades"),
        (('"quotes"', '"quote"'), "kind: 'quote' is not known; use one of quotes, trades"),
        (("[columns]", "colour = 1\n[columns]"), "colour: no such key"),
        (("[columns]", "nuls = []\n[columns]"), "nuls: no such key; did you mean nulls?"),
        (("divisor = 100", "divisor = 3"), "columns.ask_price.divisor: 3 is no power of ten"),
        (("divisor = 100", "divisor = '1'"), "columns.ask_price.divisor: must be a whole number"),
        (("divisor", "devisor"), "columns.ask_price.devisor: no such key; did you mean divisor?"),
        (("bid_price", "bid"), "columns.bid: no such key;"),
        (('bid_price = "bid"', "bid_price = 7"), "columns.bid_price: must be a table, not 7"),
        (('"ms"', '"minutes"'), "time.format: 'minutes' is none of iso, s, ms, us, ns"),
        (('"ms"', '"ms", zone = "Mars/Olympus"'), "time.zone: 'Mars/Olympus' is no IANA zone"),
        (("time =", "when ="), "time: is missing"),
        (("symbol =", "ticker ="), "symbol: is missing; name a column, or give --symbol"),
        (('{ constant = "ABC" }', "{ }"), "symbol.column: give either column or constant"),
        (("[columns]", "[file]\ndelimiter = '::'\n[columns]"), "file.delimiter: '::' is not one"),
        (("[columns]", "[file]\nencoding = 'x'\n[columns]"), "file.encoding: 'x' is not known"),
        (
            ("[columns]", "[instrument]\nprice_scale = 12\n[columns]"),
            "instrument.price_scale: 12 is not between 0 and 9",
        ),
        (("[columns]", "[columns"), "no TOML"),
    ],
)
def test_read_mapping_wrong_is_one_error_that_names_the_key(tmp_path, change, message):
    assert change[0] in QUOTES
    with pytest.raises(InputError, match=re.escape(message)) as caught:
        mapping(tmp_path, QUOTES.replace(*change, 1))
    assert str(tmp_path / "m.toml") in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("kind", ["trades", "bars", "book_events", "series"])
def test_read_mapping_of_another_kind_asks_for_its_columns(tmp_path, kind):
    with pytest.raises(InputError, match=r"columns\.\w+: (is missing|no such key)"):
        mapping(tmp_path, QUOTES.replace("quotes", kind))


def test_read_mapping_symbol_on_the_command_line_is_for_files_without(tmp_path):
    assert mapping(tmp_path, QUOTES, symbol="XYZ").symbol.constant == "XYZ"
    with pytest.raises(InputError, match="symbol: is a column; leave --symbol out"):
        mapping(tmp_path, QUOTES.replace("constant", "column"), symbol="XYZ")


def test_read_mapping_missing_file_is_an_error(tmp_path):
    with pytest.raises(InputError, match="cannot be read"):
        read_mapping(tmp_path / "nothing.toml", None, None)
    with pytest.raises(InputError, match="give --mapping FILE"):
        read_mapping(None, None, None)


# Numbers, against Python's own decimals


def numbers(values: pa.Array, number: Number, scale: int) -> tuple[list[int], dict[int, str]]:
    checks = Checks(len(values))
    found = scaled(checks, values, number, scale, frozenset({""}))
    rejected = checks.rejected(np.arange(len(values)), lambda row: "")
    assert len({r.position for r in rejected}) == len(rejected)
    assert {r.reason for r in rejected} <= set(REASONS)
    return found.tolist(), {r.position: r.reason for r in rejected}


def expected(text: str, number: Number, scale: int) -> int | str:
    if not text:
        return NULL
    if re.fullmatch(r"[+-]?(nan|inf|infinity)", text, re.IGNORECASE):
        return "nan"
    try:
        if not re.fullmatch(r"[-+0-9.eE]+", text):
            raise InvalidOperation
        value = Decimal(text).scaleb(scale - number.decimals)
    except InvalidOperation:
        return "not_a_number"
    if value != int(value):
        return "too_precise"
    return int(value) * number.factor if abs(int(value)) * number.factor < LIMIT else "out_of_range"


plain = st.decimals(
    min_value=-(10**12), max_value=10**12, places=None, allow_nan=False, allow_infinity=False
).map(lambda d: format(d, "f")[:36])
written = st.one_of(
    plain,
    st.integers(-(10**17), 10**17).map(str),
    st.builds("{}.{}".format, st.integers(-9999, 9999), st.integers(0, 99999)),
    st.builds("{}e{}".format, st.integers(-9999, 9999), st.integers(-6, 9)),
    st.sampled_from(
        ["", "nan", "-inf", "+1.5", ".5", "5.", "-0", "1.50000000", "abc", "1,5", " 1"]
    ),
    st.sampled_from(["--1", "1e", "0x10", "1_000", "٣", "1.2.3", "+", ".", "e5", "1e99", "-0.0"]),
    st.text(max_size=6),
)


@given(
    st.lists(written, min_size=1, max_size=12),
    st.sampled_from([(0, 1), (4, 1), (2, 1), (0, 100)]),
    st.integers(0, 6),
)
@example(["1e-30", "1", "99999999999999999999999999999999999999999"], (0, 1), 4)
@example(["15000000000000000000000e-21", "1." + "0" * 33, "1e-313"], (0, 1), 4)
@example(["0." + "0" * 42 + "1"], (0, 1), 4)
@settings(max_examples=400, deadline=None)
def test_scaled_any_text_is_exact_or_rejected(values, unit, scale):
    number = Number("c", *unit)
    found, rejected = numbers(pa.array(values, pa.string()), number, scale)
    for row, text in enumerate(values):
        want = expected(text, number, scale)
        if isinstance(want, int):
            assert (found[row], rejected.get(row)) == (want, None), text
        else:
            assert row in rejected, text
            # A number beyond any bound may be called too precise, and one of both is both.
            if want != rejected[row]:
                assert {want, rejected[row]} <= {"too_precise", "out_of_range"}, text


@given(st.lists(st.floats(allow_infinity=True, allow_nan=True), min_size=1), st.integers(0, 6))
@settings(deadline=None)
def test_scaled_any_float_is_its_shortest_decimal_or_rejected(values, scale):
    found, rejected = numbers(pa.array(values, pa.float64()), Number("c"), scale)
    for row, value in enumerate(values):
        want = expected(repr(value), Number("c"), scale)
        if isinstance(want, int):
            assert found[row] == want
        else:
            assert row in rejected


@pytest.mark.parametrize(
    "values",
    [
        pa.array([1, -2, None, 12345], pa.int64()),
        pa.array([1, 2, None, 255], pa.uint8()),
        pa.array([1, 2, 2**64 - 1, None], pa.uint64()),
        pa.array([Decimal("1.5"), Decimal("-0.0001"), None], pa.decimal128(20, 4)),
        pa.array([Decimal("1.5"), Decimal("1.00001"), None], pa.decimal128(20, 5)),
        pa.array([Decimal("1.5"), None], pa.decimal256(60, 10)),
        pa.array([0.1, None, 157.84], pa.float32()),
    ],
)
def test_scaled_other_types_are_exact_too(values):
    found, rejected = numbers(values, Number("c"), 4)
    texts = ["" if v is None else str(v) for v in values.to_pylist()]
    if pa.types.is_float32(values.type):
        texts = ["0.1", "", "157.84"]
    for row, text in enumerate(texts):
        want = expected(text, Number("c"), 4)
        assert (found[row] if row not in rejected else rejected[row]) == want


# Times, against Python's own zones


def times(values: pa.Array, time: Time) -> tuple[list[datetime], list[int], dict[int, str]]:
    checks = Checks(len(values))
    ts, ns = instants(checks, {"c": values}, time, frozenset({""}), LATEST)
    rejected = checks.rejected(np.arange(len(values)), lambda row: "")
    assert {r.reason for r in rejected} <= set(REASONS)
    found = [EPOCH + timedelta(microseconds=int(us)) for us in ts]
    return found, ns.tolist(), {r.position: r.reason for r in rejected}


@given(
    st.lists(st.datetimes(datetime(1970, 1, 2), datetime(2029, 12, 30)), min_size=1, max_size=5),
    st.sampled_from(["America/New_York", "Europe/London", "Australia/Lord_Howe", "Asia/Kolkata"]),
    st.sampled_from(["reject", "first", "second"]),
    st.booleans(),
)
@example(
    [datetime(2013, 3, 10, 2, 30), datetime(2013, 11, 3, 1, 30)], "America/New_York", "first", True
)
@example([datetime(2013, 11, 3, 1, 30)], "America/New_York", "second", False)
@settings(deadline=None)
def test_instants_local_times_agree_with_zoneinfo(walls, zone, ambiguous, as_text):
    column = (
        pa.array([wall.isoformat(" ") for wall in walls])
        if as_text
        else pa.array(walls, pa.timestamp("us"))
    )
    found, _, rejected = times(column, Time(("c",), zone=zone, ambiguous=ambiguous))
    tz = ZoneInfo(zone)
    for row, wall in enumerate(walls):
        either = [wall.replace(tzinfo=tz, fold=fold).astimezone(UTC) for fold in (0, 1)]
        if either[0].astimezone(tz).replace(tzinfo=None) != wall:
            assert rejected[row] == "skipped_time"
        elif either[0] != either[1] and ambiguous == "reject":
            assert rejected[row] == "ambiguous_time"
        else:
            assert row not in rejected
            assert found[row] == either[ambiguous == "second"]


@pytest.mark.parametrize(
    ("form", "text", "instant", "ns"),
    [
        ("iso", "2018-01-02 09:04:13.979000092", datetime(2018, 1, 2, 9, 4, 13, 979000), 92),
        ("iso", "2018-01-02T09:04:13Z", datetime(2018, 1, 2, 9, 4, 13), 0),
        ("iso", "2018-01-02T09:04:13.5+05:30", datetime(2018, 1, 2, 3, 34, 13, 500000), 0),
        ("iso", "2018-01-02", datetime(2018, 1, 2), 0),
        ("%d.%m.%Y %H:%M", "02.01.2018 09:04", datetime(2018, 1, 2, 9, 4), 0),
        ("%Y%m%d-%H%M%S%z", "20180102-090413+0100", datetime(2018, 1, 2, 8, 4, 13), 0),
        ("s", "1514883853.979000092", datetime(2018, 1, 2, 9, 4, 13, 979000), 92),
        ("ms", "1514883853979", datetime(2018, 1, 2, 9, 4, 13, 979000), 0),
        ("us", "1514883853979000.092", datetime(2018, 1, 2, 9, 4, 13, 979000), 92),
        ("ns", "1514883853979000092", datetime(2018, 1, 2, 9, 4, 13, 979000), 92),
    ],
)
def test_instants_every_form_is_exact_to_the_nanosecond(form, text, instant, ns):
    # Together with a row that is none, so that the careful way is taken too.
    for values in ([text], [text, "nothing"]):
        found, rests, rejected = times(pa.array(values), Time(("c",), form))
        assert (found[0], rests[0]) == (instant.replace(tzinfo=UTC), ns)
        assert set(rejected) == set(range(1, len(values)))


@pytest.mark.parametrize(
    ("form", "text", "reason"),
    [
        ("iso", "", "missing_value"),
        ("iso", "yesterday", "not_a_time"),
        ("iso", "2018-02-30", "not_a_time"),
        ("iso", "2018-01-02 25:00", "not_a_time"),
        ("iso", "2018-01-02 09:04:60", "not_a_time"),
        ("iso", "1969-12-31 23:59:59", "absurd_time"),
        ("iso", "2031-01-01", "absurd_time"),
        ("iso", "9999-12-31", "absurd_time"),
        ("iso", "0001-01-01", "absurd_time"),
        ("%d/%m/%Y", "2018-01-02", "not_a_time"),
        ("s", "-1", "absurd_time"),
        ("s", "99999999999", "absurd_time"),
        ("s", "1e300", "absurd_time"),
        ("ms", "noon", "not_a_number"),
        ("ns", "0.5", "too_precise"),
    ],
)
def test_instants_what_is_no_time_is_rejected_with_its_reason(form, text, reason):
    _, _, rejected = times(pa.array([text, "x" if form == "iso" else "0"]), Time(("c",), form))
    assert rejected[0] == reason


def test_instants_date_and_time_columns_are_one_time():
    time = Time(("d", "t"), "iso", "America/New_York")
    for columns in (
        {"d": pa.array(["2013-10-07"]), "t": pa.array(["09:30:00.5"])},
        {
            "d": pa.array([date(2013, 10, 7)]),
            "t": pa.array([34_200_500_000_000], pa.time64("ns")),
        },
    ):
        checks = Checks(1)
        ts, _ = instants(checks, columns, time, frozenset({""}), LATEST)
        assert checks.good.all()
        assert EPOCH + timedelta(microseconds=int(ts[0])) == datetime(
            2013, 10, 7, 13, 30, 0, 500000, tzinfo=UTC
        )


@given(st.lists(st.text(max_size=25), min_size=1), st.sampled_from(["iso", "%Y%m%d", "ms", "s"]))
@settings(deadline=None, max_examples=300)
def test_instants_any_text_is_a_time_or_rejected(values, form):
    found, _, rejected = times(pa.array(values), Time(("c",), form, "America/New_York"))
    for row, value in enumerate(found):
        assert row in rejected or datetime(1970, 1, 1, tzinfo=UTC) <= value <= LATEST
