"""DBN files: every record against the library's own reading, and everything that can be wrong."""

from __future__ import annotations

import gzip
import random
import sys
from collections import Counter
from datetime import UTC, date, datetime

import databento_dbn as dbn
import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dbn_files import (
    PRICE,
    T0,
    bar,
    bbo,
    decode,
    definition,
    file_bytes,
    level,
    mapping,
    mbo,
    mbp1,
    metadata,
    status,
    trade,
    write,
)
from tsdb_trader.errors import ConfigurationError, InputError
from tsdb_trader.feeds import base, dbn_frames, loader
from tsdb_trader.feeds.base import EPOCH, NULL, Options, Rules, Ticks
from tsdb_trader.feeds.dbn import DbnFormat
from tsdb_trader.feeds.dbn_layouts import LAYOUTS

EPOCH_NS = int(EPOCH.timestamp()) * 10**9
UNDEF = dbn.UNDEF_PRICE


def texts(ticks: Ticks, name: str) -> list[str]:
    column = ticks.texts[name]
    return [column.values[code] for code in column.codes]


def symbols(ticks: Ticks) -> list[str]:
    assert ticks.symbols is not None
    return [ticks.symbols.values[code] for code in ticks.symbols.codes]


def times(ticks: Ticks) -> list[int]:
    """Return event times as nanoseconds since 1970."""
    assert ticks.ns is not None
    return (ticks.ts * 1000 + ticks.ns + EPOCH_NS).tolist()


def one(records, tmp_path, header=None, kind="book_events") -> Ticks:
    """Decode records that are all of one kind."""
    [block] = decode(file_bytes(records, header), tmp_path)
    [found] = [t for t in block.ticks if t.kind == kind]
    return found


def reasons(records, tmp_path, header=None, rules=None) -> list[tuple[int, str]]:
    [block] = decode(file_bytes(records, header), tmp_path, rules)
    assert all(r.raw.startswith("hex:") for r in block.rejected)
    return [(r.position, r.reason) for r in block.rejected]


@pytest.mark.parametrize(
    ("record", "rtype"),
    [
        (dbn.MBOMsg, 160),
        (dbn.TradeMsg, 0),
        (dbn.MBP1Msg, 1),
        (dbn.MBP1Msg, 197),
        (dbn.BBOMsg, 195),
        (dbn.BBOMsg, 196),
        *((dbn.OHLCVMsg, rtype) for rtype in (32, 33, 34, 35)),
    ],
)
def test_layouts_are_those_of_the_library(record, rtype):
    theirs = np.dtype([(name, f"<{kind}") for name, kind in record._dtypes])
    ours = LAYOUTS[rtype]
    assert ours.itemsize == theirs.itemsize == record.size_hint
    for name in ours.names:
        assert ours.fields[name] == theirs.fields[name], name


