"""The decoder of headlines: every line is a headline or a rejected row, whatever it holds."""

from __future__ import annotations

import gzip
import io
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tsdb_trader.errors import InputError
from tsdb_trader.feeds import news
from tsdb_trader.feeds.base import EPOCH, REASONS, Block, Message, Options, Rules

LATEST = datetime(2030, 1, 1, tzinfo=UTC)
GOOD = {"time": "2014-05-01T12:30:00Z", "headline": "Payrolls rise"}


def block(*lines: object, layout: news.Layout | None = None) -> Block:
    """Decode lines: bytes as they are, the rest as JSON."""
    raw = [x if isinstance(x, bytes) else json.dumps(x).encode() for x in lines]
    found = news.to_block(0, raw, layout or default(), LATEST)
    found.check()
    return found


def default() -> news.Layout:
    return news.NewsFormat()._layout


def headline(**changes: Any) -> Message:
    [message] = block(GOOD | changes).messages
    return message


def when(message: Message) -> datetime:
    return EPOCH + timedelta(microseconds=message.ts)


def reasons(*lines: object, layout: news.Layout | None = None) -> list[str]:
    return [rejected.reason for rejected in block(*lines, layout=layout).rejected]


def mapped(tmp_path: Path, text: str, **options: Any) -> news.Layout:
    path = tmp_path / "map.toml"
    path.write_text(text)
    return news.NewsFormat(Options(mapping=path, **options))._layout


def decode(tmp_path: Path, content: bytes, name: str = "a.jsonl") -> list[Block]:
    path = tmp_path / name
    path.write_bytes(gzip.compress(content) if name.endswith(".gz") else content)
    reader = news.NewsFormat()
    [file] = reader.discover([path])
    with reader.open(file) as opened:
        return list(reader.decode(file, opened, Rules()))


# What is understood


@pytest.mark.parametrize(
    ("time", "expected", "ns"),
    [
        ("2014-05-01T12:30:00Z", datetime(2014, 5, 1, 12, 30, tzinfo=UTC), 0),
        ("2014-05-01 12:30:00.123456789", datetime(2014, 5, 1, 12, 30, 0, 123456, UTC), 789),
        ("2014-05-01T08:30:00-04:00", datetime(2014, 5, 1, 12, 30, tzinfo=UTC), 0),
        ("2014-05-01", datetime(2014, 5, 1, tzinfo=UTC), 0),
        (1398947400, datetime(2014, 5, 1, 12, 30, tzinfo=UTC), 0),
        (1398947400.25, datetime(2014, 5, 1, 12, 30, 0, 250000, UTC), 0),
    ],
)
def test_headline_times_are_iso_or_seconds(time, expected, ns):
    message = headline(time=time)
    assert (when(message), message.ns, message.recv_ts) == (expected, ns, None)


def test_headline_received_time_is_kept_beside_the_source_s():
    message = headline(received_at="2014-05-01T12:31:00Z")
    assert message.recv_ts == message.ts + 60_000_000


@pytest.mark.parametrize(
    ("symbols", "expected"),
    [
        (["AIG", "BAC"], ["AIG", "BAC"]),
        ("AIG, BAC,,AIG", ["AIG", "BAC"]),
        ([], []),
        (None, []),
        (["no such company"], ["no such company"]),
    ],
)
def test_headline_symbols_are_a_list_or_one_text(symbols, expected):
    assert headline(symbols=symbols).columns["symbols"] == expected


def test_headline_usual_names_are_understood():
    [message] = block(
        {
            "published_at": 1398947400,
            "title": "T",
            "id": 12345678901234567890,
            "summary": "S",
            "link": "u",
            "lang": "en",
            "tickers": "X",
        }
    ).messages
    assert message.columns == {
        "headline": "T",
        "headline_id": "12345678901234567890",
        "body": "S",
        "url": "u",
        "language": "en",
        "symbols": ["X"],
    }


