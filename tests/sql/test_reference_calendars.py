"""Sessions of exchanges, compared with the library they come from, minute by minute."""

from __future__ import annotations

import random
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta

import exchange_calendars
import pandas as pd
import psycopg
import pytest

from factories import add_instrument
from tsdb_trader.api import reference
from tsdb_trader.errors import InputError, UnknownObjectError
from tsdb_trader.refdata import upload

FIRST, LAST = date(2023, 1, 1), date(2024, 12, 31)
# Half days and daylight saving; lunch breaks; never closed; open over night.
EXCHANGES = ["XNYS", "XHKG", "XTKS", "24/7", "CMES", "XLON"]


@pytest.fixture(scope="module")
def loaded(server, clones) -> Iterator[psycopg.Connection]:
    """Return a connection to a database with two years of all the exchanges."""
    name = clones.take()
    with psycopg.connect(server.url(database=name), autocommit=True) as connection:
        connection.execute("set timezone to 'UTC'")
        for exchange in EXCHANGES:
            upload.load_calendar(connection, exchange, FIRST, LAST)
        yield connection
    clones.give_back(name)


def times_to_ask(calendar: exchange_calendars.ExchangeCalendar, seed: int) -> list[datetime]:
    """Return random minutes, and those around opens, closes and breaks of some sessions."""
    rng = random.Random(seed)
    schedule = calendar.schedule
    begin, end = schedule["open"].iloc[0], schedule["close"].iloc[-2]
    span = int((end - begin).total_seconds() // 60)
    asked = [begin + pd.Timedelta(rng.randrange(span), "min") for _ in range(200)]
    special = schedule.loc[calendar.early_closes]
    some = pd.concat([schedule.iloc[1:-2].sample(30, random_state=seed), special.iloc[:-1]])
    for edge in some.to_numpy().ravel():
        if not pd.isna(edge):
            at = pd.Timestamp(edge)
            at = at.tz_localize("UTC") if at.tzinfo is None else at
            asked += [at + pd.Timedelta(minutes, "min") for minutes in (-1, 0, 1)]
    return [t.to_pydatetime() for t in asked if begin <= t < end]


@pytest.mark.parametrize("exchange", EXCHANGES)
def test_calendar_any_minute_agrees_with_the_library(loaded, exchange):
    calendar = exchange_calendars.get_calendar(exchange, start=FIRST, end=LAST)
    asked = times_to_ask(calendar, 1)
    rows = loaded.execute(
        """select a.at, ref.is_open(%(x)s, a.at), ref.trading_date(%(x)s, a.at),
                  ref.next_open(%(x)s, a.at), ref.next_close(%(x)s, a.at)
           from unnest(%(at)s::timestamptz[]) with ordinality a (at, n) order by a.n""",
        {"x": exchange, "at": asked},
    ).fetchall()
    expected = []
    for at in asked:
        minute = pd.Timestamp(at)
        expected.append(
            (
                at,
                calendar.is_open_on_minute(minute),
                calendar.minute_to_session(minute, "next").date(),
                calendar.next_open(minute).to_pydatetime(),
                calendar.next_close(minute).to_pydatetime(),
            )
        )
    assert len(asked) > 250
    assert rows == expected


def test_calendar_known_days_are_as_the_exchange_announced_them(loaded):
    days = loaded.execute(
        "select array_agg(d) from ref.trading_days('XNYS', '2024-12-20', '2024-12-31') d"
    ).fetchone()[0]
    assert [d.day for d in days] == [20, 23, 24, 26, 27, 30, 31]
    asked = {
        # New York closes at 13:00 on Christmas Eve; 16:00 is 20:00 UTC in summer, 21:00 in winter.
        "2024-12-24 17:59Z": True,
        "2024-12-24 18:00Z": False,
        "2024-07-01 19:59Z": True,
        "2024-07-01 20:00Z": False,
        "2024-01-02 20:59Z": True,
        "2024-03-11 13:30Z": True,
        "2024-03-08 13:30Z": False,
    }
    for at, is_open in asked.items():
        assert loaded.execute("select ref.is_open('XNYS', %s)", (at,)).fetchone() == (is_open,), at
    # Hong Kong's lunch, 12:00 to 13:00; Tokyo's longer hours came in November 2024.
    for exchange, at, is_open in (
        ("XHKG", "2024-05-02 03:59Z", True),
        ("XHKG", "2024-05-02 04:00Z", False),
        ("XHKG", "2024-05-02 05:00Z", True),
        ("XTKS", "2024-11-01 06:15Z", False),
        ("XTKS", "2024-11-05 06:15Z", True),
        ("24/7", "2024-12-25 12:00Z", True),
    ):
        found = loaded.execute("select ref.is_open(%s, %s)", (exchange, at)).fetchone()
        assert found == (is_open,), (exchange, at)


@pytest.mark.parametrize(
    "query",
    [
        "select ref.is_open('XPAR', '2024-01-02')",
        "select ref.is_open('XNYS', '2022-12-31 23:00Z')",
        "select ref.is_open('XNYS', '2024-12-31 21:00Z')",
        "select ref.is_open('XNYS', null)",
        "select ref.next_open('XNYS', '2024-12-31 15:00Z')",
        "select ref.trading_days('XNYS', '2024-12-30', '2025-01-02')",
        "select ref.trading_days('XNYS', null, '2024-01-02')",
    ],
)
def test_calendar_not_loaded_there_is_an_error_and_no_closed_market(loaded, query):
    with pytest.raises(psycopg.Error, match="tsdb-trader ref calendar") as caught:
        loaded.execute(query)
    assert caught.value.sqlstate == "TT002"


def test_calendar_loaded_again_changes_nothing_and_longer_adds(conn):
    day = timedelta(days=1)
    first = upload.load_calendar(conn, "XNYS", FIRST, date(2023, 6, 30))
    assert (first["added"], first["sessions"]) == (124, 124)
    again = upload.load_calendar(conn, "NYSE", FIRST, date(2023, 6, 30))
    assert (again["exchange"], again["added"], again["changed"]) == ("XNYS", 0, 0)
    with pytest.raises(InputError, match="touches it"):
        upload.load_calendar(conn, "XNYS", date(2023, 7, 2), date(2023, 7, 31))
    more = upload.load_calendar(conn, "XNYS", date(2023, 6, 1), date(2023, 6, 30) + 31 * day)
    assert more["added"] == 20
    assert conn.execute("select first_date, last_date from ref.calendars").fetchone() == (
        FIRST,
        date(2023, 7, 31),
    )


def test_calendar_holiday_declared_late_supersedes_the_session(conn):
    """As on 2025-01-09, the day of mourning announced ten days before."""
    upload.load_calendar(conn, "XNYS", FIRST, date(2023, 1, 31))
    holiday = datetime(2023, 1, 9, 15, tzinfo=UTC)
    assert conn.execute("select ref.is_open('XNYS', %s)", (holiday,)).fetchone() == (True,)
    counts = conn.execute(
        """with kept as (
               select * from ref.calendar_days where date <> '2023-01-09' order by date)
           select l.* from (
               select array_agg(date) as dates, array_agg(opens_at) as opens,
                   array_agg(case when date = '2023-01-10' then closes_at - interval '3 hours'
                             else closes_at end) as closes,
                   array_agg(null::timestamptz) as none, array_agg(date = '2023-01-10') as early
               from kept) k,
               ref.load_calendar('XNYS', 'America/New_York', 'a person', '2023-01-01',
                   '2023-01-31', dates, opens, closes, none, none, early) l"""
    ).fetchone()
    assert counts == (0, 1, 1)
    assert conn.execute("select ref.is_open('XNYS', %s)", (holiday,)).fetchone() == (False,)
    assert conn.execute(
        "select count(*) from ref.calendar_days where superseded_at < 'infinity'"
    ).fetchone() == (2,)
    assert conn.execute(
        "select count(*) from ref.trading_days('XNYS', '2023-01-01', '2023-01-31')"
    ).fetchone() == (19,)


def test_calendar_unknown_or_impossible_is_an_input_error(conn):
    with pytest.raises(InputError, match=r"XNIS: did you mean .*XNYS"):
        upload.load_calendar(conn, "XNIS", FIRST, LAST)
    with pytest.raises(InputError, match="no calendar XNYS from"):
        upload.load_calendar(conn, "XNYS", LAST, FIRST)
    with pytest.raises(UnknownObjectError):
        reference.trading_days(conn, "XNYS", FIRST, LAST)


def test_read_mids_ends_with_the_session_where_the_calendar_is_loaded(conn):
    """On Christmas Eve New York closes at 13:00, 18:00 UTC; on Christmas it does not open."""
    stock = add_instrument(conn, "IBM")
    conn.execute("insert into ops.feeds (feed, format) values ('ticks', 'lean')")
    conn.execute(
        """insert into market.sources
               (feed_id, sha256, content, name, kind, instrument_id, first_ts, last_ts)
           select feed_id, '', '', '', 'quotes', %s, '2024-12-24 14:00Z', '2024-12-25 20:00Z'
           from ops.feeds""",
        (stock,),
    )
    conn.execute(
        """insert into market._quotes (ts, recv_ts, seq, bid_price, bid_size, ask_price, ask_size,
               instrument_id, source_id, feed_id, ns, flags)
           select t.ts, t.ts, t.seq, 100, 1, 102, 1, %s, 1, f.feed_id, 0, 0
           from ops.feeds f, unnest(array['2024-12-24 15:00Z', '2024-12-24 17:59:59Z',
               '2024-12-24 18:30Z', '2024-12-25 15:00Z']::timestamptz[]) with ordinality t (ts, seq)""",
        (stock,),
    )
    query = """select to_char(as_of, 'DD HH24:MI:SS')
               from signal.read_mids('ticks', null, '2024-12-24', '2024-12-26')"""
    fixed = ["24 15:00:00", "24 17:59:59", "24 18:30:00", "25 15:00:00"]
    assert [row[0] for row in conn.execute(query)] == fixed
    upload.load_calendar(conn, "XNYS", date(2024, 12, 1), date(2024, 12, 31))
    assert [row[0] for row in conn.execute(query)] == fixed[:2]
