"""The feeds worker: what it stores, hands over and says, whatever goes wrong around it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest
from tests.workers.helpers import eventually
from tests.workers.stream_helpers import Script, Worker, one, quotes

from pair_market import NEXT_OPEN, save_pair, wave
from tsdb_trader.errors import InputError
from tsdb_trader.feeds import stream_registry
from tsdb_trader.feeds.base import Block, Gap

RoleUrl = Callable[[str | None], str]
T0 = datetime(2024, 3, 1, 15, tzinfo=UTC)


@pytest.fixture
def script() -> Script:
    return Script()


@pytest.fixture
def run(role_url: RoleUrl, script: Script) -> Iterator[Callable[..., Worker]]:
    """Start feeds workers that follow the script."""
    workers: list[Worker] = []

    def start(**given: Any) -> Worker:
        workers.append(Worker(role_url("tsdb_worker_feeds"), **({"make": script.make} | given)))
        return workers[-1]

    yield start
    for worker in workers:
        worker.stop()


def add(conn: psycopg.Connection, feed: str = "s", **configuration: object) -> int:
    return one(
        conn,
        "select ops.add_feed(%s, 'scripted', %s)",
        feed,
        psycopg.types.json.Jsonb(configuration),
    )


def beat(conn: psycopg.Connection, feed: str = "s") -> dict[str, Any]:
    row = one(
        conn,
        "select jsonb_build_object('status', status, 'detail', detail) from ops.heartbeats "
        "where worker = 'feed:' || %s",
        feed,
    )
    return row or {"status": None, "detail": {}}


def seconds(first: int, count: int, price: int = 1_000_000) -> Block:
    return quotes(
        first,
        [
            (T0 + timedelta(seconds=n), "AAA", price, price + 100)
            for n in range(first, first + count)
        ],
    )


def stored(conn: psycopg.Connection) -> list[int]:
    return [row[0] for row in conn.execute("select seq from market._quotes order by seq")]


def test_feed_stores_blocks_with_their_resume_point(conn, run, script) -> None:
    add(conn)
    run()
    script.put(seconds(0, 3), seconds(3, 2))
    eventually(lambda: stored(conn) == [0, 1, 2, 3, 4])
    assert one(
        conn,
        "select next_row, rows_stored, sha256, kind from market.sources where parent_id is null",
    ) == (5, 5, "stream", "many")
    eventually(lambda: beat(conn)["detail"].get("rows") == 5)
    assert beat(conn)["status"] == "running"
    assert beat(conn)["detail"]["next_rows"] == {"c": 5}
    assert script.stored.acquire(timeout=10)


def test_feed_restarted_goes_on_where_it_stood(conn, run, script) -> None:
    add(conn)
    first = run()
    script.put(seconds(0, 3))
    eventually(lambda: stored(conn) == [0, 1, 2])
    first.stop()
    assert beat(conn)["status"] == "stopped"
    run()
    eventually(lambda: script.opened == [{}, {"c": 3}])


def test_feed_stopped_and_configured_takes_effect_at_once(conn, run, script) -> None:
    add(conn)
    worker = run()
    eventually(lambda: len(script.opened) == 1)
    conn.execute("select ops.set_feed_status('s', 'inactive')")
    eventually(lambda: script.closed == 1)
    eventually(lambda: not worker.worker.runs)
    assert beat(conn)["status"] == "stopped"
    conn.execute("select ops.set_feed_status('s', 'active')")
    eventually(lambda: len(script.opened) == 2)
    conn.execute("""select ops.configure_feed('s', '{"lateness_s": 1}')""")
    eventually(lambda: len(script.opened) == 3)
    assert worker.worker.runs["s"].feed.configuration == {"lateness_s": 1}


def test_feed_source_lost_reconnects_and_counts(conn, run, script) -> None:
    add(conn)
    run()
    script.put(seconds(0, 2), ConnectionResetError("gone"), seconds(2, 2))
    eventually(lambda: stored(conn) == [0, 1, 2, 3])
    assert script.opened == [{}, {"c": 2}]
    eventually(lambda: beat(conn)["detail"].get("reconnects") == 1)
    assert beat(conn)["detail"]["error"] == "ConnectionResetError: gone"


def test_feed_unforeseen_error_is_told_and_the_others_go_on(conn, run, script) -> None:
    add(conn, "bad")
    other = Script()
    run(make=lambda f, c: (other if c.get("other") else script).make(f, c))
    add(conn, "good", other=True)
    script.put(ZeroDivisionError("oops"), seconds(0, 1))
    other.put(seconds(0, 1))
    eventually(lambda: len(stored(conn)) == 2)
    message = one(conn, "select message from ops.alerts where kind = 'feed_error'")
    assert message == "feed bad met something unforeseen: ZeroDivisionError: oops"
    assert len(other.opened) == 1
    eventually(lambda: beat(conn, "bad")["status"] == "running")


@pytest.mark.parametrize(
    ("file_format", "configuration", "says"),
    [
        ("morse", {}, "no stream is of format 'morse': use one of fix, itch_udp, kafka"),
        ("websocket", {"url": "http://x"}, '"url" must begin with ws:// or wss://'),
        ("websocket", {"ulr": "ws://x"}, "unknown ulr"),
        ("zeromq", {"connect": ["tcp://x:1"], "socket": "rep"}, "neither sub nor pull"),
        ("kafka", {"servers": "x"}, 'give "servers" and "topics"'),
        (
            "kafka",
            {"servers": {"env": "TSDB_TRADER_FEED_NONE"}},
            "TSDB_TRADER_FEED_NONE is not set",
        ),
        ("kafka", {"servers": {"env": "PGPASSWORD"}}, "a secret is named like"),
        ("kafka", {"lateness_s": -1}, "lateness_s must be a number"),
        ("kafka", {"derive_quotes": 1}, "derive_quotes must be true or false"),
    ],
)
def test_feed_of_bad_configuration_says_what_is_wrong(
    conn, run, file_format: str, configuration: dict[str, Any], says: str
) -> None:
    conn.execute(
        "select ops.add_feed('s', %s, %s)", (file_format, psycopg.types.json.Jsonb(configuration))
    )
    run(make=stream_registry.make_stream)
    eventually(lambda: beat(conn)["status"] == "failed")
    assert says in beat(conn)["detail"]["error"]
    eventually(lambda: one(conn, "select count(*) from ops.alerts where kind = 'feed_failed'") == 1)
    state, error = one(conn, "select state, last_error from ops.feed_status where feed = 's'")
    assert (state, says in error) == ("failed", True)


def test_feed_mended_resolves_its_alert(conn, run, script) -> None:
    add(conn, fails=True)

    def make(file_format: str, configuration: dict[str, Any]) -> Any:
        if configuration.get("fails"):
            raise InputError("no good")
        return script.make(file_format, configuration)

    run(make=make)
    unresolved = "select count(*) from ops.alerts where resolved_at is null"
    eventually(lambda: one(conn, unresolved) == 1)
    conn.execute("select ops.configure_feed('s', '{}')")
    eventually(lambda: one(conn, unresolved) == 0)
    eventually(lambda: beat(conn)["status"] == "running")


def _end_backends(url: str) -> int:
    """End the feed's connection; a role may end its own."""
    with psycopg.connect(url, autocommit=True) as conn:
        return one(
            conn,
            "select count(pg_terminate_backend(pid)) from pg_stat_activity "
            "where application_name = 'tsdb-trader feed:s' and datname = current_database()",
        )


