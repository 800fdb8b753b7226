"""The errors a user of tsdb_trader can meet, each one line long and saying what to do.

Every class carries the exit status of the command line and, where the database raises the same
error, its SQLSTATE (class ``TT``): `from_database` maps one to the other.
"""

from __future__ import annotations

import psycopg


class TraderError(Exception):
    """Something is wrong that the user can act on."""

    sqlstate: str | None = None
    exit_status = 1


class ConfigurationError(TraderError):
    """A setting is missing or unusable."""

    exit_status = 2


class DatabaseUnavailableError(TraderError):
    """The database cannot be reached."""

    exit_status = 3


class EmbeddedServerError(TraderError):
    """The private server cannot be installed, started or stopped."""

    exit_status = 3


class SchemaError(TraderError):
    """The database's schema is not the one this program works with."""

    exit_status = 4


class InputError(TraderError):
    """A file or a value given by the user cannot be used; nothing of it was written."""

    sqlstate = "TT001"
    exit_status = 5


class UnknownObjectError(TraderError):
    """An instrument, session, strategy, venue, account or order that does not exist."""

    sqlstate = "TT002"
    exit_status = 5


class IsolationError(TraderError):
    """An order path function was called under an isolation level other than READ COMMITTED."""

    sqlstate = "TT003"


class TransitionError(TraderError):
    """An order was asked to make a move that ``oms.order_transitions`` does not list."""

    sqlstate = "TT004"


class LeaseLostError(TraderError):
    """Another process owns the lease, or it ran out."""

    sqlstate = "TT005"


class ConflictError(TraderError):
    """An idempotency key was used again with different content."""

    sqlstate = "TT006"


class InvariantError(TraderError):
    """Something the platform promises does not hold; see the message for which."""

    exit_status = 6


_BY_SQLSTATE = {c.sqlstate: c for c in TraderError.__subclasses__() if c.sqlstate is not None}


def from_database(error: psycopg.Error) -> TraderError | None:
    """Return our error for a database error of class ``TT``, with its hint, else None."""
    kind = _BY_SQLSTATE.get(error.sqlstate or "")
    if kind is None:
        return None
    said = (error.diag.message_primary or str(error), error.diag.message_hint)
    return kind("; ".join(part for part in said if part))
