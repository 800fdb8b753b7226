"""Backtests: the live signals, and figures that pandas finds as well."""

from __future__ import annotations

import math
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import numpy as np
import pandas as pd
import psycopg
import pytest
from psycopg.types.json import Jsonb

from pair_market import (
    NEXT_OPEN,
    OPEN,
    load_wave,
    open_replay,
    save_pair,
    trade_session,
    write_batches,
)
from tsdb_trader.api import backtest
from tsdb_trader.errors import TransitionError

SECONDS = 400
END = NEXT_OPEN + timedelta(seconds=SECONDS)
SIGNALS = "select pair_id, as_of, event, target, spread, z_score from {} order by as_of, pair_id"


def frame(
    conn: psycopg.Connection, query: str, arguments: dict[str, Any] | None = None
) -> pd.DataFrame:
    cursor = conn.execute(query, arguments)
    assert cursor.description is not None
    return pd.DataFrame(cursor.fetchall(), columns=[c.name for c in cursor.description])


def test_run_over_a_session_gives_the_live_signals(
    conn: psycopg.Connection, connect_as: Callable[..., psycopg.Connection]
) -> None:
    session = trade_session(conn, SECONDS)
    summary = backtest.run(connect_as("tsdb_quant"), "pairs", {"session_id": str(session)})
    live = conn.execute(SIGNALS.format("signal.signals")).fetchall()
    assert conn.execute(SIGNALS.format("backtest.signals")).fetchall() == live
    assert summary.trades == 2 * len(live)
    assert conn.execute("select run_by, trades from backtest.runs").fetchall() == [
        ("tsdb_quant", summary.trades)
    ]


def test_run_with_a_step_replaced_past_its_file_is_refused(conn: psycopg.Connection) -> None:
    session = trade_session(conn, SECONDS)
    conn.execute(
        """do $$ begin
               execute replace(pg_get_functiondef('signal.step_pairs'::regproc), 'trunc(', 'round(');
           end $$"""
    )
    with pytest.raises(TransitionError, match="step_pairs was replaced"):
        backtest.run(conn, "pairs", {"session_id": str(session)})
    conn.execute("select signal._unfold_pairs()")
    assert backtest.run(conn, "pairs", {"session_id": str(session)}).trades > 0


def test_run_over_a_session_with_a_portfolio_gives_the_live_signals(
    conn: psycopg.Connection,
) -> None:
    load_wave(conn, NEXT_OPEN, SECONDS)
    save_pair(conn)
    session = open_replay(conn, NEXT_OPEN, SECONDS)
    conn.execute("select signal.bind_pairs(%s)", (session,))
    conn.execute("select signal.bind_portfolio(%s, 'pairs', '{\"max_gross\": 19000}')", (session,))
    for batch_id in write_batches(conn, session, NEXT_OPEN, SECONDS):
        conn.execute("select signal.on_batch(%s)", (batch_id,))
    summary = backtest.run(conn, "pairs", {"session_id": str(session)})
    signals = """select pair_id, as_of, event, target, spread, z_score, traded, refusal from {}
                 order by as_of, pair_id nulls first"""
    live = conn.execute(signals.format("signal.signals")).fetchall()
    assert conn.execute(signals.format("backtest.signals")).fetchall() == live
    # Legs of 10,000 each: every entry is refused, nothing is traded.
    assert {row[-1] for row in live if row[2].startswith("enter")} == {"gross"}
    assert summary.trades == 0
    wider = backtest.run(
        conn, "pairs", {"session_id": str(session), "portfolio": {"max_gross": 21000}}
    )
    assert wider.trades > 4


def test_run_over_quotes_of_the_same_grid_gives_the_live_signals(conn: psycopg.Connection) -> None:
    trade_session(conn, SECONDS)
    backtest.run(conn, "pairs", {"source": "quotes"}, NEXT_OPEN, END)
    live = conn.execute(SIGNALS.format("signal.signals")).fetchall()
    assert conn.execute(SIGNALS.format("backtest.signals")).fetchall() == live