def test_feed_database_connection_lost_keeps_every_row(conn, run, script, role_url) -> None:
    add(conn)
    run()
    script.put(seconds(0, 2))
    eventually(lambda: stored(conn) == [0, 1])
    for n in range(2, 12):
        script.put(seconds(n, 1))
        if n % 3 == 0:
            _end_backends(role_url("tsdb_worker_feeds"))
    eventually(lambda: stored(conn) == list(range(12)))
    assert script.opened == [{}], "the source was not bothered"


def test_feed_database_away_reading_stops_at_the_bound(conn, run, script, role_url) -> None:
    """Rows wait in memory up to pending_rows, then in the source; all are stored in the end."""
    add(conn, pending_rows=3)
    run()
    script.put(seconds(0, 1))
    eventually(lambda: stored(conn) == [0])
    # Of others' connections a role sees no waits, and within a transaction all is as at its start.
    watcher = psycopg.connect(role_url("tsdb_worker_feeds"), autocommit=True)
    with watcher, psycopg.connect(role_url(None), autocommit=True) as blocker:
        blocker.execute("begin; lock table market.sources in access exclusive mode")
        for n in range(1, 21):
            script.put(seconds(n, 1))
        # One is being written and waits; it is ended, and tried again, while others are read.
        waiting = "select count(*) from pg_stat_activity where wait_event_type = 'Lock' and application_name = 'tsdb-trader feed:s' and datname = current_database()"
        eventually(lambda: one(watcher, waiting) == 1)
        left: set[int] = set()
        for _ in range(3):
            eventually(lambda: one(watcher, waiting) == 1)
            _end_backends(role_url("tsdb_worker_feeds"))
            left.add(script.items.qsize())
        assert min(left) >= 20 - 4, left
        blocker.execute("commit")
    eventually(lambda: stored(conn) == list(range(21)))


