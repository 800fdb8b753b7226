"""Charts show the numbers of their DataFrames."""

from __future__ import annotations

from datetime import UTC, datetime

import numpy as np
import pandas as pd
import pytest

from tsdb_trader.errors import InputError
from tsdb_trader.research import charts

TIMES = pd.date_range(datetime(2014, 1, 2, tzinfo=UTC), periods=4, freq="D")


def test_equity_chart_shows_the_loss_from_the_peak() -> None:
    equity = pd.DataFrame({"as_of": TIMES, "equity": [-5.0, 10.0, 4.0, 12.0]})
    figure = charts.equity_chart(equity, capital=100.0)
    worth, loss = figure.data
    assert list(worth.y) == [95.0, 110.0, 104.0, 112.0]
    # From the capital, before there is a higher peak.
    assert list(loss.y) == [-5.0, 0.0, -6.0, 0.0]


def test_spread_chart_marks_events_and_both_sides_of_a_threshold() -> None:
    spreads = pd.DataFrame({"bucket": TIMES, "z_score": [0.0, 2.1, 0.4, np.nan]})
    signals = pd.DataFrame(
        {"as_of": TIMES[1:3], "event": ["enter_short", "exit"], "z_score": [2.1, 0.4]}
    )
    figure = charts.spread_chart(spreads, {"entry": 2.0, "exit": 0.5}, signals)
    assert [trace.name for trace in figure.data] == ["z-score", "enter_short", "exit"]
    assert sorted(shape.y0 for shape in figure.layout.shapes) == [-2.0, -0.5, 0.5, 2.0]


def test_bars_chart_of_two_symbols_is_refused() -> None:
    bars = pd.DataFrame(
        {"bucket": TIMES[:2], "open": 1.0, "high": 2.0, "low": 0.5, "close": 1.5, "volume": 10}
    ).assign(symbol=["AAA", "BBB"])
    with pytest.raises(InputError, match="AAA, BBB"):
        charts.bars_chart(bars)
    figure = charts.bars_chart(bars[bars["symbol"] == "AAA"])
    assert list(figure.data[0].close) == [1.5]
    assert list(figure.data[1].y) == [10]


def test_pnl_chart_adds_up_by_strategy() -> None:
    pnl = pd.DataFrame(
        {
            "trading_date": [TIMES[0], TIMES[0], TIMES[1]],
            "strategy": ["pairs", "manual", "pairs"],
            "total_account": [1.0, 5.0, 2.0],
        }
    )
    figure = charts.pnl_chart(pnl)
    assert {t.name: list(t.y) for t in figure.data} == {"manual": [5.0, 5.0], "pairs": [1.0, 3.0]}


def test_sweep_chart_is_a_table_of_the_figure() -> None:
    sweep = pd.DataFrame(
        {
            "entry": [1.0, 2.0, 1.0, 2.0],
            "exit": [0.0, 0.0, 0.5, 0.5],
            "sharpe": [0.1, 0.2, 0.3, 0.4],
        }
    )
    (heat,) = charts.sweep_chart(sweep, "entry", "exit").data
    assert np.asarray(heat.z).tolist() == [[0.1, 0.2], [0.3, 0.4]]


def test_chart_without_its_column_names_what_is_missing() -> None:
    with pytest.raises(InputError, match="needs the column equity, there is as_of"):
        charts.equity_chart(pd.DataFrame({"as_of": TIMES}))
