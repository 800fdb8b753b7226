"""FIX 4.4 text ↔ model: pure functions, no engine, no clock.

Fields are found by tag, never by position, so the order a venue writes them in does not matter.
Only what the order path cannot do without is required; an unknown code travels as it came.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Final, TypeAlias

from tsdb_trader import model
from tsdb_trader.errors import TraderError
from tsdb_trader.model import Action, FixMessage, Question, Report, plain

SOH: Final = "\x01"
Fields: TypeAlias = dict[int, str]

ADMIN_TYPES: Final = frozenset("012345A")
NEW_ORDER: Final = "D"
CANCEL_REQUEST: Final = "F"
REPLACE_REQUEST: Final = "G"
STATUS_REQUEST: Final = "H"
EXECUTION_REPORT: Final = "8"
CANCEL_REJECT: Final = "9"
REJECT: Final = "3"
LOGOUT: Final = "5"
BUSINESS_REJECT: Final = "j"

# A length field and the field of that many bytes after it, which may contain the separator.
_DATA_FIELDS: Final = {
    90: 91,
    93: 89,
    95: 96,
    212: 213,
    348: 349,
    350: 351,
    352: 353,
    354: 355,
    356: 357,
    358: 359,
    360: 361,
    362: 363,
    364: 365,
    445: 446,
    618: 619,
    621: 622,
}
_NUMBER: Final = re.compile(r"-?(?:\d+\.?\d*|\.\d+)", re.ASCII)
_TIME: Final = re.compile(r"(\d{8})-(\d{2}:\d{2}):(\d{2})(?:\.(\d{1,12}))?", re.ASCII)


class CodecError(TraderError):
    """A FIX message that cannot be read; it is archived and a person is told."""


@dataclass(frozen=True, slots=True)
class Group:
    """A repeating group: its count field, its first field, and the fields of each entry."""

    count_tag: int
    first_tag: int
    entries: tuple[tuple[tuple[int, str], ...], ...]


@dataclass(frozen=True, slots=True)
class Outgoing:
    """An application message to send, without what the engine adds."""

    msg_type: str
    cl_ord_id: str
    header: tuple[tuple[int, str], ...]
    body: tuple[tuple[int, str], ...]
    groups: tuple[Group, ...] = ()

    def render(self) -> str:
        """Return the text between the standard header and the trailer, as an engine would."""
        pairs: list[tuple[int, str]] = [(35, self.msg_type), *self.header, *self.body]
        for group in self.groups:
            pairs.append((group.count_tag, str(len(group.entries))))
            pairs.extend(pair for entry in group.entries for pair in entry)
        return "".join(f"{tag}={value}{SOH}" for tag, value in pairs)


def _code(words: Mapping[str, str], word: str, what: str) -> str:
    for code, known in words.items():
        if known == word:
            return code
    raise CodecError(f"no FIX code for {what} {word!r}")


def _clean(pairs: Iterable[tuple[int, str | None]]) -> tuple[tuple[int, str], ...]:
    kept = tuple((tag, value) for tag, value in pairs if value is not None)
    for tag, value in kept:
        if not value or SOH in value:
            raise CodecError(f"tag {tag} cannot carry {value!r}")
    return kept


def encode_action(action: Action) -> Outgoing:
    """Return the NewOrderSingle or OrderCancelRequest of an action.

    Raises
    ------
    CodecError
        FIX has no way to say it.
    """
    header = ((97, "Y"),) if action.possible_resend else ()
    if action.kind == "new":
        return _encode_new(action, header)
    if action.kind == "cancel" and action.orig_cl_ord_id is not None:
        return _encode_cancel(action, header)
    raise CodecError(f"action {action.action_id}: cannot send kind {action.kind!r}")


def _encode_new(action: Action, header: tuple[tuple[int, str], ...]) -> Outgoing:
    limited = action.order_type == "limit"
    if limited != (action.limit_price is not None):
        raise CodecError(f"action {action.action_id}: a limit order, and no other, has a price")
    body = _clean(
        (
            (1, action.account),
            (11, action.cl_ord_id),
            (21, "1"),
            (38, plain(action.quantity)),
            (40, _code(model.ORDER_TYPES, action.order_type, "order type")),
            (44, plain(action.limit_price) if action.limit_price is not None else None),
            (54, _code(model.SIDES, action.side, "side")),
            (55, action.symbol),
            (59, _code(model.TIMES_IN_FORCE, action.time_in_force, "time in force")),
            (60, format_time(action.as_of)),
        )
    )
    trading_session = Group(386, 336, (((336, str(action.session_id)),),))
    return Outgoing(NEW_ORDER, action.cl_ord_id, header, body, (trading_session,))


def _encode_cancel(action: Action, header: tuple[tuple[int, str], ...]) -> Outgoing:
    body = _clean(
        (
            (1, action.account),
            (11, action.cl_ord_id),
            (38, plain(action.quantity)),
            (41, action.orig_cl_ord_id),
            (54, _code(model.SIDES, action.side, "side")),
            (55, action.symbol),
            (60, format_time(action.as_of)),
        )
    )
    return Outgoing(CANCEL_REQUEST, action.cl_ord_id, header, body)


def encode_question(question: Question, request_id: str) -> Outgoing:
    """Return the OrderStatusRequest for an order; the answer should echo `request_id`."""
    body = _clean(
        (
            (11, question.cl_ord_id),
            (54, _code(model.SIDES, question.side, "side")),
            (55, question.symbol),
            (790, request_id),
        )
    )
    return Outgoing(STATUS_REQUEST, question.cl_ord_id, (), body)


def storable(raw: str) -> str:
    """Return the text with every byte that PostgreSQL text cannot hold written as ``\\xNN``."""
    if raw.isascii() and "\x00" not in raw:
        return raw
    text = raw.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
    return text.replace("\x00", "\\x00")


def parse(raw: str) -> Fields:
    """Return the fields of a message by tag; of a repeated tag the first.

    The fields of the reports used here never stand inside a repeating group, so the first one is
    the message's own.

    Raises
    ------
    CodecError
        The text is no FIX message.
    """
    fields: Fields = {}
    for tag, value in pairs(raw):
        fields.setdefault(tag, value)
    return fields


def pairs(raw: str) -> Iterator[tuple[int, str]]:
    """Yield every field of a message in order; raises `CodecError` like `parse`."""
    # One character per byte, because the length fields count bytes.
    text = raw if raw.isascii() else raw.encode("utf-8", "surrogateescape").decode("latin-1")
    position, length, data_tag = 0, 0, 0
    while position < len(text):
        equals = text.find("=", position)
        tag_text = text[position:equals]
        if equals < 0 or not (tag_text.isascii() and tag_text.isdecimal()):
            raise CodecError(f"not a FIX field at byte {position}: {text[position:][:20]!r}")
        tag = int(tag_text)
        start = equals + 1
        end = start + length if tag == data_tag else text.find(SOH, start)
        if end < 0 or text[end : end + 1] != SOH:
            raise CodecError(f"tag {tag} has no end")
        value = text[start:end]
        # The database holds no NUL: left in, it would make a report that can never be recorded.
        value = (value if text is raw else _utf8(value)).replace("\x00", "\\x00")
        yield tag, value
        data_tag = _DATA_FIELDS.get(tag, 0)
        length = int(value) if data_tag and value.isdecimal() else 0
        position = end + 1


def _utf8(value: str) -> str:
    return value.encode("latin-1").decode("utf-8", "backslashreplace")


def decode_report(fields: Fields) -> Report:
    """Return the report in an ExecutionReport or OrderCancelReject.

    Raises
    ------
    CodecError
        A number or time cannot be read, or the message is of another type.
    """
    msg_type = fields.get(35, "")
    if msg_type not in (EXECUTION_REPORT, CANCEL_REJECT):
        raise CodecError(f"message type {msg_type!r} is no report")
    last_qty, transact_time = _decimal(fields, 32), _time(fields, 60)
    return Report(
        msg_type=msg_type,
        exec_type=_word(model.EXEC_TYPES, fields.get(150)),
        ord_status=_word(model.ORDER_STATUSES, fields.get(39)),
        cl_ord_id=_known(fields.get(11)),
        orig_cl_ord_id=_known(fields.get(41)),
        ord_status_req_id=fields.get(790),
        order_id=fields.get(37),
        exec_id=fields.get(17),
        exec_ref_id=fields.get(19),
        last_qty=last_qty,
        last_px=_decimal(fields, 31),
        cum_qty=_decimal(fields, 14),
        leaves_qty=_decimal(fields, 151),
        avg_px=_decimal(fields, 6),
        commission=_commission(fields, last_qty),
        side=_word(model.SIDES, fields.get(54)),
        symbol=fields.get(55),
        session_id=fields.get(336),
        transact_time=transact_time,
        trade_date=_trade_date(fields, transact_time),
        text=fields.get(58),
        ord_rej_reason=_word(model.ORDER_REJECT_REASONS, fields.get(103)),
        cxl_rej_reason=_word(model.CANCEL_REJECT_REASONS, fields.get(102)),
        cxl_rej_response_to=_word(model.CANCEL_REJECT_RESPONSES, fields.get(434)),
    )


def describe(
    direction: str, fix_session: str, raw: str, fields: Fields | None = None
) -> FixMessage:
    """Return the archive's record of a message.

    Raises
    ------
    CodecError
        The text is no FIX message.
    """
    found = parse(raw) if fields is None else fields
    number = found.get(34, "")
    if not number.isdecimal() or 35 not in found:
        raise CodecError("a FIX message without MsgType or MsgSeqNum")
    return FixMessage(
        direction=direction,
        fix_session=fix_session,
        seqnum=int(number),
        msg_type=found[35],
        raw=storable(raw),
        sending_time=_time(found, 52),
        cl_ord_id=found.get(11),
        orig_cl_ord_id=found.get(41),
        exec_id=found.get(17),
    )


def repeated(fields: Fields) -> bool:
    """Say whether the message may have been sent before, under this number or another."""
    return fields.get(43) == "Y" or fields.get(97) == "Y"


def possible_duplicate(fields: Fields) -> bool:
    """Say whether the other side marks the message as sent before under this number."""
    return fields.get(43) == "Y"


def rejection(fields: Fields, refused: Fields, fix_session: str) -> Report | None:
    """Return what a session or business reject (35=3, j) of our order or cancel amounts to.

    A marked report stands in for the one the venue will never write, so that the order does not
    wait for it. None when the refused message was neither an order nor a cancel.
    """
    reason = fields.get(58) or f"reason {fields.get(373) or fields.get(380) or 'unknown'}"
    sent, kind = _time(fields, 52), refused.get(35)
    base = Report(
        msg_type=CANCEL_REJECT if kind == CANCEL_REQUEST else EXECUTION_REPORT,
        cl_ord_id=refused.get(11),
        orig_cl_ord_id=refused.get(41),
        side=_word(model.SIDES, refused.get(54)),
        symbol=refused.get(55),
        transact_time=_time(refused, 60),
        trade_date=sent.date() if sent else None,
        text=f"session reject: {reason}",
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
    if kind == CANCEL_REQUEST:
        return replace(base, cxl_rej_reason="other", cxl_rej_response_to="cancel_request")
    return None


def format_time(value: datetime) -> str:
    """Return a UTCTimestamp with milliseconds, which every FIX 4.4 engine reads."""
    if value.tzinfo is None:
        raise CodecError(f"a time without a zone cannot be sent: {value}")
    utc = value.astimezone(UTC)
    return f"{utc:%Y%m%d-%H:%M:%S}.{utc.microsecond // 1000:03d}"


def _word(words: Mapping[str, str], code: str | None) -> str | None:
    return None if not code else words.get(code, code)


def _known(identifier: str | None) -> str | None:
    # FIX 4.4 has venues write NONE where an identifier is required and there is none.
    return None if identifier in (None, "", "NONE") else identifier


def _decimal(fields: Fields, tag: int) -> Decimal | None:
    text = fields.get(tag)
    if not text:
        return None
    if _NUMBER.fullmatch(text) is None:
        raise CodecError(f"tag {tag} is no number: {text[:40]!r}")
    return Decimal(text)


def _time(fields: Fields, tag: int) -> datetime | None:
    text = fields.get(tag)
    if not text:
        return None
    match = _TIME.fullmatch(text)
    try:
        if match is None:
            raise ValueError
        day, minutes, seconds, fraction = match.groups()
        # A leap second becomes the last moment of its minute.
        leap = seconds == "60"
        micros = "999999" if leap else (fraction or "").ljust(6, "0")[:6]
        stamp = f"{day} {minutes}:{'59' if leap else seconds}.{micros}"
        return datetime.strptime(stamp, "%Y%m%d %H:%M:%S.%f").replace(tzinfo=UTC)
    except ValueError:
        raise CodecError(f"tag {tag} is no UTC time: {text[:40]!r}") from None


def _trade_date(fields: Fields, transact_time: datetime | None) -> date | None:
    """Return the trade date, or the nearest thing that is the same when the report comes again."""
    text = fields.get(75)
    if text:
        try:
            return datetime.strptime(text, "%Y%m%d").replace(tzinfo=UTC).date()
        except ValueError:
            raise CodecError(f"tag 75 is no date: {text[:40]!r}") from None
    if transact_time is not None:
        return transact_time.date()
    sent = _time(fields, 122) or _time(fields, 52)
    return sent.date() if sent else None


def _commission(fields: Fields, last_qty: Decimal | None) -> Decimal | None:
    """Return the commission in money; other bases than absolute and per unit are left out."""
    amount = _decimal(fields, 12)
    kind = fields.get(13, "3")
    if amount is None or kind not in ("1", "3"):
        return None
    if kind == "1":
        return None if last_qty is None else amount * last_qty
    return amount
