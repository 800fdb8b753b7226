"""Orders → FIX: every term is said, QuickFIX agrees in every version, and the rest is refused."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fix_dialects import (
    ALL,
    ORDER,
    ORDER_TYPES,
    PEGS,
    SIDES,
    TIMES,
    actions,
    identifiers,
    name_of,
    pairs,
    sent,
    untimed,
)
from tsdb_trader.fix import codec_orders
from tsdb_trader.fix.codec import SOH, CodecError
from tsdb_trader.fix.versions import FIX42, FIX44, FIX50SP2, Version
from tsdb_trader.model import Action, Question

CANCEL = replace(ORDER, kind="cancel", cl_ord_id="C", orig_cl_ord_id=ORDER.cl_ord_id)
REPLACE = replace(ORDER, kind="replace", cl_ord_id="R", orig_cl_ord_id=ORDER.cl_ord_id)
LATER = datetime(2013, 10, 9, 20, tzinfo=UTC)


def fields_of(action: Action, version: Version = FIX44) -> dict[int, str]:
    """Return the fields of an encoded action as QuickFIX writes them."""
    return dict(pairs(sent(version, codec_orders.encode_action(action, version))))


def said(found: dict[int, str], version: Version) -> dict[str, Any]:
    """Read an order's terms back, independently of the codec."""

    def number(tag: int) -> Decimal | None:
        return Decimal(found[tag]) if tag in found else None

    closing = {"5": "market", "B": "limit"}.get(found[40])
    letters = found.get(18, "").split()
    expire = found.get(126)
    return {
        "order_type": closing or ORDER_TYPES[found[40]],
        "time_in_force": "at_close" if closing else TIMES[found[59]],
        "limit_price": number(44),
        "stop_price": number(99),
        "min_quantity": number(110),
        "display_quantity": number(1138 if version is FIX50SP2 else 111),
        "peg_offset": number(211),
        "peg_reference": next((PEGS[letter] for letter in letters if letter in PEGS), None),
        "post_only": "6" in letters,
        "expire_at": expire and expire[:17],
        "session_id": UUID(found[336]),
    }


@pytest.mark.parametrize("version", ALL, ids=name_of)
@untimed
@given(data=st.data())
def test_action_encoded_is_accepted_by_quickfix_and_carries_every_value(
    version: Version, data: st.DataObject
) -> None:
    action = data.draw(actions(version))
    out = codec_orders.encode_action(action, version)
    found = dict(pairs(sent(version, out)))
    assert found[35] == out.msg_type == {"new": "D", "replace": "G", "cancel": "F"}[action.kind]
    assert found[11] == action.cl_ord_id == out.reference
    assert found[1] == action.account
    assert found[55] == action.symbol
    assert SIDES[found[54]] == action.side
    assert Decimal(found[38]) == action.quantity
    assert found.get(97) == ("Y" if action.possible_resend else None)
    assert found[60][:17] == f"{action.as_of:%Y%m%d-%H:%M:%S}"
    assert not any("e" in found[t].lower() for t in (38, 44, 99, 110, 111, 1138) if t in found)
    if action.kind == "new":
        assert 41 not in found
        assert 37 not in found
    else:
        assert found[41] == action.orig_cl_ord_id
        assert found.get(37) == action.venue_order_id
    if action.kind != "cancel":
        terms = said(found, version)
        expected = {name: getattr(action, name) for name in terms}
        if action.expire_at is not None:
            expected["expire_at"] = f"{action.expire_at:%Y%m%d-%H:%M:%S}"
        assert terms == expected


@pytest.mark.parametrize("order_type", ["market", "limit"])
def test_order_for_the_close_in_fix_4_2_is_a_type_of_its_own(order_type: str) -> None:
    price = ORDER.limit_price if order_type == "limit" else None
    order = replace(ORDER, order_type=order_type, limit_price=price, time_in_force="at_close")
    found = fields_of(order, FIX42)
    assert (found[40], found[59]) == ({"market": "5", "limit": "B"}[order_type], "0")
    assert fields_of(order)[59] == "7"


def test_order_for_the_close_with_a_stop_in_fix_4_2_is_refused_by_name() -> None:
    order = replace(
        ORDER, order_type="stop", limit_price=None, stop_price=Decimal(9), time_in_force="at_close"
    )
    with pytest.raises(CodecError, match=r"action 1 in FIX\.4\.2: time_in_force at_close .* stop"):
        codec_orders.encode_action(order, FIX42)
    assert fields_of(order)[59] == "7"