@pytest.mark.parametrize("costs", ["none", "realistic"])
def test_run_figures_equal_those_of_pandas(conn: psycopg.Connection, costs: str) -> None:
    session = trade_session(conn, SECONDS)
    summary = backtest.run(
        conn, "pairs", {"session_id": str(session), "capital": 50_000}, costs=costs
    )
    fills = frame(conn, "select * from backtest.executions order by execution_id")
    quotes = frame(
        conn,
        """select as_of, instrument_id, bid_price / 1e4::float8 as bid, ask_price / 1e4::float8 as ask
           from market.batch_quotes order by as_of""",
    )
    for column in ("quantity", "price", "fee"):
        fills[column] = fills[column].astype(float)
    fills["signed"] = np.where(fills.side == "buy", 1, -1) * fills.quantity
    bids = quotes.pivot(index="as_of", columns="instrument_id", values="bid").ffill()
    asks = quotes.pivot(index="as_of", columns="instrument_id", values="ask").ffill()
    mids = (bids + asks) / 2
    expected_price = [
        (asks if f.signed > 0 else bids).at[f.ts, f.instrument_id]
        if costs == "realistic"
        else mids.at[f.ts, f.instrument_id]
        for f in fills.itertuples()
    ]
    np.testing.assert_allclose(fills.price, expected_price, rtol=1e-12)

    held = fills.pivot_table(index="ts", columns="instrument_id", values="signed", aggfunc="sum")
    positions = held.reindex(mids.index).fillna(0).cumsum()
    paid = (fills.signed * fills.price + fills.fee).groupby(fills.ts).sum()
    cash = -paid.reindex(mids.index).fillna(0).cumsum()
    equity = (positions * mids).sum(axis=1) + cash
    stored = frame(conn, "select * from backtest.equity order by as_of")
    np.testing.assert_allclose(stored.pnl.astype(float), equity, atol=1e-6)
    np.testing.assert_allclose(stored.cash.astype(float), 50_000 + cash, atol=1e-6)
    assert (stored.equity == 50_000 + stored.pnl).all()
    assert (stored.equity == stored.cash + stored.market_value).all()

    minutes = equity.resample("1min", closed="right", label="right").last().diff().dropna()
    sharpe = minutes.mean() / minutes.std() * math.sqrt(252 * 390)
    account = 50_000 + equity
    peaks = np.maximum(account.cummax(), 50_000)
    np.testing.assert_allclose(stored.high_water_mark.astype(float), peaks, atol=1e-6)
    drawdown = (1 - account / peaks).max()
    assert summary.sharpe == pytest.approx(sharpe, rel=1e-6)
    assert summary.max_drawdown == pytest.approx(drawdown, rel=1e-6)
    assert summary.total_return == pytest.approx(equity.iloc[-1] / 50_000, rel=1e-6)
    assert summary.turnover == pytest.approx((fills.quantity * fills.price).sum() / 50_000)
    at_mid = [mids.at[f.ts, f.instrument_id] for f in fills.itertuples()]
    slippage = (fills.signed * (fills.price - at_mid)).sum()
    assert summary.costs == pytest.approx(fills.fee.sum() + slippage, abs=1e-6)
    assert (summary.costs > 0) == (costs == "realistic")


@pytest.mark.parametrize("fill", ["same", "next"])
def test_run_over_bars_pays_half_the_assumed_spread(conn: psycopg.Connection, fill: str) -> None:
    load_wave(conn, NEXT_OPEN, SECONDS)
    save_pair(conn)
    conn.execute("update market.sources set kind = 'trades'")
    conn.execute(
        """insert into market._trades (ts, recv_ts, seq, price, size, instrument_id, source_id,
               feed_id, ns, flags)
           select %s + (ts - %s) * 60, recv_ts, seq, (bid_price + ask_price) / 2, 100, instrument_id,
               source_id, feed_id, 0, 0
           from market._quotes""",
        (NEXT_OPEN, NEXT_OPEN),
    )
    conn.execute("select market.refresh_rollups()")
    parameters: dict[str, Any] = {"half_life_s": 3600, "warm_up_s": 1200, "max_gap_s": 3600}
    summary = backtest.run(
        conn,
        "pairs",
        {"source": "bars", **parameters, **({"fill": fill} if fill == "same" else {})},
        NEXT_OPEN,
        NEXT_OPEN + timedelta(minutes=SECONDS),
    )
    assert summary.trades > 4
    # Decided at the end of a minute, filled there or at the open of the next one with trades.
    off = frame(
        conn,
        """select x.side, x.price / p.price::numeric - 1 as share, x.ts - o.as_of as later
           from backtest.executions x join backtest.orders o using (run_id, order_id)
           cross join lateral (
               select case when %(fill)s = 'same' then b.close else b.open end as price
               from market.bars_1m b
               where b.instrument_id = x.instrument_id
                   and case when %(fill)s = 'same' then b.bucket < o.as_of else b.bucket >= o.as_of end
               order by abs(date_part('epoch', b.bucket - o.as_of)), b.bucket limit 1) p""",
        {"fill": fill},
    )
    assert len(off) == summary.trades
    expected = np.where(off.side == "buy", 0.0002, -0.0002)
    np.testing.assert_allclose(off.share.astype(float), expected, atol=1e-9)
    assert (off.later >= timedelta(0)).all()
    warned = conn.execute("select warnings from backtest.runs").fetchone()
    assert warned is not None
    assert ("same_price" in {w["kind"] for w in warned[0]}) == (fill == "same")


