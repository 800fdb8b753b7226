"""Fixtures: a real TimescaleDB, a migrated template, a fresh clone of it per test."""

from __future__ import annotations

import os
import shutil
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import TypeAlias

import psycopg
import pytest

from tsdb_trader import embedded, schema
from tsdb_trader.config import Settings, settings

EXTERNAL = "TSDB_TRADER_DATABASE_URL" in os.environ
if not EXTERNAL:
    # Tests have a private server of their own, and so have the processes that they start.
    os.environ["TSDB_TRADER_HOME"] = str(settings().home / "tests")
    settings.cache_clear()

Connect: TypeAlias = Callable[..., psycopg.Connection]

_MEMORY = Path("/dev/shm")
_MEMORY_BYTES = 4 << 30


def _data_folder() -> Path:
    default = Path(__file__).resolve().parents[2] / "shared" / "data"
    return Path(os.environ.get("TSDB_TRADER_TEST_DATA", default))


@pytest.fixture(scope="session")
def data_folder() -> Path:
    """Return the folder of recorded market data; tests that need it skip without it."""
    folder = _data_folder()
    if not (folder / "us_equity_ticks").is_dir():
        pytest.skip(f"no recorded market data in {folder}: set TSDB_TRADER_TEST_DATA")
    return folder


@pytest.fixture(scope="session")
def server() -> Iterator[embedded.Server]:
    """Return the server under test: TSDB_TRADER_DATABASE_URL or a private one, removed at the end.

    The private one does not wait for its disk, which a thousand databases made and dropped would
    have it do for minutes. Crashes of the server lose nothing by that, only those of the machine.
    """
    found = embedded.ensure_running()
    if not EXTERNAL:
        with psycopg.connect(found.url("postgres"), autocommit=True) as admin:
            admin.execute("alter system set fsync = off")
            admin.execute("select pg_reload_conf()")
    yield found
    if not EXTERNAL:
        with psycopg.connect(found.url("postgres"), autocommit=True) as admin:
            others = admin.execute(
                "select from pg_database where datname like 'tsdb\\_test\\_%'"
            ).fetchone()
        if others is None:
            # Without the folder of the downloaded programs, which stay, only the data go.
            embedded.reset(Settings(cache=settings().home / "cache"), purge=True)


@contextmanager
def _new_database(server: embedded.Server, name: str) -> Iterator[None]:
    """Make a database in the machine's memory, if that has room, where its clones will be as well.

    A database is a thousand files: to make and remove them costs a disk's file system several
    times as much as the memory's, and there are thousands of clones. At the end they and their
    original have to be gone.
    """
    if EXTERNAL or not _MEMORY.is_dir() or shutil.disk_usage(_MEMORY).free < _MEMORY_BYTES:
        server.create_database(name)
        yield
        return
    folder = _MEMORY / name
    folder.mkdir(mode=0o700)
    data = embedded.status().data_dir
    assert data is not None
    os.chown(folder, data.stat().st_uid, data.stat().st_gid)
    with psycopg.connect(server.url("postgres"), autocommit=True) as admin:
        admin.execute(f"create tablespace {name} location '{folder}'")
        admin.execute(
            f"create database {name} owner {embedded.ROLES[0]} template template1 tablespace {name}"
        )
    yield
    with psycopg.connect(server.url("postgres"), autocommit=True) as admin:
        admin.execute(f"drop tablespace {name}")
    shutil.rmtree(folder)


@pytest.fixture(scope="session")
def template(server: embedded.Server) -> Iterator[str]:
    """Return the name of a migrated database to clone."""
    name = f"tsdb_test_template_{uuid.uuid4().hex[:8]}"
    with _new_database(server, name):
        schema.migrate(server.url(database=name))
        # A template with a connected TimescaleDB scheduler cannot be copied.
        server.stop_background_workers(name)
        yield name
        server.drop_database(name)


class Clones:
    """Clones of the template: the next is made, and used ones are dropped, while a test runs."""

    def __init__(self, server: embedded.Server, template: str) -> None:
        self._server = server
        self._template = template
        self._threads = ThreadPoolExecutor(2)
        self._drops: list[Future[None]] = []
        self._next = self._threads.submit(self._create)

    def _create(self) -> str:
        name = f"tsdb_test_{uuid.uuid4().hex[:12]}"
        self._server.create_database(name, template=self._template)
        return name

    def take(self) -> str:
        """Return the name of a clone that nobody has used."""
        ready, self._next = self._next, self._threads.submit(self._create)
        return ready.result()

    def give_back(self, name: str) -> None:
        """Drop a clone in its time; what went wrong with an earlier one is raised here."""
        self._drops.append(self._threads.submit(self._server.drop_database, name))
        while self._drops and self._drops[0].done():
            self._drops.pop(0).result()

    def close(self) -> None:
        """Drop what is left."""
        self.give_back(self._next.result())
        self._threads.shutdown()
        for drop in self._drops:
            drop.result()


@pytest.fixture(scope="session")
def clones(server: embedded.Server, template: str) -> Iterator[Clones]:
    """Return the supply of fresh databases."""
    supply = Clones(server, template)
    yield supply
    supply.close()


@pytest.fixture
def database(server: embedded.Server, clones: Clones) -> Iterator[str]:
    """Return the owner's URL of a fresh migrated database."""
    name = clones.take()
    yield server.url(database=name)
    clones.give_back(name)


@pytest.fixture
def conn(database: str) -> Iterator[psycopg.Connection]:
    """Return the owner's autocommit connection to the test's database."""
    with psycopg.connect(database, autocommit=True, options="-c TimeZone=UTC") as connection:
        yield connection


@pytest.fixture
def connect_as(server: embedded.Server, database: str) -> Iterator[Connect]:
    """Return a function that connects to the test's database as a role."""
    opened: list[psycopg.Connection] = []
    name = psycopg.conninfo.conninfo_to_dict(database)["dbname"]

    def connect(role: str | None = None, *, autocommit: bool = True) -> psycopg.Connection:
        connection = psycopg.connect(
            server.url(role, database=str(name)),
            autocommit=autocommit,
            # What a reader starts with he can change: tests shall meet what he is granted.
            options="-c TimeZone=UTC -c default_transaction_read_only=off",
        )
        opened.append(connection)
        return connection

    yield connect
    for connection in opened:
        connection.close()


@pytest.fixture
def role_url(server: embedded.Server, database: str) -> Callable[[str | None], str]:
    """Return a function that gives a role's URL of the test's database."""
    name = str(psycopg.conninfo.conninfo_to_dict(database)["dbname"])
    return lambda role=None: server.url(role, database=name)
