"""The private server, on a home folder of its own with the programs already downloaded."""

from __future__ import annotations

import json
import os
import select
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import psycopg
import pytest

from tsdb_trader import embedded
from tsdb_trader.config import Settings
from tsdb_trader.embedded import machine, postgres, private
from tsdb_trader.errors import EmbeddedServerError

pytestmark = pytest.mark.skipif(
    "TSDB_TRADER_DATABASE_URL" in os.environ, reason="no private server where another is set"
)

START = "from tsdb_trader.embedded import ensure_running; ensure_running()"


@pytest.fixture(scope="module")
def programs(server: embedded.Server) -> Path:
    """Return the prefix of the programs that the server under test runs."""
    found = embedded.status().programs
    assert found is not None
    return found.parents[4]


@pytest.fixture
def config(tmp_path: Path, programs: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Settings]:
    """Return settings of an empty home folder; its server is removed afterwards."""
    found = Settings(home=tmp_path / "home", cache=tmp_path / "cache", pg_prefix=programs)
    for name in ("home", "cache", "pg_prefix"):
        monkeypatch.setenv(f"TSDB_TRADER_{name.upper()}", str(getattr(found, name)))
    yield found
    embedded.reset(found, purge=True)


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory, programs: Path) -> Iterator[Settings]:
    """Return settings of a running server, for tests that leave it as it is."""
    folder = tmp_path_factory.mktemp("shared")
    found = Settings(home=folder / "home", cache=folder / "cache", pg_prefix=programs)
    embedded.ensure_running(found)
    yield found
    embedded.reset(found, purge=True)


def data_dir(config: Settings) -> Path:
    """Return the server's data directory."""
    found = embedded.status(config).data_dir
    assert found is not None
    return found


def pid(config: Settings) -> int:
    """Return the number of the server's process."""
    found = embedded.status(config).pid
    assert found is not None
    return found


def ask(url: str, query: str = "select current_user") -> object:
    """Return the single value of `query`."""
    with psycopg.connect(url) as conn:
        row = conn.execute(query.encode()).fetchone()
    assert row is not None
    return row[0]


def kill(config: Settings) -> None:
    """End the server without giving it a chance to clean up."""
    process = os.pidfd_open(pid(config))
    signal.pidfd_send_signal(process, signal.SIGKILL)
    select.select([process], [], [])
    os.close(process)
    assert (data_dir(config) / "postmaster.pid").exists()


def test_server_started_twice_is_the_same_and_durable(shared: Settings) -> None:
    first = embedded.ensure_running(shared)
    number = pid(shared)
    assert embedded.ensure_running(shared).url() == first.url()
    assert pid(shared) == number
    for name in ("fsync", "synchronous_commit", "full_page_writes", "data_checksums"):
        assert ask(first.url(), f"show {name}") == "on"
    assert ask(first.url(), "show timezone") == "UTC"
    assert ask(first.url(), "show listen_addresses") == "127.0.0.1"


def test_server_stopped_and_started_keeps_its_data(config: Settings) -> None:
    url = embedded.ensure_running(config).url()
    with psycopg.connect(url) as conn:
        conn.execute("create table public.kept (x int)")
    assert embedded.stop(config)
    assert not embedded.stop(config)
    assert embedded.status(config).state == "stopped"
    server = embedded.ensure_running(config)
    assert ask(server.url(), "select count(*) from public.kept") == 0


def test_owner_of_database_is_no_superuser_and_has_the_extensions(shared: Settings) -> None:
    url = embedded.ensure_running(shared).url()
    assert ask(url) == "tsdb_trader"
    assert ask(url, "show is_superuser") == "off"
    with psycopg.connect(url) as conn:
        found = {row[0] for row in conn.execute("select extname from pg_extension")}
    assert "timescaledb" in found


@pytest.mark.parametrize("tcp", [False, True])
def test_role_wrong_password_is_refused(shared: Settings, tcp: bool) -> None:
    server = embedded.ensure_running(shared)
    for role in embedded.ROLES:
        url = server.url(role, tcp=tcp)
        assert ask(url) == role
        parts = urlsplit(url)
        place = parts.netloc.replace(server.passwords[role], "wrong")
        with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
            psycopg.connect(urlunsplit(parts._replace(netloc=place)))


def test_passwords_are_in_one_private_file(shared: Settings) -> None:
    server = embedded.ensure_running(shared)
    file = shared.home / "server.json"
    assert file.stat().st_mode & 0o777 == 0o600
    secret = server.passwords["tsdb_trader"]
    others = [p for p in shared.home.rglob("*") if p.is_file() and p != file]
    assert not [p for p in others if secret.encode() in p.read_bytes()]


