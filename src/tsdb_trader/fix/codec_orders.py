"""Orders into FIX: new order, replace, cancel and status request, in every version. Pure.

What a version cannot say is an error before anything is sent; nothing is left out to make it fit.
"""

from __future__ import annotations

from typing import Final

from tsdb_trader.fix import codec_words as words
from tsdb_trader.fix.codec import (
    CANCEL_REQUEST,
    NEW_ORDER,
    REPLACE_REQUEST,
    STATUS_REQUEST,
    CodecError,
    Group,
    Outgoing,
    Pairs,
    body_of,
    code,
    format_time,
    number_text,
)
from tsdb_trader.fix.versions import Version
from tsdb_trader.model import Action, Question

_AUTOMATIC: Final = "1"
_LIMITED: Final = ("limit", "stop_limit")
_STOPPED: Final = ("stop", "stop_limit")


def encode_action(action: Action, version: Version) -> Outgoing:
    """Return the NewOrderSingle, OrderCancelReplaceRequest or OrderCancelRequest of an action.

    Raises
    ------
    CodecError
        The version has no way to say it, or the terms contradict each other.
    """
    try:
        header = ((97, "Y"),) if action.possible_resend else ()
        if action.kind == "new":
            return _order(action, version, NEW_ORDER, header, ())
        earlier = ((37, action.venue_order_id), (41, action.orig_cl_ord_id))
        if action.kind not in ("replace", "cancel"):
            raise CodecError(f"kind {action.kind!r} is no message")
        if action.orig_cl_ord_id is None:
            raise CodecError(f"a {action.kind} without orig_cl_ord_id")
        if action.kind == "replace":
            return _order(action, version, REPLACE_REQUEST, header, earlier)
        body = body_of((*_common(action, version), *earlier))
        return Outgoing(CANCEL_REQUEST, action.cl_ord_id, header, body)
    except CodecError as error:
        raise CodecError(f"action {action.action_id} in {version.name}: {error}") from None


def encode_question(question: Question, request_id: str, version: Version) -> Outgoing:
    """Return the OrderStatusRequest for an order; the answer should echo `request_id`.

    FIX 4.2 has no field for the request's id: its answer names the order alone.

    Raises
    ------
    CodecError
        FIX has no way to say it.
    """
    body = body_of(
        (
            (11, question.cl_ord_id),
            (37, question.venue_order_id),
            (54, code(words.SIDES, question.side, "side")),
            (55, question.symbol),
            (790, request_id if version.status_request_id else None),
        )
    )
    return Outgoing(STATUS_REQUEST, question.cl_ord_id, (), body)


def _common(action: Action, version: Version) -> tuple[tuple[int, str | None], ...]:
    """Return the fields that orders, replaces and cancels share."""
    return (
        (1, action.account),
        (11, action.cl_ord_id),
        (38, number_text(action.quantity)),
        (54, code(words.SIDES, action.side, "side")),
        (55, action.symbol),
        (60, format_time(action.as_of, version.fraction)),
    )


def _order(
    action: Action,
    version: Version,
    msg_type: str,
    header: Pairs,
    earlier: tuple[tuple[int, str | None], ...],
) -> Outgoing:
    _check_terms(action)
    order_type, time_in_force = _type_and_time(action, version)
    peg = action.peg_reference
    expire_at = action.expire_at
    body = body_of(
        (
            *_common(action, version),
            *earlier,
            (18, _instructions(action)),
            (21, _AUTOMATIC if version.handl_inst else None),
            (40, order_type),
            (44, number_text(action.limit_price)),
            (59, time_in_force),
            (99, number_text(action.stop_price)),
            (110, number_text(action.min_quantity)),
            (126, format_time(expire_at, version.fraction) if expire_at is not None else None),
            (211, number_text(action.peg_offset)),
            (version.display_tag, number_text(action.display_quantity)),
            (
                1094,
                code(words.PEG_PRICE_TYPES, peg, "peg_reference")
                if peg is not None and version.peg_price_type
                else None,
            ),
        )
    )
    trading_session = Group(386, 336, (((336, str(action.session_id)),),))
    return Outgoing(msg_type, action.cl_ord_id, header, body, (trading_session,))


def _check_terms(action: Action) -> None:
    """Refuse terms that contradict each other: a venue might read them in its own way."""
    kind = action.order_type
    pegged, timed = kind == "pegged", action.time_in_force == "gtd"
    terms = (
        ("limit_price", action.limit_price is not None, kind in _LIMITED, kind in _LIMITED),
        ("stop_price", action.stop_price is not None, kind in _STOPPED, kind in _STOPPED),
        ("peg_reference", action.peg_reference is not None, pegged, pegged),
        ("peg_offset", action.peg_offset is not None, False, pegged),
        ("expire_at", action.expire_at is not None, timed, timed),
    )
    for name, given, needed, allowed in terms:
        if given and not (allowed or (pegged and name == "limit_price")):
            raise CodecError(f"{name} does not go with {kind}, {action.time_in_force}")
        if needed and not given:
            raise CodecError(f"{kind}, {action.time_in_force} needs {name}")


def _type_and_time(action: Action, version: Version) -> tuple[str, str]:
    """Return OrdType (40) and TimeInForce (59)."""
    if action.time_in_force == "at_close" and version.closing_types:
        closing = version.closing_types.get(action.order_type)
        if closing is None:
            raise CodecError(f"time_in_force at_close does not go with {action.order_type}")
        return closing, code(words.TIMES_IN_FORCE, "day", "time_in_force")
    return (
        code(words.ORDER_TYPES, action.order_type, "order_type"),
        code(words.TIMES_IN_FORCE, action.time_in_force, "time_in_force"),
    )


def _instructions(action: Action) -> str | None:
    """Return ExecInst (18): letters with blanks between them."""
    letters = []
    if action.peg_reference is not None:
        letters.append(code(words.PEG_INSTRUCTIONS, action.peg_reference, "peg_reference"))
    if action.post_only:
        letters.append(words.POST_ONLY)
    return " ".join(letters) or None
