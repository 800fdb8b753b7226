"""A gateway process between a real database and a scripted venue."""

from __future__ import annotations

import signal
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest
from psycopg.types.json import Jsonb

import nursery
from fix.harness import DEADLINE_S, Desk, Gateway, Proxy, ScriptedVenue, until
from fix.raw_venue import RawVenue
from fix.simvenue import newest as newest_dictionary
from fix.simvenue.bench import Client, Market, Venue, free_port
from fix.trading import SECRET, SENDERS, Trading


@pytest.fixture
def port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture
def venue(tmp_path: Path, port: int) -> Iterator[ScriptedVenue]:
    scripted = ScriptedVenue(tmp_path / "venue", port)
    yield scripted
    scripted.stop()


@pytest.fixture
def line(role_url: Callable[[str | None], str]) -> Iterator[Proxy]:
    proxy = Proxy(role_url("tsdb_worker_gateway"))
    yield proxy
    proxy.close()


@pytest.fixture
def gateway(tmp_path: Path, port: int, line: Proxy) -> Iterator[Gateway]:
    driver = Gateway(line.url, tmp_path, port)
    yield driver
    driver.close()


@pytest.fixture
def desk(conn: psycopg.Connection) -> Desk:
    return Desk(conn)


@pytest.fixture
def terminate() -> Callable[[nursery.Child], int]:
    """Return a function that asks a process to end and gives its exit status."""

    def end(process: nursery.Child) -> int:
        process.send_signal(signal.SIGTERM)
        return process.wait(DEADLINE_S)

    return end


SESSIONS = """[DEFAULT]
SocketAcceptPort={port}
SocketReuseAddress=Y
SocketNodelay=Y
ValidateUserDefinedFields=N
SenderCompID=SIM
[SESSION]
BeginString=FIX.4.4
TargetCompID=TSDB
[SESSION]
BeginString=FIX.4.2
TargetCompID=TSDB
[SESSION]
BeginString=FIX.4.4
TargetCompID=OTHER
[SESSION]
BeginString=FIX.4.4
TargetCompID=DROP
[SESSION]
BeginString=FIX.4.2
TargetCompID=OLD
[SESSION]
BeginString=FIX.4.4
SenderCompID=SIMPR
TargetCompID=TSDB
[SESSION]
BeginString=FIX.4.4
SenderCompID=SIMDARK
TargetCompID=TSDB
[SESSION]
BeginString=FIX.4.4
SenderCompID=SIMDARK
TargetCompID=OTHER
"""
"""Participants of FIX 4; all but the last ones are with SIM."""
NEWEST = """[SESSION]
BeginString=FIXT.1.1
DefaultApplVerID=FIX.5.0SP2
AppDataDictionary={dictionary}
TargetCompID=NEW
"""


@pytest.fixture
def tape(conn: psycopg.Connection) -> Market:
    """Return the market that simulated venues follow."""
    market = Market(conn)
    market.list("IBM")
    return market


class Hall:
    """A venue process as an operator sets it up, and the participants that connect to it."""

    def __init__(self, conn: psycopg.Connection, url: str, home: Path, tape: Market) -> None:
        self.conn, self.tape = conn, tape
        self.venue = Venue(url, home, free_port(), sessions=home / "sessions.cfg")
        self.dictionary: Path | None = None
        self._clients: list[Client] = []

    def configure(self, venue: str = "SIM", **settings: object) -> None:
        """Change settings of a venue; before it is open."""
        self.conn.execute("select venue.configure(%s, %s)", (venue, Jsonb(settings)))

    def admit(self, participant: str, **settings: object) -> None:
        """Say what the venue knows of a participant; before it is open."""
        self.conn.execute(
            "select venue.set_participant('SIM', %s, %s)", (participant, Jsonb(settings))
        )

    def open(self, *venues: str, newest: bool = False) -> None:
        """Start the process; only if asked with NEW, whose dictionary is a large one."""
        sessions = SESSIONS.format(port=self.venue.port)
        if newest:
            self.dictionary = newest_dictionary.write(self.venue.home)
            sessions += NEWEST.format(dictionary=self.dictionary.name)
        (self.venue.home / "sessions.cfg").write_text(sessions)
        self.venue.venues = venues or ("SIM",)
        self.venue.start()

    def connect(
        self, comp_id: str = "TSDB", begin: str = "FIX.4.4", target: str = "SIM", **logon: str
    ) -> Client:
        """Return a participant that is logged on."""
        client = self.dial(comp_id, begin, target, **logon)
        client.event("logon")
        return client

    def dial(
        self, comp_id: str = "TSDB", begin: str = "FIX.4.4", target: str = "SIM", **logon: str
    ) -> Client:
        """Return a participant that tries to log on."""
        fields = {key.removeprefix("t"): value for key, value in logon.items()}
        client = Client(
            self.venue.home,
            self.venue.port,
            comp_id,
            self.tape.session_id,
            target=target,
            begin=begin,
            logon=fields,
            dictionary=self.dictionary if begin == "FIXT.1.1" else None,
        )
        self._clients.append(client)
        client.start()
        return client

    def command(self, kind: str, venue: str = "SIM", **parameters: object) -> str:
        """Send a command and return what came of it."""
        row = self.conn.execute(
            "select venue.send_command(%s, %s, %s)", (venue, kind, Jsonb(parameters))
        ).fetchone()
        assert row is not None
        found: list[str] = []

        def answered() -> bool:
            query = "select result from venue.commands where command_no = %s"
            result = self.conn.execute(query, (row[0],)).fetchone()
            found[:] = [result[0]] if result and result[0] is not None else []
            return bool(found)

        until(answered, f"{kind} is answered")
        return found[0]

    def fault(self, kind: str, **parameters: object) -> int:
        """Arm a fault and wait until the venue knows of it."""
        row = self.conn.execute(
            "select venue.inject_fault('SIM', %s, %s)", (kind, Jsonb(parameters))
        ).fetchone()
        assert row is not None
        # Commands and faults are taken in order.
        self.command("halt", symbol="NONE")
        return int(row[0])

    def fired(self, fault_no: int) -> bool:
        """Say whether a fault has happened."""
        query = "select fired_at is not null from venue.faults where fault_no = %s"
        row = self.conn.execute(query, (fault_no,)).fetchone()
        return row == (True,)

    def close(self) -> None:
        """End all processes."""
        for client in self._clients:
            client.stop()
        if self.venue.process is not None:
            self.venue.stop()


@pytest.fixture
def hall(
    conn: psycopg.Connection,
    role_url: Callable[[str | None], str],
    tmp_path: Path,
    tape: Market,
) -> Iterator[Hall]:
    """Return a venue process that is not open yet."""
    hall = Hall(conn, role_url("tsdb_venue"), tmp_path, tape)
    yield hall
    hall.close()


@pytest.fixture
def trading(
    conn: psycopg.Connection,
    hall: Hall,
    line: Proxy,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Trading]:
    """Return a venue and a gateway that are not open yet."""
    monkeypatch.setenv("VENUE_SECRET", SECRET)
    monkeypatch.setenv("TSDB_TRADER_FIX_SIM_PASSWORD", SECRET)
    desk = Trading(conn, hall, line, tmp_path)
    yield desk
    desk.gateway.close()


@pytest.fixture
def listen() -> Iterator[Callable[[str, int], RawVenue]]:
    """Return a function that opens a venue of a version."""
    opened: list[RawVenue] = []

    def listen(version: str, port: int) -> RawVenue:
        opened.append(RawVenue(port, client=SENDERS[version], begin=version, resets=False))
        return opened[-1]

    yield listen
    for venue in opened:
        venue.close()
