"""How a worker process ends: at the first signal cleanly, at the second at once, never not."""

from __future__ import annotations

import select
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest
from tests.workers.helpers import eventually

RoleUrl = Callable[[str | None], str]
CHILD = """
import sys
from tests.workers.helpers import Probe
from tsdb_trader.workers.loop import Loop
from tsdb_trader.workers.stopping import Stop, install_signals
url, query, grace_s = sys.argv[1], sys.argv[2], float(sys.argv[3])
stop = Stop()
install_signals(stop)
worker = Probe(poll_s=0.05, step=lambda conn: conn.execute(query) is None)
Loop(worker, url=url, stop=stop, grace_s=grace_s).run()
"""


class FrozenNetwork:
    """A proxy to the server that can stop passing anything on, without closing anything."""

    def __init__(self, host: str, port: int) -> None:
        self._target = (host, port)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self._frozen = threading.Event()
        self._closed = threading.Event()
        threading.Thread(target=self._serve, daemon=True).start()

    def freeze(self) -> None:
        self._frozen.set()

    def close(self) -> None:
        self._closed.set()
        self._listener.close()

    def _serve(self) -> None:
        while not self._closed.is_set():
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            if self._target[0].startswith("/"):
                server = socket.socket(socket.AF_UNIX)
                server.connect(f"{self._target[0]}/.s.PGSQL.{self._target[1]}")
            else:
                server = socket.create_connection(self._target)
            threading.Thread(target=self._pass_on, args=(client, server), daemon=True).start()

    def _pass_on(self, client: socket.socket, server: socket.socket) -> None:
        with client, server:
            while not self._closed.is_set():
                readable, _, _ = select.select([client, server], [], [], 0.1)
                for source in readable:
                    if self._frozen.is_set():
                        self._closed.wait(60)
                        return
                    data = source.recv(65536)
                    if not data:
                        return
                    (server if source is client else client).sendall(data)


@pytest.fixture
def children() -> Iterator[list[subprocess.Popen[bytes]]]:
    started: list[subprocess.Popen[bytes]] = []
    yield started
    for child in started:
        child.kill()
        child.wait()


def _start(
    children: list[subprocess.Popen[bytes]], url: str, query: str, grace_s: float = 60
) -> subprocess.Popen[bytes]:
    child = subprocess.Popen(
        [sys.executable, "-c", CHILD, url, query, str(grace_s)],
        stderr=subprocess.DEVNULL,
        cwd=Path(__file__).parents[2],
    )
    children.append(child)
    return child


def _beats(conn: psycopg.Connection) -> Callable[[], bool]:
    return lambda: conn.execute("select 1 from ops.heartbeats").fetchone() is not None


def _status(conn: psycopg.Connection) -> str:
    row = conn.execute("select status from ops.heartbeats").fetchone()
    assert row is not None
    return str(row[0])


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_worker_first_signal_ends_cleanly(
    number: signal.Signals,
    conn: psycopg.Connection,
    role_url: RoleUrl,
    children: list[subprocess.Popen[bytes]],
) -> None:
    child = _start(children, role_url("tsdb_worker_signals"), "select 1")
    eventually(_beats(conn))
    child.send_signal(number)
    assert child.wait(30) == 0
    assert _status(conn) == "stopped"


def test_worker_second_signal_ends_at_once(
    conn: psycopg.Connection, role_url: RoleUrl, children: list[subprocess.Popen[bytes]]
) -> None:
    child = _start(children, role_url("tsdb_worker_signals"), "select pg_sleep(600)")
    eventually(_beats(conn))
    child.send_signal(signal.SIGTERM)
    child.send_signal(signal.SIGINT)
    assert child.wait(30) in (128 + signal.SIGTERM, 128 + signal.SIGINT)
    assert _status(conn) == "running"


def test_worker_on_a_frozen_network_ends_after_the_grace_time(
    database: str,
    conn: psycopg.Connection,
    role_url: RoleUrl,
    children: list[subprocess.Popen[bytes]],
) -> None:
    url = role_url("tsdb_worker_signals")
    target = psycopg.conninfo.conninfo_to_dict(url)
    network = FrozenNetwork(str(target.get("host", "127.0.0.1")), int(target.get("port", 5432)))
    through = psycopg.conninfo.make_conninfo(url, host="127.0.0.1", port=network.port)
    child = _start(children, through, "select 1", grace_s=0.5)
    eventually(_beats(conn))
    network.freeze()
    child.send_signal(signal.SIGTERM)
    assert child.wait(60) == 1
    network.close()
