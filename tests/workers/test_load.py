"""tsdb-trader load: once and only once, whatever happens in between."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import psycopg
import pytest

from lean_files import QUOTES, TRADES, archive
from tsdb_trader import db
from tsdb_trader.errors import ConflictError, InputError, UnknownObjectError
from tsdb_trader.feeds import base, loader, pgcopy
from tsdb_trader.feeds.base import DataFile, Options
from tsdb_trader.feeds.sample import generate
from tsdb_trader.feeds.store import Counts

BAD = """\
34200002,1000000,200,0,0,P,1
34200002,0,0,0,0,P,1,0
34200002,1010000,200,1000000,200,P,1,0
34199999,1000000,200,0,0,P,1,0
"""


def counts(conn: psycopg.Connection) -> tuple[Any, ...]:
    row = conn.execute(
        """select (select count(*) from market._quotes), (select count(*) from market._trades),
                  (select count(*) from market.quarantine)"""
    ).fetchone()
    assert row is not None
    return row


def command(database: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "tsdb_trader", "load", *arguments],
        env={**os.environ, "TSDB_TRADER_DATABASE_URL": database},
        capture_output=True,
        text=True,
        check=False,
    )


def test_load_bad_rows_are_quarantined_with_reason_row_and_text(conn, tmp_path):
    path = archive(tmp_path, QUOTES + BAD)
    report = loader.load(conn, "lean", [path])
    assert report.total("quotes") == Counts(9, 5, 4)
    assert conn.execute(
        "select source, position, reason, raw from market.quarantine order by position"
    ).fetchall() == [
        (str(path), 5 + i, reason, raw)
        for i, (reason, raw) in enumerate(
            zip(("malformed", "zero_price", "crossed", "time_backwards"), BAD.split(), strict=True)
        )
    ]
    assert conn.execute(
        "select status, rows_read, rows_stored, rows_quarantined, next_row from market.sources"
    ).fetchone() == ("complete", 9, 5, 4, 9)


@pytest.mark.parametrize("block_rows", [1, 2, 3, 100])
def test_load_any_block_size_stores_the_same(conn, tmp_path, monkeypatch, block_rows):
    path = archive(tmp_path, BAD[:30] + QUOTES + BAD)
    loader.load(conn, "lean", [path], feed="reference")
    monkeypatch.setattr(base, "BLOCK_ROWS", block_rows)
    loader.load(conn, "lean", [path])
    columns = "ts, seq, bid_price, bid_size, ask_price, ask_size, flags, exchange, conditions"
    found = [
        conn.execute(
            f"select {columns} from market.quotes join ops.feeds using (feed_id) "
            "where feed = %s order by seq",
            (feed,),
        ).fetchall()
        for feed in ("reference", "lean")
    ]
    assert found[0] == found[1]
    assert conn.execute("select count(distinct rows_stored) from market.sources").fetchone() == (1,)


def test_load_twice_stores_nothing_twice(conn, tmp_path):
    archive(tmp_path, QUOTES + BAD)
    archive(tmp_path, TRADES, "trade")
    first = loader.load(conn, "lean", [tmp_path])
    before = counts(conn)
    second = loader.load(conn, "lean", [tmp_path])
    assert (first.already_loaded, second.already_loaded) == (0, 2)
    assert second.total("quotes") == Counts()
    assert counts(conn) == before == (5, 4, 4)


def test_load_same_rows_packed_anew_are_known(conn, tmp_path):
    loader.load(conn, "lean", [archive(tmp_path, QUOTES)])
    path = tmp_path / "abc" / "20131007_quote.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as packed:
        packed.writestr("20131007_abc_Quote_Tick.csv", QUOTES)
    assert loader.load(conn, "lean", [path]).already_loaded == 1


def test_load_other_bytes_of_the_same_content_are_refused(conn, tmp_path):
    loader.load(conn, "lean", [archive(tmp_path, QUOTES)])
    changed = archive(tmp_path / "new", QUOTES + QUOTES.splitlines()[-1])
    with pytest.raises(InputError, match=f"{changed}.*from other bytes"):
        loader.load(conn, "lean", [changed])
    assert counts(conn) == (5, 0, 0)
    assert loader.load(conn, "lean", [changed], feed="new").total("quotes").stored == 6


def test_load_same_bytes_of_two_symbols_are_two_sources(conn, tmp_path):
    archive(tmp_path, QUOTES)
    archive(tmp_path, QUOTES, symbol="xyz")
    assert loader.load(conn, "lean", [tmp_path]).total("quotes").stored == 10


def test_load_known_only_refuses_a_new_symbol(conn, tmp_path):
    path = archive(tmp_path, QUOTES)
    with pytest.raises(UnknownObjectError, match=f"{path}.*ABC is not registered"):
        loader.load(conn, "lean", [path], known_only=True)
    assert conn.execute("select count(*) from ref.instruments").fetchone() == (0,)
    assert conn.execute("select count(*) from ops.feeds").fetchone() == (0,)


def test_load_symbol_with_too_few_decimals_is_an_error(conn, tmp_path):
    conn.execute("select ref.add_instrument('ABC', p_price_scale => 2)")
    with pytest.raises(InputError, match="keeps 2"):
        loader.load(conn, "lean", [archive(tmp_path, QUOTES)])
    assert counts(conn) == (0, 0, 0)


def test_load_into_a_feed_of_another_format_is_refused(conn, tmp_path):
    conn.execute("insert into ops.feeds (feed, format) values ('itch', 'itch')")
    with pytest.raises(ConflictError, match="feed itch holds itch"):
        loader.load(conn, "lean", [archive(tmp_path, QUOTES)], feed="itch")


def test_load_damaged_container_anywhere_stores_nothing(conn, tmp_path):
    archive(tmp_path, QUOTES)
    damaged = archive(tmp_path, TRADES * 100, "trade", "zzz")
    content = bytearray(damaged.read_bytes())
    content[70] ^= 0xFF
    damaged.write_bytes(content)
    with pytest.raises(InputError, match=r"zzz.*damaged"):
        loader.load(conn, "lean", [tmp_path])
    assert counts(conn) == (0, 0, 0)


def test_load_file_that_changes_meanwhile_is_an_error(conn, tmp_path, monkeypatch):
    monkeypatch.setattr(loader, "KEPT_BYTES", 0)
    path = archive(tmp_path, QUOTES)
    opened = loader.LeanFormat.open

    def changed(self, file):
        content = opened(self, file)
        os.utime(path, (1, 1))
        return content

    monkeypatch.setattr(loader.LeanFormat, "open", changed)
    with pytest.raises(InputError, match="changed while it was loaded"):
        loader.load(conn, "lean", [path])
    assert counts(conn) == (0, 0, 0)


def test_load_file_of_another_schema_leaves_nothing_of_it(conn, tmp_path):
    archive(tmp_path, QUOTES)
    archive(tmp_path, "a,b\n" * 9, "quote", "zzz")
    with pytest.raises(InputError, match=r"zzz.*not a lean quote tick file"):
        loader.load(conn, "lean", [tmp_path])
    assert conn.execute(
        "select count(*) from market.sources where content like 'ZZZ%'"
    ).fetchone() == (0,)
    assert conn.execute("select count(*) from ref.instruments where symbol = 'ZZZ'").fetchone() == (
        0,
    )


class Killer:
    """Ends the process without notice when a number of rows is committed."""

    def __init__(self, rows: int) -> None:
        self._rows = rows

    def file(self, file: DataFile, place: int, of: int) -> None:
        """Take no notice."""

    def rows(self, done: int) -> None:
        """Die."""
        if done >= self._rows:
            os.kill(os.getpid(), signal.SIGKILL)


def die_between_chunks(database: str, path: str, rows: int) -> None:
    base.BLOCK_ROWS = 1000
    with db.connect(database, autocommit=True) as conn:
        loader.load(conn, "lean", [Path(path)], progress=Killer(rows))


def die_within_a_chunk(database: str, path: str, rows: int) -> None:
    from tsdb_trader.api import market

    advance = market.advance_source

    def killed(conn: db.Connection, source_id: int, to: market.Advance) -> None:
        # The rows of this chunk are copied, and nothing is committed.
        if to.to_row >= rows:
            os.kill(os.getpid(), signal.SIGKILL)
        advance(conn, source_id, to)

    market.advance_source = killed
    base.BLOCK_ROWS = 1000
    with db.connect(database, autocommit=True) as conn:
        loader.load(conn, "lean", [Path(path)])


@pytest.mark.parametrize("death", ["die_between_chunks", "die_within_a_chunk"])
@pytest.mark.parametrize("rows", [1000, 3000])
def test_load_killed_in_the_middle_resumes_with_nothing_lost_or_twice(
    conn, database, tmp_path, death, rows
):
    generate(tmp_path, days=1, pairs=1, minutes=60)
    path = tmp_path / "ko" / "20221228_quote.zip"
    loader.load(conn, "lean", [path], feed="reference")
    script = f"import test_load; test_load.{death}({database!r}, {str(path)!r}, {rows})"
    done = subprocess.run(
        [sys.executable, "-c", script],
        env={**os.environ, "PYTHONPATH": os.pathsep.join([*map(str, Path(__file__).parents[:2])])},
        check=False,
    )
    assert done.returncode == -signal.SIGKILL
    committed = rows if death == "die_between_chunks" else rows - 1000
    statement = """select s.next_row from market.sources s join ops.feeds f using (feed_id)
                   where f.feed = 'lean'"""
    assert conn.execute(statement).fetchone() == (committed,)
    report = loader.load(conn, "lean", [path])
    assert report.files[0].status == ("resumed" if committed else "loaded")
    assert conn.execute(
        """select count(*) from (
               select count(*) over (partition by q.ts, q.seq, q.bid_price, q.bid_size, q.ask_price,
                   q.ask_size, q.flags, q.exchange, q.conditions) as feeds
               from market._quotes q) x where feeds <> 2"""
    ).fetchone() == (0,)
    assert conn.execute(
        "select count(distinct (rows_read, rows_stored, status)) from market.sources"
    ).fetchone() == (1,)


def test_load_two_at_once_one_waits_and_finds_it_loaded(conn, connect_as, tmp_path, monkeypatch):
    monkeypatch.setattr(base, "BLOCK_ROWS", 2)
    path = archive(tmp_path, QUOTES)
    reached, go_on = threading.Event(), threading.Event()

    class Held(loader.Silent):
        def rows(self, done: int) -> None:
            reached.set()
            assert go_on.wait(60)

    reports: dict[str, loader.Report] = {}

    def run(name: str, connection: psycopg.Connection, progress: loader.Silent) -> None:
        reports[name] = loader.load(connection, "lean", [path], progress=progress)

    first, second = connect_as(), connect_as()
    threads = [threading.Thread(target=run, args=("first", first, Held()))]
    threads[0].start()
    assert reached.wait(60)
    threads.append(threading.Thread(target=run, args=("second", second, loader.Silent())))
    threads[1].start()
    waiting = "select cardinality(pg_blocking_pids(%s)) > 0"
    while not conn.execute(waiting, (second.info.backend_pid,)).fetchone()[0]:
        assert threads[1].is_alive()
    go_on.set()
    for thread in threads:
        thread.join()
    assert reports["first"].total("quotes").stored == 5
    assert reports["second"].already_loaded == 1
    assert counts(conn) == (5, 0, 0)


def test_load_connection_lost_in_the_middle_resumes(conn, connect_as, tmp_path, monkeypatch):
    monkeypatch.setattr(base, "BLOCK_ROWS", 2)
    path = archive(tmp_path, QUOTES)
    doomed = connect_as()

    class Cut(loader.Silent):
        def rows(self, done: int) -> None:
            conn.execute("select pg_terminate_backend(%s, 10000)", (doomed.info.backend_pid,))

    with pytest.raises(psycopg.OperationalError):
        loader.load(doomed, "lean", [path], progress=Cut())
    assert loader.load(conn, "lean", [path]).files[0].status == "resumed"
    assert counts(conn) == (5, 0, 0)


def test_encode_texts_of_all_lengths_arrive_unchanged(conn, tmp_path):
    texts = ["", "1", "20000020", "é", "x" * 300, "a b"]
    rows = "".join(f"34200000,1000000,100,{t[:3]},{t},0\n" for t in texts)
    loader.load(conn, "lean", [archive(tmp_path, rows, "trade")])
    assert conn.execute(
        "select exchange, conditions from market._trades order by seq"
    ).fetchall() == [(t[:3], t) for t in texts]


def test_encode_no_rows_is_an_empty_copy(tmp_path):
    reader = loader.LeanFormat(Options())
    [file] = reader.discover([archive(tmp_path, QUOTES)])
    [block] = reader.decode(file, reader.open(file), base.Rules())
    pieces = list(pgcopy.encode(block.ticks[0].part(slice(0, 0)), [pgcopy.Target(1, 1, 1)]))
    assert pieces == [pgcopy.HEADER, pgcopy.TRAILER]


# The command


def test_load_command_json_counts_rows_per_table_and_file(database, conn, tmp_path):
    archive(tmp_path, QUOTES + BAD)
    archive(tmp_path, TRADES, "trade")
    done = command(database, "lean", str(tmp_path), "--json")
    assert (done.returncode, done.stderr) == (0, "")
    report = json.loads(done.stdout)
    assert report["quotes"] == {"read": 9, "stored": 5, "quarantined": 4}
    assert report["trades"] == {"read": 4, "stored": 4, "quarantined": 0}
    assert [(f["content"], f["status"], f["stored"]) for f in report["files"]] == [
        ("ABC/2013-10-07/quotes", "loaded", 5),
        ("ABC/2013-10-07/trades", "loaded", 4),
    ]
    again = command(database, "lean", str(tmp_path), "--json")
    assert (again.returncode, json.loads(again.stdout)["already_loaded"]) == (0, 2)
    text = command(database, "lean", str(tmp_path))
    assert text.returncode == 0
    assert "already loaded" in text.stdout


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("lean", "{tmp}/nowhere"), "no such file or folder"),
        (("lean", "{tmp}"), "no lean files"),
        (("excel", "{tmp}"), "unknown format 'excel': use one of"),
    ],
)
def test_load_command_bad_input_is_one_line_and_non_zero(database, tmp_path, arguments, message):
    done = command(database, *(a.format(tmp=tmp_path) for a in arguments))
    assert done.returncode == InputError.exit_status
    assert message in done.stderr
    assert done.stderr.count("\n") == 1


def test_load_command_unreachable_database_is_one_line_and_non_zero(tmp_path):
    path = archive(tmp_path, QUOTES)
    done = command("postgresql://nobody@127.0.0.1:1/none", "lean", str(path))
    assert done.returncode == 3
    assert done.stderr.count("\n") == 1


# Recorded data


@pytest.mark.needs_data
@pytest.mark.slow
def test_load_recorded_trades_agree_with_recorded_minute_bars(conn, data_folder):
    """Compare our bars with bars made by others from the same tape.

    Theirs leave out the exchanges' official opening and closing reports (conditions 4000000 and
    1000000), put the auctions (40, 80) into another minute, and let some conditions, such as odd
    lots, not set prices; volumes of all other minutes agree to the share, and our range of prices
    contains theirs.
    """
    for symbol in ("aig", "ibm"):
        folder = data_folder / "us_equity_ticks" / symbol
        loader.load(conn, "lean", sorted(folder.glob("*_trade.zip")))
    for symbol in ("aig", "ibm"):
        for day in ("20131007", "20131008"):
            theirs = _minutes(data_folder / f"us_equity_minute/{symbol}/{day}_trade.zip")
            ours = np.array(
                conn.execute(
                    """select extract(epoch from (b.bucket at time zone 'America/New_York')
                                  - %s::timestamp)::bigint * 1000, high * 1e4, low * 1e4, volume
                       from market.bars_1m b join ref.instruments i using (instrument_id)
                       where i.symbol = %s and b.bucket >= %s::timestamp at time zone
                           'America/New_York' and b.bucket < (%s::timestamp + interval '1 day')
                           at time zone 'America/New_York' order by 1""",
                    (day, symbol.upper(), day, day),
                ).fetchall()
            )
            _, mine, other = np.intersect1d(ours[:, 0], theirs[:, 0], return_indices=True)
            assert len(mine) >= len(theirs) - 1
            same = ours[mine, 3] == theirs[other, 5]
            # The auctions' minutes: around 09:30 and 16:00, and one print moved by a minute.
            assert np.count_nonzero(~same) <= 6
            assert (ours[mine, 1] >= theirs[other, 2] - 0.01)[same].mean() > 0.98
            assert (ours[mine, 2] <= theirs[other, 3] + 0.01)[same].mean() > 0.98


def _minutes(path: Path) -> np.ndarray:
    with zipfile.ZipFile(path) as packed:
        text = packed.read(packed.namelist()[0]).decode()
    return np.array([line.split(",") for line in text.splitlines()], dtype=float)
