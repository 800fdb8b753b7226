"""The daily way of `tsdb-trader calibrate pairs`: options in, progress and results out."""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Mapping
from datetime import date, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn
from rich.progress import Progress as Bars

from tsdb_trader.commands.session import parse_time
from tsdb_trader.errors import InputError, UnknownObjectError

if TYPE_CHECKING:
    from tsdb_trader.api.calibration import DailyFeed
    from tsdb_trader.db import Connection
    from tsdb_trader.research.periods import Period
    from tsdb_trader.research.walk_forward import Result, Settings


_WORDS = {
    "method": ("distance", "cointegration", "both"),
    "hedge": ("ols", "rolling", "kalman", "one"),
    "fdr_method": ("bh", "by"),
}
# Options that are fields of Rules, and those that are fields of Settings under other names.
_RULES = (
    "method",
    "top",
    "per_symbol",
    "max_p",
    "fdr",
    "fdr_method",
    "max_half_life",
    "min_days",
    "max_missing",
)
_OWN = {
    "formation": "formation_months",
    "hedge": "hedge",
    "entry": "entry",
    "exit": "exit",
    "stop": "stop",
    "half_life": "mean_half_life_days",
    "warm_up": "warm_up_days",
    "max_gap": "max_gap_days",
    "notional": "notional",
    "symbols": "symbols",
    "pairs": "pairs",
}


class Shown:
    """Shows a calibration: bars on a terminal, a line per formation everywhere."""

    def __init__(self, console: Console, bars: Bars) -> None:
        self._console = console
        self._bars = bars
        self._periods = bars.add_task("formations", total=None)
        self._pairs = bars.add_task("pairs", total=None)

    def period(self, period: Period, place: int, of: int) -> None:
        """Show which period is next."""
        self._bars.update(self._periods, total=of, completed=place - 1)
        self._bars.reset(self._pairs, total=None)

    def pairs(self, done: int, of: int) -> None:
        """Show how many of its pairs are tested."""
        self._bars.update(self._pairs, completed=done, total=of)

    def line(self, text: str) -> None:
        """Say something that stays."""
        self._console.print(text)


def find_daily_feed(conn: Connection, feed: str | None) -> DailyFeed:
    """Return the feed whose daily bars to calibrate on: that named, or the only one.

    Raises
    ------
    InputError
        No feed has daily bars, or several and none is named.
    UnknownObjectError
        The one named has none.
    """
    from tsdb_trader.api import calibration

    feeds = {found.feed: found for found in calibration.daily_feeds(conn)}
    names = ", ".join(feeds)
    if feed is not None:
        if feed not in feeds:
            raise UnknownObjectError(
                f"feed {feed} has no daily bars" + (f": {names} has" if feeds else "")
            )
        return feeds[feed]
    if not feeds:
        raise InputError(
            "no feed has daily bars: load them with `tsdb-trader load daily FILE`, or name a feed "
            "of quotes with --feed, --from and --to"
        )
    if len(feeds) > 1:
        raise InputError(f"several feeds have daily bars: name one of {names} with --feed")
    return next(iter(feeds.values()))


def read_sectors(path: Path) -> dict[str, tuple[tuple[str, str], ...]]:
    """Return the sectors of each symbol with the date from which on, oldest first.

    The file is CSV with the columns symbol and sector, and maybe from: a date, or empty for ever.

    Raises
    ------
    InputError
        The file cannot be read, lacks a column, or names a symbol twice at a time.
    """
    sectors: dict[str, dict[str, str]] = {}
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            rows = csv.DictReader(file)
            if not {"symbol", "sector"} <= set(rows.fieldnames or ()):
                raise InputError(f"{path}: the header must have the columns symbol and sector")
            for row in rows:
                place = f"{path}, line {rows.line_num}"
                symbol, sector, since = (
                    (row.get(name) or "").strip() for name in ("symbol", "sector", "from")
                )
                if not symbol or not sector:
                    raise InputError(f"{place}: no symbol or no sector")
                if since:
                    since = _iso_date(since, place)
                if sectors.setdefault(symbol, {}).setdefault(since, sector) != sector:
                    raise InputError(f"{place}: {symbol} has two sectors")
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{path}: {getattr(error, 'strerror', None) or error}") from None
    if not sectors:
        raise InputError(f"{path}: there is no symbol in it")
    return {symbol: tuple(sorted(found.items())) for symbol, found in sectors.items()}