def test_database_cloned_from_a_template_has_its_hypertable(shared: Settings) -> None:
    server = embedded.ensure_running(shared)
    server.create_database("source")
    with psycopg.connect(server.url(database="source")) as conn:
        conn.execute("create table public.t (ts timestamptz not null)")
        conn.execute("select public.create_hypertable('public.t', 'ts')")
    server.stop_background_workers("source")
    for name in ("one", "two"):
        server.create_database(name, template="source")
        query = "select count(*) from timescaledb_information.hypertables"
        assert ask(server.url(database=name), query) == 1
    with psycopg.connect(server.url(), autocommit=True) as conn:
        conn.execute("create database three")
    server.ensure_extension("three")
    for name in ("one", "two", "three", "source"):
        server.drop_database(name)


@pytest.mark.parametrize("how", ["killed", "stopped at once"])
def test_start_after_a_crash_of_the_server_recovers(config: Settings, how: str) -> None:
    url = embedded.ensure_running(config).url()
    with psycopg.connect(url) as conn:
        conn.execute("create table public.kept (x int)")
    if how == "killed":
        kill(config)
    else:
        assert embedded.stop(config, immediate=True)
    server = embedded.ensure_running(config)
    assert ask(server.url(), "select count(*) from public.kept") == 0


def test_start_with_pid_of_another_process_in_the_file_succeeds(config: Settings) -> None:
    embedded.ensure_running(config)
    folder = data_dir(config)
    content = (folder / "postmaster.pid").read_text().split("\n", 1)[1]
    embedded.stop(config)
    (folder / "postmaster.pid").write_text(f"{os.getpid()}\n{content}")
    assert embedded.status(config).state == "stopped"
    assert ask(embedded.ensure_running(config).url()) == "tsdb_trader"


def test_starter_killed_at_any_moment_leaves_a_server_to_adopt(config: Settings) -> None:
    starter = subprocess.Popen([sys.executable, "-c", START])
    folder = config.home / "server.json"
    while not folder.exists():  # it is now between choosing passwords and a finished set-up
        assert starter.poll() is None
    os.kill(starter.pid, signal.SIGKILL)
    starter.wait()
    server = embedded.ensure_running(config)
    assert ask(server.url("venue")) == "tsdb_venue"
    number = pid(config)
    starter = subprocess.Popen([sys.executable, "-c", START])
    os.kill(starter.pid, signal.SIGKILL)
    starter.wait()
    assert embedded.ensure_running(config).url() == server.url()
    assert pid(config) == number


def test_two_starts_at_once_give_one_server(config: Settings) -> None:
    with ThreadPoolExecutor(3) as pool:
        urls = set(pool.map(lambda _: embedded.ensure_running(config).url(), range(3)))
    assert len(urls) == 1
    assert ask(urls.pop()) == "tsdb_trader"


def test_port_taken_wanted_one_is_refused_kept_one_is_replaced(config: Settings) -> None:
    port = embedded.ensure_running(config).port
    embedded.stop(config)
    with socket.socket() as other:
        other.bind(("127.0.0.1", port))
        other.listen()
        wanted = config.model_copy(update={"db_port": port})
        with pytest.raises(EmbeddedServerError, match=f"port {port} is taken"):
            embedded.ensure_running(wanted)
        assert embedded.ensure_running(config).port != port


def test_data_of_another_major_version_is_refused(config: Settings) -> None:
    embedded.ensure_running(config)
    embedded.stop(config)
    version = data_dir(config) / "PG_VERSION"
    kept = version.read_text()
    version.write_text("11\n")
    with pytest.raises(EmbeddedServerError, match="made by PostgreSQL 11"):
        embedded.ensure_running(config)
    version.write_text(kept)
    assert ask(embedded.ensure_running(config).url()) == "tsdb_trader"


def test_socket_path_too_long_falls_back_to_loopback(config: Settings) -> None:
    if os.geteuid() == 0:
        pytest.skip("root's server lies in a folder with a short name")
    long = config.model_copy(update={"home": config.home / ("x" * 100)})
    server = embedded.ensure_running(long)
    assert "@127.0.0.1:" in server.url()
    assert ask(server.url()) == "tsdb_trader"
    embedded.reset(long, purge=True)


