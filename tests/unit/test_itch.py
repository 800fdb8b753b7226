"""ITCH 5.0 files: every field and every row against another reader and a plain loop."""

from __future__ import annotations

import gzip
import io
import os
import random
import struct
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from itch.messages import messages as known
from itch.parser import MessageParser

from itch_reference import actual, frames, reference
from tsdb_trader.errors import InputError
from tsdb_trader.feeds import base, itch
from tsdb_trader.feeds.base import DataFile, Options, Rules
from tsdb_trader.feeds.itch import ItchFormat
from tsdb_trader.feeds.itch_encode import encode
from tsdb_trader.feeds.itch_frames import Frames, split
from tsdb_trader.feeds.itch_generate import generate
from tsdb_trader.feeds.itch_layouts import DTYPES, LAYOUTS
from tsdb_trader.feeds.itch_rows import read
from tsdb_trader.feeds.itch_symbols import Symbols

DAY = date(2022, 12, 28)
FILE = DataFile(Path("x.itch"), f"NASDAQ/{DAY}/itch")
STOCK = b"ABC     "
REAL = "itch_ouch/itch50_nasdaq_20230822_messages.bin"


@contextmanager
def pieces(piece_bytes: int, block_rows: int) -> Iterator[None]:
    """Read in pieces and blocks of other sizes."""
    before = itch.PIECE_BYTES, base.BLOCK_ROWS
    itch.PIECE_BYTES, base.BLOCK_ROWS = piece_bytes, block_rows
    try:
        yield
    finally:
        itch.PIECE_BYTES, base.BLOCK_ROWS = before


def decoded(data: bytes, file: DataFile = FILE) -> list:
    return actual(ItchFormat().decode(file, io.BytesIO(data), Rules()))


def session(seed: int = 1, messages: int = 250, symbols: int = 2) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        done = generate(Path(folder), messages=messages, symbols=symbols, seed=seed)
        return done.path.read_bytes()


@pytest.fixture(scope="module")
def small() -> bytes:
    return session()


def add(order: int, shares: int, at: int = 0, price: int = 10_000, side: bytes = b"B") -> bytes:
    return encode(b"A", 1, at, order, side, shares, STOCK, price)


# Fields


def values_of(message: bytes) -> list:
    """Read a message's fields but its type with the columns that the package works on."""
    rows = read(Frames.of([message]), Symbols())
    [record] = rows.records[message[0]]
    time_ns = int(rows.time_ns[0])
    rest = [record[name].item() for name, _ in LAYOUTS[message[0]].fields]
    locate, tracking = int(record["stock_locate"]), int(record["tracking_number"])
    return [locate, tracking, time_ns, *rest]


def their_values(message: bytes) -> list:
    kind = known[message[:1]]
    locate, tracking, high, low, *rest = struct.unpack(kind.message_format, message[1:])
    assert kind(message).timestamp == high << 32 | low
    # numpy takes trailing NULs off texts.
    rest = [value.rstrip(b"\0") if isinstance(value, bytes) else value for value in rest]
    return [locate, tracking, high << 32 | low, *rest]


def test_layouts_are_those_of_itchfeed():
    assert {bytes([letter]) for letter in LAYOUTS} == set(known)
    for letter, dtype in DTYPES.items():
        assert dtype.itemsize == known[bytes([letter])].message_size


@given(st.data())
def test_read_any_message_has_the_fields_that_itchfeed_reads(data):
    letter = data.draw(st.sampled_from(sorted(known)))
    size = known[letter].message_size - 1
    message = letter + data.draw(st.binary(min_size=size, max_size=size))
    assert values_of(message) == their_values(message)


@given(st.data())
def test_encode_gives_the_bytes_that_itchfeed_packs(data):
    letter = data.draw(st.sampled_from(sorted(known)))
    size = known[letter].message_size - 1
    message = letter + data.draw(st.binary(min_size=size, max_size=size))
    message = message[:3] + b"\0\0" + message[5:]
    locate, _, time_ns, *_ = their_values(message)
    fields = struct.unpack(known[letter].message_format, message[1:])[4:]
    packed = encode(letter, locate, time_ns, *fields)
    assert packed == struct.pack(">H", len(message)) + known[letter](message).to_bytes()