def test_headline_mapping_names_fields_units_and_zones(tmp_path):
    layout = mapped(
        tmp_path,
        """
        kind = "news"
        sentiment = "none"
        time = { column = "meta.at", format = "ms" }
        recv_time = { column = "meta.seen", zone = "America/New_York" }
        separator = ";"
        [columns]
        headline = "text"
        symbols = "stocks.name"
        """,
    )
    record = {
        "meta": {"at": "1398947400123", "seen": "2014-05-01T08:30:01"},
        "text": "T",
        "title": "not this one",
        "stocks": [{"name": "A"}, {"name": "B"}, {}],
    }
    [message] = block(record, layout=layout).messages
    assert when(message) == datetime(2014, 5, 1, 12, 30, 0, 123000, UTC)
    assert message.recv_ts == message.ts + 877_000
    assert message.columns["headline"] == "T"
    assert message.columns["symbols"] == ["A", "B"]
    assert message.columns["model"] is None
    del record["meta"]["seen"]
    # The field is named, so a row without it is not taken for one received at once.
    assert reasons(record, layout=layout) == ["missing_value"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("time =", "no TOML"),
        ('time = { column = "t" }', "columns: is missing"),
        ('time = { column = "t" }\n[columns]\nbody = "b"', "headline: is missing"),
        ('[columns]\nheadline = "h"', "time: is missing"),
        ('time = { column = "t" }\n[columns]\nheadline = "h"\nheadlin = "x"', "headlin"),
        ('time = { column = "t" }\nsentiment = "bert"\n[columns]\nheadline = "h"', "sentiment"),
        ('time = { column = "t", zone = "Mars" }\n[columns]\nheadline = "h"', "Mars"),
        ('time = { column = "t" }\nseparator = ""\n[columns]\nheadline = "h"', "separator"),
    ],
)
def test_mapping_of_no_use_names_the_key(tmp_path, text, message):
    with pytest.raises(InputError, match=rf"map\.toml.*{message}"):
        mapped(tmp_path, text)


def test_mapping_that_is_not_there_is_an_input_error(tmp_path):
    with pytest.raises(InputError, match=r"none\.toml"):
        news.NewsFormat(Options(mapping=tmp_path / "none.toml"))


def test_timezone_that_does_not_exist_is_an_input_error():
    with pytest.raises(InputError, match="Mars"):
        news.NewsFormat(Options(timezone="Mars/Olympus"))


# What is rejected


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b"{", "malformed"),
        (b"[1]", "malformed"),
        (b"3", "malformed"),
        (b"", "malformed"),
        (b"\xff\xfe", "not_utf8"),
        (b'{"headline": "\xe9", "time": 1}', "not_utf8"),
        (b'{"time": NaN, "headline": "h"}', "malformed"),
        (b"[" * 100_000, "malformed"),
        (b'{"time": 1' + b"0" * 5000 + b', "headline": "h"}', "out_of_range"),
        (GOOD | {"headline": None}, "missing_value"),
        (GOOD | {"headline": "  "}, "missing_value"),
        (GOOD | {"headline": ["h"]}, "malformed"),
        (GOOD | {"headline": "a\0b"}, "malformed"),
        (GOOD | {"headline": "\ud800"}, "not_utf8"),
        (GOOD | {"body": {"text": "b"}}, "malformed"),
        (GOOD | {"symbols": {"A": 1}}, "bad_symbol"),
        (GOOD | {"symbols": [["A"]]}, "bad_symbol"),
        (GOOD | {"symbols": "X" * 65}, "bad_symbol"),
        (GOOD | {"time": None}, "missing_value"),
        (GOOD | {"time": "yesterday"}, "not_a_time"),
        (GOOD | {"time": "\ud800"}, "not_a_time"),
        (GOOD | {"time": True}, "not_a_time"),
        (GOOD | {"time": ["2014-05-01"]}, "not_a_time"),
        (GOOD | {"time": "1398947400"}, "absurd_time"),
        (GOOD | {"time": "1969-12-31T23:59:59Z"}, "absurd_time"),
        (GOOD | {"time": "2030-01-01T00:00:01Z"}, "absurd_time"),
        (GOOD | {"time": -1}, "absurd_time"),
        # Milliseconds, where seconds are expected.
        (GOOD | {"time": 1398947400000}, "absurd_time"),
        (GOOD | {"received_at": "soon"}, "not_a_time"),
    ],
)
def test_headline_that_cannot_be_right_is_rejected(line, reason):
    assert reasons(GOOD, line, GOOD) == [reason]
    assert reason in REASONS


def test_headline_local_time_that_is_none_or_two_is_rejected():
    layout = news.NewsFormat(Options(timezone="America/New_York"))._layout
    times = ("2014-03-09T02:30:00", "2014-11-02T01:30:00", "2014-05-01T08:30:00")
    found = block(*(GOOD | {"time": time} for time in times), layout=layout)
    assert [r.reason for r in found.rejected] == ["skipped_time", "ambiguous_time"]
    assert when(found.messages[0]) == datetime(2014, 5, 1, 12, 30, tzinfo=UTC)


# Files


def test_file_lines_are_rows_and_blank_ones_at_the_end_are_none(tmp_path):
    good = json.dumps(GOOD).encode()
    content = b"\xef\xbb\xbf" + good + b"\r\n\n" + good + b"\n\n \n\n"
    for name in ("a.jsonl", "b.ndjson.gz"):
        [found] = decode(tmp_path, content, name)
        assert [m.seq for m in found.messages] == [0, 2]
        assert [(r.position, r.reason, r.raw) for r in found.rejected] == [(1, "malformed", "")]
        assert (found.start, found.stop) == (0, 3)


