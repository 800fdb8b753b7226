"""What a new private server gets: roles with passwords, extensions, templates, the database."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import psycopg
from psycopg import sql

from tsdb_trader.embedded.roles import (
    DATABASE_RIGHTS,
    GROUPS,
    MEMBERSHIPS,
    OWNER,
    ROLES,
    SETTINGS,
)
from tsdb_trader.errors import EmbeddedServerError

LOG_OWNER = "tsdb_log"
"""Owns the order log, so that our own owner role cannot change it; nobody logs in as it."""
_REQUIRED = "timescaledb"
_OPTIONAL = ("pgtap", "plpgsql_check")
_TEMPLATE = "template1"
EMPTY_TEMPLATE = "template0"
"""Never connected to, so it can always be copied; template1 of a foreign server can be in use."""
_TEMPLATE_SECONDS = 20.0

UrlOf = Callable[[str], str]
"""Maps a database's name to the superuser's URL of it."""


@contextmanager
def connect(url: str) -> Iterator[psycopg.Connection]:
    """Connect as the superuser, each statement its own transaction."""
    with psycopg.connect(url, autocommit=True, connect_timeout=10) as conn:
        yield conn


def create_roles(conn: psycopg.Connection, passwords: dict[str, str]) -> None:
    """Create the roles, or set their passwords; one without a password cannot log in.

    Only the hashes reach the server and its log.
    """
    for role in ROLES:
        known = _exists(conn, role)
        login = login_clause(conn, role, passwords[role]) if role in passwords else None
        verb = sql.SQL("alter" if known else "create")
        statement = sql.SQL("{} role {} {}").format(
            verb, sql.Identifier(role), login or sql.SQL("nologin")
        )
        conn.execute(statement)
        configure(conn, role, role)
    for role in GROUPS:
        if not _exists(conn, role):
            conn.execute(sql.SQL("create role {} nologin").format(sql.Identifier(role)))
    for role, groups in MEMBERSHIPS.items():
        for group in groups:
            join(conn, role, group)
    # Tests clone databases.
    conn.execute(sql.SQL("alter role {} createdb").format(sql.Identifier(OWNER)))
    _create_log_owner(conn)


def _exists(conn: psycopg.Connection, role: str) -> bool:
    found = conn.execute("select 1 from pg_roles where rolname = %s", (role,))
    return found.fetchone() is not None


def login_clause(conn: psycopg.Connection, role: str, password: str) -> sql.Composable:
    """Return what lets a role log in, with the hash of its password."""
    secret = conn.pgconn.encrypt_password(password.encode(), role.encode(), b"scram-sha-256")
    return sql.SQL("login password {}").format(sql.Literal(secret.decode()))


def configure(conn: psycopg.Connection, login: str, role: str) -> None:
    """Give a login the settings and the connection limit of a role: nobody inherits these."""
    found = SETTINGS.get(role)
    if found is None:
        return
    name = sql.Identifier(login)
    limit = sql.Literal(found.connections)
    conn.execute(sql.SQL("alter role {} connection limit {}").format(name, limit))
    for setting, value in found.parameters.items():
        conn.execute(
            sql.SQL("alter role {} set {} = {}").format(
                name, sql.Identifier(setting), sql.Literal(value)
            )
        )


def join(conn: psycopg.Connection, role: str, group: str) -> None:
    """Make a role a member of a group, with everything the group may."""
    conn.execute(sql.SQL("grant {} to {}").format(sql.Identifier(group), sql.Identifier(role)))


def _create_log_owner(conn: psycopg.Connection) -> None:
    """Let the owner act as the log's owner when it says so (migrations do), and not by itself."""
    known = conn.execute("select 1 from pg_roles where rolname = %s", (LOG_OWNER,)).fetchone()
    if not known:
        conn.execute(sql.SQL("create role {} nologin").format(sql.Identifier(LOG_OWNER)))
    log, owner = sql.Identifier(LOG_OWNER), sql.Identifier(OWNER)
    if conn.info.server_version >= 160000:
        option = sql.SQL("with inherit false, set true")
    else:
        # Before PostgreSQL 16 it is the member that inherits or not, from all its roles.
        conn.execute(sql.SQL("alter role {} noinherit").format(owner))
        option = sql.SQL("")
    conn.execute(sql.SQL("grant {} to {} {}").format(log, owner, option))


