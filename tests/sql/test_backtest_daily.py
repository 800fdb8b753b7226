"""Backtests over daily bars: decided at the close, filled at the next open, as numpy says."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
import psycopg
import pytest
from psycopg.types.json import Jsonb

import pairs_reference as reference
from daily_bars import add_frames
from tsdb_trader.api import backtest

NEW_YORK = ZoneInfo("America/New_York")
DAY_S = 86_400.0
PARAMETERS: dict[str, float | None] = {
    "hedge_ratio": 1.0,
    "mean": None,
    "deviation": 0.02,
    "entry": 2.0,
    "exit": 0.5,
    "stop": 6.0,
    "half_life_s": 20 * DAY_S,
    "warm_up_s": 10 * DAY_S,
    "max_gap_s": 8 * DAY_S,
    "notional": 10_000.0,
}
START, END = pd.Timestamp("2014-01-01", tz=NEW_YORK), pd.Timestamp("2015-01-01", tz=NEW_YORK)


def market(
    symbols: str = "ABCD", seed: int = 1, holes: float = 0.02, first: str = "2013-11-01"
) -> dict[str, pd.DataFrame]:
    """Return bars of instruments that follow one another, some bars and opens missing."""
    rng = np.random.default_rng(seed)
    days = pd.bdate_range(first, "2014-12-31")
    common = rng.normal(0, 0.01, len(days)).cumsum()
    found = {}
    for number, symbol in enumerate(symbols):
        own = np.zeros(len(days))
        for day in range(1, len(days)):
            own[day] = 0.9 * own[day - 1] + rng.normal(0, 0.02)
        closes = 50 * (number + 1) * np.exp(common + own)
        bars = pd.DataFrame(
            {
                "open": closes * np.exp(rng.normal(0, 0.004, len(days))),
                "close": closes,
                "volume": rng.integers(5_000, 50_000, len(days)),
            },
            index=days.date,
        ).round(4)
        bars.loc[rng.random(len(days)) < holes / 2, "open"] = np.nan
        found[symbol] = bars[(rng.random(len(days)) >= holes) | (np.arange(len(days)) < 40)]
    return found


def save(
    conn: psycopg.Connection,
    symbols: str = "AB",
    valid: str = "2014-01-01",
    **changes: float | None,
) -> int:
    row = conn.execute(
        "select signal.save_pair(%s, %s, 'daily', %s, '{}', %s, %s, '[]', 'test')",
        (
            *symbols,
            Jsonb(PARAMETERS | changes),
            pd.Timestamp(valid, tz=NEW_YORK) - pd.Timedelta(days=100),
            pd.Timestamp(valid, tz=NEW_YORK),
        ),
    ).fetchone()
    assert row is not None
    return int(row[0])


def run(conn: psycopg.Connection, costs: str = "none", **parameters: Any) -> backtest.Summary:
    return backtest.run(conn, "pairs", parameters, START, END, costs)


def frame(conn: psycopg.Connection, query: str) -> pd.DataFrame:
    cursor = conn.execute(query)
    assert cursor.description is not None
    return pd.DataFrame(cursor.fetchall(), columns=[c.name for c in cursor.description])


def executions(conn: psycopg.Connection, run_id: int) -> pd.DataFrame:
    fills = frame(
        conn,
        f"""select i.symbol, o.as_of, o.event, o.reasons, x.* from backtest.executions x
            join backtest.orders o using (run_id, order_id)
            join ref.instruments i on i.instrument_id = x.instrument_id
            where x.run_id = {run_id} order by x.execution_id""",
    )
    for column in ("quantity", "price", "fee", "slippage", "impact"):
        fills[column] = fills[column].astype(float)
    fills["signed"] = np.where(fills.side == "buy", 1, -1) * fills.quantity
    return fills


def closes_at(day: date) -> pd.Timestamp:
    return pd.Timestamp(day).replace(hour=16).tz_localize(NEW_YORK)


def test_run_equals_numpy_in_every_fill_and_on_every_day(
    conn: psycopg.Connection, connect_as: Callable[..., psycopg.Connection]
) -> None:
    bars = market()
    add_frames(conn, bars)
    for symbols in ("AB", "BC", "AD", "CD"):
        save(conn, symbols)
    quant = connect_as("tsdb_quant")
    row = quant.execute(
        "select * from backtest.run('pairs', '{\"entry\": 1.8}'::jsonb, "
        "timestamptz '2014-01-01', timestamptz '2014-12-31 22:00+00', p_costs => 'realistic')"
    ).fetchone()
    assert row is not None
    summary = backtest.Summary(*row)

    days = sorted({day for leg in bars.values() for day in leg.index})
    wide = {
        column: np.array([leg[column].reindex(days) for leg in bars.values()], float).T
        for column in ("open", "close", "volume")
    }
    first = int(np.searchsorted(np.array(days), date(2014, 1, 1)))
    legs = np.array([[0, 1], [1, 2], [0, 3], [2, 3]])
    seconds = np.array([closes_at(day).timestamp() for day in days])
    known = {
        name: np.full(4, np.nan if value is None else value) for name, value in PARAMETERS.items()
    }
    known["entry"][:] = 1.8
    events = reference.decide(
        seconds[first:], wide["close"][first:, legs[:, 0]], wide["close"][first:, legs[:, 1]], known
    )
    events = reference.Events(events.day + first, *list(vars(events).values())[1:])
    costs = reference.Costs(half_spread_bps=2, fee_per_share=0.003, impact_coefficient=1)
    expected = reference.fill(events, legs, wide["open"], wide["close"], wide["volume"], costs)

    fills = executions(conn, summary.run_id)
    assert len(fills) == len(expected.price) == summary.trades > 60
    at = {closes_at(day): number for number, day in enumerate(days)}
    assert [at[t.tz_convert(NEW_YORK)] for t in pd.to_datetime(fills.as_of)] == list(
        expected.decided
    )
    assert list(fills.trade_date) == [days[number] for number in expected.day]
    assert ["ABCD".index(symbol) for symbol in fills.symbol] == list(expected.instrument)
    np.testing.assert_array_equal(fills.signed, expected.quantity)
    np.testing.assert_allclose(fills.price, expected.price, rtol=1e-9)
    np.testing.assert_allclose(fills.fee, expected.fee, atol=1e-6)
    assert (fills.impact > 0).all()

    stored = frame(conn, "select * from backtest.equity order by as_of")
    equity = reference.equity(expected, wide["close"], 1_000_000)[first:]
    np.testing.assert_allclose(stored.equity.astype(float), equity, atol=1e-3)
    changes = pd.Series(equity).diff().dropna()
    assert summary.sharpe == pytest.approx(changes.mean() / changes.std() * 252**0.5, rel=1e-6)
    assert summary.total_return == pytest.approx(equity[-1] / 1e6 - 1, abs=1e-9)
    assert summary.costs == pytest.approx((fills.fee + fills.slippage).sum())
    parameters, watermark = quant.execute(
        "select parameters, data_watermark from backtest.runs"
    ).fetchone() or ({}, None)
    assert (parameters["source"], parameters["fill"]) == ("daily", "next")
    # Sixty days before the start, for volatility and volume.
    read = [number for number, day in enumerate(days) if day >= date(2013, 11, 2)]
    assert {
        key: watermark[key] for key in ("source", "feed", "instruments", "times", "prices")
    } == {
        "source": "daily",
        "feed": "daily",
        "instruments": 4,
        "times": len(read),
        "prices": np.isfinite(wide["close"][read]).sum(),
    }


def test_run_portfolio_trades_the_net_of_pairs_that_share_a_stock(
    conn: psycopg.Connection,
) -> None:
    add_frames(conn, market(holes=0))
    for symbols in ("AB", "BC", "AC"):
        save(conn, symbols)
    alone, netted = run(conn), run(conn, portfolio={})
    equities = [
        frame(conn, f"select equity from backtest.equity where run_id = {r.run_id} order by as_of")
        for r in (alone, netted)
    ]
    # The same holdings, in fewer orders.
    assert list(equities[0].equity) == list(equities[1].equity)
    assert netted.trades < alone.trades
    assert netted.turnover < alone.turnover
    events = conn.execute(
        "select distinct event from backtest.orders where run_id = %s", (netted.run_id,)
    ).fetchall()
    assert events == [("rebalance",)]
    few = run(conn, portfolio={"max_positions": 1}).run_id
    refused = conn.execute(
        "select count(*) from backtest.signals where run_id = %s and refusal = 'positions'", (few,)
    ).fetchone()
    assert refused is not None
    assert refused[0] > 0


def test_run_twice_has_the_same_bits(conn: psycopg.Connection) -> None:
    add_frames(conn, market())
    for symbols in ("AB", "BC", "AD"):
        save(conn, symbols)
    runs = [run(conn, "realistic", seed=5).run_id for _ in range(2)]
    for table, order in (
        ("signals", "as_of, pair_id"),
        ("orders", "order_id"),
        ("executions", "execution_id"),
        ("equity", "as_of"),
    ):
        digests = [
            conn.execute(
                f"""select count(*), md5(string_agg(encode(record_send(t), 'hex'), '' order by {order}))
                    from (select (jsonb_populate_record(null::backtest.{table},
                              to_jsonb(x) - 'run_id')).*
                          from backtest.{table} x where run_id = %s) t""",
                (run_id,),
            ).fetchone()
            for run_id in runs
        ]
        assert digests[0] == digests[1]
        assert digests[0] is not None
        assert digests[0][0] > 0


def jump() -> dict[str, pd.DataFrame]:
    """Return bars of which A rises by 6 % on 3 March and stays there: a pair sells it and waits."""
    days = pd.bdate_range("2013-12-02", "2014-12-31").date
    rises = np.where(days >= date(2014, 3, 3), 106.0, 100.0)
    return {
        "A": pd.DataFrame({"open": rises + 0.5, "close": rises, "volume": 10_000}, index=days),
        "B": pd.DataFrame({"open": 99.5, "close": 100.0, "volume": 10_000}, index=days),
    }


PATIENT: dict[str, float | None] = {"half_life_s": 1e9, "mean": 0.0}


def test_run_pair_is_stepped_in_its_validity_and_closed_at_its_end(
    conn: psycopg.Connection,
) -> None:
    add_frames(conn, jump())
    superseded = save(conn, "AB", **PATIENT)
    # From 1 July on the mean is where A is now, and from 1 October where it was.
    second = save(conn, "AB", "2014-07-01", **(PATIENT | {"mean": float(np.log(1.06))}))
    third = save(conn, "AB", "2014-10-01", **(PATIENT | {"warm_up_s": 0.0, "entry": 2.95}))
    first = conn.execute("select min(pair_id) from signal.current_pairs").fetchone()
    assert first is not None
    run_id = run(conn).run_id
    signals = conn.execute(
        "select pair_id, event, as_of at time zone 'America/New_York' from backtest.signals "
        "where run_id = %s order by as_of",
        (run_id,),
    ).fetchall()
    assert superseded not in {pair_id for pair_id, _, _ in signals}
    assert [(name, str(at)) for _, name, at in signals] == [
        ("enter_short", "2014-03-03 16:00:00"),
        ("expire", "2014-07-01 00:00:00"),
    ]
    assert {pair_id for pair_id, _, _ in signals} == {signals[0][0]}
    assert signals[0][0] not in {second, third}
    fills = executions(conn, run_id)
    assert [(str(f.trade_date), f.symbol, f.signed, f.price) for f in fills.itertuples()] == [
        ("2014-03-04", "A", -94, 106.5),
        ("2014-03-04", "B", 100, 99.5),
        ("2014-07-01", "A", 94, 106.5),
        ("2014-07-01", "B", -100, 99.5),
    ]


def test_run_same_fill_takes_the_price_decided_on_and_says_so(conn: psycopg.Connection) -> None:
    add_frames(conn, jump())
    save(conn, "AB", **PATIENT)
    run_id = run(conn, fill="same").run_id
    fills = executions(conn, run_id)
    assert [(str(f.trade_date), f.signed, f.price) for f in fills.itertuples()] == [
        ("2014-03-03", -94, 106),
        ("2014-03-03", 100, 100),
    ]
    warned = conn.execute("select warnings from backtest.runs").fetchone()
    assert warned is not None
    assert [w["kind"] for w in warned[0]] == ["same_price", "open_at_end"]


def test_run_delisted_leg_is_closed_at_its_last_price_and_flagged(conn: psycopg.Connection) -> None:
    bars = jump()
    bars["B"] = bars["B"][bars["B"].index <= date(2014, 5, 1)]
    bars["B"].loc[date(2014, 5, 1), "close"] = 101.0
    add_frames(conn, bars)
    save(conn, "AB", **PATIENT)
    run_id = run(conn).run_id
    fills = executions(conn, run_id)
    closing = fills[fills.event == "delisted"]
    assert {str(at.astimezone(NEW_YORK)) for at in closing.as_of} == {"2014-05-11 16:00:00-04:00"}
    assert [(str(f.trade_date), f.symbol, f.price, f.reasons) for f in closing.itertuples()] == [
        ("2014-05-12", "A", 106.5, []),
        ("2014-05-12", "B", 101.0, ["last_price"]),
    ]
    assert (fills.groupby("symbol").signed.sum() == 0).all()
    warned = conn.execute("select warnings from backtest.runs").fetchone()
    assert warned is not None
    assert warned[0] == [
        {"kind": "last_price", "orders": 1},
        {"kind": "delisted", "signals": 1},
    ]
    kept = executions(conn, run(conn, delisted_after="400 days").run_id)
    assert len(kept) == 2


def test_run_leg_that_comes_back_is_traded_at_its_next_open(conn: psycopg.Connection) -> None:
    bars = jump()
    gone = (bars["B"].index > date(2014, 5, 1)) & (bars["B"].index < date(2014, 6, 2))
    bars["B"] = bars["B"][~gone]
    add_frames(conn, bars)
    save(conn, "AB", **PATIENT)
    closing = executions(conn, run(conn).run_id).iloc[2:]
    assert [(str(f.trade_date), f.symbol, f.reasons) for f in closing.itertuples()] == [
        ("2014-05-12", "A", []),
        ("2014-06-02", "B", []),
    ]


def test_run_prices_are_carried_forward_through_splits_and_dividends(
    conn: psycopg.Connection,
) -> None:
    bars = market(holes=0)
    add_frames(conn, bars)
    save(conn, "AB")
    plain = run(conn)
    expected = executions(conn, plain.run_id)
    # The same market, had A split 4 for 1 in May and paid 2 % in September.
    split, dividend = date(2014, 5, 1), date(2014, 9, 1)
    stored = bars["A"].copy()
    prices = ["open", "close"]
    after = stored.index >= split
    stored.loc[after, prices] = stored.loc[after, prices] / 4
    stored.loc[after, "volume"] *= 4
    last_close = round(stored.close[stored.index < dividend].iloc[-1], 4)
    paid = round(0.02 * last_close, 4)
    kept = 1 - paid / last_close
    stored.loc[stored.index >= dividend, prices] *= kept
    conn.execute("delete from market._source_bars where instrument_id = ref.instrument_id('A')")
    add_frames(conn, {"A": stored})
    record = "select ref.record(%s, %s, %s)"
    conn.execute(
        record,
        (
            "splits",
            Jsonb({"symbol": "A", "ex_date": str(split), "new_shares": 4, "old_shares": 1}),
            split,
        ),
    )
    conn.execute(
        record,
        (
            "dividends",
            Jsonb({"symbol": "A", "ex_date": str(dividend), "amount": str(paid)}),
            dividend,
        ),
    )
    adjusted = run(conn, costs="realistic")
    fills = executions(conn, adjusted.run_id)
    assert list(fills.as_of) == list(expected.as_of)
    np.testing.assert_array_equal(fills.signed, expected.signed)
    np.testing.assert_allclose(
        fills.price - fills.slippage / fills.signed, expected.price, rtol=1e-5
    )
    # A fee per share is paid on the shares there really are.
    factor = np.where(
        fills.symbol == "B",
        1,
        np.where(fills.trade_date >= split, 4, 1) / np.where(fills.trade_date >= dividend, kept, 1),
    )
    np.testing.assert_allclose(fills.fee, fills.quantity * factor * 0.003, rtol=1e-6)

    # What nobody knew within the window changes nothing of it.
    conn.execute(
        record,
        (
            "splits",
            Jsonb({"symbol": "A", "ex_date": "2015-02-01", "new_shares": 2, "old_shares": 1}),
            date(2014, 3, 1),
        ),
    )
    again = executions(conn, run(conn, costs="realistic").run_id)
    assert list(again.price) == list(fills.price)


def test_run_costs_are_those_worked_out_by_hand(conn: psycopg.Connection) -> None:
    days = pd.bdate_range("2013-12-16", "2014-03-31").date
    swing = np.where(np.arange(len(days)) == 30, 1.06, 1.0)
    # Closes alternate by 1 %: the deviation of 20 changes of ±ln 1.01 is ln 1.01 * sqrt(20 / 19).
    level = np.where(np.arange(len(days)) % 2 == 0, 100.0, 101.0)
    bars = {
        "A": pd.DataFrame({"open": 102.0, "close": level * swing, "volume": 40_000}, index=days),
        "B": pd.DataFrame({"open": 99.0, "close": level, "volume": 10_000}, index=days),
    }
    add_frames(conn, bars)
    save(conn, "AB", mean=0.0)
    costs = {
        "bar_half_spread_bps": 3,
        "slippage_bps": 1,
        "fee_per_share": 0.01,
        "fee_bps": 2,
        "fee_minimum": 2.5,
        "impact_coefficient": 0.5,
    }
    summary = run(conn, costs="none", notional=10_600.0)
    assert summary.costs == 0
    summary = backtest.run(
        conn, "pairs", {"notional": 10_600.0, "costs": costs}, START, END, "none"
    )
    fills = executions(conn, summary.run_id)
    entry_a, entry_b = fills[fills.event == "enter_short"].itertuples()
    close = 101.0 * 1.06 if level[30] == 101 else 100.0 * 1.06
    assert (entry_a.signed, entry_b.signed) == (-(10_600 // close), 10_600 // level[30])
    # Twenty changes up to the decision: nineteen of ±ln 1.01, the last with the jump.
    changes = [np.log(1.01) * (1 if n % 2 else -1) for n in range(11, 30)]
    jump = [*changes, np.log(bars["A"].close.iloc[30] / bars["A"].close.iloc[29])]
    calm = [*changes, np.log(level[30] / level[29])]
    for fill, opened, history, volume, side in (
        (entry_a, 102.0, jump, 40_000, -1),
        (entry_b, 99.0, calm, 10_000, 1),
    ):
        impact = 0.5 * np.std(history, ddof=1) * np.sqrt(fill.quantity / volume)
        assert fill.impact == pytest.approx(fill.quantity * opened * impact, rel=1e-7)
        assert fill.price == pytest.approx(opened * (1 + side * (0.0004 + impact)), rel=1e-9)
        fee = max(2.5, 0.01 * fill.quantity + 0.0002 * fill.quantity * fill.price)
        assert fill.fee == pytest.approx(fee, abs=1e-6)
        assert fill.slippage == pytest.approx(fill.quantity * opened * (0.0004 + impact), abs=1e-5)


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        # A hundredth of the volume at 2 % volatility: 0.02 * sqrt(0.01).
        ("100, 10000, 0.02", 0.002),
        ("-100, 10000, 0.02", 0.002),
        ("100, 10000, 0.02, 0.5", 0.001),
        ("10000, 10000, 0.02, 1, 0.6", 0.02),
        ("100, 10000, null, 0", 0),
        ("100, 0, 0.02", None),
        ("100, 10000, null", None),
    ],
)
def test_impact_is_the_square_root_law(
    conn: psycopg.Connection, arguments: str, expected: float | None
) -> None:
    row = conn.execute(f"select backtest.impact({arguments})").fetchone()
    assert row is not None
    assert row[0] == (None if expected is None else pytest.approx(expected))


def test_run_half_day_is_known_when_the_exchange_closes(conn: psycopg.Connection) -> None:
    add_frames(conn, market(holes=0))
    save(conn, "AB")
    conn.execute(
        "insert into ref.calendars values ('XNYS', 'America/New_York', '2013-01-01', '2015-12-31', 'test')"
    )
    conn.execute(
        """insert into ref.calendar_days (exchange, date, opens_at, closes_at, early_close)
           values ('XNYS', '2014-07-03', '2014-07-03 13:30+00', '2014-07-03 17:00+00', true)"""
    )
    run(conn)
    times = {
        row[0].isoformat()
        for row in conn.execute(
            "select as_of at time zone 'UTC' from backtest.equity where trading_date in ('2014-07-02', '2014-07-03')"
        )
    }
    assert times == {"2014-07-02T20:00:00", "2014-07-03T17:00:00"}
