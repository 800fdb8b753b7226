"""Reports → words of the database: the same words, whatever version and order a venue writes in."""

from __future__ import annotations

import string
from dataclasses import fields as fields_of
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fix_dialects import (
    ALL,
    ORDER,
    amounts,
    identifiers,
    name_of,
    received,
    sent,
    text,
    times,
    untimed,
    xml,
)
from tsdb_trader.fix import codec, codec_orders, codec_reports, codec_requests
from tsdb_trader.fix import codec_words as words
from tsdb_trader.fix.codec import SOH, CodecError
from tsdb_trader.fix.versions import FIX42, FIX44, FIX50SP2, Version
from tsdb_trader.model import MassCancelReport, Report, RequestRefused

SESSION = "FIX.4.4:TSDB->SIM"
CANCEL = {"kind": "cancel", "cl_ord_id": "C", "orig_cl_ord_id": ORDER.cl_ord_id}
REPLACE = {**CANCEL, "kind": "replace"}

numbers = st.one_of(amounts, st.integers(-(10**15), 10**15).map(Decimal), st.just(Decimal("1E+3")))
# QuickFIX and the wire in Latin letters; other alphabets are for the text tests.
texts = st.text(st.sampled_from(string.ascii_letters + string.digits + " ,;:=|"), min_size=1)
strange = st.text(
    st.characters(blacklist_categories=("Cs", "Cc"), blacklist_characters=SOH), min_size=1
)
# How the fields of a report are written: tag, and the table of codes or the kind of value.
REPORT_TAGS: dict[str, tuple[int, Any]] = {
    "ord_status": (39, words.ORDER_STATUSES),
    "cl_ord_id": (11, identifiers),
    "orig_cl_ord_id": (41, identifiers),
    "ord_status_req_id": (790, identifiers),
    "order_id": (37, identifiers),
    "exec_id": (17, identifiers.filter(lambda i: i != "0")),
    "exec_ref_id": (19, identifiers),
    "last_qty": (32, numbers),
    "last_px": (31, numbers),
    "cum_qty": (14, numbers),
    "leaves_qty": (151, numbers),
    "avg_px": (6, numbers),
    "commission": (12, numbers),
    "side": (54, words.SIDES),
    "symbol": (55, identifiers),
    "session_id": (336, st.uuids().map(str)),
    "transact_time": (60, times),
    "trade_date": (75, st.dates(date(1990, 1, 1), date(2100, 1, 1))),
    "text": (58, texts),
    "ord_rej_reason": (103, words.ORDER_REJECT_REASONS),
    "account": (1, identifiers),
    "last_mkt": (30, identifiers),
    "last_liquidity_ind": (851, words.LIQUIDITY),
    "order_qty": (38, numbers),
    "price": (44, numbers),
    "stop_px": (99, numbers),
    "min_qty": (110, numbers),
    "display_qty": (111, numbers),
    "day_order_qty": (424, numbers),
    "day_cum_qty": (425, numbers),
    "day_avg_px": (426, numbers),
    "exec_restatement_reason": (378, words.EXEC_RESTATEMENT_REASONS),
    "mass_status_req_id": (584, identifiers),
    "tot_num_reports": (911, st.integers(0, 10**9)),
    "last_rpt_requested": (912, st.booleans()),
    "copied": (797, st.booleans()),
    "poss_dup": (43, st.booleans()),
    "poss_resend": (97, st.booleans()),
}
# Fields that every version requires of an ExecutionReport.
NEEDED = {"ord_status", "order_id", "exec_id", "side", "symbol", "cum_qty", "leaves_qty", "avg_px"}


def test_tags_of_a_report_are_written_down_here_for_every_field() -> None:
    elsewhere = {"msg_type", "exec_type", "cxl_rej_reason", "cxl_rej_response_to"}
    assert set(REPORT_TAGS) | elsewhere == {f.name for f in fields_of(Report)}