def test_reset_empties_the_database_and_sets_fix_stores_aside(config: Settings) -> None:
    server = embedded.ensure_running(config)
    with psycopg.connect(server.url()) as conn:
        conn.execute("create table public.gone (x int)")
    (config.fix_dir / "gateway").mkdir(parents=True)
    embedded.reset(config)
    assert ask(server.url(), "select to_regclass('public.gone') is null") is True
    assert not config.fix_dir.exists()
    assert [p.name for p in config.home.glob("fix-*/*")] == ["gateway"]


def test_purge_removes_server_data_and_passwords(config: Settings) -> None:
    url, folder = embedded.ensure_running(config).url(tcp=True), data_dir(config)
    embedded.reset(config, purge=True)
    assert not folder.exists()
    with pytest.raises(psycopg.OperationalError):
        psycopg.connect(url)
    assert not (config.home / "server.json").exists()
    assert embedded.status(config).state == "absent"


def test_purge_removes_the_programs(config: Settings) -> None:
    (config.cache / "postgresql/usr").mkdir(parents=True)
    (config.cache / "downloads").mkdir()
    embedded.reset(config, purge=True)
    assert [p.name for p in config.cache.iterdir()] == []


def test_records_damaged_are_named_and_purge_works(config: Settings) -> None:
    embedded.ensure_running(config)
    (config.home / "server.json").write_text("{")
    with pytest.raises(EmbeddedServerError, match=r"server\.json is damaged.*--purge"):
        embedded.ensure_running(config)
    embedded.reset(config, purge=True)
    assert ask(embedded.ensure_running(config).url()) == "tsdb_trader"


def test_records_lost_with_data_left_never_touch_the_data(config: Settings) -> None:
    embedded.ensure_running(config)
    folder = data_dir(config)
    embedded.stop(config)
    (config.home / "server.json").unlink()
    if folder.parent == config.home:
        with pytest.raises(EmbeddedServerError, match="is missing: restore it"):
            embedded.ensure_running(config)
    else:
        assert ask(embedded.ensure_running(config).url()) == "tsdb_trader"
        assert (next(folder.parent.glob("pgdata-*")) / "PG_VERSION").exists()


def test_library_of_another_version_updates_the_databases(config: Settings) -> None:
    embedded.ensure_running(config)
    embedded.stop(config)
    file = config.home / "server.json"
    records = json.loads(file.read_text())
    version, records["timescaledb"] = records["timescaledb"], "2.0.0"
    file.write_text(json.dumps(records))
    assert ask(embedded.ensure_running(config).url()) == "tsdb_trader"
    assert json.loads(file.read_text())["timescaledb"] == version


def test_programs_without_timescaledb_are_not_taken(config: Settings, tmp_path: Path) -> None:
    bindir = tmp_path / "other/usr/lib/postgresql/17/bin"
    bindir.mkdir(parents=True)
    (bindir / "postgres").touch()
    other = config.model_copy(update={"pg_prefix": tmp_path / "other"})
    with pytest.raises(EmbeddedServerError, match="holds no PostgreSQL 15 to 18"):
        embedded.ensure_running(other)


def test_psql_passes_arguments_and_exit_status(
    shared: Settings, capfd: pytest.CaptureFixture[str]
) -> None:
    assert embedded.psql(["-Atc", "select current_user"], "quant", shared) == 0
    assert capfd.readouterr().out == "tsdb_quant\n"
    assert embedded.psql(["-c", "select 1/0", "-v", "ON_ERROR_STOP=1"], None, shared) == 1


def test_root_runs_the_server_as_another_user(shared: Settings) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root has to")
    embedded.ensure_running(shared)
    assert Path(f"/proc/{pid(shared)}").stat().st_uid != 0
    account = machine.account_for(data_dir(shared))
    assert account.uid == data_dir(shared).stat().st_uid != 0


def test_postmaster_file_absent_or_broken_means_no_server(tmp_path: Path) -> None:
    assert postgres.read_postmaster(tmp_path) is None
    (tmp_path / "postmaster.pid").write_text("nonsense\n")
    assert postgres.read_postmaster(tmp_path) is None
    shutil.rmtree(tmp_path)
    assert postgres.read_postmaster(tmp_path) is None


def test_purge_is_refused_while_another_home_runs_the_programs(
    config: Settings, tmp_path: Path
) -> None:
    cache = private.Private(config).prefix
    cache.mkdir(parents=True)
    program = cache / "sleep"
    shutil.copy("/bin/sleep", program)
    other = subprocess.Popen([str(program), "60"])
    try:
        with pytest.raises(EmbeddedServerError, match=f"process {other.pid}.*stop it first"):
            embedded.reset(config, purge=True)
        assert program.exists()
    finally:
        other.kill()
        other.wait()
