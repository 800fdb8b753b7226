"""ITCH files and captures in the database: counted, resumable, corrected."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tarfile
from pathlib import Path

import psycopg
import pytest

from itch_reference import reference
from tsdb_trader import db
from tsdb_trader.errors import InputError
from tsdb_trader.feeds import base, itch, loader
from tsdb_trader.feeds.base import Options
from tsdb_trader.feeds.itch_encode import encode
from tsdb_trader.feeds.itch_generate import DAY, generate
from tsdb_trader.feeds.store import Counts

MESSAGES = 4000


@pytest.fixture(scope="module")
def session(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return generate(tmp_path_factory.mktemp("itch"), messages=MESSAGES, symbols=4).path


def table_counts(conn: psycopg.Connection) -> dict[str, int]:
    tables = {"book_events": "_book_events", "trades": "_trades", "statuses": "statuses"}
    return {
        kind: conn.execute(f"select count(*) from market.{table}").fetchone()[0]
        for kind, table in tables.items()
    }


def events(conn: psycopg.Connection, feed: str) -> list:
    return conn.execute(
        """select b.seq, b.ts, b.ns, i.symbol, b.action, b.side, b.price, b.size, b.order_id,
                  b.new_order_id, b.trade_id
           from market._book_events b join ref.instruments i using (instrument_id)
           join ops.feeds f using (feed_id) where f.feed = %s order by b.seq""",
        (feed,),
    ).fetchall()


def test_load_session_stores_what_a_plain_loop_expects(conn, session):
    report = loader.load(conn, "itch", [session])
    assert report.total() == Counts(MESSAGES, MESSAGES, 0)
    values = [v for row in reference(session.read_bytes(), DAY) for v in row]
    expected = {
        "book_events": sum(v[0] == "event" for v in values),
        "trades": sum(v[0] == "trade" for v in values),
        "statuses": sum(v[0] == "status" for v in values),
    }
    assert report.files[0].stored == expected == table_counts(conn)
    [wanted] = [v for v in values if v[0] == "correction"]
    assert conn.execute(
        """select i.symbol, t.trade_id from market._trades t join ref.instruments i using (instrument_id)
           where t.flags & 128 > 0"""
    ).fetchall() == [wanted[1:]]
    assert loader.load(conn, "itch", [session]).already_loaded == 1
    assert table_counts(conn) == expected


def test_load_derives_the_quotes_of_books_when_asked_also_later(conn, database, session):
    loader.load(conn, "itch", [session])
    for _ in range(2):
        subprocess.run(
            [sys.executable, "-m", "tsdb_trader", "load", "itch", session, "--derive-quotes"],
            env=os.environ | {"TSDB_TRADER_DATABASE_URL": database},
            check=True,
        )
    derived, changes = conn.execute(
        """select (select count(*) from market.quotes),
                  (select count(*) from ref.instruments i
                   cross join lateral market.bbo(i.instrument_id, '2022-01-01', '2023-01-01'))"""
    ).fetchone()
    assert derived == changes > 500


def test_load_broken_trade_takes_it_out_in_a_later_block(conn, tmp_path, monkeypatch):
    monkeypatch.setattr(base, "BLOCK_ROWS", 1)
    path = tmp_path / "20221228.itch"
    path.write_bytes(
        encode(b"P", 3, 5, 0, b"B", 7, b"ABC     ", 10_000, 11)
        + encode(b"P", 3, 5, 0, b"B", 8, b"ABC     ", 10_000, 12)
        + encode(b"B", 3, 6, 11)
        + encode(b"B", 3, 6, 99)
    )
    assert loader.load(conn, "itch", [path]).total() == Counts(4, 4, 0)
    assert conn.execute("select trade_id, flags from market._trades order by 1").fetchall() == [
        (11, 128),
        (12, 0),
    ]
    assert conn.execute(
        "select kind, detail->>'match_number' from market.statuses order by seq"
    ).fetchall() == [("broken_trade", "11"), ("broken_trade", "99")]


def die_in_the_middle(database: str, path: str) -> None:
    """Load, and end the process without notice when 2,000 rows are committed."""

    class Killer(loader.Silent):
        def rows(self, done: int) -> None:
            if done >= 2000:
                os.kill(os.getpid(), signal.SIGKILL)

    base.BLOCK_ROWS, itch.PIECE_BYTES = 500, 20_000
    with db.connect(database, autocommit=True) as conn:
        loader.load(conn, "itch", [Path(path)], progress=Killer())


def test_load_killed_in_the_middle_goes_on_with_the_orders_from_before(conn, database, session):
    loader.load(conn, "itch", [session], feed="reference")
    script = f"import test_itch_load as t; t.die_in_the_middle({database!r}, {str(session)!r})"
    done = subprocess.run(
        [sys.executable, "-c", script],
        env={**os.environ, "PYTHONPATH": os.pathsep.join([*map(str, Path(__file__).parents[:2])])},
        check=False,
    )
    assert done.returncode == -signal.SIGKILL
    report = loader.load(conn, "itch", [session])
    assert report.files[0].status == "resumed"
    assert 0 < report.total().read < MESSAGES
    assert report.total().quarantined == 0
    assert events(conn, "itch") == events(conn, "reference")


def test_load_truncated_and_damaged_file_is_counted(conn, tmp_path, session):
    data = session.read_bytes()
    path = tmp_path / "20221228.itch"
    path.write_bytes(b"\0\x03?!x" + data[:-5])
    counts = loader.load(conn, "itch", [path]).total()
    assert counts == Counts(MESSAGES + 1, MESSAGES - 1, 2)
    assert conn.execute("select position, reason from market.quarantine order by 1").fetchall() == [
        (0, "unknown_type"),
        (MESSAGES, "truncated"),
    ]


def test_load_empty_file_is_an_error(conn, tmp_path):
    path = tmp_path / "20221228.itch"
    path.write_bytes(b"")
    with pytest.raises(InputError, match="nothing in it"):
        loader.load(conn, "itch", [path])


def test_load_day_given_by_the_user_is_that_of_the_rows(conn, tmp_path):
    path = tmp_path / "feed.itch"
    path.write_bytes(encode(b"S", 0, 9 * 3600 * 10**9, b"O"))
    loader.load(conn, "itch", [path], options=Options(day=DAY))
    assert conn.execute("select ts::text from market.statuses").fetchone() == (
        "2022-12-28 14:00:00+00",
    )


@pytest.mark.needs_data
def test_load_recorded_messages_counts_add_up(conn, data_folder):
    path = data_folder / "itch_ouch" / "itch50_nasdaq_20230822_messages.bin"
    assert loader.load(conn, "itch", [path]).total() == Counts(111, 85, 26)
    assert table_counts(conn) == {"book_events": 48, "trades": 7, "statuses": 37}
    assert conn.execute("select distinct reason from market.quarantine").fetchall() == [
        ("unknown_order",)
    ]
    assert conn.execute(
        """select s.ts::text, s.ns, s.detail->>'event' from market.statuses s
           where s.kind = 'system_event'"""
    ).fetchone() == ("2023-08-22 13:30:00.00007+00", 384, "start_of_market_hours")


@pytest.mark.needs_data
@pytest.mark.slow
def test_load_recorded_captures_of_every_protocol_counts_add_up(conn, data_folder, tmp_path):
    with tarfile.open(data_folder / "itch_ouch" / "omi-data-packets_all.tar.gz") as packed:
        packed.extractall(tmp_path, filter="data")
    report = loader.load(conn, "pcap", [tmp_path])
    assert len(report.files) == 397
    total = report.total()
    assert total.read == total.stored + total.quarantined
    totalview = [f.counts for f in report.files if "TotalView.Itch.v5.0" in f.file]
    assert len(totalview) == 49
    assert {c.read for c in totalview} > {1, 39}
    assert conn.execute("select count(*) from market.quarantine").fetchone() == (total.quarantined,)
    # The trading days of captures are those of their clocks.
    assert conn.execute(
        "select count(*) from market._book_events where abs(extract(epoch from recv_ts - ts)) > 5"
    ).fetchone() == (0,)
