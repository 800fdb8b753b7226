"""`tsdb-trader demo`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def demo(
    data: Annotated[
        Path | None,
        typer.Option(help="Folder of tick files; without it a sample is generated once."),
    ] = None,
    full: Annotated[
        bool, typer.Option("--full", help="Trade the whole regular day, not a window of it.")
    ] = False,
    window: Annotated[
        str | None,
        typer.Option(help="Trade this window of the second day, such as 10:00/11:00 (New York)."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
    feed: Annotated[str, typer.Option(help="The feed to load --data into.")] = "lean",
) -> None:
    """Trade a session from ticks to positions and prove it; fails if any promise is broken."""
    from tsdb_trader.demo.run import Options, run

    run(Options(data, window, full, as_json, feed))
