"""FIX text ↔ model: what is written is read back, whatever order a venue writes it in."""

from __future__ import annotations

import string
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tsdb_trader import model
from tsdb_trader.fix import codec
from tsdb_trader.fix.codec import SOH, CodecError
from tsdb_trader.model import Action, Question, Report

SESSION = "FIX.4.4:TSDB->SIM"
ORDER = Action(
    action_id=1,
    kind="new",
    order_id=2,
    cl_ord_id="ABC123-1",
    orig_cl_ord_id=None,
    session_id=UUID(int=7),
    account="main",
    symbol="IBM",
    side="buy",
    quantity=Decimal("100"),
    order_type="limit",
    limit_price=Decimal("185.2300"),
    time_in_force="day",
    possible_resend=False,
    as_of=datetime(2013, 10, 7, 14, 30, 0, 123456, tzinfo=UTC),
    status="pending_new",
)

identifiers = st.text(string.ascii_letters + string.digits + "-_.", min_size=1, max_size=24).filter(
    lambda s: s != "NONE"
)
prices = st.decimals(
    min_value=Decimal("0.00000001"), max_value=Decimal("1e12"), allow_nan=False, places=8
)
numbers = st.one_of(prices, st.integers(-(10**15), 10**15).map(Decimal), st.just(Decimal("1E+3")))
times = st.datetimes(datetime(1990, 1, 1), datetime(2100, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001
texts = st.text(
    st.characters(blacklist_categories=("Cs", "Cc"), blacklist_characters=SOH), min_size=1
)


def pairs(raw: str) -> list[tuple[int, str]]:
    """Split a message without data fields, independently of the codec."""
    split = [field.partition("=") for field in raw.split(SOH)[:-1]]
    return [(int(tag), value) for tag, _, value in split]


def text(*fields: tuple[int, object]) -> str:
    """Write a message of fields as they come."""
    return "".join(f"{tag}={value}{SOH}" for tag, value in fields)


@st.composite
def actions(draw: st.DrawFn) -> Action:
    kind = draw(st.sampled_from(["new", "cancel"]))
    order_type = draw(st.sampled_from(sorted(model.ORDER_TYPES.values())))
    return Action(
        action_id=draw(st.integers(1)),
        kind=kind,
        order_id=draw(st.integers(1)),
        cl_ord_id=draw(identifiers),
        orig_cl_ord_id=draw(identifiers) if kind == "cancel" else None,
        session_id=draw(st.uuids()),
        account=draw(identifiers),
        symbol=draw(identifiers),
        side=draw(st.sampled_from(sorted(model.SIDES.values()))),
        quantity=draw(prices),
        order_type=order_type,
        limit_price=draw(prices) if order_type == "limit" else None,
        time_in_force=draw(st.sampled_from(sorted(model.TIMES_IN_FORCE.values()))),
        possible_resend=draw(st.booleans()),
        as_of=draw(times),
        status="pending_new",
    )


@st.composite
def reports(draw: st.DrawFn) -> Report:
    def maybe(strategy: st.SearchStrategy[Any]) -> Any:
        return draw(st.none() | strategy)

    return Report(
        msg_type="8",
        exec_type=draw(st.sampled_from(sorted(set(model.EXEC_TYPES.values())))),
        ord_status=draw(st.sampled_from(sorted(model.ORDER_STATUSES.values()))),
        cl_ord_id=maybe(identifiers),
        orig_cl_ord_id=maybe(identifiers),
        ord_status_req_id=maybe(identifiers),
        order_id=maybe(identifiers),
        exec_id=maybe(identifiers),
        exec_ref_id=maybe(identifiers),
        last_qty=maybe(numbers),
        last_px=maybe(numbers),
        cum_qty=maybe(numbers),
        leaves_qty=maybe(numbers),
        avg_px=maybe(numbers),
        commission=maybe(numbers),
        side=maybe(st.sampled_from(sorted(model.SIDES.values()))),
        symbol=maybe(identifiers),
        session_id=maybe(st.uuids().map(str)),
        transact_time=maybe(times),
        trade_date=draw(st.dates(date(1990, 1, 1), date(2100, 1, 1))),
        text=maybe(texts),
        ord_rej_reason=maybe(st.sampled_from(sorted(model.ORDER_REJECT_REASONS.values()))),
        cxl_rej_reason=maybe(st.sampled_from(sorted(model.CANCEL_REJECT_REASONS.values()))),
        cxl_rej_response_to=maybe(st.sampled_from(sorted(model.CANCEL_REJECT_RESPONSES.values()))),
    )


def report_fields(report: Report) -> list[tuple[int, str]]:
    """Write a report as a venue would."""

    def code(words: dict[str, str], word: str | None) -> str | None:
        found = [c for c, w in words.items() if w == word]
        return found[-1] if found else None

    def number(value: Decimal | None) -> str | None:
        return None if value is None else format(value, "f")

    fields: list[tuple[int, str | None]] = [
        (150, code(model.EXEC_TYPES, report.exec_type)),
        (39, code(model.ORDER_STATUSES, report.ord_status)),
        (11, report.cl_ord_id),
        (41, report.orig_cl_ord_id),
        (790, report.ord_status_req_id),
        (37, report.order_id),
        (17, report.exec_id),
        (19, report.exec_ref_id),
        (32, number(report.last_qty)),
        (31, number(report.last_px)),
        (14, number(report.cum_qty)),
        (151, number(report.leaves_qty)),
        (6, number(report.avg_px)),
        (12, number(report.commission)),
        (54, code(model.SIDES, report.side)),
        (55, report.symbol),
        (336, report.session_id),
        (60, report.transact_time and f"{report.transact_time:%Y%m%d-%H:%M:%S.%f}"),
        (75, report.trade_date and f"{report.trade_date:%Y%m%d}"),
        (58, report.text),
        (103, code(model.ORDER_REJECT_REASONS, report.ord_rej_reason)),
        (102, code(model.CANCEL_REJECT_REASONS, report.cxl_rej_reason)),
        (434, code(model.CANCEL_REJECT_RESPONSES, report.cxl_rej_response_to)),
    ]
    return [(tag, value) for tag, value in fields if value is not None]


@given(actions())
def test_action_encoded_carries_every_value(action: Action) -> None:
    out = codec.encode_action(action)
    found = dict(pairs(out.render()))
    assert found[11] == action.cl_ord_id == out.cl_ord_id
    assert found[55] == action.symbol
    assert model.SIDES[found[54]] == action.side
    assert Decimal(found[38]) == action.quantity
    assert found.get(97) == ("Y" if action.possible_resend else None)
    assert found[60][:17] == f"{action.as_of:%Y%m%d-%H:%M:%S}"
    assert not any("e" in found[tag].lower() for tag in (38, 44) if tag in found)
    if action.kind == "new":
        assert found[35] == "D"
        assert model.ORDER_TYPES[found[40]] == action.order_type
        assert (Decimal(found[44]) if 44 in found else None) == action.limit_price
        assert model.TIMES_IN_FORCE[found[59]] == action.time_in_force
        assert (found[386], found[336]) == ("1", str(action.session_id))
    else:
        assert found[35] == "F"
        assert found[41] == action.orig_cl_ord_id


@given(reports(), st.randoms(use_true_random=False))
def test_report_written_in_any_order_is_read_back(report: Report, random: Any) -> None:
    fields = report_fields(report)
    random.shuffle(fields)
    raw = text((8, "FIX.4.4"), (9, 1), (35, "8"), (34, 5), (52, "20240102-00:00:00"), *fields)
    found = codec.decode_report(codec.parse(raw))
    assert found == report
    decimals = [v for v in found.as_json().values() if v.startswith("1E")]
    assert decimals == []


@given(st.text(st.characters(blacklist_categories=("Cs",)), max_size=300))
def test_parse_of_any_text_ends_in_fields_or_codec_error(raw: str) -> None:
    try:
        codec.parse(raw)
    except CodecError:
        return
    assert raw == "" or raw.endswith(SOH)


def test_report_of_strange_venue_is_read() -> None:
    raw = text(
        (8, "FIX.4.4"),
        (9, 1),
        (35, "8"),
        (453, 2),
        (448, "BROKER"),
        (447, "D"),
        (452, 1),
        (448, "DESK"),
        (447, "D"),
        (452, 3),
        (9999, "house field"),
        (150, "Z"),
        (39, "?"),
        (37, "V1"),
        (17, "E1"),
        (32, ".5"),
        (31, "007."),
        (41, "NONE"),
        (103, 4711),
        (60, "20240102-23:59:60"),
        (58, ""),
    )
    report = codec.decode_report(codec.parse(raw))
    assert report.exec_type == "Z"
    assert report.ord_status == "?"
    assert (report.last_qty, report.last_px) == (Decimal("0.5"), Decimal("7"))
    assert report.orig_cl_ord_id is None
    assert report.ord_rej_reason == "4711"
    assert report.transact_time == datetime(2024, 1, 2, 23, 59, 59, 999999, tzinfo=UTC)
    assert report.trade_date == date(2024, 1, 2)
    assert report.cum_qty is None
    assert "cum_qty" not in report.as_json()


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ([(75, "20240105"), (60, "20240106-01:00:00"), (52, "20240107-00:00:00")], "2024-01-05"),
        ([(60, "20240106-01:00:00"), (52, "20240107-00:00:00")], "2024-01-06"),
        # Sent again on the next day: the day of the first time counts, or it would be booked twice.
        ([(122, "20240106-23:59:59"), (52, "20240107-00:00:00")], "2024-01-06"),
        ([(52, "20240107-00:00:00")], "2024-01-07"),
    ],
)
def test_report_without_trade_date_takes_the_nearest_stable_one(
    fields: list[tuple[int, object]], expected: str
) -> None:
    report = codec.decode_report(codec.parse(text((35, "8"), *fields)))
    assert report.as_json()["trade_date"] == expected


