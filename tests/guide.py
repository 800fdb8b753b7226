"""The examples of docs/strategies.md."""

from __future__ import annotations

import re
from pathlib import Path

_GUIDE = Path(__file__).parents[1] / "docs" / "strategies.md"


def blocks(language: str) -> list[str]:
    """Return the guide's blocks of a language, in order."""
    return re.findall(rf"```{language}\n(.*?)```", _GUIDE.read_text(), re.S)


def python_cross() -> str:
    """Return the strategy in Python."""
    (source,) = blocks("python")
    return source
