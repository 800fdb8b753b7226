"""Trade reports → executions, one per side, in every version that has them."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fix_dialects import SIDES, amounts, identifiers, name_of, received, text, untimed
from tsdb_trader.fix import codec, codec_trades
from tsdb_trader.fix.codec import CodecError
from tsdb_trader.fix.versions import FIX44, FIX50SP2, Version
from tsdb_trader.model import TradeReport, TradeRequestAck

LATER = [FIX44, FIX50SP2]
BODY: list[tuple[int, object]] = [
    (571, "T1"),
    (570, "N"),
    (17, "E1"),
    (55, "IBM"),
    (32, "40"),
    (31, "185.23"),
    (75, "20240102"),
    (60, "20240102-14:30:00.123"),
]
sides = st.lists(
    st.tuples(
        st.sampled_from(sorted(SIDES)),
        identifiers,
        st.none() | identifiers,
        st.none() | identifiers,
    ),
    min_size=1,
    max_size=2,
)


def trade(version: Version, *fields: tuple[int, Any], side: Any = ((54, "1"), (37, "V1"))) -> str:
    """Return a trade report of one side, as QuickFIX builds it."""
    changed = {tag: str(value) for tag, value in [*BODY, *fields]}
    return received(version, "AE", list(changed.items()), (552, [list(side)]))


@pytest.mark.parametrize("version", LATER, ids=name_of)
@untimed
@given(sides=sides, quantity=amounts, price=amounts, total=st.none() | st.integers(0, 10**6))
def test_trade_report_built_by_quickfix_is_one_execution_per_side(
    version: Version, sides: Any, quantity: Decimal, price: Decimal, total: int | None
) -> None:
    fields = dict(BODY) | {32: f"{quantity:f}", 31: f"{price:f}", 568: "R1", 912: "Y"}
    fields |= {748: total} if total is not None else {}
    entries = [
        [(t, v) for t, v in ((54, s), (37, o), (11, c), (1, a)) if v is not None]
        for s, o, c, a in sides
    ]
    raw = received(version, "AE", [(t, str(v)) for t, v in fields.items()], (552, entries))
    assert codec_trades.decode_trades(raw) == tuple(
        TradeReport(
            trade_report_id="T1",
            exec_type="trade",
            exec_id="E1",
            exec_ref_id=None,
            trade_report_ref_id=None,
            request_id="R1",
            order_id=order,
            cl_ord_id=cl_ord_id,
            account=account,
            side=SIDES[side],
            symbol="IBM",
            session_id=None,
            last_qty=quantity,
            last_px=price,
            transact_time=datetime(2024, 1, 2, 14, 30, 0, 123000, tzinfo=UTC),
            trade_date=date(2024, 1, 2),
            tot_num_reports=total,
            last_rpt_requested=True,
        )
        for side, order, cl_ord_id, account in sides
    )


@pytest.mark.parametrize("version", LATER, ids=name_of)
@pytest.mark.parametrize(
    ("field", "word"),
    [
        ((150, "F"), "trade"),
        ((150, "H"), "trade_cancel"),
        ((150, "G"), "trade_correct"),
        ((487, "0"), "trade"),
        ((487, "1"), "trade_cancel"),
        ((487, "2"), "trade_correct"),
        ((856, "6"), "trade_cancel"),
    ],
)
def test_trade_report_taken_back_or_corrected_by_any_field_says_so(
    version: Version, field: tuple[int, str], word: str
) -> None:
    found = codec_trades.decode_trades(trade(version, field, (572, "T0")))
    assert [(t.exec_type, t.trade_report_ref_id) for t in found] == [(word, "T0")]


def test_trade_report_of_fix_5_0_has_ids_and_quantities_of_each_side() -> None:
    side = [(54, "2"), (1427, "E1-S"), (1009, "15"), (37, "V1"), (1, "main")]
    found = codec_trades.decode_trades(trade(FIX50SP2, (19, "E0"), side=side))
    assert [(t.exec_id, t.exec_ref_id, t.last_qty, t.side) for t in found] == [
        ("E1-S", "E0", Decimal(15), "sell")
    ]


def test_trade_report_with_fields_after_the_sides_is_read_whole() -> None:
    head = [(8, "FIX.4.4"), (9, 1), (35, "AE"), (34, 4), (43, "Y"), (52, "20240102-15:00:00")]
    group = [(552, 2), (54, 1), (37, "V1"), (453, 1), (448, "ME"), (54, 2), (37, "V2"), (11, "C")]
    found = codec_trades.decode_trades(text(*head, *group, *BODY, (10, "000")))
    assert [(t.order_id, t.cl_ord_id, t.side, t.last_px) for t in found] == [
        ("V1", None, "buy", Decimal("185.23")),
        ("V2", "C", "sell", Decimal("185.23")),
    ]
    assert all(t.poss_dup for t in found)
    assert "last_rpt_requested" not in found[0].as_json()
    assert found[1].as_json()["last_px"] == "185.23"


@pytest.mark.parametrize(
    "fields",
    [
        [(35, "AE")],
        [(35, "AE"), (552, 0)],
        [(35, "AE"), (552, 1), (37, "V1"), (54, 1)],
        [(35, "AE"), (552, 2), (54, 1), (37, "V1")],
        [(35, "AE"), (552, "x"), (54, 1), (37, "V1")],
        [(35, "AE"), (32, "ten"), (552, 1), (54, 1)],
        [(35, "8"), (552, 1), (54, 1)],
    ],
    ids=str,
)
def test_trade_report_that_cannot_be_read_is_refused(fields: list[tuple[int, object]]) -> None:
    with pytest.raises(CodecError):
        codec_trades.decode_trades(text(*fields))


@pytest.mark.parametrize("version", LATER, ids=name_of)
@pytest.mark.parametrize(
    ("result", "status", "total", "words"),
    [
        ("0", "0", "3", ("successful", "accepted", 3)),
        ("0", "1", None, ("successful", "completed", None)),
        ("8", "2", None, ("type_not_supported", "rejected", None)),
    ],
)
def test_trade_request_ack_built_by_quickfix_is_read(
    version: Version, result: str, status: str, total: str | None, words: tuple[Any, ...]
) -> None:
    fields = [(568, "R1"), (569, "0"), (749, result), (750, status), (55, "[N/A]"), (58, "so")]
    fields += [(748, total)] if total else []
    ack = codec_trades.decode_trade_ack(codec.parse(received(version, "AQ", fields)))
    assert ack == TradeRequestAck("R1", words[1], words[0], words[2], "so")


def test_trade_request_ack_of_other_type_is_refused() -> None:
    with pytest.raises(CodecError):
        codec_trades.decode_trade_ack({35: "8"})
