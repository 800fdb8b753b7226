"""OUCH 5.0: real captures, every message there and back, and bytes that are none."""

from __future__ import annotations

import tarfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tsdb_trader.feeds import base, ouch, soupbin
from tsdb_trader.feeds.ouch import Message, OuchError
from tsdb_trader.feeds.ouch_layouts import (
    FROM_VENUE,
    MAX_PRICE,
    MAX_QUANTITY,
    OPTION_TAGS,
    OPTIONS,
    TO_VENUE,
    Field,
    Layout,
)

CAPTURES = "Nasdaq/Nasdaq.Nsm.Ouch.v5.0"

# Lengths in bytes with an empty appendage, as the specification's tables add up to them.
LENGTHS = {
    True: {"O": 47, "U": 40, "X": 11, "M": 12, "C": 19, "D": 11, "E": 11, "Q": 3},
    False: {
        **{"S": 10, "A": 64, "U": 68, "C": 20, "D": 34, "E": 36, "B": 38, "J": 31, "P": 15},
        **{"I": 15, "T": 32, "M": 20, "R": 16, "X": 27, "G": 19, "K": 19, "Q": 15},
    },
}


def captured(data_folder: Path, name: str) -> bytes:
    """Return what a capture of one TCP segment carries, without Ethernet's padding and trailer."""
    archive = data_folder / "itch_ouch" / "omi-data-packets_all.tar.gz"
    if not archive.is_file():
        pytest.skip(f"no captures in {archive}")
    with tarfile.open(archive) as tar:
        member = tar.extractfile(f"./{CAPTURES}/{name}.pcap")
        assert member is not None
        frame = member.read()[40:]
    start = 18 if frame[12:14] == b"\x81\x00" else 14
    end = start + int.from_bytes(frame[start + 2 : start + 4], "big")
    tcp = start + 4 * (frame[start] & 15)
    return frame[tcp + 4 * (frame[tcp + 12] >> 4) : end]


@pytest.mark.parametrize(
    ("name", "packet_type", "expected", "options"),
    [
        (
            "EnterOrderMessage",
            "U",
            {
                "user_ref_num": 113,
                "side": "T",
                "quantity": 225,
                "symbol": "CVLT",
                "price": 630_200,
                "time_in_force": "0",
                "display": "Y",
                "capacity": "A",
                "intermarket_sweep": "N",
                "cross_type": "N",
                "cl_ord_id": "H8FUB8IV",
            },
            {"firm": "LIME"},
        ),
        ("CancelOrderMessage", "U", {"user_ref_num": 7_679_601, "quantity": 0}, None),
        (
            "OrderAcceptedMessage",
            "S",
            {
                "timestamp": 44_647_483_486_087,
                "user_ref_num": 7_682_701,
                "side": "B",
                "quantity": 40,
                "symbol": "ADBE",
                "price": 4_777_800,
                "time_in_force": "5",
                "display": "Y",
                "order_reference_number": 257_340_661,
                "capacity": "A",
                "intermarket_sweep": "N",
                "cross_type": "N",
                "order_state": "L",
                "cl_ord_id": "7682701",
            },
            {"firm": "MLRO", "bbo_weight": "0"},
        ),
        (
            "CanceledMessage",
            "S",
            {
                "timestamp": 44_647_483_708_183,
                "user_ref_num": 7_682_701,
                "quantity": 40,
                "reason": "U",
            },
            None,
        ),
    ],
)
def test_decode_real_capture_gives_the_values_read_by_hand(
    data_folder: Path,
    name: str,
    packet_type: str,
    expected: dict[str, object],
    options: dict[str, object] | None,
) -> None:
    raw = captured(data_folder, name)
    server = packet_type == "S"
    decoder = soupbin.Decoder(soupbin.FROM_SERVER if server else soupbin.FROM_CLIENT)
    (packet,) = decoder.feed(raw)
    assert (packet.type, decoder.pending) == (packet_type, 0)
    message = ouch.decode(packet.payload, to_venue=not server)
    assert message.values == expected
    assert message.options == options
    assert soupbin.encode(soupbin.Packet(packet_type, ouch.encode(message))) == raw


@pytest.mark.parametrize(
    ("name", "kind"), [("ServerHeartbeatPacket", "H"), ("ClientHeartbeatPacket", "R")]
)
def test_decode_real_heartbeat_gives_an_empty_packet(
    data_folder: Path, name: str, kind: str
) -> None:
    decoder = soupbin.Decoder(soupbin.FROM_SERVER | soupbin.FROM_CLIENT)
    assert decoder.feed(captured(data_folder, name)) == [soupbin.Packet(kind)]


