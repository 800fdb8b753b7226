"""JSON messages as rows: exact values, every message counted, garbage told apart."""

from __future__ import annotations

import json
import os
import random
from datetime import UTC, datetime, timedelta
from decimal import Decimal, InvalidOperation
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tsdb_trader.errors import InputError
from tsdb_trader.feeds import pgcopy
from tsdb_trader.feeds.base import EPOCH, NULL, REASONS, Block, Gap
from tsdb_trader.feeds.json_mapping import read_json_mapping
from tsdb_trader.feeds.json_rows import JsonRows, Received
from tsdb_trader.feeds.store import build

MAPPING: dict[str, Any] = {
    "instrument": {"kind": "crypto", "price_scale": 2, "size_scale": 8},
    "ignore": [{"type": ["heartbeat", "ack"]}, {"pong": True}],
    "rows": [
        {
            "where": {"type": "trades"},
            "each": "data.list",
            "kind": "trades",
            "symbol": {"column": "^.pair", "values": {"btcusd": "BTC-USD"}},
            "time": {"column": "t", "format": "ms"},
            "columns": {"price": "p", "size": "q", "trade_id": "id"},
        },
        {
            "where": {"type": "quote"},
            "kind": "quotes",
            "symbol": "pair",
            "time": "t",
            "columns": {
                "bid_price": "b.0",
                "bid_size": "b.1",
                "ask_price": "a.0",
                "ask_size": "a.1",
            },
        },
        {
            "where": {"type": "halt"},
            "kind": "statuses",
            "symbol": "pair",
            "time": {"column": "t", "format": "us"},
            "columns": {"kind": {"constant": "halt"}, "code": "c", "detail": "."},
        },
        {
            "where": {"type": "index"},
            "kind": "series",
            "time": {"column": "t", "format": "s"},
            "columns": {"series": "n", "value": "v"},
        },
        {
            "where": {"type": "news"},
            "kind": "news",
            "time": "t",
            "columns": {"headline": "h", "headline_id": "id", "symbols": "s"},
        },
    ],
}
NOW = datetime(2024, 6, 1, tzinfo=UTC)


class Clock:
    """A clock that stands still."""

    def now(self) -> datetime:
        return NOW

    def monotonic(self) -> float:
        return 0.0


def rows(mapping: dict[str, Any] | None = None, **changes: Any) -> JsonRows:
    return JsonRows(read_json_mapping((mapping or MAPPING) | changes), Clock())


def decode(*messages: Any, start: int = 0, reader: JsonRows | None = None) -> Block:
    raws = [m if isinstance(m, bytes) else json.dumps(m).encode() for m in messages]
    block = (reader or rows()).decode([Received(raw, 77) for raw in raws], start)
    block.check()
    return block


def trade(**changes: Any) -> dict[str, Any]:
    one = {"t": 1700000000123, "p": "1.5", "q": 1, "id": 7} | changes
    return {"type": "trades", "pair": "btcusd", "data": {"list": [one]}}


def reasons(*messages: Any) -> list[str]:
    return [row.reason for row in decode(*messages).rejected]


def test_trades_in_a_list_are_a_row_each() -> None:
    message = trade()
    message["data"]["list"].append({"t": "1700000000124", "p": 2, "q": "0.00000001"})
    (ticks,) = decode(message, start=10).ticks
    assert ticks.seq.tolist() == [10, 11]
    assert ticks.numbers["price"].tolist() == [150, 200]
    assert ticks.numbers["size"].tolist() == [10**8, 1]
    assert ticks.numbers["trade_id"].tolist() == [7, NULL]
    assert ticks.symbols is not None
    assert list(ticks.symbols.values) == ["BTC-USD"]
    at = EPOCH + timedelta(microseconds=int(ticks.ts[0]))
    assert at == datetime.fromtimestamp(1_700_000_000, UTC) + timedelta(milliseconds=123)
    assert ticks.recv_ts is not None
    assert ticks.recv_ts.tolist() == [77, 77]


