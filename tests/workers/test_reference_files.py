"""LEAN's factor and map files, CSV uploads, and what they do to real daily series."""

from __future__ import annotations

import csv
import gzip
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from datetime import date, timedelta
from decimal import Decimal
from fractions import Fraction
from pathlib import Path

import psycopg
import pytest

from daily_bars import add_bars
from factories import add_instrument
from lean_files import QUOTES, archive
from tsdb_trader.api import reference
from tsdb_trader.errors import InputError
from tsdb_trader.feeds import loader
from tsdb_trader.refdata import lean, upload

FACTORS = """\
20140101,0.9,0.1428571,1
20140606,0.9,0.1428571,645.57
20140806,0.95,1,94.97
20501231,1,1,0
"""
MAP = "20140101,old,Q\n20140630,old,Q\n20501231,new,N\n"


def lean_folder(folder: Path, factors: str = FACTORS, symbols: str = MAP) -> Path:
    for name, text in (("factor_files", factors), ("map_files", symbols)):
        if text:
            (folder / name).mkdir(parents=True)
            (folder / name / "new.csv").write_text(text)
    return folder


def command(database: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "tsdb_trader", "ref", *arguments],
        env={**os.environ, "TSDB_TRADER_DATABASE_URL": database},
        capture_output=True,
        text=True,
        check=False,
    )


def test_load_lean_twice_records_once(conn, tmp_path):
    lean_folder(tmp_path)
    report = upload.load_lean(conn, tmp_path)
    assert report.instruments == 1
    assert {kind: dict(n) for kind, n in report.facts.items()} == {
        "symbols": {"recorded": 2},
        "listings": {"recorded": 2},
        "splits": {"recorded": 1},
        "dividends": {"recorded": 2},
    }
    again = upload.load_lean(conn, tmp_path)
    assert {outcome for n in again.facts.values() for outcome in n} == {"unchanged"}
    assert conn.execute(
        "select ex_date, new_shares, old_shares, known_at::date from ref.splits"
    ).fetchall() == [(date(2014, 6, 9), 7, 1, date(2014, 6, 9))]
    ids = {
        (symbol, day): reference_id(conn, symbol, day)
        for symbol, day in (("OLD", "2014-06-30"), ("NEW", "2014-07-01"))
    }
    assert len(set(ids.values())) == 1


def reference_id(conn: psycopg.Connection, symbol: str, day: str) -> int:
    row = conn.execute("select ref.instrument_id(%s, %s)", (symbol, day)).fetchone()
    assert row is not None
    return int(row[0])


UNUSABLE = [
    ("20140101,0.9\n", MAP, "row 1: 2 fields"),
    ("2014-01-01,0.9,1,1\n", MAP, "is no date"),
    ("20140101,0.9,1,1\n20130101,1,1,0\n", MAP, "comes after"),
    ("20140101,nan,1,1\n", MAP, "'nan' is no positive number of usual size"),
    ("20140101,0.9,0,1\n", MAP, "'0' is no positive number of usual size"),
    ("20140101,0.9,1,0\n20501231,1,1,0\n", MAP, "no dividend explains"),
    ("20140101,1.1,1,5\n20501231,1,1,0\n", MAP, "no dividend explains"),
    ("", MAP.replace(",N", ",?"), "unknown exchange '?'"),
    ("", "20140101,old,Q\n", "has one row"),
    ("", "\n", "is empty"),
    ("", "", "no map_files"),
    (FACTORS, MAP.replace("new,", "n?w,"), "breaks the rule symbols_symbol_check"),
]


def test_load_lean_unusable_file_is_named_and_nothing_recorded(conn, tmp_path):
    for number, (factors, symbols, text) in enumerate(UNUSABLE):
        with pytest.raises(InputError) as caught:
            upload.load_lean(conn, lean_folder(tmp_path / str(number), factors, symbols))
        assert text in str(caught.value)
        assert conn.execute("select count(*) from ref.symbols").fetchone() == (0,)
        assert conn.execute("select count(*) from ref.instruments").fetchone() == (0,)


def test_load_lean_ticks_under_a_symbol_that_was_anothers_are_told(conn, tmp_path):
    old = add_instrument(conn, "OLD")
    conn.execute("insert into ops.feeds (feed, format) values ('ticks', 'lean')")
    conn.execute(
        """insert into market.sources (feed_id, sha256, content, name, kind, instrument_id, first_ts)
           select feed_id, '', '', 'old.zip', 'trades', %s, '2014-06-02' from ops.feeds""",
        (old,),
    )
    notes = upload.load_lean(conn, lean_folder(tmp_path)).notes
    assert len(notes) == 1
    assert notes[0].startswith("old.zip: OLD was the symbol of instrument")


