"""FIX text: fields, groups and the archive's record of a message. Pure: no engine, no clock.

Fields are found by tag, never by position, so the order a venue writes them in does not matter.
What the messages mean is in `codec_orders`, `codec_requests`, `codec_reports` and `codec_trades`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Final, TypeAlias

from tsdb_trader.errors import TraderError
from tsdb_trader.model import FixMessage, plain

SOH: Final = "\x01"
Fields: TypeAlias = dict[int, str]
Pairs: TypeAlias = tuple[tuple[int, str], ...]

ADMIN_TYPES: Final = frozenset("012345A")
REJECT: Final = "3"
LOGOUT: Final = "5"
LOGON: Final = "A"
NEW_ORDER: Final = "D"
CANCEL_REQUEST: Final = "F"
REPLACE_REQUEST: Final = "G"
STATUS_REQUEST: Final = "H"
MASS_STATUS_REQUEST: Final = "AF"
MASS_CANCEL_REQUEST: Final = "q"
TRADE_REQUEST: Final = "AD"
EXECUTION_REPORT: Final = "8"
CANCEL_REJECT: Final = "9"
BUSINESS_REJECT: Final = "j"
MASS_CANCEL_REPORT: Final = "r"
TRADE_REPORT: Final = "AE"
TRADE_REQUEST_ACK: Final = "AQ"

QUESTIONS: Final = frozenset({STATUS_REQUEST, MASS_STATUS_REQUEST, TRADE_REQUEST})
"""Messages that may be sent twice: they change nothing."""

# Orders, and all that has no other id, are known by their ClOrdID (11).
_REFERENCE_TAGS: Final = {MASS_STATUS_REQUEST: 584, TRADE_REQUEST: 568}
# Length fields whose data, which may contain the separator, stands in the field of the next number;
# then those with another number.
_LENGTHS: Final = (
    90, 95, 212, 348, 350, 352, 354, 356, 358, 360, 362, 364, 445, 618, 621, 1184, 1277, 1280, 1282,
    1397, 1401, 1403, 1468, 1578, 1620, 1664, 1733, 1871, 1874, 2072, 2074, 2111, 2179, 2287, 2351,
    2481, 2637, 2651, 2665, 2715, 2718, 2721, 2797, 40004, 40008, 40978, 40980, 40982, 40984, 40986,
    40988, 41083, 41101, 41107, 41256, 41320, 41324, 41458, 41476, 41482, 41653, 41710, 41806,
    41811, 41873, 41969, 42025, 42171, 42451, 42652, 42947,
)  # fmt: skip
_DATA_FIELDS: Final = {tag: tag + 1 for tag in _LENGTHS} | {
    93: 89,
    1525: 1527,
    1678: 1697,
    2372: 2371,
    2494: 2493,
    2522: 2521,
    2802: 2801,
    2809: 2808,
    2815: 2814,
    43109: 42684,
    43110: 42486,
    43111: 42982,
}
# Passwords of a Logon, old, new and encrypted, and the fields that tell how long they are.
SECRET_TAGS: Final = frozenset({96, 554, 925, 1402, 1404})
_SECRET_LENGTHS: Final = frozenset({95, 1401, 1403})
_MASK: Final = "***"
_LONGEST_NUMBER: Final = 60
_NUMBER: Final = re.compile(r"-?(?:\d+\.?\d*|\.\d+)", re.ASCII)
_DATE: Final = re.compile(r"(\d{4})(\d{2})(\d{2})", re.ASCII)
_TIME: Final = re.compile(
    rf"{_DATE.pattern}-(\d{{2}}):(\d{{2}}):(\d{{2}})(?:\.(\d{{1,12}}))?", re.ASCII
)


class CodecError(TraderError):
    """A FIX message that cannot be read, or a wish that a version of FIX cannot say."""


@dataclass(frozen=True, slots=True)
class Group:
    """A repeating group: its count field, its first field, and the fields of each entry."""

    count_tag: int
    first_tag: int
    entries: tuple[Pairs, ...]


@dataclass(frozen=True, slots=True)
class Outgoing:
    """An application message to send, without what the engine adds.

    `reference` is the ClOrdID or request id by which the answer names it.
    """

    msg_type: str
    reference: str
    header: Pairs
    body: Pairs
    groups: tuple[Group, ...] = ()

    def render(self) -> str:
        """Return the text between the standard header and the trailer, as an engine would."""
        pairs: list[tuple[int, str]] = [(35, self.msg_type), *self.header, *self.body]
        for group in self.groups:
            pairs.append((group.count_tag, str(len(group.entries))))
            pairs.extend(pair for entry in group.entries for pair in entry)
        return _text(pairs)


def _text(pairs: Iterable[tuple[int, str]]) -> str:
    return "".join(f"{tag}={value}{SOH}" for tag, value in pairs)


def code(words: Mapping[str, str], word: str, what: str) -> str:
    """Return the code of a word.

    Raises
    ------
    CodecError
        FIX has none.
    """
    for found, known in words.items():
        if known == word:
            return found
    raise CodecError(f"no FIX code for {what} {word!r}")


def body_of(pairs: Iterable[tuple[int, str | None]]) -> Pairs:
    """Return the fields that have a value.

    Raises
    ------
    CodecError
        A value is empty or has characters that would break the message.
    """
    kept = tuple((tag, value) for tag, value in pairs if value is not None)
    for tag, value in kept:
        if not value or not value.isprintable():
            raise CodecError(f"tag {tag} cannot carry {value!r}")
    return kept


def number_text(value: Decimal | None) -> str | None:
    """Return a number as FIX writes it, without an exponent.

    Raises
    ------
    CodecError
        It is not finite.
    """
    if value is None:
        return None
    if not value.is_finite():
        raise CodecError(f"{value} is no number that can be sent")
    return plain(value)


def reference_tag(msg_type: str) -> int:
    """Return the field with the id by which an answer or a reject names a message of ours."""
    return _REFERENCE_TAGS.get(msg_type, 11)


def storable(raw: str) -> str:
    """Return the text with every byte that PostgreSQL text cannot hold written as ``\\xNN``."""
    if raw.isascii() and "\x00" not in raw:
        return raw
    text = raw.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
    return text.replace("\x00", "\\x00")


def parse(raw: str) -> Fields:
    """Return the fields of a message by tag; of a repeated tag the first.

    The fields of the reports used here never stand inside a repeating group as well, so the first
    one is the message's own.

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
    plain_pairs = _plain_pairs(raw)
    yield from _careful_pairs(raw) if plain_pairs is None else plain_pairs


