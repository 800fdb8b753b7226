"""What the order path benchmarks share: a database, worker processes, and a counterparty."""

from __future__ import annotations

import json
import os
import queue
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import psycopg

from tsdb_trader import embedded, schema

HERE = Path(__file__).resolve().parent
SYMBOLS = ("AAA", "BBB")


def percentiles(seconds: Sequence[float]) -> tuple[float, float]:
    """Return p50 and p99 in milliseconds."""
    cuts = statistics.quantiles(seconds, n=100, method="inclusive")
    return cuts[49] * 1e3, cuts[98] * 1e3


class Counterparty:
    """A bare QuickFIX acceptor in its own process, which fills every order at once."""

    def __init__(self, folder: Path) -> None:
        self._process = subprocess.Popen(
            [sys.executable, str(HERE / "_counterparty.py"), str(folder)],
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self._process.stdout is not None
        self.port = int(self._process.stdout.readline())
        self._arrivals: queue.Queue[tuple[str, float]] = queue.Queue()
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            cl_ord_id, arrived = json.loads(line)
            self._arrivals.put((cl_ord_id, arrived))

    def arrival(self, timeout: float = 30.0) -> tuple[str, float]:
        """Return ClOrdID and wall time of the next order that arrived."""
        return self._arrivals.get(timeout=timeout)

    def stop(self) -> None:
        """End the process."""
        self._process.kill()
        self._process.wait()


@dataclass
class Rig:
    """A migrated database of its own, and processes that work on it."""

    server: embedded.Server
    database: str
    folder: Path
    counterparty: Counterparty
    workers: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def url(self, role: str | None = None) -> str:
        """Return a role's URL of the rig's database."""
        return self.server.url(role, database=self.database)

    def connect(self, role: str | None = None) -> psycopg.Connection:
        """Connect in autocommit mode."""
        return psycopg.connect(self.url(role), autocommit=True, options="-c TimeZone=UTC")

    def start(self, *kinds: str) -> None:
        """Start workers and return when they have drained their first work."""
        environment = os.environ | {
            "TSDB_TRADER_DATABASE_URL": self.url(),
            "TSDB_TRADER_DATABASE_URL_WORKER": self.url("worker"),
            "TSDB_TRADER_HOME": str(self.folder),
            "TSDB_TRADER_FIX_PORT": str(self.counterparty.port),
            "TSDB_TRADER_LOG_LEVEL": "WARNING",
        }
        log = (self.folder / "workers.log").open("ab")
        for kind in kinds:
            command = [str(Path(sys.executable).with_name("tsdb-trader")), "worker", kind]
            if kind == "gateway":
                command.append("SIM")  # the counterparty is no other venue
            self.workers.append(subprocess.Popen(command, env=environment, stdout=log, stderr=log))
        with self.connect() as conn:
            for kind in kinds:
                self.wait(
                    lambda kind=kind: (
                        conn.execute(
                            "select count(*) from ops.heartbeats where kind = %s and status = 'running' "
                            "and coalesce(detail->>'gate', 'open') = 'open'",
                            ("fix_session" if kind == "gateway" else kind,),
                        ).fetchone()
                        == (1,)
                    ),
                    f"worker {kind}",
                )

    def wait(self, condition: Callable[[], bool], what: str, timeout: float = 60.0) -> None:
        """Poll until a condition holds; end the benchmark with the workers' log if it does not."""
        end = time.monotonic() + timeout
        while not condition():
            if time.monotonic() > end or any(w.poll() is not None for w in self.workers):
                log = (self.folder / "workers.log").read_text()[-2000:]
                raise SystemExit(f"gave up waiting for {what}\n{log}")
            time.sleep(0.002)


@contextmanager
def rig() -> Iterator[Rig]:
    """Set a rig up, and take it down whatever happens."""
    server = embedded.ensure_running()
    name = f"tsdb_bench_{uuid.uuid4().hex[:8]}"
    server.create_database(name)
    with tempfile.TemporaryDirectory() as folder:
        made = Rig(server, name, Path(folder), Counterparty(Path(folder) / "counterparty"))
        try:
            schema.migrate(made.url())
            yield made
        finally:
            for worker in made.workers:
                worker.terminate()
            for worker in made.workers:
                worker.wait(30)
            made.counterparty.stop()
            server.drop_database(name)


class Market:
    """A feed whose every second quote moves one pair's spread over its threshold and back."""

    def __init__(self, conn: psycopg.Connection) -> None:
        self.conn = conn
        self.row = 0
        with conn.transaction():
            for symbol in SYMBOLS:
                conn.execute("select ref.add_instrument(%s)", (symbol,))
            conn.execute("insert into ops.feeds (feed, format) values ('bench', 'bench')")
            self.sources = [self._source(symbol) for symbol in SYMBOLS]
            parameters = {
                "hedge_ratio": 1, "mean": 0, "deviation": 0.001, "entry": 2, "exit": 0.5,
                "stop": 50, "half_life_s": 1e8, "warm_up_s": 0, "max_gap_s": 1e9,
                "notional": 10_000,
            }  # fmt: skip
            row = conn.execute(
                "select signal.save_pair('AAA', 'BBB', 'bench', %s, '{}', '2020-01-01', "
                "'2020-01-02', '{}', 'bench')",
                (json.dumps(parameters),),
            ).fetchone()
            assert row is not None
            row = conn.execute(
                "select ops.open_session('replay', 'bench', 'bench', '2020-01-02 00:00', '2020-02-01')"
            ).fetchone()
            assert row is not None
            self.session_id = row[0]
            conn.execute("select signal.bind_pairs(%s)", (self.session_id,))

    def _source(self, symbol: str) -> tuple[int, int, int]:
        row = self.conn.execute(
            """insert into market.sources (feed_id, sha256, content, name, kind, instrument_id, first_ts, last_ts)
            select feed_id, %s, %s, %s, 'quotes', ref.instrument_id(%s), '2020-01-01', '2021-01-01'
            from ops.feeds returning source_id, feed_id, instrument_id""",
            (symbol, symbol, symbol, symbol),
        ).fetchone()
        assert row is not None
        return row

    def quote(self) -> float:
        """Commit one quote of each leg as a batch; return the wall time after the commit."""
        self.row += 1
        # Over the threshold on even rows, back on odd ones: an entry, then an exit. The first is neither.
        mids = (1_000_000 if self.row % 2 else 1_003_000, 1_000_000)
        with self.conn.transaction():
            for (source_id, feed_id, instrument_id), mid in zip(self.sources, mids, strict=True):
                self.conn.execute(
                    """insert into market._quotes (ts, recv_ts, seq, bid_price, bid_size, ask_price, ask_size,
                        instrument_id, source_id, feed_id, ns, flags)
                    select t, t, %(row)s, %(bid)s, 100000, %(ask)s, 100000, %(instrument)s, %(source)s,
                        %(feed)s, 0, 3
                    from (select timestamptz '2020-01-02' + %(row)s * interval '1 second' as t) x""",
                    {
                        "row": self.row, "bid": mid - 100, "ask": mid + 100,
                        "instrument": instrument_id, "source": source_id, "feed": feed_id,
                    },
                )  # fmt: skip
            self.conn.execute(
                """select market.write_batch(%(session)s,
                    timestamptz '2020-01-02' + (%(row)s - 1) * interval '1 second',
                    timestamptz '2020-01-02' + %(row)s * interval '1 second')""",
                {"session": self.session_id, "row": self.row},
            )
        return time.time()