@pytest.mark.needs_data
@pytest.mark.parametrize(
    ("name", "records"),
    [
        ("esh4-glbx-mdp3-20231224.mbo.dbn.zst", 8_725),
        ("orderbooks_mbo_2024-05-08T00-00-00_2024-05-08T00-00-02.dbn.zst", 13_796),
    ],
)
def test_real_order_by_order_files_equal_the_librarys_records(name, records, data_folder):
    path = data_folder / "cme_mbo" / name
    reader = DbnFormat(Options())
    [file] = reader.discover([path])
    with reader.open(file) as content:
        [block] = reader.decode(file, content, Rules())
    block.check()
    with pa.CompressedInputStream(pa.OSFile(str(path)), "zstd") as content:
        decoder = dbn.DBNDecoder()
        decoder.write(content.read())
    theirs = [r for r in decoder.decode() if isinstance(r, dbn.MBOMsg)]
    assert len(theirs) == block.stop == block.stored == records
    rows: dict[int, tuple] = {}
    extra = Counter()
    actions = {"add": "A", "modify": "M", "reduce": "C", "execute": "F", "clear": "R"}
    for ticks in block.ticks:
        seen = zip(
            ticks.seq.tolist(),
            times(ticks),
            (ticks.recv_ts * 1000 + EPOCH_NS).tolist(),
            symbols(ticks),
            *(
                (ticks.numbers[n].tolist() if n in ticks.numbers else [NULL] * len(ticks))
                for n in ("price", "size", "order_id", "placed_ns")
            ),
            texts(ticks, "action") if ticks.kind == "book_events" else ["trade"] * len(ticks),
            texts(ticks, "side" if ticks.kind == "book_events" else "conditions"),
            ticks.flags.tolist(),
            strict=True,
        )
        for seq, *row in seen:
            if seq in rows or (row[7] == "clear" and str(theirs[seq].action) != "R"):
                extra[row[7]] += 1
                continue
            rows[seq] = tuple(row)
    assert sorted(rows) == list(range(records))
    # The older file's snapshot has no clear of its own.
    assert extra == (Counter({"clear": 1}) if name.startswith("esh4") else Counter())
    for number, message in enumerate(theirs):
        time, recv, symbol, price, size, order_id, placed, action, side, flags = rows[number]
        told = bool(int(message.flags) & dbn.F_SNAPSHOT)
        assert symbol == {17077: "ESH4", 5602: "ESM4"}[message.instrument_id]
        assert time == (message.ts_recv if told else message.ts_event)
        assert recv == message.ts_recv // 1000 * 1000
        if action == "trade":
            assert (str(message.action), side) == ("T", str(message.side))
        else:
            assert actions[action] == str(message.action)
            assert side == {"A": "ask", "B": "bid", "N": ""}[str(message.side)]
            last = bool(int(message.flags) & dbn.F_LAST)
            assert flags == told + 4 * last + 8 * (action == "execute")
            assert placed == (message.ts_event if told and action == "add" else NULL)
        if action == "clear":
            assert (price, size, order_id) == (NULL, NULL, NULL)
        else:
            assert (price * 100_000, size) == (message.price, message.size)
            assert order_id == (NULL if action == "trade" else message.order_id)


@pytest.mark.needs_data
def test_real_definition_file_is_read(data_folder):
    path = data_folder / "cme_mbo" / "definition-glbx-es-fut.dbn.zst"
    reader = DbnFormat(Options())
    [file] = reader.discover([path])
    with reader.open(file) as content:
        [block] = reader.decode(file, content, Rules())
    block.check()
    first = block.messages[0]
    assert [m.seq for m in block.messages] == [0, 1]
    assert (first.symbol, first.columns["kind"], first.columns["code"]) == (
        "ESM3",
        "definition",
        "A",
    )
    detail = first.columns["detail"]
    assert (detail["min_price_increment"], detail["currency"]) == ("0.25", "USD")
    assert detail["expiration"] == "2023-06-16T13:30:00.000000000Z"
    assert (first.ts * 1000 + first.ns + EPOCH_NS) == 1_680_451_436_384_637_671


def test_mbo_actions_become_book_events_and_trades(tmp_path):
    actions = [
        ("ADD", "add"),
        ("MODIFY", "modify"),
        ("CANCEL", "reduce"),
        ("FILL", "execute"),
        ("CLEAR", "clear"),
    ]
    records = [mbo(i, action=getattr(dbn.Action, name)) for i, (name, _) in enumerate(actions)]
    records.append(mbo(5, action=dbn.Action.TRADE, side=dbn.Side.ASK))
    records.append(mbo(6, action=dbn.Action.NONE, side=dbn.Side.NONE, flags=4))
    [block] = decode(file_bytes(records), tmp_path)
    [events, trades] = block.ticks
    assert texts(events, "action") == [action for _, action in actions]
    assert events.flags.tolist() == [4, 4, 4, 12, 4]
    assert events.numbers["price"].tolist() == [47_992_500] * 5
    assert events.numbers["order_id"].tolist() == [100, 101, 102, 103, NULL]
    assert times(events) == [T0 + 1000 * i for i in range(5)]
    assert (trades.seq.tolist(), texts(trades, "conditions")) == ([5], ["A"])
    assert texts(trades, "exchange") == ["1"]
    [idle] = block.messages
    assert (idle.seq, idle.columns["code"], idle.columns["detail"]["flags"]) == (6, "N", 4)
    assert block.rejected == []