def create_extensions(url: str) -> None:
    """Create the extensions in one database, those for tests where the server has them.

    The owner may create in its schema public as well, whatever the version.
    """
    with connect(url) as conn:
        available = {row[0] for row in conn.execute("select name from pg_available_extensions")}
        for name in (_REQUIRED, *(n for n in _OPTIONAL if n in available)):
            # A database without the extension has no workers yet, so nothing waits here.
            conn.execute(
                sql.SQL("create extension if not exists {} cascade").format(sql.Identifier(name))
            )
        if conn.info.server_version < 160000:
            # The schema belongs to whoever owns the database, and our owner inherits nothing.
            owner = sql.Identifier(_owner(conn))
            conn.execute(sql.SQL("grant create on schema public to {}").format(owner))


def freeze(url_of: UrlOf, database: str) -> None:
    """Make `database` a template that stays free of connections, so that it can be cloned.

    TimescaleDB keeps a scheduler connected to every database with the extension, and
    `create database ... template` refuses a source that is in use.
    """
    with connect(url_of("postgres")) as conn:
        name = sql.Identifier(database)
        conn.execute(sql.SQL("alter database {} with is_template true").format(name))
        conn.execute(sql.SQL("alter database {} with allow_connections false").format(name))
        deadline = time.monotonic() + _TEMPLATE_SECONDS
        while True:
            left = conn.execute(
                "select count(pg_terminate_backend(pid, 1000)) from pg_stat_activity"
                " where datname = %s",
                (database,),
            ).fetchone()
            if left == (0,):
                return
            if time.monotonic() > deadline:
                raise EmbeddedServerError(f"{database} stays in use: stop its clients")


def _open_template(url_of: UrlOf) -> None:
    with connect(url_of("postgres")) as conn:
        name = sql.Identifier(_TEMPLATE)
        conn.execute(sql.SQL("alter database {} with allow_connections true").format(name))


def prepare_template(url_of: UrlOf) -> None:
    """Put the extensions into template1, so that every new database has them."""
    _open_template(url_of)
    create_extensions(url_of(_TEMPLATE))
    freeze(url_of, _TEMPLATE)


def database_exists(url_of: UrlOf, database: str) -> bool:
    """Tell whether the server has `database`."""
    with connect(url_of("postgres")) as conn:
        found = conn.execute("select 1 from pg_database where datname = %s", (database,))
        return found.fetchone() is not None


def create_database(url_of: UrlOf, database: str, template: str | None = None) -> None:
    """Create the owner's database, by default from template1 with its extensions."""
    with connect(url_of("postgres")) as conn:
        conn.execute(
            sql.SQL("create database {} owner {} template {}").format(
                sql.Identifier(database),
                sql.Identifier(_owner(conn)),
                sql.Identifier(template or _TEMPLATE),
            )
        )
        close_database(conn, database)


def close_database(conn: psycopg.Connection, database: str) -> None:
    """Let only our roles connect to a database, and of them only those who compute make tables.

    Temporary ones, that is. The rights on a database are no part of what `create database` copies.
    """
    name = sql.Identifier(database)
    conn.execute(sql.SQL("revoke all on database {} from public").format(name))
    for right, roles in DATABASE_RIGHTS.items():
        for role in roles:
            if _exists(conn, role):
                conn.execute(
                    sql.SQL("grant {} on database {} to {}").format(
                        sql.SQL(right), name, sql.Identifier(role)
                    )
                )


def _owner(conn: psycopg.Connection) -> str:
    """Return our owner role, or who is connected to a server that is not ours."""
    row = conn.execute(
        "select coalesce((select rolname::text from pg_roles where rolname = %s"
        " and pg_has_role(oid, 'member')), current_user::text)",
        (OWNER,),
    ).fetchone()
    return str(row[0]) if row else OWNER


def drop_database(url_of: UrlOf, database: str) -> None:
    """Drop `database`, disconnecting whoever uses it."""
    name = sql.Identifier(database)
    with connect(url_of("postgres")) as conn:
        if conn.execute("select 1 from pg_database where datname = %s", (database,)).fetchone():
            conn.execute(sql.SQL("alter database {} with is_template false").format(name))
            conn.execute(sql.SQL("drop database {} with (force)").format(name))


def update_extensions(url_of: UrlOf) -> None:
    """Bring TimescaleDB's objects to the version of its library, in every database."""
    _open_template(url_of)
    with connect(url_of("postgres")) as conn:
        rows = conn.execute("select datname from pg_database where datallowconn").fetchall()
    for (database,) in rows:
        with (
            connect(url_of(database)) as conn,
            # A database without the extension. The statement has to be the first of its session,
            # because any other loads the library, so nothing can be asked before.
            contextlib.suppress(psycopg.errors.UndefinedObject),
        ):
            conn.execute("alter extension timescaledb update")
