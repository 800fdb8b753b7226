"""What the codec takes for granted about each version, against the dictionaries themselves."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import date
from decimal import Decimal
from typing import Any

import pytest
import quickfix

from fix_dialects import ALL, ORDER, name_of, sent, xml
from tsdb_trader.errors import ConfigurationError
from tsdb_trader.fix import (
    codec,
    codec_orders,
    codec_reports,
    codec_requests,
    codec_trades,
    session,
)
from tsdb_trader.fix import codec_words as words
from tsdb_trader.fix.codec import Outgoing
from tsdb_trader.fix.codec_requests import Scope, TradeWindow
from tsdb_trader.fix.versions import FIX42, FIX44, FIX50SP2, VERSIONS, Version, version_named
from tsdb_trader.model import Question

READ_TYPES = ("8", "9", "r", "AE", "AQ", "j", "3", "5")
# Tag and table of every coded field that is read, with what the dictionaries call a code where
# our word is another.
READ: list[tuple[int, Mapping[str, str], dict[str, str]]] = [
    (
        150,
        words.EXEC_TYPES,
        {
            "1": "partial_fill",
            "2": "fill",
            "I": "order_status",
            "L": "triggered_or_activated_by_system",
        },
    ),
    (20, words.EXEC_TRANS_TYPES, {"1": "cancel", "2": "correct"}),
    (39, words.ORDER_STATUSES, {}),
    (
        103,
        words.ORDER_REJECT_REASONS,
        {
            "0": "broker_credit",
            "7": "duplicate_of_a_verbally_communicated_order",
            "16": "price_exceeds_current_price_band",
            "20": "notional_value_exceeds_threshold",
            "22": "short_sell_not_permitted",
        },
    ),
    (
        102,
        words.CANCEL_REJECT_REASONS,
        {
            "2": "broker_credit",
            "3": "order_already_in_pending_status",
            "4": "unable_to_process_order_mass_cancel_request",
            "5": "orig_ord_mod_time",
            "8": "price_exceeds_current_price_band",
        },
    ),
    (
        434,
        words.CANCEL_REJECT_RESPONSES,
        {"1": "order_cancel_request", "2": "order_cancel_replace_request"},
    ),
    (
        378,
        words.EXEC_RESTATEMENT_REASONS,
        {
            "0": "gt_corporate_action",
            "1": "gt_renewal",
            "3": "repricing_of_order",
            "5": "partial_decline_of_order_qty",
            "6": "cancel_on_trading_halt",
            "7": "cancel_on_system_failure",
            "8": "market",
            "9": "cancelled",
            "12": "cancel_on_connection_loss",
            "13": "cancel_on_logout",
            "15": "cancelled_for_trade_price_violation",
            "16": "cancelled_for_cross_imbalance",
            "17": "cxld_smp",
            "18": "cxld_smp_aggressive",
            "19": "cxld_smp_passive",
            "20": "cxld_smp_aggressive_passive",
        },
    ),
    (
        851,
        words.LIQUIDITY,
        {
            "0": "neither_added_nor_removed_liquidity",
            "1": "added_liquidity",
            "2": "removed_liquidity",
            "3": "liquidity_routed_out",
        },
    ),
    (
        531,
        words.MASS_CANCEL_RESPONSES,
        {
            "0": "cancel_request_rejected",
            "1": "cancel_orders_for_a_security",
            "6": "cancel_orders_for_a_trading_session",
            "7": "cancel_all_orders",
        },
    ),
    (
        532,
        words.MASS_CANCEL_REJECT_REASONS,
        {
            "0": "mass_cancel_not_supported",
            "1": "invalid_or_unknown_security",
            "2": "invalid_or_unknown_underlying_security",
            "3": "invalid_or_unknown_product",
            "4": "invalid_or_unknown_cfi_code",
            "5": "invalid_or_unknown_security_type",
            "6": "invalid_or_unknown_trading_session",
            "7": "invalid_or_unknown_market",
        },
    ),
    (
        749,
        words.TRADE_REQUEST_RESULTS,
        {
            "1": "invalid_or_unknown_instrument",
            "2": "invalid_type_of_trade_requested",
            "4": "invalid_transport_type_requested",
            "5": "invalid_destination_requested",
            "8": "trade_request_type_not_supported",
        },
    ),
    (750, words.TRADE_REQUEST_STATUSES, {}),
    (487, words.TRADE_TRANS_TYPES, {"0": "new", "1": "cancel", "2": "replace"}),
    (856, words.TRADE_REPORT_TYPES, {"6": "trade_report_cancel"}),
    (54, words.SIDES, {}),
]
# Codes that are written, by tag; those of an order type or time in force that only FIX 4.2 writes,
# or does not, are in `exceptions`.
WRITTEN: list[tuple[int, set[str]]] = [
    (18, {*words.PEG_INSTRUCTIONS, words.POST_ONLY}),
    (21, {"1"}),
    (40, set(words.ORDER_TYPES)),
    (54, set(words.SIDES)),
    (59, set(words.TIMES_IN_FORCE)),
    (530, set(words.MASS_SCOPES)),
    (569, {"0", "1"}),
    (585, set(words.MASS_SCOPES)),
    (1094, set(words.PEG_PRICE_TYPES)),
]


def test_code_that_is_read_means_in_the_dictionaries_what_our_word_says() -> None:
    for tag, table, others in READ:
        for code, word in table.items():
            meanings = {
                xml(version.dictionary).values[tag][code].lower().replace("canceled", "cancelled")
                for version in ALL
                if code in xml(version.dictionary).values.get(tag, {})
            }
            assert meanings, f"tag {tag} has no code {code} in any version"
            assert {others.get(code, word)} <= meanings, (tag, code, word, meanings)


@pytest.mark.parametrize("version", ALL, ids=name_of)
def test_code_that_is_written_exists_in_the_version(version: Version) -> None:
    found = xml(version.dictionary)
    for tag, codes in WRITTEN:
        if tag not in found.values:
            # The field is another version's: a message that carries it fails the test below.
            continue
        expected = codes
        if tag == 59 and version.closing_types:
            expected = codes - {"7"}
        if tag == 40:
            expected = codes | set(version.closing_types.values())
        assert expected <= set(found.values[tag]), f"tag {tag} in {version.name}"


@pytest.mark.parametrize("version", ALL, ids=name_of)
def test_version_can_do_what_its_dictionary_has(version: Version) -> None:
    found = xml(version.dictionary)
    order = found.messages["D"]
    logon = xml(version.transport_dictionary or version.dictionary).messages["A"]
    assert version.requests == {"AF", "q", "AD"} & set(found.messages)
    assert version.status_request_id == (790 in found.messages["H"].own)
    assert version.handl_inst or 21 not in order.required
    assert bool(version.closing_types) == ("7" not in found.values[59])
    assert version.display_tag == (1138 if 1138 in order.own else 111)
    assert version.peg_price_type == (1094 in order.own)
    assert version.user_name == ({553, 554} <= logon.own)
    assert version.session_scopes == (not found.values[336])
    assert {336, 386} <= order.own | order.grouped


def test_version_by_name_is_found_or_named_as_unknown() -> None:
    assert [version_named(name) for name in VERSIONS] == [FIX42, FIX44, FIX50SP2]
    with pytest.raises(ConfigurationError, match=r"'FIX\.4\.3'; known: FIX\.4\.2, FIX\.4\.4"):
        version_named("FIX.4.3")


def everything(version: Version) -> list[Outgoing]:
    """Return every message we write, with every field it may have."""
    pegged = replace(
        ORDER,
        possible_resend=True,
        order_type="pegged",
        peg_reference="midpoint",
        peg_offset=Decimal("0.01"),
        time_in_force="gtd",
        expire_at=ORDER.as_of,
        post_only=True,
        display_quantity=Decimal(10),
        min_quantity=Decimal(5),
        venue_order_id="V1",
        orig_cl_ord_id="O",
    )
    stop = replace(ORDER, order_type="stop_limit", stop_price=Decimal(1))
    found = [
        codec_orders.encode_action(action, version)
        for action in (
            pegged,
            stop,
            replace(pegged, kind="replace"),
            replace(stop, kind="replace", orig_cl_ord_id="O", venue_order_id="V1"),
            replace(pegged, kind="cancel"),
        )
    ]
    question = Question(2, "A", ORDER.session_id, "IBM", "sell", "unknown", "V1")
    found.append(codec_orders.encode_question(question, "R", version))
    if version.requests:
        session_id = ORDER.session_id if version.session_scopes else None
        scope = Scope("IBM", "buy", session_id)
        window = TradeWindow(date(2024, 1, 2), date(2024, 1, 2), ORDER.as_of, ORDER.as_of)
        found += [
            codec_requests.encode_mass_status("R", version, scope, "main"),
            codec_requests.encode_mass_cancel("R", ORDER.as_of, version, scope),
            codec_requests.encode_trade_request("R", version, scope, window, "A", "V1"),
        ]
    return found


@pytest.mark.parametrize("version", ALL, ids=name_of)
def test_message_we_write_has_what_is_required_and_nothing_unknown(version: Version) -> None:
    written = set()
    for out in everything(version):
        layout = xml(version.dictionary).messages[out.msg_type]
        tags = {tag for tag, _ in out.body}
        grouped = {tag for group in out.groups for entry in group.entries for tag, _ in entry}
        assert layout.required - tags == set()
        assert tags - layout.own == set()
        assert grouped - layout.grouped == set()
        assert {group.count_tag for group in out.groups} <= layout.own
        assert all(entry[0][0] == g.first_tag for g in out.groups for entry in g.entries)
        sent(version, out)
        written.add(out.msg_type)
    assert written == {"D", "G", "F", "H"} | version.requests


@pytest.mark.parametrize(
    ("version", "tag", "value"),
    [
        (FIX42, 1138, "5"),
        (FIX42, 59, "7"),
        (FIX44, 54, "Z"),
        (FIX44, 60, "yesterday"),
        (FIX42, 21, None),
        (FIX50SP2, 18, "R ~"),
        (FIX50SP2, 40, None),
    ],
)
def test_checker_of_messages_finds_a_fault(version: Version, tag: int, value: str | None) -> None:
    out = codec_orders.encode_action(ORDER, version)
    body = tuple(pair for pair in out.body if pair[0] != tag)
    wrong = replace(out, body=body if value is None else (*body, (tag, value)))
    assert sent(version, out)
    with pytest.raises(quickfix.FIXException):
        sent(version, wrong)


def read_tags(decode: Any, fields: dict[int, str]) -> set[int]:
    """Return the tags that a decoder looks at."""

    class Watched(dict[int, str]):
        seen: set[int] = set()  # noqa: RUF012 - one per call

        def get(self, tag: int, default: Any = None) -> Any:
            self.seen.add(tag)
            return super().get(tag, default)

    watched = Watched(fields)
    decode(watched)
    return watched.seen


@pytest.mark.parametrize("version", ALL, ids=name_of)
def test_field_that_is_read_of_a_report_never_stands_in_one_of_its_groups(version: Version) -> None:
    """Or the first one found might belong to somebody else."""
    found = xml(version.dictionary)
    for msg_type, decode in (
        ("8", codec_reports.decode_report),
        ("9", codec_reports.decode_report),
        ("r", codec_reports.decode_mass_cancel),
        ("AQ", codec_trades.decode_trade_ack),
    ):
        if msg_type in found.messages:
            tags = read_tags(decode, {35: msg_type})
            assert {35} < tags
            own = tags & found.messages[msg_type].own
            assert own & found.messages[msg_type].grouped == set()
            assert tags & found.messages[msg_type].grouped <= own


@pytest.mark.parametrize("version", [FIX44, FIX50SP2], ids=name_of)
def test_field_that_is_read_of_a_side_of_a_trade_stands_nowhere_else(version: Version) -> None:
    layout = xml(version.dictionary).messages["AE"]
    assert codec_trades._OF_A_SIDE & layout.own == set()
    common = read_tags(lambda f: codec_trades._trade(f, {}), {})
    assert common & layout.grouped == set()
    assert {571, 32, 31, 75, 60} <= common & layout.own


def test_data_field_of_a_message_that_is_read_is_found_by_its_length() -> None:
    for version in ALL:
        found = xml(version.dictionary)
        for msg_type in READ_TYPES:
            layout = found.messages.get(msg_type)
            tags = layout.own | layout.grouped if layout else set()
            for tag in (t for t in tags if found.types[t] in ("DATA", "XMLDATA")):
                length = {data: length for length, data in codec._DATA_FIELDS.items()}[tag]
                assert found.types[length] == "LENGTH"
                name = found.names[tag].removeprefix("Encoded")[:20]
                assert name in found.names[length], (tag, length)


def test_reason_and_status_of_session_messages_are_those_of_the_dictionaries() -> None:
    for tag, table, files in (
        (373, words.SESSION_REJECT_REASONS, ("FIX44.xml", "FIXT11.xml")),
        (380, words.BUSINESS_REJECT_REASONS, ("FIX44.xml", "FIX50SP2.xml")),
        (1409, words.SESSION_STATUSES, ("FIXT11.xml",)),
    ):
        assert set(table) <= {code for file in files for code in xml(file).values[tag]}


def test_message_for_the_engine_has_the_header_of_a_repetition() -> None:
    out = codec_orders.encode_action(replace(ORDER, possible_resend=True), FIX44)
    assert session.as_message(out).getHeader().getField(97) == "Y"
