"""DataFrames for research: types, and the same rows as the database has."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta

import numpy as np
import pandas as pd
import psycopg
import pytest

from daily_bars import add_bars
from pair_market import NEXT_OPEN, load_wave, save_pair, trade_session
from tsdb_trader import research
from tsdb_trader.api import backtest, sweeps
from tsdb_trader.errors import InputError, UnknownObjectError

SECONDS = 400
END = NEXT_OPEN + timedelta(seconds=SECONDS)


@pytest.fixture
def reader(conn: psycopg.Connection, server) -> Iterator[psycopg.Connection]:
    """Return a reader of the test's database, in the role of a quant."""
    with research.open_reader(server.url("tsdb_quant", database=conn.info.dbname)) as found:
        yield found


def test_frame_of_every_type_has_the_values(reader: psycopg.Connection) -> None:
    frame = research.read_frame(
        reader,
        """select 7::int as whole, null::bigint as missing, 1.25::numeric as exact,
               0.1::float8 + 0.2::float8 as sum, 'Infinity'::float8 as above, 'NaN'::float8 as nan,
               'infinity'::timestamptz as never, '2013-10-07 13:30:00.123456+00'::timestamptz as ts,
               date '2013-10-07' as day, 'infinity'::text as word, '' as blank, null::text as none,
               E'a\\n"b",c' as odd, true as yes, '{"a": [1]}'::jsonb as doc, array[1, null] as list,
               interval '90 seconds' as span, %(given)s::text as given""",
        {"given": "it's"},
    )
    row = frame.iloc[0]
    assert frame.dtypes.astype(str).to_dict() | {} == {
        "whole": "int64",
        "missing": "Int64",
        "exact": "float64",
        "sum": "float64",
        "above": "float64",
        "nan": "float64",
        "never": "datetime64[us, UTC]",
        "ts": "datetime64[us, UTC]",
        "day": "datetime64[ms]",
        "word": "string",
        "blank": "string",
        "none": "string",
        "odd": "string",
        "yes": "bool",
        "doc": "object",
        "list": "object",
        "span": "object",
        "given": "string",
    }
    assert (row["whole"], row["exact"], row["sum"], row["above"]) == (7, 1.25, 0.1 + 0.2, np.inf)
    assert pd.isna(row["missing"])
    assert np.isnan(row["nan"])
    assert pd.isna(row["never"])
    assert row["ts"] == pd.Timestamp("2013-10-07 13:30:00.123456", tz="UTC")
    assert (row["word"], row["blank"], row["odd"]) == ("infinity", "", 'a\n"b",c')
    assert pd.isna(row["none"])
    assert (row["doc"], row["list"]) == ({"a": [1]}, [1, None])
    assert (row["span"], row["given"], row["yes"]) == (timedelta(seconds=90), "it's", True)


def test_frame_without_rows_keeps_its_types(reader: psycopg.Connection) -> None:
    frame = research.read_frame(reader, "select 1 as a, now() as b, '{}'::jsonb as c where false")
    assert len(frame) == 0
    assert frame.dtypes.astype(str).tolist() == ["int64", "datetime64[us, UTC]", "object"]


def test_frame_of_two_columns_of_one_name_is_refused(reader: psycopg.Connection) -> None:
    with pytest.raises(InputError, match="same name"):
        research.read_frame(reader, "select 1 as a, 2 as a")


@pytest.mark.parametrize(
    "statement", ["delete from backtest.runs", "insert into backtest.equity values (1, now(), 1)"]
)
def test_reader_that_changes_something_is_refused(
    reader: psycopg.Connection, statement: str
) -> None:
    with pytest.raises(psycopg.errors.ReadOnlySqlTransaction):
        reader.execute(statement)


