"""What a quant reads, one query each, as pandas DataFrames; see `frames.read_frame` for the types.

``start`` and ``end`` bound a half-open window, start included. Symbols are those in use today.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from typing import Final, LiteralString
from uuid import UUID

import pandas as pd

from tsdb_trader.api.frames import read_frame
from tsdb_trader.db import Connection, translated
from tsdb_trader.errors import InputError

_BARS: Final[Mapping[str, LiteralString]] = {
    "1s": "market.bars_1s",
    "1m": "market.bars_1m",
    "5m": "market.bars_5m",
    "1h": "market.bars_1h",
    "1d": "market.bars_1d",
}


def bars(
    conn: Connection,
    symbols: Sequence[str],
    start: datetime,
    end: datetime,
    every: str = "1m",
    feed: str | None = None,
) -> pd.DataFrame:
    """Return bars of ticks, by symbol and the start of their bucket.

    Raises
    ------
    InputError
        There are no bars of that width: use 1s, 1m, 5m, 1h or 1d.
    UnknownObjectError
        A symbol does not exist.
    """
    if every not in _BARS:
        raise InputError(f"no bars of {every!r}: use one of {', '.join(_BARS)}")
    query: LiteralString = """
        select i.symbol, f.feed, b.bucket, b.open, b.high, b.low, b.close, b.volume, b.vwap,
            b.trade_count, b.quote_count, b.mid_close, b.mean_spread, b.time_weighted_spread,
            b.imbalance
        from market.bars b
        join ref.instruments i using (instrument_id)
        join ops.feeds f on f.feed_id = b.feed_id and (%(feed)s::text is null or f.feed = %(feed)s)
        where b.instrument_id = any (%(instruments)s)
            and b.bucket >= %(start)s and b.bucket < %(end)s
        order by i.symbol, f.feed, b.bucket"""
    return read_frame(
        conn,
        query.replace("market.bars", _BARS[every]),
        {"instruments": instruments(conn, symbols), "start": start, "end": end, "feed": feed},
    )


def daily_bars(
    conn: Connection,
    symbols: Sequence[str],
    start: date,
    end: date,
    *,
    adjust: str = "all",
    known_at: datetime | None = None,
    feed: str | None = None,
) -> pd.DataFrame:
    """Return daily bars of `start` to `end`, both included, as ``market.adjusted_daily`` has them.

    Parameters
    ----------
    adjust
        all (splits, spin-offs and dividends), capital, splits or none.
    known_at
        Corporate actions that were known then; by default all.
    """
    return read_frame(
        conn,
        """select i.symbol, d.*
           from unnest(%(symbols)s::text[]) s (symbol)
           join ref.instruments i on i.instrument_id = ref.instrument_id(s.symbol)
           cross join lateral market.adjusted_daily(i.instrument_id, %(start)s::date, %(end)s::date,
               coalesce(%(known_at)s::timestamptz, 'infinity'), %(adjust)s, %(feed)s) d
           order by i.symbol, d.date""",
        {
            "symbols": list(symbols),
            "start": start,
            "end": end,
            "known_at": known_at,
            "adjust": adjust,
            "feed": feed,
        },
    )


def quotes(conn: Connection, symbol: str, start: datetime, end: datetime) -> pd.DataFrame:
    """Return every quote of a symbol, in the order of events."""
    return read_frame(
        conn,
        """select q.ts, q.ns, f.feed, q.bid_price, q.bid_size, q.ask_price, q.ask_size, q.exchange,
               q.conditions, q.seq
           from market.quotes q join ops.feeds f using (feed_id)
           where q.instrument_id = any (%(instruments)s)
               and q.ts >= %(start)s and q.ts < %(end)s
           order by q.ts, q.ns, f.feed, q.source_id, q.seq""",
        {"instruments": instruments(conn, [symbol]), "start": start, "end": end},
    )


def trades(conn: Connection, symbol: str, start: datetime, end: datetime) -> pd.DataFrame:
    """Return every trade of a symbol, in the order of events."""
    return read_frame(
        conn,
        """select t.ts, t.ns, f.feed, t.price, t.size, t.exchange, t.conditions, t.seq
           from market.trades t join ops.feeds f using (feed_id)
           where t.instrument_id = any (%(instruments)s)
               and t.ts >= %(start)s and t.ts < %(end)s
           order by t.ts, t.ns, f.feed, t.source_id, t.seq""",
        {"instruments": instruments(conn, [symbol]), "start": start, "end": end},
    )


def news(conn: Connection, start: datetime, end: datetime) -> pd.DataFrame:
    """Return news of a window with their sentiment, by the time they were published."""
    return read_frame(
        conn,
        """select n.ts, n.recv_ts, n.headline, n.symbols, n.language, n.sentiment, n.model,
               n.model_version
           from market.news n where n.ts >= %(start)s and n.ts < %(end)s order by n.ts, n.seq""",
        {"start": start, "end": end},
    )


def pairs(
    conn: Connection, as_of: datetime | None = None, known_at: datetime | None = None
) -> pd.DataFrame:
    """Return calibrated pairs with their parameters and statistics.

    Parameters
    ----------
    as_of
        Valid at that market time; by default at any.
    known_at
        As recorded at that time of ours; by default now.
    """
    return read_frame(
        conn,
        """select p.pair_id, s.strategy, f.feed, a.symbol as symbol_a, b.symbol as symbol_b,
               p.valid_from, p.valid_to, p.recorded_at, p.superseded_at, p.enabled,
               (p.parameters).*, p.statistics, p.data_watermark, p.code_version
           from signal.pairs p
           join signal.strategies s on s.strategy_id = p.strategy_id
           join ref.instruments a on a.instrument_id = p.instrument_a
           join ref.instruments b on b.instrument_id = p.instrument_b
           left join ops.feeds f on f.feed_id = p.feed_id
           where (%(as_of)s::timestamptz is null
                   or p.valid_from <= %(as_of)s and %(as_of)s < p.valid_to)
               and case when %(known_at)s::timestamptz is null then p.superseded_at = 'infinity'
                   else p.recorded_at <= %(known_at)s and %(known_at)s < p.superseded_at end
           order by p.valid_from, p.pair_id""",
        {"as_of": as_of, "known_at": known_at},
    )


def signals(conn: Connection, session_id: UUID) -> pd.DataFrame:
    """Return a session's signals with the target of every leg, one row per leg."""
    return read_frame(
        conn,
        """select g.as_of, g.signal_id, s.strategy, g.pair_id, g.batch_no, g.event, g.target,
               g.spread, g.z_score, t.leg, i.symbol, t.target_quantity, t.mid, g.recorded_at
           from signal.signals g
           join signal.strategies s on s.strategy_id = g.strategy_id
           left join signal.targets t on t.signal_id = g.signal_id and t.as_of = g.as_of
           left join ref.instruments i on i.instrument_id = t.instrument_id
           where g.session_id = %(session_id)s
           order by g.as_of, g.signal_id, t.leg""",
        {"session_id": session_id},
    )