def written(value: Any) -> str:
    """Write a value as FIX does."""
    if isinstance(value, bool):
        return "Y" if value else "N"
    if isinstance(value, Decimal):
        return format(value, "f")
    if isinstance(value, datetime):
        return f"{value:%Y%m%d-%H:%M:%S.%f}"
    return f"{value:%Y%m%d}" if isinstance(value, date) else str(value)


def exec_type_fields(version: Version, exec_type: str, draw: st.DrawFn) -> list[tuple[int, str]]:
    """Write what happened: FIX 4.2 has a field for what the message is, and others for fills."""
    codes = [code for code, word in words.EXEC_TYPES.items() if word == exec_type]
    if version is not FIX42:
        known = [code for code in codes if code in xml(version.dictionary).values[150]]
        return [(150, draw(st.sampled_from(known)))]
    transaction = {"trade_cancel": "1", "trade_correct": "2", "status": "3"}.get(exec_type, "0")
    if transaction != "0":
        codes = sorted(xml("FIX42.xml").values[150])
    return [(20, transaction), (150, draw(st.sampled_from([c for c in codes if c not in "FGHI"])))]


@st.composite
def report_fields(draw: st.DrawFn, version: Version) -> tuple[list[tuple[int, str]], Report]:
    """Draw an ExecutionReport of a version: its fields, and what they mean."""
    known = xml(version.dictionary)
    layout = known.messages["8"]
    exec_types = sorted({"trade", "trade_cancel", "trade_correct", "status"}) + [
        word
        for code, word in words.EXEC_TYPES.items()
        if code in known.values[150] and word not in ("trade", "status")
    ]
    exec_type = draw(st.sampled_from(exec_types))
    values: dict[str, Any] = {"msg_type": "8", "exec_type": exec_type}
    found = exec_type_fields(version, exec_type, draw)
    for name, (tag, kind) in REPORT_TAGS.items():
        if tag not in layout.own | {43, 97}:
            continue
        if name not in NEEDED and draw(st.booleans()):
            continue
        if name == "session_id" and known.values[tag]:
            # In FIX 5.0 SP2 only; QuickFIX takes nothing else, our own engine does.
            kind = {code: code for code in known.values[tag]}
        if isinstance(kind, st.SearchStrategy):
            values[name] = draw(kind)
            found.append((tag, written(values[name])))
        else:
            code = draw(st.sampled_from([c for c in kind if c in known.values[tag]]))
            values[name] = kind[code]
            found.append((tag, code))
    if values.get("trade_date") is None:
        moment = values.get("transact_time")
        values["trade_date"] = moment.date() if moment else date(2024, 1, 2)
    return found, Report(**values)


@pytest.mark.parametrize("version", ALL, ids=name_of)
@untimed
@given(data=st.data())
def test_report_built_by_quickfix_is_read_back(version: Version, data: st.DataObject) -> None:
    fields, report = data.draw(report_fields(version))
    raw = received(version, "8", fields)
    assert codec_reports.decode_report(codec.parse(raw)) == report


@pytest.mark.parametrize("version", ALL, ids=name_of)
@untimed
@given(data=st.data(), note=strange)
def test_report_written_in_any_order_is_read_back(
    version: Version, data: st.DataObject, note: str
) -> None:
    fields, report = data.draw(report_fields(version))
    fields = [*((t, v) for t, v in fields if t != 58), (58, note)]
    data.draw(st.randoms(use_true_random=False)).shuffle(fields)
    begin = version.begin_string
    raw = text((8, begin), (9, 1), (35, "8"), (34, 5), (52, "20240102-00:00:00"), *fields)
    found = codec_reports.decode_report(codec.parse(raw))
    assert found.text == note
    assert {f.name for f in fields_of(Report) if getattr(found, f.name) != getattr(report, f.name)} <= {"text"}  # fmt: skip
    assert not any(value.startswith("1E") for value in found.as_json().values())


