"""docs/research.md runs as written."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psycopg
import pytest

from daily_bars import load_sp500, sp500_closes
from tsdb_trader import db, research, schema
from workers.command_line import runner

PAGE = (schema.root() / "docs" / "research.md").read_text()


@pytest.mark.slow
@pytest.mark.needs_data
@pytest.mark.usefixtures("at_test_database")
def test_research_page_runs_as_written(
    conn: psycopg.Connection,
    data_folder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    role_url: Callable[[str | None], str],
) -> None:
    load_sp500(conn, data_folder)
    calibrate = runner(capsys, "calibrate", "pairs")
    status, _, err = calibrate("--from", "2015-07-01", "--to", "2016-01-01", "--every", "once")
    assert status == 0, err
    # On a server that is not ours each role has a URL of its own; a test's roles share one.
    connect, open_reader = db.connect, research.open_reader
    monkeypatch.setattr(db, "connect", lambda *, role: connect(role_url(role)))
    monkeypatch.setattr(research, "open_reader", lambda: open_reader(role_url("tsdb_quant")))
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {}
    try:
        for block in re.findall(r"```python\n(.*?)```", PAGE, re.S):
            exec(compile(block, "research.md", "exec"), names)  # noqa: S102 - the page is the test
    finally:
        names["conn"].close()
    printed = capsys.readouterr().out
    closes = sp500_closes(data_folder).loc["2016-01-01":"2016-12-31", ["KO", "PEP"]]
    expected = closes.pct_change().corr().loc["KO", "PEP"]
    assert f"{len(closes)} days, correlation of daily returns {expected:.2f}" in printed
    assert len(names["pairs"]) == 50
    assert names["summary"].trades > 100
    assert len(names["swept"]) == 6
    best = names["swept"].sort_values("sharpe", ascending=False)["run_id"].iloc[0]
    assert names["judged"].run_id == best
    assert {p.name for p in tmp_path.glob("*.html")} == {"bars.html", "equity.html", "sweep.html"}
