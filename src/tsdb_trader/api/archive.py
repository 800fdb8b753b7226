"""The archive of FIX messages."""

from __future__ import annotations

from collections.abc import Iterable

from psycopg.types.json import Jsonb

from tsdb_trader.db import Connection
from tsdb_trader.model import FixMessage


def find_unarchived(
    conn: Connection, fix_session: str, direction: str, messages: Iterable[FixMessage]
) -> set[int]:
    """Return the numbers of the messages that the archive lacks."""
    keys = [
        {"seqnum": m.seqnum, "sending_time": m.sending_time and m.sending_time.isoformat()}
        for m in messages
    ]
    rows = conn.execute(
        "select oms.find_unarchived(%s, %s, %s)", (fix_session, direction, Jsonb(keys))
    ).fetchall()
    return {int(row[0]) for row in rows}
