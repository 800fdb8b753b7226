"""Trading sessions of exchanges, from the library exchange-calendars."""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import lru_cache

import exchange_calendars
import pandas as pd
from exchange_calendars.errors import CalendarError, InvalidCalendarName

from tsdb_trader.errors import InputError

LIBRARY = f"exchange-calendars {exchange_calendars.__version__}"


@dataclass(frozen=True)
class Session:
    """A trading date's regular session; a break is a pair of times, or None."""

    date: date
    opens_at: datetime
    closes_at: datetime
    break_: tuple[datetime, datetime] | None
    early_close: bool


@dataclass(frozen=True)
class Calendar:
    """The sessions of an exchange from `first` to `last`, both included."""

    exchange: str
    time_zone: str
    first: date
    last: date
    sessions: list[Session]


@lru_cache(maxsize=8)
def _calendar(exchange: str, first: date, last: date) -> exchange_calendars.ExchangeCalendar:
    names = exchange_calendars.get_calendar_names()
    try:
        return exchange_calendars.get_calendar(exchange, start=first, end=last)
    except InvalidCalendarName:
        close = difflib.get_close_matches(exchange.upper(), names, n=3, cutoff=0.5)
        hint = f": did you mean {' or '.join(close)}?" if close else ""
        raise InputError(f"exchange-calendars has no calendar {exchange}{hint}") from None
    except (CalendarError, ValueError) as error:
        reason = " ".join(str(error).split())
        raise InputError(f"no calendar {exchange} from {first} to {last}: {reason}") from None


def read_calendar(exchange: str, first: date, last: date) -> Calendar:
    """Return an exchange's sessions from `first` to `last`, both included.

    Parameters
    ----------
    exchange
        A name of the library, such as XNYS, or one of its aliases, such as NYSE.

    Raises
    ------
    InputError
        The library has no such calendar, or not for these dates.
    """
    calendar = _calendar(exchange, first, last)
    early = set(calendar.early_closes)
    sessions = [
        Session(
            day.date(),
            row.open.to_pydatetime(),
            row.close.to_pydatetime(),
            None
            if pd.isna(row.break_start)
            else (row.break_start.to_pydatetime(), row.break_end.to_pydatetime()),
            day in early,
        )
        for day, row in calendar.schedule.iterrows()
    ]
    name = str(exchange_calendars.resolve_alias(exchange))
    return Calendar(name, str(calendar.tz), first, last, sessions)


def next_session(exchange: str, day: date) -> date:
    """Return the first trading date after a day.

    Raises
    ------
    InputError
        The day is not from 1990 to 2049.
    """
    first, last = date(1990, 1, 1), date(2050, 12, 31)
    if not first <= day < date(2050, 1, 1):
        raise InputError(f"no calendar {exchange} for {day}")
    following = pd.Timestamp(day + timedelta(days=1))
    found: date = _calendar(exchange, first, last).date_to_session(following, "next").date()
    return found
