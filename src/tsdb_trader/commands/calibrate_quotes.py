"""The way of `tsdb-trader calibrate pairs` over quotes of one window."""

from __future__ import annotations

import difflib
import itertools
import json
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import typer

from tsdb_trader import __version__
from tsdb_trader.errors import InputError, UnknownObjectError

if TYPE_CHECKING:
    from tsdb_trader.api.signal import Mids
    from tsdb_trader.db import Connection
    from tsdb_trader.research.calibration import Calibration, Pair, Settings

_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0}


def run(
    feed: str,
    window: tuple[datetime, datetime],
    symbols: str | None,
    pairs_given: str | None,
    settings: Settings,
    top: int | None,
    dry_run: bool,
    as_json: bool,
) -> None:
    """Read, fit, rank and save; the reading is one snapshot, the saving one transaction."""
    from psycopg import IsolationLevel
    from rich.console import Console

    from tsdb_trader import db
    from tsdb_trader.api import signal
    from tsdb_trader.research import calibration

    console = Console(stderr=True, soft_wrap=True, highlight=False)
    with db.connect(application_name="tsdb-trader calibrate") as conn:
        conn.isolation_level = IsolationLevel.REPEATABLE_READ
        wanted, without = choose_pairs(conn, feed, window, symbols, pairs_given)
        if without:
            console.print(f"left out, no quotes in the window: {', '.join(without)}")
        used = sorted(set(itertools.chain.from_iterable(wanted)))
        watermark = signal.data_watermark(conn, feed, used, *window)
        version = f"{__version__}+{signal.code_hash(conn)[:12]}"
        found, skipped = _calibrate_all(
            conn, feed, window, wanted, used, settings, console, bool(pairs_given)
        )
        for reason in skipped:
            console.print(f"left out, {reason}")
        ranked = calibration.rank(found)
        kept = ranked[:top]
        conn.rollback()
        conn.isolation_level = IsolationLevel.READ_COMMITTED
        ids: list[int] = []
        if not dry_run:
            ids = calibration.save(
                conn,
                kept,
                feed=feed,
                window=window,
                watermark=watermark,
                code_version=version,
                tests=len(ranked),
            )
            conn.commit()
    _show(kept, ids, len(ranked), as_json)


def _calibrate_all(
    conn: Connection,
    feed: str,
    window: tuple[datetime, datetime],
    wanted: Sequence[Pair],
    used: Sequence[str],
    settings: Settings,
    console: Any,
    named: bool,
) -> tuple[list[Calibration], list[str]]:
    from rich.progress import track

    from tsdb_trader.api import signal
    from tsdb_trader.research import calibration

    quiet = not console.is_terminal
    mids: dict[str, Mids] = {
        symbol: signal.read_mids(conn, feed, symbol, *window, settings.grid)
        for symbol in track(used, "reading mids", console=console, disable=quiet)
    }
    found, skipped = [], []
    for candidate in track(wanted, "fitting pairs", console=console, disable=quiet):
        try:
            found.append(calibration.calibrate_pair(conn, candidate, mids, settings))
        except InputError as error:
            # One of many candidates may be unusable; one that was asked for may not.
            if named or len(wanted) == 1:
                raise
            skipped.append(str(error))
    if not found:
        raise InputError(f"no pair can be calibrated: {skipped[0]}")
    return found, skipped


