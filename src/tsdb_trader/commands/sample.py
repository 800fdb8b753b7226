"""``tsdb-trader sample``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tsdb_trader.feeds import sample as generator


def sample(
    folder: Annotated[Path, typer.Argument(help="Where to write <symbol>/YYYYMMDD_*.zip.")],
    seed: Annotated[int, typer.Option(help="The same seed gives the same bytes.")] = 1,
    days: Annotated[int, typer.Option(help="Trading days.")] = 2,
    pairs: Annotated[
        int, typer.Option(help=f"Cointegrated pairs, up to {len(generator.PAIRS)}.")
    ] = 4,
    minutes: Annotated[int, typer.Option(help="Length of the regular session.")] = 390,
) -> None:
    """Generate tick files around real daily closes, in lean's format."""
    done = generator.generate(folder, seed=seed, days=days, pairs=pairs, minutes=minutes)
    names = ", ".join("/".join(pair) for pair in done.pairs)
    typer.echo(
        f"{done.rows:,} generated rows in {done.files} files of {folder}: {names}; "
        f"{', '.join(day.isoformat() for day in done.days)}"
    )
    typer.echo(f"load them with: tsdb-trader load lean {folder} --feed sample")
