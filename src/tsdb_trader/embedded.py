"""The private server: PostgreSQL with TimescaleDB, run for one user on one machine.

`ensure_running` is all that most callers need: it installs, creates, starts or adopts the server
and returns how to connect. The server outlives the process that started it. With
``TSDB_TRADER_DATABASE_URL`` set there is no private server and that URL is what callers get.
"""

from __future__ import annotations

import contextlib
import fcntl
import functools
import hashlib
import json
import os
import secrets
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import ParamSpec, TypeVar
from urllib.parse import quote, urlsplit, urlunsplit

import psycopg
from rich.console import Console

from tsdb_trader import _bootstrap, _debian, _postgres
from tsdb_trader._bootstrap import OWNER, ROLES, SUPERUSER
from tsdb_trader._postgres import Cluster, Installation
from tsdb_trader.config import Settings, settings
from tsdb_trader.errors import ConfigurationError, EmbeddedServerError

_P = ParamSpec("_P")
_R = TypeVar("_R")
_ROOT_FOLDER = Path("/var/lib/tsdb-trader")
"""Where root keeps what the server's user must reach, if the home folder is closed to it."""


@dataclass(frozen=True)
class Server:
    """How to connect to the server in use."""

    database: str
    port: int = 0
    socket_dir: str = ""
    passwords: dict[str, str] = field(default_factory=dict, repr=False)
    external: str | None = field(default=None, repr=False)
    """The owner's URL of a server that is not ours."""
    bindir: Path | None = None

    def url(self, role: str | None = None, database: str | None = None, tcp: bool = False) -> str:
        """Return a connection URL, password included.

        Parameters
        ----------
        role
            A role, with or without its prefix ``tsdb_``; by default the owner.
        database
            Another database of the same server.
        tcp
            Loopback instead of the Unix socket, for programs that know no sockets.

        Raises
        ------
        ConfigurationError
            The role is unknown, or its URL on a server that is not ours is not configured.
        """
        name = role_name(role)
        if self.external is not None:
            return _external_url(self.external, name, database)
        target = f"{name}:{quote(self.passwords[name])}@"
        path = quote(database or self.database)
        if tcp or not self.socket_dir:
            return f"postgresql://{target}127.0.0.1:{self.port}/{path}"
        return f"postgresql://{target}/{path}?host={quote(self.socket_dir)}&port={self.port}"

    def ensure_extension(self, database: str) -> None:
        """Create the extensions in `database` (one that was not cloned from template1)."""
        role = OWNER if self.external is not None else SUPERUSER
        _bootstrap.create_extensions(self.url(role, database))

    def make_template(self, database: str) -> None:
        """Close `database` to connections, TimescaleDB's included, so that it can be cloned.

        The owner clones it with ``create database ... template ...`` and drops it after
        ``alter database ... is_template false``.
        """
        role = OWNER if self.external is not None else SUPERUSER
        _bootstrap.freeze(lambda name: self.url(role, name), database)


@dataclass(frozen=True)
class Status:
    """What `tsdb-trader db status` shows."""

    state: str
    """``running``, ``stopped``, ``absent`` or ``external``."""
    pid: int | None = None
    port: int | None = None
    socket_dir: str | None = None
    data_dir: Path | None = None
    programs: Path | None = None


@dataclass
class _State:
    """What is remembered between runs; holds passwords, so its file is 0600."""

    passwords: dict[str, str] = field(default_factory=dict)
    data_dir: str = ""
    bindir: str = ""
    port: int = 0
    timescaledb: str = ""
    ready: bool = False


def role_name(role: str | None) -> str:
    """Return the full name of `role`.

    Raises
    ------
    ConfigurationError
        There is no such role; the message lists them.
    """
    if role is None:
        return OWNER
    for name in (role, f"tsdb_{role}"):
        if name in ROLES or name == SUPERUSER:
            return name
    short = ", ".join(r.removeprefix("tsdb_") for r in ROLES)
    raise ConfigurationError(f"there is no role {role!r}: choose one of {short}")


