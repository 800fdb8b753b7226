"""The market of a run: quotes and batches as a live feed writes them, in one transaction."""

from __future__ import annotations

import random
from datetime import timedelta
from uuid import UUID

import psycopg

from chaos.flow import LEGS, SYMBOLS
from fix.simvenue.bench import Market, Sides

_STEP = timedelta(milliseconds=200)
# Batches after which the pair goes over its entry threshold, or back.
_SWING = 12
_APART = 0.40
_GONE = (psycopg.OperationalError, psycopg.InterfaceError)


def write_batch(conn: psycopg.Connection, market: Market, quotes: dict[str, Sides]) -> None:
    """Store quotes and make a batch of them, with all that strategies and venues read."""
    begin, market.now = market.now, market.now + _STEP
    with conn.transaction():
        for symbol, (bid, bid_size, ask, ask_size) in quotes.items():
            market._seq += 1
            instrument_id, source_id = market._sources[symbol]
            conn.execute(
                "insert into market._quotes (ts, recv_ts, seq, bid_price, bid_size, ask_price, "
                "ask_size, instrument_id, source_id, feed_id, ns, flags) "
                "values (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, 0, 3)",
                (
                    market.now, market.now, market._seq, round(float(bid) * 10_000), bid_size,
                    round(float(ask) * 10_000), ask_size, instrument_id, source_id, market.feed_id,
                ),
            )  # fmt: skip
        conn.execute(
            "select market.write_batch(%s, %s, %s)", (market.session_id, begin, market.now)
        )
    market.batch_no += 1


class Tape:
    """The market's writer, which finds where it was after every lost connection."""

    def __init__(self, url: str, session_id: str, rng: random.Random) -> None:
        self._url, self._session_id, self._rng = url, session_id, rng
        self._market: Market | None = None
        self.mid = 100.0

    def move(self) -> None:
        """Show the next quotes."""
        self.mid = min(102.0, max(98.0, self.mid + self._rng.choice((-0.03, -0.01, 0.01, 0.03))))
        try:
            market = self._market = self._market or self._resume()
            apart = _APART if market.batch_no // _SWING % 2 else 0.0
            quotes = {symbol: self._quote(self.mid) for symbol in (*SYMBOLS, LEGS[1])}
            quotes[LEGS[0]] = self._quote(self.mid + apart)
            write_batch(market.conn, market, quotes)
        except _GONE:
            if self._market is not None:
                self._market.conn.close()
            self._market = None

    def _quote(self, mid: float) -> Sides:
        size = self._rng.choice((50, 200, 800))
        return f"{mid - 0.01:.2f}", size, f"{mid + 0.01:.2f}", size

    def _resume(self) -> Market:
        conn = psycopg.connect(
            self._url, autocommit=True, options="-c TimeZone=UTC", connect_timeout=5
        )
        return Market.resume(conn, UUID(self._session_id))
