"""What a venue's messages do: every one is committed before the engine may forget it.

Runs on the engine's thread, with a connection of its own. Losing the database blocks the message
unacknowledged; when that takes too long the process ends, and the venue sends the message again.
"""

from __future__ import annotations

import contextlib
import os
import threading
from collections import deque
from collections.abc import Callable
from typing import Any, NoReturn, TypeAlias, TypeVar

import psycopg
from psycopg.pq import TransactionStatus

from tsdb_trader import db, logs
from tsdb_trader.api import oms, ops, reconciliation
from tsdb_trader.clock import Clock
from tsdb_trader.db import Connection
from tsdb_trader.errors import DatabaseUnavailableError, InputError, TransitionError
from tsdb_trader.fix import codec, codec_reports, codec_trades
from tsdb_trader.fix.codec import CodecError, Fields
from tsdb_trader.fix.collecting import Collections
from tsdb_trader.fix.recovery import Gate
from tsdb_trader.model import FixMessage, Report, RequestRefused

_T = TypeVar("_T")
_Apply: TypeAlias = Callable[[Connection, str, dict[str, Any], dict[str, Any]], oms.Applied]
_log = logs.get("gateway")
_FIRST_DELAY_S = 0.05
_MAX_DELAY_S = 1.0
_TRADE_TYPES = ("trade", "trade_cancel", "trade_correct")
EXIT_STATUS = 70
"""Exit status after anything a callback cannot deal with."""


def leave() -> NoReturn:
    """End the process now: in a callback nothing else stops the engine."""
    os._exit(EXIT_STATUS)


