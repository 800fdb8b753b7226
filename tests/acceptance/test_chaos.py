"""Workers killed and the server stopped at random points of a session: nothing lost, nothing twice.

The session's market flips a pair over its entry threshold and back every few seconds, so that at
any moment orders are between the database, the gateway and the venue. The seed is printed;
TSDB_TRADER_CHAOS_SEED repeats it, TSDB_TRADER_CHAOS_KILLS sets how many kills the long form makes.
"""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
import uuid
from collections import Counter
from collections.abc import Iterator
from itertools import cycle
from pathlib import Path

import psycopg
import pytest

from tsdb_trader import embedded, schema
from tsdb_trader.config import Settings

VICTIMS = ("gateway", "signals", "venue", "replay", "server")


def make_market(conn: psycopg.Connection, seconds: int) -> uuid.UUID:
    """Store quotes of two symbols, a pair that they make trade, and a replay session over them."""
    parameters = {
        "hedge_ratio": 1, "mean": 0, "deviation": 0.001, "entry": 2, "exit": 0.5, "stop": 50,
        "half_life_s": 1e8, "warm_up_s": 0, "max_gap_s": 1e9, "notional": 30_000,
    }  # fmt: skip
    with conn.transaction():
        conn.execute("insert into ops.feeds (feed, format) values ('chaos', 'test')")
        for symbol in ("AAA", "BBB"):
            conn.execute("select ref.add_instrument(%s)", (symbol,))
            # A short book now and then, so that orders are filled in part, rest and are cancelled.
            conn.execute(
                """
                with source as (
                    insert into market.sources (feed_id, sha256, content, name, kind, instrument_id,
                        status, next_row, rows_read, rows_stored, first_ts, last_ts)
                    select feed_id, %(symbol)s, %(symbol)s, %(symbol)s, 'quotes',
                        ref.instrument_id(%(symbol)s), 'complete', %(n)s, %(n)s, %(n)s,
                        timestamptz '2020-01-02 15:00:01+00',
                        timestamptz '2020-01-02 15:00:00+00' + %(n)s * interval '1 second'
                    from ops.feeds returning source_id, feed_id, instrument_id)
                insert into market._quotes (ts, recv_ts, seq, bid_price, bid_size, ask_price, ask_size,
                    instrument_id, source_id, feed_id, ns, flags)
                select t, t, n, mid - 100, size, mid + 100, size, instrument_id, source_id, feed_id, 0, 3
                from source, (
                    select n, timestamptz '2020-01-02 15:00:00+00' + n * interval '1 second' as t,
                        case when %(symbol)s = 'AAA' and n %% 8 >= 4 then 1003000 else 1000000 end as mid,
                        case when n %% 3 = 0 then 170 else 1000 end as size
                    from generate_series(1, %(n)s) n) q
                """,
                {"symbol": symbol, "n": seconds},
            )
        conn.execute(
            "select signal.save_pair('AAA', 'BBB', 'chaos', %s, '{}', '2020-01-01', '2020-01-02', "
            "'{}', 'test')",
            (json.dumps(parameters),),
        )
        row = conn.execute(
            "select ops.open_session('replay', 'chaos', 'chaos', '2020-01-02 15:00:00+00', "
            "timestamptz '2020-01-02 15:00:00+00' + %s * interval '1 second')",
            (seconds,),
        ).fetchone()
        assert row is not None
        conn.execute("select signal.bind_pairs(%s)", (row[0],))
    return uuid.UUID(str(row[0]))


@pytest.fixture
def own_server(tmp_path: Path) -> Iterator[Settings]:
    """Start a private server that nobody else uses, with its own home."""
    if os.environ.get("TSDB_TRADER_DATABASE_URL"):
        pytest.skip("needs a private server to stop: unset TSDB_TRADER_DATABASE_URL")
    config = Settings(home=tmp_path / "home")
    embedded.ensure_running(config)
    yield config
    embedded.reset(config)
    embedded.stop(config, immediate=True)


class Platform:
    """`tsdb-trader up` on the private server, and the means to hurt it."""

    def __init__(self, config: Settings) -> None:
        self.config = config
        self.log = (config.home / "up.log").open("ab")
        self.process = subprocess.Popen(
            [str(Path(sys.executable).with_name("tsdb-trader")), "up"],
            env=os.environ | {"TSDB_TRADER_HOME": str(config.home)},
            stdout=self.log,
            stderr=self.log,
        )

    def workers(self) -> dict[str, int]:
        """Return the process ids of the supervisor's children by kind."""
        found = {}
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text()
        for pid in children.split():
            try:
                command = Path(f"/proc/{pid}/cmdline").read_text().split("\0")
            except OSError:
                continue
            if "worker" in command:
                found[command[command.index("worker") + 1]] = int(pid)
        return found

    def kill(self, victim: str) -> bool:
        """Kill a worker, or stop the server at once and start it again; False if there was none."""
        if victim == "server":
            embedded.stop(self.config, immediate=True)
            embedded.ensure_running(self.config)
            return True
        pid = self.workers().get(victim)
        if pid is None:
            return False
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            return False
        return True

    def stop(self) -> None:
        """Stop everything, at once if it must be."""
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(30)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.log.close()