@pytest.mark.needs_data
def test_read_recorded_messages_are_those_of_itchfeed(data_folder):
    data = (data_folder / REAL).read_bytes()
    theirs = [m.to_bytes() for m in MessageParser().parse_file(io.BytesIO(data))]
    ours, rest = split(data)
    assert (len(ours), rest) == (111, len(data))
    assert [ours.message(i) for i in range(111)] == theirs
    for message in theirs:
        assert values_of(message) == their_values(message)


@pytest.mark.needs_data
def test_decode_recorded_messages_are_those_of_a_plain_loop(data_folder):
    [file] = ItchFormat().discover([data_folder / REAL])
    assert file.content == "NASDAQ/2023-08-22/itch"
    data = (data_folder / REAL).read_bytes()
    rows = decoded(data, file)
    assert rows == reference(data, date(2023, 8, 22))
    wrong = [row[0][1] for row in rows if row[0][0] == "rejected"]
    assert wrong == ["unknown_order"] * 26


# Frames


def test_split_messages_among_others_finds_all_and_only_those():
    inside = add(1, 5)[2:]
    strange = [inside, b"", b"Zz", b"S" * 11, b"\0\x13D" + bytes(40), inside[:-1], b"\xff" * 300]
    data = b"".join(struct.pack(">H", len(m)) + m for m in strange)
    found, end = split(data + b"\x00\x13D")
    assert [found.message(i) for i in range(len(found))] == strange
    assert end == len(data)


@given(st.binary(max_size=400), st.integers(0, 400))
def test_split_any_bytes_are_those_of_a_plain_loop(noise, cut):
    data = add(1, 5) + noise[:cut] + encode(b"D", 1, 2, 3) + noise[cut:]
    found, end = split(data)
    messages, rest = frames(data)
    assert [found.message(i) for i in range(len(found))] == messages
    assert data[end:] == rest


# Rows


def mutated(data: bytes, random_: random.Random) -> bytes:
    """Damage a session as disks, networks and programs do."""
    found, _ = frames(data)
    messages = [struct.pack(">H", len(m)) + m for m in found]
    for _ in range(random_.randrange(6)):
        place = random_.randrange(len(messages))
        other = random_.randrange(len(messages))
        message = bytearray(messages[place])
        if len(message) < 3:
            continue
        match random_.randrange(7):
            case 0:
                messages.insert(other, bytes(message))
            case 1:
                del messages[place]
            case 2:
                messages[place], messages[other] = messages[other], messages[place]
            case 3:
                message[random_.randrange(len(message))] ^= 1 << random_.randrange(8)
                messages[place] = bytes(message)
            case 4:
                message[2 + random_.randrange(len(message) - 2)] = random_.choice(b"\0 ABSYN\xff")
                messages[place] = bytes(message)
            case 5:
                messages[place] = bytes(message[: random_.randrange(len(message))])
            case 6:
                messages[place : place + random_.randrange(50)] = []
                messages.append(bytes(message))
    return b"".join(messages)


def check_mutated(data: bytes, seed: int) -> None:
    random_ = random.Random(seed)
    damaged = mutated(data, random_)
    damaged = damaged[: random_.randrange(len(damaged) + 1)] if seed % 3 == 0 else damaged
    with pieces(random_.choice((300, 2000, 1 << 20)), random_.choice((7, 100, 10_000))):
        assert decoded(damaged) == reference(damaged, DAY)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(seed=st.integers(0, 2**32))
def test_decode_damaged_session_is_that_of_a_plain_loop(small, seed):
    check_mutated(small, seed)


@pytest.mark.long
def test_decode_many_damaged_sessions_are_those_of_a_plain_loop():
    tiny = session(messages=90, symbols=1)
    for seed in range(60_000):
        check_mutated(tiny, seed)


@pytest.mark.parametrize(
    ("piece_bytes", "block_rows"), [(17, 1), (100, 3), (5000, 64), (99_999, 499)]
)
def test_decode_any_piece_and_block_gives_the_same(small, piece_bytes, block_rows):
    with pieces(piece_bytes, block_rows):
        assert decoded(small) == reference(small, DAY)


