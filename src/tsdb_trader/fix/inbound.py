"""What a venue's messages do: every one is committed before the engine may forget it.

Runs on the engine's thread, with a connection of its own. Losing the database blocks the message
unacknowledged; when that takes too long the process ends, and the venue sends the message again.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from typing import Any, NoReturn, TypeAlias, TypeVar

import psycopg
from psycopg.pq import TransactionStatus

from tsdb_trader import db, logs
from tsdb_trader.api import oms, ops
from tsdb_trader.clock import Clock
from tsdb_trader.db import Connection
from tsdb_trader.errors import DatabaseUnavailableError, InputError, TransitionError
from tsdb_trader.fix import codec, codec_reports
from tsdb_trader.fix.codec import CodecError, Fields
from tsdb_trader.fix.recovery import Gate
from tsdb_trader.model import FixMessage, Report

_T = TypeVar("_T")
_Apply: TypeAlias = Callable[[Connection, str, dict[str, Any], dict[str, Any]], oms.Applied]
_log = logs.get("gateway")
_FIRST_DELAY_S = 0.05
_MAX_DELAY_S = 1.0
EXIT_STATUS = 70
"""Exit status after anything a callback cannot deal with."""


def leave() -> NoReturn:
    """End the process now: in a callback nothing else stops the engine."""
    os._exit(EXIT_STATUS)


class Inbox:
    """Applies the messages of one FIX session."""

    def __init__(
        self,
        *,
        venue: str,
        fix_session: str,
        url: str,
        gate: Gate,
        clock: Clock,
        sent: Callable[[int], str | None],
        patience_s: float = 30.0,
    ) -> None:
        self._venue = venue
        self._fix_session = fix_session
        self._url = url
        self._gate = gate
        self._clock = clock
        self._sent = sent
        self._patience_s = patience_s
        self._conn: Connection | None = None
        self._pause = threading.Event()
        self.wake: Callable[[], None] = lambda: None
        self.received = 0

    def receive(self, raw: str) -> None:
        """Commit an application message or session reject, and what follows from it."""
        self.received += 1
        try:
            fields = codec.parse(raw)
            message = codec.describe("in", self._fix_session, raw, fields)
        except CodecError as error:
            reason = str(error)
            _log.error("unusable message", reason=reason)
            self._durably(lambda conn: self._alert(conn, "unusable_report", reason, raw))
            return
        if message.msg_type in (codec.EXECUTION_REPORT, codec.CANCEL_REJECT):
            self._receive_report(message, fields)
        elif message.msg_type in (codec.REJECT, codec.BUSINESS_REJECT):
            self._receive_reject(message, fields)
        else:
            self._archive(message)

    def _receive_report(self, message: FixMessage, fields: Fields) -> None:
        try:
            report = codec_reports.decode_report(fields)
        except CodecError as error:
            self._quarantine(message, str(error))
            return
        answers = self._gate.matches(report, codec.repeated(fields))
        if answers is not None:
            if self._apply(oms.resolve_status, message, report) and self._gate.answered(answers):
                self.wake()
        elif report.exec_type == "status":
            # Nobody waits for it (any more): what it says may be older than what we know.
            self._archive(message)
        else:
            self._apply(oms.record_report, message, report)

    def _receive_reject(self, message: FixMessage, fields: Fields) -> None:
        """Apply a reject of one of our messages, which says nothing about the order by itself."""
        reference = fields.get(45, "")
        original = self._sent(int(reference)) if reference.isdecimal() else None
        refused = codec.parse(original) if original is not None else {}
        report = codec_reports.rejection(fields, refused, self._fix_session)
        if report is None:
            self._archive(message)
        else:
            self._apply(oms.record_report, message, report)
        text = f"{self._venue} refused our message {reference}: {fields.get(58, 'no reason given')}"
        self._durably(lambda conn: self._alert(conn, "message_rejected", text, message.raw))

    def _apply(self, function: _Apply, message: FixMessage, report: Report) -> bool:
        """Archive and apply a report in one transaction; False when it can never be applied."""
        arguments = message.as_json(), report.as_json()
        try:
            self._durably(lambda conn: function(conn, self._venue, *arguments))
        except (InputError, TransitionError, psycopg.DataError, psycopg.IntegrityError) as error:
            self._quarantine(message, str(error).splitlines()[0])
            return False
        return True

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
                    return work(self._connection())
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
