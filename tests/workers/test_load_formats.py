"""tsdb-trader load of every file format: once, and as the database shows it."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tsdb_trader.errors import InputError
from tsdb_trader.feeds import base, loader
from tsdb_trader.feeds.base import Options
from tsdb_trader.feeds.store import Counts

MAPPING = """
kind = "trades"
symbol = "s"
time = { column = "t", format = "ms" }
[instrument]
kind = "crypto"
price_scale = 2
size_scale = 8
[columns]
price = "p"
size = "q"
trade_id = "id"
"""
ROWS = """\
t,s,p,q,id
1000,BTC-USD,100.25,0.00000001,1
1001,ETH-USD,7,2.5,2
1001,BTC-USD,100.255,1,3
1001,BTC-USD,100.5,1,4
"""


@pytest.fixture
def mapping(tmp_path: Path) -> Path:
    path = tmp_path / "m.toml"
    path.write_text(MAPPING)
    return path


@pytest.mark.parametrize("block_rows", [1, 2, 100])
def test_load_csv_of_many_instruments_shows_exact_decimals(
    conn, tmp_path, mapping, monkeypatch, block_rows
):
    monkeypatch.setattr(base, "BLOCK_ROWS", block_rows)
    path = tmp_path / "f.csv"
    path.write_text(ROWS)
    report = loader.load(conn, "csv", [path], options=Options(mapping))
    assert report.total() == Counts(4, 3, 1)
    assert conn.execute(
        """select i.symbol, i.kind, t.ts, t.price::numeric / 10 ^ i.price_scale::numeric,
                  t.size::numeric / 10 ^ i.size_scale::numeric, t.trade_id
           from market._trades t join ref.instruments i using (instrument_id) order by t.seq"""
    ).fetchall() == [
        ("BTC-USD", "crypto", datetime(1970, 1, 1, 0, 0, 1, tzinfo=UTC), Decimal("100.25"), Decimal("0.00000001"), 1),
        ("ETH-USD", "crypto", datetime(1970, 1, 1, 0, 0, 1, 1000, tzinfo=UTC), 7, Decimal("2.5"), 2),
        ("BTC-USD", "crypto", datetime(1970, 1, 1, 0, 0, 1, 1000, tzinfo=UTC), Decimal("100.5"), 1, 4),
    ]  # fmt: skip
    assert conn.execute("select reason, position, raw from market.quarantine").fetchall() == [
        ("too_precise", 2, "1001,BTC-USD,100.255,1,3")
    ]
    assert loader.load(conn, "csv", [path], options=Options(mapping)).already_loaded == 1


def test_load_csv_interrupted_goes_on_where_it_stopped(conn, tmp_path, mapping, monkeypatch):
    monkeypatch.setattr(base, "BLOCK_ROWS", 2)
    path = tmp_path / "f.csv"
    path.write_text(ROWS)

    class Stopped(loader.Silent):
        def rows(self, done: int) -> None:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        loader.load(conn, "csv", [path], options=Options(mapping), progress=Stopped())
    report = loader.load(conn, "csv", [path], options=Options(mapping))
    assert (report.files[0].status, report.total()) == ("resumed", Counts(2, 1, 1))
    assert conn.execute("select count(*), max(seq) from market._trades").fetchone() == (3, 3)


def test_load_same_bytes_by_another_name_are_known(conn, tmp_path, mapping):
    (tmp_path / "f.csv").write_text(ROWS)
    (tmp_path / "copy.csv").write_text(ROWS)
    report = loader.load(conn, "csv", [tmp_path], options=Options(mapping))
    assert (report.total().stored, report.already_loaded) == (3, 1)
    (tmp_path / "f.csv").rename(tmp_path / "renamed.csv")
    report = loader.load(conn, "csv", [tmp_path], options=Options(mapping))
    assert (report.total().stored, report.already_loaded) == (0, 2)


def test_load_file_that_grew_is_refused(conn, tmp_path, mapping):
    path = tmp_path / "f.csv"
    path.write_text(ROWS)
    loader.load(conn, "csv", [path], options=Options(mapping))
    path.write_text(ROWS + "1002,ABC,1,1,5\n")
    with pytest.raises(InputError, match="from other bytes"):
        loader.load(conn, "csv", [path], options=Options(mapping))


def test_load_series_are_stored_as_written_with_their_publication(conn, tmp_path):
    mapping = tmp_path / "m.toml"
    mapping.write_text(
        'kind = "series"\ntime = "month"\nrecv_time = "published"\n'
        '[columns]\nseries = { constant = "cpi" }\nvalue = "v"\n'
    )
    path = tmp_path / "f.csv"
    path.write_text("month,published,v\n2013-01-01,2013-02-15,229.594\n2013-02-01,2013-03-15,x\n")
    report = loader.load(conn, "csv", [path], options=Options(mapping))
    assert report.total() == Counts(2, 1, 1)
    assert conn.execute(
        "select ts, recv_ts, instrument_id, series, value from market.alt_series"
    ).fetchall() == [
        (
            datetime(2013, 1, 1, tzinfo=UTC),
            datetime(2013, 2, 15, tzinfo=UTC),
            None,
            "cpi",
            Decimal("229.594"),
        )
    ]


def test_load_parquet_symbol_from_the_command_line(conn, tmp_path):
    mapping = tmp_path / "m.toml"
    mapping.write_text(
        'kind = "bars"\ntime = "t"\n[columns]\nclose = "c"\nresolution = { constant = "1h" }\n'
    )
    path = tmp_path / "f.parquet"
    stamp = pa.array([datetime(2013, 10, 7, 9, 30)], pa.timestamp("us"))  # noqa: DTZ001
    pq.write_table(pa.table({"t": stamp, "c": [157.84]}), path)
    options = Options(mapping, symbol="XYZ", timezone="America/New_York")
    loader.load(conn, "parquet", [tmp_path], options=options)
    assert conn.execute(
        """select i.symbol, b.ts, b.close, b.open, b.resolution, b.side
           from market._source_bars b join ref.instruments i using (instrument_id)"""
    ).fetchall() == [
        ("XYZ", datetime(2013, 10, 7, 13, 30, tzinfo=UTC), 1578400, None, "1h", "trade")
    ]


def test_load_file_that_is_refused_leaves_nothing_behind(conn, tmp_path, mapping):
    path = tmp_path / "f.csv"
    path.write_text(ROWS.replace("t,s", "t,sym"))
    with pytest.raises(InputError, match="no column 's'"):
        loader.load(conn, "csv", [path], options=Options(mapping))
    assert conn.execute("select count(*) from market.sources").fetchone() == (0,)


@pytest.mark.needs_data
def test_load_two_brokers_into_one_feed_keeps_them_apart(conn, data_folder):
    report = loader.load(conn, "lean", [data_folder / "fx_ticks"])
    assert report.total() == Counts(220_979, 220_979, 0)
    assert conn.execute(
        "select exchange, count(*) from market._quotes group by 1 order by 1"
    ).fetchall() == [("FXCM", 147_459), ("OANDA", 73_520)]
    assert conn.execute(
        "select symbol, kind, currency, price_scale from ref.instruments"
    ).fetchall() == [("EURUSD", "fx", "USD", 5)]


@pytest.mark.needs_data
@pytest.mark.slow
def test_load_daily_and_taq_counts_are_those_of_the_catalog(conn, data_folder):
    daily = loader.load(conn, "daily", [data_folder / "sp500_daily"])
    assert daily.total() == Counts(619_040, 619_036, 4)
    assert conn.execute(
        "select count(distinct instrument_id) from market._source_bars"
    ).fetchone() == (505,)
    taq = loader.load(conn, "taq", [data_folder / "taq_raw"])
    assert (taq.total("quotes").stored, taq.total("trades").stored) == (131_401, 77_263)
    # Opening and closing auctions, which fixes the time zone of the file.
    assert conn.execute(
        """select distinct (ts at time zone 'America/New_York')::time(0)::text from market._trades
           where conditions in ('O', '6') order by 1"""
    ).fetchall() == [("09:30:00",), ("16:00:07",), ("16:00:11",)]
    assert conn.execute("select count(*) from market._trades where flags & 128 > 0").fetchone() == (
        2,
    )
