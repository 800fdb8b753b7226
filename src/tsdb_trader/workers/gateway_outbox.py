"""From the outbox to the wire: each action once, as fast as the venue allows, or refused."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from typing import Any

from tsdb_trader import logs
from tsdb_trader.api import fix_sessions, oms, ops
from tsdb_trader.api.fix_sessions import FixSession
from tsdb_trader.clock import Clock
from tsdb_trader.db import Connection
from tsdb_trader.fix import codec_orders
from tsdb_trader.fix.codec import CodecError
from tsdb_trader.fix.session import Engine
from tsdb_trader.fix.throttle import Throttle
from tsdb_trader.fix.versions import Version
from tsdb_trader.model import Action

_log = logs.get("gateway")
_BURST = 100
_LOOK_S = 1.0
# Actions sent and not yet recorded; far more than can ever wait at once.
_HANDED = 100_000


class Outbox:
    """Sends the pending actions of one venue.

    Nothing is claimed: an action is pending until it is recorded as sent, so what the throttle
    holds back simply stays where it is.
    """

    def __init__(self, row: FixSession, version: Version, throttle: Throttle, clock: Clock) -> None:
        self._row = row
        self._version = version
        self._throttle = throttle
        self._clock = clock
        self._handed: OrderedDict[int, None] = OrderedDict()
        self._unrecorded: list[dict[str, Any]] = []
        self._looked_at = -_LOOK_S
        self.sent = 0
        self.queued = 0
        self.oldest_s = 0.0

    def forget(self) -> None:
        """Begin anew after a recovery, which has decided about everything that was handed over."""
        self._handed.clear()
        self._looked_at = -_LOOK_S

    def send(
        self,
        conn: Connection,
        engine: Engine,
        may_send: Callable[[], bool],
        leaves: Callable[[Action], None],
    ) -> bool:
        """Send what may leave now; say whether there may be more.

        `leaves` learns of every action that is sent.
        """
        self._look(conn)
        room = min(_BURST, self._throttle.room())
        if room <= 0:
            return False
        refused: list[tuple[Action, str]] = []
        handed = 0
        waiting = oms.pending_actions(conn, self._row.venue, room)
        for action in waiting:
            if action.action_id in self._handed:
                continue
            if not may_send():
                break
            try:
                outgoing = codec_orders.encode_action(action, self._version)
            except CodecError as error:
                refused.append((action, str(error)))
                continue
            message = engine.send(outgoing)
            self._throttle.note()
            self._hand(action.action_id)
            self._unrecorded.append(message.as_json(action_id=action.action_id))
            leaves(action)
            handed += 1
        self.sent += handed
        self.record(conn)
        for action, reason in refused:
            self._refuse(conn, action, reason)
        # Less than asked for was all there is; what is committed from here on wakes the loop up.
        return len(waiting) >= room and (handed > 0 or bool(refused))

    def record(self, conn: Connection) -> None:
        """Record what has gone; kept and tried again until it is committed."""
        if self._unrecorded:
            oms.record_sent(conn, self._unrecorded)
            self._unrecorded = []

    def _look(self, conn: Connection) -> None:
        """Count what waits, take back what has waited too long, and tell a person of a queue."""
        now = self._clock.monotonic()
        if now - self._looked_at < _LOOK_S:
            return
        self._looked_at = now
        venue, stale_s = self._row.venue, self._row.stale_s
        self.queued, self.oldest_s = fix_sessions.queued_actions(conn, venue)
        if not self.queued:
            return
        if self.oldest_s > self._row.queue_alert_s:
            text = f"messages for {venue} wait for longer than {self._row.queue_alert_s:g} s"
            detail = {"venue": venue, "queued": self.queued, "oldest_s": self.oldest_s}
            ops.raise_alert(conn, "gateway_queue", "warning", text, detail)
        if stale_s is not None and self.oldest_s > stale_s:
            for action_id in fix_sessions.stale_actions(conn, venue, stale_s):
                if action_id not in self._handed:
                    reason = f"stale: it waited for longer than {stale_s:g} s"
                    status = fix_sessions.refuse_action(conn, action_id, reason)
                    _log.warning("stale action", action_id=action_id, order_status=status)

    def _refuse(self, conn: Connection, action: Action, reason: str) -> None:
        """Take back what the version cannot say: sent anyway it would be something else."""
        status = fix_sessions.refuse_action(conn, action.action_id, reason)
        text = f"the {action.kind} of order {action.order_id} was not sent: {reason}"
        detail = {"order_id": action.order_id, "status": status}
        ops.raise_alert(conn, "action_refused", "critical", text, detail)
        _log.error("action refused", action_id=action.action_id, reason=reason)

    def _hand(self, action_id: int) -> None:
        self._handed[action_id] = None
        if len(self._handed) > _HANDED:
            self._handed.popitem(last=False)
