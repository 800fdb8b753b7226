"""The private server: PostgreSQL with TimescaleDB, run for one user on one machine.

`ensure_running` is all that most callers need: it installs, creates, starts or adopts the server
and returns how to connect. The server outlives the process that started it. With
``TSDB_TRADER_DATABASE_URL`` set there is no private server and that URL is what callers get.
"""

from __future__ import annotations

import functools
import os
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import ParamSpec, TypeVar

import psycopg

from tsdb_trader.config import Settings, settings
from tsdb_trader.embedded import people, postgres
from tsdb_trader.embedded.private import Private, locked
from tsdb_trader.embedded.roles import OWNER, ROLES, SUPERUSER
from tsdb_trader.embedded.server import Server, role_name
from tsdb_trader.errors import EmbeddedServerError

__all__ = [
    "OWNER",
    "ROLES",
    "SUPERUSER",
    "Server",
    "Status",
    "add_user",
    "database_url",
    "drop_user",
    "ensure_running",
    "psql",
    "reset",
    "role_name",
    "start",
    "status",
    "stop",
]

_P = ParamSpec("_P")
_R = TypeVar("_R")


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


def _own(config: Settings | None) -> Settings:
    """Return the settings if they ask for the private server."""
    config = config or settings()
    if config.database_url is not None:
        raise EmbeddedServerError(
            "TSDB_TRADER_DATABASE_URL is set, so the private server is not in use: unset it to "
            "manage the private server"
        )
    return config


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
    if (server := Private(config).running()) is not None:
        return server
    with locked(config.home.absolute()):
        return Private(config).start()


@_one_line_errors
def database_url(role: str | None = None, config: Settings | None = None) -> str:
    """Return the URL of the database in use for a role, the owner by default.

    Raises
    ------
    EmbeddedServerError
        The private server is in use and does not run.
    ConfigurationError
        The role is unknown, or its URL on a server that is not ours is not configured.
    """
    config = config or settings()
    if config.database_url is not None:
        return Server(config.database_name, external=config.database_url).url(role)
    server = Private(config).running()
    if server is None:
        raise EmbeddedServerError(
            "the private server is not running: start it with `tsdb-trader db start`"
        )
    return server.url(role)


@_one_line_errors
def start(config: Settings | None = None) -> Server:
    """Start the private server like `ensure_running`, but refuse if another one is configured."""
    return ensure_running(_own(config))


@_one_line_errors
def stop(config: Settings | None = None, immediate: bool = False) -> bool:
    """Stop the private server; False if it was not running.

    Parameters
    ----------
    immediate
        Without a checkpoint, as in a crash; nothing committed is lost.
    """
    config = _own(config)
    with locked(config.home.absolute()):
        return Private(config, forget=True).stop(immediate)


@_one_line_errors
def status(config: Settings | None = None) -> Status:
    """Return what is known of the server without changing anything."""
    config = config or settings()
    if config.database_url is not None:
        return Status("external")
    private = Private(config)
    data_dir = private.data_dir
    found = postgres.read_postmaster(data_dir)
    programs = Path(private.state.bindir) if private.state.bindir else None
    if found is None:
        exists = (data_dir / "PG_VERSION").exists()
        return Status("stopped" if exists else "absent", data_dir=data_dir, programs=programs)
    return Status("running", found.pid, found.port, found.socket_dir or None, data_dir, programs)


@_one_line_errors
def reset(config: Settings | None = None, purge: bool = False) -> None:
    """Recreate the database empty, or with `purge` remove the private server wholly.

    The FIX message stores are set aside (renamed with a time stamp): a new database must not
    meet sequence numbers of the old one.
    """
    config = _own(config)
    with locked(config.home.absolute()):
        # Damaged records must not keep anybody from starting anew.
        private = Private(config, forget=purge)
        if purge:
            private.purge()
        else:
            private.recreate()


@_one_line_errors
def add_user(
    name: str, roles: list[str], password: str | None = None, config: Settings | None = None
) -> str:
    """Create a person's login on the server in use; see `people.add_user`."""
    return people.add_user(ensure_running(config), name, roles, password)


@_one_line_errors
def drop_user(name: str, config: Settings | None = None) -> None:
    """Remove a person's login from the server in use; see `people.drop_user`."""
    people.drop_user(ensure_running(config), name)


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
    return subprocess.run([program, "-d", target, *args], env=environment, check=False).returncode
