"""What a run says of itself: which data it read, what it left open, and the names it does not know."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import psycopg
import pytest
from psycopg.types.json import Jsonb

from daily_bars import add_frames
from pair_market import NEXT_OPEN, trade_session
from sql.test_backtest import END as LAST_QUOTE
from sql.test_backtest import SECONDS
from sql.test_backtest_daily import END, PATIENT, START, executions, jump, market, run, save
from tsdb_trader.api import backtest
from tsdb_trader.errors import InputError, UnknownObjectError

BAR = """from market._source_bars b join ref.instruments i using (instrument_id)
         where i.symbol = '{symbol}' and (b.ts at time zone 'America/New_York')::date = '{day}'"""
CHANGED = "update market._source_bars x set {change} from (select b.* {bar}) b where x.ts = b.ts and x.seq = b.seq and x.instrument_id = b.instrument_id"


def watermark(conn: psycopg.Connection, run_id: int) -> dict[str, Any]:
    row = conn.execute(
        "select data_watermark from backtest.runs where run_id = %s", (run_id,)
    ).fetchone()
    assert row is not None
    found: dict[str, Any] = row[0]
    return found


def differs(conn: psycopg.Connection, a: int, b: int) -> dict[str, list[Any]] | None:
    found = {m.measure: m.detail for m in backtest.compare(conn, a, b)}
    detail: dict[str, list[Any]] | None = found.get("data_differs")
    return detail


def notices(conn: psycopg.Connection) -> list[str]:
    """Return a list to which what the connection is told is added."""
    told: list[str] = []
    conn.execute("set client_min_messages = notice")
    conn.add_notice_handler(lambda notice: told.append(notice.message_primary or ""))
    return told


@pytest.mark.parametrize(
    "change",
    [
        CHANGED.format(change="close = x.close + 1", bar=BAR.format(symbol="A", day="2014-06-03")),
        CHANGED.format(change="open = x.open + 1", bar=BAR.format(symbol="B", day="2014-06-03")),
        CHANGED.format(
            change="volume = x.volume + 1", bar=BAR.format(symbol="A", day="2014-12-31")
        ),
        # Of the sixty days before the start, from which volatility and volume are taken.
        CHANGED.format(
            change="volume = x.volume + 1", bar=BAR.format(symbol="A", day="2013-12-03")
        ),
        "delete from market._source_bars x using (select b.* "
        + BAR.format(symbol="A", day="2014-06-03")
        + ") b where x.ts = b.ts and x.seq = b.seq and x.instrument_id = b.instrument_id",
        "insert into market._source_bars select (jsonb_populate_record(null::market._source_bars, "
        "to_jsonb(b) || jsonb_build_object('ts', b.ts + interval '1 day'))).* from (select b.* "
        + BAR.format(symbol="A", day="2014-06-06")
        + ") b",
        """select ref.record('splits', '{"symbol": "A", "ex_date": "2014-06-03", "new_shares": 2, "old_shares": 1}',
               '2014-06-03')""",
    ],
)
def test_watermark_any_bar_changed_in_the_window_makes_another(
    conn: psycopg.Connection, change: str
) -> None:
    add_frames(conn, market(holes=0))
    save(conn, "AB")
    first, again = run(conn, "realistic").run_id, run(conn, "realistic").run_id
    assert watermark(conn, first) == watermark(conn, again)
    assert differs(conn, first, again) is None
    assert conn.execute(change).rowcount == 1
    changed = run(conn, "realistic").run_id
    assert watermark(conn, changed)["digest"] != watermark(conn, first)["digest"]
    detail = differs(conn, first, changed)
    assert detail is not None
    assert detail["digest"] == [watermark(conn, n)["digest"] for n in (first, changed)]
    assert len(str(watermark(conn, first))) < 400


@pytest.mark.parametrize(
    "bar", [BAR.format(symbol="C", day="2014-06-03"), BAR.format(symbol="A", day="2013-11-01")]
)
def test_watermark_bar_that_is_not_read_makes_no_other(conn: psycopg.Connection, bar: str) -> None:
    add_frames(conn, market(holes=0))
    save(conn, "AB")
    first = run(conn).run_id
    assert conn.execute(CHANGED.format(change="close = x.close + 1", bar=bar)).rowcount == 1
    assert watermark(conn, run(conn).run_id) == watermark(conn, first)


def test_watermark_of_a_session_has_its_batches_and_of_quotes_each_side(
    conn: psycopg.Connection,
) -> None:
    session = trade_session(conn, SECONDS)
    recorded = backtest.run(conn, "pairs", {"session_id": str(session)}).run_id
    found = watermark(conn, recorded)
    batches = conn.execute(
        "select count(*), max(batch_no), mod(sum(digest), 9223372036854775807)::bigint from market.batches"
    ).fetchone()
    assert (found["batches"], found["last_batch_no"], found["batch_digest"]) == batches
    assert (found["source"], found["session_id"]) == ("session", str(session))

    def over_quotes() -> dict[str, Any]:
        summary = backtest.run(conn, "pairs", {"source": "quotes"}, NEXT_OPEN, LAST_QUOTE)
        return watermark(conn, summary.run_id)

    first = over_quotes()
    assert over_quotes() == first
    conn.execute(
        """update market._quotes set ask_price = ask_price + 2, bid_price = bid_price - 2
           where ts = (select max(ts) from market._quotes where ts <= %s)""",
        (LAST_QUOTE,),
    )
    # The mid is what it was, the sides are not.
    second = over_quotes()
    assert second["digest"] != first["digest"]
    assert second["prices"] == first["prices"]


def test_compare_run_with_a_list_of_sources_differs_in_its_data(conn: psycopg.Connection) -> None:
    add_frames(conn, market(holes=0))
    save(conn, "AB")
    old, new = run(conn).run_id, run(conn).run_id
    sources = [{"source_id": 1, "name": "bars.csv", "next_row": 0}]
    conn.execute(
        "update backtest.runs set data_watermark = %s where run_id = %s", (Jsonb(sources), old)
    )
    detail = differs(conn, old, new)
    assert detail is not None
    assert detail["sources"] == [sources, None]


def test_run_position_open_at_the_end_is_marked_and_told(conn: psycopg.Connection) -> None:
    bars = jump()
    # A pair that never opens.
    add_frames(conn, bars | {"C": bars["A"]})
    save(conn, "AB", **PATIENT)
    save(conn, "AC", **PATIENT)
    told = notices(conn)
    open_run = run(conn)
    assert told == [
        '1 of 2 pairs still open at the end, marked at the last price; "close_at_end": true closes them'
    ]
    kept = conn.execute(
        "select open_positions, warnings from backtest.runs where run_id = %s", (open_run.run_id,)
    ).fetchone()
    assert kept == (1, [{"kind": "open_at_end", "positions": 1}])
    last = conn.execute(
        """select market_value::float8, equity::float8 from backtest.equity where run_id = %s
           order by as_of desc limit 1""",
        (open_run.run_id,),
    ).fetchone()
    # 94 of A sold at 106.5 and 100 of B bought at 99.5, marked at 106 and 100.
    assert last == (100 * 100 - 94 * 106, 1_000_000 + 94 * 0.5 + 100 * 0.5)

    told.clear()
    closed = run(conn, close_at_end=True)
    assert told == []
    fills = executions(conn, closed.run_id)
    assert [
        (str(f.trade_date), f.symbol, f.event, f.signed, f.price, f.reasons)
        for f in fills.iloc[2:].itertuples()
    ] == [
        ("2014-12-31", "A", "end", 94, 106, ["last_price"]),
        ("2014-12-31", "B", "end", -100, 100, ["last_price"]),
    ]
    # Without costs the last price is the mark.
    assert closed.total_return == open_run.total_return
    row = conn.execute(
        "select open_positions from backtest.runs where run_id = %s", (closed.run_id,)
    ).fetchone()
    assert row == (0,)


def test_run_portfolio_open_at_the_end_counts_instruments_and_closes_them(
    conn: psycopg.Connection,
) -> None:
    add_frames(conn, jump())
    save(conn, "AB", **PATIENT)
    for close_at_end, expected in ((False, 2), (True, 0)):
        run_id = run(conn, portfolio={}, close_at_end=close_at_end).run_id
        row = conn.execute(
            "select open_positions from backtest.runs where run_id = %s", (run_id,)
        ).fetchone()
        assert row == (expected,)


def test_sweep_does_not_tell_of_each_run(conn: psycopg.Connection) -> None:
    add_frames(conn, jump())
    save(conn, "AB", **PATIENT)
    told = notices(conn)
    run(conn)
    assert len(told) == 1
    conn.execute(
        "select * from backtest.sweep('pairs', '{}', '{\"entry\": [2, 2.1]}', %s, %s)", (START, END)
    )
    opened = conn.execute("select distinct open_positions from backtest.runs").fetchall()
    assert opened == [(1,)]
    assert len([text for text in told if "still open" in text]) == 1


@pytest.mark.parametrize(
    ("universe", "traded"), [(["A", "B"], "AB"), (["B", "C", "A"], "ABC"), ("FEW", "BC")]
)
def test_run_universe_leaves_out_instances_with_a_leg_outside(
    conn: psycopg.Connection, universe: object, traded: str
) -> None:
    add_frames(conn, market(holes=0))
    for symbols in ("AB", "BC", "CD"):
        save(conn, symbols)
    for symbol in "BC":
        conn.execute(
            "select ref.record('index_members', %s, '2013-01-01')",
            (Jsonb({"index_name": "FEW", "symbol": symbol, "valid_from": "2013-01-01"}),),
        )
    run_id = run(conn, universe=universe).run_id
    assert set(executions(conn, run_id).symbol) == set(traded)
    row = conn.execute(
        "select parameters->'universe' from backtest.runs where run_id = %s", (run_id,)
    ).fetchone()
    assert row == (universe,)


@pytest.mark.parametrize(
    ("parameters", "error", "message"),
    [
        ({"universe": ["A", "BB"]}, UnknownObjectError, 'unknown symbol "BB" in universe.*"B"'),
        ({"universe": "FEV"}, UnknownObjectError, 'unknown index "FEV" as universe.*"FEW"'),
        ({"universe": []}, InputError, "list of symbols"),
        ({"universe": 7}, InputError, "list of symbols"),
        ({"universe": ["C", "D"]}, InputError, "no pair is valid in the window with every leg"),
        ({"universe": ["A"], "instances": [1]}, InputError, "give one of both"),
        ({"close_at_end": "perhaps"}, InputError, "cannot be read"),
        ({"close_at_ende": True}, InputError, 'did you mean "close_at_end"'),
        ({"univers": ["A"]}, InputError, 'did you mean "universe"'),
        ({"ent": 2}, InputError, 'did you mean "entry"'),
        ({"source": "dayly"}, InputError, 'did you mean "daily"'),
        ({"source": "quote"}, InputError, 'did you mean "quotes"'),
        ({"fill": "nxt"}, InputError, 'did you mean "next"'),
        ({"feed": "dail"}, UnknownObjectError, 'did you mean "daily"'),
        ({"costs": {"impact": 1}}, InputError, 'did you mean "impact_coefficient"'),
        ({"portfolio": {"max_gros": 1}}, InputError, 'did you mean "max_gross"'),
    ],
)
def test_run_name_that_is_none_is_told_the_nearest(
    conn: psycopg.Connection, parameters: dict[str, Any], error: type[Exception], message: str
) -> None:
    add_frames(conn, market("ABCD", holes=0))
    save(conn, "AB")
    conn.execute(
        "select ref.record('index_members', %s, '2013-01-01')",
        (Jsonb({"index_name": "FEW", "symbol": "B", "valid_from": "2013-01-01"}),),
    )
    with pytest.raises(error, match=message):
        backtest.run(conn, "pairs", parameters, START, END)
    assert conn.execute("select count(*) from backtest.runs").fetchone() == (0,)


@pytest.mark.parametrize("given", ["realistik", "REALISTIC", "real", "realistic costs"])
def test_run_cost_model_that_is_none_is_told_the_nearest(
    conn: psycopg.Connection, given: str
) -> None:
    with pytest.raises(
        UnknownObjectError, match=f'unknown cost model "{given}" .did you mean "realistic"'
    ):
        run(conn, given)


ROWS = {
    "signals": "(run_id, as_of, event) values (999, '2014-01-02', 'exit')",
    "orders": """(run_id, order_id, instrument_id, event, side, quantity, order_type, status, as_of)
        values (999, 1, 1, 'exit', 'buy', 1, 'market', 'filled', '2014-01-02')""",
    "executions": """(run_id, execution_id, order_id, instrument_id, side, quantity, price, fee, slippage, ts)
        values (999, 1, 1, 1, 'buy', 1, 1, 0, 0, '2014-01-02')""",
    "equity": "(run_id, as_of, equity) values (999, '2014-01-02', 1)",
}


def test_rows_of_a_run_that_does_not_exist_are_refused_and_go_with_their_run(
    conn: psycopg.Connection, connect_as: Callable[..., psycopg.Connection]
) -> None:
    add_frames(conn, jump())
    save(conn, "AB", **PATIENT)
    quant = connect_as("tsdb_quant")
    kept, gone = run(quant).run_id, run(quant).run_id
    before = {
        table: quant.execute(
            f"select count(*) from backtest.{table} where run_id = %s", (kept,)
        ).fetchone()
        for table in ROWS
    }
    for table, row in ROWS.items():
        with pytest.raises(psycopg.errors.ForeignKeyViolation, match="run 999 does not exist"):
            quant.execute(f"insert into backtest.{table} {row}")
        with pytest.raises(psycopg.errors.ForeignKeyViolation, match="run 998 does not exist"):
            quant.execute(f"update backtest.{table} set run_id = 998 where run_id = %s", (gone,))
    quant.execute("delete from backtest.runs where run_id = %s", (gone,))
    for table in ROWS:
        rows = quant.execute(
            f"select run_id, count(*) from backtest.{table} group by run_id"
        ).fetchall()
        assert rows == [(kept, *(before[table] or ()))]
        assert np.all([count > 0 for _, count in rows])