def test_quote_keeps_nanoseconds_and_an_absent_side() -> None:
    (ticks,) = decode(
        {
            "type": "quote",
            "pair": "AAA",
            "t": "2024-03-01T10:00:00.123456789Z",
            "b": [10.25, 3],
            "a": None,
        }
    ).ticks
    assert ticks.ns is not None
    assert (ticks.ts.tolist()[0] % 10**6, ticks.ns.tolist()) == (123456, [789])
    assert ticks.numbers["bid_price"].tolist() == [1025]
    assert ticks.numbers["ask_price"].tolist() == [NULL]
    assert ticks.flags.tolist() == [1]


def test_messages_become_statuses_series_and_news() -> None:
    block = decode(
        {"type": "halt", "pair": "AAA", "t": 1700000000000001, "c": "H", "why": 1.50},
        {"type": "index", "t": 1700000000, "n": "CPI", "v": 3.10},
        {"type": "news", "t": "2024-03-01T10:00:00Z", "h": "Up", "id": 5, "s": "AAA, BBB,AAA"},
    )
    status, series, news = block.messages
    assert (status.symbol, status.columns["code"], status.columns["detail"]["why"]) == (
        "AAA",
        "H",
        "1.5",
    )
    assert series.columns == {"series": "CPI", "value": Decimal("3.1"), "unit": ""}
    assert news.columns["symbols"] == ["AAA", "BBB"]
    assert news.columns["headline_id"] == "5"


def test_uninteresting_messages_are_counted_and_give_no_rows() -> None:
    reader = rows()
    block = decode(
        {"type": "heartbeat"}, {"pong": 1}, {"type": "trades", "data": {"list": []}}, reader=reader
    )
    assert (block.start, block.stop, reader.messages, reader.ignored) == (0, 0, 3, 3)


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        (b"\xff\xfe", "not_utf8"),
        (b'{"type": "quote", "pair": "\\ud800"}', "not_utf8"),
        (b"", "malformed"),
        (b"{", "malformed"),
        (b'{"type": "index", "type": "index"}', "malformed"),
        (b"[" * 100_000, "malformed"),
        (b"3", "unknown_type"),
        (b"null", "unknown_type"),
        ({"type": "surprise"}, "unknown_type"),
        ({"type": {"a": 1}}, "unknown_type"),
        ({"type": "trades", "pair": "btcusd", "data": {"list": 5}}, "malformed"),
        ({"type": "trades", "pair": "btcusd", "data": {"list": [5]}}, "missing_value"),
        (trade(p=[1]), "malformed"),
        (trade(p="x"), "not_a_number"),
        (trade(p=float("nan")), "nan"),
        (trade(p=float("inf")), "nan"),
        (trade(p=True), "not_a_number"),
        (trade(p=1.555), "too_precise"),
        (trade(p="1e20"), "out_of_range"),
        (trade(p="1e99999999999999999999"), "out_of_range"),
        (trade(p="1e-99999999999999999999"), "too_precise"),
        (trade(p=-1), "negative_price"),
        (trade(p=0), "zero_price"),
        (trade(q=0), "zero_size"),
        (trade(p=None), "missing_value"),
        (trade(id=1.5), "too_precise"),
        (trade(id=2**63), "out_of_range"),
        (trade(t=-1), "absurd_time"),
        (trade(t=10**17), "absurd_time"),
        (trade(t=10**30), "absurd_time"),
        (trade(t="yesterday"), "not_a_number"),
        (trade(t=None), "missing_value"),
        (b'{"type": "trades", "data": {"list": [{"t": 1, "p": ' + b"9" * 5000 + b"}]}}", "out_of_range"),
        ({"type": "quote", "pair": "aaa", "t": "2024-03-01T10:00:00Z", "b": [1, 1]}, "bad_symbol"),
        ({"type": "quote", "pair": "A", "t": "2024-03-01T10:00:00Z", "b": [9, 1], "a": [1, 1]}, "crossed"),
        ({"type": "quote", "pair": "A", "t": "24-03-01", "b": [1, 1]}, "not_a_time"),
        ({"type": "index", "t": 1, "n": "x", "v": "1e999"}, "out_of_range"),
        ({"type": "index", "t": 1, "n": "x", "v": "NaN"}, "nan"),
        ({"type": "halt", "t": 1, "c": "a", "x": "\0"}, "malformed"),
        ({"type": "news", "t": "2024-03-01T10:00:00Z", "h": ""}, "missing_value"),
        ({"type": "news", "t": "2024-03-01T10:00:00Z", "h": "x", "s": [{}]}, "malformed"),
    ],
    ids=str,
)  # fmt: skip
def test_message_that_cannot_be_right_is_rejected(message: Any, reason: str) -> None:
    block = decode(message, trade())
    assert [row.reason for row in block.rejected] == [reason]
    assert block.stored == 1
    assert block.rejected[0].raw.isprintable() or "\\" in block.rejected[0].raw


