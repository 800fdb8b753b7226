"""Schema risk: daily returns, the history prepared from them, and its factors."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime

from tsdb_trader.db import Connection, translated


@dataclass(frozen=True)
class History:
    """Returns of instruments over the same days, a row per instrument, oldest first."""

    set_id: int
    factors: int
    instrument_ids: list[int]
    returns: list[list[float]]


def refresh_returns(conn: Connection, from_date: date, to_date: date, feed: str | None) -> int:
    """Make daily returns anew (``risk.refresh_returns``); return how many rows changed.

    Raises
    ------
    InputError
        The dates cannot be, or several feeds have bars of an instrument and none is named.
    UnknownObjectError
        There is no such feed.
    """
    with translated():
        row = conn.execute(
            "select risk.refresh_returns(%s, %s, %s)", (from_date, to_date, feed)
        ).fetchone()
    return 0 if row is None else int(row[0])


def bar_dates(conn: Connection) -> tuple[date, date] | None:
    """Return the dates of the first and the last daily bar of any feed; None without any."""
    row = conn.execute(
        """select (min(ts) at time zone 'UTC')::date, (max(ts) at time zone 'UTC')::date + 1
           from market._source_bars where resolution = '1d'"""
    ).fetchone()
    return None if row is None or row[0] is None else (row[0], row[1])


def prepare(conn: Connection, as_of: datetime) -> list[int]:
    """Prepare the history as of a time (``risk.prepare_var``); return its sets, one a currency."""
    with translated():
        rows = conn.execute("select * from risk.prepare_var(%s)", (as_of,)).fetchall()
    return [row[0] for row in rows]


def without_factors(conn: Connection, set_id: int) -> History | None:
    """Return the usable history of a set, None if it has its factors already."""
    row = conn.execute(
        """select c.factors from risk._return_sets s join risk.var_settings c using (settings_id)
           where s.set_id = %s and s.factored_at is null""",
        (set_id,),
    ).fetchone()
    if row is None:
        return None
    found = conn.execute(
        """select instrument_id, returns from risk._windows
           where set_id = %s and returns is not null order by instrument_id""",
        (set_id,),
        binary=True,
    ).fetchall()
    return History(set_id, row[0], [i for i, _ in found], [r for _, r in found])


def save_factors(
    conn: Connection,
    set_id: int,
    instrument_ids: Sequence[int],
    loadings: Sequence[Sequence[float]],
    specific_variances: Sequence[float],
) -> int:
    """Store a set's factor model (``risk.save_factors``); return how many instruments have it.

    Raises
    ------
    InputError
        The arrays do not fit.
    UnknownObjectError
        There is no such set.
    """
    with translated():
        row = conn.execute(
            "select risk.save_factors(%s, %s, %s, %s)",
            (
                set_id,
                list(instrument_ids),
                [list(row) for row in loadings],
                list(specific_variances),
            ),
        ).fetchone()
    return 0 if row is None else int(row[0])
