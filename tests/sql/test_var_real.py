"""Value at risk on real daily closes, and the figures of docs/var.md."""

from __future__ import annotations

import gzip
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from daily_bars import add_bars
from factories import add_instrument, open_session, set_quote

HELD = {"AAPL": 400, "JPM": 300, "XOM": -250, "KO": 200, "GE": -100}
WINDOW = 250


def prices(data_folder: Path) -> pd.DataFrame:
    """Return closes by date and symbol."""
    path = data_folder / "sp500_daily" / "all_stocks_5yr_20130208-20180207.csv.gz"
    with gzip.open(path) as file:
        bars = pd.read_csv(file, usecols=["date", "close", "Name"])
    return bars[bars["Name"].isin(HELD)].pivot_table(index="date", columns="Name", values="close")


def test_backtest_of_real_closes_has_the_exceptions_that_numpy_finds(conn, data_folder):
    closes = prices(data_folder)[list(HELD)]
    session = open_session(conn)
    days = [date.fromisoformat(day) for day in closes.index]
    conn.execute(f"""select risk.set_var_settings('{{"window_days": {WINDOW}}}', 'test')""")
    for symbol, quantity in HELD.items():
        stock = add_instrument(conn, symbol)
        add_bars(conn, stock, dict(zip(days, closes[symbol], strict=True)))
        conn.execute(
            """insert into portfolio._positions
                   (session_id, account, strategy_id, instrument_id, quantity)
               values (%s, 'main', 1, %s, %s)""",
            (session, stock, quantity),
        )
    conn.execute("select risk.refresh_returns(%s, %s)", (days[0], days[-1]))
    # The last 251 days hold the turmoil of February 2018.
    forecasts = range(len(days) - WINDOW - 1, len(days))
    for n in forecasts:
        as_of = datetime(days[n].year, days[n].month, days[n].day, tzinfo=UTC) + timedelta(hours=13)
        for symbol in HELD:
            set_quote(conn, session, symbol, 99.0, 101.0, ts=as_of)
        conn.execute("select risk.prepare_var(%s)", (as_of,))
        conn.execute("select risk.record_var(%s, %s)", (session, as_of))
    pnl = (closes.to_numpy()[1:] / closes.to_numpy()[:-1] - 1) @ (
        100.0 * np.array([*HELD.values()])
    )
    for method in ("historical", "parametric"):
        hits = []
        for n in forecasts:
            # pnl[n - 1] is the day's own.
            window = pnl[n - 1 - WINDOW : n - 1]
            var = (
                -np.quantile(window, 1 - 0.99)
                if method == "historical"
                else stats.norm.ppf(0.99) * np.sqrt((window**2).mean())
            )
            hits.append(bool(pnl[n - 1] < -var))
        row = conn.execute(
            """select observations, exceptions, kupiec_p_value, coverage_p_value, basel_zone
               from risk.var_backtest
               where basis = 'hypothetical' and method = %s and strategy_id is null""",
            (method,),
        ).fetchone()
        assert row is not None
        n, x = len(hits), sum(hits)
        assert x > 0
        ratio = 2 * (stats.binom.logpmf(x, n, x / n) - stats.binom.logpmf(x, n, 0.01))
        assert row[:2] == (n, x)
        assert row[2] == pytest.approx(stats.chi2.sf(ratio, 1), rel=1e-6)
        last = sum(hits[-250:])
        assert row[4] == ("green" if last <= 4 else "yellow" if last <= 9 else "red")


def test_figures_of_the_page_on_value_at_risk(conn):
    pnl = [-10.0, -8.0, -4.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0]
    found = conn.execute(
        """select risk.expected_shortfall(%(p)s::float8[], 0.85),
               risk.var_historical(%(p)s::float8[], 0.85),
               risk.var_historical(%(p)s::float8[], 0.85, 'lower')""",
        {"p": pnl},
    ).fetchone()
    assert found == pytest.approx((9.3333, 6.6, 8), abs=1e-4)
    hull = "'{10e6, 5e6}', '{{0.0004, 0.00006}, {0.00006, 0.0001}}', 0.99"
    assert conn.execute(f"select risk.var_parametric({hull})").fetchone() == (
        pytest.approx(512_325, abs=1),
    )
    assert conn.execute(
        f"select round(component) from risk.var_components({hull}) order by i"
    ).fetchall() == [(454_226,), (58_099,)]