def test_load_file_of_a_day_goes_to_who_had_the_symbol_then(conn, tmp_path):
    lean_folder(tmp_path / "reference", "", "20130101,old,Q\n20131007,old,Q\n20501231,new,N\n")
    upload.load_lean(conn, tmp_path / "reference")
    for day in ("20131007", "20131008"):
        loader.load(conn, "lean", [archive(tmp_path / day, QUOTES, symbol="old", day=day)])
    rows = conn.execute(
        """select i.symbol, s.content from market.sources s
           join ref.instruments i using (instrument_id) order by s.content"""
    ).fetchall()
    # On the second day nobody is known to have had the symbol: it is a new instrument.
    assert rows == [("NEW", "OLD/2013-10-07/quotes"), ("OLD", "OLD/2013-10-08/quotes")]


def test_load_csv_wrong_rows_are_all_told_and_nothing_is_recorded(conn, tmp_path):
    add_instrument(conn, "IBM")
    path = tmp_path / "dividends.csv"
    path.write_text(
        "symbol,ex_date,amount\nIBM,2020-02-06,1.62\nIBN,2020-02-06,1\nIBM,2020-02-31,1\n"
        "IBM,2020-05-07,-1\n"
    )
    with pytest.raises(InputError) as caught:
        upload.load_csv(conn, "dividends", path)
    lines = str(caught.value).splitlines()
    assert lines[0] == "3 rows cannot be recorded, nothing was:"
    assert [line.split(": ")[0].rpartition(", ")[2] for line in lines[1:]] == [
        "row 3",
        "row 4",
        "row 5",
    ]
    assert conn.execute("select count(*) from ref.dividends").fetchone() == (0,)


DAMAGED = [
    (b"symbol,ex_date,amount\nIBM,2020-02-06\n", "row 2: 2 fields, the header has 3"),
    (b"symbol,symbol\nIBM,IBM\n", "each column once"),
    (b"symbol,ex_date,amount\n\xff,2020-02-06,1\n", "cannot read"),
    (b"symbol,ex_date,amount\nI\0M,2020-02-06,1\n", "row 2"),
    (b'symbol,ex_date,amount\n"IBM,2020-02-06,1\n', "cannot read"),
    (b"symbol,ex_date,amount,known_at\nIBM,2020-02-06,1,soon\n", "'soon' is no ISO time"),
    (b"symbol,ex_date,price\nIBM,2020-02-06,1\n", "unknown price"),
    (b"", "each column once"),
]


def test_load_csv_damaged_file_is_an_input_error(conn, tmp_path):
    add_instrument(conn, "IBM")
    path = tmp_path / "dividends.csv"
    for content, text in DAMAGED:
        path.write_bytes(content)
        with pytest.raises(InputError, match=text):
            upload.load_csv(conn, "dividends", path)


def test_ref_command_loads_corrects_and_shows_counts(conn, database, tmp_path):
    path = tmp_path / "members.csv"
    path.write_text(
        "index_name,symbol,valid_from,valid_to\nSPX,IBM,1957-03-04,\nSPX,GE,1957-03-04,2018-06-26\n"
    )
    refused = command(database, "load", "index_members", str(path))
    assert (refused.returncode, "nobody had the symbol IBM" in refused.stderr) == (5, True)
    arguments = ("load", "index_members", str(path), "--register", "--known", "effective", "--json")
    done = command(database, *arguments)
    assert json.loads(done.stdout) == {
        "facts": {"index_members": {"recorded": 2}},
        "instruments": 2,
        "notes": [],
    }
    path.write_text(path.read_text().replace("2018-06-26", "2018-06-25"))
    assert json.loads(command(database, *arguments).stdout)["facts"] == {
        "index_members": {"unchanged": 1, "corrected": 1}
    }
    members = reference.universe(conn, "SPX", date(2018, 6, 25))
    assert [m.symbol for m in members] == ["IBM"]
    calendar = command(database, "calendar", "XNYS", "--from", "2024-01-01", "--to", "2024-01-31")
    assert "sessions 21" in calendar.stdout, calendar.stderr
    wrong = command(database, "calendar", "XNYS", "--from", "01/02/2024")
    assert (wrong.returncode, "write it as 2024-12-31" in wrong.stderr) == (5, True)


