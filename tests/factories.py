"""Rows with defaults, for tests that need a market, a session and orders."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
from psycopg.types.json import Jsonb

AS_OF = datetime(2013, 10, 8, 14, 30, tzinfo=UTC)


def add_instrument(conn: psycopg.Connection, symbol: str = "IBM") -> int:
    """Insert an instrument unless it is there; return its id."""
    row = conn.execute(
        "insert into ref.instruments (symbol) values (%s) on conflict (symbol) "
        "do update set symbol = excluded.symbol returning instrument_id",
        (symbol,),
    ).fetchone()
    assert row is not None
    return int(row[0])


def open_session(conn: psycopg.Connection, name: str = "test", **parameters: Any) -> uuid.UUID:
    """Open a paper session."""
    row = conn.execute(
        "select ops.open_session('paper', %s, p_parameters => %s)", (name, Jsonb(parameters))
    ).fetchone()
    assert row is not None
    return uuid.UUID(str(row[0]))


def set_quote(
    conn: psycopg.Connection,
    session_id: uuid.UUID,
    symbol: str = "IBM",
    bid: float = 99.99,
    ask: float = 100.01,
    *,
    size: int = 1000,
    ts: datetime = AS_OF,
) -> int:
    """Make a quote the session's latest; return the instrument's id."""
    instrument_id = add_instrument(conn, symbol)
    conn.execute(
        """insert into market.latest_quotes (session_id, instrument_id, batch_id, batch_no, feed_id,
            source_id, seq, ts, ns, bid_price, bid_size, ask_price, ask_size)
        values (%s, %s, 0, 0, 0, 0, 0, %s, 0, %s, %s, %s, %s)
        on conflict (session_id, instrument_id) do update
        set ts = excluded.ts, bid_price = excluded.bid_price, ask_price = excluded.ask_price""",
        (session_id, instrument_id, ts, round(bid * 10_000), size, round(ask * 10_000), size),
    )
    return instrument_id


def order(session: uuid.UUID, /, **changes: Any) -> dict[str, Any]:
    """Return an order of an operator; a change to None leaves the key out."""
    keys: dict[str, Any] = {
        "session_id": str(session),
        "account": "main",
        "strategy": "manual",
        "origin": "operator",
        "operator": "ann",
        "symbol": "IBM",
        "side": "buy",
        "quantity": "100",
        "order_type": "limit",
        "limit_price": "100.01",
    } | changes
    return {k: v for k, v in keys.items() if v is not None}


def submit(
    conn: psycopg.Connection,
    spec: dict[str, Any] | list[dict[str, Any]],
    *,
    request_id: uuid.UUID | None = None,
    as_of: datetime = AS_OF,
) -> list[tuple[int, str, list[str]]]:
    """Submit an order, or a basket of several."""
    function = "submit_basket" if isinstance(spec, list) else "submit_order"
    return conn.execute(
        f"select * from oms.{function}(%s, %s, %s)",
        (Jsonb(spec), request_id or uuid.uuid4(), as_of),
    ).fetchall()


class Venue:
    """Writes the reports a venue would send about one order."""

    def __init__(self, conn: psycopg.Connection, order_id: int) -> None:
        self.conn = conn
        self.order_id = order_id
        row = conn.execute(
            "select o.cl_ord_id, i.symbol, o.side from oms.orders o join ref.instruments i "
            "using (instrument_id) where order_id = %s",
            (order_id,),
        ).fetchone()
        assert row is not None
        self.cl_ord_id, self.symbol, self.side = row
        self.count = 0
        self.cumulative = 0

    def report(self, exec_type: str, **changes: Any) -> tuple[int | None, str | None, bool]:
        """Record a report; return (order_id, status, applied)."""
        self.count += 1
        fields: dict[str, Any] = {
            "msg_type": "8",
            "exec_type": exec_type,
            "cl_ord_id": self.cl_ord_id,
            "order_id": f"V{self.order_id}",
            "exec_id": f"E{self.order_id}-{self.count}",
            "symbol": self.symbol,
            "side": self.side,
            "transact_time": (AS_OF + timedelta(seconds=self.count)).isoformat(),
            "trade_date": "2013-10-08",
        } | changes
        return self._record("record_report", fields)

    def fill(self, quantity: int, price: str = "100.00", **changes: Any) -> Any:
        """Record a fill with the right cumulative quantity."""
        self.cumulative += quantity
        return self.report(
            "trade",
            **{"last_qty": str(quantity), "last_px": price, "cum_qty": str(self.cumulative)}
            | changes,
        )

    def status(self, ord_status: str, **changes: Any) -> tuple[int | None, str | None, bool]:
        """Answer an order status request."""
        fields = {
            "msg_type": "8",
            "exec_type": "status",
            "ord_status": ord_status,
            "cl_ord_id": self.cl_ord_id,
            "order_id": f"V{self.order_id}",
            "cum_qty": str(self.cumulative),
        } | changes
        return self._record("resolve_status", {k: v for k, v in fields.items() if v is not None})

    def cancel_reject(self, cl_ord_id: str, **changes: Any) -> Any:
        """Refuse a cancel."""
        return self._record(
            "record_report",
            {
                "msg_type": "9",
                "cl_ord_id": cl_ord_id,
                "orig_cl_ord_id": self.cl_ord_id,
                "cxl_rej_reason": "too_late",
            }
            | changes,
        )

    def _record(self, function: str, fields: dict[str, Any]) -> Any:
        message = {
            "fix_session": "FIX.4.4:TSDB->SIM",
            "seqnum": self.count,
            "msg_type": fields["msg_type"],
            "raw": f"report {fields}",
            "cl_ord_id": fields.get("cl_ord_id"),
            "exec_id": fields.get("exec_id"),
        }
        return self.conn.execute(
            f"select * from oms.{function}('SIM', %s, %s)",
            (Jsonb(message), Jsonb(fields)),
        ).fetchone()
