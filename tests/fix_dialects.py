"""FIX as others have it: the dictionaries that come with QuickFIX, and QuickFIX's own validation."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from functools import lru_cache
from typing import Any
from uuid import UUID
from xml.etree import ElementTree

import quickfix
from hypothesis import settings
from hypothesis import strategies as st

from tsdb_trader.fix import session
from tsdb_trader.fix.codec import ADMIN_TYPES, SOH, Outgoing
from tsdb_trader.fix.session_settings import dictionary
from tsdb_trader.fix.versions import FIX42, VERSIONS, Version
from tsdb_trader.model import Action

ALL = list(VERSIONS.values())
# Reading the dictionary of FIX 5.0 SP2 takes seconds, once.
untimed = settings(deadline=None)
SIDES = {"1": "buy", "2": "sell", "5": "sell_short"}
ORDER_TYPES = {"1": "market", "2": "limit", "3": "stop", "4": "stop_limit", "P": "pegged"}
TIMES = {
    "0": "day",
    "1": "gtc",
    "6": "gtd",
    "3": "ioc",
    "4": "fok",
    "2": "at_open",
    "7": "at_close",
}
PEGS = {"R": "primary", "M": "midpoint", "P": "market"}

identifiers = st.text(
    st.sampled_from("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_."),
    min_size=1,
    max_size=24,
).filter(lambda text: text != "NONE")
amounts = st.decimals(
    min_value=Decimal("0.00000001"), max_value=Decimal("1e12"), allow_nan=False, places=8
)
times = st.datetimes(datetime(1990, 1, 1), datetime(2100, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001


def name_of(version: Version) -> str:
    """Return a version's name, for the ids of tests."""
    return version.name


def pairs(raw: str) -> list[tuple[int, str]]:
    """Split a message without data fields, independently of the codec."""
    split = [field.partition("=") for field in raw.split(SOH)[:-1]]
    return [(int(tag), value) for tag, _, value in split]


def text(*fields: tuple[int, object]) -> str:
    """Write a message of fields as they come."""
    return "".join(f"{tag}={value}{SOH}" for tag, value in fields)


@dataclass(frozen=True)
class Layout:
    """One message of a dictionary: its own fields, those of its groups, and which are required."""

    own: frozenset[int]
    grouped: frozenset[int]
    required: frozenset[int]


class Dictionary:
    """A dictionary read as XML, not as QuickFIX reads it."""

    def __init__(self, name: str) -> None:
        root = ElementTree.parse(dictionary(name)).getroot()  # noqa: S314 - a file of the library
        self._parts = {c.get("name"): c for c in root.findall("components/component")}
        fields = root.findall("fields/field")
        self._numbers = {f.get("name"): int(f.get("number", "0")) for f in fields}
        self.types = {int(f.get("number", "0")): f.get("type", "") for f in fields}
        self.names = {number: str(name) for name, number in self._numbers.items()}
        self.values = {
            int(f.get("number", "0")): {
                str(v.get("enum")): str(v.get("description")) for v in f.findall("value")
            }
            for f in fields
        }
        self.messages = {
            str(m.get("msgtype")): self._layout(m) for m in root.findall("messages/message")
        }

    def _layout(self, message: ElementTree.Element) -> Layout:
        found = list(self._walk(message, True, False))
        return Layout(
            own=frozenset(tag for tag, _, grouped in found if not grouped),
            grouped=frozenset(tag for tag, _, grouped in found if grouped),
            required=frozenset(tag for tag, required, _ in found if required),
        )

    def _walk(self, element: ElementTree.Element, needed: bool, grouped: bool) -> Any:
        for child in element:
            required = needed and child.get("required") == "Y"
            if child.tag == "component":
                yield from self._walk(self._parts[child.get("name")], required, grouped)
                continue
            yield self._numbers[child.get("name")], required, grouped
            if child.tag == "group":
                yield from self._walk(child, False, True)


@lru_cache
def xml(name: str) -> Dictionary:
    """Return a dictionary by its file's name."""
    return Dictionary(name)


@lru_cache
def _checkers(version: Version) -> tuple[Any, Any]:
    application = quickfix.DataDictionary(str(dictionary(version.dictionary)))
    if version.transport_dictionary is None:
        return application, application
    return quickfix.DataDictionary(str(dictionary(version.transport_dictionary))), application