def test_snapshot_records_happen_when_the_snapshot_was_made(tmp_path):
    told = {"flags": dbn.F_SNAPSHOT | dbn.F_BAD_TS_RECV, "ts_recv": T0 + 10**9}
    records = [
        mbo(0, action=dbn.Action.CLEAR, side=dbn.Side.NONE, price=UNDEF, size=0, **told),
        mbo(1, **told),
        mbo(2, **told | {"flags": told["flags"] | dbn.F_LAST}),
        mbo(3, ts_event=T0 + 2 * 10**9),
    ]
    events = one(records, tmp_path)
    assert texts(events, "action") == ["clear", "add", "add", "add"]
    assert times(events) == [T0 + 10**9] * 3 + [T0 + 2 * 10**9]
    assert events.numbers["placed_ns"].tolist() == [NULL, T0 + 1000, T0 + 2000, NULL]
    assert events.flags.tolist() == [1, 1, 5, 4]
    assert len(events) == 4


@pytest.mark.parametrize("rows", [1, 2, 3, 100])
def test_snapshot_without_a_clear_gets_one(tmp_path, monkeypatch, rows):
    monkeypatch.setattr(base, "BLOCK_ROWS", rows)
    told = {"flags": dbn.F_SNAPSHOT, "ts_recv": T0 + 10**9}
    ends = told | {"flags": dbn.F_SNAPSHOT | dbn.F_LAST}
    records = [
        mbo(0),
        mbo(1, **told),
        mbo(2, instrument_id=8, **told),
        mbo(3, **ends),
        mbo(4, instrument_id=8, **ends),
        mbo(5),
        mbo(6, **told),
        mbo(7, **told),
    ]
    clears = [
        (seq, symbol)
        for block in decode(file_bytes(records), tmp_path)
        for ticks in block.ticks
        for seq, symbol, action in zip(
            ticks.seq.tolist(), symbols(ticks), texts(ticks, "action"), strict=True
        )
        if action == "clear"
    ]
    assert clears == [(1, "ESH4"), (2, "ESM4"), (6, "ESH4")]


