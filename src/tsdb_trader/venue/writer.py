"""Numbers the reports of a venue and puts them into the entry of the step that owes them."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal

from tsdb_trader.api.venue import OrderRow
from tsdb_trader.clock import Clock
from tsdb_trader.venue import protocol, reports
from tsdb_trader.venue.journal import Entry, Report


class Writer:
    """Gives every report a number for good; a number goes with its step or is not used."""

    def __init__(self, prefix: str, last_report: int, clock: Clock) -> None:
        self._prefix = prefix
        self._last = last_report
        self._clock = clock

    @property
    def last_number(self) -> int:
        """Return the number of the last report."""
        return self._last

    def order_id(self, order: OrderRow) -> str:
        """Return OrderID (37)."""
        return f"{self._prefix}-O{order.order_no}"

    def report(
        self,
        entry: Entry,
        order: OrderRow,
        exec_type: str,
        ts: datetime,
        *,
        last: tuple[Decimal, Decimal] | None = None,
        text: str | None = None,
        reason: int | None = None,
        question: str | None = None,
    ) -> None:
        """Owe an ExecutionReport about an order as it is now; `last` is quantity and price."""
        fields = reports.execution(order, self.order_id(order), exec_type, ts, last, text, reason)
        if question is not None:
            fields["790"] = question
        quantity, price = last or (None, None)
        columns = {
            "order_no": order.order_no,
            "session_id": order.session_id,
            "quantity": quantity,
            "price": price,
            "ts": ts,
        }
        self.owe(entry, order.fix_session, "8", fields, **columns)

    def owe(
        self,
        entry: Entry,
        fix_session: str,
        msg_type: str,
        fields: dict[str, str],
        **columns: object,
    ) -> None:
        """Owe any message."""
        self._last += 1
        if msg_type == "8":
            fields["17"] = f"{self._prefix}-E{self._last}"
        general = {
            "exec_id": fields.get("17"),
            "exec_type": fields.get("150"),
            "cl_ord_id": fields.get("11"),
            "ts": protocol.parse_time(fields.get("60", "")) or self._clock.now(),
            "participant": fix_session.rpartition(">")[2],
        }
        entry.add_report(
            Report(self._last, fix_session, msg_type, fields), **{**general, **columns}
        )