def test_bars_are_those_of_the_view(conn: psycopg.Connection, reader: psycopg.Connection) -> None:
    load_wave(conn, NEXT_OPEN, SECONDS)
    frame = research.bars(reader, ["A", "B"], NEXT_OPEN, END, every="1m")
    found = conn.execute(
        """select i.symbol, b.bucket, b.mid_close, b.quote_count from market.bars_1m b
           join ref.instruments i using (instrument_id)
           where b.bucket >= %s and b.bucket < %s order by i.symbol, b.bucket""",
        (NEXT_OPEN, END),
    ).fetchall()
    assert found
    columns = frame[["symbol", "bucket", "mid_close", "quote_count"]]
    assert [tuple(row) for row in columns.itertuples(index=False)] == found


def test_bars_of_an_unknown_width_or_symbol_are_refused(reader: psycopg.Connection) -> None:
    with pytest.raises(InputError, match="1s, 1m, 5m"):
        research.bars(reader, ["A"], NEXT_OPEN, END, every="2m")
    with pytest.raises(UnknownObjectError, match="NOPE"):
        research.bars(reader, ["NOPE"], NEXT_OPEN, END)


def test_quotes_are_in_the_order_of_events(
    conn: psycopg.Connection, reader: psycopg.Connection
) -> None:
    load_wave(conn, NEXT_OPEN, SECONDS)
    frame = research.quotes(reader, "A", NEXT_OPEN, END)
    count = conn.execute(
        """select count(*) from market.quotes q join ref.instruments i using (instrument_id)
           where i.symbol = 'A' and ts >= %s and ts < %s""",
        (NEXT_OPEN, END),
    ).fetchone()
    assert count == (len(frame),)
    assert len(frame) > 0
    assert frame["ts"].is_monotonic_increasing
    assert (frame["bid_price"] <= frame["ask_price"]).all()


def test_daily_bars_are_adjusted_in_the_database(
    conn: psycopg.Connection, reader: psycopg.Connection
) -> None:
    conn.execute("select ref.add_instrument('AAA')")
    instrument_id = conn.execute("select ref.instrument_id('AAA')").fetchone()[0]
    add_bars(conn, instrument_id, {"2014-06-06": 645.57, "2014-06-09": 93.70})
    frame = research.daily_bars(reader, ["AAA"], date(2014, 6, 1), date(2014, 6, 30), adjust="none")
    assert frame["close"].tolist() == [645.57, 93.70]
    assert frame["symbol"].tolist() == ["AAA", "AAA"]


def test_session_frames_hold_what_was_traded(
    conn: psycopg.Connection, reader: psycopg.Connection
) -> None:
    session = trade_session(conn, SECONDS)
    signals = research.signals(reader, session)
    counted = conn.execute("select count(*) from signal.targets").fetchone()
    assert counted == (len(signals),)
    assert set(signals["symbol"]) == {"A", "B"}
    assert research.orders(reader, session).empty
    assert research.executions(reader, session).empty
    assert research.lineage(reader, session).empty
    assert research.pnl_daily(reader, session).empty
    assert research.equity(reader, session).empty
    assert research.positions(reader, session_id=session).empty
    assert research.value_at_risk(reader).columns[0] == "session_id"


def test_run_frames_add_up_to_the_summary(
    conn: psycopg.Connection, reader: psycopg.Connection
) -> None:
    session = trade_session(conn, SECONDS)
    summary = backtest.run(conn, "pairs", {"session_id": str(session), "capital": 50_000})
    executions = research.run_executions(reader, summary.run_id)
    assert len(executions) == summary.trades == len(research.run_orders(reader, summary.run_id))
    value = (executions["quantity"] * executions["price"]).sum()
    assert value / 50_000 == pytest.approx(summary.turnover, rel=1e-12)
    equity = research.run_equity(reader, summary.run_id)
    assert equity["pnl"].iloc[-1] / 50_000 == pytest.approx(summary.total_return, rel=1e-12)
    assert (equity["equity"] - 50_000).to_numpy() == pytest.approx(equity["pnl"].to_numpy())
    assert len(research.run_signals(reader, summary.run_id)) * 2 == summary.trades
    assert research.runs(reader, "pairs")["run_id"].tolist() == [summary.run_id]
    assert research.runs(reader, "others").empty


