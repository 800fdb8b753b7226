"""Trade capture: what a venue says it has executed, for comparison with what we booked. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from tsdb_trader.fix import codec_words as words
from tsdb_trader.fix.codec import (
    TRADE_REPORT,
    TRADE_REQUEST_ACK,
    CodecError,
    Fields,
    count,
    decimal,
    flag,
    identifier,
    pairs,
    time_of,
    trade_date,
    word,
)
from tsdb_trader.model import TradeReport, TradeRequestAck

_SIDES: Final = 552
# What is read of a side; a trade report has these nowhere else.
_OF_A_SIDE: Final = frozenset({54, 37, 11, 1, 1427, 1009, 336})


def decode_trades(raw: str) -> tuple[TradeReport, ...]:
    """Return the executions in a TradeCaptureReport, one per side.

    Raises
    ------
    CodecError
        It cannot be read, has no sides, or is a message of another type.
    """
    common, sides = _split(pairs(raw))
    if common.get(35) != TRADE_REPORT:
        raise CodecError(f"message type {common.get(35)!r} is no trade report")
    return tuple(_trade(common, side) for side in sides)


def _split(fields: Iterable[tuple[int, str]]) -> tuple[Fields, list[Fields]]:
    """Separate what is said of the trade from what is said of each side."""
    common: Fields = {}
    sides: list[Fields] = []
    grouped = False
    for tag, value in fields:
        if not grouped or tag not in _OF_A_SIDE:
            common.setdefault(tag, value)
            grouped = grouped or tag == _SIDES
            continue
        if tag == 54:
            sides.append({})
        if not sides:
            raise CodecError(f"tag {tag} before the side (54) it belongs to")
        sides[-1].setdefault(tag, value)
    if not sides or count(common, _SIDES) != len(sides):
        raise CodecError(f"{common.get(_SIDES, 'no')} sides announced, {len(sides)} found")
    return common, sides


def _trade(common: Fields, side: Fields) -> TradeReport:
    transact_time = time_of(common, 60)
    return TradeReport(
        trade_report_id=identifier(common, 571),
        exec_type=_exec_type(common),
        exec_id=identifier(side, 1427) or identifier(common, 17),
        exec_ref_id=identifier(common, 19),
        trade_report_ref_id=identifier(common, 572),
        request_id=identifier(common, 568),
        order_id=identifier(side, 37),
        cl_ord_id=identifier(side, 11),
        account=side.get(1),
        side=word(words.SIDES, side.get(54)),
        symbol=common.get(55),
        session_id=side.get(336),
        last_qty=decimal(side, 1009) if side.get(1009) else decimal(common, 32),
        last_px=decimal(common, 31),
        transact_time=transact_time,
        trade_date=trade_date(common, transact_time),
        tot_num_reports=count(common, 748),
        last_rpt_requested=flag(common, 912),
        poss_dup=flag(common, 43),
        poss_resend=flag(common, 97),
    )


def _exec_type(common: Fields) -> str:
    """Return trade, trade_cancel or trade_correct, whichever of three fields says it."""
    found = {
        word(words.EXEC_TYPES, common.get(150)),
        word(words.TRADE_TRANS_TYPES, common.get(487)),
        word(words.TRADE_REPORT_TYPES, common.get(856)),
    }
    for kind in ("trade_cancel", "trade_correct"):
        if kind in found:
            return kind
    return "trade"


def decode_trade_ack(fields: Fields) -> TradeRequestAck:
    """Return the answer in a TradeCaptureReportRequestAck.

    Raises
    ------
    CodecError
        A number cannot be read, or the message is of another type.
    """
    if fields.get(35) != TRADE_REQUEST_ACK:
        raise CodecError(f"message type {fields.get(35)!r} answers no trade request")
    return TradeRequestAck(
        request_id=identifier(fields, 568),
        status=word(words.TRADE_REQUEST_STATUSES, fields.get(750)),
        result=word(words.TRADE_REQUEST_RESULTS, fields.get(749)),
        tot_num_reports=count(fields, 748),
        text=fields.get(58),
    )
