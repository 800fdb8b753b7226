"""The examples of docs/strategies.md, on the made-up market of the tests instead of the sample."""

from __future__ import annotations

import re
from pathlib import Path

_GUIDE = Path(__file__).parents[1] / "docs" / "strategies.md"
_MADE_UP = {
    "sample": "test",
    "KO": "A",
    "PEP": "B",
    "2022-12-28 14:30Z": "2013-10-08 13:30Z",
    "2022-12-28 15:00Z": "2013-10-08 14:00Z",
    "2022-12-28 15:30Z": "2013-10-08 14:30Z",
    "2022-12-28": "2013-10-08",
}


def blocks(language: str) -> list[str]:
    """Return the guide's blocks of a language, in order."""
    text = _GUIDE.read_text()
    for name, ours in _MADE_UP.items():
        text = re.sub(rf"\b{name}\b", ours, text)
    return re.findall(rf"```{language}\n(.*?)```", text, re.S)


def python_cross() -> str:
    """Return the strategy in Python."""
    (source,) = blocks("python")
    return source