def test_every_reason_is_known() -> None:
    assert {"bad_sequence", "sequence_backwards", "tied_rows"} <= set(REASONS)


# Messages that are rows (Kafka) ---------------------------------------------------------------


def shared(*messages: tuple[int, Any], start: int = 0, stop: int = 10) -> Block:
    received = [Received(json.dumps(m).encode(), 0, row) for row, m in messages]
    block = rows().decode(received, start, stop)
    block.check()
    return block


def test_message_that_is_a_row_is_wholly_good_or_rejected() -> None:
    bad = trade()
    bad["data"]["list"].append({"t": 1700000000124, "p": "x", "q": 1})
    block = shared((3, bad), (5, trade()))
    assert [(row.position, row.reason) for row in block.rejected] == [(3, "not_a_number")]
    assert [t.seq.tolist() for t in block.ticks] == [[5]]
    assert block.missing == 8


def test_message_that_is_a_row_cannot_have_tied_ticks() -> None:
    tied, apart = trade(), trade()
    tied["data"]["list"] *= 2
    apart["data"]["list"].append(apart["data"]["list"][0] | {"t": 1700000000124})
    block = shared((3, tied), (5, apart))
    assert [(row.position, row.reason) for row in block.rejected] == [(3, "tied_rows")]
    assert block.ticks[0].seq.tolist() == [5, 5]


# Sequence numbers ------------------------------------------------------------------------------


def numbered(*numbers: Any, reader: JsonRows | None = None, price: str = "1.5") -> Block:
    reader = reader or rows(sequence="n")
    return decode(*(trade(p=price) | {"n": n} for n in numbers), reader=reader)


def test_sequence_gap_is_seen_and_filled_later() -> None:
    block = numbered(5, 6, 9, 12, 7, 10, 11)
    assert block.gaps == [Gap(7, 8), Gap(10, 11)]
    assert block.filled == [Gap(7, 7), Gap(10, 10), Gap(11, 11)]
    assert block.stop == 7


def test_sequence_repeated_is_dropped_only_with_equal_content() -> None:
    reader = rows(sequence="n")
    block = numbered(5, 6, 6, reader=reader)
    assert (block.duplicates, block.stop) == (1, 2)
    block = numbered(6, reader=reader, price="1.6")
    assert [row.reason for row in block.rejected] == ["sequence_backwards"]


def test_sequence_lower_after_a_reconnect_is_a_new_numbering() -> None:
    reader = rows(sequence="n")
    numbered(500, 501, reader=reader)
    reader.sequence.reconnected()
    block = numbered(1, 2, 4, reader=reader)
    assert (block.stop, block.gaps, block.duplicates) == (3, [Gap(3, 3)], 0)
    assert reader.sequence.restarts == 1


def test_sequence_replayed_after_a_reconnect_is_dropped() -> None:
    reader = rows(sequence={"path": "n", "replays": True})
    reader.sequence.last = 501
    reader.sequence.reconnected()
    block = numbered(500, 501, 502, 504, reader=reader)
    assert (block.duplicates, block.stop, block.gaps) == (2, 2, [Gap(503, 503)])