def test_feed_commit_whose_answer_is_lost_is_not_repeated(conn, run, script, monkeypatch) -> None:
    from tsdb_trader.feeds.store import SourceWriter

    add(conn)
    failures = iter([True])
    write = SourceWriter.write

    def lossy(self: Any, *args: Any, **given: Any) -> Any:
        counts = write(self, *args, **given)
        if next(failures, False):
            self.conn.close()
            raise psycopg.OperationalError("the answer to commit was lost")
        return counts

    monkeypatch.setattr(SourceWriter, "write", lossy)
    run()
    script.put(seconds(0, 3), seconds(3, 3))
    eventually(lambda: stored(conn) == [0, 1, 2, 3, 4, 5])
    assert one(conn, "select sum(rows_read) from market.sources where parent_id is null") == 6


def test_feed_two_workers_one_reads_and_the_other_takes_over(conn, run, script) -> None:
    add(conn)
    first = run(owner="one")
    script.put(seconds(0, 1))
    eventually(lambda: stored(conn) == [0])
    second_script = Script()
    second = run(owner="two", make=second_script.make)
    eventually(lambda: second.worker.runs and second.worker.runs["s"].state == "standby")
    assert second_script.opened == []
    first.stop()
    eventually(lambda: second_script.opened == [{"c": 1}])
    second_script.put(seconds(1, 1))
    eventually(lambda: stored(conn) == [0, 1])


def test_feed_lease_stolen_stores_nothing_more(conn, run, script) -> None:
    """Rows of a process that lost its lease unnoticed are refused by the resume point."""
    add(conn)
    run()
    script.put(seconds(0, 1))
    eventually(lambda: stored(conn) == [0])
    conn.execute(
        "update market.sources set next_row = 5, rows_read = 5, rows_stored = 5 where parent_id is null"
    )
    script.put(seconds(1, 1))
    eventually(lambda: len(script.opened) == 2)
    assert script.opened[1] == {"c": 5}
    assert stored(conn) == [0]
    eventually(lambda: one(conn, "select count(*) from ops.alerts where kind = 'feed_error'") == 1)


def test_feed_rows_the_database_refuses_wait_for_a_person(conn, run, script) -> None:
    conn.execute("select ref.add_instrument('AAA', p_price_scale => 2)")
    add(conn)
    run()
    script.put(seconds(0, 2))
    eventually(lambda: beat(conn)["status"] == "failed")
    assert "AAA keeps 2" in beat(conn)["detail"]["error"]
    assert beat(conn)["detail"]["waiting"] == 2
    conn.execute("update ref.instruments set price_scale = 4")
    eventually(lambda: stored(conn) == [0, 1])
    eventually(lambda: beat(conn)["status"] == "running")
    eventually(lambda: one(conn, "select count(*) from ops.alerts where resolved_at is null") == 0)


