"""The private server of one home folder: where it lives, and its life."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import secrets
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, fields
from datetime import UTC, datetime
from pathlib import Path

from rich.console import Console

from tsdb_trader.config import Settings
from tsdb_trader.embedded import bootstrap, debian, machine, postgres
from tsdb_trader.embedded.postgres import Cluster, Installation
from tsdb_trader.embedded.roles import ROLES, SUPERUSER
from tsdb_trader.embedded.server import Server
from tsdb_trader.errors import EmbeddedServerError

_ROOT_FOLDER = Path("/var/lib/tsdb-trader")
"""Where root keeps what the server's user must reach, if the home folder is closed to it."""
_SETUP = 3
"""Raised when a set-up server lacks something that a newer program needs, such as a role."""


@dataclass
class State:
    """What is remembered between runs; holds passwords, so its file is 0600."""

    passwords: dict[str, str] = field(default_factory=dict)
    bindir: str = ""
    port: int = 0
    timescaledb: str = ""
    """Version of the extensions' objects in the databases."""
    database: str = ""
    """The database that was set up last."""
    ready: bool = False
    setup: int = 0
    """Which version of the set-up it has had."""


@contextmanager
def locked(folder: Path) -> Iterator[int]:
    """Let one process at a time change what is in `folder`; yields the lock's descriptor."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "server.lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            with Console(stderr=True).status(f"Waiting for another process to leave {folder}"):
                fcntl.flock(file, fcntl.LOCK_EX)
        yield file.fileno()


class Private:
    """The private server of one home folder."""

    def __init__(self, config: Settings, forget: bool = False) -> None:
        self.config = config
        self.home = config.home.absolute()
        self.cache = config.cache.absolute()
        self.file = self.home / "server.json"
        self.console = Console(stderr=True)
        self.state = State() if forget else self._load()

    def _load(self) -> State:
        try:
            records = json.loads(self.file.read_text())
            # Another version of the program may remember more.
            known = {f.name for f in fields(State)} & records.keys()
            return State(**{name: records[name] for name in known})
        except FileNotFoundError:
            return State()
        except (ValueError, TypeError, AttributeError) as error:
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
        return _place(self.home, "pgdata")

    @property
    def prefix(self) -> Path:
        return _place(self.cache, "postgresql")

    @property
    def socket_dir(self) -> Path | None:
        folder = self.data_dir.with_name("run")
        return folder if machine.socket_fits(folder) else None

    # Programs -------------------------------------------------------------------------------

    def find(self) -> Installation | None:
        """Return the programs to use if they are there, those fitting the data first."""
        config, prefix = self.config, self.prefix
        if config.pg_prefix is not None:
            found = postgres.in_prefix(config.pg_prefix)
            if not found:
                raise EmbeddedServerError(
                    f"TSDB_TRADER_PG_PREFIX={config.pg_prefix} holds no PostgreSQL 15 to 18 with "
                    "TimescaleDB: correct it or unset it"
                )
        else:
            found = postgres.on_machine()
            if debian.is_complete(prefix):
                locales = prefix / "usr/lib/locale"
                own = postgres.in_prefix(prefix)
                found += [Installation(i.bindir, i.sharedir, i.major, locales) for i in own]
        made_by = _read(self.data_dir / "PG_VERSION")
        fitting = [i for i in found if str(i.major) == made_by]
        return next(iter(fitting or found), None)

    def find_or_install(self) -> Installation:
        found = self.find()
        if found is None:
            with locked(self.cache) as lock:
                prefix = self.prefix
                _make_open(prefix.parent, self.cache)
                debian.install(prefix, prefix.with_name("downloads"), self.console, lock)
            found = self.find()
        if found is None:
            raise EmbeddedServerError(
                f"{self.prefix} holds no usable server: tsdb-trader db reset --purge --yes"
            )
        return found

    def cluster(self, installation: Installation) -> Cluster:
        account = machine.account_for(self.data_dir)
        return Cluster(installation, account, self.data_dir, self.socket_dir)

    # Life -----------------------------------------------------------------------------------

    def running(self) -> Server | None:
        """Return the server if it is up and set up."""
        if not self._is_set_up(self.config.database_name):
            return None
        found = postgres.read_postmaster(self.data_dir)
        return self.server(found) if found and found.ready else None

    def server(self, found: postgres.Postmaster) -> Server:
        return Server(
            self.config.database_name,
            found.port,
            found.socket_dir,
            self.state.passwords,
            bindir=Path(self.state.bindir),
        )

    def start(self) -> Server:
        """Install, create, start and set up whatever is not yet."""
        self._set_orphan_aside()
        if postgres.read_postmaster(self.data_dir) is None:
            self._start_cluster()
        server = self.server(postgres.wait_ready(self.data_dir))
        if not self._is_set_up(server.database):
            self._set_up(server)
        return server

    def _is_set_up(self, database: str) -> bool:
        state = self.state
        return state.ready and state.database == database and state.setup == _SETUP

    def _set_orphan_aside(self) -> None:
        """Deal with data whose passwords are lost."""
        if self.state.passwords or not (self.data_dir / "PG_VERSION").exists():
            return
        if self.data_dir.parent == self.home:
            raise EmbeddedServerError(
                f"{self.file} with the passwords of {self.data_dir} is missing: restore it, or "
                "lose the data with: tsdb-trader db reset --purge --yes"
            )
        # Root's stand-in folder outlives a deleted home folder: whoever deleted that starts anew.
        postgres.stop_postmaster(self.data_dir)
        aside = self.data_dir.rename(self.data_dir.with_name(f"pgdata-{_stamp()}"))
        self.console.print(f"{self.home} was emptied; its former database is now {aside}")

    def _start_cluster(self) -> None:
        state = self.state
        installation = self.find_or_install()
        state.bindir = str(installation.bindir)
        self._choose_passwords()
        _make_open(self.data_dir.parent, self.home)
        cluster = self.cluster(installation)
        if not cluster.exists:
            with self.console.status("Creating the database cluster"):
                state.ready, state.timescaledb = False, ""
                cluster.create(state.passwords[SUPERUSER])
        cluster.check_version()
        state.port = self._choose_port()
        state.ready = state.ready and state.timescaledb == installation.timescaledb
        self.save()
        if cluster.socket_dir is not None:
            cluster.socket_dir.mkdir(mode=0o700, exist_ok=True)
            cluster.account.own(cluster.socket_dir)
        cluster.configure(state.port, self.config.timescaledb_license)
        with self.console.status("Starting the server"):
            cluster.start()

    def _choose_passwords(self) -> None:
        """Give a password to every role that has none."""
        for role in (SUPERUSER, *ROLES):
            self.state.passwords.setdefault(role, secrets.token_urlsafe(24))
        self.save()

    def _choose_port(self) -> int:
        wanted = self.config.db_port
        if wanted and not machine.port_is_free(wanted):
            raise EmbeddedServerError(
                f"port {wanted} is taken: set TSDB_TRADER_DB_PORT to a free one, or to 0 to have "
                "one chosen"
            )
        kept = wanted or self.state.port
        return kept if kept and machine.port_is_free(kept) else machine.free_port()

    @staticmethod
    def _admin(server: Server) -> Callable[[str], str]:
        return lambda database: server.url(SUPERUSER, database)

    def _set_up(self, server: Server) -> None:
        """Create what is missing; safe to repeat after a crash in the middle."""
        state, url_of = self.state, self._admin(server)
        # A server that a former program started knows fewer roles.
        self._choose_passwords()
        installation = postgres.inspect(Path(state.bindir))
        version = installation.timescaledb if installation else state.timescaledb
        with self.console.status("Setting up roles and the database"):
            with bootstrap.connect(url_of("postgres")) as conn:
                bootstrap.create_roles(conn, state.passwords)
            if state.timescaledb not in ("", version):
                bootstrap.update_extensions(url_of)
            bootstrap.prepare_template(url_of)
            if not bootstrap.database_exists(url_of, server.database):
                self.archive_fix()
                bootstrap.create_database(url_of, server.database)
            else:
                with bootstrap.connect(url_of("postgres")) as conn:
                    bootstrap.close_database(conn, server.database)
        state.timescaledb, state.database, state.ready = version, server.database, True
        state.setup = _SETUP
        self.save()

    def stop(self, immediate: bool = False) -> bool:
        """Stop the server if it runs."""
        return postgres.stop_postmaster(self.data_dir, immediate)

    def archive_fix(self) -> Path | None:
        """Set the FIX stores aside: their sequence numbers belong to the old database."""
        folder = self.config.fix_dir
        if not folder.is_dir() or not any(folder.iterdir()):
            return None
        return folder.rename(folder.with_name(f"{folder.name}-{_stamp()}"))

    def recreate(self) -> None:
        """Drop the database and create it anew, empty."""
        server = self.start()
        self.state.ready = False
        self.save()
        with self.console.status("Recreating the database"):
            bootstrap.drop_database(self._admin(server), server.database)
        self._set_up(server)

    def purge(self) -> None:
        """Remove the data and the programs of the private server; FIX stores are set aside.

        Raises
        ------
        EmbeddedServerError
            A server of another home runs from the same programs; nothing was removed.
        """
        self.stop()
        if users := _running_from(self.prefix):
            raise EmbeddedServerError(
                f"another home's server runs from {self.prefix} (process {users[0]}): stop it "
                "first, or keep the programs with `tsdb-trader db reset --yes`"
            )
        self.archive_fix()
        data, prefix = self.data_dir, self.prefix
        doomed = [*data.parent.glob("pgdata*"), data.with_name("run"), prefix]
        doomed += [prefix.with_name(name) for name in ("postgresql.new", "downloads")]
        for folder in (data.parent, prefix.parent):
            doomed += [folder] if folder.parent == _ROOT_FOLDER else []
        for folder in doomed:
            if folder.exists():
                shutil.rmtree(folder)
        self.file.unlink(missing_ok=True)
        with contextlib.suppress(OSError):
            _ROOT_FOLDER.rmdir()


def _running_from(folder: Path) -> list[int]:
    """Return the processes whose program lies in a folder, as far as this user may see them."""
    found = []
    for entry in Path("/proc").glob("[0-9]*/exe"):
        with contextlib.suppress(OSError):
            if entry.readlink().is_relative_to(folder):
                found.append(int(entry.parent.name))
    return sorted(found)


def _stamp() -> str:
    return datetime.now(UTC).strftime("%Y%m%dT%H%M%S%fZ")


def _read(path: Path) -> str:
    try:
        return path.read_text().strip()
    except FileNotFoundError:
        return ""


def _make_open(folder: Path, owner: Path) -> None:
    """Create `folder`; one of root's own is open, because the server runs as another user."""
    folder.mkdir(parents=True, exist_ok=True)
    if folder.parent == _ROOT_FOLDER:
        for path in (_ROOT_FOLDER, folder):
            path.chmod(0o755)
        (folder / "belongs-to").write_text(f"{owner}\n")


def _place(folder: Path, name: str) -> Path:
    """Return where `name` is or will be: in `folder`, unless root's server cannot get there."""
    if os.geteuid() != 0:
        return folder / name
    digest = hashlib.sha256(os.fsencode(folder)).hexdigest()[:16]
    candidates = (folder / name, _ROOT_FOLDER / digest / name)
    existing = next((c for c in candidates if c.exists()), None)
    if existing is not None:
        return existing
    parent = next(p for p in (folder, *folder.parents) if p.exists())
    account = machine.account_for(candidates[0])
    closed = account.run("/usr/bin/test", "-x", str(parent)).returncode != 0
    return candidates[closed]