def test_sequence_known_from_before_a_restart_shows_the_gap() -> None:
    reader = rows(sequence="n")
    reader.sequence.last = 10
    reader.sequence.reconnected()
    assert numbered(15, reader=reader).gaps == [Gap(11, 14)]


@pytest.mark.parametrize("number", [-1, 1.5, "x", 2**62, True, [1], "٣"])
def test_sequence_that_is_no_number_is_rejected(number: Any) -> None:
    assert [row.reason for row in numbered(number).rejected] == ["bad_sequence"]


def test_sequence_absurdly_far_ahead_loses_nothing_after_it() -> None:
    block = numbered(5, 10**15, 6, 7, 8)
    assert (block.stop, block.duplicates, block.rejected) == (5, 0, [])
    assert block.filled == [Gap(6, 6), Gap(7, 7), Gap(8, 8)]


# Mappings --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("mapping", "says"),
    [
        (None, "must be an object"),
        ({}, "rows: is missing"),
        ({"rows": [{"kind": "ticks"}]}, "kind: 'ticks' is not known"),
        ({"rows": [5]}, "rows.0 must be an object"),
        ({"rows": [{"kind": "trades", "columns": {"price": "p"}, "time": "t"}]}, "size: is missing"),
        ({"rows": [MAPPING["rows"][0] | {"colums": {}}]}, "colums: no such key; did you mean columns"),
        ({"rows": [MAPPING["rows"][0] | {"order": "time"}]}, "order: is not said here"),
        ({"rows": [MAPPING["rows"][0] | {"where": {"a": {}}}]}, "where.a: must be"),
        ({"rows": [MAPPING["rows"][0] | {"time": {"column": "t", "format": "ps"}}]}, "'ps' is none of"),
        ({"rows": MAPPING["rows"], "sequence": {"replays": True}}, "path: is missing"),
        ({"rows": MAPPING["rows"], "instrument": {"price_scale": 12}}, "price_scale"),
    ],
)  # fmt: skip
def test_mapping_that_cannot_be_says_where(mapping: Any, says: str) -> None:
    with pytest.raises(InputError, match=says):
        read_json_mapping(mapping)


# Fuzz ------------------------------------------------------------------------------------------

_LEAVES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=8),
    st.sampled_from(["btcusd", "AAA", "1.5", "1e5", "NaN", "2024-03-01T10:00:00Z", "-0", "0x1"]),
    st.integers(1_600_000_000_000, 1_800_000_000_000),
)
_VALUES = st.recursive(
    _LEAVES,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["t", "p", "q", "id", "b", "a", "list", "0"]), inner, max_size=4
        )
    ),
    max_leaves=6,
)
_ITEM = st.fixed_dictionaries({}, optional={k: _VALUES for k in ("t", "p", "q", "id")})
_MESSAGES = st.one_of(
    st.fixed_dictionaries(
        {"type": st.sampled_from(["trades", "quote", "halt", "index", "news", "ack", "?"])},
        optional={
            "pair": st.sampled_from(["btcusd", "AAA", "", "a b", "é"]) | _VALUES,
            "n": st.integers(0, 30) | _VALUES,
            "data": st.fixed_dictionaries({"list": st.lists(_ITEM, max_size=3)}) | _VALUES,
            **{key: _VALUES for key in ("t", "b", "a", "c", "v", "h", "s", "id")},
        },
    ).map(lambda value: json.dumps(value).encode()),
    _VALUES.map(lambda value: json.dumps(value).encode()),
    st.binary(max_size=30),
)  # fmt: skip


def _mutated(raws: list[bytes], seed: int) -> list[bytes]:
    rng = random.Random(seed)
    found = []
    for raw in raws:
        data = bytearray(raw)
        if data and rng.random() < 0.2:
            for _ in range(rng.randint(1, 3)):
                place = rng.randrange(len(data))
                match rng.randrange(3):
                    case 0:
                        data[place] = rng.randrange(256)
                    case 1:
                        del data[place:]
                    case _:
                        data[place:place] = data[: rng.randrange(9)]
                if not data:
                    break
        found.append(bytes(data))
    return found