def test_trades_are_read(tmp_path):
    header = metadata(dbn.Schema.TRADES)
    ticks = one([trade(), trade(price=-PRICE // 2, side=dbn.Side.NONE)], tmp_path, header, "trades")
    assert ticks.numbers["price"].tolist() == [50_000, -5_000]
    assert ticks.numbers["size"].tolist() == [3, 3]
    assert texts(ticks, "conditions") == ["A", "N"]
    assert times(ticks) == [T0, T0]
    assert ((ticks.recv_ts * 1000) + EPOCH_NS).tolist() == [(T0 + 9_000) // 1000 * 1000] * 2


def test_quotes_of_one_level_are_read(tmp_path):
    records = [
        mbp1(),
        mbp1(levels=level(bid_px=UNDEF, bid_sz=0)),
        mbp1(action=dbn.Action.TRADE, price=5 * PRICE, size=4),
    ]
    [block] = decode(file_bytes(records, metadata(dbn.Schema.MBP_1)), tmp_path)
    quotes, trades = block.ticks
    assert quotes.numbers["bid_price"].tolist() == [50_000, NULL, 50_000]
    assert quotes.numbers["bid_size"].tolist() == [10, NULL, 10]
    assert quotes.numbers["ask_price"].tolist() == [52_500] * 3
    assert (trades.seq.tolist(), trades.numbers["size"].tolist()) == ([2], [4])


def test_quotes_at_intervals_are_of_the_end_of_the_interval(tmp_path):
    records = [bbo(), bbo(rtype=196, ts_event=dbn.UNDEF_TIMESTAMP)]
    [block] = decode(file_bytes(records, metadata(dbn.Schema.BBO_1S)), tmp_path)
    assert [t.kind for t in block.ticks] == ["quotes", "quotes"]
    assert [time for ticks in block.ticks for time in times(ticks)] == [T0 + 10**9] * 2


@pytest.mark.parametrize(("rtype", "name"), [(32, "1s"), (33, "1m"), (34, "1h"), (35, "1d")])
def test_bars_are_read(tmp_path, rtype, name):
    ticks = one([bar(rtype)], tmp_path, metadata(dbn.Schema.OHLCV_1M), "bars")
    assert [ticks.numbers[n][0] for n in ("open", "high", "low", "close", "volume")] == [
        50_000,
        70_000,
        40_000,
        60_000,
        99,
    ]
    assert (texts(ticks, "resolution"), texts(ticks, "side")) == ([name], ["trade"])


def test_status_becomes_a_message(tmp_path):
    [block] = decode(file_bytes([status()], metadata(dbn.Schema.STATUS)), tmp_path)
    [message] = block.messages
    assert (message.symbol, message.columns["kind"], message.ns) == ("ESH4", "trading_status", 123)
    assert message.columns["detail"]["ts_recv"] == "2024-03-04T14:30:00.000000128Z"


def test_records_with_a_time_of_sending_are_read(tmp_path):
    header = metadata(ts_out=True)
    stamped = bytearray(bytes(mbo()) + (T0 + 1).to_bytes(8, "little"))
    stamped[0] = len(stamped) // 4
    events = one([bytes(stamped)] * 3, tmp_path, header)
    assert events.numbers["order_id"].tolist() == [100] * 3


def test_order_ids_of_64_bits_are_kept(tmp_path):
    records = [mbo(0, order_id=2**64 - 1), mbo(1, order_id=2**63)]
    [block] = decode(file_bytes(records), tmp_path)
    assert block.ticks[0].numbers["order_id"].view(np.uint64).tolist() == [2**64 - 1]
    assert [(r.position, r.reason) for r in block.rejected] == [(1, "out_of_range")]


@pytest.mark.parametrize(
    ("record", "reason"),
    [
        (mbo(price=UNDEF), "missing_value"),
        (mbo(size=dbn.UNDEF_ORDER_SIZE), "missing_value"),
        (mbo(side=dbn.Side.NONE), "missing_value"),
        (mbo(action=dbn.Action.CANCEL, size=dbn.UNDEF_ORDER_SIZE), "missing_value"),
        (mbo(price=4_799_250_000_001), "too_precise"),
        (mbo(instrument_id=99), "unknown_instrument"),
        (mbo(ts_event=dbn.UNDEF_TIMESTAMP), "absurd_time"),
        (mbo(ts_event=4_102_444_800 * 10**9), "absurd_time"),
        (mbo(ts_recv=4_102_444_800 * 10**9), "absurd_time"),
        (mbo(flags=dbn.F_TOB), "not_an_order"),
        (mbo(flags=dbn.F_MBP), "not_an_order"),
        (mbo(publisher_id=2), "other_venue"),
        (bytes(mbo()).replace(b"AB", b"?B"), "malformed"),
        (bytes(mbo()).replace(b"AB", b"A?"), "malformed"),
        (trade(price=UNDEF), "missing_value"),
        (trade(action=dbn.Action.ADD), "malformed"),
        (mbp1(levels=level(bid_px=9 * PRICE)), "crossed"),
        (mbp1(action=dbn.Action.TRADE, price=UNDEF), "missing_value"),
        (bar(high=PRICE), "bad_bar"),
        (bar(low=6 * PRICE), "bad_bar"),
        (bar(close=UNDEF), "missing_value"),
        (bar(volume=2**63), "out_of_range"),
        (status(instrument_id=99), "unknown_instrument"),
        (status(ts_event=4_102_444_800 * 10**9), "absurd_time"),
        (bytes([14, 200]) + bytes(mbo())[2:], "unknown_type"),
        (bytes([14, 0]) + bytes(mbo())[2:], "wrong_length"),
        (bytes([14, 19]) + bytes(mbo())[2:], "wrong_length"),
        (bytes([130, 19]) + b"\xff" * 518, "malformed"),
    ],
)
def test_record_that_cannot_be_right_is_rejected(tmp_path, record, reason):
    # A first record of the only venue, and one decimal more than can be stored.
    assert reasons([mbo(), record, mbo(1)], tmp_path) == [(1, reason)]


def test_rejected_record_is_kept_in_its_raw_form(tmp_path):
    [block] = decode(file_bytes([mbo(), trade(price=UNDEF)]), tmp_path)
    assert block.rejected[0].raw == "hex:" + bytes(trade(price=UNDEF)).hex()


@pytest.mark.parametrize("cut", [1, 15, 30, 55])
def test_file_that_ends_inside_a_record_has_one_truncated(tmp_path, cut):
    content = file_bytes([mbo(i) for i in range(3)])[:-cut]
    [block] = decode(content, tmp_path)
    assert (block.stop, block.stored) == (3, 2)
    assert [(r.position, r.reason) for r in block.rejected] == [(2, "truncated")]


def test_file_without_records_is_one_empty_block(tmp_path):
    [block] = decode(metadata(), tmp_path)
    assert (block.start, block.stop) == (0, 0)


def test_record_of_no_length_ends_the_file_with_an_error(tmp_path):
    content = file_bytes([mbo(0)]) + bytes(100)
    with pytest.raises(InputError, match=r"test\.dbn: record 1 says that it is 0 bytes long"):
        decode(content, tmp_path)


@pytest.mark.parametrize("piece", [57, 100, 1000])
@pytest.mark.parametrize("rows", [1, 4, 1000])
def test_any_size_of_piece_and_block_reads_the_same(tmp_path, monkeypatch, piece, rows):
    """Records of all lengths, in runs and in turn."""
    chance = random.Random(piece)
    kinds = [mbo, trade, mbp1, bar, status]
    records = [mbo(i) for i in range(70)] + [chance.choice(kinds)() for _ in range(60)]
    content = file_bytes(records) + bytes(mbo())[:20]
    [whole] = decode(content, tmp_path)
    assert whole.stop == 131
    monkeypatch.setattr(dbn_frames, "_PIECE", piece)
    monkeypatch.setattr(base, "BLOCK_ROWS", rows)
    blocks = decode(content, tmp_path)
    assert [(b.start, b.stop) for b in blocks] == [
        (i, min(i + rows, 131)) for i in range(0, 131, rows)
    ]

    def flat(found):
        return (
            sorted(
                (t.kind, s, time, *(int(t.numbers[n][i]) for n in sorted(t.numbers)))
                for b in found
                for t in b.ticks
                for i, (s, time) in enumerate(zip(t.seq.tolist(), times(t), strict=True))
            ),
            [m for b in found for m in b.messages],
            [r for b in found for r in b.rejected],
        )

    assert flat(blocks) == flat([whole])


def test_symbols_follow_the_mappings_by_day(tmp_path):
    days = [date(2024, 3, 1), date(2024, 3, 5), date(2024, 3, 9)]
    header = metadata(symbols={"ESH4": [(*days[:2], "7")], "ESM4": [(*days[1:], "7")]})
    day = 86_400 * 10**9
    records = [mbo(0, ts_event=t, ts_recv=t) for t in (T0 - 9 * day, T0, T0 + day, T0 + 9 * day)]
    [block] = decode(file_bytes(records, header), tmp_path)
    assert symbols(block.ticks[0]) == ["ESH4", "ESM4"]
    assert [(r.position, r.reason) for r in block.rejected] == [
        (0, "unknown_instrument"),
        (3, "unknown_instrument"),
    ]


def test_symbols_asked_for_by_id_map_the_other_way(tmp_path):
    header = metadata(
        symbols={"7": [(date(2024, 1, 1), date(2025, 1, 1), "ESH4")]},
        stype_in=dbn.SType.INSTRUMENT_ID,
        stype_out=dbn.SType.RAW_SYMBOL,
    )
    assert symbols(one([mbo()], tmp_path, header)) == ["ESH4"]


@pytest.mark.parametrize("rows", [1, 2, 100])
@pytest.mark.parametrize(
    ("record", "kind"), [(definition(), "definition"), (mapping(), "symbol_mapping")]
)
def test_symbols_come_from_the_file_where_the_metadata_have_none(
    tmp_path, monkeypatch, rows, record, kind
):
    monkeypatch.setattr(base, "BLOCK_ROWS", rows)
    blocks = decode(file_bytes([mbo(0), record, mbo(1)], metadata(symbols={})), tmp_path)
    assert [m.columns["kind"] for b in blocks for m in b.messages] == [kind]
    assert [(r.position, r.reason) for b in blocks for r in b.rejected] == [
        (0, "unknown_instrument")
    ]
    assert [(t.seq.tolist(), symbols(t)) for b in blocks for t in b.ticks] == [([2], ["ESH4"])]


def test_symbol_that_no_instrument_can_have_is_rejected(tmp_path):
    year = date(2024, 1, 1), date(2025, 1, 1)
    header = metadata(symbols={"?!": [(*year, "7")]})
    assert reasons([mbo()], tmp_path, header) == [(0, "bad_symbol")]


@pytest.mark.parametrize(
    ("price", "scale"),
    [(PRICE // 4, 4), (PRICE // 100_000, 5), (PRICE // 2**8, 8), (1, 4), (UNDEF, 4)],
)
def test_price_scale_is_what_the_prices_need(tmp_path, price, scale):
    path = write(tmp_path / "x.dbn", file_bytes([mbo(0, price=price), mbo(1)]))
    [file] = DbnFormat().discover([path])
    assert (file.definition.price_scale, file.definition.kind) == (scale, "future")
    assert (file.kind, file.symbol) == (None, None)


def test_price_scale_of_definitions_is_what_their_increments_need(tmp_path):
    records = [definition(), definition(min_price_increment=PRICE // 2_000_000)]
    path = write(tmp_path / "x.dbn", file_bytes(records))
    assert DbnFormat().discover([path])[0].definition.price_scale == 7


@pytest.mark.parametrize("name", ["a.dbn", "a.dbn.zst", "a.dbn.gz", "misnamed.bin"])
def test_containers_are_recognised_by_what_they_hold(tmp_path, name):
    content = file_bytes([mbo(i) for i in range(3)])
    path = write(tmp_path / name, content)
    reader = DbnFormat()
    [file] = reader.discover([path])
    with reader.open(file) as opened:
        assert opened.read() == content
    assert file.content == ("GLBX.MDP3/mbo/2024-03-04T14:30:00/2024-03-04T14:46:40/ESH4,ESM4")


def test_zstd_of_several_frames_is_read(tmp_path):
    content = file_bytes([mbo(i) for i in range(3)])
    half = len(content) // 2
    path = tmp_path / "a.dbn.zst"
    path.write_bytes(
        b"".join(
            pa.compress(c, codec="zstd", asbytes=True) for c in (content[:half], content[half:])
        )
    )
    reader = DbnFormat()
    [file] = reader.discover([path])
    with reader.open(file) as opened:
        assert opened.read() == content


def test_damaged_files_are_refused_with_their_name(tmp_path):
    content = file_bytes([mbo(i) for i in range(2000)])
    packed = pa.compress(content, codec="zstd", asbytes=True)
    gzipped = gzip.compress(content)
    damaged = {
        "cut.dbn.zst": packed[: len(packed) // 2],
        "flipped.dbn.zst": packed[:4] + bytes([packed[4] ^ 0xFF]) + packed[5:],
        "cut.dbn.gz": gzipped[: len(gzipped) // 2],
        "empty.dbn": b"",
        "text.dbn": b"ts,price\n1,2\n" * 10,
        "metadata.dbn": content[:60],
        "version.dbn": content[:3] + b"\x63" + content[4:],
        "version0.dbn": content[:3] + b"\0" + content[4:],
        "long.dbn": content[:4] + b"\xff\xff\xff\xff" + content[8:],
    }
    for name, broken in damaged.items():
        path = tmp_path / name
        path.write_bytes(broken)
        with pytest.raises(InputError, match=name):
            DbnFormat().discover([path])
    (tmp_path / "nothing").mkdir()
    for missing in ("nothing", "absent.dbn"):
        with pytest.raises(InputError, match=missing):
            DbnFormat().discover([tmp_path / missing])


def test_folder_is_searched_and_a_file_named_twice_is_loaded_once(tmp_path):
    path = write(tmp_path / "a.dbn.zst", file_bytes([mbo()]))
    (tmp_path / "notes.txt").write_text("no data")
    assert [f.path for f in DbnFormat().discover([tmp_path, path])] == [path]


def test_library_that_is_missing_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "databento_dbn", None)
    with pytest.raises(ConfigurationError, match=r"databento-dbn.*\[feeds\]"):
        loader.FORMATS["dbn"](Options())


def test_many_symbols_are_named_by_their_digest(tmp_path):
    year = date(2024, 1, 1), date(2025, 1, 1)
    names = {f"ES{i:03}": [(*year, str(i + 1))] for i in range(100)}
    contents = set()
    for chosen in (names, dict(list(names.items())[:99])):
        path = write(tmp_path / "a.dbn", file_bytes([mbo()], metadata(symbols=chosen)))
        contents.add(DbnFormat().discover([path])[0].content)
    assert len(contents) == 2
    assert all("symbols" in content for content in contents)


# Bytes of any kind: blocks that count every record, or an error of ours.


RECORDS = [
    bytes(record)
    for record in (
        mbo(0, flags=dbn.F_SNAPSHOT, ts_recv=T0),
        mbo(1),
        mbo(2, action=dbn.Action.TRADE),
        trade(),
        mbp1(),
        bbo(),
        bar(),
        status(),
        definition(),
        mapping(),
        mbo(3, action=dbn.Action.FILL),
        mbo(4, action=dbn.Action.CANCEL),
    )
]
HEAD = metadata()
LATEST_US = (datetime.now(tz=UTC) - EPOCH).total_seconds() * 10**6 + 2 * 86_400 * 10**6


def survive(content: bytes, folder) -> bool:
    """Decode any bytes; return whether there were blocks, all of whose ticks can be stored."""
    try:
        blocks = decode(content, folder)
    except InputError:
        return False
    expected = 0
    for block in blocks:
        assert block.start == expected
        expected = block.stop
        for ticks in block.ticks:
            assert (ticks.ts <= LATEST_US).all()
            assert (ticks.recv_ts <= LATEST_US).all()
            assert ((ticks.ns >= 0) & (ticks.ns < 1000)).all()
            if ticks.kind == "trades":
                assert (ticks.numbers["price"] != NULL).all()
        for rejected in block.rejected:
            assert rejected.reason in base.REASONS
        for message in block.messages:
            assert "\0" not in str(message.columns)
    return True


def mutate(chance: random.Random, content: bytes, most: int = 8) -> bytes:
    """Change, insert, remove or repeat some bytes."""
    data = bytearray(content)
    for _ in range(chance.randrange(1, most)):
        if not data:
            break
        at = chance.randrange(len(data))
        choice = chance.random()
        if choice < 0.6:
            data[at] = chance.choice((chance.randrange(256), 0, 255, 127, 128))
        elif choice < 0.75:
            del data[at : at + chance.randrange(1, 30)]
        elif choice < 0.9:
            data[at:at] = chance.randbytes(chance.randrange(1, 30))
        else:
            data = data[: at + 1]
    return bytes(data)


def run_mutations(seed: int, count: int, folder) -> int:
    chance = random.Random(seed)
    blocks = 0
    for _ in range(count):
        records = b"".join(chance.choices(RECORDS, k=chance.randrange(1, 6)))
        if chance.random() < 0.85:
            content = HEAD + mutate(chance, records)
        else:
            content = mutate(chance, HEAD + records)
        blocks += survive(content, folder)
    return blocks


@settings(deadline=None, max_examples=200)
@given(st.binary(max_size=400))
def test_any_bytes_behind_the_metadata_are_survived(tmp_path_factory, tail):
    survive(HEAD + b"".join(RECORDS) + tail, tmp_path_factory.getbasetemp())


@settings(deadline=None, max_examples=100)
@given(st.binary(max_size=600))
def test_any_bytes_as_a_file_are_survived(tmp_path_factory, content):
    survive(content, tmp_path_factory.getbasetemp())


def test_damaged_bytes_are_survived(tmp_path):
    assert 100 < run_mutations(1, 600, tmp_path) < 600


@pytest.mark.long
def test_much_damaged_bytes_are_survived(tmp_path):
    assert run_mutations(2, 200_000, tmp_path) > 50_000