@pytest.mark.parametrize(
    ("kind", "expected"), [(None, "2.5"), ("3", "2.5"), ("1", "250.0"), ("2", None)]
)
def test_report_commission_is_money_or_left_out(kind: str | None, expected: str | None) -> None:
    fields: list[tuple[int, object]] = [(35, "8"), (12, "2.5"), (32, "100")]
    raw = text(*fields, *([(13, kind)] if kind else []))
    assert codec.decode_report(codec.parse(raw)).as_json().get("commission") == expected


@pytest.mark.parametrize("code", ["1", "2", "F"])
def test_report_of_trade_in_any_dialect_is_a_trade(code: str) -> None:
    assert codec.decode_report(codec.parse(text((35, "8"), (150, code)))).exec_type == "trade"


@pytest.mark.parametrize(
    "fields",
    [
        [(32, "1e5")],
        [(32, "NaN")],
        [(31, "1,5")],
        [(31, "٣")],
        [(60, "2024-01-02")],
        [(60, "20240230-00:00:00")],
        [(75, "20241301")],
    ],
)
def test_report_with_unreadable_value_is_refused(fields: list[tuple[int, object]]) -> None:
    with pytest.raises(CodecError):
        codec.decode_report(codec.parse(text((35, "8"), *fields)))


def test_report_of_other_message_type_is_refused() -> None:
    with pytest.raises(CodecError):
        codec.decode_report(codec.parse(text((35, "D"), (11, "A"))))