def orders(conn: Connection, session_id: UUID) -> pd.DataFrame:
    """Return a session's orders as they stand."""
    return read_frame(
        conn,
        """select o.*, i.symbol, s.strategy, v.venue
           from oms.orders o
           join ref.instruments i using (instrument_id)
           join signal.strategies s using (strategy_id)
           left join ref.venues v using (venue_id)
           where o.session_id = %(session_id)s order by o.order_id""",
        {"session_id": session_id},
    )


def executions(conn: Connection, session_id: UUID) -> pd.DataFrame:
    """Return a session's executions, busts and corrections included, as they were booked."""
    return read_frame(
        conn,
        """select x.*, i.symbol, s.strategy, v.venue
           from oms.executions x
           join ref.instruments i using (instrument_id)
           join signal.strategies s using (strategy_id)
           left join ref.venues v using (venue_id)
           where x.session_id = %(session_id)s order by x.ts, x.execution_id""",
        {"session_id": session_id},
    )


def lineage(conn: Connection, session_id: UUID) -> pd.DataFrame:
    """Return what stands behind every execution of a session, from the tick to the fill."""
    return read_frame(
        conn,
        "select * from oms.lineage l where l.session_id = %(session_id)s",
        {"session_id": session_id},
    )


def positions(
    conn: Connection,
    as_of: datetime | None = None,
    known_at: datetime | None = None,
    *,
    method: str = "average",
    session_id: UUID | None = None,
) -> pd.DataFrame:
    """Return positions as of a session time (by default the last), as known at a time of ours."""
    return read_frame(
        conn,
        """select * from portfolio.positions_at(coalesce(%(as_of)s::timestamptz, 'infinity'),
               coalesce(%(known_at)s::timestamptz, 'infinity'), %(method)s, %(session_id)s)""",
        {"as_of": as_of, "known_at": known_at, "method": method, "session_id": session_id},
    )


