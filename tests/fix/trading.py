"""A gateway process and a simulated venue process that wants a password."""

from __future__ import annotations

import uuid
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psycopg
from psycopg.types.json import Jsonb

from factories import order, submit
from fix.harness import Gateway, Proxy, until

if TYPE_CHECKING:
    from fix.conftest import Hall

QUOTE = ("100.00", 500, "100.02", 300)
SENDERS = {"FIX.4.2": "OLD", "FIX.4.4": "TSDB", "FIX.5.0SP2": "NEW"}
SECRET = "s3cret"


class Trading:
    """A simulated venue that wants a password, a gateway that has it, and the desk's connection."""

    def __init__(self, conn: psycopg.Connection, hall: Hall, line: Proxy, home: Path) -> None:
        self.conn, self.hall, self.tape = conn, hall, hall.tape
        self.gateway = Gateway(line.url, home, hall.venue.port)

    def open(self, version: str = "FIX.4.4", **settings: object) -> None:
        """Start both, with a session of this version."""
        self.tape.batch(("IBM", QUOTE))
        sender = SENDERS[version]
        self.hall.admit(sender, password_from="env:VENUE_SECRET")
        self.configure("SIM", version=version, sender=sender, **settings)
        self.hall.open(newest=version == "FIX.5.0SP2")
        self.gateway.start()
        self.await_gate()

    def configure(self, fix_session: str, **changes: object) -> None:
        query = "select oms.configure_fix_session(%s, %s)"
        self.conn.execute(query, (fix_session, Jsonb(changes)))

    def beat(self, fix_session: str = "SIM") -> dict[str, Any]:
        """Return what the session's last heartbeat shows."""
        row = self.conn.execute(
            "select detail || jsonb_build_object('pid', pid) from ops.heartbeats where worker = %s",
            (f"fix:{fix_session}",),
        ).fetchone()
        return dict(row[0]) if row else {}

    def await_gate(self, fix_session: str = "SIM") -> None:
        """Wait until the gateway process that runs now may send."""
        until(
            lambda: (
                self.beat(fix_session).get("gate") == "open"
                and self.beat(fix_session)["pid"] == self.gateway.process.pid
            ),
            f"the gate of {fix_session} to open: {self.gateway.log()[-2000:]}",
        )

    def submit(self, **changes: Any) -> int:
        spec = order(self.tape.session_id, **({"limit_price": "99.90"} | changes))
        order_id, status, reasons = submit(self.conn, spec, as_of=self.tape.now)[0]
        assert status == "pending_new", reasons
        return order_id

    def replace(self, order_id: int, **changes: str) -> None:
        self.conn.execute(
            "select oms.replace_order(%s, %s, %s, %s)",
            (order_id, Jsonb(changes), uuid.uuid4(), self.tape.now),
        )

    def cancel(self, order_id: int) -> None:
        query = "select oms.cancel_order(%s, %s, %s)"
        self.conn.execute(query, (order_id, uuid.uuid4(), self.tape.now))

    def one(self, query: str, *parameters: object) -> Any:
        row = self.conn.execute(query, parameters).fetchone()
        assert row is not None
        return row[0] if len(row) == 1 else row

    def state(self, order_id: int) -> tuple[str, int, int]:
        """Return (status, quantity, filled quantity)."""
        found = self.one(
            "select status, quantity::integer, cumulative_quantity::integer from oms.orders "
            "where order_id = %s",
            order_id,
        )
        return (found[0], found[1], found[2])

    def await_state(self, order_id: int, status: str, quantity: int, filled: int = 0) -> None:
        until(
            lambda: self.state(order_id) == (status, quantity, filled),
            f"{(status, quantity, filled)}, it is {self.state(order_id)}",
        )

    def kinds(self, direction: str = "out") -> list[str]:
        """Return the types of the archived application messages of a direction, in order."""
        rows = self.conn.execute(
            "select msg_type from oms.fix_messages where direction = %s "
            "and msg_type not in ('0', '1', '2', '3', '4', '5', 'A') order by seqnum, message_id",
            (direction,),
        )
        return [r[0] for r in rows]

    def breaks(self) -> list[tuple[str, str]]:
        rows = self.conn.execute(
            "select kind, source from oms.breaks where resolved_at is null order by 1, 2"
        )
        return [(r[0], r[1]) for r in rows]

    def alerts(self) -> list[str]:
        return [r[0] for r in self.conn.execute("select kind from ops.alerts order by alert_id")]
