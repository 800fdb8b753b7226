"""Personal logins: whoever acts does it under a name of their own, which the audit keeps."""

from __future__ import annotations

import re
import secrets
from collections.abc import Sequence

import psycopg
from psycopg import sql

from tsdb_trader.embedded import bootstrap
from tsdb_trader.embedded.roles import PERSONAL, SUPERUSER
from tsdb_trader.embedded.server import Server, role_name
from tsdb_trader.errors import ConflictError, InputError, UnknownObjectError

# Names that begin otherwise are the platform's and the server's own.
_NAME = re.compile(r"(?!tsdb_|pg_)[a-z][a-z0-9_]{1,30}")
_RESERVED = (SUPERUSER, "public", "none", "user")


def add_user(server: Server, name: str, roles: Sequence[str], password: str | None = None) -> str:
    """Create a person's login, a member of `roles`; return its password.

    Parameters
    ----------
    roles
        Of `PERSONAL`, with or without ``tsdb_``. The login gets the timeouts and the connection
        limit of the first.
    password
        By default a random one. Only its hash reaches the server.

    Raises
    ------
    InputError
        The name, a role or the password cannot be one of a person.
    ConflictError
        The server has a role of that name.
    """
    if not _NAME.fullmatch(name) or name in _RESERVED:
        raise InputError(
            f"{name!r} cannot be a person's login: use 2 to 31 small letters, digits and _, not "
            "beginning with tsdb_, pg_ or a digit"
        )
    groups = [role_name(role) for role in roles]
    if not groups or not set(groups) <= set(PERSONAL):
        short = ", ".join(role.removeprefix("tsdb_") for role in PERSONAL)
        raise InputError(f"{name} needs a person's role: choose from {short}")
    if password is not None and len(password) < 12:
        raise InputError(f"the password of {name} is shorter than 12 characters")
    secret = password or secrets.token_urlsafe(24)
    with _admin(server) as conn, conn.transaction():
        login = bootstrap.login_clause(conn, name, secret)
        try:
            conn.execute(sql.SQL("create role {} {}").format(sql.Identifier(name), login))
        except psycopg.errors.DuplicateObject:
            raise ConflictError(f"there is a login {name} already: choose another name") from None
        for group in groups:
            bootstrap.join(conn, name, group)
        bootstrap.configure(conn, name, groups[0])
    return secret


def drop_user(server: Server, name: str) -> None:
    """Remove a person's login and end its sessions; its rows in ``ops.audit`` stay.

    Raises
    ------
    UnknownObjectError
        There is no personal login of that name.
    """
    with _admin(server) as conn:
        found = conn.execute(
            "select from pg_auth_members m join pg_roles g on g.oid = m.roleid "
            "join pg_roles r on r.oid = m.member "
            "where r.rolname = %s and r.rolcanlogin and not r.rolsuper "
            "and g.rolname = any (%s) and not starts_with(r.rolname, 'tsdb_')",
            (name, list(PERSONAL)),
        ).fetchone()
        if found is None:
            raise UnknownObjectError(f"{name!r} is no personal login of this server")
        conn.execute(sql.SQL("alter role {} nologin").format(sql.Identifier(name)))
        conn.execute(
            "select pg_terminate_backend(pid, 5000) from pg_stat_activity where usename = %s",
            (name,),
        )
        conn.execute(sql.SQL("drop role {}").format(sql.Identifier(name)))


def _admin(server: Server) -> psycopg.Connection:
    return psycopg.connect(server.url(SUPERUSER, "postgres"), autocommit=True, connect_timeout=10)