def test_report_as_json_keeps_zero_and_leaves_out_what_is_not_known() -> None:
    raw = text((35, "8"), (14, 0), (911, 0), (912, "Y"), (43, "N"))
    assert codec_reports.decode_report(codec.parse(raw)).as_json() == {
        "msg_type": "8",
        "cum_qty": "0",
        "tot_num_reports": "0",
        "last_rpt_requested": "true",
    }


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
        (37, "NONE"),
        (17, "E1"),
        (32, ".5"),
        (31, "007."),
        (41, "NONE"),
        (103, 4711),
        (851, "77"),
        (60, "20240102-23:59:60"),
        (58, ""),
    )
    report = codec_reports.decode_report(codec.parse(raw))
    assert report.exec_type == "Z"
    assert report.ord_status == "?"
    assert (report.last_qty, report.last_px) == (Decimal("0.5"), Decimal("7"))
    assert (report.order_id, report.orig_cl_ord_id) == (None, None)
    assert (report.ord_rej_reason, report.last_liquidity_ind) == ("4711", "77")
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
    report = codec_reports.decode_report(codec.parse(text((35, "8"), *fields)))
    assert report.as_json()["trade_date"] == expected


@pytest.mark.parametrize(
    ("kind", "expected"), [(None, "2.5"), ("3", "2.5"), ("1", "250.0"), ("2", None)]
)
def test_report_commission_is_money_or_left_out(kind: str | None, expected: str | None) -> None:
    fields: list[tuple[int, object]] = [(35, "8"), (12, "2.5"), (32, "100")]
    raw = text(*fields, *([(13, kind)] if kind else []))
    report = codec_reports.decode_report(codec.parse(raw))
    assert report.as_json().get("commission") == expected


@pytest.mark.parametrize("code", ["1", "2", "F"])
def test_report_of_trade_in_any_dialect_is_a_trade(code: str) -> None:
    raw = text((35, "8"), (20, 0), (150, code))
    assert codec_reports.decode_report(codec.parse(raw)).exec_type == "trade"


@pytest.mark.parametrize(
    ("transaction", "modern", "word"),
    [("1", "H", "trade_cancel"), ("2", "G", "trade_correct"), ("3", "I", "status")],
)
def test_report_of_fix_4_2_by_its_transaction_means_what_later_versions_say(
    transaction: str, modern: str, word: str
) -> None:
    old = text((8, "FIX.4.2"), (35, "8"), (17, "E2"), (19, "E1"), (20, transaction), (150, "2"))
    new = text((8, "FIX.4.4"), (35, "8"), (17, "E2"), (19, "E1"), (150, modern))
    report = codec_reports.decode_report(codec.parse(old))
    assert report == codec_reports.decode_report(codec.parse(new))
    assert (report.exec_type, report.exec_ref_id) == (word, "E1")


def test_report_of_fix_4_2_that_only_answers_has_no_exec_id() -> None:
    answer = [(35, "8"), (17, "0"), (39, "8"), (103, "5"), (150, "8")]
    report = codec_reports.decode_report(codec.parse(text((20, "3"), *answer)))
    assert (report.exec_type, report.ord_status, report.exec_id) == ("status", "rejected", None)
    assert report.ord_rej_reason == "unknown_order"
    assert codec_reports.decode_report(codec.parse(text((20, "0"), *answer))).exec_id == "0"


@pytest.mark.parametrize(
    ("cum_qty", "leaves_qty", "status"),
    [(0, 100, "new"), (None, None, "new"), (40, 60, "partially_filled"), (100, 0, "filled")],
)
def test_report_of_replaced_status_says_what_the_order_is_now(
    cum_qty: int | None, leaves_qty: int | None, status: str
) -> None:
    fields = [(tag, v) for tag, v in ((14, cum_qty), (151, leaves_qty)) if v is not None]
    raw = text((35, "8"), (150, "5"), (39, "5"), *fields)
    assert codec_reports.decode_report(codec.parse(raw)).ord_status == status


