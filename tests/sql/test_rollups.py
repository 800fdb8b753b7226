"""One-minute bars: exact, in the total order of ticks, and following every change."""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import groupby
from pathlib import Path
from typing import Any

import psycopg
import pytest

from lean_files import TRADES, archive
from tsdb_trader import schema
from tsdb_trader.api import market
from tsdb_trader.feeds import loader
from tsdb_trader.feeds.sample import generate
from tsdb_trader.workers.scheduler import JOBS, run_job

OPEN = datetime(2013, 10, 7, 13, 30, tzinfo=UTC)
COLUMNS = "instrument_id, bucket, open, high, low, close, volume, trade_count, vwap"


def bars(conn: psycopg.Connection) -> list[tuple[Any, ...]]:
    statement = f"select {COLUMNS} from market.bars_1m order by feed_id, instrument_id, bucket"
    return conn.execute(statement).fetchall()


def expected(conn: psycopg.Connection) -> list[tuple[Any, ...]]:
    """Compute the bars in Python, from the public view."""
    rows = conn.execute(
        """select feed_id, instrument_id, date_trunc('minute', ts), price, size
           from market.trades order by feed_id, instrument_id, ts, ns, source_id, seq"""
    ).fetchall()
    found = []
    for (_, instrument_id, bucket), group in groupby(rows, key=lambda r: r[:3]):
        ticks = [(round(r[3] * 10_000), int(r[4])) for r in group]
        prices = [p for p, _ in ticks]
        volume = sum(s for _, s in ticks)
        found.append(
            (
                instrument_id,
                bucket,
                prices[0] / 10_000,
                max(prices) / 10_000,
                min(prices) / 10_000,
                prices[-1] / 10_000,
                float(volume),
                len(ticks),
                sum(p * s for p, s in ticks) / volume / 10_000,
            )
        )
    return found


@pytest.fixture
def trades(conn: psycopg.Connection, tmp_path: Path) -> psycopg.Connection:
    loader.load(conn, "lean", [archive(tmp_path, TRADES, "trade")])
    return conn


def is_native(conn: psycopg.Connection) -> bool:
    row = conn.execute("select native from market.rollups where rollup = 'bars_1m'").fetchone()
    assert row is not None
    return bool(row[0])


@pytest.fixture
def own(trades: psycopg.Connection) -> psycopg.Connection:
    """Return trades on a server that does not keep rollups itself."""
    if is_native(trades):
        pytest.skip("TimescaleDB keeps the rollups of this server")
    return trades


def test_bars_have_the_columns_others_rely_on(conn):
    names = [c.name for c in conn.execute("select * from market.bars_1m").description or []]
    assert names[:9] == COLUMNS.split(", ")


def test_bars_of_a_known_minute_are_exact(trades):
    assert [row[1:] for row in bars(trades)] == [
        (
            OPEN,
            100.01,
            100.03,
            100.01,
            100.03,
            350.0,
            3,
            (100.01 * 100 + 100.02 * 50 + 20006) / 350,
        ),
        (OPEN + timedelta(minutes=1), 100.0, 100.0, 100.0, 100.0, 100.0, 1, 100.0),
    ]


def test_bars_are_the_same_before_and_after_materialising(trades):
    before = bars(trades)
    assert before == expected(trades)
    market.refresh_rollups(trades)
    assert bars(trades) == before


def test_bars_same_millisecond_follow_the_file_order(conn, tmp_path):
    rows = "".join(f"34200000,{1000000 + 100 * i % 700},100,D,1,0\n" for i in range(50))
    loader.load(conn, "lean", [archive(tmp_path, rows, "trade")])
    market.refresh_rollups(conn)
    [bar] = bars(conn)
    assert (bar[2], bar[5]) == (100.0, 100.0)
    assert bars(conn) == expected(conn)


def test_bars_of_two_feeds_stay_apart(trades, tmp_path):
    loader.load(trades, "lean", [archive(tmp_path, TRADES, "trade")], feed="other")
    market.refresh_rollups(trades)
    assert len(bars(trades)) == 4
    assert bars(trades) == expected(trades)


