"""A gateway process between a real database and a scripted venue."""

from __future__ import annotations

import signal
import socket
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest

from fix.harness import DEADLINE_S, Desk, Gateway, Proxy, ScriptedVenue


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
    proxy = Proxy(role_url("tsdb_worker"))
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
def terminate() -> Callable[[subprocess.Popen[bytes]], int]:
    """Return a function that asks a process to end and gives its exit status."""

    def end(process: subprocess.Popen[bytes]) -> int:
        process.send_signal(signal.SIGTERM)
        return process.wait(DEADLINE_S)

    return end