def _external_url(url: str, role: str, database: str | None) -> str:
    if role != OWNER:
        variable = "TSDB_TRADER_DATABASE_URL_" + role.removeprefix("tsdb_").upper()
        if not (found := os.environ.get(variable)):
            raise ConfigurationError(
                f"TSDB_TRADER_DATABASE_URL is the owner's: set {variable} to the URL of {role}"
            )
        url = found
    parts = urlsplit(url)
    if parts.scheme not in ("postgresql", "postgres"):
        raise ConfigurationError("TSDB_TRADER_DATABASE_URL must start with postgresql://")
    return urlunsplit(parts._replace(path=f"/{quote(database)}")) if database else url


def _one_line_errors(function: Callable[_P, _R]) -> Callable[_P, _R]:
    """Turn failures of the system and of the server into one line that says what to do."""

    @functools.wraps(function)
    def wrapped(*args: _P.args, **kwargs: _P.kwargs) -> _R:
        try:
            return function(*args, **kwargs)
        except OSError as error:
            where = f"{error.filename}: " if error.filename else ""
            raise EmbeddedServerError(
                f"{where}{error.strerror or error}: free the space, correct the permissions, or "
                "choose other folders with TSDB_TRADER_HOME and TSDB_TRADER_CACHE"
            ) from error
        except psycopg.Error as error:
            text = " ".join(str(error).split())
            raise EmbeddedServerError(f"the private server refused its set-up: {text}") from error

    return wrapped


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Let one process at a time change what is in `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "server.lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


class _Private:
    """The private server of one home folder."""

    def __init__(self, config: Settings) -> None:
        self.config = config
        self.home = config.home.absolute()
        self.cache = config.cache.absolute()
        self.file = self.home / "server.json"
        self.console = Console(stderr=True)
        self.state = self._load()

    def _load(self) -> _State:
        try:
            return _State(**json.loads(self.file.read_text()))
        except FileNotFoundError:
            return _State()
        except (ValueError, TypeError) as error:
            raise EmbeddedServerError(
                f"{self.file} is damaged ({error}): restore it, or lose the data with: "
                "tsdb-trader db reset --purge --yes"
            ) from None

    def save(self) -> None:
        new = self.file.with_suffix(".new")
        new.unlink(missing_ok=True)
        with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as out:
            json.dump(asdict(self.state), out, indent=1)
            out.flush()
            os.fsync(out.fileno())
        new.rename(self.file)

    # Places ---------------------------------------------------------------------------------

    @property
    def data_dir(self) -> Path:
        if self.state.data_dir:
            return Path(self.state.data_dir)
        return _reachable(self.home) / "pgdata"

    @property
    def prefix(self) -> Path:
        return _reachable(self.cache) / "postgresql"

    @property
    def socket_dir(self) -> Path | None:
        folder = self.data_dir.with_name("run")
        return folder if _postgres.socket_fits(folder) else None

    # Programs -------------------------------------------------------------------------------

    def find(self) -> Installation | None:
        """Return the programs to use if they are there, those fitting the data first."""
        config, prefix = self.config, self.prefix
        if config.pg_prefix is not None:
            found = _postgres.in_prefix(config.pg_prefix)
            if not found:
                raise EmbeddedServerError(
                    f"TSDB_TRADER_PG_PREFIX={config.pg_prefix} holds no PostgreSQL 15 to 18 with "
                    "TimescaleDB: correct it or unset it"
                )
        else:
            found = _postgres.on_machine()
            if _debian.is_complete(prefix):
                locales = prefix / "usr/lib/locale"
                own = _postgres.in_prefix(prefix)
                found += [Installation(i.bindir, i.sharedir, i.major, locales) for i in own]
        made_by = _read(self.data_dir / "PG_VERSION")
        fitting = [i for i in found if str(i.major) == made_by]
        return next(iter(fitting or found), None)

    def find_or_install(self) -> Installation:
        found = self.find()
        if found is None:
            with _locked(self.cache):
                _make_open(self.prefix.parent)
                _debian.install(self.prefix, self.prefix.with_name("downloads"), self.console)
            found = self.find()
        if found is None:
            raise EmbeddedServerError(
                f"{self.prefix} holds no usable server: tsdb-trader db reset --purge --yes"
            )
        return found

    def cluster(self, installation: Installation) -> Cluster:
        account = _postgres.account_for(self.data_dir)
        return Cluster(installation, account, self.data_dir, self.socket_dir)

    # Life -----------------------------------------------------------------------------------

    def running(self) -> Server | None:
        """Return the server if it is up and set up."""
        found = _postgres.read_postmaster(self.data_dir) if self.state.ready else None
        return self.server(found) if found and found.ready else None

    def server(self, found: _postgres.Postmaster) -> Server:
        return Server(
            self.config.database_name,
            found.port,
            found.socket_dir,
            self.state.passwords,
            bindir=Path(self.state.bindir),
        )

    def start(self) -> Server:
        """Install, create, start and set up whatever is not yet."""
        if _postgres.read_postmaster(self.data_dir) is None:
            self._start_cluster()
        found = _postgres.read_postmaster(self.data_dir)
        if found is None:
            raise EmbeddedServerError(f"the server ended at once: see {self.data_dir}/log")
        server = self.server(found)
        if not self.state.ready:
            self._set_up(server)
        return server

    def _start_cluster(self) -> None:
        state = self.state
        installation = self.find_or_install()
        state.data_dir, state.bindir = str(self.data_dir), str(installation.bindir)
        for role in (SUPERUSER, *ROLES):
            state.passwords.setdefault(role, secrets.token_urlsafe(24))
        self.save()
        _make_open(self.data_dir.parent)
        cluster = self.cluster(installation)
        if not cluster.exists:
            with self.console.status("Creating the database cluster"):
                state.ready = False
                cluster.create(state.passwords[SUPERUSER])
        cluster.check_version()
        state.port = self._choose_port()
        if cluster.socket_dir is not None:
            cluster.socket_dir.mkdir(mode=0o700, exist_ok=True)
            cluster.account.own(cluster.socket_dir)
        cluster.configure(state.port, self.config.timescaledb_license)
        cluster.start()
        self.save()
        version = installation.timescaledb
        if state.ready and version != state.timescaledb:
            found = _postgres.read_postmaster(self.data_dir)
            if found is not None:
                _bootstrap.update_extensions(self._admin(self.server(found)))
        state.timescaledb = version
        self.save()

    def _choose_port(self) -> int:
        wanted = self.config.db_port
        if wanted and not _postgres.port_is_free(wanted):
            raise EmbeddedServerError(
                f"port {wanted} is taken: set TSDB_TRADER_DB_PORT to a free one, or to 0 to have "
                "one chosen"
            )
        kept = wanted or self.state.port
        return kept if kept and _postgres.port_is_free(kept) else _postgres.free_port()

    @staticmethod
    def _admin(server: Server) -> Callable[[str], str]:
        return lambda database: server.url(SUPERUSER, database)

    def _set_up(self, server: Server) -> None:
        """Create what is missing; safe to repeat after a crash in the middle."""
        url_of = self._admin(server)
        with self.console.status("Setting up roles and the database"):
            with _bootstrap.connect(url_of("postgres")) as conn:
                _bootstrap.create_roles(conn, self.state.passwords)
            _bootstrap.prepare_template(url_of)
            if not _bootstrap.database_exists(url_of, server.database):
                self.archive_fix()
                _bootstrap.create_database(url_of, server.database)
        self.state.ready = True
        self.save()

    def stop(self) -> bool:
        """Stop the server if it runs, also one whose programs are no longer the chosen ones."""
        if _postgres.read_postmaster(self.data_dir) is None:
            return False
        bindir = Path(self.state.bindir)
        self.cluster(Installation(bindir, bindir, 0)).stop()
        return True

    def archive_fix(self) -> Path | None:
        """Set the FIX stores aside: their sequence numbers belong to the old database."""
        folder = self.config.fix_dir
        if not folder.is_dir() or not any(folder.iterdir()):
            return None
        stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%S%fZ")
        return folder.rename(folder.with_name(f"{folder.name}-{stamp}"))

    def recreate(self) -> None:
        """Drop the database and create it anew, empty."""
        server = self.start()
        self.state.ready = False
        self.save()
        with self.console.status("Recreating the database"):
            _bootstrap.drop_database(self._admin(server), server.database)
        self._set_up(server)

    def purge(self) -> None:
        """Remove the data and the programs of the private server."""
        self.stop()
        self.archive_fix()
        data, prefix = self.data_dir, self.prefix
        for folder in (data, data.with_name("pgdata.new"), data.with_name("run"), prefix,
                       prefix.with_name("postgresql.new"), prefix.with_name("downloads")):  # fmt: skip
            if folder.exists():
                shutil.rmtree(folder)
        self.file.unlink(missing_ok=True)
        for folder in {data.parent, prefix.parent}:
            if folder.parent == _ROOT_FOLDER:
                with contextlib.suppress(OSError):
                    folder.rmdir()
        with contextlib.suppress(OSError):
            _ROOT_FOLDER.rmdir()


def _read(path: Path) -> str:
    try:
        return path.read_text().strip()
    except FileNotFoundError:
        return ""


def _make_open(folder: Path) -> None:
    """Create `folder`; one of root's own is open, because the server runs as another user."""
    if not folder.exists():
        folder.mkdir(parents=True)
    if folder.parent == _ROOT_FOLDER:
        for path in (_ROOT_FOLDER, folder):
            path.chmod(0o755)


def _reachable(folder: Path) -> Path:
    """Return `folder`, or its stand-in if root's server could not get there."""
    if os.geteuid() != 0:
        return folder
    digest = hashlib.sha256(os.fsencode(folder)).hexdigest()[:16]
    stand_in = _ROOT_FOLDER / digest
    existing = next(p for p in (folder, *folder.parents) if p.exists())
    account = _postgres.account_for(folder / "pgdata")
    closed = account.run("/usr/bin/test", "-x", str(existing)).returncode != 0
    return stand_in if closed or stand_in.exists() else folder


# The public functions ------------------------------------------------------------------------


def _private(config: Settings | None) -> _Private:
    config = config or settings()
    if config.database_url is not None:
        raise EmbeddedServerError(
            "TSDB_TRADER_DATABASE_URL is set, so the private server is not in use: unset it to "
            "manage the private server"
        )
    return _Private(config)


@_one_line_errors
def ensure_running(config: Settings | None = None) -> Server:
    """Return the server in use, starting (and at first installing) the private one if needed.

    Parameters
    ----------
    config
        By default the process's settings.

    Raises
    ------
    EmbeddedServerError
        The private server cannot be installed, created or started; the message says what to do.
    """
    config = config or settings()
    if config.database_url is not None:
        return Server(config.database_name, external=config.database_url)
    if (server := _Private(config).running()) is not None:
        return server
    with _locked(config.home.absolute()):
        return _Private(config).start()


@_one_line_errors
def start(config: Settings | None = None) -> Server:
    """Start the private server like `ensure_running`, but refuse if another one is configured."""
    return ensure_running(_private(config).config)


@_one_line_errors
def stop(config: Settings | None = None) -> bool:
    """Stop the private server; False if it was not running."""
    private = _private(config)
    with _locked(private.home):
        return private.stop()


@_one_line_errors
def status(config: Settings | None = None) -> Status:
    """Return what is known of the server without changing anything."""
    config = config or settings()
    if config.database_url is not None:
        return Status("external")
    private = _Private(config)
    data_dir = private.data_dir
    found = _postgres.read_postmaster(data_dir)
    programs = Path(private.state.bindir) if private.state.bindir else None
    if found is None:
        exists = (data_dir / "PG_VERSION").exists()
        return Status("stopped" if exists else "absent", data_dir=data_dir, programs=programs)
    return Status(
        "running", found.pid, found.port, found.socket_dir or None, data_dir, programs
    )


@_one_line_errors
def reset(config: Settings | None = None, purge: bool = False) -> None:
    """Recreate the database empty, or with `purge` remove the private server wholly.

    The FIX message stores are set aside (renamed with a time stamp): a new database must not
    meet sequence numbers of the old one.
    """
    private = _private(config)
    with _locked(private.home):
        private = _private(config)
        if purge:
            private.purge()
        else:
            private.recreate()


@_one_line_errors
def psql(args: list[str], role: str | None = None, config: Settings | None = None) -> int:
    """Run psql on the server in use and return its exit status."""
    server = ensure_running(config)
    own = server.bindir / "psql" if server.bindir else None
    program = str(own) if own and own.exists() else shutil.which("psql")
    if program is None:
        raise EmbeddedServerError("there is no psql on this machine: install postgresql-client")
    info = psycopg.conninfo.conninfo_to_dict(server.url(role))
    environment = {**os.environ, "PGPASSWORD": str(info.pop("password", ""))}
    target = psycopg.conninfo.make_conninfo("", **info)
    return subprocess.run([program, "-d", target, *args], env=environment, check=False).returncode  # noqa: S603
