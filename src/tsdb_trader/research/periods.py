"""Formation periods: when pairs are chosen, on which days, and until when they are traded."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

from tsdb_trader.errors import InputError

NEW_YORK = ZoneInfo("America/New_York")
# From a Friday to the Tuesday after: bars up to then are all that a formation end can have.
LONGEST_CLOSURE = timedelta(days=4)
_MONTHS = (1, 2, 3, 4, 6, 12)


@dataclass(frozen=True)
class Period:
    """Bars from `start` to before `end`; its pairs are valid from `end` to before `until`."""

    start: date
    end: date
    until: date | None


def midnight(day: date) -> datetime:
    """Return the start of a day in New York."""
    return datetime(day.year, day.month, day.day, tzinfo=NEW_YORK)


def periods(first: date, last: date, every: int | None, length: int) -> list[Period]:
    """Return the formation periods whose end is after `first` and not after `last`.

    No period starts before `first`, nor longer than `length` months before its end. Ends are the
    first days of every so many months of the year; without `every` it is one period from `first` to
    `last`.

    Raises
    ------
    InputError
        The months do not divide a year.
    """
    if every is None:
        if first >= last:
            raise InputError(f"a calibration from {first} to {last} has no day")
        return [Period(first, last, None)]
    if every not in _MONTHS:
        raise InputError(f"formations every {every} months: 1, 2, 3, 4, 6 or 12 divide a year")
    if not 1 <= length <= 120:
        raise InputError(f"a formation of {length} months: from 1 to 120 are possible")
    months = range(first.year * 12, last.year * 12 + 12, every)
    ends = [end for m in months if first < (end := _month(m)) <= last]
    return [
        Period(max(first, _months_before(end, length)), end, _months_before(end, -every))
        for end in ends
    ]


def _month(number: int) -> date:
    return date(number // 12, number % 12 + 1, 1)


def _months_before(day: date, months: int) -> date:
    return _month(day.year * 12 + day.month - 1 - months)