@pytest.mark.parametrize(
    ("version", "handl_inst", "display", "peg", "time"),
    [
        (FIX42, "1", 111, None, "20131007-14:30:00.123"),
        (FIX44, "1", 111, None, "20131007-14:30:00.123"),
        (FIX50SP2, None, 1138, "4", "20131007-14:30:00.123456"),
    ],
    ids=["4.2", "4.4", "5.0SP2"],
)
def test_order_in_each_version_uses_its_fields(
    version: Version, handl_inst: str | None, display: int, peg: str | None, time: str
) -> None:
    order = replace(
        ORDER,
        order_type="pegged",
        peg_reference="market",
        peg_offset=Decimal("-0.01"),
        post_only=True,
        display_quantity=Decimal(10),
    )
    found = fields_of(order, version)
    assert found[18] == "P 6"
    assert found[211] == "-0.01"
    assert found.get(21) == handl_inst
    assert found[display] == "10"
    assert {111, 1138} & set(found) == {display}
    assert found.get(1094) == peg
    assert found[60] == time
    assert (found[386], found[336]) == ("1", str(ORDER.session_id))


@pytest.mark.parametrize("version", ALL, ids=name_of)
@pytest.mark.parametrize(
    "changed",
    [
        {"kind": "status"},
        {"kind": "replace"},
        {"kind": "cancel"},
        {"side": "borrow"},
        {"order_type": "previously_quoted"},
        {"order_type": "stop"},
        {"order_type": "stop_limit"},
        {"order_type": "market"},
        {"order_type": "pegged"},
        {"order_type": "pegged", "peg_reference": "last"},
        {"stop_price": Decimal(1)},
        {"peg_reference": "primary"},
        {"peg_offset": Decimal(0)},
        {"time_in_force": "gtd"},
        {"time_in_force": "good_for_month"},
        {"expire_at": LATER},
        {"limit_price": None},
        {"limit_price": Decimal("NaN")},
        {"quantity": Decimal("Infinity")},
        {"symbol": f"A{SOH}54=2"},
        {"symbol": "A\x00"},
        {"account": ""},
        {"as_of": ORDER.as_of.replace(tzinfo=None)},
        {"time_in_force": "gtd", "expire_at": LATER.replace(tzinfo=None)},
    ],
    ids=str,
)
def test_action_that_fix_cannot_say_is_refused(version: Version, changed: dict[str, Any]) -> None:
    with pytest.raises(CodecError, match=rf"^action 1 in {version.name}: "):
        codec_orders.encode_action(replace(ORDER, **changed), version)


@pytest.mark.parametrize("kind", ["replace", "cancel"])
def test_action_without_its_predecessor_is_refused(kind: str) -> None:
    with pytest.raises(CodecError, match=f"a {kind} without orig_cl_ord_id"):
        codec_orders.encode_action(replace(ORDER, kind=kind), FIX44)


def test_replace_repeats_every_term_and_names_the_venues_order() -> None:
    order = fields_of(ORDER)
    found = fields_of(replace(REPLACE, quantity=Decimal(70), venue_order_id="V9"))
    assert (found[41], found[37], found[38]) == ("ABC123-1", "V9", "70")
    same = set(order) - {9, 10, 11, 35, 38}
    assert {tag: found[tag] for tag in same} == {tag: order[tag] for tag in same}


def test_cancel_of_an_order_with_any_terms_says_only_which_order() -> None:
    cancel = replace(CANCEL, order_type="pegged", peg_reference="primary", post_only=True)
    assert set(fields_of(cancel)) == {8, 9, 35, 34, 49, 52, 56, 1, 11, 38, 41, 54, 55, 60, 10}


def test_action_time_in_another_zone_is_sent_in_utc() -> None:
    east = ORDER.as_of.astimezone(timezone(timedelta(hours=9)))
    assert fields_of(replace(ORDER, as_of=east))[60] == "20131007-14:30:00.123"


@pytest.mark.parametrize("version", ALL, ids=name_of)
@untimed
@given(
    order=identifiers,
    request=identifiers,
    venue_order=st.none() | identifiers,
    side=st.sampled_from(sorted(SIDES.values())),
)
def test_question_asks_by_order_and_own_id_where_the_version_has_one(
    version: Version, order: str, request: str, venue_order: str | None, side: str
) -> None:
    question = Question(2, order, UUID(int=7), "IBM", side, "unknown", venue_order)
    out = codec_orders.encode_question(question, request, version)
    found = dict(pairs(sent(version, out)))
    assert (found[35], found[11], out.reference) == ("H", order, order)
    assert (SIDES[found[54]], found[55]) == (side, "IBM")
    assert found.get(37) == venue_order
    assert found.get(790) == (None if version is FIX42 else request)
