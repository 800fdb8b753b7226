"""The whole platform in processes of its own, faults on top, and what has to hold afterwards."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import subprocess
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from urllib.parse import urlsplit
from uuid import uuid4

import psycopg

from chaos.lines import Line
from chaos.person import HALTED, Person
from chaos.processes import TESTS, Child, DatabaseServer, Nurse, fake_time_library
from chaos.schedule import CLOCKS, Fault
from chaos.stage import SESSIONS, VENUES, acceptor_sessions, set_up
from fix.simvenue.bench import free_port
from tsdb_trader import embedded, schema
from tsdb_trader.config import Settings
from tsdb_trader.embedded.roles import WORKERS

_WORKERS = {
    "gateway-1": "gateway-db",
    "gateway-2": "gateway-db",
    "signals": "workers-db",
    "risk": "workers-db",
    "scheduler": "workers-db",
}
"""As `tsdb-trader worker` runs them, and their line to the database."""
_STORE_BYTES = 96 << 20
# What takes longer than this is stuck. It says nothing of how quick the platform is: how long each
# wait took is printed, and a machine that does other work gives its processes little time.
_STUCK_S = 300.0
_LIVE = "select count(*) from oms.orders where is_live or status = 'held' or awaits_venue"


class Stuck(AssertionError):
    """Something that has to come back did not."""


class Rig:
    """Server, venues, two gateways and a desk, each on lines that can break.

    Attributes
    ----------
    skipped
        Faults that this machine cannot have, with the reason.
    losses
        Venues that lost their sequence numbers, and when both sides were stopped for it.
    waits
        How long things took to come back, in seconds.
    """

    def __init__(self, home: Path, seed: int) -> None:
        self.home, self.seed = home, seed
        self.done: Counter[str] = Counter()
        self.skipped: dict[str, str] = {}
        self.waits: defaultdict[str, list[float]] = defaultdict(list)
        self.losses: list[tuple[str, datetime]] = []
        self.config = Settings(home=home)
        self.server = DatabaseServer(self.config)
        self._stack = contextlib.ExitStack()
        self._healing: list[threading.Timer] = []

    def open(self) -> None:
        """Start everything, and wait until orders flow."""
        server = embedded.ensure_running(self.config)
        self._stack.callback(embedded.stop, self.config, immediate=True)
        with psycopg.connect(server.url("postgres"), autocommit=True) as admin:
            # Processes die here, not machines.
            admin.execute("alter system set fsync = off")
            admin.execute("select pg_reload_conf()")
        self.url = server.url()
        schema.migrate(self.url)
        with self._connect() as conn:
            self.session_id = set_up(conn)
        self.person = Person(self.home, self.url, self.one)
        self._mount_store()
        library = fake_time_library()
        if library is None:
            self.skipped["clock"] = "no libfaketime for this machine"
        self._wire(server, library)
        nurse = Nurse(list(self.children.values()))
        self._stack.callback(nurse.stop)
        for name in ("venue", *_WORKERS):
            self.children[name].start()
        self.await_gates()
        self.children["load"].start()
        self.await_progress()

    def _wire(self, server: embedded.Server, library: Path | None) -> None:
        port = psycopg.conninfo.conninfo_to_dict(server.url(tcp=True))["port"]
        fix_port = free_port()
        database = int(str(port))
        self.lines = {
            "fix": Line(fix_port),
            **{f"{who}-db": Line(database) for who in ("gateway", "venue", "workers", "load")},
        }
        for line in self.lines.values():
            self._stack.callback(line.close)

        def url(role: str | None, line: str) -> str:
            parts = urlsplit(server.url(role, tcp=True))
            login = parts.netloc.rpartition("@")[0]
            return parts._replace(netloc=f"{login}@127.0.0.1:{self.lines[line].port}").geturl()

        (self.home / "sessions.cfg").write_text(acceptor_sessions(fix_port))
        environment = {
            f"{who}-db": {
                "TSDB_TRADER_DATABASE_URL": url(None, f"{who}-db"),
                **{
                    f"TSDB_TRADER_DATABASE_URL_{role.removeprefix('tsdb_').upper()}": url(
                        role, f"{who}-db"
                    )
                    for role in WORKERS.values()
                },
                "TSDB_TRADER_FIX_PORT": str(self.lines["fix"].port),
            }
            for who in ("gateway", "workers")
        }
        commands = {
            "venue": [
                str(TESTS / "fix/simvenue/process.py"), url("tsdb_venue", "venue-db"),
                str(self.home / "sessions.cfg"), *VENUES,
            ],
            "load": [
                str(TESTS / "chaos/load.py"), url(None, "load-db"), url("tsdb_operator", "load-db"),
                self.session_id, str(self.home / "journal.jsonl"), str(self.seed),
            ],
        } | {
            name: ["-m", "tsdb_trader", "worker", name.partition("-")[0]] for name in _WORKERS
        }  # fmt: skip
        self.children = {}
        for name, command in commands.items():
            more = environment[_WORKERS[name]] if name in _WORKERS else {}
            fake = library if name in CLOCKS else None
            child = Child(name, command, self.home, fake, **more)
            self.children[name] = child
            self._stack.callback(child.end, 1.0)

    def _mount_store(self) -> None:
        """Give the gateways' message stores a small disk of their own, which can be filled."""
        self._disk = self.home / "fix" / "gateway"
        self._disk.mkdir(parents=True)
        if os.geteuid() != 0:
            self.skipped["disk_full"] = "only root can mount a small file system"
            return
        mounted = subprocess.run(
            ["mount", "-t", "tmpfs", "-o", f"size={_STORE_BYTES}", "tmpfs", str(self._disk)],
            capture_output=True,
            text=True,
            check=False,
        )
        if mounted.returncode:
            self.skipped["disk_full"] = mounted.stderr.strip()
            return
        self._stack.callback(subprocess.run, ["umount", "-l", str(self._disk)], check=False)

    def close(self) -> None:
        """End everything."""
        for timer in self._healing:
            timer.cancel()
        self._stack.close()

    # Faults ----------------------------------------------------------------------------------

    def hurt(self, fault: Fault) -> None:
        """Do what a fault says; its end comes by itself."""
        time.sleep(fault.wait_s)
        if fault.kind in self.skipped:
            return
        if getattr(self, f"_{fault.kind}")(fault) is not False:
            name = fault.more.get("fault", fault.target)
            self.done[f"{fault.kind} {name}"] += 1

    def _later(self, seconds: float, heal: object, *arguments: object) -> None:
        timer = threading.Timer(seconds, heal, arguments)  # type: ignore[arg-type]
        timer.daemon = True
        timer.start()
        self._healing = [t for t in self._healing if t.is_alive()] + [timer]

    def _kill(self, fault: Fault) -> None:
        self._signal(fault.target, signal.SIGKILL)

    def _pause(self, fault: Fault) -> None:
        self._signal(fault.target, signal.SIGSTOP)
        self._later(fault.seconds, self.children[fault.target].signal, signal.SIGCONT)

    def _signal(self, name: str, number: signal.Signals) -> None:
        """Signal a process; one that an earlier fault ended, as soon as it is there again."""
        deadline = time.monotonic() + _STUCK_S
        while not self.children[name].signal(number):
            if time.monotonic() > deadline:
                raise Stuck(f"{name} does not come back")
            time.sleep(0.05)

    def _kill_server(self, _fault: Fault) -> None:
        self.server.kill()

    def _kill_backend(self, fault: Fault) -> None:
        self.server.kill_backend(int(fault.wait_s * 1000))

    def _pause_server(self, fault: Fault) -> None:
        pids = self.server.pause()
        # Not later: the next fault may ask the server for something.
        time.sleep(fault.seconds)
        self.server.resume(pids)

    def _reset(self, fault: Fault) -> None:
        self.lines[fault.target].reset()

    def _cut(self, fault: Fault) -> None:
        self.lines[fault.target].cut()

    def _half_open(self, fault: Fault) -> None:
        self.lines[fault.target].silence()
        self._later(fault.seconds, self.lines[fault.target].heal)

    def _delay(self, fault: Fault) -> None:
        self.lines[fault.target].delay(fault.more["milliseconds"] / 1000)
        self._later(fault.seconds, self.lines[fault.target].delay, 0.0)

    def _venue(self, fault: Fault) -> None:
        self.one("select venue.inject_fault(%s, %s)", fault.target, fault.more["fault"])

    def _lost_state(self, fault: Fault) -> bool:
        """Have a venue forget its numbers and an order, and call a person when a session halts."""
        venue = fault.target
        self.one("select venue.inject_fault(%s, 'lost_state')", venue)
        self.await_true(HALTED, "a person is called")
        sides = ("gateway-1", "gateway-2", "venue")
        for name in sides:
            self.children[name].ask_to_end()
        for name in sides:
            self.children[name].end(20)
        self.losses.append((venue, self.one("select clock_timestamp()")))  # type: ignore[arg-type]
        self.person.lose_order(venue)
        self.person.compare_trades(venue)
        self.person.decide(venue)
        self.person.reset_sessions(venue)
        for name in sides:
            self.children[name].start()
        self.await_gates()
        # What the venue does not know of came up when it was asked for every order.
        self.person.decide(venue)
        return True

    def _disk_full(self, fault: Fault) -> None:
        ballast = self._disk / "ballast"
        with ballast.open("wb", buffering=0) as file, contextlib.suppress(OSError):
            while True:
                file.write(bytes(65536))
        self._later(fault.seconds, ballast.unlink, True)

    def _clock(self, fault: Fault) -> None:
        child = self.children[fault.target]
        child.jump(fault.more["jump_s"])
        self._later(fault.seconds, child.jump, 0)

    # Looking ---------------------------------------------------------------------------------

    def _connect(self) -> psycopg.Connection:
        return psycopg.connect(
            self.url, autocommit=True, connect_timeout=5, options="-c TimeZone=UTC"
        )

    def one(self, query: str, *parameters: object) -> object:
        """Return the first column of the first row; waits for the server."""
        while True:
            try:
                with self._connect() as conn:
                    row = conn.execute(query, parameters).fetchone()
                return row[0] if row else None
            except psycopg.OperationalError:
                time.sleep(0.1)

    def await_true(self, query: str, what: str, *parameters: object) -> None:
        """Wait until a query says so.

        Raises
        ------
        Stuck
            It never does.
        """
        began = time.monotonic()
        while not self.one(query, *parameters):
            if time.monotonic() > began + _STUCK_S:
                beats = self.one(
                    "select json_object_agg(worker, json_build_object('age', "
                    "clock_timestamp() - beat_at, 'status', status, 'detail', detail)) "
                    "from ops.heartbeats"
                )
                raise Stuck(f"never: {what}\n{beats}")
            time.sleep(0.1)
        self.waits[what].append(time.monotonic() - began)

    def await_gates(self) -> None:
        """Wait until every FIX session may send, or listens."""
        self.await_true(
            "select count(*) = %s from ops.heartbeats where kind = 'fix_session' "
            "and beat_at > clock_timestamp() - interval '4 s' and status = 'running' "
            "and detail->>'gate' = 'open' and detail->>'logged_on' = 'true'",
            "every FIX session is open again",
            len(SESSIONS),
        )

    def await_progress(self) -> None:
        """Wait until orders are submitted and venues report."""
        counts = "(select count(*) from oms.orders), (select count(*) from oms.executions)"
        orders, executions = self.one(f"select array[{counts}]")  # type: ignore[misc]
        self.await_true(
            "select (select count(*) from oms.orders) > %s + 5 "
            "and (select count(*) from oms.executions) > %s",
            "orders are submitted and filled again",
            orders,
            executions,
        )

    # The end ---------------------------------------------------------------------------------

    def calm(self) -> None:
        """Let every fault end, the desk finish, and everything be answered."""
        for timer in self._healing:
            timer.join()
        for line in self.lines.values():
            line.heal()
        status = self.children["load"].end(_STUCK_S)
        if status != 0:
            raise Stuck(f"the desk did not get its answers: exit {status}")
        self.await_gates()
        self.await_true(
            "select (select max(batch_no) from market.batches) = "
            "(select max(consumption_no) from signal.consumed_batches)",
            "every batch is consumed",
        )
        # A venue that holds a report back for a reordering lets go of it with the connection.
        self.children["venue"].signal(signal.SIGTERM)
        time.sleep(1.0)
        self.await_gates()
        began = time.monotonic()
        while self.one(_LIVE):
            if time.monotonic() > began + _STUCK_S:
                stuck = self.one(
                    "select json_agg(json_build_object('order', order_id, 'status', status, "
                    "'cl_ord_id', cl_ord_id, 'parent', is_parent)) from oms.orders "
                    "where is_live or status = 'held' or awaits_venue"
                )
                raise Stuck(f"orders are stuck: {stuck}")
            self.one(
                "select count(*) from oms.cancel_all('{}', %s, "
                "(select max(as_of) from market.batches))",
                uuid4(),
            )
            time.sleep(1.0)
        self.await_true(
            "select not exists (select from venue.orders where status not in "
            "('filled', 'cancelled', 'rejected', 'expired'))",
            "the venues have no order left",
        )
        # After a logon the venue lists its trades, and what is there now is all there will be.
        self.children["venue"].signal(signal.SIGTERM)
        self.await_true(
            "select not exists (select from venue.executions x where x.kind = 'execution' "
            "and x.venue <> 'SIMPR' and (x.venue, x.exec_id) not in ("
            "select venue, reference_exec_id from venue.executions where reference_exec_id is not null) "
            "and x.exec_id not in (select exec_id from oms.venue_trades where source = 'trade_capture'))",
            "trade capture has every execution",
        )
        for venue in VENUES:
            self.person.compare_trades(venue)
        for venue in {venue for venue, _ in self.losses}:
            self.person.keep(venue)

    def stop(self) -> Iterator[tuple[str, Counter[str]]]:
        """End the workers cleanly; yield how often each ended before, and how."""
        for name in (*_WORKERS, "venue"):
            child = self.children[name]
            if child.end(30) is None:
                raise Stuck(f"{name} did not end")
        for name, child in self.children.items():
            yield name, child.ends


def new_seed() -> int:
    """Return the seed that was asked for, or a new one."""
    return int(os.environ.get("TSDB_TRADER_CHAOS_SEED") or random.SystemRandom().randrange(10**6))