def _plain_pairs(raw: str) -> list[tuple[int, str]] | None:
    """Return the fields of a message that can simply be split, as nearly every one can; or None."""
    *texts, rest = raw.split(SOH)
    if rest or not raw.isascii() or "\x00" in raw:
        return None
    found = []
    for text in texts:
        tag_text, equals, value = text.partition("=")
        if not equals or not _whole(tag_text):
            return None
        tag = int(tag_text)
        if tag == 0 or tag in _DATA_FIELDS:
            return None
        found.append((tag, value))
    return found


def _careful_pairs(raw: str) -> Iterator[tuple[int, str]]:
    # One character per byte, because the length fields count bytes.
    try:
        text = raw if raw.isascii() else raw.encode("utf-8", "surrogateescape").decode("latin-1")
    except UnicodeEncodeError:
        raise CodecError("a FIX message with characters that no bytes stand for") from None
    position, length, data_tag = 0, 0, 0
    while position < len(text):
        equals = text.find("=", position)
        tag_text = text[position:equals]
        if equals < 0 or not _whole(tag_text):
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
        length = int(value) if data_tag and _whole(value) else 0
        position = end + 1


def _whole(text: str) -> bool:
    # Longer ones than the database's bigint are no tag, number or length of anything.
    return text.isascii() and text.isdecimal() and len(text) <= 18


def _utf8(value: str) -> str:
    return value.encode("latin-1").decode("utf-8", "backslashreplace")


def describe(
    direction: str, fix_session: str, raw: str, fields: Fields | None = None
) -> FixMessage:
    """Return the archive's record of a message, a Logon without its passwords.

    Raises
    ------
    CodecError
        The text is no FIX message.
    """
    found = parse(raw) if fields is None else fields
    number = found.get(34, "")
    if not _whole(number) or not found.get(35):
        raise CodecError("a FIX message without MsgType or MsgSeqNum")
    return FixMessage(
        direction=direction,
        fix_session=fix_session,
        seqnum=int(number),
        msg_type=found[35],
        raw=storable(masked(raw) if found[35] == LOGON else raw),
        sending_time=time_of(found, 52),
        cl_ord_id=found.get(11),
        orig_cl_ord_id=found.get(41),
        exec_id=found.get(17),
    )