def test_bars_of_a_sample_equal_an_independent_computation(conn, tmp_path):
    generate(tmp_path, days=2, pairs=1, minutes=20)
    loader.load(conn, "lean", [tmp_path])
    assert bars(conn) == expected(conn)
    market.refresh_rollups(conn)
    assert len(bars(conn)) > 70
    assert bars(conn) == expected(conn)


@pytest.mark.parametrize(
    "change",
    [
        "insert into market._trades select ts + interval '3 seconds', recv_ts, seq + 100,"
        " price * 2, size, instrument_id, source_id, feed_id, ns, flags, exchange, conditions from market._trades"
        " where seq = 1",
        "insert into market._trades select ts + interval '5 minutes', recv_ts, seq + 100,"
        " price * 2, size, instrument_id, source_id, feed_id, ns, flags, exchange, conditions from market._trades",
        "update market._trades set price = price + 100 where seq = 1",
        "update market._trades set ts = ts + interval '10 minutes' where seq = 0",
        "delete from market._trades where seq = 2",
        "delete from market._trades where seq = 3",
    ],
)
def test_bars_after_a_change_by_hand_follow_at_once(own, change):
    market.refresh_rollups(own)
    before = bars(own)
    own.execute(change)
    assert bars(own) != before
    assert bars(own) == expected(own)
    assert market.refresh_rollups(own) >= 1
    assert bars(own) == expected(own)
    assert market.refresh_rollups(own) == 0


def test_bars_after_a_late_file_are_corrected(own, tmp_path):
    market.refresh_rollups(own)
    late = "34230000,990000,500,D,1,0\n"
    loader.load(own, "lean", [archive(tmp_path, late, "trade", "xyz")])
    loader.load(own, "lean", [archive(tmp_path / "b", late, "trade", "abc", "20131008")])
    assert bars(own) == expected(own)
    market.refresh_rollups(own)
    assert bars(own) == expected(own)


def test_refresh_up_to_a_time_leaves_the_rest_noted(own):
    market.refresh_rollups(own, OPEN + timedelta(minutes=1, seconds=30))
    stored = own.execute("select bucket from market._bars_1m").fetchall()
    assert stored == [(OPEN,)]
    assert own.execute(
        "select from_bucket, to_bucket from market.rollup_invalidations"
    ).fetchall() == [(OPEN + timedelta(minutes=1), OPEN + timedelta(minutes=2))]
    assert bars(own) == expected(own)


def test_refresh_rolled_back_keeps_its_notes(own):
    with own.transaction(force_rollback=True):
        assert market.refresh_rollups(own) == 1
    assert market.refresh_rollups(own) == 1


def test_change_of_an_open_transaction_is_not_lost_by_a_refresh(own, connect_as):
    market.refresh_rollups(own)
    writer = connect_as(None, autocommit=False)
    writer.execute("update market._trades set price = price + 100 where seq = 1")
    market.refresh_rollups(own)
    writer.commit()
    assert bars(own) == expected(own)
    market.refresh_rollups(own)
    assert bars(own) == expected(own)


def test_load_in_bulk_notes_one_span_per_chunk(own):
    assert own.execute(
        "select from_bucket, to_bucket from market.rollup_invalidations"
    ).fetchall() == [(OPEN, OPEN + timedelta(minutes=2))]


def test_declaration_that_did_not_change_keeps_what_is_materialised(own):
    market.refresh_rollups(own)
    own.execute((schema.root() / "sql/market/rollups/bars_1m.sql").read_bytes())
    assert own.execute("select count(*) from market._bars_1m").fetchone() == (2,)


def test_declaration_that_changed_is_computed_anew(own):
    text = (schema.root() / "sql/market/rollups/bars_1m.sql").read_text()
    own.execute(text.replace("max(price) as high", "max(price) + 1 as high").encode())
    assert [row[3] for row in bars(own)] == [100.0301, 100.0001]
    own.execute(text.encode())
    assert bars(own) == expected(own)


@pytest.fixture
def native(trades: psycopg.Connection) -> psycopg.Connection:
    """Return trades on a server that keeps rollups itself."""
    if not is_native(trades):
        pytest.skip("TimescaleDB does not keep the rollups of this server")
    # Its own policy would refresh in the middle of a test.
    trades.execute(
        "select public.alter_job(job_id, scheduled => false) from timescaledb_information.jobs"
        " where proc_name = 'policy_refresh_continuous_aggregate'"
    )
    return trades


