"""`tsdb-trader calibrate pairs` and `tsdb-trader parity`."""

from __future__ import annotations

import difflib
import itertools
import json
from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any
from uuid import UUID

import typer

from tsdb_trader import __version__
from tsdb_trader.commands import calibrate_daily
from tsdb_trader.commands.session import parse_time
from tsdb_trader.errors import InputError, InvariantError, UnknownObjectError

if TYPE_CHECKING:
    from tsdb_trader.api.signal import Mids
    from tsdb_trader.db import Connection
    from tsdb_trader.research.calibration import Calibration, Pair, Settings

calibrate = typer.Typer(no_args_is_help=True, help="Calibrate strategies on a past window.")

_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0}


@calibrate.callback()
def _group() -> None:
    """Calibrate strategies on a past window."""


@calibrate.command("pairs")
def pairs(
    feed: Annotated[
        str | None, typer.Option(help="The feed to read (default: the one with daily bars).")
    ] = None,
    source: Annotated[
        str | None, typer.Option(help="daily or quotes (default: quotes if the feed has any).")
    ] = None,
    start: Annotated[
        str | None,
        typer.Option("--from", help="Start: 2013-02-08; of quotes a time, 2013-10-07T13:30Z."),
    ] = None,
    end: Annotated[
        str | None, typer.Option("--to", help="End; of quotes the pairs are valid from then on.")
    ] = None,
    symbols: Annotated[
        str | None, typer.Option(help="Take all pairs of these: AIG,BAC (default: all).")
    ] = None,
    pair: Annotated[
        str | None, typer.Option("--pairs", help="Exactly these pairs: AIG/BAC,BAC/IBM.")
    ] = None,
    top: Annotated[
        int | None,
        typer.Option(help="Keep the best (default: 50 a formation; of quotes all).", min=1),
    ] = None,
    grid: Annotated[str | None, typer.Option(help="Quotes: time grid, 1s, 500ms, 1m.")] = None,
    formation: Annotated[
        int | None, typer.Option(help="Daily: months to choose on (default: 12).")
    ] = None,
    every: Annotated[
        str | None, typer.Option(help="Daily: months between formations (default: 6), or once.")
    ] = None,
    method: Annotated[
        str | None, typer.Option(help="Daily: distance, cointegration or both (default).")
    ] = None,
    sectors: Annotated[
        Path | None, typer.Option(help="Daily: CSV file symbol,sector; pairs within a sector only.")
    ] = None,
    per_symbol: Annotated[
        int | None, typer.Option(help="Daily: pairs that a symbol may be in (default: 5).", min=1)
    ] = None,
    max_p: Annotated[
        float | None, typer.Option("--max-p", help="Daily: largest p-value (default: 0.05).")
    ] = None,
    fdr: Annotated[
        float | None, typer.Option(help="Daily: largest false discovery rate (default: any).")
    ] = None,
    fdr_method: Annotated[
        str | None,
        typer.Option(help="Daily: bh (Benjamini-Hochberg, default) or by (Benjamini-Yekutieli)."),
    ] = None,
    max_half_life: Annotated[
        float | None,
        typer.Option(help="Daily: longest half-life of a spread, trading days (default: 60)."),
    ] = None,
    min_days: Annotated[
        int | None, typer.Option(help="Daily: fewest days of a formation (default: 120).", min=30)
    ] = None,
    max_missing: Annotated[
        int | None, typer.Option(help="Daily: days that a symbol may lack (default: 5).", min=0)
    ] = None,
    hedge: Annotated[
        str | None, typer.Option(help="Daily: ols (default), rolling, kalman or one.")
    ] = None,
    entry: Annotated[float, typer.Option(help="Enter at this z-score.")] = 2.0,
    exit_: Annotated[float, typer.Option("--exit", help="Leave at this z-score.")] = 0.5,
    stop: Annotated[float, typer.Option(help="Give up at this z-score.")] = 6.0,
    half_life: Annotated[
        float | None,
        typer.Option(
            help="Of the running mean: of quotes in seconds (default: a third of the spread's, "
            "60 to 600), of daily bars in days (default: the mean stays as formed)."
        ),
    ] = None,
    warm_up: Annotated[
        float | None,
        typer.Option(
            help="Without trading after the mean is lost: seconds (default: two half-lives) or "
            "days (default: until the next formation)."
        ),
    ] = None,
    max_gap: Annotated[
        float | None,
        typer.Option(help="Without prices: start anew, seconds (default: 300) or days (10)."),
    ] = None,
    notional: Annotated[float, typer.Option(help="Of leg A, account currency.")] = 25_000.0,
    schedule: Annotated[
        bool | None,
        typer.Option(
            "--schedule/--no-schedule", help="Daily: have the scheduler repeat it, or no more."
        ),
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Save nothing.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Choose pairs, fit and test them, and save them to trade from the end of their window on.

    On daily bars: at every first of January and July on the year before; see docs/calibration.md.
    On quotes: on one window, --from to --to.
    """
    if symbols is not None and pair is not None:
        raise InputError("give --symbols or --pairs, not both")
    daily: dict[str, Any] = {
        "formation": formation,
        "every": every,
        "method": method,
        "sectors": sectors,
        "per_symbol": per_symbol,
        "max_p": max_p,
        "fdr": fdr,
        "fdr_method": fdr_method,
        "max_half_life": max_half_life,
        "min_days": min_days,
        "max_missing": max_missing,
        "hedge": hedge,
        "schedule": schedule,
    }
    if choose_source(feed, source) == "daily":
        if grid is not None:
            raise InputError("--grid is for quotes, the feed has daily bars")
        chosen = {
            "entry": entry,
            "exit": exit_,
            "stop": stop,
            "half_life": half_life,
            "warm_up": warm_up,
            "max_gap": max_gap,
            "notional": notional,
            "top": top,
            "symbols": None if symbols is None else tuple(_split(symbols)),
            "pairs": None if pair is None else tuple(_split_pairs(pair)),
        }
        calibrate_daily.run(feed, start, end, daily | chosen, dry_run=dry_run, as_json=as_json)
        return
    for name, value in daily.items():
        if value is not None:
            raise InputError(f"--{name.replace('_', '-')} is for daily bars, not for quotes")
    if feed is None or start is None or end is None:
        raise InputError("quotes need --feed, --from and --to")
    from tsdb_trader.research.calibration import Settings

    settings = Settings(
        entry=entry,
        exit=exit_,
        stop=stop,
        half_life_s=half_life,
        warm_up_s=warm_up,
        max_gap_s=300.0 if max_gap is None else max_gap,
        notional=notional,
        grid=parse_grid(grid or "1s"),
    )
    window = (parse_time(start), parse_time(end))
    if window[0] >= window[1]:
        raise InputError("--from must be before --to")
    run_calibration(feed, window, symbols, pair, settings, top, dry_run, as_json)


def choose_source(feed: str | None, source: str | None) -> str:
    """Return daily or quotes: what is asked for, else what the feed has, quotes before bars.

    Raises
    ------
    InputError
        Another source is named.
    """
    from tsdb_trader import db
    from tsdb_trader.api import calibration, signal

    if source not in (None, "daily", "quotes"):
        raise InputError(f"unknown source {source!r}: use daily or quotes")
    if source is not None:
        return source
    if feed is None:
        return "daily"
    with db.connect(application_name="tsdb-trader calibrate") as conn:
        if signal.has_quotes(conn, feed):
            return "quotes"
        bars = any(found.feed == feed for found in calibration.daily_feeds(conn))
    return "daily" if bars else "quotes"


def run_calibration(
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
        raise UnknownObjectError(f"unknown feed {feed}{_hint(feed, feeds)}")
    known = {s.symbol: s.has_quotes for s in signal.feed_symbols(conn, feed, *window)}
    if not any(known.values()):
        raise InputError(
            f"feed {feed} has no quotes from {window[0]:%F %T} to {window[1]:%F %T} UTC: "
            "load them or choose another window"
        )
    asked = _split_pairs(pairs_given) if pairs_given is not None else []
    names = (
        list(dict.fromkeys(itertools.chain.from_iterable(asked)))
        if asked
        else _split(symbols)
        if symbols is not None
        else list(known)
    )
    for name in names:
        if name not in known:
            raise UnknownObjectError(
                f"no ticks of {name} in feed {feed} in the window{_hint(name, known)}"
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


def _split(text: str) -> list[str]:
    names = list(dict.fromkeys(part.strip() for part in text.split(",")))
    if not all(names):
        raise InputError(f"empty name in {text!r}")
    return names


def _split_pairs(text: str) -> list[Pair]:
    pairs = []
    for part in _split(text):
        legs = part.split("/")
        if len(legs) != 2 or not all(legs) or legs[0] == legs[1]:
            raise InputError(f"cannot read the pair {part!r}: write it as AIG/BAC")
        pairs.append((legs[0], legs[1]))
    return pairs


def _hint(name: str, known: Sequence[str] | dict[str, bool]) -> str:
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


def parity(
    session_id: Annotated[UUID, typer.Argument(help="See `tsdb-trader session list`.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Recompute a session's signals from its stored ticks; a difference is an error (status 6)."""
    from tsdb_trader import db
    from tsdb_trader.api import backtest

    with db.connect(application_name="tsdb-trader parity") as conn:
        differences = backtest.parity(conn, session_id)
    if as_json:
        typer.echo(
            json.dumps(
                [
                    {
                        "kind": d.kind,
                        "batch_no": d.batch_no,
                        "pair_id": d.pair_id,
                        "detail": d.detail,
                    }
                    for d in differences
                ]
            )
        )
    else:
        for d in differences[:20]:
            typer.echo(f"{d.kind} batch {d.batch_no} pair {d.pair_id}: {json.dumps(d.detail)}")
    if differences:
        raise InvariantError(
            f"session {session_id}: {len(differences)} differences between live and recomputed"
        )
    if not as_json:
        typer.echo("no differences")