def choose_pairs(
    conn: Connection,
    feed: str,
    window: tuple[datetime, datetime],
    symbols: str | None,
    pairs_given: str | None,
) -> tuple[list[Pair], list[str]]:
    """Return the pairs to calibrate, and the symbols left out because they have no quotes.

    Raises
    ------
    UnknownObjectError
        The feed or a symbol is not there in the window.
    InputError
        Fewer than two symbols have quotes, or the lists cannot be read.
    """
    from tsdb_trader.api import signal

    feeds = signal.feeds(conn)
    if feed not in feeds:
        raise UnknownObjectError(f"unknown feed {feed}{hint(feed, feeds)}")
    known = {s.symbol: s.has_quotes for s in signal.feed_symbols(conn, feed, *window)}
    if not any(known.values()):
        raise InputError(
            f"feed {feed} has no quotes from {window[0]:%F %T} to {window[1]:%F %T} UTC: "
            "load them or choose another window"
        )
    asked = split_pairs(pairs_given) if pairs_given is not None else []
    names = (
        list(dict.fromkeys(itertools.chain.from_iterable(asked)))
        if asked
        else split(symbols)
        if symbols is not None
        else list(known)
    )
    for name in names:
        if name not in known:
            raise UnknownObjectError(
                f"no ticks of {name} in feed {feed} in the window{hint(name, known)}"
            )
    without = [name for name in names if not known[name]]
    if asked and without:
        raise InputError(f"{without[0]} has trades only in the window: pairs need quotes")
    usable = [name for name in names if known[name]]
    if len(usable) < 2:
        raise InputError(f"a pair needs two symbols with quotes, {usable or 'none'} given")
    return asked or list(itertools.combinations(usable, 2)), without


def parse_grid(text: str) -> timedelta:
    """Return a grid step from 1 ms to 1 hour.

    Raises
    ------
    InputError
        The text is no number with one of the units ms, s, m.
    """
    number = text.rstrip("ms")
    unit = text[len(number) :]
    try:
        step = timedelta(seconds=float(number) * _UNITS[unit])
    except (KeyError, ValueError, OverflowError):
        raise InputError(f"cannot read the grid {text!r}: write it as 500ms, 1s or 1m") from None
    if not timedelta(milliseconds=1) <= step <= timedelta(hours=1):
        raise InputError(f"the grid {text} is outside 1ms to 60m")
    return step


def split(text: str) -> list[str]:
    """Return the names of a list.

    Raises
    ------
    InputError
        One of them is empty.
    """
    names = list(dict.fromkeys(part.strip() for part in text.split(",")))
    if not all(names):
        raise InputError(f"empty name in {text!r}")
    return names


def split_pairs(text: str) -> list[Pair]:
    """Return the pairs of a list.

    Raises
    ------
    InputError
        One of them cannot be read.
    """
    pairs = []
    for part in split(text):
        legs = part.split("/")
        if len(legs) != 2 or not all(legs) or legs[0] == legs[1]:
            raise InputError(f"cannot read the pair {part!r}: write it as AIG/BAC")
        pairs.append((legs[0], legs[1]))
    return pairs


def hint(name: str, known: Sequence[str] | dict[str, bool]) -> str:
    """Return what may have been meant, to put behind a message."""
    close = difflib.get_close_matches(name.upper(), [k.upper() for k in known], n=1, cutoff=0.5)
    match = next((k for k in known if close and k.upper() == close[0]), None)
    if match is not None:
        return f": did you mean {match}?"
    return f": there is {', '.join(sorted(known)[:8])}" if known else ": load it first"


def _show(kept: Sequence[Calibration], ids: Sequence[int], tests: int, as_json: bool) -> None:
    if as_json:
        rows = [
            {
                "pair_id": ids[n] if ids else None,
                "symbol_a": c.symbol_a,
                "symbol_b": c.symbol_b,
                "parameters": c.parameters,
                "statistics": c.statistics(tests),
            }
            for n, c in enumerate(kept)
        ]
        typer.echo(json.dumps(rows))
        return
    header = f"{'pair':<13}{'hedge':>8}{'r2':>6}{'p':>8}{'p adj':>8}{'half-life':>11}"
    typer.echo(f"{header}{'mean hl':>9}{'deviation':>11}{'trips':>7}  id")
    for n, c in enumerate(kept):
        half_life = "-" if c.fit.half_life_s is None else f"{c.fit.half_life_s:.0f} s"
        typer.echo(
            f"{c.symbol_a + '/' + c.symbol_b:<13}{c.fit.hedge_ratio:>8.3f}{c.fit.r2:>6.2f}"
            f"{c.fit.p_value:>8.4f}{c.p_value_adjusted:>8.4f}{half_life:>11}"
            f"{c.parameters['half_life_s']:>7.0f} s{c.parameters['deviation']:>11.6f}"
            f"{c.round_trips:>7}  {ids[n] if ids else 'not saved'}"
        )
