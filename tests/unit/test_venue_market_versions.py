"""Market data of a venue in each version, against the dictionaries themselves; pure."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from uuid import uuid4

import pytest

from fix_dialects import name_of, received, xml
from tsdb_trader.api.venue_market import Instrument
from tsdb_trader.fix.versions import FIX42, FIX44, FIX50SP2, Version
from tsdb_trader.venue import market_data_versions
from tsdb_trader.venue.market_data import Look, MarketMessage, Trade, View
from tsdb_trader.venue.matching import Book
from tsdb_trader.venue.matching_values import Quote

OTHERS = [FIX42, FIX50SP2]
NOW = datetime(2013, 10, 7, 15, tzinfo=UTC)
TS = datetime(2013, 10, 7, 14, 30, 0, 123456, tzinfo=UTC)
IBM = Instrument(1, "IBM", 4, 0, Decimal("0.01"), Decimal(1), "active")
STATUSES = ("1", "2", "17", "18", "20", "21")
REASONS = ("0", "1", "4", "5", "6", "7", "8", "9")


def view() -> View:
    """Return a view of best prices and trades, with a book in it."""
    found = View(uuid4(), IBM, Look(1, True, "012"), "a view")
    book = Book()
    book.apply_quote(Quote(1_000_000, 500, 1_000_200, 300))
    found.start(book, TS)
    return found


def messages(version: Version) -> list[MarketMessage]:
    """Return one message of every kind as the venue sends it to a session of this version."""
    fix_session = f"{version.begin_string}:SIM->ME"
    shown = view()
    head = ((262, "R1"), (55, "IBM"), (83, str(shown.number)))
    full = MarketMessage(fix_session, "W", head, 268, shown.snapshot())
    book = Book()
    book.apply_quote(Quote(1_000_100, 400, 1_000_200, 300))
    changes = shown.update(book, [Trade(7, Decimal(1_000_100), 50, TS)], TS)
    when = (60, "20131007-14:30:00.123456")
    found = [full, MarketMessage(fix_session, "X", ((262, "R1"),), 268, changes)]
    found.append(MarketMessage(fix_session, "W", head, 268))
    found += [
        MarketMessage(fix_session, "f", ((324, "S1"), (55, "IBM"), (326, status), when))
        for status in STATUSES
    ]
    place = (336, str(shown.session_id))
    found.append(MarketMessage(fix_session, "f", (place, (55, "IBM"), (326, "18"), when)))
    found += [
        MarketMessage(fix_session, "Y", ((262, "R1"), (281, reason), (58, "no")))
        for reason in REASONS
    ]
    if version is not FIX42:
        symbols = (((55, "IBM"), (561, "100")),)
        head = ((320, "Q"), (322, "Q"), (560, "0"), (393, "1"), (893, "Y"))
        found.append(MarketMessage(fix_session, "y", head, 146, symbols))
    return [market_data_versions.adapt(message, NOW) for message in found]


@pytest.mark.parametrize("version", OTHERS, ids=name_of)
def test_market_data_has_only_fields_and_values_that_the_version_has(version: Version) -> None:
    dictionary = xml(version.dictionary)
    for message in messages(version):
        layout = dictionary.messages[message.msg_type]
        for tag, value in message.body:
            assert tag in layout.own, (message.msg_type, tag)
            assert value in dictionary.values[tag] or not dictionary.values[tag], (tag, value)
        for tag, value in (pair for entry in message.groups for pair in entry):
            assert tag in layout.grouped, (message.msg_type, tag)
            assert value in dictionary.values[tag] or not dictionary.values[tag], (tag, value)
        groups = [(message.count_tag, message.groups)] if message.groups else []
        none = [(268, "0")] if message.count_tag and not message.groups else []
        assert received(version, message.msg_type, [*message.body, *none], *groups)


def test_market_data_of_fix_42_has_no_view_no_number_and_times_in_milliseconds() -> None:
    full, change, *rest = messages(FIX42)
    assert [dict(entry).get(625) for entry in (*full.groups, *change.groups)] == [None] * 4
    assert {tag for m in (full, change) for e in (m.body, *m.groups) for tag, _ in e} & {
        83
    } == set()
    assert {dict(entry)[273] for entry in (*full.groups, *change.groups)} == {"14:30:00.123"}
    statuses = [dict(message.body) for message in rest if message.msg_type == "f"]
    assert [status[326] for status in statuses][: len(STATUSES)] == [
        "1" if status == "21" else status for status in STATUSES
    ]
    assert {status[60] for status in statuses} == {"20131007-14:30:00.123"}
    reasons = [dict(message.body).get(281) for message in rest if message.msg_type == "Y"]
    assert reasons == [*REASONS[:-1], None]


def test_market_data_of_fix_50_numbers_every_entry_and_names_no_session() -> None:
    full, change, empty, *rest = messages(FIX50SP2)
    assert dict(full.body)[779] == "20131007-14:30:00.123456"
    assert dict(empty.body)[779] == "20131007-15:00:00.000000"
    assert 83 not in dict(full.body)
    assert {dict(entry)[83] for entry in full.groups} == {"1"}
    assert {dict(entry)[83] for entry in change.groups} == {"2"}
    for message in (full, change, empty, *rest):
        for pairs in (message.body, *message.groups):
            assert not {336, 625} & dict(pairs).keys()


def test_market_data_of_fix_44_stays_as_it_is() -> None:
    full, *_ = messages(FIX44)
    assert dict(full.body)[83] == "1"
    assert {dict(entry)[625] for entry in full.groups} == {"a view"}
