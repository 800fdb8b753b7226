"""What a server that is not ours gets before its first `migrate`: roles, owner, extensions."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import unquote, urlsplit

import psycopg
from psycopg import sql

from tsdb_trader.config import Settings
from tsdb_trader.embedded import bootstrap
from tsdb_trader.embedded.roles import OPTIONAL, OWNER, ROLES, SUPERUSER
from tsdb_trader.embedded.server import Server
from tsdb_trader.errors import ConfigurationError, DatabaseUnavailableError


def prepare(config: Settings, folder: Path) -> str:
    """Give the configured server our roles and database; safe to repeat; return its name.

    Parameters
    ----------
    config
        Its database_url names the server and the database;
        ``TSDB_TRADER_DATABASE_URL_POSTGRES`` is the URL of a superuser.
    folder
        Holds one file per role, named like it, with the role's password. Of `OPTIONAL`, those
        without a file cannot log in.

    Raises
    ------
    ConfigurationError
        A URL or a password is missing; the message names it.
    DatabaseUnavailableError
        The superuser cannot log in or lacks a right.
    """
    if config.database_url is None:
        raise ConfigurationError(
            "TSDB_TRADER_DATABASE_URL is not set: the private server prepares itself, "
            "`tsdb-trader db start`"
        )
    database = unquote(urlsplit(config.database_url).path.removeprefix("/"))
    if not database:
        raise ConfigurationError("TSDB_TRADER_DATABASE_URL names no database: end it with /NAME")
    server = Server(database, external=config.database_url)
    named = [r for r in ROLES if r not in OPTIONAL or (folder / r).exists()]
    passwords = {role: _read(folder / role) for role in named}

    try:
        _set_up(server, passwords)
    except psycopg.Error as error:
        text = " ".join(str(error).split())
        raise DatabaseUnavailableError(
            f"the server refused: {text}; check TSDB_TRADER_DATABASE_URL_POSTGRES and its password"
        ) from None
    return database


def _set_up(server: Server, passwords: dict[str, str]) -> None:
    database = server.database

    def admin_url(name: str) -> str:
        return server.url(SUPERUSER, name)

    with bootstrap.connect(admin_url("postgres")) as conn:
        bootstrap.create_roles(conn, passwords)
    if not bootstrap.database_exists(admin_url, database):
        bootstrap.create_database(admin_url, database, bootstrap.EMPTY_TEMPLATE)
    with bootstrap.connect(admin_url("postgres")) as conn:
        statement = sql.SQL("alter database {} owner to {}")
        conn.execute(statement.format(sql.Identifier(database), sql.Identifier(OWNER)))
        bootstrap.close_database(conn, database)
    bootstrap.create_extensions(admin_url(database))


def _read(path: Path) -> str:
    try:
        password = path.read_text().strip()
    except OSError as error:
        raise ConfigurationError(
            f"{path}: {error.strerror}: it has to hold the password of {path.name}"
        ) from None
    if not password:
        raise ConfigurationError(f"{path} is empty: it has to hold the password of {path.name}")
    return password