@pytest.mark.parametrize("raw", ["35=8", "35=8\x0158", "x=8\x01", "=8\x01", "²=8\x01"])
def test_parse_of_broken_text_is_refused(raw: str) -> None:
    with pytest.raises(CodecError):
        codec.parse(raw)


def test_parse_of_data_field_with_separator_keeps_it_whole() -> None:
    inside = f"a{SOH}58=no{SOH}é"
    raw = text((35, "8"), (354, len(inside.encode())), (355, inside), (58, "yes"), (17, "E"))
    fields = codec.parse(raw)
    assert fields[355] == inside
    assert (fields[58], fields[17]) == ("yes", "E")


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


@pytest.mark.parametrize(
    "changed",
    [
        replace(ORDER, kind="replace"),
        replace(ORDER, kind="cancel"),
        replace(ORDER, side="borrow"),
        replace(ORDER, order_type="stop"),
        replace(ORDER, time_in_force="gtc"),
        replace(ORDER, limit_price=None),
        replace(ORDER, symbol=f"A{SOH}54=2"),
        replace(ORDER, account=""),
        replace(ORDER, as_of=ORDER.as_of.replace(tzinfo=None)),
    ],
)
def test_action_that_fix_cannot_say_is_refused(changed: Action) -> None:
    with pytest.raises(CodecError):
        codec.encode_action(changed)