def test_run_override_changes_every_pair(conn: psycopg.Connection) -> None:
    session = trade_session(conn, SECONDS)
    few = backtest.run(conn, "pairs", {"session_id": str(session), "entry": 3.5})
    many = backtest.run(conn, "pairs", {"session_id": str(session), "entry": 1.5})
    assert few.trades < many.trades


def test_run_without_a_trade_has_no_sharpe(conn: psycopg.Connection) -> None:
    session = trade_session(conn, 30)
    summary = backtest.run(
        conn, "pairs", {"session_id": str(session), "entry": 100, "stop": 1000, "exit": 1}
    )
    assert (summary.trades, summary.total_return, summary.sharpe) == (0, 0, None)
    assert (summary.max_drawdown, summary.costs) == (0, 0)


@pytest.mark.parametrize(
    ("strategy", "parameters", "costs", "state", "message"),
    [
        ("pears", {}, "none", "TT002", r'did you mean "pairs"\?\): use pairs'),
        (None, {}, "none", "TT002", "unknown strategy"),
        (
            "pairs",
            {},
            "realistc",
            "TT002",
            r'mean "realistic"\?\): use none, percentage, realistic',
        ),
        ("pairs", {}, None, "TT002", "unknown cost model"),
        ("pairs", {"entyr": 2}, "none", "TT001", r'"entyr" \(did you mean "entry"\?\): use source'),
        ("pairs", {"wibble": 2}, "none", "TT001", 'unknown parameter "wibble": use source'),
        ("pairs", {"source": "ticks"}, "none", "TT001", "use session, quotes, bars or daily"),
        ("pairs", {"fill": "now"}, "none", "TT001", "use next or same"),
        ("pairs", {"delisted_after": "-1 day"}, "none", "TT001", "delisted_after"),
        ("pairs", {"costs": {"fee_bsp": 1}}, "none", "TT001", r'mean "fee_bps"\?'),
        ("pairs", {"costs": {"fee_bps": -1}}, "none", "TT001", "below zero"),
        ("pairs", {"costs": {"fee_bps": "NaN"}}, "none", "TT001", "finite"),
        ("pairs", {"costs": {"fee_bps": None}}, "none", "TT001", "null"),
        ("pairs", {"costs": {"fee_bps": "x"}}, "none", "TT001", "not a number"),
        ("pairs", {"costs": {"impact_exponent": 2}}, "none", "TT001", "impact_exponent"),
        ("pairs", {"costs": 3}, "none", "TT001", "JSON object"),
        ("pairs", {"portfolio": 3}, "none", "TT001", "JSON object"),
        ("pairs", {"portfolio": {"max_gros": 3}}, "none", "TT001", r'mean "max_gross"\?'),
        ("pairs", {"portfolio": {"max_gross": "NaN"}}, "none", "TT001", "finite"),
        ("pairs", {"portfolio": {"max_positions": 0}}, "none", "TT001", "above"),
        ("pairs", {"portfolio": {"max_gross": "x"}}, "none", "TT001", "not a number"),
        ("pairs", {"entry": "NaN"}, "none", "TT001", "exit < entry"),
        ("pairs", {"mean": "NaN"}, "none", "TT001", "mean must be finite"),
        ("pairs", {"capital": "NaN"}, "none", "TT001", "capital"),
        ("pairs", {"source": "daily"}, "none", "TT001", "no prices"),
        ("pairs", {"source": "daily", "grid": "1 hour"}, "none", "TT001", "1 day over daily"),
        ("pairs", {"source": "session"}, "none", "TT001", "session_id"),
        ("pairs", {"session_id": "x"}, "none", "TT001", "cannot be read"),
        ("pairs", {"feed": "nope"}, "none", "TT002", "one of: test"),
        ("pairs", {"pairs": [99]}, "none", "TT002", "pair 99 does not exist"),
        ("pairs", {"pairs": "all"}, "none", "TT001", "cannot be read"),
        ("pairs", {"pairs": []}, "none", "TT001", "at least one id"),
        ("pairs", {"instances": [None]}, "none", "TT001", "at least one id"),
        ("pairs", {"instances": [1], "pairs": [2]}, "none", "TT001", "give one of them"),
        ("pairs", {"grid": "soon"}, "none", "TT001", "cannot be read"),
        ("pairs", {"source": "bars", "grid": "90 seconds"}, "none", "TT001", "whole minutes"),
        ("pairs", {"capital": 0}, "none", "TT001", "capital"),
        ("pairs", {"entry": 0.1}, "none", "TT001", "exit < entry"),
    ],
)
def test_run_wrong_input_names_what_is_allowed(
    conn: psycopg.Connection,
    strategy: str | None,
    parameters: dict[str, Any],
    costs: str | None,
    state: str,
    message: str,
) -> None:
    load_wave(conn, NEXT_OPEN, 10)
    save_pair(conn)
    with pytest.raises(psycopg.Error, match=message) as caught:
        conn.execute(
            "select backtest.run(%s, %s, %s, %s, %s)",
            (strategy, Jsonb(parameters), NEXT_OPEN, END, costs),
        )
    assert caught.value.sqlstate == state
    assert conn.execute("select count(*) from backtest.runs").fetchone() == (0,)