def test_file_any_block_size_gives_the_same_rows(tmp_path, monkeypatch):
    lines = [json.dumps(GOOD | {"id": i}).encode() if i % 3 else b"?" for i in range(20)]
    content = b"\n".join(lines)
    seen = []
    for size in (1, 2, 7, 20, 100):
        monkeypatch.setattr(news, "BLOCK_LINES", size)
        monkeypatch.setattr(news, "_NO_OBJECT", frozenset())
        blocks = decode(tmp_path, content)
        assert [b.start for b in blocks] == list(range(0, 20, size))
        seen.append(
            (
                [(m.seq, m.columns["headline_id"]) for b in blocks for m in b.messages],
                [r for b in blocks for r in b.rejected],
            )
        )
    assert all(found == seen[0] for found in seen)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b'[\n{"headline": "h"}]'.replace(b"\n", b""), "one object per line"),
        (b"time,headline\n1,h\n", "one object per line"),
        (bytes(range(256)), "one object per line"),
    ],
)
def test_file_of_another_kind_is_an_input_error(tmp_path, content, message):
    with pytest.raises(InputError, match=message):
        decode(tmp_path, content)


def test_file_without_line_ends_is_an_input_error(tmp_path, monkeypatch):
    monkeypatch.setattr(news, "_LONGEST_LINE", 1000)
    with pytest.raises(InputError, match="without a line end"):
        decode(tmp_path, b"x" * 1001)


def test_file_damaged_is_an_input_error(tmp_path):
    path = tmp_path / "a.jsonl.gz"
    path.write_bytes(gzip.compress(json.dumps(GOOD).encode() * 1000)[:-20])
    reader = news.NewsFormat()
    [file] = reader.discover([path])
    with reader.open(file) as opened, pytest.raises(InputError, match="damaged"):
        list(reader.decode(file, opened, Rules()))


def test_folder_without_news_is_an_input_error(tmp_path):
    with pytest.raises(InputError, match="no JSON lines files"):
        news.NewsFormat().discover([tmp_path])


# Fuzz

JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text()
    | st.datetimes().map(datetime.isoformat),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=5,
)
NAMES = st.sampled_from(
    [n for names in news.NAMES.values() for n in names] + [*news.TIMES, *news.RECEIVED]
)
RECORDS = st.dictionaries(NAMES, JSON, max_size=6).map(lambda found: json.dumps(found).encode())


@st.composite
def mutated(draw: st.DrawFn) -> bytes:
    """Return a good line with some bytes changed, taken out or put in."""
    line = bytearray(json.dumps(GOOD | {"symbols": ["A", "B"], "id": "é1", "received": 7}).encode())
    for _ in range(draw(st.integers(1, 4))):
        place = draw(st.integers(0, max(len(line) - 1, 0)))
        line[place : place + draw(st.integers(0, 2))] = draw(st.binary(max_size=2))
    return bytes(line).replace(b"\n", b"")


LINES = st.lists(
    st.binary(max_size=40).map(lambda b: b.replace(b"\n", b"")) | RECORDS | mutated(), max_size=20
)


def judge(lines: list[bytes]) -> None:
    """Every line is one headline that the database can hold, or one rejected row."""
    found = block(*lines)
    assert found.stop == len(lines)
    rows = [m.seq for m in found.messages] + [r.position for r in found.rejected]
    assert sorted(rows) == list(range(len(lines)))
    for message in found.messages:
        assert EPOCH - timedelta(days=30 * 366) < when(message) <= LATEST
        assert 0 <= message.ns < 1000
        for value in message.columns.values():
            for text in value if isinstance(value, list) else [value]:
                assert text is None or "\0" not in text.encode().decode()
    for rejected in found.rejected:
        assert rejected.reason in REASONS
        assert "\0" not in rejected.raw.encode().decode()


@settings(max_examples=150, deadline=None)
@given(LINES)
def test_fuzz_every_line_is_a_headline_or_rejected(lines):
    judge(lines)


@pytest.mark.long
@pytest.mark.timeout(3600)
@settings(max_examples=12_000, deadline=None, suppress_health_check=list(HealthCheck))
@given(LINES)
def test_fuzz_every_line_is_a_headline_or_rejected_long(lines):
    judge(lines)


@settings(
    max_examples=50, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(content=st.binary(max_size=300))
def test_fuzz_any_file_is_rows_or_an_input_error(content):
    reader = news.NewsFormat()
    file = news.DataFile(Path("a.jsonl"), "a")
    try:
        blocks = list(reader.decode(file, io.BytesIO(content), Rules()))
    except InputError:
        return
    for found in blocks:
        found.check()
