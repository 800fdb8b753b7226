"""DBN files in the database: counted, resumable, quarantined, loaded by the command."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from dbn_files import PRICE, bar, bbo, definition, file_bytes, mbo, mbp1, metadata, trade, write
from tsdb_trader.errors import InputError
from tsdb_trader.feeds import base, loader
from tsdb_trader.feeds.store import Counts, SourceWriter


def mixed(count: int = 40) -> bytes:
    """Return a file of all kinds of records, the last cut short, two of them wrong."""
    records = [mbo(i) for i in range(count)]
    records += [trade(), mbp1(), bbo(), bar(), definition(), mbo(price=1), mbo(instrument_id=99)]
    return file_bytes(records) + bytes(mbo())[:20]


def counts(conn) -> tuple:
    return conn.execute(
        """select (select count(*) from market._book_events), (select count(*) from market._trades),
                  (select count(*) from market._quotes), (select count(*) from market._source_bars),
                  (select count(*) from market.statuses), (select count(*) from market.quarantine)"""
    ).fetchone()


def test_load_every_record_is_stored_or_quarantined(conn, tmp_path):
    path = write(tmp_path / "a.dbn.zst", mixed())
    report = loader.load(conn, "dbn", [path])
    assert report.total() == Counts(48, 45, 3)
    assert counts(conn) == (40, 1, 2, 1, 1, 3)
    assert conn.execute(
        "select position, reason from market.quarantine order by position"
    ).fetchall() == [(45, "too_precise"), (46, "unknown_instrument"), (47, "truncated")]
    assert conn.execute(
        "select symbol, kind, price_scale from ref.instruments order by symbol"
    ).fetchall() == [("ESH4", "future", 4)]
    assert loader.load(conn, "dbn", [path]).already_loaded == 1
    assert counts(conn) == (40, 1, 2, 1, 1, 3)


def test_load_that_stops_goes_on_where_it_stood(conn, tmp_path, monkeypatch):
    monkeypatch.setattr(base, "BLOCK_ROWS", 10)
    path = write(tmp_path / "a.dbn.zst", mixed())
    real = SourceWriter.write
    written = []

    def fail(self, built, **settings):
        if len(written) == 3:
            raise OSError("gone")
        written.append(built)
        return real(self, built, **settings)

    monkeypatch.setattr(SourceWriter, "write", fail)
    with pytest.raises(OSError, match="gone"):
        loader.load(conn, "dbn", [path])
    monkeypatch.setattr(SourceWriter, "write", real)
    report = loader.load(conn, "dbn", [path])
    assert (report.files[0].status, report.total()) == ("resumed", Counts(18, 15, 3))
    assert counts(conn) == (40, 1, 2, 1, 1, 3)
    assert conn.execute("select count(distinct seq) from market._book_events").fetchone() == (40,)


def test_load_of_bytes_that_lead_nowhere_keeps_what_came_before(conn, tmp_path, monkeypatch):
    monkeypatch.setattr(base, "BLOCK_ROWS", 10)
    path = write(tmp_path / "a.dbn", file_bytes([mbo(i) for i in range(30)]) + bytes(64))
    with pytest.raises(InputError, match=r"a\.dbn: record 30 says"):
        loader.load(conn, "dbn", [path])
    assert counts(conn) == (0, 0, 0, 0, 0, 0)


def test_load_prices_keep_their_decimals(conn, tmp_path):
    records = [mbo(0, price=-PRICE // 2**8), mbo(1, price=110 * PRICE + PRICE // 2**8)]
    loader.load(conn, "dbn", [write(tmp_path / "a.dbn", file_bytes(records))])
    assert conn.execute(
        "select price, size, side from market.book_events order by seq"
    ).fetchall() == [(-0.00390625, 2.0, "bid"), (110.00390625, 2.0, "bid")]


def test_load_two_days_goes_on_with_the_book_and_snapshots_start_it_anew(conn, tmp_path):
    day = 86_400 * 10**9
    first = file_bytes([mbo(0), mbo(1, price=4_800 * PRICE)], metadata(limit=1))
    told = {"flags": 32 | 128, "ts_event": mbo(0).ts_event, "ts_recv": mbo(0).ts_event + day}
    second = file_bytes([mbo(7, **told)], metadata(limit=2))
    for name, content in (("a.dbn", first), ("b.dbn", second)):
        loader.load(conn, "dbn", [write(tmp_path / name, content)])
    query = "select price, orders from market.book_at(ref.instrument_id('ESH4'), %s, 5)"
    assert conn.execute(query, ("2024-03-04 15:00",)).fetchall() == [(4_800.0, 1), (4_799.25, 1)]
    assert conn.execute(query, ("2024-03-06",)).fetchall() == [(4_799.25, 1)]


def test_command_loads_and_makes_snapshots(conn, database, tmp_path):
    path = write(tmp_path / "a.dbn.zst", file_bytes([mbo(i) for i in range(5_100)]))
    done = subprocess.run(
        [sys.executable, "-m", "tsdb_trader", "load", "dbn", str(path), "--json"],
        env={**os.environ, "TSDB_TRADER_DATABASE_URL": database},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert report["book_events"] == {"read": 5_100, "stored": 5_100, "quarantined": 0}
    assert conn.execute("select event_count from market.book_snapshots").fetchall() == [(5_000,)]