def pnl_daily(conn: Connection, session_id: UUID) -> pd.DataFrame:
    """Return a session's profit and loss by day, account, strategy and instrument."""
    return read_frame(
        conn,
        """select * from portfolio.pnl_daily p where p.session_id = %(session_id)s
           order by p.trading_date, p.account, p.strategy, p.symbol""",
        {"session_id": session_id},
    )


def equity(conn: Connection, session_id: UUID) -> pd.DataFrame:
    """Return a session's equity by account and day."""
    return read_frame(
        conn,
        """select * from portfolio.equity e where e.session_id = %(session_id)s
           order by e.account, e.trading_date""",
        {"session_id": session_id},
    )


def value_at_risk(conn: Connection) -> pd.DataFrame:
    """Return the value at risk of what every open session holds."""
    return read_frame(conn, "select * from risk.var_current")


def runs(conn: Connection, strategy: str | None = None) -> pd.DataFrame:
    """Return the backtests that were kept, the newest last."""
    return read_frame(
        conn,
        """select * from backtest.runs r
           where %(strategy)s::text is null or r.strategy = %(strategy)s order by r.run_id""",
        {"strategy": strategy},
    )


def run_signals(conn: Connection, run_id: int) -> pd.DataFrame:
    """Return the signals of a backtest."""
    return read_frame(
        conn,
        "select * from backtest.signals s where s.run_id = %(run_id)s order by s.as_of, s.pair_id",
        {"run_id": run_id},
    )


def run_errors(conn: Connection, run_id: int) -> pd.DataFrame:
    """Return the instances of a backtest whose step failed, with when and why."""
    return read_frame(
        conn,
        """select * from backtest.run_errors e where e.run_id = %(run_id)s
           order by e.as_of, e.instance_id""",
        {"run_id": run_id},
    )


def run_orders(conn: Connection, run_id: int) -> pd.DataFrame:
    """Return the orders of a backtest."""
    return read_frame(
        conn,
        """select o.*, i.symbol from backtest.orders o join ref.instruments i using (instrument_id)
           where o.run_id = %(run_id)s order by o.order_id""",
        {"run_id": run_id},
    )


def run_executions(conn: Connection, run_id: int) -> pd.DataFrame:
    """Return the executions of a backtest."""
    return read_frame(
        conn,
        """select x.*, i.symbol from backtest.executions x
           join ref.instruments i using (instrument_id)
           where x.run_id = %(run_id)s order by x.ts, x.execution_id""",
        {"run_id": run_id},
    )


def run_equity(conn: Connection, run_id: int) -> pd.DataFrame:
    """Return the equity of a backtest over time: its capital and what became of it."""
    return read_frame(
        conn,
        """select e.as_of, e.equity, e.pnl from backtest.equity e
           where e.run_id = %(run_id)s order by e.as_of""",
        {"run_id": run_id},
    )


def instruments(conn: Connection, symbols: Sequence[str]) -> list[int]:
    """Return the symbols' instruments, also where a window without rows would ask for none."""
    with translated():
        rows = conn.execute(
            "select ref.instrument_id(s) from unnest(%s::text[]) s", (list(symbols),)
        ).fetchall()
    return [row[0] for row in rows]