def test_action_time_in_another_zone_is_sent_in_utc() -> None:
    east = ORDER.as_of.astimezone(timezone(timedelta(hours=9)))
    found = dict(pairs(codec.encode_action(replace(ORDER, as_of=east)).render()))
    assert found[60] == "20131007-14:30:00.123"


def test_question_asks_by_order_and_own_id() -> None:
    question = Question(2, "ABC123-1", UUID(int=7), "IBM", "sell", "unknown")
    assert pairs(codec.encode_question(question, "run-1").render()) == [
        (35, "H"),
        (11, "ABC123-1"),
        (54, "2"),
        (55, "IBM"),
        (790, "run-1"),
    ]


def test_rejection_of_order_becomes_marked_reject() -> None:
    refused = codec.parse(codec.encode_action(ORDER).render())
    reject = codec.parse(
        text((35, "3"), (34, 9), (52, "20240102-03:04:05"), (45, 4), (58, "bad tag"))
    )
    report = codec.rejection(reject, refused, SESSION)
    assert report is not None
    assert (report.msg_type, report.exec_type, report.ord_status) == ("8", "rejected", "rejected")
    assert report.cl_ord_id == ORDER.cl_ord_id
    assert report.text == "session reject: bad tag"
    assert report.exec_id == f"session-reject:{SESSION}:9:20240102-03:04:05"
    assert report.trade_date == date(2024, 1, 2)


def test_rejection_of_cancel_becomes_cancel_reject() -> None:
    cancel = replace(ORDER, kind="cancel", cl_ord_id="C", orig_cl_ord_id=ORDER.cl_ord_id)
    refused = codec.parse(codec.encode_action(cancel).render())
    report = codec.rejection(codec.parse(text((35, "j"), (34, 9), (380, 3))), refused, SESSION)
    assert report is not None
    assert (report.msg_type, report.cl_ord_id, report.orig_cl_ord_id) == ("9", "C", "ABC123-1")
    assert report.text == "session reject: reason 3"


def test_rejection_of_anything_else_is_none() -> None:
    refused = codec.parse(text((35, "H"), (11, "A")))
    assert codec.rejection(codec.parse(text((35, "j"), (34, 9))), refused, SESSION) is None
    assert codec.rejection(codec.parse(text((35, "j"), (34, 9))), {}, SESSION) is None


def test_parse_nul_in_a_value_is_written_out_because_the_database_cannot_hold_it() -> None:
    assert codec.parse(text((35, "8"), (58, "a\x00b")))[58] == "a\\x00b"


@pytest.mark.parametrize("tag", [43, 97])
def test_repeated_message_by_either_flag_is_one(tag: int) -> None:
    assert codec.repeated({tag: "Y"})
    assert not codec.repeated({tag: "N"})


@pytest.mark.parametrize("raw", ["95=\u00b2\x0196=a\x01", "35=8\x0134=\u00b2\x01"])
def test_digit_that_is_no_number_is_a_codec_error(raw: str) -> None:
    with pytest.raises(CodecError):
        codec.describe("in", "S", raw)
