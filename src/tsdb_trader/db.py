"""Connections, errors and the listener.

Every connection runs in UTC and READ COMMITTED: the order path refuses anything else.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, TypeAlias

import psycopg
from psycopg import sql

from tsdb_trader import errors
from tsdb_trader.config import settings

Connection: TypeAlias = psycopg.Connection[Any]

_OPTIONS = "-c TimeZone=UTC -c default_transaction_isolation=read\\ committed"


def database_url(role: str | None = None) -> str:
    """Return the URL of the configured database for a role, the owner's by default.

    Raises
    ------
    ConfigurationError
        A foreign server is configured and the role's URL is not.
    EmbeddedServerError
        The private server is used and is not running.
    """
    from tsdb_trader import embedded

    return embedded.database_url(role)


def connect(
    url: str | None = None,
    *,
    role: str | None = None,
    autocommit: bool = False,
    application_name: str = "tsdb-trader",
) -> Connection:
    """Connect to `url`, or to the configured database as `role` (the owner by default).

    Raises
    ------
    DatabaseUnavailableError
        The server cannot be reached or refuses the login; the message names it.
    """
    target = url or database_url(role)
    try:
        return psycopg.connect(
            target,
            autocommit=autocommit,
            application_name=application_name,
            options=_OPTIONS,
            connect_timeout=10,
            # A server that is gone without a word is noticed in about the time that a lease lasts,
            # asked or not: what was sent would else be repeated for a quarter of an hour.
            keepalives_idle=4,
            keepalives_interval=2,
            keepalives_count=3,
            tcp_user_timeout=10_000,
        )
    except psycopg.OperationalError as error:
        raise unavailable(target, error) from None


def unavailable(url: str, error: psycopg.Error) -> errors.DatabaseUnavailableError:
    """Return the one-line error for a server that cannot be used; the password stays out of it."""
    info = psycopg.conninfo.conninfo_to_dict(url)
    where = f"{info.get('host', 'local socket')}:{info.get('port', 5432)}/{info.get('dbname', '')}"
    # psycopg lists every address it tried and libpq adds a guess; the last address says enough.
    lines = [line.strip("- ") for line in str(error).splitlines() if not line.startswith("\t")]
    reason = next((line for line in reversed(lines) if line), "no reason given")
    hint = (
        "check TSDB_TRADER_DATABASE_URL"
        if settings().database_url
        else "start it with `tsdb-trader db start`"
    )
    return errors.DatabaseUnavailableError(f"cannot use the database at {where}: {reason}; {hint}")


@contextmanager
def translated() -> Iterator[None]:
    """Raise our own errors for the database's errors of class ``TT``; let all others through."""
    try:
        yield
    except psycopg.Error as error:
        ours = errors.from_database(error)
        if ours is None:
            raise
        raise ours from error


class Listener:
    """The one listening connection of a process.

    Notifications only wake the caller up: what is to be done stands in the tables. It is for one
    thread and executes nothing but LISTEN, so waiting on it can never block a query.
    """

    def __init__(self, url: str, channels: Sequence[str], application_name: str) -> None:
        self._connection = connect(url, autocommit=True, application_name=application_name)
        for channel in channels:
            self._connection.execute(sql.SQL("listen {}").format(sql.Identifier(channel)))

    def wait(self, timeout: float) -> bool:
        """Wait for a notification, at most `timeout` seconds; say whether one came.

        Raises
        ------
        psycopg.OperationalError
            The connection is gone: make a new listener, then look at the tables.
        """
        woken = False
        for _ in self._connection.notifies(timeout=timeout, stop_after=1):
            woken = True
        return woken

    def fileno(self) -> int:
        """Return the socket, for callers that wait on several things."""
        return self._connection.fileno()

    def close(self) -> None:
        """Close the connection; a broken one closes too."""
        self._connection.close()
