"""Bars of every level: exact, in the total order of ticks, and following every change."""

from __future__ import annotations

import os
import random
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest

from lean_files import QUOTES, TRADES, archive
from rollup_checks import BUCKETS, differences, is_native, shown, stop_policies
from tsdb_trader import schema
from tsdb_trader.api import market
from tsdb_trader.feeds import loader
from tsdb_trader.feeds.sample import generate
from tsdb_trader.workers.scheduler import JOBS, run_job

OPEN = datetime(2013, 10, 7, 13, 30, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
TRADE_COLUMNS = (
    "ts, recv_ts, seq, price, size, instrument_id, source_id, feed_id, ns, flags, exchange,"
    " conditions, trade_id"
)
QUOTE_COLUMNS = (
    "ts, recv_ts, seq, bid_price, bid_size, ask_price, ask_size, instrument_id, source_id, feed_id,"
    " ns, flags, exchange, conditions"
)


def bars(conn: psycopg.Connection, name: str = "bars_1m") -> list[tuple[Any, ...]]:
    return conn.execute(f"select * from market.{name} order by feed_id, 1, 2").fetchall()


def everything(conn: psycopg.Connection) -> dict[str, list[tuple[Any, ...]]]:
    return {name: bars(conn, name) for name in BUCKETS}


def check(conn: psycopg.Connection) -> None:
    """Compare all bars with the ticks, as shown now and when everything is materialised."""
    if not is_native(conn):
        assert differences(conn) == []
    market.refresh_rollups(conn)
    assert differences(conn) == []


@pytest.fixture
def ticks(conn: psycopg.Connection, tmp_path: Path) -> psycopg.Connection:
    if is_native(conn):
        stop_policies(conn)
    archive(tmp_path, TRADES, "trade")
    loader.load(conn, "lean", [archive(tmp_path, QUOTES).parent])
    return conn


@pytest.fixture
def own(ticks: psycopg.Connection) -> psycopg.Connection:
    """Return ticks on a server that does not keep rollups itself."""
    if is_native(ticks):
        pytest.skip("TimescaleDB keeps the rollups of this server")
    return ticks


@pytest.fixture
def native(ticks: psycopg.Connection) -> psycopg.Connection:
    """Return ticks on a server that keeps rollups itself."""
    if not is_native(ticks):
        pytest.skip("TimescaleDB does not keep the rollups of this server")
    return ticks


# What a bar is


@pytest.mark.parametrize("name", BUCKETS)
def test_bars_have_the_columns_others_rely_on(conn, name):
    names = [c.name for c in conn.execute(f"select * from market.{name}").description or []]
    assert names == [
        *("instrument_id", "bucket", "open", "high", "low", "close", "volume", "trade_count"),
        *("vwap", "feed_id", "quote_count", "mean_spread", "time_weighted_spread", "mid_open"),
        *("mid_close", "imbalance"),
    ]


def test_bars_of_known_minutes_are_exact(ticks):
    # The second trade is a sweep (no prices), the third is suspicious (nothing). Of five quotes,
    # the first has no bid yet; the next three are 100.00 x 200 to 100.02 x 300.
    first, second = [dict(zip(names(ticks), row, strict=True)) for row in bars(ticks)]
    assert first["bucket"] == OPEN
    assert [first[n] for n in ("open", "high", "low", "close")] == [100.01] * 4
    assert (first["volume"], first["trade_count"], first["quote_count"]) == (150.0, 2, 4)
    assert first["vwap"] == pytest.approx((100.01 * 100 + 100.02 * 50) / 150, rel=1e-15)
    assert (first["mid_open"], first["mid_close"]) == (100.01, 100.01)
    assert first["mean_spread"] == pytest.approx(0.02, rel=1e-15)
    assert first["time_weighted_spread"] == pytest.approx(0.02, rel=1e-15)
    assert first["imbalance"] == pytest.approx((200 - 300) / 500)
    assert second["bucket"] == OPEN + MINUTE
    assert (second["close"], second["volume"], second["mid_close"]) == (100.0, 100.0, 100.005)


def names(conn: psycopg.Connection) -> list[str]:
    return [c.name for c in conn.execute("select * from market.bars_1m").description or []]


def test_time_weighted_spread_weighs_by_how_long_a_quote_held(conn, tmp_path):
    # 0.02 for 10 s, 0.04 for 15 s, crossed for 5 s (so 0.04 goes on), 0.08 to the minute's end.
    rows = (
        "34200000,1000000,100,0,0,P,1,0\n34200000,0,0,1000200,100,P,1,0\n"
        "34210000,0,0,1000400,100,P,1,0\n"
        "34225000,0,0,999900,100,P,1,0\n"
        "34230000,0,0,1000800,100,P,1,0\n"
    )
    loader.load(conn, "lean", [archive(tmp_path, rows)])
    market.refresh_rollups(conn)
    [row] = conn.execute("select time_weighted_spread, quote_count from market.bars_1m").fetchall()
    assert row[0] == pytest.approx((0.02 * 10 + 0.04 * 20 + 0.08 * 30) / 60, rel=1e-12)
    assert row[1] == 5


def test_bar_of_quotes_alone_and_of_trades_alone_are_both_there(conn, tmp_path):
    archive(tmp_path, "34200000,1000000,100,D,1,0\n", "trade")
    rows = "34260000,1000000,100,0,0,P,1,0\n34260001,0,0,1000200,100,P,1,0\n"
    loader.load(conn, "lean", [archive(tmp_path, rows).parent])
    market.refresh_rollups(conn)
    assert conn.execute(
        "select close, volume, quote_count, mid_close from market.bars_1m order by bucket"
    ).fetchall() == [(100.0, 100.0, 0, None), (None, 0.0, 2, 100.01)]


def test_bars_of_a_day_start_at_midnight_in_new_york(ticks):
    market.refresh_rollups(ticks)
    assert ticks.execute("select bucket from market.bars_1d").fetchall() == [
        (datetime(2013, 10, 7, 4, tzinfo=UTC),)
    ]


def test_bars_of_a_day_that_clocks_change_have_25_hours(conn, tmp_path):
    # 2013-11-03 in New York: from 04:00 UTC to 05:00 UTC of the next day.
    rows = "0,1000000,100,0,0,P,1,0\n0,0,0,1000200,100,P,1,0\n"
    loader.load(conn, "lean", [archive(tmp_path, rows, day="20131103")])
    conn.execute(
        f"""insert into market._quotes ({QUOTE_COLUMNS})
            select ts + interval '24 hours 30 minutes', recv_ts, seq + 10, bid_price, bid_size,
                   ask_price + 200, ask_size, instrument_id, source_id, feed_id, ns, flags,
                   exchange, conditions from market._quotes where seq = 1"""
    )
    market.refresh_rollups(conn)
    [day] = conn.execute("select bucket, time_weighted_spread from market.bars_1d").fetchall()
    assert day[0] == datetime(2013, 11, 3, 4, tzinfo=UTC)
    assert day[1] == pytest.approx((0.02 * 24.5 + 0.04 * 0.5) / 25, rel=1e-12)
    assert differences(conn) == []


def test_bars_same_millisecond_follow_the_file_order(conn, tmp_path):
    rows = "".join(f"34200000,{1000000 + 100 * i % 700},100,D,1,0\n" for i in range(50))
    loader.load(conn, "lean", [archive(tmp_path, rows, "trade")])
    market.refresh_rollups(conn)
    [bar] = bars(conn)
    assert (bar[2], bar[5]) == (100.0, 100.0)
    assert differences(conn) == []


def test_bars_of_two_feeds_stay_apart(ticks, tmp_path):
    loader.load(ticks, "lean", [archive(tmp_path, TRADES, "trade")], feed="other")
    market.refresh_rollups(ticks)
    assert len(bars(ticks)) == 4
    check(ticks)


def test_bars_of_a_sample_equal_a_plain_grouping(conn, tmp_path):
    generate(tmp_path, days=2, pairs=1, minutes=20)
    loader.load(conn, "lean", [tmp_path])
    before = everything(conn)
    assert len(before["bars_1m"]) > 70
    check(conn)
    assert everything(conn) == before


def test_bars_of_huge_prices_and_sizes_overflow_nothing(ticks):
    ticks.execute(
        f"""insert into market._trades ({TRADE_COLUMNS})
            select ts, recv_ts, seq + n, 9e15, 9e15, instrument_id, source_id, feed_id, ns, 0,
                   exchange, conditions, null from market._trades, generate_series(1, 3000) n
            where seq = 0"""
    )
    ticks.execute(
        f"""insert into market._quotes ({QUOTE_COLUMNS})
            select ts, recv_ts, seq + n, 1, 4e18, 4e18, 4e18, instrument_id, source_id, feed_id, ns,
                   0, exchange, conditions from market._quotes, generate_series(1, 10) n
            where seq = 0"""
    )
    market.refresh_rollups(ticks)
    for name in BUCKETS:
        assert ticks.execute(
            f"select volume, quote_count, high from market.{name} order by bucket limit 1"
        ).fetchone() == (pytest.approx(2.7e19), {"bars_1s": 14, "bars_1m": 14}.get(name, 15), 9e11)


# Following changes

HAND = [
    f"insert into market._trades ({TRADE_COLUMNS}) select ts + interval '3 seconds', recv_ts,"
    " seq + 100, price * 2, size, instrument_id, source_id, feed_id, ns, flags, exchange,"
    " conditions, trade_id from market._trades where seq = 0",
    f"insert into market._trades ({TRADE_COLUMNS}) select ts + interval '5 days', recv_ts, seq + 100,"
    " price * 2, size, instrument_id, source_id, feed_id, ns, flags, exchange, conditions,"
    " trade_id from market._trades",
    "update market._trades set price = price + 100 where seq = 0",
    "update market._trades set ts = ts + interval '10 hours' where seq = 0",
    "update market._trades set flags = 128 where seq = 0",
    "update market._trades set flags = 0",
    "delete from market._trades where seq = 0",
    "delete from market._trades",
    "update market._quotes set ask_price = ask_price + 100 where seq = 2",
    "update market._quotes set ts = ts + interval '10 hours' where seq = 3",
    "update market._quotes set bid_price = ask_price + 1 where seq <= 3",
    f"insert into market._quotes ({QUOTE_COLUMNS}) select ts - interval '1 hour', recv_ts, seq + 100,"
    " bid_price, bid_size * 3, ask_price, ask_size, instrument_id, source_id, feed_id, ns, flags,"
    " exchange, conditions from market._quotes",
    "delete from market._quotes where seq = 4",
]


@pytest.mark.parametrize("change", HAND)
def test_bars_after_a_change_by_hand_follow_on_every_level(ticks, change):
    market.refresh_rollups(ticks)
    before = everything(ticks)
    ticks.execute(change)
    check(ticks)
    after = everything(ticks)
    assert all(after[name] != before[name] for name in BUCKETS)


def test_bars_after_a_late_file_are_corrected(ticks, tmp_path):
    market.refresh_rollups(ticks)
    late = "34230000,990000,500,D,1,0\n"
    loader.load(ticks, "lean", [archive(tmp_path, late, "trade", "xyz")])
    loader.load(ticks, "lean", [archive(tmp_path / "b", late, "trade", "abc", "20131008")])
    check(ticks)


def test_bars_after_a_cancelled_trade_do_without_it(ticks):
    market.refresh_rollups(ticks)
    ticks.execute("update market._trades set trade_id = seq")
    [(source,)] = ticks.execute(
        "select source_id from market.sources where kind = 'trades'"
    ).fetchall()
    assert market.cancel_trades(ticks, source, [("ABC", 0)]) == 1
    check(ticks)
    assert bars(ticks)[0][2:8] == (None, None, None, None, 50.0, 1)


class Changes:
    """Random changes of ticks, of all kinds that there are."""

    def __init__(self, conn: psycopg.Connection, folder: Path, seed: int) -> None:
        self.conn = conn
        self.folder = folder
        self.random = random.Random(seed)
        self.number = 0

    def one(self) -> None:
        """Make one."""
        self.number += 1
        kind = self.random.choice(["load", "late", "update", "move", "delete", "cancel", "refresh"])
        getattr(self, kind)()

    def load(self) -> None:
        day = self.random.choice(["20131007", "20131008", "20131101", "20131104"])
        folder, feed = self.folder / str(self.number), f"feed{self.number}"
        start = self.random.randrange(0, 80_000_000)
        trades, quotes = [], []
        for n in range(30):
            ms = start + n * self.random.randrange(400)
            price = 1_000_000 + 100 * self.random.randrange(9)
            condition = self.random.choice(["1", "20", "4000000", "20000020", "4800"])
            trades.append((ms, f"{price},{self.random.randrange(1, 9)},D,{condition},0"))
            side = (f"{price},5,0,0", f"0,0,{price + 200},7")[n % 2]
            quotes.append((ms, f"{side},P,1,0"))
        for name, rows in (("trade", trades), ("quote", quotes)):
            text = "".join(f"{ms},{row}\n" for ms, row in sorted(rows))
            archive(folder, text, name, self.random.choice(["abc", "xyz"]), day)
        loader.load(self.conn, "lean", [folder], feed=feed)

    def late(self) -> None:
        table = self.random.choice(["_trades", "_quotes"])
        columns = TRADE_COLUMNS if table == "_trades" else QUOTE_COLUMNS
        copied = columns.replace("ts,", "ts + %s,", 1)
        self.conn.execute(
            f"insert into market.{table} ({columns}) select {copied} from market.{table}"
            " where seq %% 7 = %s limit 5",
            (timedelta(seconds=self.random.randrange(-7200, 7200)), self.random.randrange(7)),
        )

    def update(self) -> None:
        statement = self.random.choice(
            [
                "update market._trades set price = price + 100, size = size + 1",
                "update market._trades set flags = flags # 16",
                "update market._quotes set ask_price = ask_price + 300",
                "update market._quotes set bid_size = null",
            ]
        )
        self.conn.execute(f"{statement} where seq %% 11 = %s", (self.random.randrange(11),))

    def move(self) -> None:
        table = self.random.choice(["_trades", "_quotes"])
        by = timedelta(seconds=self.random.randrange(-50_000, 50_000))
        # A row cannot change its chunk, which is a day.
        self.conn.execute(
            f"update market.{table} set ts = ts + %(by)s where seq %% 13 = %(n)s"
            " and date_trunc('day', ts + %(by)s) = date_trunc('day', ts)",
            {"by": by, "n": self.random.randrange(13)},
        )

    def delete(self) -> None:
        table = self.random.choice(["_trades", "_quotes"])
        self.conn.execute(
            f"delete from market.{table} where seq %% 5 = %s", (self.random.randrange(5),)
        )

    def cancel(self) -> None:
        self.conn.execute(
            "update market._trades set flags = flags | 128 where seq %% 17 = %s",
            (self.random.randrange(17),),
        )

    def refresh(self) -> None:
        until = OPEN + timedelta(hours=self.random.randrange(-24, 48))
        market.refresh_rollups(self.conn, until)


@pytest.mark.parametrize("seed", range(3))
def test_bars_after_random_changes_equal_a_plain_grouping(ticks, tmp_path, seed):
    changes = Changes(ticks, tmp_path, seed)
    for number in range(24):
        changes.one()
        if is_native(ticks):
            if number % 6 == 5:
                market.refresh_rollups(ticks)
                assert differences(ticks) == []
        else:
            assert differences(ticks) == [], number
    check(ticks)


# The Apache edition's own engine


def test_refresh_recomputes_only_what_changed(own):
    market.refresh_rollups(own)
    own.execute("update market._trades set price = price + 100 where seq = 0")
    noted = own.execute(
        "select rollup, from_bucket, to_bucket from market.rollup_invalidations order by rollup"
    ).fetchall()
    day = datetime(2013, 10, 7, 4, tzinfo=UTC)
    assert noted == [
        ("bars_1d_trades", day, day + timedelta(days=1)),
        ("bars_1h_trades", OPEN - 30 * MINUTE, OPEN + 30 * MINUTE),
        ("bars_1m_trades", OPEN, OPEN + MINUTE),
        ("bars_1s_trades", OPEN, OPEN + MINUTE),
        ("bars_5m_trades", OPEN, OPEN + 5 * MINUTE),
    ]
    assert market.refresh_rollups(own) == 5
    assert market.refresh_rollups(own) == 0


def test_insert_by_hand_notes_the_days_it_went_to(own):
    market.refresh_rollups(own)
    columns = (
        "recv_ts, seq, price, size, instrument_id, source_id, feed_id, ns, flags, exchange, "
        "conditions, trade_id"
    )
    insert = (
        f"insert into market._trades (ts, {columns}) select ts + %s::interval, {columns} "
        "from market._trades where seq = 0 and ts < '2013-10-08'"
    )
    with own.transaction():
        own.execute(insert, ("2 days",))
        with own.transaction(force_rollback=True):
            own.execute(insert, ("5 days",))
        own.execute(insert, ("2 days",))
    noted = own.execute(
        "select from_bucket, to_bucket from market.rollup_invalidations "
        "where rollup = 'bars_1m_trades' and from_bucket > '2013-10-08'"
    ).fetchall()
    day = datetime(2013, 10, 9, tzinfo=UTC)
    assert set(noted) == {(day, day + timedelta(days=1))}
    check(own)


def test_refresh_up_to_a_time_leaves_the_rest_noted(own):
    market.refresh_rollups(own, OPEN + timedelta(minutes=1, seconds=30))
    stored = own.execute("select bucket from market._bars_1m_trades").fetchall()
    assert stored == [(OPEN,)]
    assert own.execute(
        "select from_bucket, to_bucket from market.rollup_invalidations"
        " where rollup = 'bars_1m_trades'"
    ).fetchall() == [(OPEN + MINUTE, OPEN + 2 * MINUTE)]
    check(own)


def test_refresh_rolled_back_keeps_its_notes(own):
    with own.transaction(force_rollback=True):
        done = market.refresh_rollups(own)
        assert done >= 10
    assert market.refresh_rollups(own) == done


def test_change_of_an_open_transaction_is_not_lost_by_a_refresh(own, connect_as):
    market.refresh_rollups(own)
    writer = connect_as(None, autocommit=False)
    writer.execute("update market._trades set price = price + 100 where seq = 0")
    writer.execute("delete from market._quotes where seq = 3")
    market.refresh_rollups(own)
    writer.commit()
    check(own)


def test_load_in_bulk_notes_one_span_per_rollup(own):
    assert (
        own.execute(
            "select rollup, count(*) from market.rollup_invalidations group by 1 having count(*) <> 1"
        ).fetchall()
        == []
    )
    assert own.execute("select count(*) from market.rollup_invalidations").fetchone() == (10,)


def test_declaration_that_did_not_change_keeps_what_is_materialised(own):
    market.refresh_rollups(own)
    own.execute((schema.root() / "sql/market/rollups/bars.sql").read_bytes())
    assert own.execute("select count(*) from market._bars_1m_trades").fetchone() == (2,)
    assert own.execute("select count(*) from market.rollup_invalidations").fetchone() == (0,)


def test_declaration_that_changed_is_computed_anew_with_what_is_above_it(own):
    market.refresh_rollups(own)
    text = (schema.root() / "sql/market/rollups/bars.sql").read_text()
    own.execute(text.replace("max(price) filter (where $range)", "max(price) + 1").encode())
    assert {row[3] for row in bars(own, "bars_1d")} == {100.0301}
    own.execute(text.encode())
    check(own)


# The Community edition's engine


def test_bars_of_the_server_are_continuous_aggregates_with_policies(native):
    found = native.execute(
        "select view_name, materialized_only from timescaledb_information.continuous_aggregates"
        " where view_schema = 'market'"
    ).fetchall()
    assert len(found) == 10
    assert not any(only for _, only in found)
    assert native.execute(
        "select count(*) from timescaledb_information.jobs"
        " where proc_name = 'policy_refresh_continuous_aggregate'"
    ).fetchone() == (10,)


def test_refresh_of_the_server_up_to_a_time_leaves_later_buckets(native):
    market.refresh_rollups(native, OPEN + MINUTE)
    native.execute("update market._trades set price = price + 100")
    highs = [row[3] for row in bars(native)]
    assert highs == [100.01, 100.01]
    check(native)


def test_refresh_of_the_server_inside_a_transaction_is_refused(native):
    with pytest.raises(psycopg.errors.ActiveSqlTransaction), native.transaction():
        market.refresh_rollups(native)


def test_declaration_that_changed_on_the_server_is_built_anew(native):
    text = (schema.root() / "sql/market/rollups/bars.sql").read_text()
    changed = text.replace("max(price) filter (where $range)", "max(price) + 1")
    for statements in (changed, text):
        with native.transaction():
            native.execute(statements.encode())
        stop_policies(native)
    check(native)


# Both editions


def test_refresh_as_the_scheduler_role_works(ticks, connect_as):
    done = market.refresh_rollups(connect_as("worker_scheduler"))
    assert done == 0 if is_native(ticks) else done >= 10
    assert differences(ticks) == []


def test_refresh_from_the_schedule_is_recorded(ticks, role_url):
    [job] = [j for j in JOBS if j.name == "refresh_rollups"]
    run_job(role_url("worker_scheduler"), job)
    [(name, succeeded, detail)] = ticks.execute(
        "select job, succeeded, detail from ops.jobs"
    ).fetchall()
    assert (name, succeeded) == ("refresh_rollups", True)
    assert (detail["refreshed"] == 0) == is_native(ticks)


@pytest.fixture
def community() -> Iterator[psycopg.Connection]:
    """Return a migrated database on a server of the Community edition."""
    url = os.environ.get("TSDB_TRADER_COMMUNITY_URL")
    if not url:
        pytest.skip("no server of the Community edition: set TSDB_TRADER_COMMUNITY_URL")
    name = f"tsdb_test_{uuid.uuid4().hex[:12]}"
    with psycopg.connect(url, autocommit=True) as admin:
        admin.execute(f"create database {name} template template0")
        try:
            target = psycopg.conninfo.make_conninfo(url, dbname=name)
            schema.migrate(target)
            options = "-c TimeZone=UTC"
            with psycopg.connect(target, autocommit=True, options=options) as conn:
                stop_policies(conn)
                yield conn
        finally:
            admin.execute(f"drop database {name} with (force)")


def checksums(conn: psycopg.Connection) -> dict[str, tuple[Any, ...]]:
    """Return the number of bars of each level and a hash of all their figures."""
    found = {}
    for name in BUCKETS:
        row = conn.execute(
            f"select count(*), sum(hashtextextended(b::text, 0)) from ({shown(name)}) b"
        ).fetchone()
        assert row is not None
        found[name] = row
    return found


def test_bars_of_both_editions_are_the_same_before_and_after_changes(conn, community, tmp_path):
    if is_native(conn):
        pytest.skip("the server under test is of the Community edition itself")
    assert is_native(community)
    generate(tmp_path / "sample", days=2, pairs=1, minutes=10)
    servers = (conn, community)
    described = []
    for server in servers:
        loader.load(server, "lean", [tmp_path / "sample"])
        cursor = server.execute("select * from market.bars_1m limit 0")
        described.append([(c.name, c.type_code) for c in cursor.description or []])
    assert described[0] == described[1]
    first = [checksums(server) for server in servers]
    assert first[0] == first[1]
    late = "34230000,990000,500,D,1,0\n"
    archive(tmp_path / "late", late, "trade")
    for server in servers:
        market.refresh_rollups(server)
        assert checksums(server) == first[0]
        loader.load(server, "lean", [tmp_path / "late"])
        server.execute("update market._trades set price = price + 100 where seq % 7 = 0")
        server.execute("delete from market._quotes where seq % 9 = 0")
        market.refresh_rollups(server)
        assert differences(server) == []
    second = [checksums(server) for server in servers]
    assert second[0] == second[1] != first[0]


@pytest.mark.long
@pytest.mark.needs_data
@pytest.mark.timeout(1800)
def test_bars_of_both_editions_over_recorded_ticks_are_the_same(conn, community, data_folder):
    if is_native(conn):
        pytest.skip("the server under test is of the Community edition itself")
    for server in (conn, community):
        loader.load(server, "lean", [data_folder / "us_equity_ticks"])
        market.refresh_rollups(server)
    found = checksums(conn)
    print(found)
    assert found == checksums(community)
    assert differences(conn) == []
