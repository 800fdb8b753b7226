"""OUCH ports: resume points, and what their reference numbers stand for."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import date

from psycopg.rows import class_row
from psycopg.types.json import Jsonb

from tsdb_trader.db import Connection, translated


@dataclass(frozen=True)
class ResumePoint:
    """Where a SoupBinTCP session goes on; session '' is whichever is current."""

    soup_session: str
    next_sequence: int


@dataclass(frozen=True, slots=True)
class OuchOrder:
    """An order under one UserRefNum; quantities in shares.

    `root_cl_ord_id` is the ClOrdID by which the order path knows it, `executed` and `canceled`
    what is done of `quantity`; `broken` says that a trade of it was taken back.
    """

    user_ref_num: int
    cl_ord_id: str
    root_cl_ord_id: str
    cancel_cl_ord_id: str | None
    symbol: str
    side: str
    quantity: int
    executed: int = 0
    canceled: int = 0
    broken: bool = False

    @property
    def leaves(self) -> int:
        """Return what can still trade."""
        return self.quantity - self.executed - self.canceled


def open_port(conn: Connection, port: str, venue: str, trade_date: date) -> ResumePoint:
    """Register a port for a day, or find it again. Errors: ``oms.open_ouch_port``."""
    cur = conn.cursor(row_factory=class_row(ResumePoint))
    with translated():
        row = cur.execute(
            "select * from oms.open_ouch_port(%s, %s, %s)", (port, venue, trade_date)
        ).fetchone()
    assert row is not None  # noqa: S101 - one row, by the function's contract
    return row


def assign_user_ref(conn: Connection, port: str, cl_ord_id: str) -> int:
    """Return the UserRefNum of an order or cancel. Errors: ``oms.assign_user_ref``."""
    with translated():
        row = conn.execute("select oms.assign_user_ref(%s, %s)", (port, cl_ord_id)).fetchone()
    assert row is not None  # noqa: S101 - one row, by the function's contract
    return int(row[0])


def begin_message(conn: Connection, port: str, soup_session: str, sequence: int) -> bool:
    """Take a message, False if it was taken before. Errors: ``oms.begin_ouch_message``."""
    with translated():
        row = conn.execute(
            "select oms.begin_ouch_message(%s, %s, %s)", (port, soup_session, sequence)
        ).fetchone()
    return bool(row and row[0])


def find_order(
    conn: Connection, port: str, trade_date: date, user_ref_num: int
) -> OuchOrder | None:
    """Return the order that a number stands for."""
    cur = conn.cursor(row_factory=class_row(OuchOrder))
    return cur.execute(
        "select user_ref_num, cl_ord_id, root_cl_ord_id, cancel_cl_ord_id, symbol, side, quantity, "
        "executed, canceled, broken from oms.ouch_orders "
        "where port = %s and trade_date = %s and user_ref_num = %s",
        (port, trade_date, user_ref_num),
    ).fetchone()


def save_order(conn: Connection, port: str, order: OuchOrder) -> None:
    """Write how an order stands."""
    conn.execute("select oms.save_ouch_order(%s, %s)", (port, Jsonb(asdict(order))))