def test_pairs_are_point_in_time(conn: psycopg.Connection, reader: psycopg.Connection) -> None:
    trade_session(conn, SECONDS)
    frame = research.pairs(reader)
    assert len(frame) >= 1
    assert {"symbol_a", "hedge_ratio", "deviation", "statistics"} <= set(frame.columns)
    assert research.pairs(reader, as_of=datetime(1990, 1, 1, tzinfo=UTC)).empty
    assert research.pairs(reader, known_at=datetime(1990, 1, 1, tzinfo=UTC)).empty
    assert len(research.pairs(reader, known_at=datetime(2999, 1, 1, tzinfo=UTC))) == len(frame)


def test_news_of_an_empty_window_is_an_empty_frame(reader: psycopg.Connection) -> None:
    assert research.news(reader, NEXT_OPEN, END).empty


def test_trades_of_a_symbol_without_any_are_an_empty_frame(
    conn: psycopg.Connection, reader: psycopg.Connection
) -> None:
    load_wave(conn, NEXT_OPEN, SECONDS)
    assert research.trades(reader, "A", NEXT_OPEN, END).empty


def test_runs_beside_each_other_and_of_a_sweep(
    conn: psycopg.Connection, reader: psycopg.Connection
) -> None:
    session = trade_session(conn, SECONDS)
    given = {"session_id": str(session), "capital": 50_000}
    first = backtest.run(conn, "pairs", given)
    second = backtest.run(conn, "pairs", given | {"entry": 3.0})
    compared = research.compare_runs(reader, first.run_id, second.run_id).set_index("measure")
    assert compared.loc["trades", "a"] == first.trades
    assert compared.loc["trades", "b"] == second.trades
    sweep_id = sweeps.open_sweep(conn, "pairs", given, {"entry": [2.0, 3.0]})
    for point in sweeps.missing_points(conn, sweep_id):
        sweeps.run_point(conn, sweep_id, point)
    swept = research.sweep(reader, sweep_id)
    assert swept["entry"].tolist() == [2.0, 3.0]
    assert swept["trades"].tolist() == [first.trades, second.trades]


def test_spreads_per_minute_are_those_of_the_bars(
    conn: psycopg.Connection, reader: psycopg.Connection
) -> None:
    load_wave(conn, NEXT_OPEN, SECONDS)
    pair_id = save_pair(conn)
    frame = research.spreads(reader, pair_id, NEXT_OPEN, END)
    assert len(frame) > 0
    pair = research.pairs(reader).set_index("pair_id").loc[pair_id]
    expected = np.log(frame["mid_a"]) - pair["hedge_ratio"] * np.log(frame["mid_b"])
    np.testing.assert_allclose(frame["spread"], expected, rtol=0, atol=1e-12)


def test_tables_without_rows_are_empty_frames(
    conn: psycopg.Connection, reader: psycopg.Connection
) -> None:
    for frame in (
        research.calibrations(reader),
        research.calibration_refusals(reader, 1),
        research.rules(reader),
        research.rule_matches(reader),
        research.model_registry(reader),
        research.predictions(reader, "none", NEXT_OPEN, END),
        research.drift(reader, "none"),
    ):
        assert frame.empty
        assert len(frame.columns) > 2


def test_features_are_a_row_each(conn: psycopg.Connection, reader: psycopg.Connection) -> None:
    conn.execute("select ref.add_instrument('AAA')")
    instrument_id = conn.execute("select ref.instrument_id('AAA')").fetchone()[0]
    add_bars(conn, instrument_id, {"2014-06-05": 100, "2014-06-06": 102, "2014-06-09": 51})
    window = datetime(2014, 6, 5, tzinfo=UTC), datetime(2014, 6, 10, tzinfo=UTC)
    frame = research.features(reader, ["return_1d"], ["AAA"], *window)
    assert frame["feature"].tolist() == ["return_1d", "return_1d"]
    assert frame["value"].tolist() == pytest.approx([0.02, -0.5])
