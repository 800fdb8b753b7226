"""What a venue says about orders, in the words of the database. Pure.

Only what the order path cannot do without is required; an unknown code travels as it came.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from decimal import Decimal
from typing import Final

from tsdb_trader.fix import codec_words as words
from tsdb_trader.fix.codec import (
    BUSINESS_REJECT,
    CANCEL_REJECT,
    CANCEL_REQUEST,
    EXECUTION_REPORT,
    MASS_CANCEL_REPORT,
    MASS_CANCEL_REQUEST,
    NEW_ORDER,
    QUESTIONS,
    REPLACE_REQUEST,
    CodecError,
    Fields,
    count,
    decimal,
    flag,
    identifier,
    reference_tag,
    time_of,
    trade_date,
    word,
)
from tsdb_trader.model import MassCancelReport, Report, RequestRefused

# Of FIX 4.2: the order was replaced. Later versions say what it is now.
_REPLACED: Final = "5"
# A venue that does not know the message, as a business reject or a session reject says it.
_UNSUPPORTED: Final[Mapping[str, tuple[int, str]]] = {"j": (380, "3"), "3": (373, "11")}
_RESPONSES: Final[Mapping[str, str]] = {
    CANCEL_REQUEST: "cancel_request",
    REPLACE_REQUEST: "replace_request",
}


def decode_report(fields: Fields) -> Report:
    """Return the report in an ExecutionReport or OrderCancelReject of any version.

    Raises
    ------
    CodecError
        A number or time cannot be read, or the message is of another type.
    """
    msg_type = fields.get(35, "")
    if msg_type not in (EXECUTION_REPORT, CANCEL_REJECT):
        raise CodecError(f"message type {msg_type!r} is no report")
    last_qty, transact_time = decimal(fields, 32), time_of(fields, 60)
    exec_type = _exec_type(fields)
    return Report(
        msg_type=msg_type,
        exec_type=exec_type,
        ord_status=_status(fields),
        cl_ord_id=identifier(fields, 11),
        orig_cl_ord_id=identifier(fields, 41),
        ord_status_req_id=fields.get(790),
        order_id=identifier(fields, 37),
        exec_id=_exec_id(fields, exec_type),
        exec_ref_id=identifier(fields, 19),
        last_qty=last_qty,
        last_px=decimal(fields, 31),
        cum_qty=decimal(fields, 14),
        leaves_qty=decimal(fields, 151),
        avg_px=decimal(fields, 6),
        commission=_commission(fields, last_qty),
        side=word(words.SIDES, fields.get(54)),
        symbol=fields.get(55),
        session_id=fields.get(336),
        transact_time=transact_time,
        trade_date=trade_date(fields, transact_time),
        text=fields.get(58) or fields.get(1328),
        ord_rej_reason=word(words.ORDER_REJECT_REASONS, fields.get(103)),
        cxl_rej_reason=word(words.CANCEL_REJECT_REASONS, fields.get(102)),
        cxl_rej_response_to=word(words.CANCEL_REJECT_RESPONSES, fields.get(434)),
        account=fields.get(1),
        last_mkt=fields.get(30),
        last_liquidity_ind=word(words.LIQUIDITY, fields.get(851)),
        order_qty=decimal(fields, 38),
        price=decimal(fields, 44),
        stop_px=decimal(fields, 99),
        min_qty=decimal(fields, 110),
        display_qty=decimal(fields, 1138 if fields.get(1138) else 111),
        day_order_qty=decimal(fields, 424),
        day_cum_qty=decimal(fields, 425),
        day_avg_px=decimal(fields, 426),
        exec_restatement_reason=word(words.EXEC_RESTATEMENT_REASONS, fields.get(378)),
        mass_status_req_id=fields.get(584),
        tot_num_reports=count(fields, 911),
        last_rpt_requested=flag(fields, 912),
        copied=flag(fields, 797),
        poss_dup=flag(fields, 43),
        poss_resend=flag(fields, 97),
    )


def _exec_type(fields: Fields) -> str | None:
    """Return what happened; ExecTransType, where a venue has it, says more than ExecType."""
    transaction = words.EXEC_TRANS_TYPES.get(fields.get(20, ""))
    return transaction or word(words.EXEC_TYPES, fields.get(150))


def _status(fields: Fields) -> str | None:
    if fields.get(39) != _REPLACED:
        return word(words.ORDER_STATUSES, fields.get(39))
    if not decimal(fields, 14):
        return "new"
    leaves = decimal(fields, 151)
    return "filled" if leaves == 0 else "partially_filled"


def _exec_id(fields: Fields, exec_type: str | None) -> str | None:
    """Return the report's id; an answer to a question has none, and FIX 4.2 writes 0 for it."""
    exec_id = fields.get(17)
    return None if exec_type == "status" and exec_id == "0" else exec_id