class Inbox:
    """Applies the messages of one FIX session with orders.

    Parameters
    ----------
    gate
        Waits for what the venue knows of orders in doubt.
    collections
        Wait for answers that come in several messages.
    sent
        Returns a message of ours by its number, for the rejects that name it.
    committed
        Called when the database has taken something.
    """

    def __init__(
        self,
        *,
        venue: str,
        fix_session: str,
        url: str,
        gate: Gate,
        collections: Collections,
        clock: Clock,
        sent: Callable[[int], str | None],
        committed: Callable[[], None] = lambda: None,
        patience_s: float = 30.0,
    ) -> None:
        self._venue = venue
        self._fix_session = fix_session
        self._url = url
        self._gate = gate
        self._collections = collections
        self._clock = clock
        self._sent = sent
        self._committed = committed
        self._patience_s = patience_s
        self._conn: Connection | None = None
        self._pause = threading.Event()
        self.wake: Callable[[], None] = lambda: None
        # Answers to questions change nothing and can be asked for again: archived by the worker.
        self.unarchived: deque[FixMessage] = deque()
        self.mass_cancel_refused: Callable[[], None] = lambda: None
        self.received = 0
        self.clocks_apart_s = 0.0

    def connected(self) -> None:
        """Note a logon."""
        self._gate.connected()
        self.wake()

    def disconnected(self) -> None:
        """Note the end of a connection: no answer is coming any more."""
        self._gate.disconnected()
        self._collections.clear()
        self.wake()

    def heard(self, sending_time: str) -> None:
        """Note how far the time of a session message is from ours: its way here included."""
        with contextlib.suppress(CodecError):
            sent_at = codec.time_of({52: sending_time}, 52)
            if sent_at is not None:
                self.clocks_apart_s = (self._clock.now() - sent_at).total_seconds()

    def receive_text(self, raw: str) -> None:
        """Read a message and `receive` it."""
        try:
            fields = codec.parse(raw)
            message = codec.describe("in", self._fix_session, raw, fields)
        except CodecError as error:
            self.received += 1
            reason = str(error)
            _log.error("unusable message", reason=reason)
            self._durably(lambda conn: self._alert(conn, "unusable_report", reason, raw))
            return
        self.receive(message, fields)

    def receive(self, message: FixMessage, fields: Fields) -> None:
        """Commit an application message or session reject, and what follows from it."""
        self.received += 1
        if message.msg_type in (codec.EXECUTION_REPORT, codec.CANCEL_REJECT):
            self._receive_report(message, fields)
        elif message.msg_type in (codec.REJECT, codec.BUSINESS_REJECT):
            self._receive_reject(message, fields)
        elif message.msg_type == codec.TRADE_REPORT:
            self._receive_trades(message)
        elif message.msg_type == codec.TRADE_REQUEST_ACK:
            self._receive_trade_ack(message, fields)
        else:
            if message.msg_type == codec.MASS_CANCEL_REPORT:
                self._look_at_mass_cancel(fields)
            self._archive(message)

    def _receive_report(self, message: FixMessage, fields: Fields) -> None:
        try:
            report = codec_reports.decode_report(fields)
        except CodecError as error:
            self._quarantine(message, str(error))
            return
        if report.mass_status_req_id is not None and report.exec_type == "status":
            self._receive_listed(message, report, report.mass_status_req_id)
            return
        answers = self._gate.matches(report, codec.repeated(fields))
        if answers is not None:
            applied = self._apply(oms.resolve_status, message, report)
            if applied is not None and self._gate.answered(answers):
                self.wake()
        elif report.exec_type == "status":
            # Nobody waits for it (any more): what it says may be older than what we know.
            self._archive(message)
        else:
            self._apply(oms.record_report, message, report)

    def _receive_listed(self, message: FixMessage, report: Report, request_id: str) -> None:
        """Take one order of the answer to a mass status request, or that there is none."""
        named = report.cl_ord_id is not None or report.order_id is not None
        listed = named and report.ord_rej_reason != "unknown_order"
        if listed and self._collections.kind(request_id) == "recovery":
            applied = self._apply(oms.resolve_status, message, report)
            self._gate.settled(applied.order_id if applied is not None else None)
        else:
            self.unarchived.append(message)
        key = report.order_id or report.cl_ord_id or ""
        if self._collections.add(
            request_id,
            key,
            [report.as_json()] if listed else [],
            expected=report.tot_num_reports,
            # Of a repeated message nobody knows what came in between.
            ended=report.last_rpt_requested and not (report.poss_dup or report.poss_resend),
        ):
            self.wake()

    def _receive_trades(self, message: FixMessage) -> None:
        """Take a trade capture report: of an answer that is collected, or one that came unasked."""
        try:
            trades = codec_trades.decode_trades(message.raw)
        except CodecError as error:
            self._quarantine(message, str(error))
            return
        first, items = trades[0], [trade.as_json() for trade in trades]
        if self._collections.kind(first.request_id) is None:
            self._record_trades(message, "trade_capture", items)
            return
        self.unarchived.append(message)
        key = first.trade_report_id or str(message.seqnum)
        if self._collections.add(
            first.request_id or "",
            key,
            items,
            expected=first.tot_num_reports,
            ended=first.last_rpt_requested and not (first.poss_dup or first.poss_resend),
        ):
            self.wake()

    def _receive_trade_ack(self, message: FixMessage, fields: Fields) -> None:
        try:
            ack = codec_trades.decode_trade_ack(fields)
        except CodecError as error:
            self._quarantine(message, str(error))
            return
        self.unarchived.append(message)
        if ack.status == "rejected" or ack.result not in (None, "successful"):
            unsupported = ack.result in ("type_not_supported", "not_authorized")
            reason = ack.text or ack.result or ""
            self._collections.fail(ack.request_id, reason, unsupported=unsupported)
        elif not self._collections.announce(ack.request_id, ack.tot_num_reports):
            return
        self.wake()

    def _look_at_mass_cancel(self, fields: Fields) -> None:
        try:
            refused = codec_reports.decode_mass_cancel(fields).response == "rejected"
        except CodecError:
            refused = True
        if refused:
            # Before the database is asked for anything: it may be away, which is why we cancel.
            self.mass_cancel_refused()

    def _record_trades(
        self, message: FixMessage, source: str, trades: list[dict[str, str]]
    ) -> None:
        """Archive a message and compare its executions with ours, in one transaction."""

        def work(conn: Connection) -> None:
            with conn.transaction():
                oms.archive_messages(conn, [message.as_json()])
                reconciliation.record_venue_trades(conn, self._venue, source, trades)

        try:
            self._durably(work)
        except (InputError, psycopg.DataError, psycopg.IntegrityError) as error:
            self._quarantine(message, str(error).splitlines()[0])

    def _receive_reject(self, message: FixMessage, fields: Fields) -> None:
        """Apply a reject of one of our messages, which says nothing about the order by itself."""
        reference = fields.get(45, "")
        original = self._sent(int(reference)) if reference.isdecimal() else None
        refused = codec.parse(original) if original is not None else {}
        request = codec_reports.refused_request(fields, refused)
        if request is not None and self._refuse_request(request):
            self._archive(message)
            self.wake()
            return
        report = codec_reports.rejection(fields, refused, self._fix_session)
        if report is None:
            self._archive(message)
        else:
            self._apply(oms.record_report, message, report)
        text = f"{self._venue} refused our message {reference}: {fields.get(58, 'no reason given')}"
        self._durably(lambda conn: self._alert(conn, "message_rejected", text, message.raw))

    def _refuse_request(self, request: RequestRefused) -> bool:
        """Say whether a refused request was one whose answer is collected, or a mass cancel."""
        if request.msg_type == codec.MASS_CANCEL_REQUEST:
            self.mass_cancel_refused()
            return False
        return self._collections.fail(
            request.request_id, request.text, unsupported=request.unsupported
        )

    def _apply(self, function: _Apply, message: FixMessage, report: Report) -> oms.Applied | None:
        """Archive and apply a report in one transaction; None when it can never be applied."""
        arguments = message.as_json(), report.as_json()
        try:
            return self._durably(lambda conn: function(conn, self._venue, *arguments))
        except (InputError, TransitionError, psycopg.DataError, psycopg.IntegrityError) as error:
            self._quarantine(message, str(error).splitlines()[0])
            return None

    def _quarantine(self, message: FixMessage, reason: str) -> None:
        """Keep a message that can never be applied: sent again, it would end every new process."""
        _log.error("unusable report", reason=reason, seqnum=message.seqnum)
        self._archive(message)
        text = (
            f"{self._venue} sent a report that cannot be used (number {message.seqnum}): {reason}"
        )
        self._durably(lambda conn: self._alert(conn, "unusable_report", text, message.raw))

    def _archive(self, message: FixMessage) -> None:
        self._durably(lambda conn: oms.archive_messages(conn, [message.as_json()]))

    @staticmethod
    def _alert(conn: Connection, kind: str, text: str, raw: str) -> None:
        detail = {"raw": codec.storable(raw).replace(codec.SOH, "|")}
        ops.raise_alert(conn, kind, "critical", text, detail)

    def _durably(self, work: Callable[[Connection], _T]) -> _T:
        """Do `work`, again and again while the database is away, and not for ever."""
        deadline = self._clock.monotonic() + self._patience_s
        attempt = 0
        while True:
            try:
                with db.translated():
                    done = work(self._connection())
                self._committed()
                return done
            except (psycopg.OperationalError, DatabaseUnavailableError) as error:
                if self._clock.monotonic() >= deadline:
                    _log.error("database away, message unacknowledged", action="exit")
                    leave()
                delay = min(_MAX_DELAY_S, _FIRST_DELAY_S * 2 ** min(attempt, 8))
                attempt += 1
                _log.warning("database away", action="retry", delay=delay, error=str(error))
                self._pause.wait(delay)

    def _connection(self) -> Connection:
        conn = self._conn
        if (
            conn is None
            or conn.closed
            or conn.info.transaction_status is not TransactionStatus.IDLE
        ):
            if conn is not None:
                conn.close()
            conn = db.connect(self._url, autocommit=True, application_name="tsdb-trader gateway in")
            # The same few statements for every message: plan them once.
            conn.prepare_threshold = 1
            self._conn = conn
        return conn

    def close(self) -> None:
        """Close the connection."""
        if self._conn is not None:
            self._conn.close()


class CopyInbox(Inbox):
    """Takes the messages of a drop-copy session: compared with ours, never applied to orders."""

    def _receive_report(self, message: FixMessage, fields: Fields) -> None:
        try:
            report = codec_reports.decode_report(fields)
        except CodecError as error:
            self._quarantine(message, str(error))
            return
        if report.exec_type in _TRADE_TYPES:
            self._record_trades(message, "drop_copy", [report.as_json()])
        else:
            self._archive(message)

    def _receive_reject(self, message: FixMessage, fields: Fields) -> None:
        self._archive(message)