def test_decode_any_cut_gives_the_beginning_and_one_truncated_row():
    data = session(messages=80, symbols=1)
    whole = decoded(data)
    for cut in range(1, len(data), 3):
        rows = decoded(data[:cut])
        complete, rest = frames(data[:cut])
        assert rows[: len(complete)] == whole[: len(complete)]
        expected = [[("rejected", "truncated", f"hex:{rest.hex()}")]] if rest else []
        assert rows[len(complete) :] == expected


@settings(deadline=None)
@given(st.binary(max_size=600))
def test_decode_any_bytes_are_counted(data):
    with pieces(64, 5):
        assert decoded(data) == reference(data, DAY)


def test_decode_order_that_lives_and_dies_in_a_block_is_followed():
    data = b"".join(
        (
            add(7, 100),
            encode(b"E", 1, 1, 7, 40, 900),
            encode(b"U", 1, 2, 7, 8, 50, 10_100),
            encode(b"C", 1, 3, 8, 20, 901, b"N", 10_050),
            encode(b"C", 1, 3, 8, 20, 902, b"Y", 10_060),
            encode(b"X", 1, 3, 8, 10),
            encode(b"D", 1, 4, 8),
        )
    )
    rows = decoded(data)
    assert [row[0][0] for row in rows] == ["event"] * 6 + ["rejected"]
    assert rows[6][0][1] == "unknown_order"
    assert [row[0][5:7] for row in rows[1:6]] == [
        (10_000, 40),
        (10_100, 50),
        (10_050, 20),
        (10_060, 20),
        (None, 10),
    ]
    trades = [row[1] for row in rows if row[1:] and row[1][0] == "trade"]
    assert [(t[3], t[4], t[5], t[6]) for t in trades] == [
        (10_000, 40, 900, "E"),
        (10_060, 20, 902, "Y"),
    ]


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        (add(1, 5), "duplicate_order"),
        (encode(b"E", 1, 9, 2, 5, 1), "unknown_order"),
        (encode(b"E", 1, 9, 1, 6, 1), "excess_quantity"),
        (encode(b"X", 1, 9, 1, 6), "excess_quantity"),
        (encode(b"U", 1, 9, 1, 1, 5, 100), "duplicate_order"),
        (add(2, 0), "zero_size"),
        (add(2, 5, price=0), "zero_price"),
        (add(2, 5, side=b"?"), "malformed"),
        (add(2**63, 5), "out_of_range"),
        (add(2, 5, at=86_400 * 10**9), "time_out_of_day"),
        (encode(b"H", 1, 9, b"\xff      ", b"T", b" ", b"    "), "malformed"),
        (encode(b"H", 1, 9, b"abc     ", b"T", b" ", b"    "), "bad_symbol"),
        (encode(b"B", 2, 9, 1), "unknown_instrument"),
        (encode(b"B", 0, 9, 1), "unknown_instrument"),
        (b"\0\x02Zz", "unknown_type"),
        (b"\0\x02Az", "wrong_length"),
        (b"\0\0", "wrong_length"),
    ],
)
def test_decode_message_that_cannot_be_right_is_rejected(message, reason):
    rows = decoded(add(1, 5) + message + encode(b"D", 1, 86_399 * 10**9, 1))
    assert rows[1] == [("rejected", reason, f"hex:{message[2:].hex()}")]
    assert rows[2][0][3] == "delete"


def test_decode_one_absurd_time_does_not_take_the_rest_along():
    times = [5, 6, 80_000 * 10**9, 7, 3, 8]
    rows = decoded(b"".join(add(i, 5, at=at) for i, at in enumerate(times, 1)))
    assert [row[0][1] == "time_backwards" for row in rows] == [
        False,
        False,
        True,
        False,
        True,
        False,
    ]


def test_decode_mark_at_the_end_is_no_row():
    assert len(decoded(add(1, 5) + b"\0\0")) == 1


def test_decode_times_are_of_new_york_to_the_nanosecond():
    at = (9 * 3600 + 30 * 60) * 10**9 + 123_456_789
    file = DataFile(Path("x"), "BX/2023-08-22/itch")
    [block] = ItchFormat().decode(file, io.BytesIO(add(1, 5, at=at)), Rules())
    [events] = block.ticks
    expected = datetime(2023, 8, 22, 13, 30, 0, 123_456, UTC) - base.EPOCH
    assert int(events.ts[0]) == expected.total_seconds() * 10**6
    assert events.ns.tolist() == [789]


