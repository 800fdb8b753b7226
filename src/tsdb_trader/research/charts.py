"""Interactive charts (plotly) of the DataFrames that `tsdb_trader.research` reads.

Every function returns a figure: ``figure.show()`` opens it, ``figure.write_html(path)`` keeps it.
"""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from tsdb_trader.errors import InputError

_THRESHOLDS: Mapping[str, str] = {"entry": "dash", "exit": "dot", "stop": "solid"}
_MARKS: Mapping[str, str] = {
    "enter_long": "triangle-up",
    "enter_short": "triangle-down",
    "exit": "circle",
    "stop": "x",
}


def equity_chart(equity: pd.DataFrame, capital: float = 0.0) -> go.Figure:
    """Return equity over time with the loss from its peak below.

    Parameters
    ----------
    equity
        Columns ``as_of`` and ``equity``, as ``run_equity`` returns them.
    capital
        Added to the equity: a run's is profit and loss since its start.
    """
    _require(equity, "as_of", "equity")
    worth = equity["equity"] + capital
    # The start counts as a peak: a run that only loses has lost from there.
    loss = worth - worth.cummax().clip(lower=capital)
    figure = make_subplots(
        rows=2, cols=1, shared_xaxes=True, row_heights=[0.7, 0.3], vertical_spacing=0.05
    )
    figure.add_trace(go.Scatter(x=equity["as_of"], y=worth, name="equity"), row=1, col=1)
    figure.add_trace(
        go.Scatter(x=equity["as_of"], y=loss, name="drawdown", fill="tozeroy"), row=2, col=1
    )
    figure.update_yaxes(title_text="equity", row=1, col=1)
    figure.update_yaxes(title_text="drawdown", row=2, col=1)
    return figure.update_layout(title="Equity")


def spread_chart(
    spreads: pd.DataFrame,
    thresholds: Mapping[str, float] | None = None,
    signals: pd.DataFrame | None = None,
    time: str = "bucket",
) -> go.Figure:
    """Return a pair's z-score over time with its thresholds and signals.

    Parameters
    ----------
    spreads
        Columns `time` and ``z_score`` of one pair.
    thresholds
        ``entry``, ``exit`` and ``stop``, each drawn on both sides of zero.
    signals
        Columns ``as_of``, ``event`` and ``z_score``; each event has its mark.
    """
    _require(spreads, time, "z_score")
    figure = go.Figure(go.Scatter(x=spreads[time], y=spreads["z_score"], name="z-score"))
    for name, value in (thresholds or {}).items():
        for side in (-value, value):
            figure.add_hline(y=side, line_dash=_THRESHOLDS.get(name, "dash"), annotation_text=name)
    if signals is not None:
        _require(signals, "as_of", "event", "z_score")
        for event, found in signals.groupby("event", sort=True):
            figure.add_trace(
                go.Scatter(
                    x=found["as_of"],
                    y=found["z_score"],
                    name=str(event),
                    mode="markers",
                    marker={"symbol": _MARKS.get(str(event), "diamond"), "size": 10},
                )
            )
    return figure.update_layout(title="Spread", yaxis_title="z-score")


def bars_chart(bars: pd.DataFrame, time: str = "bucket") -> go.Figure:
    """Return candles of one symbol with the volume below; `time` is the column of the buckets."""
    _require(bars, time, "open", "high", "low", "close", "volume")
    if "symbol" in bars and bars["symbol"].nunique() > 1:
        raise InputError("candles are of one symbol: choose one of " + _names(bars["symbol"]))
    figure = make_subplots(
        rows=2, cols=1, shared_xaxes=True, row_heights=[0.75, 0.25], vertical_spacing=0.05
    )
    candles = go.Candlestick(
        x=bars[time],
        open=bars["open"],
        high=bars["high"],
        low=bars["low"],
        close=bars["close"],
        name="price",
    )
    figure.add_trace(candles, row=1, col=1)
    figure.add_trace(go.Bar(x=bars[time], y=bars["volume"], name="volume"), row=2, col=1)
    return figure.update_layout(title="Bars", xaxis_rangeslider_visible=False)


def pnl_chart(pnl: pd.DataFrame, by: str = "strategy") -> go.Figure:
    """Return the cumulative profit and loss by strategy, symbol or account.

    Parameters
    ----------
    pnl
        As ``pnl_daily`` returns it: ``trading_date``, ``total_account`` and the column `by`.
    """
    _require(pnl, "trading_date", "total_account", by)
    summed = pnl.pivot_table(
        index="trading_date", columns=by, values="total_account", aggfunc="sum", observed=True
    )
    figure = go.Figure()
    for name, column in summed.fillna(0.0).cumsum().items():
        figure.add_trace(go.Scatter(x=summed.index, y=column, name=str(name)))
    return figure.update_layout(title=f"Profit and loss by {by}")


def sweep_chart(sweep: pd.DataFrame, x: str, y: str, value: str = "sharpe") -> go.Figure:
    """Return a heat map of one figure over two parameters of a sweep."""
    _require(sweep, x, y, value)
    table = sweep.pivot_table(index=y, columns=x, values=value, aggfunc="mean")
    figure = go.Figure(
        go.Heatmap(x=table.columns, y=table.index, z=table, colorbar={"title": value})
    )
    return figure.update_layout(title=f"{value} by {x} and {y}", xaxis_title=x, yaxis_title=y)


def _require(frame: pd.DataFrame, *columns: str) -> None:
    missing = [name for name in columns if name not in frame]
    if missing:
        raise InputError(
            f"the chart needs the column {missing[0]}, there is {_names(frame.columns)}"
        )


def _names(values: pd.Series[str] | pd.Index[str]) -> str:
    return ", ".join(sorted({str(v) for v in values}))