def test_feed_status_shows_gaps_duplicates_and_missing(conn, run, script) -> None:
    add(conn)
    run()
    block = seconds(0, 2)
    script.put(
        Block(0, 4, block.ticks, gaps=[Gap(2, 3), Gap(7, 9)], missing=2, duplicates=5),
        Block(4, 4, filled=[Gap(7, 7)]),
    )
    eventually(
        lambda: one(conn, "select count(*) from market.gaps where filled_at is not null") == 1
    )
    eventually(lambda: beat(conn)["detail"].get("gaps") == 2)
    assert one(
        conn,
        "select kind, state, rows_stored, rows_missing, rows_duplicate, open_gaps, gap_rows, last_ts "
        "from ops.feed_status",
    ) == ("stream", "running", 2, 2, 5, 2, 4, T0 + timedelta(seconds=1))


# Live batches -------------------------------------------------------------------------------


def open_session(conn: psycopg.Connection, start: datetime, interval: str = "1 second") -> Any:
    return one(
        conn,
        "select ops.open_session('paper', 'live', 's', %s, null, %s)",
        start,
        interval,
    )


def batches(conn: psycopg.Connection, session: Any) -> list[tuple[int, float, float, int]]:
    return conn.execute(
        "select batch_no, extract(epoch from from_ts - %s)::float8, "
        "extract(epoch from as_of - %s)::float8, quote_count "
        "from market.batches where session_id = %s order by batch_no",
        (T0, T0, session),
    ).fetchall()


def tick(row: int, second: float) -> Block:
    return quotes(row, [(T0 + timedelta(seconds=second), "AAA", 1_000_000, 1_000_100)])


def test_live_session_gets_batches_on_its_grid(conn, run, script) -> None:
    add(conn, quiet_s=1000)
    session = open_session(conn, T0)
    run()
    script.put(tick(0, 0.2), tick(1, 0.9), tick(2, 1.0), tick(3, 1.1), tick(4, 5.5), tick(5, 7.2))
    eventually(lambda: len(batches(conn, session)) == 3)
    # The end of an interval belongs to it; empty ones are skipped; the last one is not over.
    assert batches(conn, session) == [(1, 0, 1, 3), (2, 1, 2, 1), (3, 5, 6, 1)]


def test_live_session_quiet_gets_the_rest(conn, run, script) -> None:
    add(conn, quiet_s=0.2)
    session = open_session(conn, T0)
    run()
    script.put(tick(0, 0.2), tick(1, 1.4))
    eventually(lambda: batches(conn, session) == [(1, 0, 1, 1), (2, 1, 1.4, 1)])
    script.put(tick(2, 1.6), tick(3, 3.5))
    eventually(lambda: batches(conn, session)[2:] == [(3, 1.4, 2, 1), (4, 3, 3.5, 1)])


def test_live_session_late_ticks_are_stored_and_counted(conn, run, script) -> None:
    add(conn, quiet_s=1000)
    session = open_session(conn, T0)
    run()
    script.put(tick(0, 0.5), tick(1, 1.5), tick(2, 0.7), tick(3, 1.7), tick(4, -3), tick(5, 2.5))
    eventually(lambda: len(batches(conn, session)) == 2)
    eventually(lambda: len(stored(conn)) == 6)
    assert batches(conn, session) == [(1, 0, 1, 1), (2, 1, 2, 2)]
    # The one before the session's start is not late for it.
    assert one(conn, "select ticks from market.late_ticks where session_id = %s", session) == 1
    assert one(conn, "select late_ticks from ops.feed_status") == 1
    assert (
        conn.execute(
            "select * from backtest.parity(%s) where kind <> 'unconsumed_batch'", (session,)
        ).fetchall()
        == []
    )


