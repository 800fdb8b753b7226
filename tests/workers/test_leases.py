"""Leases while their owner is busy, and the connections they are renewed on."""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Callable
from datetime import datetime

import psycopg
import pytest
from structlog.testing import capture_logs
from tests.workers.helpers import eventually

from fix.harness import Proxy
from tsdb_trader import db
from tsdb_trader.clock import SystemClock
from tsdb_trader.errors import LeaseLostError
from tsdb_trader.workers.leases import Lease

RoleUrl = Callable[[str | None], str]


@pytest.fixture
def lease() -> Lease:
    return Lease("probe", SystemClock())


def expires(conn: psycopg.Connection) -> datetime:
    row = conn.execute("select expires_at from ops.leases").fetchone()
    assert row is not None
    return row[0]


def test_lease_is_renewed_while_its_owner_is_busy(
    conn: psycopg.Connection, role_url: RoleUrl, lease: Lease
) -> None:
    with db.connect(role_url("tsdb_worker_signals"), autocommit=True) as own:
        assert lease.acquire(own)
        first = expires(conn)
        with lease.kept(own):
            eventually(lambda: expires(conn) > first)
            second = expires(conn)
            eventually(lambda: expires(conn) > second)
        assert lease.valid()


def test_lease_lost_while_its_owner_is_busy_is_an_error_afterwards(
    conn: psycopg.Connection, role_url: RoleUrl, lease: Lease
) -> None:
    with (
        db.connect(role_url("tsdb_worker_signals"), autocommit=True) as own,
        capture_logs() as lines,
    ):
        assert lease.acquire(own)
        conn.execute("update ops.leases set owner = 'thief', epoch = epoch + 1")
        with pytest.raises(LeaseLostError), lease.kept(own):
            eventually(lambda: any(line["event"] == "lease not renewed" for line in lines))


def test_lease_whose_owner_failed_while_busy_is_not_renewed_any_more(
    conn: psycopg.Connection, role_url: RoleUrl, lease: Lease
) -> None:
    with db.connect(role_url("tsdb_worker_signals"), autocommit=True) as own:
        assert lease.acquire(own)
        with pytest.raises(ValueError, match="broken"), lease.kept(own):
            raise ValueError("broken")
        # Nobody uses the connection behind its owner's back.
        assert own.execute("select 1").fetchone() == (1,)
        assert not any(t.name == "lease probe" for t in threading.enumerate())


def test_connection_gives_a_silent_server_no_longer_than_a_lease_lasts(role_url: RoleUrl) -> None:
    line = Proxy(role_url("tsdb_worker_signals"))
    try:
        with db.connect(line.url) as conn:
            own = socket.socket(fileno=os.dup(conn.fileno()))
            with own:

                def option(name: int) -> int:
                    return own.getsockopt(socket.IPPROTO_TCP, name)

                assert option(socket.TCP_USER_TIMEOUT) == 10_000
                assert own.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 1
                unanswered_s = option(socket.TCP_KEEPIDLE) + (
                    option(socket.TCP_KEEPINTVL) * option(socket.TCP_KEEPCNT)
                )
                assert unanswered_s == 10
    finally:
        line.close()