class Watch:
    """Looks at a session over a connection that is made again when the server went away."""

    def __init__(self, url: str, session_id: uuid.UUID) -> None:
        self.url = url
        self.session_id = session_id

    def one(self, statement: str) -> object:
        """Return the first column of the first row; waits for the server."""
        while True:
            try:
                with psycopg.connect(self.url, autocommit=True, connect_timeout=5) as conn:
                    row = conn.execute(statement, {"session": self.session_id}).fetchone()
                return row[0] if row else None
            except psycopg.OperationalError:
                threading.Event().wait(0.1)

    def wait(self, statement: str, wanted: object, timeout: float) -> bool:
        """Wait until a statement gives the wanted value; False after `timeout` seconds."""
        end = time.monotonic() + timeout
        while self.one(statement) != wanted:
            if time.monotonic() > end:
                return False
            threading.Event().wait(0.1)
        return True


STATUS = "select status from ops.sessions where session_id = %(session)s"
ORDERS = "select count(*) > %d from oms.orders where session_id = %%(session)s"


def check_after(conn: psycopg.Connection, session_id: uuid.UUID) -> None:
    """Assert every promise, from the rows."""
    broken = conn.execute(
        "select invariant, detail from ops.check_invariants(%s) where not passed", (session_id,)
    ).fetchall()
    assert broken == []
    assert conn.execute("select * from ops.check_orphans()").fetchall() == []
    assert conn.execute("select * from backtest.parity(%s)", (session_id,)).fetchall() == []
    twice = conn.execute(
        "select cl_ord_id from venue.orders where session_id = %s group by 1 having count(*) > 1",
        (session_id,),
    ).fetchall()
    assert twice == []
    stuck = conn.execute(
        "select order_id, status from oms.orders where session_id = %s and status not in "
        "('filled', 'cancelled', 'rejected', 'expired', 'denied')",
        (session_id,),
    ).fetchall()
    assert stuck == []
    assert conn.execute("select count(*) from oms.breaks where resolved_at is null").fetchone() == (
        0,
    )


def storm(config: Settings, kills: int) -> None:
    """Run a session through `kills` kills, then check it."""
    seed = int(os.environ.get("TSDB_TRADER_CHAOS_SEED", random.SystemRandom().randrange(10**6)))
    print(f"TSDB_TRADER_CHAOS_SEED={seed}")
    rng = random.Random(seed)
    url = embedded.database_url(config=config)
    schema.migrate(url)
    with psycopg.connect(url, autocommit=True) as conn:
        session_id = make_market(conn, seconds=180 * kills)
    watch = Watch(url, session_id)
    platform = Platform(config)
    done: Counter[str] = Counter()
    # Everybody's turn comes, in random order: choosing anew each time could spare somebody.
    victims = [victim for victim, _ in zip(cycle(VICTIMS), range(kills), strict=False)]
    rng.shuffle(victims)
    try:
        assert watch.wait(ORDERS % 4, True, 60), "trading begins"
        while victims and watch.one(STATUS) == "open":
            victim = victims[-1]
            threading.Event().wait(rng.uniform(0.05, 1.5))
            if platform.kill(victim):
                done[victims.pop()] += 1
                # Progress in between, or the next kill hits what is not back yet.
                if rng.random() < 0.7:
                    orders = watch.one(
                        "select count(*) from oms.orders where session_id = %(session)s"
                    )
                    watch.wait(ORDERS % orders, True, 60)
        print(dict(done))
        assert not victims, f"the session ended after {done.total()} kills"
        assert watch.wait(STATUS, "closed", 300), (
            f"the session goes on and ends, seed {seed}: "
            f"{watch.one('select json_object_agg(worker, status || detail::text) from ops.heartbeats')}"
        )
    finally:
        platform.stop()
    with psycopg.connect(url, autocommit=True, options="-c TimeZone=UTC") as conn:
        check_after(conn, session_id)
        orders = conn.execute("select count(*) from oms.orders").fetchone()
        print(f"{orders} orders through {dict(done)}")


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_twenty_kills_lose_and_repeat_nothing(own_server):
    storm(own_server, 20)


@pytest.mark.long
@pytest.mark.timeout(7200)
def test_many_kills_lose_and_repeat_nothing(own_server):
    storm(own_server, int(os.environ.get("TSDB_TRADER_CHAOS_KILLS", "200")))
