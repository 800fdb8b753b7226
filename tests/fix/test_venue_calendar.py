"""Auctions of a venue by an exchange's calendar. When they were held is TransactTime (60)."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import psycopg
import pytest
from psycopg.types.json import Jsonb

from fix.conftest import Hall
from fix.simvenue.bench import Client, Market
from tsdb_trader.refdata import upload

pytestmark = pytest.mark.slow
WIDE = ("90.00", 1, "110.00", 1)
AT_OPEN, AT_CLOSE = "2", "7"
HOLIDAY, HALF_DAY, MONDAY = date(2013, 11, 28), date(2013, 11, 29), date(2013, 12, 2)


def at(day: date, clock: str) -> datetime:
    """Return a time of day in New York, where it is winter."""
    return datetime.fromisoformat(f"{day}T{clock}-05:00").astimezone(UTC)


def stamp(day: date, clock: str) -> str:
    return f"{at(day, clock):%Y%m%d-%H:%M:%S}.000"


def show(tape: Market, day: date, *clocks: str) -> None:
    """Let the market be quoted at these times."""
    for clock in clocks:
        tape.batch(("IBM", WIDE), after=at(day, clock) - tape.now)


@pytest.fixture
def calendar(conn: psycopg.Connection, tape: Market) -> str:
    upload.load_calendar(conn, "XNYS", date(2013, 11, 1), date(2013, 12, 31))
    tape.now = at(HOLIDAY, "08:00:00") - timedelta(days=1)
    return "XNYS"


def open_venue(hall: Hall, **settings: object) -> tuple[Client, Client]:
    hall.configure(opening_auction=True, closing_auction=True, **settings)
    hall.open()
    return hall.connect(), hall.connect("OTHER")


def meet(buyer: Client, seller: Client, tif: str) -> str:
    """Enter orders that trade with each other in an auction; return the buyer's."""
    order = buyer.order("1", 100, "101.00", tif=tif)
    assert buyer.states(1) == ["00"]
    seller.order("2", 100, "99.00", tif=tif)
    assert seller.states(1) == ["00"]
    return order


def held(buyer: Client, seller: Client, order: str) -> str:
    """Return when the next auction was held, which fills both orders."""
    bought, sold = buyer.message(), seller.message()
    assert (bought["11"], bought["150"], bought["39"], sold["39"]) == (order, "F", "2", "2")
    return bought["60"]


def test_venue_auctions_follow_the_calendar_also_on_a_half_day(
    hall: Hall, tape: Market, calendar: str
) -> None:
    buyer, seller = open_venue(hall, calendar=calendar)
    for day, closes in ((HALF_DAY, "13:00:00"), (MONDAY, "16:00:00")):
        show(tape, day, "09:00:00")
        opening = meet(buyer, seller, AT_OPEN)
        show(tape, day, "09:29:59", "09:30:00")
        assert held(buyer, seller, opening) == stamp(day, "09:30:00")
        closing = meet(buyer, seller, AT_CLOSE)
        show(tape, day, "12:59:59", "13:00:00", "15:59:59", "16:00:00")
        assert held(buyer, seller, closing) == stamp(day, closes)
        buyer.order("1", 1, "100.00")
        late = buyer.message()
        assert (late["39"], late["103"], late["58"]) == ("8", "2", "the market is closed")


def test_venue_holds_no_auction_on_a_holiday(hall: Hall, tape: Market, calendar: str) -> None:
    buyer, seller = open_venue(hall, calendar=calendar)
    show(tape, HOLIDAY, "09:00:00")
    opening = meet(buyer, seller, AT_OPEN)
    show(tape, HOLIDAY, "09:30:00", "12:00:00", "13:00:00", "16:00:00")
    closing = meet(buyer, seller, AT_CLOSE)
    show(tape, HALF_DAY, "09:00:00")
    ended = [buyer.message(), buyer.message()]
    assert [(m["11"], m["150"], m["14"]) for m in ended] == [
        (opening, "C", "0"),
        (closing, "C", "0"),
    ]
    assert seller.states(2) == ["CC", "CC"]
    traded = hall.conn.execute("select count(*) from venue.executions").fetchone()
    assert traded == (0,)
    opening = meet(buyer, seller, AT_OPEN)
    show(tape, HALF_DAY, "09:30:00")
    assert held(buyer, seller, opening) == stamp(HALF_DAY, "09:30:00")


def test_venue_with_times_of_its_own_follows_them_before_its_calendar(
    hall: Hall, tape: Market, calendar: str
) -> None:
    buyer, seller = open_venue(hall, calendar=calendar, opens_at="10:00", closes_at="12:30")
    show(tape, HALF_DAY, "09:00:00")
    opening = meet(buyer, seller, AT_OPEN)
    show(tape, HALF_DAY, "09:30:00", "10:00:00")
    assert held(buyer, seller, opening) == stamp(HALF_DAY, "10:00:00")
    closing = meet(buyer, seller, AT_CLOSE)
    show(tape, HALF_DAY, "12:30:00", "13:00:00", "13:30:00")
    # From 12:30 on orders are collected, until the day ends.
    buyer.order("1", 1, "95.00")
    assert buyer.states(1) == ["00"]
    tape.close()
    bought = buyer.message()
    assert (bought["11"], bought["60"]) == (closing, stamp(HALF_DAY, "13:30:00"))


def test_venue_halted_at_the_close_holds_its_auction_when_it_resumes(
    hall: Hall, tape: Market, calendar: str
) -> None:
    buyer, seller = open_venue(hall, calendar=calendar, opens_at="09:00")
    show(tape, HALF_DAY, "09:00:00", "09:00:01")
    closing = meet(buyer, seller, AT_CLOSE)
    hall.command("halt", symbol="IBM")
    show(tape, HALF_DAY, "13:00:00")
    hall.command("resume", symbol="IBM")
    show(tape, HALF_DAY, "13:00:05")
    assert held(buyer, seller, closing) == stamp(HALF_DAY, "13:00:05")


def test_venue_calendar_that_is_not_loaded_is_refused(conn: psycopg.Connection) -> None:
    def configure(**settings: object) -> None:
        conn.execute("select venue.configure('SIM', %s)", (Jsonb(settings),))

    with pytest.raises(psycopg.DatabaseError, match="no calendar of XNYS: load it") as e:
        configure(calendar="XNYS")
    assert e.value.sqlstate == "TT001"
    upload.load_calendar(conn, "XNYS", date(2013, 11, 1), date(2013, 11, 30))
    configure(calendar="XNYS")
    configure(calendar=None)
    row = conn.execute("select calendar from venue.settings where venue = 'SIM'").fetchone()
    assert row == (None,)