def test_live_session_lateness_waits_for_ticks_out_of_order(conn, run, script) -> None:
    add(conn, lateness_s=1, quiet_s=1000)
    session = open_session(conn, T0)
    run()
    script.put(tick(0, 0.5), tick(1, 1.5), tick(2, 0.7), tick(3, 2.1), tick(4, 3.1))
    eventually(lambda: batches(conn, session) == [(1, 0, 1, 2), (2, 1, 2, 1)])
    assert one(conn, "select count(*) from market.late_ticks") == 0


def test_live_session_time_in_the_future_holds_nobody_up(conn, run, script) -> None:
    """One wrong time ahead of the clock must not make every tick after it late."""
    add(conn, quiet_s=1000)
    now = one(conn, "select clock_timestamp()")
    session = open_session(conn, now)
    run()
    script.put(
        quotes(0, [(now + timedelta(hours=5), "AAA", 1, 2)]),
        quotes(1, [(now + timedelta(microseconds=1), "AAA", 1, 2)]),
    )
    eventually(lambda: len(stored(conn)) == 2)
    eventually(lambda: script.reads > 3)
    assert one(conn, "select count(*) from market.late_ticks") == 0
    assert (
        one(
            conn,
            "select max(as_of) <= clock_timestamp() from market.batches where session_id = %s",
            session,
        )
        is not False
    )


def test_live_session_opened_late_starts_there(conn, run, script) -> None:
    add(conn, quiet_s=1000)
    run()
    script.put(tick(0, 0.5), tick(1, 1.5))
    eventually(lambda: len(stored(conn)) == 2)
    session = open_session(conn, T0 + timedelta(seconds=2))
    script.put(tick(2, 2.5), tick(3, 3.5))
    eventually(lambda: batches(conn, session) == [(1, 2, 3, 1)])


def test_live_session_long_backlog_is_handed_over_in_parts(conn, run, script, monkeypatch) -> None:
    monkeypatch.setattr("tsdb_trader.workers.feeds_backlog.BATCHES", 7)
    add(conn, quiet_s=1000)
    session = open_session(conn, T0 - timedelta(milliseconds=500))
    run()
    script.put(seconds(0, 40))
    eventually(lambda: len(batches(conn, session)) == 39)
    assert one(conn, "select sum(quote_count) from market.batches") == 39


def test_live_session_trades_a_stream_exactly_as_a_replay(conn, run, script) -> None:
    """Live signals equal those of a replay of the stored ticks, and parity has nothing to say."""
    leg_a, leg_b = wave(NEXT_OPEN, 120)
    ticks = sorted([(t, "A", b, a) for t, b, a in leg_a] + [(t, "B", b, a) for t, b, a in leg_b])
    add(conn, quiet_s=1000)
    for symbol in "AB":
        conn.execute("select ref.add_instrument(%s)", (symbol,))
    conn.execute("update ops.feeds set feed = 'test' where feed = 's'")
    save_pair(conn)
    live = one(
        conn,
        "select ops.open_session('paper', 'x', 'test', %s, %s)",
        NEXT_OPEN,
        NEXT_OPEN + timedelta(seconds=120),
    )
    conn.execute("select signal.bind_pairs(%s)", (live,))
    run()
    for first in range(0, len(ticks), 7):
        script.put(quotes(first, ticks[first : first + 7]))
    # Something after the end, so that the last interval is over.
    script.put(quotes(len(ticks), [(NEXT_OPEN + timedelta(seconds=125), "A", 1, 2)]))
    eventually(lambda: len(stored(conn)) == len(ticks) + 1)
    while one(conn, "select ops.consume_batch(%s)", live) is not None:
        pass
    assert conn.execute("select * from backtest.parity(%s)", (live,)).fetchall() == []
    replay = one(
        conn,
        "select ops.open_session('replay', 'x', 'test', %s, %s)",
        NEXT_OPEN,
        NEXT_OPEN + timedelta(seconds=120),
    )
    conn.execute("select signal.bind_pairs(%s)", (replay,))
    while one(conn, "select ops.advance_replay(%s)", replay) != "end":
        conn.execute("select signal.on_batch(signal.next_batch(%s))", (replay,))
    for what in (
        "select batch_no, from_ts, as_of, quote_count, digest from market.batches where session_id = %s order by 1",
        "select batch_no, event, target, spread, z_score from signal.signals where session_id = %s order by 1, 2",
    ):
        rows = conn.execute(what, (live,)).fetchall()
        assert rows
        assert rows == conn.execute(what, (replay,)).fetchall()


