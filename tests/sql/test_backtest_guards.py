"""Strategies of one's own in backtests, and the guards against looking ahead and survivorship."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from typing import Any

import numpy as np
import pandas as pd
import psycopg
import pytest
from psycopg.types.json import Jsonb

from daily_bars import add_frames
from tsdb_trader.api import backtest

START, END = pd.Timestamp("2014-02-01", tz="UTC"), pd.Timestamp("2014-12-01", tz="UTC")

# Goes with the sign of its feature; the parameter makes it flat below a bound.
FOLLOW = """
create schema desk;
create type desk.parameters as (quantity bigint, bound double precision);
create type desk.state as (n integer, event text, quantities bigint[], score double precision);
create function desk.step(s desk.state, i signal.step_input, p desk.parameters)
returns desk.state language plpgsql immutable as $$
declare
    v_target bigint := case when abs(i.features[1]) >= p.bound then sign(i.features[1]) * p.quantity else 0 end;
begin
    s.n := coalesce(s.n, 0) + 1;
    s.score := i.features[1];
    s.event := case when coalesce(v_target, 0) <> coalesce(s.quantities[1], 0) then 'turn' end;
    s.quantities := array[coalesce(v_target, 0)];
    return s;
end
$$;
create function desk.bars(p_instruments integer[])
returns table (date date, known_at timestamptz, instrument_id integer, close double precision)
language sql stable as $$
    select d.date, (d.date + time '16:00') at time zone 'America/New_York', b.instrument_id, b.close / 1e4::float8
    from market._source_bars b,
        lateral (select ((b.ts + interval '12 hours') at time zone 'UTC')::date) d (date)
    where b.instrument_id = any (p_instruments) and b.resolution = '1d' and b.close is not null
$$;
"""

REGISTER = """
create function desk.inputs(p_instruments integer[], p_from timestamptz, p_to timestamptz)
returns table (as_of timestamptz, instrument_id integer, features double precision[])
language sql stable as $f$
    select x.as_of, x.instrument_id, array[x.feature]
    from ({query}) x (as_of, instrument_id, feature)
    where x.as_of > p_from and x.as_of <= p_to and x.feature is not null
$f$;
select signal.register_strategy('{name}', 'Follows a feature',
    'desk.step(desk.state, signal.step_input, desk.parameters)',
    'desk.inputs(integer[], timestamptz, timestamptz)', '30 days');