def accepted(version: Version, message: Any) -> str:
    """Return a message's text as QuickFIX writes it, after QuickFIX has found no fault with it."""
    header = message.getHeader()
    for tag, value in ((8, version.begin_string), (49, "US"), (56, "THEM"), (34, "7")):
        header.setField(quickfix.StringField(tag, value))
    header.setField(quickfix.StringField(52, "20240102-03:04:05.678"))
    raw = str(message.toString())
    transport, application = _checkers(version)
    if header.getField(35) in ADMIN_TYPES:
        application = transport
    if transport is application:
        application.validate(quickfix.Message(raw, application, True))
    else:
        read = quickfix.Message(raw, transport, application, True)
        quickfix.DataDictionary.validate(read, transport, application)
    return raw


def sent(version: Version, outgoing: Outgoing) -> str:
    """Return the text of an outgoing message that QuickFIX finds no fault with."""
    return accepted(version, session.as_message(outgoing))


def received(version: Version, msg_type: str, fields: list[tuple[int, str]], *groups: Any) -> str:
    """Return the text of a venue's message that QuickFIX has built and finds no fault with."""
    message = quickfix.Message()
    message.getHeader().setField(quickfix.StringField(35, msg_type))
    for tag, value in fields:
        place = message.getHeader() if tag in (43, 97, 122) else message
        place.setField(quickfix.StringField(tag, value))
    for count_tag, entries in groups:
        for entry in entries:
            group = quickfix.Group(count_tag, entry[0][0])
            for tag, value in entry:
                group.setField(quickfix.StringField(tag, value))
            message.addGroup(group)
    return accepted(version, message)


@st.composite
def actions(draw: st.DrawFn, version: Version) -> Action:
    """Draw an action with any terms that the version can say."""

    def maybe(strategy: st.SearchStrategy[Any]) -> Any:
        return draw(st.none() | strategy)

    kind = draw(st.sampled_from(["new", "replace", "cancel"]))
    order_type = draw(st.sampled_from(sorted(ORDER_TYPES.values())))
    time = draw(st.sampled_from(sorted(TIMES.values())))
    if version is FIX42 and time == "at_close" and order_type not in ("market", "limit"):
        time = "day"
    pegged = order_type == "pegged"
    needs_limit = order_type in ("limit", "stop_limit")
    return Action(
        action_id=draw(st.integers(1)),
        kind=kind,
        order_id=draw(st.integers(1)),
        cl_ord_id=draw(identifiers),
        orig_cl_ord_id=None if kind == "new" else draw(identifiers),
        session_id=draw(st.uuids()),
        account=draw(identifiers),
        symbol=draw(identifiers),
        side=draw(st.sampled_from(sorted(SIDES.values()))),
        quantity=draw(amounts),
        order_type=order_type,
        limit_price=draw(amounts) if needs_limit or (pegged and draw(st.booleans())) else None,
        time_in_force=time,
        possible_resend=draw(st.booleans()),
        as_of=draw(times),
        status="pending_new",
        stop_price=draw(amounts) if order_type in ("stop", "stop_limit") else None,
        expire_at=draw(times) if time == "gtd" else None,
        peg_reference=draw(st.sampled_from(sorted(PEGS.values()))) if pegged else None,
        peg_offset=maybe(amounts | amounts.map(lambda a: -a)) if pegged else None,
        post_only=draw(st.booleans()),
        display_quantity=maybe(amounts),
        min_quantity=maybe(amounts),
        venue_order_id=maybe(identifiers),
    )


ORDER = Action(
    action_id=1,
    kind="new",
    order_id=2,
    cl_ord_id="ABC123-1",
    orig_cl_ord_id=None,
    session_id=UUID(int=7),
    account="main",
    symbol="IBM",
    side="buy",
    quantity=Decimal("100"),
    order_type="limit",
    limit_price=Decimal("185.2300"),
    time_in_force="day",
    possible_resend=False,
    as_of=datetime(2013, 10, 7, 14, 30, 0, 123456, tzinfo=UTC),
    status="pending_new",
)
