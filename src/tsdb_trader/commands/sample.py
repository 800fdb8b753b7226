"""``tsdb-trader sample``."""

from __future__ import annotations

from datetime import date, datetime
from pathlib import Path
from typing import Annotated

import typer

from tsdb_trader.feeds import itch_generate
from tsdb_trader.feeds import sample as generator


def sample(
    folder: Annotated[Path, typer.Argument(help="Where to write <symbol>/YYYYMMDD_*.zip.")],
    seed: Annotated[int, typer.Option(help="The same seed gives the same bytes.")] = 1,
    days: Annotated[int, typer.Option(help="Trading days.")] = 2,
    pairs: Annotated[
        int, typer.Option(help=f"Cointegrated pairs, up to {len(generator.PAIRS)}.")
    ] = 4,
    minutes: Annotated[int, typer.Option(help="Length of the regular session.")] = 390,
    itch: Annotated[
        bool, typer.Option("--itch", help="Write a session of TotalView-ITCH 5.0 instead.")
    ] = False,
    messages: Annotated[int, typer.Option(help="Messages of the ITCH session.")] = 1_000_000,
    symbols: Annotated[int, typer.Option(help="Instruments of the ITCH session.")] = 20,
    day: Annotated[
        datetime | None,
        typer.Option("--date", formats=["%Y-%m-%d"], help="Day of the ITCH session."),
    ] = None,
) -> None:
    """Generate tick files around real daily closes, in lean's format, or an ITCH session."""
    if itch:
        _itch(folder, messages, symbols, seed, day.date() if day else itch_generate.DAY)
        return
    done = generator.generate(folder, seed=seed, days=days, pairs=pairs, minutes=minutes)
    names = ", ".join("/".join(pair) for pair in done.pairs)
    typer.echo(
        f"{done.rows:,} generated rows in {done.files} files of {folder}: {names}; "
        f"{', '.join(day.isoformat() for day in done.days)}"
    )
    typer.echo(f"load them with: tsdb-trader load lean {folder} --feed sample")


def _itch(folder: Path, messages: int, symbols: int, seed: int, day: date) -> None:
    """Write the session into a folder, whose file is named by the day."""
    path = folder / f"{day:%m%d%Y}.NASDAQ_ITCH50"
    done = itch_generate.generate(path, messages=messages, symbols=symbols, seed=seed)
    typer.echo(f"{done.messages:,} generated messages of {symbols} symbols in {path}")
    typer.echo(f"load them with: tsdb-trader load itch {path} --feed sample-itch")
