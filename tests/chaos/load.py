"""A market that moves and a desk that trades in it: load.py <owner's url> <desk's url> <session>
<journal> <seed>.

The desk is a client as it should be: it writes down what it is about to ask, and asks again under
the same id until it has an answer, however often it or the database dies in between.
"""

from __future__ import annotations

import contextlib
import os
import random
import signal
import sys
import threading
from pathlib import Path
from typing import Any

import psycopg
from psycopg.types.json import Jsonb

from chaos.flow import Desk, Wish
from chaos.journal import Journal, Request
from chaos.tape import Tape

_AS_OF = "(select max(as_of) from market.batches where session_id = %s)"
_CALLS = {
    "submit": f"select * from oms.submit_order(%s, %s, {_AS_OF})",
    "basket": f"select * from oms.submit_basket(%s, %s, {_AS_OF})",
    "cancel_all": f"select * from oms.cancel_all(%s, %s, {_AS_OF})",
    "replace": f"select * from oms.replace_order(%s, %s, %s, {_AS_OF})",
    "cancel": f"select * from oms.cancel_order(%s, %s, {_AS_OF})",
}
_PAUSE_S = 0.15
_AGAIN = 0.05
_GONE = (psycopg.OperationalError, psycopg.InterfaceError)


class Client:
    """Asks until it is answered."""

    def __init__(self, url: str, session_id: str, journal: Journal) -> None:
        self._url, self._session_id = url, session_id
        self._journal = journal
        self._conn: psycopg.Connection | None = None
        self._pause = threading.Event()

    def ask(self, wish: Wish) -> Request:
        """Make a request, and return it answered."""
        request = self._journal.ask(wish.call, wish.argument, wish.order_id)
        self.insist(request)
        return request

    def insist(self, request: Request) -> None:
        """Ask again and again under the same id."""
        while not request.answered:
            request.tries += 1
            try:
                self.once(request)
            except (*_GONE, psycopg.errors.InternalError_):
                self._hang_up()
                self._pause.wait(_AGAIN)
            except psycopg.Error as error:
                # The database's own refusals, of class TT; anything else is a finding.
                request.refused = f"{error.sqlstate}: {str(error).splitlines()[0]}"
        self._journal.answer(request)

    def once(self, request: Request) -> None:
        """Ask, and keep the answer."""
        request.rows = [
            (row[0], row[1], row[2])
            for row in self._connection()
            .execute(_CALLS[request.call], self._arguments(request))
            .fetchall()
        ]

    def _arguments(self, request: Request) -> list[Any]:
        arguments: list[Any] = [] if request.order_id is None else [request.order_id]
        if request.argument is not None:
            arguments.append(Jsonb(request.argument))
        return [*arguments, request.request_id, self._session_id]

    def _connection(self) -> psycopg.Connection:
        if self._conn is None or self._conn.closed:
            self._conn = psycopg.connect(self._url, autocommit=True, connect_timeout=5)
        return self._conn

    def _hang_up(self) -> None:
        if self._conn is not None:
            with contextlib.suppress(psycopg.Error):
                self._conn.close()
        self._conn = None


def main(owner_url: str, url: str, session_id: str, path: str, seed: str) -> None:
    """Trade until told to stop; then have every request answered, and leave."""
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    # Another life thinks of other orders.
    rng = random.Random(f"{seed} {Path(path).stat().st_size if Path(path).exists() else 0}")
    journal = Journal(Path(path))
    client = Client(url, session_id, journal)
    desk = Desk(session_id, rng)
    for request in journal.open():
        client.insist(request)
    for request in journal.requests.values():
        desk.told(Wish(request.call, request.argument), request.rows or [])
    tape = Tape(owner_url, session_id, rng)
    turn = 0
    while not stop.wait(_PAUSE_S):
        if turn % 2 == 0:
            tape.move()
            desk.mid = tape.mid
        turn += 1
        wish = desk.think()
        request = client.ask(wish)
        desk.told(wish, request.rows or [])
        if rng.random() < 0.1 and request.rows is not None:
            _ask_twice(client, journal, request)
    os._exit(0)


def _ask_twice(client: Client, journal: Journal, request: Request) -> None:
    """Repeat an answered request: the same orders must come back, and no others."""
    again = Request(request.request_id, request.call, request.argument, request.order_id)
    while again.rows is None:
        try:
            client.once(again)
        except _GONE:
            continue
    ids = [[row[0] for row in rows or []] for rows in (request.rows, again.rows)]
    if ids[0] != ids[1] and request.call in ("submit", "basket"):
        request.refused = f"repeated: {ids[0]} became {ids[1]}"
        journal.answer(request)


if __name__ == "__main__":
    main(*sys.argv[1:])
