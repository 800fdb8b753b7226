"""Daily bars to train and score models on."""

from __future__ import annotations

import gzip
import io
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import psycopg

from factories import add_instrument

FIRST = "2015-01-05"
_COLUMNS = ("open", "high", "low", "close", "volume")


def make_bars(symbols: int = 8, days: int = 220, seed: int = 7) -> dict[str, pd.DataFrame]:
    """Return bars of made-up instruments S0, S1 ... by symbol: weekdays, prices of four decimals."""
    random = np.random.default_rng(seed)
    dates = pd.bdate_range(FIRST, periods=days)
    found = {}
    for number in range(symbols):
        close = 50 * np.exp(np.cumsum(random.normal(0, 0.02, days)))
        opened = close * np.exp(random.normal(0, 0.01, days))
        spread = np.exp(np.abs(random.normal(0, 0.01, (2, days))))
        found[f"S{number}"] = pd.DataFrame(
            {
                "open": opened,
                "high": np.maximum(opened, close) * spread[0],
                "low": np.minimum(opened, close) / spread[1],
                "close": close,
                "volume": random.integers(1_000, 100_000, days),
            },
            index=dates,
        ).round(4)
    return found


def store_bars(
    conn: psycopg.Connection, bars: dict[str, pd.DataFrame], feed: str = "daily"
) -> dict[str, int]:
    """Store bars as a feed's daily ones; return the instruments' ids."""
    ids = {symbol: add_instrument(conn, symbol) for symbol in bars}
    conn.execute(
        "insert into ops.feeds (feed, format) values (%s, 'daily') on conflict do nothing", (feed,)
    )
    conn.execute(
        "create temporary table if not exists made (symbol text, date date, open numeric, "
        "high numeric, low numeric, close numeric, volume numeric)"
    )
    conn.execute("truncate made")
    text = io.StringIO()
    for symbol, frame in bars.items():
        frame.reset_index(names="date").assign(symbol=symbol)[["symbol", "date", *_COLUMNS]].to_csv(
            text, index=False, header=False
        )
    with conn.cursor() as cursor, cursor.copy("copy made from stdin (format csv)") as copy:
        copy.write(text.getvalue())
    conn.execute(
        """insert into market._source_bars (ts, recv_ts, seq, open, high, low, close, volume,
               instrument_id, source_id, feed_id, ns, flags, resolution, side)
           select t.ts, t.ts, row_number() over (order by r.symbol, r.date), r.open * 10000,
               r.high * 10000, r.low * 10000, r.close * 10000, r.volume, i.instrument_id, 0,
               f.feed_id, 0, 0, '1d', 'trade'
           from made r join ref.instruments i using (symbol) join ops.feeds f on f.feed = %s,
               lateral (select r.date::timestamp at time zone 'America/New_York') t (ts)""",
        (feed,),
    )
    conn.execute("analyze market._source_bars")
    return ids


def read_sp500(data_folder: Path, symbols: list[str]) -> dict[str, pd.DataFrame]:
    """Return the bars of some symbols of the S&P 500 file, by symbol."""
    path = data_folder / "sp500_daily" / "all_stocks_5yr_20130208-20180207.csv.gz"
    with gzip.open(path) as file:
        frame = pd.read_csv(file, parse_dates=["date"])
    return {
        symbol: frame[frame["Name"] == symbol].set_index("date")[list(_COLUMNS)]
        for symbol in symbols
    }


def known_at(dates: pd.DatetimeIndex) -> pd.DatetimeIndex:
    """Return when bars of dates are known: at 16:00 in New York, in UTC."""
    return (dates + pd.Timedelta(hours=16)).tz_localize("America/New_York").tz_convert("UTC")


def feature_frame(
    conn: psycopg.Connection,
    features: list[str],
    start: str = "2000-01-01",
    end: str = "2100-01-01",
    ids: list[int] | None = None,
) -> pd.DataFrame:
    """Return signal.feature_rows by (instrument_id, as_of), nulls as NaN."""
    rows: list[Any] = conn.execute(
        "select as_of, instrument_id, features from signal.feature_rows(%s, %s::int[], %s, %s)",
        (features, ids, start, end),
    ).fetchall()
    frame = pd.DataFrame([r[2] for r in rows], columns=features, dtype=float)
    frame["as_of"] = pd.DatetimeIndex([r[0] for r in rows])
    frame["instrument_id"] = [r[1] for r in rows]
    return frame.set_index(["instrument_id", "as_of"]).sort_index()
