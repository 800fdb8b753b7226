"""One point of a sweep: run, or why it could not be, kept either way."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import psycopg

from tsdb_trader.api import strategies, sweeps
from tsdb_trader.api.strategies import Classes
from tsdb_trader.api.sweeps import Sweep
from tsdb_trader.db import Connection
from tsdb_trader.errors import TraderError

# As signal._is_transient: the server's fault or somebody's wish, not the point's.
_TRANSIENT = re.compile(r"08|25|40|53|55|57|58|F0|XX")


def run_or_record(
    conn: Connection, classes: Classes, sweep: Sweep, point: Mapping[str, Any]
) -> None:
    """Run a point in one transaction; where it fails, record why.

    Raises
    ------
    psycopg.Error
        The server failed, or somebody ended the connection: the point is neither run nor refused.
    UnknownObjectError, TransitionError
        The class of a strategy in Python is not here, or is another.
    """
    # Not the point's fault: outside of what is recorded.
    strategies.check_loaded(conn, classes, sweep.strategy)
    try:
        strategies.run_point(conn, classes, sweep, point)
    except TraderError as error:
        if error.sqlstate is None:
            raise
        sweeps.fail_point(conn, sweep.sweep_id, point, error.sqlstate, str(error))
    except psycopg.Error as error:
        if error.sqlstate is None or _TRANSIENT.match(error.sqlstate):
            raise
        message = error.diag.message_primary or str(error)
        sweeps.fail_point(conn, sweep.sweep_id, point, error.sqlstate, message)