def test_layouts_add_up_to_the_lengths_of_the_specification() -> None:
    found = {
        direction: {
            letter: layout.struct.size + (0 if layout.appendage == "never" else 2)
            for letter, layout in layouts.items()
        }
        for direction, layouts in ((True, TO_VENUE), (False, FROM_VENUE))
    }
    assert found == LENGTHS
    assert len(OPTIONS) == len(OPTION_TAGS) == 26


def value_of(field: Field) -> st.SearchStrategy[int | str]:
    bits = 8 * field.size
    if field.kind == "signed":
        return st.integers(-(1 << bits - 1), (1 << bits - 1) - 1)
    if field.kind == "number":
        return st.integers(0, (1 << bits) - 1)
    if field.kind == "code":
        return st.sampled_from(field.codes)
    text = st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E), max_size=field.size)
    return text.map(lambda t: t.rstrip(" "))


def bounded(field: Field, to_venue: bool) -> st.SearchStrategy[int | str]:
    """What we send is an order: its numbers have limits."""
    if to_venue and field.name == "quantity":
        return st.integers(1, MAX_QUANTITY)
    if to_venue and field.name == "price":
        return st.integers(1, MAX_PRICE) | st.sampled_from([2_000_000_000, 0x7FFFFFFF])
    if field.name == "expire_time":
        return st.integers(0, 86_399)
    return value_of(field)


@st.composite
def messages(draw: st.DrawFn) -> Message:
    to_venue = draw(st.booleans())
    layouts = TO_VENUE if to_venue else FROM_VENUE
    letter = draw(st.sampled_from(sorted(layouts)))
    layout: Layout = layouts[letter]
    values = {field.name: draw(bounded(field, to_venue)) for field in layout.fields}
    options = None
    if layout.appendage == "always" or (layout.appendage == "maybe" and draw(st.booleans())):
        tags = draw(st.lists(st.sampled_from(sorted(layout.options)), unique=True))
        options = {OPTIONS[tag].name: draw(bounded(OPTIONS[tag], to_venue)) for tag in tags}
    return Message(letter, to_venue, values, options)


def there_and_back(message: Message) -> None:
    raw = ouch.encode(message)
    for strict in (True, False):
        read = ouch.decode(raw, to_venue=message.to_venue, strict=strict)
        assert read == message
        assert list(read.options or ()) == list(message.options or ())
    assert ouch.encode(read) == raw


def read_anything(raw: bytes, to_venue: bool) -> None:
    """Whatever the bytes are: a message that says the same again, or a reason."""
    for strict in (True, False):
        message, refused = None, None
        try:
            message = ouch.decode(raw, to_venue=to_venue, strict=strict)
        except OuchError as error:
            refused = error
        if refused is not None:
            assert refused.reason in base.REASONS
            assert refused.raw == raw.hex()
        elif strict and message is not None:
            assert ouch.encode(message) == raw


@given(messages())
@settings(max_examples=1000, deadline=None)
def test_encode_then_decode_gives_the_same_message(message: Message) -> None:
    there_and_back(message)


anything = st.builds(
    lambda letter, rest: letter + rest,
    st.sampled_from([k.encode() for k in sorted({*TO_VENUE, *FROM_VENUE})]),
    st.binary(max_size=90),
) | st.binary(max_size=90)


@st.composite
def damaged(draw: st.DrawFn) -> tuple[bytes, bool]:
    """A right message with some bytes changed, cut off or added."""
    message = draw(messages())
    raw = bytearray(ouch.encode(message))
    for _ in range(draw(st.integers(1, 3))):
        raw[draw(st.integers(0, len(raw) - 1))] = draw(st.integers(0, 255))
    cut = draw(st.integers(0, len(raw)))
    return bytes(raw[:cut]) + draw(st.binary(max_size=4)), message.to_venue


@given(anything, st.booleans())
@settings(max_examples=1000, deadline=None)
def test_decode_any_bytes_gives_a_message_or_a_reason(raw: bytes, to_venue: bool) -> None:
    read_anything(raw, to_venue)


@given(damaged())
@settings(max_examples=1000, deadline=None)
def test_decode_damaged_message_gives_a_message_or_a_reason(given: tuple[bytes, bool]) -> None:
    read_anything(*given)