def test_report_display_quantity_is_read_from_either_field() -> None:
    for tag in (111, 1138):
        report = codec_reports.decode_report(codec.parse(text((35, "8"), (tag, 20))))
        assert report.display_qty == 20


@pytest.mark.parametrize(
    "fields",
    [
        [(32, "1e5")],
        [(32, "NaN")],
        [(31, "1,5")],
        [(31, "٣")],
        [(14, "9" * 5000)],
        [(911, "-1")],
        [(911, "1.5")],
        [(60, "2024-01-02")],
        [(60, "20240230-00:00:00")],
        [(75, "20241301")],
        [(75, "202411")],
    ],
)
def test_report_with_unreadable_value_is_refused(fields: list[tuple[int, object]]) -> None:
    with pytest.raises(CodecError):
        codec_reports.decode_report(codec.parse(text((35, "8"), *fields)))


@pytest.mark.parametrize("version", ALL, ids=name_of)
def test_cancel_reject_built_by_quickfix_is_read(version: Version) -> None:
    raw = received(
        version,
        "9",
        [(37, "NONE"), (11, "C"), (41, "A"), (39, "8"), (434, "2"), (102, "1"), (58, "no such")],
    )
    assert codec_reports.decode_report(codec.parse(raw)) == Report(
        msg_type="9",
        ord_status="rejected",
        cl_ord_id="C",
        orig_cl_ord_id="A",
        cxl_rej_reason="unknown_order",
        cxl_rej_response_to="replace_request",
        text="no such",
        trade_date=date(2024, 1, 2),
    )


@pytest.mark.parametrize("version", [FIX44, FIX50SP2], ids=name_of)
@pytest.mark.parametrize(
    ("response", "reason", "affected"), [("7", None, "12"), ("0", "0", None), ("1", "1", "0")]
)
def test_mass_cancel_report_built_by_quickfix_is_read(
    version: Version, response: str, reason: str | None, affected: str | None
) -> None:
    fields = [(11, "M-1"), (37, "V1"), (530, "7"), (531, response), (58, "done")]
    fields += [(532, reason)] if reason else []
    fields += [(533, affected)] if affected else []
    fields += [(1369, "R1")] if version is FIX50SP2 else []
    report = codec_reports.decode_mass_cancel(codec.parse(received(version, "r", fields)))
    assert report == MassCancelReport(
        request_id="M-1",
        order_id="V1",
        response={"7": "all", "0": "rejected", "1": "security"}[response],
        reject_reason={None: None, "0": "not_supported", "1": "unknown_security"}[reason],
        total_affected=int(affected) if affected else None,
        transact_time=None,
        text="done",
    )
    assert report.as_json()["request_id"] == "M-1"


def test_message_of_other_type_is_refused() -> None:
    order = codec.parse(text((35, "D"), (11, "A")))
    for decode in (codec_reports.decode_report, codec_reports.decode_mass_cancel):
        with pytest.raises(CodecError):
            decode(order)


def reject_of(
    version: Version, kind: str, *fields: tuple[int, object], changed: dict[str, Any] | None = None
) -> tuple[codec.Fields, codec.Fields]:
    """Return a reject, and our message that it refuses."""
    action = {"D": {}, "F": CANCEL, "G": REPLACE}[kind] | (changed or {})
    order = codec_orders.encode_action(
        type(ORDER)(**{f.name: getattr(ORDER, f.name) for f in fields_of(ORDER)} | action), version
    )
    reject = codec.parse(text((34, 9), (52, "20240102-03:04:05"), *fields))
    return reject, codec.parse(sent(version, order))