@pytest.mark.parametrize("value", ["NaN", None, "x", 0.1])
def test_run_wrong_strategy_parameter_has_a_short_context(
    conn: psycopg.Connection, value: float | str | None
) -> None:
    # psql prints the context: the error must not drown in the text of what steps the strategy.
    load_wave(conn, NEXT_OPEN, 10)
    save_pair(conn)
    with pytest.raises(psycopg.Error) as caught:
        conn.execute(
            "select backtest.run('pairs', %s, %s, %s)", (Jsonb({"entry": value}), NEXT_OPEN, END)
        )
    assert caught.value.sqlstate == "TT001"
    assert len((caught.value.diag.context or "").splitlines()) < 10


def test_run_reversed_window_is_an_error(conn: psycopg.Connection) -> None:
    load_wave(conn, NEXT_OPEN, 10)
    save_pair(conn)
    for start, end in ((END, NEXT_OPEN), (NEXT_OPEN, None)):
        with pytest.raises(psycopg.Error, match="p_from before p_to") as caught:
            conn.execute("select backtest.run('pairs', '{}', %s, %s)", (start, end))
        assert caught.value.sqlstate == "TT001"


def test_run_without_a_pair_that_is_valid_is_an_error(conn: psycopg.Connection) -> None:
    load_wave(conn, NEXT_OPEN, 10)
    save_pair(conn)
    with pytest.raises(psycopg.Error, match="no pair is valid in the window") as caught:
        conn.execute(
            "select backtest.run('pairs', '{}', %s, %s)", (OPEN, OPEN + timedelta(hours=1))
        )
    assert caught.value.sqlstate == "TT001"


def test_run_pair_calibrated_on_the_future_needs_in_sample(conn: psycopg.Connection) -> None:
    load_wave(conn, NEXT_OPEN, 60)
    pair = save_pair(conn, calibrated=(NEXT_OPEN, END))
    with pytest.raises(psycopg.Error, match="in_sample"):
        conn.execute(
            "select backtest.run('pairs', %s, %s, %s)", (Jsonb({"pairs": [pair]}), NEXT_OPEN, END)
        )
    backtest.run(conn, "pairs", {"pairs": [pair], "in_sample": True}, NEXT_OPEN, END)


def test_run_other_roles_may_not(
    conn: psycopg.Connection, connect_as: Callable[..., psycopg.Connection]
) -> None:
    for role in ("tsdb_readonly", "tsdb_venue"):
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            connect_as(role).execute("select backtest.run('pairs')")