def _iso_date(text: str, place: str) -> str:
    try:
        return date.fromisoformat(text).isoformat()
    except ValueError:
        raise InputError(f"{place}: cannot read the date {text!r}: write 2018-09-24") from None


def parse_day(text: str) -> date:
    """Return a day, of a time that in New York.

    Raises
    ------
    InputError
        The text is neither.
    """
    from tsdb_trader.research.periods import NEW_YORK

    try:
        return date.fromisoformat(text)
    except ValueError:
        return parse_time(text).astimezone(NEW_YORK).date()


def read_settings(given: Mapping[str, Any]) -> Settings:
    """Return the settings that the options make; an option that is None is not given.

    Raises
    ------
    InputError
        An option has a value that cannot be.
    """
    from tsdb_trader.research.formation import Rules
    from tsdb_trader.research.walk_forward import Settings

    for name, allowed in _WORDS.items():
        if given[name] not in (None, *allowed):
            raise InputError(
                f"--{name.replace('_', '-')} {given[name]}: one of {', '.join(allowed)}"
            )
    for name in ("max_p", "fdr"):
        if given[name] is not None and not 0 < given[name] <= 1:
            raise InputError(f"--{name.replace('_', '-')} must be above 0 and at most 1")
    for name, value in given.items():
        if isinstance(value, float) and not math.isfinite(value):
            raise InputError(f"--{name.replace('_', '-')} {value}: a finite number")
    every = given["every"]
    if every not in (None, "once") and not every.isdecimal():
        raise InputError(f"--every {every}: a number of months, or once")
    path = given["sectors"]
    rules = {name: given[name] for name in _RULES if given[name] is not None}
    own = {ours: given[name] for name, ours in _OWN.items() if given[name] is not None}
    if every is not None:
        own["every_months"] = None if every == "once" else int(every)
    if path is not None:
        own["sectors"] = read_sectors(path)
    return Settings(rules=Rules(**rules), **own)


def run(
    feed: str | None,
    start: str | None,
    end: str | None,
    given: Mapping[str, Any],
    *,
    dry_run: bool,
    as_json: bool,
) -> None:
    """Calibrate every formation of a feed's daily bars, and show what came of it.

    Raises
    ------
    InputError
        An option cannot be, or no formation can be calibrated.
    UnknownObjectError
        The feed has no daily bars, or a symbol named is not in them.
    """
    from tsdb_trader import db
    from tsdb_trader.api import calibration
    from tsdb_trader.research import walk_forward

    settings = read_settings(given)
    schedule = given["schedule"]
    if schedule and settings.every_months is None:
        raise InputError("--schedule needs formations that follow each other, not --every once")
    with db.connect(autocommit=True, application_name="tsdb-trader calibrate") as conn:
        found = find_daily_feed(conn, feed)
        _check_names(conn, found.feed, settings)
        walk_forward.check(conn, settings)
        results = _run_all(conn, found, settings, start, end, save=not dry_run)
        if schedule is not None and not dry_run:
            calibration.schedule(conn, found.feed, schedule, settings.arguments())
    if as_json:
        typer.echo(json.dumps([_as_json(result) for result in results]))
    else:
        _print(results, dry_run)


def _check_names(conn: Connection, feed: str, settings: Settings) -> None:
    from tsdb_trader.api import calibration

    if settings.names is not None:
        unknown = settings.names - set(calibration.daily_symbols(conn, feed))
        if unknown:
            raise UnknownObjectError(f"no daily bars of {min(unknown)} in feed {feed}")


