"""A pair, and strategies of one leg, over made-up daily bars; and how to tell that runs are the same."""

from __future__ import annotations

import uuid
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import psycopg
import pytest
from psycopg.types.json import Jsonb

from daily_bars import add_frames
from tsdb_trader.config import settings

WINDOW = ("--from", "2014-01-01T00:00Z", "--to", "2014-12-01T00:00Z")
DAY_S = 86_400.0


def load_pair(conn: psycopg.Connection[Any]) -> None:
    """Store two instruments whose spread reverts, and their pair, valid from 2014 on."""
    rng = np.random.default_rng(2)
    days = pd.bdate_range("2013-11-01", "2014-12-31").date
    spread = np.zeros(len(days))
    for day in range(1, len(days)):
        spread[day] = 0.85 * spread[day - 1] + rng.normal(0, 0.02)
    add_frames(
        conn,
        {
            symbol: pd.DataFrame({"open": closes, "close": closes, "volume": 10_000}, index=days)
            for symbol, closes in (("A", 50 * np.exp(spread)), ("B", np.full(len(days), 50.0)))
        },
    )
    parameters = {"hedge_ratio": 1, "mean": None, "deviation": 0.03, "entry": 2, "exit": 0.5,
                  "stop": 9, "half_life_s": 40 * DAY_S, "warm_up_s": 5 * DAY_S,
                  "max_gap_s": 8 * DAY_S, "notional": 10_000}  # fmt: skip
    conn.execute(
        "select signal.save_pair('A', 'B', 'daily', %s, '{}', '2013-12-01', '2014-01-01', '[]', 'x')",
        (Jsonb(parameters),),
    )


def write_module(folder: Path, monkeypatch: pytest.MonkeyPatch, source: str, name: str) -> str:
    """Write a strategy's module where child processes find it too, and have the setting name it."""
    module = f"desk_{uuid.uuid4().hex}"
    (folder / f"{module}.py").write_text(source)
    monkeypatch.syspath_prepend(folder)
    path = f"{module}:{name}"
    monkeypatch.setenv("TSDB_TRADER_STRATEGIES", path)
    settings.cache_clear()
    return path


def books(conn: psycopg.Connection[Any], sweep_id: int) -> dict[str, tuple[Any, ...]]:
    """Return by point all that its run came to, to the last bit: figures, and hashes of its rows."""
    rows = conn.execute(
        """select r.changes::text, r.trades, float8send(r.total_return), float8send(r.sharpe),
               float8send(r.max_drawdown), float8send(r.turnover), float8send(r.cost_amount),
               (select md5(string_agg((to_jsonb(o) - 'run_id')::text, '' order by o.order_id))
                from backtest.orders o where o.run_id = r.run_id),
               (select md5(string_agg((to_jsonb(x) - 'run_id')::text, '' order by (to_jsonb(x) - 'run_id')::text))
                from backtest.executions x where x.run_id = r.run_id),
               (select md5(string_agg((to_jsonb(e) - 'run_id')::text, '' order by e.as_of))
                from backtest.equity e where e.run_id = r.run_id),
               (select md5(string_agg((to_jsonb(g) - 'run_id')::text, '' order by (to_jsonb(g) - 'run_id')::text))
                from backtest.signals g where g.run_id = r.run_id)
           from backtest.runs r where r.sweep_id = %s""",
        (sweep_id,),
    ).fetchall()
    found = {row[0]: row[1:] for row in rows}
    assert len(found) == len(rows)
    return found


def judgement(conn: psycopg.Connection[Any], sweep_id: int) -> tuple[Any, ...]:
    """Return what the best of a sweep is worth, to the last bit."""
    row = conn.execute(
        """select point, trials, float8send(sharpe), float8send(skewness), float8send(kurtosis),
               float8send(variance), float8send(deflated_sharpe), float8send(pbo)
           from backtest.judge_sweep(%s, 8)""",
        (sweep_id,),
    ).fetchone()
    assert row is not None
    return row