"""

CLEAN = {
    "return": """select b.known_at, b.instrument_id,
            b.close / lag(b.close) over (partition by b.instrument_id order by b.date) - 1
        from desk.bars(p_instruments) b""",
    "trailing_score": """select b.known_at, b.instrument_id,
            (b.close - avg(b.close) over w) / nullif(stddev_samp(b.close) over w, 0)
        from desk.bars(p_instruments) b
        window w as (partition by b.instrument_id order by b.date rows 20 preceding)""",
    "published": """select s.recv_ts, s.instrument_id, s.value::float8 from market.alt_series s
        where s.instrument_id = any (p_instruments)""",
}
LEAKS = {
    "future_join": """select b.known_at, b.instrument_id, n.close / b.close - 1
        from desk.bars(p_instruments) b
        join desk.bars(p_instruments) n on n.instrument_id = b.instrument_id and n.date = b.date + 1""",
    "full_sample_score": """select b.known_at, b.instrument_id,
            (b.close - avg(b.close) over w) / stddev_samp(b.close) over w
        from desk.bars(p_instruments) b window w as (partition by b.instrument_id)""",
    "unshifted": """select b.date::timestamp at time zone 'America/New_York', b.instrument_id,
            b.close / lag(b.close) over (partition by b.instrument_id order by b.date) - 1
        from desk.bars(p_instruments) b""",
    "publication_ignored": """select s.ts, s.instrument_id, s.value::float8
        from market.alt_series s where s.instrument_id = any (p_instruments)""",
}


def load(conn: psycopg.Connection) -> None:
    """Store a year of A, B and C, and a series of A and B that is published two days late."""
    rng = np.random.default_rng(3)
    days = pd.bdate_range("2013-12-02", "2014-12-31").date
    frames = {}
    for symbol in "ABC":
        closes = 50 * np.exp(rng.normal(0, 0.02, len(days)).cumsum()).round(4)
        frames[symbol] = pd.DataFrame(
            {"open": closes, "close": closes, "volume": 10_000}, index=days
        )
    add_frames(conn, frames)
    conn.execute(
        """insert into market.alt_series (ts, recv_ts, seq, instrument_id, source_id, feed_id, ns, series, value)
           select t, t + interval '50 hours', row_number() over (), i.instrument_id, 0, 1, 0, 'mood',
               sin(date_part('epoch', t) / 3e5)
           from ref.instruments i,
               generate_series(timestamptz '2013-12-02 10:00+00', '2014-12-31', '1 day') t
           where i.symbol in ('A', 'B')"""
    )


def deploy(conn: psycopg.Connection, name: str, query: str, symbols: str = "AB") -> None:
    conn.execute(FOLLOW)
    conn.execute(REGISTER.format(name=name, query=query))
    for symbol in symbols:
        conn.execute(
            "select signal.save_instance(%s, array[%s], 'daily', %s, '{}', '2014-01-01')",
            (name, symbol, Jsonb({"quantity": 10, "bound": 0.001})),
        )


def check(conn: psycopg.Connection, name: str) -> list[Any]:
    return conn.execute(
        "select * from backtest.check_lookahead(%s, %s, %s)", (name, START, END)
    ).fetchall()


@pytest.mark.parametrize("name", LEAKS)
def test_lookahead_planted_leak_is_found(
    conn: psycopg.Connection, connect_as: Callable[..., psycopg.Connection], name: str
) -> None:
    load(conn)
    deploy(conn, name, LEAKS[name])
    counts = "select count(*), sum(close) from market._source_bars"
    before = conn.execute(counts).fetchone()
    found = check(connect_as("tsdb_quant"), name)
    assert {row[0] for row in found} == {"feature"} | (
        {"state"} if name not in ("unshifted", "publication_ignored") else {r[0] for r in found}
    )
    assert all(as_of <= known_at for *_, as_of, known_at in found)
    assert conn.execute(counts).fetchone() == before


@pytest.mark.parametrize("name", CLEAN)
def test_lookahead_clean_strategy_has_no_rows(conn: psycopg.Connection, name: str) -> None:
    load(conn)
    deploy(conn, name, CLEAN[name])
    assert check(conn, name) == []
    summary = backtest.run(conn, name, {}, START, END)
    assert summary.trades > 10


def test_lookahead_publication_ignored_changes_decisions(conn: psycopg.Connection) -> None:
    load(conn)
    deploy(conn, "publication_ignored", LEAKS["publication_ignored"])
    assert {row[0] for row in check(conn, "publication_ignored")} == {"feature", "state"}


def test_lookahead_feature_that_needs_the_future_is_a_violation(conn: psycopg.Connection) -> None:
    load(conn)
    query = """select b.known_at, b.instrument_id, 1 / count(*) filter (where b.date > '2014-11-20') over ()
        from desk.bars(p_instruments) b"""
    deploy(conn, "fails", query)
    assert [row[0] for row in check(conn, "fails")] == ["error"]


def test_lookahead_pairs_are_clean(conn: psycopg.Connection) -> None:
    load(conn)
    conn.execute(
        """select signal.save_pair('A', 'B', 'daily', %s, '{}', '2013-12-01', '2014-01-01', '[]', 'test')""",
        (
            Jsonb(
                {"hedge_ratio": 1, "mean": None, "deviation": 0.02, "entry": 2, "exit": 0.5,
                 "stop": 9, "half_life_s": 2e6, "warm_up_s": 8e5, "max_gap_s": 8e5, "notional": 1e4}
            ),
        ),
    )  # fmt: skip
    assert check(conn, "pairs") == []
    assert backtest.run(conn, "pairs", {}, START, END).trades > 4


def test_lookahead_tables_of_ones_own_are_taken_away(conn: psycopg.Connection) -> None:
    load(conn)
    conn.execute("create table public.secret as select * from market.alt_series")
    query = LEAKS["publication_ignored"].replace("market.alt_series", "public.secret")
    deploy(conn, "own_table", query)
    assert check(conn, "own_table") == []
    conn.execute("insert into backtest.data_sources values ('public.secret', 'r.recv_ts', 'Mine')")
    assert check(conn, "own_table") != []


def test_data_sources_are_the_owners_alone(
    connect_as: Callable[..., psycopg.Connection],
) -> None:
    for role in ("tsdb_quant", "tsdb_ops"):
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            connect_as(role).execute("delete from backtest.data_sources")


@pytest.mark.parametrize(
    ("arguments", "state", "message"),
    [
        ("'nope', '2014-02-01', '2014-03-01'", "TT002", "unknown strategy"),
        ("'pairs', '2014-03-01', '2014-02-01'", "TT001", "p_from before p_to"),
        ("'pairs', '2014-02-01', '2014-03-01', '{}', 0", "TT001", "p_cuts"),
    ],
)
def test_lookahead_wrong_input_is_an_error(
    conn: psycopg.Connection, arguments: str, state: str, message: str
) -> None:
    with pytest.raises(psycopg.Error, match=message) as caught:
        conn.execute(f"select * from backtest.check_lookahead({arguments})")
    assert caught.value.sqlstate == state


def test_run_of_ones_own_strategy_trades_what_its_features_say(conn: psycopg.Connection) -> None:
    load(conn)
    deploy(conn, "follow", CLEAN["return"], symbols="A")
    summary = backtest.run(conn, "follow", {"bound": 0.02}, START, END, "none")
    bars = pd.DataFrame(
        conn.execute(
            """select b.date, b.close from desk.bars(array[ref.instrument_id('A')]) b order by 1"""
        ).fetchall(),
        columns=["date", "close"],
    ).set_index("date")
    change = bars.close / bars.close.shift() - 1
    target = pd.Series(np.where(change.abs() >= 0.02, np.sign(change) * 10, 0), bars.index)
    target = target[(target.index >= START.date()) & (target.index < END.date())]
    orders = target.diff().fillna(target.iloc[0])
    expected = [(day, quantity) for day, quantity in orders.items() if quantity]
    found = conn.execute(
        """select (as_of at time zone 'America/New_York')::date,
               case side when 'buy' then quantity else -quantity end
           from backtest.orders where run_id = %s order by order_id""",
        (summary.run_id,),
    ).fetchall()
    assert [(day, float(quantity)) for day, quantity in found] == expected
    held = target.shift(2).reindex(bars.index).dropna()
    # Decided at a close, filled at the next open, which here is that day's close.
    opened = target.shift(1).fillna(0)
    profit = (opened.shift(1) * bars.close.diff().reindex(target.index)).fillna(0).sum()
    equity = conn.execute("select final_equity from backtest.runs").fetchone()
    assert equity is not None
    assert float(equity[0]) - 1e6 == pytest.approx(profit, abs=1e-4)
    assert len(held) > 100


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"bond": 1}, 'unknown parameter "bond"'),
        ({"bound": "x"}, "out of range"),
        ({"instances": [1]}, "does not exist, or is none of follow"),
    ],
)
def test_run_of_ones_own_strategy_wrong_parameter_is_named(
    conn: psycopg.Connection, parameters: dict[str, Any], message: str
) -> None:
    load(conn)
    deploy(conn, "follow", CLEAN["return"], symbols="A")
    conn.execute(
        """select signal.save_pair('A', 'B', 'daily', %s, '{}', '2013-12-01', '2014-01-01', '[]', 'test')""",
        (
            Jsonb(
                {"hedge_ratio": 1, "mean": None, "deviation": 0.02, "entry": 2, "exit": 0.5,
                 "stop": 9, "half_life_s": 2e6, "warm_up_s": 8e5, "max_gap_s": 8e5, "notional": 1e4}
            ),
        ),
    )  # fmt: skip
    if parameters == {"instances": [1]}:
        pair = conn.execute("select pair_id from signal.pairs").fetchone()
        assert pair is not None
        parameters = {"instances": [pair[0]]}
    with pytest.raises(psycopg.Error, match=message):
        conn.execute("select backtest.run('follow', %s, %s, %s)", (Jsonb(parameters), START, END))


def findings(conn: psycopg.Connection) -> dict[str, Any]:
    rows = conn.execute(
        "select kind, symbol, detail from backtest.check_survivorship('follow', %s, %s)",
        (START, END),
    ).fetchall()
    return {kind: (symbol, detail) for kind, symbol, detail in rows}


def test_survivorship_of_survivors_is_seen(conn: psycopg.Connection) -> None:
    load(conn)
    deploy(conn, "follow", CLEAN["return"], symbols="A")
    # Saved now, about 2014.
    assert set(findings(conn)) == {"no_exits", "known_later"}
    conn.execute(
        """delete from market._source_bars b using ref.instruments i
           where i.instrument_id = b.instrument_id and i.symbol = 'C' and b.ts > '2014-06-01'"""
    )
    found = findings(conn)
    assert set(found) == {"survivors_chosen", "known_later"}
    assert found["survivors_chosen"][1] == {"feed_ended": 1, "chosen": 1, "chosen_ended": 0}
    conn.execute("update signal.instances set recorded_at = '2014-01-01'")
    conn.execute(
        "select signal.save_instance('follow', array['C'], 'daily', %s, '{}', '2014-01-02')",
        (Jsonb({"quantity": 10, "bound": 0.001}),),
    )
    assert set(findings(conn)) == {"known_later"}


def test_survivorship_later_listing_and_membership_are_seen(conn: psycopg.Connection) -> None:
    load(conn)
    deploy(conn, "follow", CLEAN["return"], symbols="AB")
    conn.execute("update signal.instances set recorded_at = '2014-01-01'")
    conn.execute(
        "delete from market._source_bars where instrument_id = ref.instrument_id('A') and ts < '2014-05-01'"
    )
    for symbol, day in (("A", "2010-01-01"), ("B", "2014-09-01")):
        conn.execute(
            "select ref.record('index_members', %s, %s)",
            (Jsonb({"index_name": "SPX", "symbol": symbol, "valid_from": day}), date(2010, 1, 1)),
        )
    found = findings(conn)
    assert set(found) == {"no_exits", "listed_later", "member_later"}
    assert (found["listed_later"][0], found["member_later"][0]) == ("A", "B")
