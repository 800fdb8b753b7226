"""`tsdb-trader calibrate pairs` and `tsdb-trader parity`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any
from uuid import UUID

import typer

from tsdb_trader.commands import calibrate_daily, calibrate_quotes
from tsdb_trader.commands.session import parse_time
from tsdb_trader.errors import InputError, InvariantError, UnknownObjectError

calibrate = typer.Typer(no_args_is_help=True, help="Calibrate strategies on a past window.")


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
            "symbols": None if symbols is None else tuple(calibrate_quotes.split(symbols)),
            "pairs": None if pair is None else tuple(calibrate_quotes.split_pairs(pair)),
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
        grid=calibrate_quotes.parse_grid(grid or "1s"),
    )
    window = (parse_time(start), parse_time(end))
    if window[0] >= window[1]:
        raise InputError("--from must be before --to")
    calibrate_quotes.run(feed, window, symbols, pair, settings, top, dry_run, as_json)


def choose_source(feed: str | None, source: str | None) -> str:
    """Return daily or quotes: what is asked for, else what the feed has, quotes before bars.

    Raises
    ------
    InputError
        Another source is named.
    UnknownObjectError
        There is no such feed.
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
        feeds = signal.feeds(conn)
        if feed not in feeds:
            raise UnknownObjectError(f"unknown feed {feed}{calibrate_quotes.hint(feed, feeds)}")
        bars = any(found.feed == feed for found in calibration.daily_feeds(conn))
        return "quotes" if signal.has_quotes(conn, feed) or not bars else "daily"


def parity(
    session_id: Annotated[UUID, typer.Argument(help="See `tsdb-trader session list`.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Recompute a session's signals from its stored ticks; a difference is an error (status 6)."""
    from tsdb_trader import db
    from tsdb_trader.api import backtest, strategies
    from tsdb_trader.config import settings
    from tsdb_trader.strategies import load_all

    classes = load_all(settings().strategies)
    with db.connect(application_name="tsdb-trader parity") as conn:
        differences = backtest.parity(conn, session_id)
        differences += strategies.differences(conn, session_id, classes)
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
