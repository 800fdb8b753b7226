"""Lean archives for tests."""

from __future__ import annotations

import zipfile
from pathlib import Path

QUOTES = """\
34200000,0,0,1000200,300,Q,1,0
34200000,1000000,200,0,0,P,1,0
34200001,1000000,200,0,0,P,1,0
34200001,1000000,200,0,0,P,1,0
34261000,0,0,1000100,400,Q,1,0
"""
TRADES = """\
34200000,1000100,100,D,1,0
34200000,1000200,50,Q,20000020,0
34259999,1000300,200,Q,1,1
34260000,1000000,100,N,2000,0
"""


def archive(
    folder: Path,
    text: str | bytes,
    kind: str = "quote",
    symbol: str = "abc",
    day: str = "20131007",
    member: str | None = None,
) -> Path:
    """Write an archive; return its path."""
    path = folder / symbol / f"{day}_{kind}.zip"
    path.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as packed:
        packed.writestr(member or f"{day}_{symbol}_{kind.title()}_Tick.csv", text)
    return path
