"""How long ticks are kept: never less than promised, and bars outlive them."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psycopg
import pytest

from books_events import START, Event, generate, write
from lean_files import QUOTES, TRADES, archive
from rollup_checks import BUCKETS, is_native, shown, stop_policies
from tsdb_trader.api import books, market, rollups
from tsdb_trader.errors import InputError, UnknownObjectError
from tsdb_trader.feeds import loader
from tsdb_trader.workers.scheduler import JOBS, run_job

DAY = timedelta(days=1)


@pytest.fixture
def ticks(conn: psycopg.Connection, tmp_path: Path) -> psycopg.Connection:
    """Return three days of ticks of 2013, loaded now."""
    if is_native(conn):
        stop_policies(conn)
    for day in ("20131007", "20131008", "20131009"):
        archive(tmp_path, TRADES, "trade", day=day)
        archive(tmp_path, QUOTES, day=day)
    loader.load(conn, "lean", [tmp_path])
    return conn


def days(conn: psycopg.Connection, table: str = "_trades") -> list[int]:
    rows = conn.execute(
        f"select distinct extract(day from ts)::int from market.{table} order by 1"
    ).fetchall()
    return [day for (day,) in rows]


def bars(conn: psycopg.Connection) -> dict[str, list[tuple[object, ...]]]:
    return {name: conn.execute(f"{shown(name)} order by 1, 2").fetchall() for name in BUCKETS}


def later(keep: timedelta) -> datetime:
    """Return a time at which everything loaded now is older than that."""
    return datetime.now(UTC) + keep + timedelta(hours=1)


def test_retention_of_back_dated_ticks_counts_from_their_loading(ticks):
    market.refresh_rollups(ticks)
    assert rollups.set_retention(ticks, "trades", 30 * DAY) == "none"
    [table] = rollups.apply_retention(ticks, datetime.now(UTC) + 29 * DAY)
    assert (table.dropped, table.waits, table.dropped_before) == (0, False, None)
    assert days(ticks) == [7, 8, 9]
    [table] = rollups.apply_retention(ticks, later(30 * DAY))
    assert (table.dropped, days(ticks), days(ticks, "_quotes")) == (3, [], [7, 8, 9])


def test_retention_drops_nothing_that_is_not_in_the_bars_yet(ticks):
    market.refresh_rollups(ticks)
    ticks.execute("update market._trades set price = price + 100 where ts > '2013-10-08'")
    rollups.set_retention(ticks, "trades", DAY)
    [table] = rollups.apply_retention(ticks, later(DAY))
    assert (table.dropped, table.waits) == (1, True)
    assert days(ticks) == [8, 9]
    market.refresh_rollups(ticks)
    [table] = rollups.apply_retention(ticks, later(DAY))
    assert (table.dropped, table.waits, days(ticks)) == (2, False, [])


def test_retention_before_any_refresh_waits(ticks):
    rollups.set_retention(ticks, "trades", DAY)
    rollups.set_retention(ticks, "quotes", DAY)
    assert [(t.dropped, t.waits) for t in rollups.apply_retention(ticks, later(DAY))] == [
        (0, True),
        (0, True),
    ]
    assert days(ticks) == days(ticks, "_quotes") == [7, 8, 9]


def test_bars_outlive_their_ticks_and_every_refresh_after(ticks, tmp_path):
    market.refresh_rollups(ticks)
    before = bars(ticks)
    for name in ("trades", "quotes"):
        rollups.set_retention(ticks, name, DAY)
    rollups.apply_retention(ticks, later(DAY))
    assert days(ticks) == []
    market.refresh_rollups(ticks)
    assert bars(ticks) == before
    # A late tick for a day that is gone changes none of its bars; one of a new day has its own.
    late = "34230000,990000,500,D,1,0\n"
    archive(tmp_path / "late", late, "trade", "xyz", "20131008")
    archive(tmp_path / "late", late, "trade", "xyz", "20131010")
    loader.load(ticks, "lean", [tmp_path / "late"])
    market.refresh_rollups(ticks)
    after = bars(ticks)
    for name in BUCKETS:
        assert [row for row in after[name] if row in before[name]] == before[name]
        assert len(after[name]) == len(before[name]) + 1


def test_bars_of_seconds_may_go_before_those_of_minutes(ticks):
    market.refresh_rollups(ticks)
    before = bars(ticks)
    for name in ("trades", "quotes", "bars_1s"):
        rollups.set_retention(ticks, name, DAY)
    assert sum(t.dropped for t in rollups.apply_retention(ticks, later(DAY))) >= 8
    market.refresh_rollups(ticks)
    after = bars(ticks)
    assert after.pop("bars_1s") == []
    before.pop("bars_1s")
    assert after == before


def test_retention_policies_of_the_server_leave_what_was_dropped_alone(ticks):
    if not is_native(ticks):
        pytest.skip("TimescaleDB does not keep the rollups of this server")
    market.refresh_rollups(ticks)
    before = bars(ticks)
    for name in ("trades", "quotes"):
        rollups.set_retention(ticks, name, DAY)
    rollups.apply_retention(ticks, later(DAY))
    jobs = ticks.execute(
        "select job_id from timescaledb_information.jobs"
        " where proc_name = 'policy_refresh_continuous_aggregate' order by 1"
    ).fetchall()
    for (job,) in jobs:
        ticks.execute("call public.run_job(%s)", (job,))
    assert bars(ticks) == before


def test_set_retention_bad_input_is_refused(ticks):
    for name, keep, compress, error in (
        ("nothing", DAY, None, UnknownObjectError),
        ("quotes", timedelta(hours=23), None, InputError),
        ("quotes", timedelta(0), None, InputError),
        ("quotes", -DAY, None, InputError),
        ("quotes", None, timedelta(minutes=59), InputError),
        ("quotes", DAY, DAY, InputError),
        ("bars_1s", None, DAY, InputError),
    ):
        with pytest.raises(error):
            rollups.set_retention(ticks, name, keep, compress)
    assert ticks.execute("select count(*) from market.retention").fetchone() == (0,)


def test_set_retention_compression_is_a_policy_where_the_server_can(ticks):
    found = rollups.set_retention(ticks, "quotes", None, 7 * DAY)
    assert found == ("policy" if is_native(ticks) else "not available")
    assert rollups.set_retention(ticks, "quotes", None) == "none"
    rollups.set_retention(ticks, "quotes", 30 * DAY, 7 * DAY)
    assert rollups.apply_retention(ticks, datetime.now(UTC))[0].dropped == 0
    if is_native(ticks):
        market.refresh_rollups(ticks)
        before = bars(ticks)
        ticks.execute("select public.compress_chunk(c) from public.show_chunks('market._quotes') c")
        assert days(ticks, "_quotes") == [7, 8, 9]
        ticks.execute("update market._quotes set ask_price = ask_price + 100 where seq = 4")
        market.refresh_rollups(ticks)
        assert bars(ticks) != before


def test_retention_is_set_by_operators_and_applied_by_the_scheduler(ticks, connect_as, role_url):
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        connect_as("worker").execute("select market.set_retention('quotes', '1 day')")
    connect_as("operator").execute("select market.set_retention('quotes', '1 day')")
    [job] = [j for j in JOBS if j.name == "apply_retention"]
    run_job(role_url("worker_scheduler"), job)
    assert ticks.execute("select succeeded, detail from ops.jobs").fetchall() == [
        (True, {"dropped": {}, "waiting": []})
    ]
    assert days(ticks, "_quotes") == [7, 8, 9]


def book(conn: psycopg.Connection, symbol: str, at: datetime) -> list[tuple[object, ...]]:
    return conn.execute(
        "select * from market.orders_at(ref.instrument_id(%s), %s)", (symbol, at)
    ).fetchall()


def test_books_outlive_their_dropped_events(conn):
    """Orders live at the edge stand in snapshots, also of a book without any event after it."""
    newer = datetime.now(UTC) + 3 * DAY
    later_us = (newer - START) // timedelta(microseconds=1)
    events = generate(5, 400)
    kept = [replace(event, ts=event.ts + later_us) for event in events[200:]]
    write(conn, events[:200], kept)
    write(conn, generate(6, 100), content="quiet", symbol="BBB")
    books.snapshot_books(conn, 40)
    books.derive_feed_quotes(conn, "itch")

    def state() -> list[object]:
        instants = [newer + timedelta(milliseconds=n) for n in (0, 50, 100, 1000)]
        return [
            *(book(conn, symbol, at) for symbol in ("AAA", "BBB") for at in instants),
            *(
                conn.execute(f"select * from market.{name} order by 1, 2, 3, 4, 5").fetchall()
                for name in ("bbo", "quotes")
            ),
        ]

    before = state()
    assert all(before)
    rollups.set_retention(conn, "book_events", DAY)
    [done] = rollups.apply_retention(conn, later(DAY))
    assert (done.dropped, done.dropped_before) == (1, datetime(2024, 3, 5, tzinfo=UTC))
    assert conn.execute("select count(*) from market._book_events").fetchone() == (200,)
    assert state() == before
    for statement in (
        "select * from market.orders_at(1, '2024-03-04 20:00')",
        "select * from market.book_at(1, '2024-03-04 20:00', 5)",
        "select * from market.bbo(1, '2024-03-04 20:00', '2024-03-05 20:00')",
    ):
        with pytest.raises(psycopg.Error, match=r"books before 2024-03-05 .* are dropped"):
            conn.execute(statement)
    # Late events of dropped days, new ones, and changes by hand start from what was carried over.
    write(conn, [Event(5, "add", 77_777, "bid", 10_000, 1)], content="late")
    conn.execute("update market._book_events set flags = flags where order_id = 77777")
    assert books.derive_feed_quotes(conn, "itch") > 0
    assert state() == before
    assert rollups.apply_retention(conn, later(DAY))[0].dropped == 1
    assert state() == before


def test_books_are_carried_over_again_when_more_is_dropped(conn):
    old, day_us = generate(7, 300), 86_400 * 10**6
    write(conn, [replace(e, ts=e.ts + day_us * (n // 100)) for n, e in enumerate(old)])
    wanted = book(conn, "AAA", START + 10 * DAY)
    rollups.set_retention(conn, "book_events", DAY)
    for days in (1, 2, 3):
        conn.execute("select market._carry_books(%s)", (datetime(2024, 3, 4 + days, tzinfo=UTC),))
        assert conn.execute(
            "select count(*), max(event_count) from market.book_snapshots"
        ).fetchone() == (
            1,
            100 * days,
        )
        assert book(conn, "AAA", START + 10 * DAY) == wanted != []