@pytest.fixture(scope="module")
def adjusted(server, clones, data_folder) -> Iterator[psycopg.Connection]:
    """Return a connection to a database with the real factor and map files."""
    name = clones.take()
    with psycopg.connect(server.url(database=name), autocommit=True) as connection:
        report = upload.load_lean(connection, data_folder / "daily_adjustments")
        assert sum(n["recorded"] for n in report.facts.values()) == 919
        assert report.notes == [
            "GBSN has no map file: taken as its symbol from 2014-09-30 on",
            "NWSA has no map file: taken as its symbol from 2013-06-29 on",
        ]
        yield connection
    clones.give_back(name)


def printed_like(value: Decimal, printed: Decimal) -> bool:
    """Say whether a value is a printed one, as far as that has digits."""
    exponent = printed.normalize().as_tuple().exponent
    return abs(value - printed) <= Decimal(5).scaleb(min(int(exponent), 0) - 1)


def test_factor_files_every_row_is_reproduced_to_its_printed_digits(adjusted, data_folder):
    rows_checked, unlike = 0, {}
    for path in sorted((data_folder / "daily_adjustments" / "factor_files").glob("*.csv")):
        rows = lean.read_factor_file(path)[:-1]
        ids = reference.instrument_ids(adjusted, [lean.instrument_name(path)])
        (instrument_id,) = ids.values()
        # The closes of the files' dates are all that the factors depend on; one bar lies after.
        bars = {row.day: row.reference_price for row in rows}
        bars[rows[-1].day + timedelta(days=7)] = Decimal(1)
        add_bars(adjusted, instrument_id, bars, feed="lean")
        found = {
            day: (split, price)
            for day, split, price in adjusted.execute(
                """select date, split_factor, price_factor
                   from market.adjusted_daily(%s, '1990-01-01', '2050-01-01', p_feed => 'lean')""",
                (instrument_id,),
            )
        }
        for row in rows:
            split, price = found[row.day]
            rows_checked += 1
            assert printed_like(price, row.price_factor), (path, row)
            if not printed_like(split, row.split_factor):
                unlike.setdefault((path.name, str(row.split_factor)), []).append(split)
    assert rows_checked == 875
    # The vendor multiplied rounded factors here: 64/9 and 1/9 are what the splits make.
    assert {key: len(found) for key, found in unlike.items()} == {
        ("aig.csv", "7.11111022"): 4,
        ("eem.csv", "0.11111099"): 5,
    }
    assert all(abs(s - Decimal(64) / 9) < Decimal("1e-18") for s in unlike["aig.csv", "7.11111022"])
    assert all(abs(s - Decimal(1) / 9) < Decimal("1e-18") for s in unlike["eem.csv", "0.11111099"])


def test_factor_files_dividends_and_splits_are_those_that_were_paid(adjusted):
    """Figures as the companies announced them, which the files do not hold."""
    paid = {
        ("AAPL", "2012-11-07"): "2.65",
        ("AAPL", "2014-05-08"): "3.29",
        ("AAPL", "2014-08-07"): "0.47",
        ("AAPL", "2020-08-07"): "0.82",
        ("IBM", "2020-05-07"): "1.63",
        ("BAC", "2013-12-04"): "0.01",
        ("AIG", "2013-12-03"): "0.10",
        ("NWSA", "2015-09-14"): "0.10",
    }
    for (symbol, day), amount in paid.items():
        row = adjusted.execute(
            """select amount from ref.dividends
               where instrument_id = ref.instrument_id(%s, %s) and ex_date = %s""",
            (symbol, day, day),
        ).fetchone()
        assert row is not None, (symbol, day)
        assert abs(row[0] - Decimal(amount)) < Decimal("0.0002"), (symbol, day)
    splits = adjusted.execute(
        """select ref.symbol(instrument_id, ex_date), ex_date::text, new_shares, old_shares
           from ref.splits
           where ex_date in ('2014-06-09', '2020-08-31', '2009-07-01', '2020-04-29', '1999-05-27')
           order by ex_date"""
    ).fetchall()
    assert splits == [
        ("IBM", "1999-05-27", 2, 1),
        ("AIG", "2009-07-01", 1, 20),
        ("AAPL", "2014-06-09", 7, 1),
        ("USO", "2020-04-29", 1, 8),
        ("AAPL", "2020-08-31", 4, 1),
    ]


