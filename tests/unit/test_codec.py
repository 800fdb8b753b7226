"""FIX text → fields: whatever arrives is read or refused, and passwords are not kept."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fix_dialects import ORDER, text
from tsdb_trader.fix import codec, codec_orders, codec_reports, codec_trades
from tsdb_trader.fix.codec import SOH, CodecError
from tsdb_trader.fix.versions import FIX44

SESSION = "FIX.4.4:TSDB->SIM"
HEAD = [(8, "FIX.4.4"), (9, 100), (35, "8"), (34, 5), (49, "SIM"), (56, "TSDB"), (52, "20240102-03:04:05")]  # fmt: skip
# One message of every type that is read, with every kind of field.
READ = [
    text(*HEAD, (37, "V1"), (11, "A"), (17, "E1"), (20, 1), (150, "F"), (39, "1"), (54, 1), (55, "IBM"), (38, 100), (44, "9.5"), (32, 40), (31, "9.5"), (151, 60), (14, 40), (6, "9.5"), (12, "0.4"), (13, 1), (75, "20240102"), (60, "20240102-03:04:05.123"), (911, 3), (912, "Y"), (354, 3), (355, f"a{SOH}b"), (10, "000")),
    text(*HEAD[:2], (35, "9"), *HEAD[3:], (37, "V1"), (11, "C"), (41, "A"), (39, "8"), (434, 1), (102, 0), (10, "000")),
    text(*HEAD[:2], (35, "r"), *HEAD[3:], (11, "C"), (530, 7), (531, 7), (533, 12), (60, "20240102-03:04:05"), (10, "000")),
    text(*HEAD[:2], (35, "AE"), *HEAD[3:], (571, "T"), (32, 40), (31, "9.5"), (75, "20240102"), (60, "20240102-03:04:05"), (552, 2), (54, 1), (37, "V1"), (54, 2), (37, "V2"), (748, 2), (10, "000")),
    text(*HEAD[:2], (35, "AQ"), *HEAD[3:], (568, "R"), (749, 0), (750, 0), (748, 5), (10, "000")),
    text(*HEAD[:2], (35, "j"), *HEAD[3:], (45, 4), (372, "D"), (379, "A"), (380, 3), (10, "000")),
    text(*HEAD[:2], (35, "3"), *HEAD[3:], (45, 4), (371, 40), (373, 5), (10, "000")),
    text(*HEAD[:2], (35, "A"), *HEAD[3:], (98, 0), (108, 10), (95, 3), (96, f"a{SOH}b"), (554, "x"), (10, "000")),
]  # fmt: skip
OURS = codec.parse(text((34, 4)) + codec_orders.encode_action(ORDER, FIX44).render())


def read(raw: str) -> list[Any]:
    """Do with a text all that can be done with a message, whatever type it says it has."""
    found: list[Any] = []

    def attempt(work: Any) -> None:
        try:
            found.append(work())
        except CodecError:
            found.append(None)

    attempt(lambda: codec.parse(raw))
    fields = found[0] or {}
    attempt(lambda: codec.masked(raw, "IBM"))
    attempt(lambda: codec.describe("in", SESSION, raw))
    attempt(lambda: codec_trades.decode_trades(raw))
    attempt(lambda: codec_reports.decode_report(fields))
    attempt(lambda: codec_reports.decode_mass_cancel(fields))
    attempt(lambda: codec_trades.decode_trade_ack(fields))
    for refused in (OURS, {}, fields):
        attempt(lambda refused=refused: codec_reports.rejection(fields, refused, SESSION))
        attempt(lambda refused=refused: codec_reports.refused_request(fields, refused))
    attempt(lambda: codec_reports.reason_of(fields))
    attempt(lambda: codec.repeated(fields))
    return found


@st.composite
def damaged(draw: st.DrawFn) -> str:
    """Draw a message with some of its characters lost, changed, repeated or moved."""
    raw = draw(st.sampled_from(READ))
    for _ in range(draw(st.integers(1, 4))):
        start = draw(st.integers(0, len(raw)))
        end = draw(st.integers(start, min(len(raw), start + 12)))
        other = draw(
            st.sampled_from(
                ["", "=", SOH, "-", ".", "\x00", "²", "٣", "é", "\udce9", "9" * 30, raw]
            )
            | st.text(max_size=3)
            | st.just(raw[start:end] * 2)
        )
        raw = raw[:start] + other + raw[end:]
    return raw


@given(damaged())
def test_damaged_message_is_read_or_refused_and_never_more(raw: str) -> None:
    for found in read(raw):
        if hasattr(found, "as_json"):
            assert all("\x00" not in str(value) for value in found.as_json().values())


@given(st.text(max_size=300))
def test_any_text_is_read_or_refused_and_never_more(raw: str) -> None:
    fields = read(raw)[0]
    assert fields is None or raw == "" or raw.endswith(SOH)


@pytest.mark.parametrize("raw", READ)
def test_message_as_it_should_be_is_read(raw: str) -> None:
    found = read(raw)
    assert found[0] is not None
    assert found[2] is not None
    decoded = {"8": 4, "9": 4, "r": 5, "AE": 3, "AQ": 6, "j": 9, "3": 7}.get(found[0][35])
    assert decoded is None or found[decoded] is not None


@pytest.mark.parametrize(
    "raw", ["35=8", "35=8\x0158", "0=8\x01", "x=8\x01", "=8\x01", "²=8\x01", "9" * 5000 + "=8\x01"]
)
def test_parse_of_broken_text_is_refused(raw: str) -> None:
    with pytest.raises(CodecError):
        codec.parse(raw)


def test_parse_of_data_field_with_separator_keeps_it_whole() -> None:
    inside = f"a{SOH}58=no{SOH}é"
    raw = text((35, "8"), (354, len(inside.encode())), (355, inside), (58, "yes"), (17, "E"))
    fields = codec.parse(raw)
    assert fields[355] == inside
    assert (fields[58], fields[17]) == ("yes", "E")


PIECES = st.sampled_from(
    ["35=8", "34", "=", SOH, "0", "95=3", "96=a\x01b", "58=", "1", "é", "\x00", "²"]
)


@given(st.lists(PIECES, max_size=12).map("".join))
def test_parse_the_quick_way_says_what_the_careful_one_says(raw: str) -> None:
    quick = codec._plain_pairs(raw)
    if quick is None:
        return
    assert quick == list(codec._careful_pairs(raw))


def test_parse_nul_in_a_value_is_written_out_because_the_database_cannot_hold_it() -> None:
    assert codec.parse(text((35, "8"), (58, "a\x00b")))[58] == "a\\x00b"


def test_describe_of_bytes_the_database_cannot_hold_is_storable() -> None:
    raw = text((35, "8"), (34, 7), (58, "caf\udce9\x00"))
    message = codec.describe("in", SESSION, raw)
    assert message.raw.encode()
    assert "\x00" not in message.raw
    assert "caf\\xe9\\x00" in message.raw


def test_describe_of_message_names_its_keys() -> None:
    raw = text((35, "F"), (34, 12), (52, "20240102-03:04:05.678"), (11, "B"), (41, "A"))
    message = codec.describe("out", SESSION, raw)
    assert message.as_json(action_id=3) == {
        "direction": "out",
        "fix_session": SESSION,
        "seqnum": 12,
        "msg_type": "F",
        "raw": raw,
        "sending_time": "2024-01-02T03:04:05.678000+00:00",
        "cl_ord_id": "B",
        "orig_cl_ord_id": "A",
        "action_id": 3,
    }


@pytest.mark.parametrize("raw", ["95=\u00b2\x0196=a\x01", "35=8\x0134=\u00b2\x01", "34=1\x01"])
def test_describe_without_number_or_type_is_a_codec_error(raw: str) -> None:
    with pytest.raises(CodecError):
        codec.describe("in", "S", raw)


def test_describe_of_logon_keeps_no_password() -> None:
    logon = [(8, "FIX.4.2"), (35, "A"), (34, 1), (98, 0), (108, 10)]
    secrets = [(95, 3), (96, f"p{SOH}w"), (553, "trader"), (554, "pw"), (925, "pw2"), (1402, "pw3")]
    message = codec.describe("out", SESSION, text(*logon, *secrets, (10, "000")))
    fields = codec.parse(message.raw)
    assert fields == {
        **{tag: str(value) for tag, value in logon},
        95: "3",
        96: "***",
        553: "trader",
        554: "***",
        925: "***",
        1402: "***",
        10: "000",
    }


def test_masked_hides_a_secret_in_the_text_of_session_messages_only() -> None:
    logout = text((35, "5"), (34, 2), (58, "password s3cret is wrong"))
    assert codec.masked(logout, "s3cret") == text((35, "5"), (34, 2), (58, "password *** is wrong"))
    assert codec.masked(logout) == logout
    report = text((35, "8"), (34, 2), (32, "100"), (58, "100"))
    assert codec.masked(report, "100") == report


@pytest.mark.parametrize("tag", [43, 97])
def test_repeated_message_by_either_flag_is_one(tag: int) -> None:
    assert codec.repeated({tag: "Y"})
    assert not codec.repeated({tag: "N"})


@pytest.mark.parametrize(
    ("fraction", "expected"),
    [(3, "20131007-14:30:00.123"), (6, "20131007-14:30:00.123456")],
)
def test_time_is_written_with_the_decimals_of_the_version(fraction: int, expected: str) -> None:
    moment = datetime(2013, 10, 7, 14, 30, 0, 123456, tzinfo=UTC)
    assert codec.format_time(moment, fraction) == expected