def _run_all(
    conn: Connection,
    feed: DailyFeed,
    settings: Settings,
    start: str | None,
    end: str | None,
    *,
    save: bool,
) -> list[Result]:
    from tsdb_trader.research import periods, walk_forward

    first = parse_day(start) if start is not None else feed.first
    last = parse_day(end) if end is not None else _last_end(feed, settings)
    todo = periods.periods(first, last, settings.every_months, settings.formation_months)
    console = Console(stderr=True, soft_wrap=True, highlight=False)
    results: list[Result] = []
    problems: list[str] = []
    with Bars(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        console=console,
        transient=True,
        disable=not console.is_terminal,
    ) as bars:
        shown = Shown(console, bars)
        for place, period in enumerate(todo, start=1):
            shown.period(period, place, len(todo))
            try:
                result = walk_forward.calibrate(
                    conn, feed.feed, period, settings, save=save, progress=shown.pairs
                )
            except InputError as error:
                problems.append(f"{period.end}: {error}")
                shown.line(f"left out, {problems[-1]}")
                continue
            results.append(result)
            shown.line(_line(result))
    if not any(result.pairs for result in results):
        why = (
            problems or [_why(result) for result in results] or [f"none ends in {first} to {last}"]
        )
        raise InputError(f"no formation has a pair to trade: {why[-1]}")
    return results


def _last_end(feed: DailyFeed, settings: Settings) -> date:
    """Return the last formation end that the bars cover."""
    from tsdb_trader.research.periods import LONGEST_CLOSURE

    once = settings.every_months is None
    return feed.last + (timedelta(days=1) if once else LONGEST_CLOSURE)


def _line(result: Result) -> str:
    refused = len({r.a for r in result.refusals if r.b is None})
    return (
        f"{result.period.end}: {result.days} days, {result.symbols} symbols ({refused} refused), "
        f"{result.chosen.tested:,} pairs tested, {len(result.pairs)} kept, "
        f"{result.elapsed_s:.1f} s"
    )


def _why(result: Result) -> str:
    counts: Mapping[str, Any] = result.chosen.passed_over
    failed = ", ".join(f"{n:,} by {name}" for name, n in counts.items() if n)
    refused = "; ".join(
        f"{name}: {refusal.detail}"
        for name, refusal in list(zip(result.refused_names, result.refusals, strict=True))[:3]
    )
    said = "; ".join(text for text in (failed, refused) if text)
    return f"{result.period.end}: of {result.chosen.tested:,} pairs none passed ({said})"


def _as_json(result: Result) -> dict[str, Any]:
    return {
        "formation_end": result.period.end.isoformat(),
        "from": result.period.start.isoformat(),
        "valid_to": None if result.period.until is None else result.period.until.isoformat(),
        "days": result.days,
        "symbols": result.symbols,
        "tested": result.chosen.tested,
        "eligible": result.chosen.eligible,
        "passed_over": result.chosen.passed_over,
        "elapsed_s": result.elapsed_s,
        "pairs": [
            {
                "pair_id": pair_id,
                "symbol_a": a,
                "symbol_b": b,
                "parameters": pair.parameters,
                "statistics": pair.statistics,
            }
            for pair_id, (a, b), pair in zip(result.ids, result.names, result.pairs, strict=True)
        ],
        "refusals": [
            {"name": name, "reason": refusal.reason, "detail": refusal.detail}
            for name, refusal in zip(result.refused_names, result.refusals, strict=True)
        ],
    }


def _print(results: list[Result], dry_run: bool) -> None:
    last = results[-1]
    until = "for ever" if last.period.until is None else f"to {last.period.until}"
    typer.echo(f"pairs of the last formation, valid from {last.period.end} {until}:")
    typer.echo(
        f"{'pair':<13}{'distance':>9}{'hedge':>7}{'p':>8}{'p adj':>8}{'half-life':>11}"
        f"{'deviation':>11}  id"
    )
    for pair_id, (a, b), pair in zip(last.ids, last.names, last.pairs, strict=True):
        found, parameters = pair.statistics, pair.parameters
        half_life = found["half_life_days"]
        typer.echo(
            f"{a + '/' + b:<13}{found['distance']:>9.4f}{parameters['hedge_ratio']:>7.3f}"
            f"{found['p_value']:>8.4f}{found['p_value_bh']:>8.4f}"
            f"{'-' if half_life is None else f'{half_life:.1f} d':>11}"
            f"{parameters['deviation']:>11.5f}  {'not saved' if pair_id is None else pair_id}"
        )
    kept = sum(len(result.pairs) for result in results)
    typer.echo(
        f"{kept} pairs in {len(results)} formations"
        + (", nothing saved" if dry_run else "; see signal.calibrations, signal.current_pairs")
    )
