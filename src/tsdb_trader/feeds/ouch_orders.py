"""OUCH 5.0 messages of a venue → the reports that FIX ones are, and into the order path, once.

OUCH tells of changes where FIX tells of states, and it names an order by a number only. So what is
known of each number stands in ``oms.ouch_orders``, and changes in the transaction that applies the
report. The rules:

- An execution's ExecID is made of match number, port and UserRefNum: when two of our own orders
  meet, both are told the same match number.
- Any other report's ExecID is made of port, SoupBinTCP session and sequence number, which are the
  same when the message comes again.
- A cancel says how many shares were taken off. Taken off all that was left, it is the FIX report
  of a cancelled order (expired, if the market closed or its time ran out); else a restatement, and
  the execution or cancel that ends the order later is followed by the report that the rest is gone.
- Quantities in Replaced and Modified are shares still to trade.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import psycopg

from tsdb_trader import logs
from tsdb_trader.api import oms, ops
from tsdb_trader.api import ouch as api
from tsdb_trader.api.ouch import OuchOrder, ResumePoint
from tsdb_trader.db import Connection, translated
from tsdb_trader.errors import InputError, TransitionError
from tsdb_trader.feeds import ouch
from tsdb_trader.feeds.ouch import Message, OuchError
from tsdb_trader.feeds.ouch_layouts import BROKEN_REASONS, CANCEL_REASONS, REJECT_REASONS
from tsdb_trader.model import FixMessage, Report

_log = logs.get("ouch")
_ZONE = ZoneInfo("America/New_York")
_DAY_NS = 86_400 * 10**9
_PRICE_DECIMALS = 4
_SIDES = {"B": "buy", "S": "sell", "T": "sell_short", "E": "sell_short"}
_EXPIRIES = ("E", "T")
_REJECTIONS = {
    0x02: "exchange_closed",
    0x13: "incorrect_quantity",
    0x17: "unknown_symbol",
    **dict.fromkeys((0x1E, 0x1F, 0x20, 0x30, 0x31), "order_exceeds_limit"),
}


@dataclass(frozen=True)
class Place:
    """Where a message came: what makes the ids of its reports."""

    port: str
    trade_date: date
    soup_session: str
    sequence: int


@dataclass
class Translated:
    """The reports that a message amounts to, in order, and orders as they stand after it."""

    reports: list[Report] = field(default_factory=list)
    orders: list[OuchOrder] = field(default_factory=list)


def translate(
    message: Message, place: Place, order: OuchOrder | None, original: OuchOrder | None = None
) -> Translated:
    """Return what a message of the venue means.

    Parameters
    ----------
    order
        What its UserRefNum stands for, None if nobody knows.
    original
        The same for OrigUserRefNum, of a replacement.

    Raises
    ------
    OuchError
        Its time cannot be.
    """
    return _Translator(message, place, order, original).run()


class _Translator:
    def __init__(
        self, message: Message, place: Place, order: OuchOrder | None, original: OuchOrder | None
    ) -> None:
        self._message = message
        self._place = place
        self._original = original
        self._ts = _time(message, place.trade_date)
        self._found = Translated()
        self._order = order or self._unknown()

    def run(self) -> Translated:
        match self._message.type:
            case "A":
                self._accepted()
            case "U":
                self._replaced()
            case "C" | "D":
                self._canceled()
            case "E":
                self._executed()
            case "J":
                self._rejected()
            case "P":
                self._report("pending_cancel", **self._cancel_ids())
            case "I":
                self._refused("cancel_request", "the venue refused the cancel")
            case "B" | "T" | "M" | "R":
                self._told()
            case _:
                pass  # about the port, not about an order
        return self._found

    # Messages ---------------------------------------------------------------------------------

    def _accepted(self) -> None:
        quantity = self._message.number("quantity")
        side = _SIDES[self._message.text("side")]
        symbol = self._message.text("symbol")
        self._change(quantity=quantity, side=side, symbol=symbol)
        self._report("new", order_id=self._venue_id())
        self._end_if_dead()

    def _replaced(self) -> None:
        original = self._original
        if original is not None:
            self._change(root_cl_ord_id=original.root_cl_ord_id)
        executed, canceled = self._order.executed, self._order.canceled
        self._change(quantity=executed + canceled + self._message.number("quantity"))
        self._report("replaced", order_id=self._venue_id())
        self._end_if_dead()

    def _end_if_dead(self) -> None:
        if self._message.text("order_state") == "D":
            self._change(canceled=self._order.canceled + self._order.leaves)
            self._report("cancelled", text="dead on arrival")

    def _told(self) -> None:
        """Report what changes neither state nor executions."""
        message, order = self._message, self._order
        if message.type == "B":
            reason = BROKEN_REASONS.get(message.text("reason"), message.text("reason"))
            text = f"trade broken: {reason}"
            self._change(broken=True)
            self._report("trade_cancel", exec_ref_id=self._match_id(), text=text)
        elif message.type == "T":
            self._report("restated", text="priority changed", order_id=self._venue_id())
        elif message.type == "M":
            shares = message.number("quantity")
            self._change(quantity=order.executed + order.canceled + shares)
            self._report("restated", text=f"modified to {shares} shares")
        else:
            self._report("restated", text=f"restated: {message.text('reason')}")

    def _canceled(self) -> None:
        code = self._message.text("reason")
        reason = CANCEL_REASONS.get(code, code)
        shares = self._message.number("quantity")
        self._change(canceled=self._order.canceled + shares)
        if self._order.leaves > 0:
            self._report("restated", text=f"reduced by {shares}: {reason}")
            return
        expired = code in _EXPIRIES
        ids = {} if expired else self._cancel_ids()
        self._report("expired" if expired else "cancelled", text=reason, **ids)

    def _executed(self) -> None:
        shares = self._message.number("quantity")
        self._change(executed=self._order.executed + shares)
        self._report(
            "trade",
            exec_id=self._match_id(),
            last_qty=Decimal(shares),
            last_px=Decimal(self._message.number("price")).scaleb(-_PRICE_DECIMALS),
        )
        if self._order.leaves <= 0 and (self._order.canceled or self._order.broken):
            # The order path has more left than the venue, which works none of that again.
            self._report("cancelled", text="the rest was taken off before")

    def _rejected(self) -> None:
        code = self._message.number("reason")
        reason = REJECT_REASONS.get(code, f"reason {code:#06x}")
        if self._order.root_cl_ord_id != self._order.cl_ord_id:
            self._refused("replace_request", reason)
            return
        self._change(canceled=self._order.canceled + self._order.leaves)
        self._report("rejected", text=reason, ord_rej_reason=_REJECTIONS.get(code, "other"))

    def _refused(self, response_to: str, text: str) -> None:
        cancel_id = self._order.cancel_cl_ord_id or self._order.cl_ord_id
        self._add(
            Report(
                msg_type="9",
                cl_ord_id=cancel_id if response_to == "cancel_request" else self._order.cl_ord_id,
                orig_cl_ord_id=self._order.root_cl_ord_id,
                symbol=self._order.symbol,
                side=self._order.side,
                transact_time=self._ts,
                trade_date=self._place.trade_date,
                text=text,
                cxl_rej_reason="other",
                cxl_rej_response_to=response_to,
            )
        )

    # Reports ----------------------------------------------------------------------------------

    def _report(self, exec_type: str, *, exec_id: str | None = None, **fields: Any) -> None:
        order, place = self._order, self._place
        number = len(self._found.reports)
        name = f"{place.port}:{place.soup_session}:{place.sequence}"
        replaced = order.root_cl_ord_id != order.cl_ord_id
        report = Report(
            msg_type="8",
            exec_type=exec_type,
            cl_ord_id=order.cl_ord_id,
            orig_cl_ord_id=order.root_cl_ord_id if replaced else None,
            exec_id=exec_id or (f"{name}:{number + 1}" if number else name),
            symbol=order.symbol,
            side=order.side,
            transact_time=self._ts,
            trade_date=place.trade_date,
        )
        self._add(replace(report, **fields))

    def _add(self, report: Report) -> None:
        self._found.reports.append(report)

    def _change(self, **columns: Any) -> None:
        self._order = replace(self._order, **columns)
        self._found.orders = [self._order]

    def _cancel_ids(self) -> dict[str, Any]:
        """Return the ids of a report that answers our cancel, if there was one."""
        order = self._order
        if order.cancel_cl_ord_id is None:
            return {}
        return {"cl_ord_id": order.cancel_cl_ord_id, "orig_cl_ord_id": order.root_cl_ord_id}

    def _match_id(self) -> str:
        number = self._message.number("match_number")
        return f"{number}:{self._place.port}:{self._order.user_ref_num}"

    def _venue_id(self) -> str:
        return str(self._message.number("order_reference_number"))

    def _unknown(self) -> OuchOrder:
        """Return a stand-in for an order that nobody entered here: its reports go to suspense."""
        values = self._message.values
        number = int(values.get("user_ref_num", 0))
        place = self._place
        name = f"ouch:{place.port}:{place.trade_date}:{number}"
        base = self._original
        return OuchOrder(
            number,
            name,
            name,
            None,
            str(values.get("symbol") or (base.symbol if base else "")),
            _SIDES.get(str(values.get("side")), base.side if base else ""),
            0,
        )


def _time(message: Message, trade_date: date) -> datetime | None:
    since = message.values.get("timestamp")
    if since is None:
        return None
    if not isinstance(since, int) or since >= _DAY_NS:
        raise OuchError("absurd_time", f"{since} ns since midnight are more than a day")
    wall = datetime(trade_date.year, trade_date.month, trade_date.day)  # noqa: DTZ001 - zone below
    return (wall + timedelta(microseconds=since // 1000)).replace(tzinfo=_ZONE).astimezone(UTC)


class OuchInbox:
    """Applies the sequenced messages of one port, each in one transaction with its resume point."""

    def __init__(self, conn: Connection, port: str, venue: str, trade_date: date) -> None:
        """Use an autocommit connection; `port` names the account, also in the archive."""
        self._conn = conn
        self._port = port
        self._venue = venue
        self._trade_date = trade_date

    def resume(self) -> ResumePoint:
        """Return where the SoupBinTCP session goes on."""
        return api.open_port(self._conn, self._port, self._venue, self._trade_date)

    def receive(self, soup_session: str, sequence: int, payload: bytes) -> bool:
        """Apply a message and what follows from it; False when it was applied before.

        What can never be applied is archived, and a person is told.

        Raises
        ------
        InputError
            Messages before it are missing.
        """
        place = Place(self._port, self._trade_date, soup_session, sequence)
        try:
            with translated(), self._conn.transaction():
                if not api.begin_message(self._conn, self._port, soup_session, sequence):
                    return False
                self._apply(place, payload)
        except (
            _UnusableError,
            TransitionError,
            psycopg.DataError,
            psycopg.IntegrityError,
        ) as error:
            return self._set_aside(place, payload, str(error).splitlines()[0])
        return True

    def _apply(self, place: Place, payload: bytes) -> None:
        try:
            message = ouch.decode(payload, to_venue=False, strict=False)
            found = translate(
                message,
                place,
                self._find(message, "user_ref_num"),
                self._find(message, "orig_user_ref_num"),
            )
        except OuchError as error:
            raise _UnusableError(str(error)) from None
        for order in found.orders:
            api.save_order(self._conn, self._port, order)
        archived = self._archived(place, message.type, payload)
        if not found.reports:
            oms.archive_messages(self._conn, [archived.as_json()])
        for report in found.reports:
            named = replace(archived, cl_ord_id=report.cl_ord_id, exec_id=report.exec_id)
            try:
                oms.record_report(self._conn, self._venue, named.as_json(), report.as_json())
            except psycopg.Error as error:
                if error.sqlstate == InputError.sqlstate:
                    raise _UnusableError(str(error)) from None
                raise

    def _find(self, message: Message, name: str) -> OuchOrder | None:
        number = message.values.get(name)
        if not isinstance(number, int):
            return None
        return api.find_order(self._conn, self._port, self._trade_date, number)

    def _archived(self, place: Place, kind: str, payload: bytes) -> FixMessage:
        return FixMessage("in", self._port, place.sequence, f"ouch {kind}", payload.hex())

    def _set_aside(self, place: Place, payload: bytes, reason: str) -> bool:
        kind = chr(payload[0]) if payload else ""
        kind = kind if kind.isascii() and kind.isprintable() else "?"
        _log.error("unusable message", reason=reason, sequence=place.sequence)
        with self._conn.transaction():
            if not api.begin_message(self._conn, self._port, place.soup_session, place.sequence):
                return False
            archived = self._archived(place, kind, payload)
            oms.archive_messages(self._conn, [archived.as_json()])
            text = f"{self._venue} sent OUCH message {place.sequence} that cannot be used: {reason}"
            detail = {"raw": payload.hex(), "port": self._port}
            ops.raise_alert(self._conn, "unusable_report", "critical", text, detail)
        return True


class _UnusableError(Exception):
    """A message that can never be applied."""