@pytest.mark.parametrize("version", ALL, ids=name_of)
def test_rejection_of_order_becomes_marked_reject(version: Version) -> None:
    reject, refused = reject_of(version, "D", (35, "3"), (45, 4), (58, "bad tag"), (371, 40))
    report = codec_reports.rejection(reject, refused, SESSION)
    assert report is not None
    assert (report.msg_type, report.exec_type, report.ord_status) == ("8", "rejected", "rejected")
    assert report.cl_ord_id == ORDER.cl_ord_id
    assert report.text == "session reject: bad tag, tag 40"
    assert report.exec_id == f"session-reject:{SESSION}:9:20240102-03:04:05"
    assert report.trade_date == date(2024, 1, 2)
    assert codec_reports.refused_request(reject, refused) is None


@pytest.mark.parametrize(("kind", "word"), [("F", "cancel_request"), ("G", "replace_request")])
def test_rejection_of_change_becomes_cancel_reject(kind: str, word: str) -> None:
    reject, refused = reject_of(FIX44, kind, (35, "j"), (380, 3))
    report = codec_reports.rejection(reject, refused, SESSION)
    assert report is not None
    assert (report.msg_type, report.cl_ord_id, report.orig_cl_ord_id) == ("9", "C", "ABC123-1")
    assert report.text == "session reject: unsupported message type"
    assert (report.exec_id, report.cxl_rej_response_to) == (None, word)


def test_rejection_of_order_that_is_lost_is_told_by_the_reject_itself() -> None:
    reject = codec.parse(text((35, "j"), (34, 9), (372, "D"), (379, "ABC123-1"), (380, 4)))
    report = codec_reports.rejection(reject, {}, SESSION)
    assert report is not None
    assert (report.cl_ord_id, report.exec_type) == ("ABC123-1", "rejected")
    nameless = codec.parse(text((35, "j"), (34, 9), (372, "D"), (380, 4)))
    assert codec_reports.rejection(nameless, {}, SESSION) is None
    other = codec.parse(text((35, "3"), (34, 9), (372, "D"), (373, 5)))
    assert codec_reports.rejection(other, {}, SESSION) is None


QUESTIONS = {
    "AF": codec_requests.encode_mass_status("Q1", FIX44),
    "AD": codec_requests.encode_trade_request("Q1", FIX44),
    "q": codec_requests.encode_mass_cancel("Q1", ORDER.as_of, FIX44),
}


@pytest.mark.parametrize("lost", [False, True], ids=["known", "lost"])
@pytest.mark.parametrize("kind", QUESTIONS)
def test_refused_request_is_named_and_is_no_rejection_of_an_order(kind: str, lost: bool) -> None:
    refused = {} if lost else codec.parse(QUESTIONS[kind].render())
    reject = codec.parse(text((35, "j"), (34, 9), (372, kind), (379, "Q1"), (380, 3)))
    assert codec_reports.rejection(reject, refused, SESSION) is None
    assert codec_reports.refused_request(reject, refused) == RequestRefused(
        kind, "Q1", True, "unsupported message type"
    )


def test_refused_status_request_is_named_by_its_own_id() -> None:
    refused = codec.parse(text((35, "H"), (11, "A"), (790, "run-1")))
    reject = codec.parse(text((35, "3"), (34, 9), (373, 5), (58, "no")))
    found = codec_reports.refused_request(reject, refused)
    assert found == RequestRefused("H", "run-1", False, "no")
    assert codec_reports.rejection(reject, refused, SESSION) is None
    unsupported = codec.parse(text((35, "3"), (34, 9), (373, 11)))
    found = codec_reports.refused_request(unsupported, {**refused, 790: ""})
    assert found == RequestRefused("H", "A", True, "invalid message type")


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ([(35, "5")], "no reason given"),
        ([(35, "5"), (58, "bye"), (1409, "5")], "bye, invalid user name or password"),
        ([(35, "5"), (1409, "4")], "logout complete"),
        ([(35, "3"), (373, "1"), (371, "38")], "required tag missing, tag 38"),
        ([(35, "j"), (380, "77")], "reason 77"),
    ],
)
def test_reason_of_a_refusal_is_a_text(fields: list[tuple[int, object]], reason: str) -> None:
    assert codec_reports.reason_of(codec.parse(text(*fields))) == reason
