"""The gate between the outbox and the venue: shut until the venue has said what it knows.

Pure bookkeeping under a lock of its own, which is never held while a message is sent. The engine's
thread reports connections and answers; the worker's main thread lists, asks and looks at the gate.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, replace

from tsdb_trader.clock import Clock
from tsdb_trader.model import Question, Report

# Of the mass status request.
_WANTED, _ASKED, _DONE = "wanted", "asked", "done"
# A venue that is slow is given twice the time at each try, so often: asking it faster starves it.
_DOUBLINGS = 4


@dataclass(frozen=True, slots=True)
class Ask:
    """A question on its way, under an id of its own."""

    request_id: str
    question: Question
    asked_at: float
    tries: int = 1


class Gate:
    """Open only on a live connection on which every order in doubt has been answered for.

    Parameters
    ----------
    run_id
        Distinguishes this process's questions from those of one that died: a replayed answer to an
        old question says nothing about now.
    timeout_s
        After this long without an answer a question is asked again, and then later each time.
    window
        At most so many questions are on their way at once.
    """

    def __init__(
        self, clock: Clock, run_id: str, *, timeout_s: float = 5.0, window: int = 200
    ) -> None:
        self._clock = clock
        self._run_id = run_id
        self._timeout_s = timeout_s
        self._window = window
        self._lock = threading.Lock()
        self._connected = False
        self._generation = 0
        self._listed = -1
        self._waiting: deque[Question] = deque()
        self._asked: dict[str, Ask] = {}
        self._again: dict[str, None] = {}
        self._count = 0
        self._bulk: dict[int, Question] = {}
        self._bulk_state = _DONE

    @property
    def generation(self) -> int:
        """The number of connections lost so far; take it before listing the orders in doubt."""
        with self._lock:
            return self._generation

    @property
    def is_open(self) -> bool:
        """Whether orders may leave."""
        with self._lock:
            return self._connected and not self._unsettled()

    @property
    def open_questions(self) -> int:
        """How many orders the venue has not answered for."""
        with self._lock:
            return len(self._bulk) + len(self._waiting) + len(self._asked)

    def _unsettled(self) -> bool:
        return (
            self._listed != self._generation
            or self._bulk_state != _DONE
            or bool(self._waiting or self._asked)
        )

    def connected(self) -> None:
        """Note a logon."""
        with self._lock:
            self._connected = True

    def disconnected(self) -> None:
        """Note the end of a connection: whatever was on its way may or may not have arrived."""
        with self._lock:
            self._connected = False
            self._forget()

    def doubt(self) -> None:
        """Note that the orders have to be listed anew, though the connection is what it was."""
        with self._lock:
            self._forget()

    def _forget(self) -> None:
        self._generation += 1
        self._waiting.clear()
        self._asked.clear()
        self._again.clear()
        self._bulk.clear()
        self._bulk_state = _DONE

    def needs_list(self) -> bool:
        """Say whether the orders in doubt have to be listed (again)."""
        with self._lock:
            return self._listed != self._generation

    def load(
        self, generation: int, questions: Sequence[Question], *, in_bulk: bool = False
    ) -> None:
        """Take the orders in doubt, unless a connection was lost since `generation`.

        In bulk, one mass status request goes first, and only what its answer leaves open is asked
        order by order.
        """
        with self._lock:
            if generation == self._generation:
                self._listed = generation
                self._asked.clear()
                self._again.clear()
                self._waiting = deque(() if in_bulk else questions)
                self._bulk = {q.order_id: q for q in questions} if in_bulk else {}
                self._bulk_state = _WANTED if in_bulk else _DONE

    def next_bulk(self) -> int | None:
        """Return the generation if a mass status request is to be sent now; it counts as sent."""
        with self._lock:
            if not self._connected or self._listed != self._generation:
                return None
            if self._bulk_state != _WANTED:
                return None
            self._bulk_state = _ASKED
            return self._generation

    def settled(self, order_id: int | None) -> None:
        """Note that the answer to the mass status request named an order, and is committed."""
        with self._lock:
            if order_id is not None:
                self._bulk.pop(order_id, None)

    def end_bulk(self, generation: int) -> bool:
        """Ask one by one for what the answer did not name; say whether the gate is open now.

        A list of open orders does not say what became of the others: filled, cancelled, unknown.
        """
        with self._lock:
            if generation == self._generation and self._bulk_state == _ASKED:
                self._waiting.extend(self._bulk.values())
                self._bulk.clear()
                self._bulk_state = _DONE
            return self._connected and not self._unsettled()

    def overdue(self) -> list[Ask]:
        """Return the questions that were not answered in time, once; they are asked again."""
        now = self._clock.monotonic()
        with self._lock:
            late = [
                ask
                for ask in self._asked.values()
                if ask.request_id not in self._again and now - ask.asked_at >= self._patience_s(ask)
            ]
            self._again.update((ask.request_id, None) for ask in late)
            return late

    def _patience_s(self, ask: Ask) -> float:
        return self._timeout_s * 2.0 ** min(ask.tries - 1, _DOUBLINGS)

    def next_ask(self) -> Ask | None:
        """Return the next question to send now; it counts as asked from here on.

        One that is asked again keeps its id: the answer to the first try, late as it is, counts.
        """
        now = self._clock.monotonic()
        with self._lock:
            if not self._connected or self._listed != self._generation:
                return None
            if self._again:
                late = self._asked[next(iter(self._again))]
                del self._again[late.request_id]
                ask = replace(late, asked_at=now, tries=late.tries + 1)
            elif self._waiting and len(self._asked) < self._window:
                self._count += 1
                ask = Ask(f"{self._run_id}-{self._count}", self._waiting.popleft(), now)
            else:
                return None
            self._asked[ask.request_id] = ask
            return ask

    def matches(self, report: Report, repeated: bool) -> str | None:
        """Return the id of the question a report answers, None when it answers none.

        A venue need not echo the id; then the order decides, and a message that may have been
        sent before (PossDup, PossResend) is no answer. A refusal counts as an answer when it says
        that the order is unknown.
        """
        unknown = report.exec_type == "rejected" and report.ord_rej_reason == "unknown_order"
        if report.msg_type != "8" or not (report.exec_type == "status" or unknown):
            return None
        with self._lock:
            if report.ord_status_req_id is not None:
                return report.ord_status_req_id if report.ord_status_req_id in self._asked else None
            if repeated:
                return None
            ids = {report.cl_ord_id, report.orig_cl_ord_id}
            for ask in self._asked.values():
                if not ids.isdisjoint((ask.question.cl_ord_id, *ask.question.cl_ord_ids)):
                    return ask.request_id
            return None

    def answered(self, request_id: str) -> bool:
        """Note that an answer is committed; say whether the gate is open now."""
        with self._lock:
            self._asked.pop(request_id, None)
            self._again.pop(request_id, None)
            return self._connected and not self._unsettled()