def test_decode_status_has_every_field_in_readable_form():
    message = encode(b"J", 4, 7, STOCK, 1_234_500, 1_300_000, 5, 1)
    [block] = ItchFormat().decode(FILE, io.BytesIO(message), Rules())
    [status] = block.messages
    assert status.symbol == "ABC"
    assert status.columns == {
        "kind": "luld_collar",
        "code": "",
        "detail": {
            "stock_locate": 4,
            "tracking_number": 0,
            "stock": "ABC",
            "reference_price": "123.4500",
            "upper_price": "130.0000",
            "lower_price": "0.0005",
            "extension": 1,
        },
    }
    levels = encode(b"V", 0, 7, 412_345_678_901, 5, 0)
    [block] = ItchFormat().decode(FILE, io.BytesIO(levels), Rules())
    assert block.messages[0].columns["detail"]["level_1"] == "4123.45678901"


def test_decode_something_else_is_an_error():
    with pytest.raises(InputError, match="not an ITCH"):
        list(ItchFormat().decode(FILE, io.BytesIO(b"ts,price,size\n" * 1000), Rules()))


# Names


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("01302019.NASDAQ_ITCH50", "NASDAQ/2019-01-30/itch"),
        ("01302020.NASDAQ_ITCH50.gz", "NASDAQ/2020-01-30/itch"),
        ("20190130.BX_ITCH_50.gz", "BX/2019-01-30/itch"),
        ("20190130.PSX_ITCH_50.gz", "PSX/2019-01-30/itch"),
        ("S081321-v50.txt.gz", "NASDAQ/2021-08-13/itch"),
        ("S081321-v50-bx.txt.gz", "BX/2021-08-13/itch"),
        ("itch50_nasdaq_20230822_messages.bin", "NASDAQ/2023-08-22/itch"),
    ],
)
def test_discover_name_says_venue_and_day(tmp_path, name, content):
    (tmp_path / name).write_bytes(b"")
    (tmp_path / "notes.txt").write_bytes(b"")
    [file] = ItchFormat().discover([tmp_path])
    assert file.content == content
    assert file.vocabulary == "itch"


def test_discover_name_without_a_day_takes_that_of_the_file_and_says_so(tmp_path):
    path = tmp_path / "feed.itch"
    path.write_bytes(add(1, 5))
    # Half past three in the morning of the 29th in London.
    os.utime(path, (1672284600, 1672284600))
    reader = ItchFormat()
    [file] = reader.discover([path])
    assert file.content == "NASDAQ/feed.itch/itch"
    assert "taken as of 2022-12-28" in file.note
    with reader.open(file) as content:
        [block] = reader.decode(file, content, Rules())
    dated = ItchFormat(Options(day=DAY))
    [named] = dated.discover([path])
    assert (named.content, named.note) == ("NASDAQ/2022-12-28/itch", "")
    with dated.open(named) as content:
        [same] = dated.decode(named, content, Rules())
    assert block.ticks[0].ts.tolist() == same.ticks[0].ts.tolist()


def test_discover_nothing_there_is_an_error(tmp_path):
    with pytest.raises(InputError, match="no ITCH files"):
        ItchFormat().discover([tmp_path])
    with pytest.raises(InputError, match="no such file"):
        ItchFormat().discover([tmp_path / "x.itch"])


def test_open_packed_file_is_unpacked(tmp_path, small):
    path = tmp_path / "12282022.NASDAQ_ITCH50.gz"
    path.write_bytes(gzip.compress(small))
    reader = ItchFormat()
    [file] = reader.discover([path])
    with reader.open(file) as content:
        assert content.read() == small


def test_symbols_locate_that_changes_its_stock_follows_the_message():
    symbols = Symbols()
    stocks = np.array([b"AAA     ", b"BBB     ", b"AAA     "], dtype="S8")
    codes = symbols.codes(stocks, np.array([5, 5, 5]))
    assert [symbols.names[code] for code in codes] == ["AAA", "BBB", "AAA"]