def type_of(raw: str) -> str:
    """Return the MsgType (35) of a message of our own engine, which always writes it third."""
    return raw.split(SOH, 3)[2][3:]


def repeated(fields: Fields) -> bool:
    """Say whether the message may have been sent before, under this number or another."""
    return flag(fields, 43) or flag(fields, 97)


def possible_duplicate(fields: Fields) -> bool:
    """Say whether the other side marks the message as sent before under this number."""
    return flag(fields, 43)


def masked(raw: str, secret: str | None = None) -> str:
    """Return a session message without passwords: those of a Logon, and a secret in its text.

    The text as it came when there is nothing to hide. Raises `CodecError` like `parse`.
    """
    fields = list(pairs(raw))
    msg_type = next((value for tag, value in fields if tag == 35), "")
    logon = msg_type == LOGON
    told = secret is not None and secret in raw and msg_type in ADMIN_TYPES
    if not told and not (logon and any(tag in SECRET_TAGS for tag, _ in fields)):
        return raw
    found = []
    for tag, value in fields:
        if logon and tag in SECRET_TAGS:
            value = _MASK
        elif logon and tag in _SECRET_LENGTHS:
            value = str(len(_MASK))
        elif told and secret is not None and tag == 58:
            value = value.replace(secret, _MASK)
        found.append((tag, value))
    return _text(found)


def format_time(value: datetime, fraction: int = 3) -> str:
    """Return a UTCTimestamp with so many decimals of a second, 3 or 6."""
    if value.tzinfo is None:
        raise CodecError(f"a time without a zone cannot be sent: {value}")
    return f"{value.astimezone(UTC):%Y%m%d-%H:%M:%S.%f}"[: 18 + fraction]


def word(words: Mapping[str, str], code: str | None) -> str | None:
    """Return the word for a code, the code itself where there is none."""
    return None if not code else words.get(code, code)


def identifier(fields: Fields, tag: int) -> str | None:
    """Return an identifier; venues write NONE where one is required and there is none."""
    value = fields.get(tag)
    return None if value in (None, "", "NONE") else value


def flag(fields: Fields, tag: int) -> bool:
    """Say whether a field says yes."""
    return fields.get(tag) == "Y"


def decimal(fields: Fields, tag: int) -> Decimal | None:
    """Return a number, None for none; raises `CodecError` for anything else."""
    text = fields.get(tag)
    if not text:
        return None
    if len(text) > _LONGEST_NUMBER or _NUMBER.fullmatch(text) is None:
        raise CodecError(f"tag {tag} is no number: {text[:40]!r}")
    return Decimal(text)


def count(fields: Fields, tag: int) -> int | None:
    """Return a whole number from 0, None for none; raises `CodecError` for anything else."""
    text = fields.get(tag)
    if not text:
        return None
    if not _whole(text):
        raise CodecError(f"tag {tag} is no count: {text[:40]!r}")
    return int(text)


def time_of(fields: Fields, tag: int) -> datetime | None:
    """Return a UTCTimestamp, None for none; raises `CodecError` for anything else."""
    text = fields.get(tag)
    if not text:
        return None
    match = _TIME.fullmatch(text)
    try:
        if match is None:
            raise ValueError
        *moment, seconds, fraction = match.groups()
        year, month, day, hour, minute = map(int, moment)
        # A leap second becomes the last moment of its minute.
        leap = seconds == "60"
        second = 59 if leap else int(seconds)
        micros = 999999 if leap else int((fraction or "").ljust(6, "0")[:6])
        return datetime(year, month, day, hour, minute, second, micros, tzinfo=UTC)
    except ValueError:
        raise CodecError(f"tag {tag} is no UTC time: {text[:40]!r}") from None


def trade_date(fields: Fields, transact_time: datetime | None) -> date | None:
    """Return the trade date, or the nearest thing that is the same when the report comes again.

    Raises `CodecError` when a date or time cannot be read.
    """
    text = fields.get(75)
    if text:
        match = _DATE.fullmatch(text)
        try:
            if match is None:
                raise ValueError
            return date(*map(int, match.groups()))
        except ValueError:
            raise CodecError(f"tag 75 is no date: {text[:40]!r}") from None
    if transact_time is not None:
        return transact_time.date()
    sent = time_of(fields, 122) or time_of(fields, 52)
    return sent.date() if sent else None
