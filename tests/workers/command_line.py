"""Commands run in this process, as a person types them."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple, TypeAlias

import pytest

from tsdb_trader import cli


class Done(NamedTuple):
    """What a command said, and its exit status."""

    status: int
    out: str
    err: str


Run: TypeAlias = Callable[..., Done]


def runner(capsys: pytest.CaptureFixture[str], *first: str) -> Run:
    """Return a function that runs `tsdb-trader` with these words and its own."""

    def run(*arguments: str) -> Done:
        with pytest.raises(SystemExit) as ended:
            cli.main((*first, *arguments))
        said = capsys.readouterr()
        return Done(int(ended.value.code or 0), said.out, said.err)

    return run
