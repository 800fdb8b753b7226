"""What the demo trades on: recorded ticks, or a sample that it generates once."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from datetime import date, datetime, time
from itertools import combinations
from pathlib import Path

from tsdb_trader import __version__
from tsdb_trader.api import market, signal
from tsdb_trader.db import Connection
from tsdb_trader.demo.progress import NEW_YORK, Steps
from tsdb_trader.errors import InputError
from tsdb_trader.feeds import loader
from tsdb_trader.feeds import sample as generator
from tsdb_trader.feeds.base import Options
from tsdb_trader.research import calibration

_OPEN, _CLOSE = time(9, 30), time(16, 0)
_PAIRS = 5
Window = tuple[datetime, datetime]


@dataclass(frozen=True)
class Days:
    """The feed, the day to calibrate on and the day to trade."""

    feed: str
    first: date
    second: date


def load(conn: Connection, folder: Path, feed: str, steps: Steps) -> Days:
    """Load every tick file of a folder; what is loaded already is found so.

    Raises
    ------
    InputError
        The folder holds no tick file that can be used, or fewer than two days.
    """
    steps.say(f"loading the ticks in {folder} ...")
    # Before a row is stored: a folder that cannot be traded on leaves nothing in the feed.
    found = loader.FORMATS["lean"](Options()).discover([folder])
    days = sorted({date.fromisoformat(file.content.split("/")[1]) for file in found})
    if len(days) < 2:
        raise InputError(f"{folder} holds ticks of one day: add a second, the demo needs two")
    report = loader.load(conn, "lean", [folder], feed=feed)
    market.refresh_rollups(conn)
    for kind in ("quotes", "trades"):
        count = report.total(kind)
        steps.say(
            f"  {kind}: {count.read:,} rows read = {count.stored:,} stored"
            f" + {count.quarantined:,} quarantined"
        )
    if report.already_loaded:
        steps.say(f"  {report.already_loaded} of {len(report.files)} files were loaded before")
    return Days(feed, days[0], days[1])


def sample(folder: Path, steps: Steps) -> Path:
    """Return the folder of the generated sample, generating it the first time."""
    if not folder.is_dir():
        steps.say("generating sample ticks (not real data) ...")
        # A run that was interrupted leaves only this folder, which the next one writes anew.
        unfinished = folder.with_name(f"{folder.name}.partial")
        if unfinished.exists():
            shutil.rmtree(unfinished)
        generator.generate(unfinished)
        unfinished.rename(folder)
    return folder


def regular_hours(day: date) -> Window:
    """Return the regular trading hours of a day in New York."""
    return (
        datetime.combine(day, _OPEN, NEW_YORK),
        datetime.combine(day, _CLOSE, NEW_YORK),
    )


def parse_window(text: str, day: date) -> Window:
    """Return the window START/END: full times with a zone, or times of the day in New York.

    Raises
    ------
    InputError
        The text is no such window, or its end is not after its start.
    """
    start, slash, end = text.partition("/")
    hint = f"window {text!r}: write it like 10:00/11:00 or 2013-10-08T10:00-04:00/..."
    if not slash:
        raise InputError(hint)
    window = _instant(start, day, hint), _instant(end, day, hint)
    if window[0] >= window[1]:
        raise InputError(f"window {text!r}: its end is not after its start")
    return window


def _instant(text: str, day: date, hint: str) -> datetime:
    try:
        return datetime.combine(day, time.fromisoformat(text), NEW_YORK)
    except ValueError:
        pass
    try:
        instant = datetime.fromisoformat(text)
    except ValueError:
        raise InputError(hint) from None
    if instant.tzinfo is None:
        raise InputError(f"{hint}; {text!r} has no zone")
    return instant


def calibrate(conn: Connection, days: Days, steps: Steps) -> None:
    """Calibrate on the regular hours of the first day and save the best pairs.

    Raises
    ------
    InputError
        No pair can be calibrated on this day.
    """
    steps.say(f"calibrating pairs on {days.first} ...")
    start, end = regular_hours(days.first)
    settings = calibration.Settings()
    symbols = [s.symbol for s in signal.feed_symbols(conn, days.feed, start, end) if s.has_quotes]
    mids = {
        symbol: signal.read_mids(conn, days.feed, symbol, start, end, settings.grid)
        for symbol in symbols
    }
    pairs = list(combinations(symbols, 2))
    usable = []
    for pair in pairs:
        try:
            usable.append(calibration.calibrate_pair(conn, pair, mids, settings))
        except InputError as error:
            steps.say(f"  left out: {error}")
    best = calibration.rank(usable)[:_PAIRS]
    if not best:
        raise InputError(f"no pair of feed {days.feed} can be calibrated on {days.first}")
    with conn.transaction():
        calibration.save(
            conn,
            best,
            feed=days.feed,
            window=(start, end),
            watermark=signal.data_watermark(conn, days.feed, symbols, start, end),
            code_version=f"{__version__}+{signal.code_hash(conn)[:12]}",
            tests=len(pairs),
        )
    for found in best:
        half_life = found.fit.half_life_s
        steps.say(
            f"  {found.symbol_a}/{found.symbol_b}: hedge ratio {found.fit.hedge_ratio:.3f},"
            f" p-value {_p_value(found.p_value_adjusted)},"
            f" half-life {'none' if half_life is None else f'{half_life:.0f} s'}"
        )


def _p_value(value: float) -> str:
    return "< 0.001" if value < 0.001 else f"{value:.3f}"