# Administration -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("statement", "sqlstate"),
    [
        ("select ops.add_feed('a b', 'x')", "TT001"),
        ("select ops.add_feed(null, 'x')", "TT001"),
        ("select ops.add_feed('a', 'x', '[]')", "TT001"),
        ("select ops.add_feed('s', 'other')", "TT006"),
        ("""select ops.add_feed('s', 'scripted', '{"a": 1}')""", "TT006"),
        ("select ops.configure_feed('none', '{}')", "TT002"),
        ("select ops.configure_feed('s', '3')", "TT001"),
        ("select ops.set_feed_status('none', 'active')", "TT002"),
        ("select ops.set_feed_status('s', 'on')", "TT001"),
        ("select ops.set_feed_status('s', null)", "TT001"),
    ],
)
def test_feed_administration_refuses(conn, connect_as, statement: str, sqlstate: str) -> None:
    add(conn)
    operator = connect_as("tsdb_operator")
    with pytest.raises(psycopg.Error) as error:
        operator.execute(statement)
    assert error.value.sqlstate == sqlstate


def test_feed_administration_is_for_operations(conn, connect_as) -> None:
    for role in ("tsdb_operator", "tsdb_ops"):
        assert one(connect_as(role), "select ops.add_feed('s', 'scripted')") == add(conn)
    for role in ("tsdb_quant", "tsdb_readonly", "tsdb_venue", "tsdb_worker", "tsdb_risk"):
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            connect_as(role).execute("select ops.add_feed('t', 'scripted')")
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            connect_as(role).execute("select ops.configure_feed('s', '{}')")


# Command line -------------------------------------------------------------------------------


def cli(url: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "tsdb_trader", *arguments],
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | {"TSDB_TRADER_DATABASE_URL": url, "COLUMNS": "250"},
    )


def test_feed_commands_add_stop_and_show(conn, database, tmp_path) -> None:
    file = tmp_path / "feed.toml"
    file.write_text('servers = "k:9092"\ntopics = ["t"]\n')
    added = cli(
        database,
        "feed",
        "add",
        "k",
        "kafka",
        "--config",
        str(file),
        "--set",
        "quiet_s=2",
        "--set",
        "start=latest",
    )
    assert (added.returncode, added.stderr) == (0, "")
    assert one(
        conn, "select configuration from ops.feeds where feed = 'k' and kind = 'stream'"
    ) == {
        "servers": "k:9092",
        "topics": ["t"],
        "quiet_s": 2,
        "start": "latest",
    }
    assert cli(database, "feed", "stop", "k").returncode == 0
    assert one(conn, "select status from ops.feeds where feed = 'k'") == "inactive"
    shown = cli(database, "status")
    assert "k (kafka)" in shown.stdout
    (feed,) = json.loads(cli(database, "status", "--json").stdout)["feeds"]
    assert (feed["feed"], feed["state"], feed["rows_stored"]) == ("k", "stopped", 0)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("add", "k", "morse"), "no stream is of format 'morse': use one of"),
        (("add", "k", "kafka", "--config", "/none"), "/none: cannot be read"),
        (("add", "k", "kafka", "--set", "x"), "--set x: write it like key=value"),
        (("start", "none"), 'stream "none" does not exist'),
    ],
)
def test_feed_commands_refuse_in_one_line(database, arguments: tuple[str, ...], says: str) -> None:
    done = cli(database, "feed", *arguments)
    assert done.returncode == 5
    assert done.stderr.startswith("error: ")
    assert says in done.stderr
    assert done.stderr.count("\n") == 1
