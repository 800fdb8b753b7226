"""How to connect to the server in use, and what its databases need."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote, urlsplit, urlunsplit

from tsdb_trader.embedded import bootstrap
from tsdb_trader.embedded.roles import OWNER, ROLES, SUPERUSER, WORKERS
from tsdb_trader.errors import ConfigurationError


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
            A role as `role_name` takes it; by default the owner.
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
        target = f"{name}:{quote(self.passwords[name], safe='')}@"
        path = quote(database or self.database, safe="")
        if tcp or not self.socket_dir:
            return f"postgresql://{target}127.0.0.1:{self.port}/{path}"
        return f"postgresql://{target}/{path}?host={quote(self.socket_dir)}&port={self.port}"

    def ensure_extension(self, database: str) -> None:
        """Create the extensions in `database` (one that was not cloned from template1)."""
        bootstrap.create_extensions(self._admin_url(database))

    def create_database(self, database: str, template: str | None = None) -> None:
        """Create the owner's `database` with the extensions, or as a copy of `template`.

        Parameters
        ----------
        template
            A database that `stop_background_workers` was called on.
        """
        if self.external is None:
            bootstrap.create_database(self._admin_url, database, template)
            return
        bootstrap.create_database(self._admin_url, database, template or bootstrap.EMPTY_TEMPLATE)
        if template is None:
            self.ensure_extension(database)

    def drop_database(self, database: str) -> None:
        """Drop `database`, a template as well, disconnecting whoever uses it."""
        bootstrap.drop_database(self._admin_url, database)

    def stop_background_workers(self, database: str) -> None:
        """Close `database` to connections, TimescaleDB's included, so that it can be cloned."""
        bootstrap.freeze(self._admin_url, database)

    def _admin_url(self, database: str) -> str:
        """Return the URL for administration: the superuser's, or the owner's if that is unknown."""
        foreign = self.external is not None and external_variable(SUPERUSER) not in os.environ
        return self.url(OWNER if foreign else SUPERUSER, database)


def role_name(role: str | None) -> str:
    """Return the full name of `role`, which may lack its prefix ``tsdb_``.

    ``trader`` is the traders' role: the owner's name, ``tsdb_trader``, is not shortened.

    Raises
    ------
    ConfigurationError
        There is no such role; the message lists them.
    """
    if role is None:
        return OWNER
    if role == "trader":
        return "tsdb_trader_role"
    for name in (role, f"tsdb_{role}"):
        if name in ROLES or name == SUPERUSER:
            return name
    short = ", ".join(r.removeprefix("tsdb_") for r in ROLES if r != OWNER)
    raise ConfigurationError(f"there is no role {role!r}: choose one of {short}")


def external_variable(role: str) -> str:
    """Return the name of the variable with the URL of `role` on a server that is not ours."""
    return "TSDB_TRADER_DATABASE_URL_" + role.removeprefix("tsdb_").upper()


def _external_url(url: str, role: str, database: str | None) -> str:
    if role != OWNER:
        variable = external_variable(role)
        found = os.environ.get(variable)
        if not found and role in WORKERS.values() and role != "tsdb_venue":
            # One login for all workers.
            found = os.environ.get(external_variable("tsdb_worker"))
        if not found:
            raise ConfigurationError(
                f"TSDB_TRADER_DATABASE_URL is the owner's: set {variable} to the URL of {role}"
            )
        url = found
    parts = urlsplit(url)
    if parts.scheme not in ("postgresql", "postgres"):
        raise ConfigurationError("TSDB_TRADER_DATABASE_URL must start with postgresql://")
    return urlunsplit(parts._replace(path=f"/{quote(database, safe='')}")) if database else url