def _commission(fields: Fields, last_qty: Decimal | None) -> Decimal | None:
    """Return the commission in money; other bases than absolute and per unit are left out."""
    amount = decimal(fields, 12)
    kind = fields.get(13, "3")
    if amount is None or kind not in ("1", "3"):
        return None
    if kind == "1":
        return None if last_qty is None else amount * last_qty
    return amount


def decode_mass_cancel(fields: Fields) -> MassCancelReport:
    """Return the answer in an OrderMassCancelReport.

    Raises
    ------
    CodecError
        A number or time cannot be read, or the message is of another type.
    """
    if fields.get(35) != MASS_CANCEL_REPORT:
        raise CodecError(f"message type {fields.get(35)!r} is no mass cancel report")
    return MassCancelReport(
        request_id=identifier(fields, 11),
        order_id=identifier(fields, 37),
        response=word(words.MASS_CANCEL_RESPONSES, fields.get(531)),
        reject_reason=word(words.MASS_CANCEL_REJECT_REASONS, fields.get(532)),
        total_affected=count(fields, 533),
        transact_time=time_of(fields, 60),
        text=fields.get(58),
    )


def rejection(fields: Fields, refused: Fields, fix_session: str) -> Report | None:
    """Return what a session or business reject (35=3, j) of an order, replace or cancel amounts to.

    A marked report stands in for the one the venue will never write, so that the order does not
    wait for it. `refused` is our message; where it is lost (empty), what the reject itself says of
    it must do. None when it was neither an order nor a change of one.
    """
    refused = _refused(fields, refused)
    kind, sent = refused.get(35, ""), time_of(fields, 52)
    if kind not in (NEW_ORDER, REPLACE_REQUEST, CANCEL_REQUEST) or 11 not in refused:
        return None
    base = Report(
        msg_type=EXECUTION_REPORT if kind == NEW_ORDER else CANCEL_REJECT,
        cl_ord_id=refused[11],
        orig_cl_ord_id=refused.get(41),
        side=word(words.SIDES, refused.get(54)),
        symbol=refused.get(55),
        transact_time=time_of(refused, 60),
        trade_date=sent.date() if sent else None,
        text=f"session reject: {reason_of(fields)}",
    )
    if kind == NEW_ORDER:
        # Unique per reject: session, number and time of the venue's own message.
        exec_id = f"session-reject:{fix_session}:{fields.get(34)}:{fields.get(52)}"
        return replace(
            base,
            exec_type="rejected",
            ord_status="rejected",
            exec_id=exec_id,
            ord_rej_reason="other",
        )
    return replace(base, cxl_rej_reason="other", cxl_rej_response_to=_RESPONSES[kind])


def refused_request(fields: Fields, refused: Fields) -> RequestRefused | None:
    """Return what a session or business reject says of a request that is no order, or None.

    Arguments as for `rejection`.
    """
    refused = _refused(fields, refused)
    kind = refused.get(35, "")
    if kind not in QUESTIONS and kind != MASS_CANCEL_REQUEST:
        return None
    tag, unsupported = _UNSUPPORTED.get(fields.get(35, ""), (0, ""))
    return RequestRefused(
        msg_type=kind,
        request_id=refused.get(790) or refused.get(reference_tag(kind)),
        unsupported=fields.get(tag) == unsupported,
        text=reason_of(fields),
    )


def _refused(fields: Fields, refused: Fields) -> Fields:
    """Return our refused message, or as much of it as its reject repeats."""
    if refused or fields.get(35) != BUSINESS_REJECT:
        return refused
    kind = fields.get(372, "")
    # BusinessRejectRefID: the id by which such a message is known.
    found = fields.get(379)
    return {35: kind} | ({reference_tag(kind): found} if found else {})


def reason_of(fields: Fields) -> str:
    """Return why a venue refuses a message or logs out, as a text for people."""
    parts = [fields.get(58) or fields.get(1328) or ""]
    if not parts[0]:
        parts = [
            known.get(fields[tag], f"reason {fields[tag]}")
            for tag, known in (
                (373, words.SESSION_REJECT_REASONS),
                (380, words.BUSINESS_REJECT_REASONS),
            )
            if fields.get(tag)
        ]
    if fields.get(1409):
        parts.append(word(words.SESSION_STATUSES, fields[1409]) or "")
    if fields.get(371):
        parts.append(f"tag {fields[371]}")
    return ", ".join(part for part in parts if part) or "no reason given"