def _check_fuzzed(raws: list[bytes]) -> None:
    """Every message is counted, and what is good can be written."""
    reader = rows(sequence="n")
    block = reader.decode([Received(raw, 0) for raw in raws], 5)
    build(block)
    gone = block.duplicates + reader.ignored
    assert block.stop - block.start + gone >= len(raws)
    for row in block.rejected:
        assert row.reason in REASONS
        row.raw.encode()
        assert "\0" not in row.raw
    for ticks in block.ticks:
        for piece in pgcopy.encode(ticks, [pgcopy.Target(1, 1, 1)] * len(ticks.symbols.values)):
            assert isinstance(piece, bytes)
        for name, column in ticks.numbers.items():
            if name != "trade_id":
                assert (np.abs(column[column != NULL]) < 10**15).all()
    for message in block.messages:
        assert "\\u0000" not in json.dumps(message.columns, default=str)
    # The same as messages that are rows.
    whole = rows().decode([Received(raw, 0, n) for n, raw in enumerate(raws)], 0, len(raws))
    build(whole)
    assert whole.start + whole.stored + len(whole.rejected) + whole.missing == len(raws)


_BATCH = 40


@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(_MESSAGES, min_size=_BATCH, max_size=_BATCH), st.integers(0, 2**32))
def test_fuzzed_messages_are_stored_or_rejected(raws: list[bytes], seed: int) -> None:
    _check_fuzzed(_mutated(raws, seed))


@pytest.mark.long
@pytest.mark.timeout(3600)
def test_fuzzed_messages_by_the_hundred_thousand() -> None:
    """Mutates messages that are nearly right; TSDB_TRADER_FUZZ_INPUTS sets how many."""
    _fuzz(int(os.environ.get("TSDB_TRADER_FUZZ_INPUTS", "200000")))


def test_fuzzed_messages_nearly_right_are_stored_or_rejected() -> None:
    _fuzz(10_000)


def _fuzz(wanted: int) -> None:
    rng = random.Random(20240601)
    good = [trade(), trade(p=2.25), *(
        {"type": kind, "pair": "AAA", "t": t, "b": [1, 2], "a": [3, 4], "c": "x", "n": 3, "v": "1.5",
         "h": "Up", "s": ["A"]}
        for kind in ("quote", "halt", "index", "news", "ack")
        for t in ("2024-03-01T10:00:00.5Z", 1700000000, 1700000000123456)
    )]  # fmt: skip
    texts = [json.dumps(message).encode() for message in good]
    done = 0
    while done < wanted:
        raws = [rng.choice(texts) for _ in range(1000)]
        _check_fuzzed(_mutated(_mutated(raws, rng.getrandbits(32)), rng.getrandbits(32)))
        done += len(raws)
    print(f"{done} fuzzed messages")


@given(st.decimals(allow_nan=False, allow_infinity=False))
@settings(max_examples=100, deadline=None)
def test_price_is_exactly_what_the_message_says(price: Decimal) -> None:
    block = decode(trade(p=str(price)))
    try:
        exact = price * 100
        fits = exact == exact.to_integral_value() and 0 < exact < 10**15
    except InvalidOperation:
        fits = False
    if fits:
        assert block.ticks[0].numbers["price"].tolist() == [int(exact)]
    else:
        assert len(block.rejected) == 1


def test_sequence_new_numbering_that_begins_in_an_old_gap_is_found_out() -> None:
    reader = rows(sequence="n")
    numbered(1, 2, 5, 6, 7, 8, reader=reader)
    reader.sequence.reconnected()
    block = numbered(4, 5, 6, reader=reader, price="1.7")
    assert (block.stop, block.rejected, reader.sequence.last) == (3, [], 6)