def test_bars_of_the_server_are_a_continuous_aggregate_with_a_policy(native):
    assert native.execute(
        "select view_name, materialized_only from timescaledb_information.continuous_aggregates"
        " where view_schema = 'market'"
    ).fetchall() == [("_bars_1m", False)]
    assert native.execute(
        "select count(*) from timescaledb_information.jobs"
        " where proc_name = 'policy_refresh_continuous_aggregate'"
    ).fetchone() == (1,)


def test_bars_of_the_server_follow_changes_after_a_refresh(native, tmp_path):
    market.refresh_rollups(native)
    late = "34230000,990000,500,D,1,0\n"
    loader.load(native, "lean", [archive(tmp_path, late, "trade", "xyz")])
    native.execute("update market._trades set price = price + 100 where seq = 1")
    native.execute("delete from market._trades where seq = 2")
    market.refresh_rollups(native)
    assert len(bars(native)) == 3
    assert bars(native) == expected(native)


def test_refresh_of_the_server_up_to_a_time_leaves_later_buckets(native):
    market.refresh_rollups(native, OPEN + timedelta(minutes=1))
    native.execute("update market._trades set price = price + 100")
    assert [row[3] for row in bars(native)] == [100.03, 100.01]
    market.refresh_rollups(native)
    assert bars(native) == expected(native)


def test_refresh_of_the_server_inside_a_transaction_is_refused(native):
    with pytest.raises(psycopg.errors.ActiveSqlTransaction), native.transaction():
        market.refresh_rollups(native)


def test_refresh_as_the_scheduler_role_works(trades, connect_as):
    assert market.refresh_rollups(connect_as("worker")) == (0 if is_native(trades) else 1)
    assert bars(trades) == expected(trades)


def test_refresh_from_the_schedule_is_recorded(trades, role_url):
    [job] = [j for j in JOBS if j.name == "refresh_rollups"]
    run_job(role_url("worker"), job)
    assert trades.execute("select job, succeeded, detail from ops.jobs").fetchall() == [
        ("refresh_rollups", True, {"refreshed": 0 if is_native(trades) else 1})
    ]


# Both editions. The tests above hold on either; this one compares two servers directly.


@pytest.fixture
def community() -> Iterator[psycopg.Connection]:
    """Return a migrated database on a server of the Community edition."""
    url = os.environ.get("TSDB_TRADER_TEST_COMMUNITY_URL")
    if not url:
        pytest.skip("no server of the Community edition: set TSDB_TRADER_TEST_COMMUNITY_URL")
    name = f"tsdb_test_{uuid.uuid4().hex[:12]}"
    with psycopg.connect(url, autocommit=True) as admin:
        admin.execute(f"create database {name} template template0")
        try:
            target = psycopg.conninfo.make_conninfo(url, dbname=name)
            schema.migrate(target)
            options = "-c TimeZone=UTC"
            with psycopg.connect(target, autocommit=True, options=options) as conn:
                yield conn
        finally:
            admin.execute(f"drop database {name} with (force)")


def test_bars_of_both_editions_have_the_same_columns_and_values(conn, community, tmp_path):
    if is_native(conn):
        pytest.skip("the server under test is of the Community edition itself")
    generate(tmp_path, days=2, pairs=1, minutes=10)
    shown = []
    for server in (conn, community):
        loader.load(server, "lean", [tmp_path])
        live = server.execute("select * from market.bars_1m order by 1, 2")
        shown.append(([(c.name, c.type_code) for c in live.description or []], live.fetchall()))
    assert is_native(community)
    assert shown[0] == shown[1]
    market.refresh_rollups(conn)
    market.refresh_rollups(community)
    for server in (conn, community):
        rows = server.execute("select * from market.bars_1m order by 1, 2").fetchall()
        assert rows == shown[0][1]
    late = "34230000,990000,500,D,1,0\n"
    after = []
    for server in (conn, community):
        loader.load(server, "lean", [archive(tmp_path / "late", late, "trade")])
        server.execute("update market._trades set price = price + 100 where seq % 7 = 0")
        market.refresh_rollups(server)
        assert bars(server) == expected(server)
        after.append(server.execute("select * from market.bars_1m order by 1, 2").fetchall())
    assert after[0] == after[1] != shown[0][1]
