"""One venue of a process: its exchange, what waits to be sent, and the lock that guards both."""

from __future__ import annotations

import threading
from collections.abc import Sequence

from tsdb_trader.clock import Clock
from tsdb_trader.venue import session_faults
from tsdb_trader.venue.exchange import Exchange
from tsdb_trader.venue.faults import BOOK_FAULTS, SESSION_FAULTS
from tsdb_trader.venue.journal import Journal, Report
from tsdb_trader.venue.outbox import Guard, Outbox


class House:
    """A venue as threads see it. `guard` wraps what runs in a thread of its own."""

    def __init__(
        self,
        exchange: Exchange,
        journal: Journal,
        clock: Clock,
        guard: Guard,
    ) -> None:
        self.exchange = exchange
        self.lock = threading.Lock()
        self.outbox = Outbox(journal, exchange.settings.latency_ms, guard)
        self._journal = journal
        self._clock = clock
        self._decide = guard(self._decide_due)
        self._timer: threading.Timer | None = None

    def put(self, reports: Sequence[Report]) -> None:
        """Queue reports and what market data came about; call with the lock held."""
        self.outbox.put(reports)
        self.outbox.put(self.exchange.market_data.take())
        self._wait_for_due()

    def follow(self) -> bool:
        """Let the exchange see the market and its operators; say whether more of it waits."""
        with self.lock:
            reports, more = self.exchange.follow()
            self._arm()
            self.put(reports)
        self.outbox.drain()
        self._disturb_sessions()
        return more

    def flush(self) -> None:
        """Write what is left to write."""
        with self.lock:
            self.exchange.flush()

    def _arm(self) -> None:
        """Hand faults in what is sent to the outbox."""
        others = BOOK_FAULTS | SESSION_FAULTS
        for fault in [f for f in self.exchange.faults if f.kind not in others]:
            self.outbox.tampering.arm(fault)
            self.exchange.faults.remove(fault)

    def _disturb_sessions(self) -> None:
        """Have the faults of sessions as soon as one is there.

        Without the lock: the engine calls back when a connection ends.
        """
        for fault in [f for f in self.exchange.faults if f.kind in SESSION_FAULTS]:
            if session_faults.have(fault, self.outbox.sessions):
                self._journal.mark_fired(fault.fault_no)
                with self.lock:
                    self.exchange.faults.remove(fault)

    def _wait_for_due(self) -> None:
        """Come back when the next request that waits is due."""
        due = self.exchange.next_due()
        if due is None or self._timer is not None:
            return
        wait_s = max(0.0, (due - self._clock.now()).total_seconds())
        self._timer = threading.Timer(wait_s, self._decide)
        self._timer.daemon = True
        self._timer.start()

    def _decide_due(self) -> None:
        with self.lock:
            self._timer = None
            self.put(self.exchange.decide())
        self.outbox.drain()
