"""The private server's sizing, URLs, and what it says when the server does not start."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import psycopg
import pytest

from tsdb_trader import embedded
from tsdb_trader.config import Settings
from tsdb_trader.embedded import ROLES, Server, machine, postgres, role_name
from tsdb_trader.errors import ConfigurationError, EmbeddedServerError

GB = 2**30
FOREIGN = "postgresql://me:secret@db.example:5433/trading?sslmode=require"


@pytest.fixture(autouse=True)
def no_server_is_configured(monkeypatch: pytest.MonkeyPatch) -> None:
    """Hide the server that the suite itself runs on."""
    for name in list(os.environ):
        if name.startswith("TSDB_TRADER_DATABASE_URL"):
            monkeypatch.delenv(name)


@pytest.mark.parametrize(
    ("memory", "expected"),
    [
        (GB // 4, {"shared_buffers": "64MB", "work_mem": "4MB", "effective_cache_size": "256MB"}),
        (4 * GB, {"shared_buffers": "1024MB", "work_mem": "8MB", "maintenance_work_mem": "256MB"}),
        (256 * GB, {"shared_buffers": "4096MB", "work_mem": "64MB"}),
    ],
)
def test_sizing_memory_of_the_machine_bounds_every_setting(
    memory: int, expected: dict[str, str]
) -> None:
    found = machine.sizing(memory, cores=2, free_disk=100 * GB)
    assert {name: found[name] for name in expected} == expected


def test_sizing_small_disk_keeps_the_wal_small() -> None:
    assert machine.sizing(4 * GB, 2, free_disk=5 * GB)["max_wal_size"] == "512MB"
    assert machine.sizing(4 * GB, 1, free_disk=GB)["max_wal_size"] == "256MB"
    assert machine.sizing(4 * GB, 1, free_disk=900 * GB)["max_wal_size"] == "4096MB"


def test_port_listened_on_is_not_free() -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        assert not machine.port_is_free(other.getsockname()[1])


def test_socket_path_too_long_does_not_fit() -> None:
    assert machine.socket_fits(Path("/run/tsdb"))
    assert not machine.socket_fits(Path("/") / ("x" * 90))


@pytest.mark.parametrize(
    ("log", "advice"),
    [
        ("LOG: x\nFATAL:  could not write: No space left on device", "no disk space: free some"),
        ('LOG: could not bind IPv4 address "127.0.0.1": Address already in use', "TSDB_TRADER_DB"),
        ("FATAL:  pre-existing shared memory block is still in use", "no shared memory"),
        ("FATAL:  database files are incompatible with server", "another major version"),
        ("FATAL:  something new", r"did not start \(something new\): see"),
        ("", "it left no message"),
    ],
)
def test_log_of_failed_start_becomes_one_line_of_advice(log: str, advice: str) -> None:
    with pytest.raises(EmbeddedServerError, match=advice) as caught:
        raise EmbeddedServerError(postgres.explain_log(log, Path("/data")))
    assert "\n" not in str(caught.value)


def test_role_name_prefix_is_optional() -> None:
    assert role_name(None) == "tsdb_trader"
    assert role_name("tsdb_trader") == "tsdb_trader"
    assert role_name("trader") == role_name("trader_role") == "tsdb_trader_role"
    assert role_name("quant") == role_name("tsdb_quant") == "tsdb_quant"
    with pytest.raises(
        ConfigurationError, match="no role 'quants': choose one of worker_gateway, "
    ):
        role_name("quants")


def test_url_socket_and_loopback_carry_the_same_password() -> None:
    server = Server("db x", 5433, "/a folder/run", {role: "p/w@:" for role in ROLES})
    for tcp, host in ((False, "/a folder/run"), (True, "127.0.0.1")):
        info = psycopg.conninfo.conninfo_to_dict(server.url("venue", tcp=tcp))
        assert (info["host"], info["port"], info["dbname"]) == (host, "5433", "db x")
        assert (info["user"], info["password"]) == ("tsdb_venue", "p/w@:")
    assert "@127.0.0.1:5433/other" in Server("x", 5433, "", {"tsdb_trader": "p"}).url(None, "other")
    assert "p/w" not in repr(server)


def test_url_foreign_server_owner_is_passed_through(monkeypatch: pytest.MonkeyPatch) -> None:
    server = Server("x", external=FOREIGN)
    assert server.url() == FOREIGN
    assert server.url(database="other") == FOREIGN.replace("trading", "other")
    with pytest.raises(ConfigurationError, match="set TSDB_TRADER_DATABASE_URL_VENUE"):
        server.url("venue")
    monkeypatch.setenv("TSDB_TRADER_DATABASE_URL_VENUE", "postgresql://venue@db.example/trading")
    assert server.url("venue") == "postgresql://venue@db.example/trading"
    with pytest.raises(ConfigurationError, match="must start with postgresql://"):
        Server("x", external="host=db.example").url()


def test_foreign_server_is_never_managed(tmp_path: Path) -> None:
    config = Settings(home=tmp_path / "home", database_url=FOREIGN)
    assert embedded.ensure_running(config).url() == FOREIGN
    assert embedded.status(config).state == "external"
    for action in (embedded.start, embedded.stop, embedded.reset):
        with pytest.raises(EmbeddedServerError, match="TSDB_TRADER_DATABASE_URL is set"):
            action(config)
    assert not (tmp_path / "home").exists()


def test_home_that_cannot_be_made_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    config = Settings(home=tmp_path / "file/home", cache=tmp_path / "cache")
    with pytest.raises(EmbeddedServerError, match=r"Not a directory: .*TSDB_TRADER_HOME"):
        embedded.ensure_running(config)
