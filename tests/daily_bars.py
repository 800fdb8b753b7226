"""Daily bars as `tsdb-trader load daily` stores them, for tests."""

from __future__ import annotations

import gzip
from collections.abc import Mapping
from datetime import date
from decimal import Decimal
from pathlib import Path

import numpy as np
import pandas as pd
import psycopg


def add_bars(
    conn: psycopg.Connection,
    instrument_id: int,
    closes: Mapping[date | str, float | Decimal | str],
    *,
    feed: str = "daily",
    volume: int = 1000,
) -> None:
    """Store a bar per date whose open, high, low and close are the same."""
    conn.execute(
        "insert into ops.feeds (feed, format) values (%s, 'daily') on conflict do nothing", (feed,)
    )
    with conn.cursor() as cursor:
        cursor.executemany(
            """insert into market._source_bars (ts, recv_ts, seq, open, high, low, close, volume,
                   instrument_id, source_id, feed_id, ns, flags, resolution, side)
               select t.ts, t.ts, %(seq)s, p.price, p.price, p.price, p.price, %(volume)s,
                   i.instrument_id, 0, f.feed_id, 0, 0, '1d', 'trade'
               from ref.instruments i, ops.feeds f,
                   lateral (select %(date)s::timestamp at time zone 'America/New_York') t (ts),
                   lateral (select %(close)s::numeric * 10::numeric ^ i.price_scale) p (price)
               where i.instrument_id = %(id)s and f.feed = %(feed)s""",
            [
                {
                    "seq": seq,
                    "volume": volume,
                    "date": day,
                    "close": str(close),
                    "id": instrument_id,
                    "feed": feed,
                }
                for seq, (day, close) in enumerate(closes.items())
            ],
        )


def sp500_closes(data_folder: Path) -> pd.DataFrame:
    """Return the closes of the S&P 500 file, days by symbols."""
    path = data_folder / "sp500_daily" / "all_stocks_5yr_20130208-20180207.csv.gz"
    rows = pd.read_csv(path, usecols=["date", "close", "Name"], parse_dates=["date"])
    return rows.pivot(index="date", columns="Name", values="close")


def load_sp500(conn: psycopg.Connection, data_folder: Path) -> None:
    """Store every row of the S&P 500 file, also those that the loader would refuse."""
    path = data_folder / "sp500_daily" / "all_stocks_5yr_20130208-20180207.csv.gz"
    conn.execute(
        "create temporary table raw (date date, open numeric, high numeric, low numeric, "
        "close numeric, volume numeric, symbol text)"
    )
    with (
        gzip.open(path) as file,
        conn.cursor() as cursor,
        cursor.copy("copy raw from stdin (format csv, header)") as copy,
    ):
        while piece := file.read(1 << 20):
            copy.write(piece)
    conn.execute("insert into ops.feeds (feed, format) values ('sp500', 'daily')")
    conn.execute("insert into ref.instruments (symbol) select distinct symbol from raw order by 1")
    conn.execute(
        """insert into market._source_bars (ts, recv_ts, seq, open, high, low, close, volume,
               instrument_id, source_id, feed_id, ns, flags, resolution, side)
           select t.ts, t.ts, row_number() over (), r.open * 10000, r.high * 10000, r.low * 10000,
               r.close * 10000, r.volume, i.instrument_id, 0, f.feed_id, 0, 0, '1d', 'trade'
           from raw r join ref.instruments i using (symbol) join ops.feeds f on f.feed = 'sp500',
               lateral (select r.date::timestamp at time zone 'America/New_York') t (ts)"""
    )
    conn.execute("analyze market._source_bars")


def add_frames(
    conn: psycopg.Connection, frames: Mapping[str, pd.DataFrame], *, feed: str = "daily"
) -> None:
    """Store open, close and volume by date, a frame per symbol; a missing open or close is null.

    Prices are rounded to 1e-4, as they are stored; high and low are those of open and close.
    """
    conn.execute(
        "insert into ops.feeds (feed, format) values (%s, 'daily') on conflict do nothing", (feed,)
    )
    for symbol, bars in frames.items():
        conn.execute(
            "insert into ref.instruments (symbol) values (%s) on conflict do nothing", (symbol,)
        )
        with conn.cursor() as cursor:
            cursor.executemany(
                """insert into market._source_bars (ts, recv_ts, seq, open, high, low, close,
                       volume, instrument_id, source_id, feed_id, ns, flags, resolution, side)
                   select t.ts, t.ts, %s, b.open, greatest(b.open, b.close),
                       least(b.open, b.close), b.close, %s, i.instrument_id, 0, f.feed_id, 0, 0,
                       '1d', 'trade'
                   from ref.instruments i, ops.feeds f,
                       (values (%s::bigint, %s::bigint)) b (open, close),
                       lateral (select %s::timestamp at time zone 'America/New_York') t (ts)
                   where i.symbol = %s and f.feed = %s""",
                [
                    (seq, int(row.volume), _stored(row.open), _stored(row.close), day, symbol, feed)
                    for seq, (day, row) in enumerate(bars.iterrows())
                ],
            )


def _stored(price: float) -> int | None:
    return None if np.isnan(price) else round(price * 10_000)
