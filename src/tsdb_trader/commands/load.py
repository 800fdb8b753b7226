"""``tsdb-trader load``."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn
from rich.progress import Progress as Bars
from rich.table import Table

from tsdb_trader import db
from tsdb_trader.api import books, market
from tsdb_trader.feeds import loader
from tsdb_trader.feeds.base import DataFile, Options
from tsdb_trader.feeds.store import Counts

VIEWS = {
    "quotes": "market.quotes",
    "trades": "market.trades",
    "book_events": "market.book_events",
    "bars": "market.source_bars",
    "statuses": "market.statuses",
    "news": "market.news",
    "series": "market.alt_series",
}
KINDS = tuple(VIEWS)


class _Shown:
    """Shows a load on a terminal."""

    def __init__(self, bars: Bars) -> None:
        self._bars = bars
        self._files = bars.add_task("files", total=None)
        self._rows = bars.add_task("rows", total=None)

    def file(self, file: DataFile, place: int, of: int) -> None:
        """Show which file is next."""
        self._bars.update(self._files, total=of, completed=place - 1, description=file.content)
        self._bars.reset(self._rows, total=None)

    def rows(self, done: int) -> None:
        """Show how many of its rows are stored."""
        self._bars.update(self._rows, completed=done)


def load(
    format_name: Annotated[
        str, typer.Argument(metavar="FORMAT", help=f"One of: {', '.join(sorted(loader.FORMATS))}.")
    ],
    paths: Annotated[
        list[Path], typer.Argument(metavar="PATH...", help="Files, or folders to search.")
    ],
    feed: Annotated[
        str | None, typer.Option(help="Name of the feed (default: that of the format).")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
    known_only: Annotated[
        bool, typer.Option("--known-only", help="Refuse symbols that are not registered yet.")
    ] = False,
    mapping: Annotated[
        Path | None, typer.Option(help="Mapping file of formats csv and parquet.")
    ] = None,
    day: Annotated[
        datetime | None,
        typer.Option("--date", formats=["%Y-%m-%d"], help="Day of files that do not name it."),
    ] = None,
    symbol: Annotated[
        str | None, typer.Option(help="Instrument of files that do not name it.")
    ] = None,
    timezone: Annotated[
        str | None, typer.Option(help="Time zone of times without one, such as America/New_York.")
    ] = None,
    derive_quotes: Annotated[
        bool, typer.Option("--derive-quotes", help="Make quotes of what book events did.")
    ] = False,
) -> None:
    """Load tick files; what is loaded already is not loaded again."""
    from tsdb_trader import schema

    schema.check_current()
    errors = Console(stderr=True)
    with (
        db.connect(autocommit=True, application_name="tsdb-trader load") as conn,
        Bars(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            console=errors,
            transient=True,
            disable=not sys.stderr.isatty(),
        ) as bars,
    ):
        report = loader.load(
            conn,
            format_name,
            paths,
            feed=feed,
            known_only=known_only,
            options=Options(mapping, day.date() if day else None, symbol, timezone),
            progress=_Shown(bars),
        )
        if derive_quotes:
            books.derive_feed_quotes(conn, report.feed)
        market.refresh_rollups(conn)
        if report.total("book_events").stored:
            books.snapshot_books(conn)
    for file in report.files:
        if file.note:
            typer.echo(f"{file.file}: {file.note}", err=True)
    if as_json:
        typer.echo(json.dumps(_as_json(report)))
    else:
        _print(report)


def _as_json(report: loader.Report) -> dict[str, object]:
    return {
        "feed": report.feed,
        **asdict(report.total()),
        **{kind: asdict(report.total(kind)) for kind in KINDS},
        "already_loaded": report.already_loaded,
        "files": [
            {
                "file": file.file,
                "content": file.content,
                "symbol": file.symbol,
                "kind": file.kind or "many",
                "status": file.status,
                **asdict(file.counts),
                "records": file.stored,
                "note": file.note,
            }
            for file in report.files
        ],
    }


def _print(report: loader.Report) -> None:
    table = Table(title=f"feed {report.feed}", title_justify="left", box=None)
    table.add_column("")
    for name in ("read", "stored", "quarantined"):
        table.add_column(name, justify="right")
    table.add_column("")
    for file in report.files:
        table.add_row(file.content, *_numbers(file.counts), file.status.replace("_", " "))
    table.add_section()
    for kind in KINDS:
        counts = report.total(kind)
        if counts.read or kind in {file.kind for file in report.files}:
            table.add_row(VIEWS[kind], *_numbers(counts), "")
    # Wide enough for any symbol when the output goes to a file.
    width = None if sys.stdout.isatty() else 120
    Console(highlight=False, width=width).print(table)
    if report.files and report.already_loaded == len(report.files):
        typer.echo("already loaded, nothing to do")
    elif any(file.counts.quarantined for file in report.files):
        typer.echo("see market.quarantine for the rows that were not stored, and why")


def _numbers(counts: Counts) -> list[str]:
    return [f"{n:,}" for n in (counts.read, counts.stored, counts.quarantined)]