@pytest.mark.long
@given(messages(), damaged(), anything, st.booleans())
@settings(max_examples=10_000, deadline=None)
def test_decode_long_fuzz_never_fails(
    message: Message, wrong: tuple[bytes, bool], raw: bytes, to_venue: bool
) -> None:
    there_and_back(message)
    read_anything(*wrong)
    read_anything(raw, to_venue)


EXECUTED = Message(
    "E",
    False,
    {
        "timestamp": 1,
        "user_ref_num": 2,
        "quantity": 3,
        "price": 4,
        "liquidity_flag": "A",
        "match_number": 5,
    },
)


def test_decode_execution_with_a_flag_of_tomorrow_comes_through_where_it_must() -> None:
    raw = ouch.encode(EXECUTED).replace(b"A", b"~")
    with pytest.raises(OuchError, match="liquidity_flag"):
        ouch.decode(raw, to_venue=False)
    assert ouch.decode(raw, to_venue=False, strict=False).text("liquidity_flag") == "~"


def test_decode_option_of_tomorrow_comes_through_where_it_must() -> None:
    raw = ouch.encode(EXECUTED) + bytes.fromhex("0004 0363abcd")
    with pytest.raises(OuchError, match="no option 99"):
        ouch.decode(raw, to_venue=False)
    message = ouch.decode(raw, to_venue=False, strict=False)
    assert message.options == {"tag_99": "abcd"}


def test_decode_unknown_side_is_never_passed_on() -> None:
    raw = bytearray(
        ouch.encode(
            Message("M", False, {"timestamp": 1, "user_ref_num": 2, "side": "B", "quantity": 3})
        )
    )
    raw[13:14] = b"Q"
    with pytest.raises(OuchError, match="side 'Q'") as caught:
        ouch.decode(bytes(raw), to_venue=False, strict=False)
    assert caught.value.reason == "malformed"


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        ("", "truncated"),
        ("5a", "unknown_type"),
        ("58", "truncated"),
        ("5800000001000f4240", "out_of_range"),
        ("580000000100000001 00", "wrong_length"),
        ("580000000100000001 0001", "wrong_length"),
        ("580000000100000001 0001 00", "wrong_length"),
        ("580000000100000001 0003 05 1c 01", "wrong_length"),
        ("580000000100000001 0003 02 63 01", "malformed"),
        ("580000000100000001 0003 02 02 01", "malformed"),
        ("580000000100000001 0006 021c01 021c01", "malformed"),
        ("44 00000001 4c494d00 0000", "malformed"),
    ],
)
def test_decode_wrong_bytes_says_what_is_wrong(raw: str, reason: str) -> None:
    data = bytes.fromhex(raw)
    with pytest.raises(OuchError) as caught:
        ouch.decode(data, to_venue=True)
    assert (caught.value.reason, caught.value.raw) == (reason, data.hex())


@pytest.mark.parametrize(
    ("changes", "options", "reason"),
    [
        ({"quantity": 0}, {}, "out_of_range"),
        ({"quantity": 1_000_000}, {}, "out_of_range"),
        ({"price": MAX_PRICE + 1}, {}, "out_of_range"),
        ({"price": 0}, {}, "out_of_range"),
        ({"user_ref_num": 1 << 32}, {}, "out_of_range"),
        ({"user_ref_num": True}, {}, "out_of_range"),
        ({"symbol": "LONGSYMBOL"}, {}, "wrong_length"),
        ({"symbol": "A\x00"}, {}, "malformed"),
        ({"side": "X"}, {}, "malformed"),
        ({"side": ""}, {}, "malformed"),
        ({"extra": 1}, {}, "missing_value"),
        ({}, {"expire_time": 86_400}, "out_of_range"),
        ({}, {"display_price": 1}, "malformed"),
        ({}, {"nonsense": 1}, "malformed"),
        ({}, None, "missing_value"),
    ],
)
def test_encode_what_the_specification_lacks_is_refused(
    changes: dict[str, object], options: dict[str, object] | None, reason: str
) -> None:
    order = {
        "user_ref_num": 1,
        "side": "B",
        "quantity": 100,
        "symbol": "IBM",
        "price": 1_000_000,
        "time_in_force": "0",
        "display": "Y",
        "capacity": "P",
        "intermarket_sweep": "N",
        "cross_type": "N",
        "cl_ord_id": "1",
    }
    assert ouch.encode(Message("O", True, order, {}))
    with pytest.raises(OuchError) as caught:
        ouch.encode(Message("O", True, order | changes, options))  # type: ignore[arg-type]
    assert caught.value.reason == reason
