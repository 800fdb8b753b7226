"""What a gateway asks its venue in bulk: all working orders, and the trades of a day."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, datetime, timedelta

from tsdb_trader import logs
from tsdb_trader.api import fix_sessions, ops, reconciliation
from tsdb_trader.api.fix_sessions import FixSession
from tsdb_trader.clock import Clock
from tsdb_trader.db import Connection
from tsdb_trader.errors import InputError
from tsdb_trader.fix import codec, codec_requests
from tsdb_trader.fix.codec import Outgoing
from tsdb_trader.fix.codec_requests import TradeWindow
from tsdb_trader.fix.collecting import Collection, Collections
from tsdb_trader.fix.recovery import Gate
from tsdb_trader.fix.versions import Version
from tsdb_trader.model import FixMessage

_log = logs.get("gateway")
# Trades of so long ago are asked for after a logon.
_LOOK_BACK = timedelta(days=1)
# A replay can pass through many days; the rest waits for the next time.
_DAYS = 5
# After an answer that did not come, or not before the connection was lost.
_ORDERS_AGAIN_S = 1.0
_TRADES_AGAIN_S = 5.0
# Connections that come and go must not have a venue list its whole day each time.
_TRADES_LEAST_S = 30.0
# Longer, and what was missed would be compared too late to be of use.
_MOST_S = 60.0


class _Patience:
    """When a request may be made again: a venue that cannot answer it is asked less and less."""

    def __init__(self, clock: Clock, first_s: float) -> None:
        self._clock = clock
        self._first_s = first_s
        self._failures = 0
        self._not_before = float("-inf")
        self._waits = False

    def asked(self) -> None:
        self._waits = True

    def answered(self) -> None:
        self._waits, self._failures = False, 0

    def failed(self) -> None:
        """Note that the answer of what was asked is not coming any more."""
        if self._waits:
            wait_s = min(_MOST_S, self._first_s * 2.0**self._failures)
            self._waits, self._failures = False, self._failures + 1
            self._not_before = self._clock.monotonic() + wait_s

    def is_over(self) -> bool:
        return self._clock.monotonic() >= self._not_before


class Checks:
    """Asks, and hands complete answers to the database.

    Parameters
    ----------
    run_id
        Distinguishes this process's requests from those of others.
    send
        Sends a message that is only archived.
    """

    def __init__(
        self,
        row: FixSession,
        version: Version,
        gate: Gate,
        collections: Collections,
        clock: Clock,
        run_id: str,
        send: Callable[[Outgoing], FixMessage],
    ) -> None:
        self._row = row
        self._version = version
        self._gate = gate
        self._collections = collections
        self._clock = clock
        self._run_id = run_id
        self._send = send
        self._count = 0
        self._has_mass_status = row.has_mass_status and "AF" in version.requests
        self._has_trades = row.has_trade_capture and "AD" in version.requests
        self._orders_due = self._trades_due = self._trades_asked = float("-inf")
        self._patience = {
            "orders": _Patience(clock, _ORDERS_AGAIN_S),
            "trades": _Patience(clock, _TRADES_AGAIN_S),
        }
        self._days: list[date] = []
        self._traded_since: datetime | None = None
        self.differences: int | None = None

    @property
    def in_bulk(self) -> bool:
        """Whether the venue lists all orders at one request."""
        return self._has_mass_status

    def connected_anew(self) -> None:
        """Have everything compared, as after a logon."""
        self._orders_due = float("-inf")
        self._trades_due = min(self._trades_due, self._trades_asked + _TRADES_LEAST_S)
        self._traded_since, self._days = None, []
        for patience in self._patience.values():
            patience.failed()

    def recover(self, conn: Connection) -> bool:
        """Ask for all orders if the gate waits for that; say whether a message left."""
        if not self._patience["orders"].is_over():
            return False
        generation = self._gate.next_bulk()
        if generation is None:
            return False
        self._ask_orders(conn, "recovery", generation)
        return True

    def compare(self, conn: Connection) -> None:
        """Ask for what is due, in quiet operation."""
        now = self._clock.monotonic()
        if self._has_mass_status and now >= self._orders_due:
            self._ask_orders(conn, "working", self._gate.generation)
        if not self._has_trades or self._collections.waits("trades"):
            return
        if not self._patience["trades"].is_over():
            return
        if not self._days and now >= self._trades_due:
            self._trades_asked = now
            self._trades_due = now + _interval(self._row.trades_every_s)
            asked_at = fix_sessions.database_time(conn)
            since = self._traded_since or asked_at - _LOOK_BACK
            self._traded_since = asked_at
            self._days = fix_sessions.trade_dates(conn, self._row.venue, since)[:_DAYS]
        if self._days:
            self._ask_trades(conn, self._days.pop(0))

    def finish(self, conn: Connection) -> None:
        """Hand what is complete to the database."""
        for found in self._collections.ready():
            patience = self._patience["trades" if found.kind == "trades" else "orders"]
            if found.failure:
                patience.failed()
                self._fail(found)
            elif found.kind == "trades":
                self._record_trades(conn, found)
                patience.answered()
            else:
                self.differences = reconciliation.reconcile_orders(
                    conn, self._row.venue, "mass_status", found.asked_at, found.items()
                )
                patience.answered()
            # Not before: the database may have been away, and the answer comes but once.
            self._collections.close(found)
            if found.kind == "recovery":
                self._gate.end_bulk(found.generation)

    def _ask_orders(self, conn: Connection, kind: str, generation: int) -> None:
        self._orders_due = self._clock.monotonic() + _interval(self._row.mass_status_every_s)
        self._patience["orders"].asked()
        asked = self._open(conn, kind, generation=generation)
        self._send(codec_requests.encode_mass_status(asked.request_id, self._version))

    def _ask_trades(self, conn: Connection, day: date) -> None:
        self._patience["trades"].asked()
        asked = self._open(conn, "trades", day=day)
        window = TradeWindow(day, day)
        self._send(
            codec_requests.encode_trade_request(asked.request_id, self._version, window=window)
        )

    def _open(
        self, conn: Connection, kind: str, *, generation: int = 0, day: date | None = None
    ) -> Collection:
        self._count += 1
        asked = Collection(
            f"{self._run_id}-{kind[0]}{self._count}",
            kind,
            fix_sessions.database_time(conn),
            generation,
            day,
        )
        # Before the request leaves: its answer may be quicker than we are.
        self._collections.open(asked)
        return asked

    def _fail(self, found: Collection) -> None:
        if found.unsupported and found.kind == "trades":
            self._has_trades, self._days = False, []
        elif found.unsupported:
            self._has_mass_status = False
        elif found.day is not None:
            self._days.insert(0, found.day)
        _log.warning(
            "request not answered",
            fix_session=self._row.fix_session,
            request=codec.TRADE_REQUEST if found.kind == "trades" else codec.MASS_STATUS_REQUEST,
            reason=found.failure,
            action="never again" if found.unsupported else "later",
        )

    def _record_trades(self, conn: Connection, found: Collection) -> None:
        day = str(found.day)
        items = found.items()
        ours = [t for t in items if t.get("trade_date", day) == day]
        others = [t for t in items if t.get("trade_date", day) != day]
        try:
            with conn.transaction():
                reconciliation.record_venue_trades(
                    conn, self._row.venue, "trade_capture", ours, found.day, complete=True
                )
                if others:
                    reconciliation.record_venue_trades(
                        conn, self._row.venue, "trade_capture", others
                    )
        except InputError as error:
            text = f"{self._row.venue} lists trades that cannot be used: {error}"
            ops.raise_alert(conn, "unusable_report", "critical", text, {"trade_date": day})


def _interval(every_s: int | None) -> float:
    """Return a session's interval; without one, only logons have things compared."""
    return float("inf") if every_s is None else float(every_s)
