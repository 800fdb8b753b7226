"""Terms of orders out of FIX messages, and the venue's bodies in three versions; pure."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal

import pytest

from tsdb_trader.api.venue import OrderRow
from tsdb_trader.api.venue_market import Instrument
from tsdb_trader.venue import reports, terms, versions
from tsdb_trader.venue.protocol import RejectedError, Request, parse_request

ORDER = {35: "D", 11: "A1", 55: "IBM", 54: "1", 38: "100", 40: "2", 44: "99.5"}
NOW = datetime(2013, 10, 7, 14, 30, tzinfo=UTC)
IBM = Instrument(1, "IBM", 4, 0, Decimal("0.01"), Decimal(1), "active")


def message(begin: str = "FIX.4.4", **changes: str | None) -> Request:
    fields: dict[int, str | None] = {8: begin, **ORDER}
    fields |= {int(tag.removeprefix("t")): value for tag, value in changes.items()}
    pairs = [f"{tag}={value}" for tag, value in fields.items() if value is not None]
    return parse_request("\x01".join(pairs) + "\x01", f"{begin}:SIM->TSDB")


def test_terms_of_every_order_type_are_read() -> None:
    stop = terms.read(message(t40="3", t44=None, t99="101"))
    assert (stop.order_type, stop.stop_price, stop.limit_price) == ("stop", Decimal(101), None)
    both = terms.read(message(t40="4", t99="101", t59="1"))
    assert (both.order_type, both.time_in_force) == ("stop_limit", "gtc")
    pegged = terms.read(message(t40="P", t18="1 M 6", t211="-0.02"))
    assert (pegged.peg_reference, pegged.peg_offset) == ("midpoint", Decimal("-0.02"))
    assert pegged.post_only
    assert pegged.limit_price == Decimal("99.5")
    five = terms.read(message("FIXT.1.1", t40="P", t44=None, t1094="5", t1138=None))
    assert (five.peg_reference, five.limit_price) == ("primary", None)
    iceberg = terms.read(message(t111="10", t110="20"))
    assert (iceberg.display_quantity, iceberg.min_quantity) == (Decimal(10), Decimal(20))
    assert terms.read(message("FIXT.1.1", t1138="30")).display_quantity == Decimal(30)


def test_terms_of_the_close_are_read_in_both_ways() -> None:
    for changes in ({"t40": "5", "t44": None}, {"t40": "1", "t44": None, "t59": "7"}):
        found = terms.read(message(**changes))
        assert (found.order_type, found.time_in_force) == ("market", "at_close")
    assert terms.read(message("FIX.4.2", t40="B")).order_type == "limit"


def test_terms_with_a_date_last_until_its_end() -> None:
    until = terms.read(message(t59="6", t126="20131009-15:00:00")).expire_at
    assert until == datetime(2013, 10, 9, 15, tzinfo=UTC)
    day = terms.read(message(t59="6", t432="20131009")).expire_at
    assert day is not None
    assert day.astimezone(UTC) > datetime(2013, 10, 10, 3, 59, tzinfo=UTC)


@pytest.mark.parametrize(
    ("changes", "reason", "text"),
    [
        ({"t40": "K"}, 11, "OrdType (40) 'K' is not supported"),
        ({"t40": "3"}, 99, "a stop order has no Price (44)"),
        ({"t99": "5"}, 99, "a limit order has no StopPx (99)"),
        ({"t40": "3", "t44": None}, 99, "StopPx (99) '' is no number"),
        ({"t40": "P"}, 99, "a pegged order names one reference in ExecInst (18): R, M or P"),
        ({"t40": "P", "t18": "R M"}, 99, "a pegged order names one reference in ExecInst"),
        ({"t18": "R"}, 99, "a limit order has no peg"),
        ({"t211": "1"}, 99, "a limit order has no peg"),
        ({"t18": "G"}, 11, "ExecInst (18) 'G' is not supported"),
        ({"t59": "6"}, 99, "ExpireTime (126) '' is no time"),
        ({"t59": "6", "t126": "soon"}, 99, "ExpireTime (126) 'soon' is no time"),
        ({"t126": "20131009-15:00:00"}, 99, "only an order good till a date has ExpireTime"),
        ({"t111": "101"}, 13, "display (111) 101 is more than OrderQty (38) 100"),
        ({"t110": "-1"}, 99, "MinQty (110) -1 is not positive"),
        ({"t18": "6", "t59": "3"}, 99, "post-only (18=6) is for limit and pegged orders that rest"),
        ({"t111": "10", "t59": "4"}, 99, "a display quantity is for limit and pegged orders"),
        ({"t40": "4", "t99": "9", "t59": "3"}, 99, "a stop_limit order cannot be ioc"),
        ({"t38": "many"}, 99, "OrderQty (38) 'many' is no number"),
    ],
)
def test_terms_that_cannot_be_are_rejected_with_a_reason(
    changes: dict[str, str], reason: int, text: str
) -> None:
    with pytest.raises(RejectedError) as caught:
        terms.read(message(**changes))
    assert caught.value.reason == reason
    assert caught.value.text.startswith(text)


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"t44": "99.505"}, "price 99.505 is no multiple of 0.01"),
        ({"t40": "4", "t99": "99.005"}, "stop price 99.005 is no multiple of 0.01"),
        ({"t111": "1.5"}, "quantity 1.5 is no multiple of 1"),
        ({"t40": "P", "t18": "R", "t211": "-0.001"}, "peg offset -0.001 is no multiple of 0.01"),
    ],
)
def test_terms_off_the_steps_of_the_instrument_are_rejected(
    changes: dict[str, str], text: str
) -> None:
    with pytest.raises(RejectedError, match=text):
        terms.check_steps(terms.read(message(**changes)), IBM)


def entered(begin: str, **changes: str | None) -> OrderRow:
    request = message(begin, **changes)
    order = terms.draft(request, 7, NOW)
    terms.apply(terms.read(request), order)
    return order


def body(begin: str, order: OrderRow, exec_type: str) -> versions.Fields:
    return versions.adapt(begin, "8", reports.execution(order, "O7", exec_type, NOW), 12)


def test_report_in_fix_42_has_transaction_type_and_old_execution_types() -> None:
    order = entered("FIX.4.2", t40="B")
    assert body("FIX.4.2", order, "0")["20"] == "0"
    assert body("FIX.4.2", order, "0")["40"] == "B"
    order.cumulative_quantity, order.status = Decimal(40), "partially_filled"
    assert [body("FIX.4.2", order, kind)["150"] for kind in "FGHI"] == ["1"] * 4
    assert [body("FIX.4.2", order, kind)["20"] for kind in "FGHI"] == ["0", "2", "1", "3"]
    order.pending = "cancel"
    assert (body("FIX.4.2", order, "F")["150"], body("FIX.4.2", order, "F")["39"]) == ("1", "6")
    order.cumulative_quantity, order.status, order.pending = Decimal(100), "filled", None
    assert body("FIX.4.2", order, "F")["150"] == "2"


def test_report_in_fix_50_has_its_own_fields_for_displays_and_pegs() -> None:
    order = entered("FIXT.1.1", t40="P", t44=None, t18="M", t111="10")
    order.session_id = None
    found = body("FIXT.1.1", order, "0")
    assert (found["1138"], found["1094"], found["18"]) == ("10", "2", "M")
    assert "111" not in found


def test_reject_reasons_that_fix_42_lacks_become_the_venues_own_choice() -> None:
    request = message("FIX.4.2", t41="A0")
    fields = reports.rejection(request, "O7", "8", NOW, 99, "no")
    assert versions.adapt("FIX.4.2", "8", fields, 1)["103"] == "0"
    refusal = reports.cancel_reject(request, "O7", "0", NOW, 6, "no")
    assert versions.adapt("FIX.4.2", "9", refusal, 1)["102"] == "2"
    assert versions.adapt("FIX.4.4", "9", refusal, 1)["102"] == "6"


def test_version_of_a_session_and_its_message_types_are_known() -> None:
    assert versions.begin_string("FIX.4.2:SIM->OLD") == "FIX.4.2"
    assert not versions.knows("FIX.4.2", "AF")
    assert versions.knows("FIX.4.4", "AF")
