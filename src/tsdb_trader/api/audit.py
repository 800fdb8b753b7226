"""The order log: its seals, and whether it is whole."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from psycopg.rows import class_row
from psycopg.types.json import Jsonb

from tsdb_trader.db import Connection


@dataclass(frozen=True)
class Seal:
    """A seal of the order log; `digest` is hexadecimal."""

    seal_no: int
    sealed_at: datetime
    heads: int
    digest: str


@dataclass(frozen=True)
class Finding:
    """Something wrong with the order log; see ``oms.verify_log``."""

    finding: str
    order_id: int | None
    event_no: int | None
    seal_no: int | None
    detail: str


def seal_log(conn: Connection) -> None:
    """Seal what has moved in the order log since the last seal."""
    conn.execute("select oms.seal_log()")


def seals_after(conn: Connection, seal_no: int) -> list[Seal]:
    """Return the seals after a number, in order."""
    cur = conn.cursor(row_factory=class_row(Seal))
    return cur.execute(
        "select seal_no, sealed_at, heads, encode(digest, 'hex') as digest from oms.seals "
        "where seal_no > %s order by seal_no",
        (seal_no,),
    ).fetchall()


def verify_log(conn: Connection, kept: Sequence[Seal] = ()) -> list[Finding]:
    """Check the order log, also against the seals that were kept outside the database."""
    seals = [{"seal_no": s.seal_no, "digest": s.digest} for s in kept]
    cur = conn.cursor(row_factory=class_row(Finding))
    return cur.execute("select * from oms.verify_log(%s)", (Jsonb(seals),)).fetchall()