def test_map_files_symbols_resolve_by_date(adjusted):
    def name(symbol: str, day: str) -> str | None:
        row = adjusted.execute(
            """select symbol from ref.instruments
               where instrument_id = ref._find_instrument(%s, %s)""",
            (symbol, day),
        ).fetchone()
        return None if row is None else str(row[0])

    asked = {
        ("GOOG", "2014-04-02"): "GOOGL",
        ("GOOG", "2014-04-03"): "GOOG",
        ("GOOCV", "2014-04-02"): "GOOG",
        ("GOOGL", "2014-04-02"): None,
        ("GOOGL", "2014-04-03"): "GOOGL",
        ("FB", "2003-03-28"): "FB.1",
        ("FB", "2010-01-04"): None,
        ("FB", "2012-05-18"): "FB",
        ("TWX", "2001-01-11"): "TWX.1",
        ("TWX", "2003-10-15"): None,
        ("AOL", "2003-10-15"): "TWX",
        ("TWX", "2003-10-16"): "TWX",
        ("TWX", "2018-06-16"): None,
        ("NWSA", "2013-06-28"): "TFCFA",
        ("NWSA", "2013-07-01"): "NWSA",
        ("FOXA", "2013-07-01"): "TFCFA",
        ("FOXA", "2019-03-19"): None,
        ("TFCFA", "2019-03-20"): "TFCFA",
        ("VXX", "2019-01-29"): "VXX.1",
        ("VXX", "2019-03-01"): None,
        ("VXXB", "2019-03-01"): "VXX",
        ("QQQQ", "2008-01-02"): "QQQ",
        ("QQQ", "2008-01-02"): None,
        ("WMI", "2009-08-04"): "WM",
        ("TAPA", "2012-12-31"): "TAP.A",
        ("SPWRA", "2010-01-04"): "SPWR",
    }
    assert {key: name(*key) for key in asked} == asked


SHARED = {
    "AAPL": "AAPL",
    "AIG": "AIG",
    "BAC": "BAC",
    "IBM": "IBM",
    "TWX": "TWX",
    "WM": "WM",
    "FOXA": "TFCFA",
    "NWSA": "NWSA",
}


def test_factor_files_reference_prices_are_the_closes_of_the_sp500_file(adjusted, data_folder):
    """Two vendors: reference price times split factor is the other one's split-adjusted close."""
    path = data_folder / "sp500_daily" / "all_stocks_5yr_20130208-20180207.csv.gz"
    with gzip.open(path, "rt") as file:
        closes = {
            (row["Name"], row["date"]): Decimal(row["close"])
            for row in csv.DictReader(file)
            if row["Name"] in SHARED
        }
    folder = data_folder / "daily_adjustments" / "factor_files"
    compared, unlike = 0, set()
    for symbol, name in SHARED.items():
        rows = lean.read_factor_file(folder / f"{name.lower()}.csv")
        # That file is adjusted for splits up to February 2018.
        later = Fraction(1)
        for split in lean.derive_actions(folder, rows)[0]:
            if split.ex_date > date(2018, 2, 7):
                later *= Fraction(split.new_shares) / Fraction(split.old_shares)
        for row in rows[1:-1]:
            close = closes.get((symbol, str(row.day)))
            if close is None:
                continue
            compared += 1
            ours = Fraction(row.reference_price) * Fraction(row.split_factor) * later
            # Closing auction or last trade of the tape: cents apart.
            if abs(ours / Fraction(close) - 1) > Fraction(1, 1000):
                unlike.add((symbol, str(row.day)))
    assert compared == 135
    # FOXA, TWX: last day before a spin-off, which the other file has without the child's value;
    # TWX in May: another last trade, inside of that day's range.
    assert unlike == {("FOXA", "2013-06-28"), ("TWX", "2014-06-06"), ("TWX", "2014-05-20")}


def test_sectors_and_status_from_the_command_line(conn, database, tmp_path):
    for symbol in ("IBM", "KO"):
        add_instrument(conn, symbol)
    file = tmp_path / "sectors.csv"
    file.write_text("symbol,sector\nIBM,tech\nNONE,drinks\n")
    refused = command(database, "sectors", str(file))
    assert refused.returncode == 5, refused.stderr
    assert "NONE" in refused.stderr
    done = command(database, "sectors", str(file), "--known-only")
    assert done.stdout == "sectors of 1 instruments, 1 left out\n", done.stderr
    done = command(database, "status", "KO", "restricted", "--reason", "own takeover")
    assert done.stdout == "KO is restricted\n", done.stderr
    found = conn.execute("select symbol, sector, status from ref.instruments order by 1").fetchall()
    assert found == [("IBM", "tech", "active"), ("KO", None, "restricted")]
