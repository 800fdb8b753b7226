"""Numbers the reports of a venue and puts them into the entry of the step that owes them."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal

from tsdb_trader.api.venue import OrderRow
from tsdb_trader.clock import Clock
from tsdb_trader.venue import protocol, reports, versions
from tsdb_trader.venue.journal import Entry, Report
from tsdb_trader.venue.versions import Fields

# ExecTypes that answer a request about an order; the others tell what happened to it.
_ANSWERS = frozenset("456EI")
_STATUS = "I"


@dataclass(frozen=True, slots=True)
class Execution:
    """What traded: quantity, price, and what it costs the participant."""

    quantity: Decimal
    price: Decimal
    fee: Decimal = Decimal(0)


@dataclass
class Writer:
    """Gives every report a number for good; a number goes with its step or is not used.

    Parameters
    ----------
    prefix
        The installation's, so that ids are unique beyond this database.
    last_number
        The number of the last report.
    drop_copies
        FIX sessions that get a copy of every execution report.
    """

    prefix: str
    last_number: int
    clock: Clock
    drop_copies: list[str] = field(default_factory=list)

    def order_id(self, order: OrderRow) -> str:
        """Return OrderID (37)."""
        return f"{self.prefix}-O{order.order_no}"

    def report(
        self,
        entry: Entry,
        order: OrderRow,
        exec_type: str,
        ts: datetime,
        *,
        execution: Execution | None = None,
        reference: tuple[int, str] | None = None,
        extra: Fields | None = None,
    ) -> str:
        """Owe an ExecutionReport about an order as it is now; return its ExecID.

        An answer goes to the FIX session that asked, anything else to the one that entered the
        order. What another session of the participant changed is told to the latter as well.

        Parameters
        ----------
        execution
            What traded, or the new terms of what traded.
        reference
            Number and ExecID of the report that a bust or correction is about.
        extra
            Fields that only some reports have; they go before the general ones.
        """
        fields = reports.execution(order, self.order_id(order), exec_type, ts)
        if execution is not None:
            fields |= reports.traded(execution.quantity, execution.price, execution.fee)
        if reference is not None:
            fields["19"] = reference[1]
        columns: dict[str, object] = {
            "order_no": order.order_no,
            "session_id": order.session_id,
            "ts": ts,
            "reference_no": reference and reference[0],
        }
        if execution is not None:
            columns |= {
                "quantity": execution.quantity,
                "price": execution.price,
                "fee": execution.fee,
            }
        asker = entry.askers.get(order.order_no) if exec_type in _ANSWERS else None
        receivers = [asker or order.fix_session]
        if exec_type != _STATUS and order.fix_session not in receivers:
            receivers.append(order.fix_session)
        return self._owe(entry, receivers, "8", fields | (extra or {}), columns)

    def owe(
        self, entry: Entry, fix_session: str, msg_type: str, fields: Fields, **columns: object
    ) -> str:
        """Owe any message; return its ExecID, '' if it has none."""
        return self._owe(entry, [fix_session], msg_type, fields, columns)

    def _owe(
        self,
        entry: Entry,
        receivers: list[str],
        msg_type: str,
        fields: Fields,
        columns: dict[str, object],
    ) -> str:
        """Owe a message to the first receiver, copies of it to the others and to drop copies."""
        number = self.last_number + 1
        if msg_type == "8":
            fields["17"] = f"{self.prefix}-E{number}"
        exec_id = str(fields.get("17", "")) if msg_type == "8" else ""
        self._add(entry, receivers[0], msg_type, fields, columns)
        for other in receivers[1:]:
            self._add(entry, other, msg_type, fields, {**columns, "copy_of": number})
        if msg_type == "8" and fields["150"] != _STATUS and columns.get("order_no") is not None:
            for copy in self.drop_copies:
                if copy not in receivers:
                    marked: Fields = {**fields, "797": "Y"}
                    self._add(entry, copy, msg_type, marked, {**columns, "copy_of": number})
        return exec_id

    def _add(
        self,
        entry: Entry,
        fix_session: str,
        msg_type: str,
        fields: Fields,
        columns: dict[str, object],
    ) -> None:
        self.last_number += 1
        exec_type = str(fields["150"]) if msg_type == "8" else ""
        general = {
            "exec_id": fields["17"] if msg_type == "8" else None,
            "exec_type": exec_type or None,
            "cl_ord_id": fields.get("11"),
            "ts": protocol.parse_time(str(fields.get("60", ""))) or self.clock.now(),
            "participant": fix_session.rpartition(">")[2],
        }
        version = versions.begin_string(fix_session)
        body = versions.adapt(version, msg_type, fields, self.last_number)
        report = Report(self.last_number, fix_session, msg_type, body, exec_type)
        entry.add_report(report, **{**general, **columns})
