"""What the venue's tests stand on: a market to show, a venue to kill, clients to trade."""

from __future__ import annotations

import json
import os
import queue
import signal
import socket
import threading
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID, uuid4

import psycopg

import nursery

HERE = Path(__file__).parent
WAIT_S = 20.0
START = datetime(2013, 10, 7, 14, 30, tzinfo=UTC)
Sides = tuple[str, int, str, int]


class Market:
    """A replay session whose batches are written row by row."""

    def __init__(self, conn: psycopg.Connection) -> None:
        self.conn = conn
        self.now = START
        self.batch_no = 0
        self._seq = 0
        self.feed_id = self._one(
            "insert into ops.feeds (feed, format) values (%s, 'test') returning feed_id",
            f"feed-{uuid4()}",
        )
        self.session_id: UUID = self._one(  # type: ignore[assignment]
            "insert into ops.sessions (kind, name, feed_id, from_ts, to_ts) "
            "values ('replay', 'test', %s, %s, %s) returning session_id",
            self.feed_id,
            START,
            START + timedelta(days=3),
        )
        self._sources: dict[str, tuple[object, object]] = {}

    @classmethod
    def resume(cls, conn: psycopg.Connection, session_id: UUID | str) -> Market:
        """Go on with a session after its last batch."""
        market = cls.__new__(cls)
        market.conn, market.session_id = conn, UUID(str(session_id))
        market.batch_no, now, market._seq, market.feed_id = conn.execute(
            "select coalesce(max(b.batch_no), 0), coalesce(max(b.as_of), s.from_ts), "
            "coalesce((select max(seq) from market._quotes q where q.feed_id = s.feed_id), 0), "
            "s.feed_id from ops.sessions s left join market.batches b using (session_id) "
            "where s.session_id = %s group by s.session_id",
            (market.session_id,),
        ).fetchone()  # type: ignore[misc]
        market.now = now.astimezone(UTC)
        market._sources = {
            symbol: (instrument_id, source_id)
            for symbol, instrument_id, source_id in conn.execute(
                "select i.symbol, i.instrument_id, s.source_id from market.sources s "
                "join ref.instruments i using (instrument_id) where s.feed_id = %s",
                (market.feed_id,),
            )
        }
        return market

    def _one(self, query: str, *arguments: object) -> object:
        row = self.conn.execute(query, arguments).fetchone()  # type: ignore[arg-type]
        assert row is not None
        return row[0]

    def list(self, symbol: str) -> None:
        instrument_id = self._one(
            "insert into ref.instruments (symbol) values (%s) returning instrument_id", symbol
        )
        source_id = self._one(
            "insert into market.sources (feed_id, sha256, content, name, kind, instrument_id) "
            "values (%s, %s, %s, %s, 'quotes', %s) returning source_id",
            self.feed_id,
            symbol,
            symbol,
            symbol,
            instrument_id,
        )
        self._sources[symbol] = (instrument_id, source_id)

    def batch(self, *quotes: tuple[str, Sides], after: timedelta = timedelta(seconds=1)) -> None:
        """Write one batch of quotes (symbol, (bid, size, ask, size)), in order."""
        begin, self.now = self.now, self.now + after
        self.batch_no += 1
        with self.conn.transaction():
            batch_id = self._one(
                "insert into market.batches (session_id, batch_no, from_ts, as_of, quote_count, "
                "trade_count, digest) values (%s, %s, %s, %s, %s, 0, 0) returning batch_id",
                self.session_id,
                self.batch_no,
                begin,
                self.now,
                len(quotes),
            )
            with self.conn.pipeline():
                for symbol, sides in quotes:
                    self._quote(batch_id, symbol, sides)
        self.conn.execute("notify market_batches")

    def _quote(self, batch_id: object, symbol: str, sides: Sides) -> None:
        instrument_id, source_id = self._sources[symbol]
        self._seq += 1
        bid, bid_size, ask, ask_size = sides
        row = {
            "batch_id": batch_id,
            "batch_no": self.batch_no,
            "session_id": self.session_id,
            "instrument_id": instrument_id,
            "source_id": source_id,
            "feed_id": self.feed_id,
            "seq": self._seq,
            "ts": self.now - timedelta(milliseconds=1),
            "as_of": self.now,
            "bid": round(float(bid) * 10_000),
            "bid_size": bid_size,
            "ask": round(float(ask) * 10_000),
            "ask_size": ask_size,
        }
        self.conn.execute(
            "insert into market._quotes (ts, recv_ts, seq, bid_price, bid_size, ask_price, "
            "ask_size, instrument_id, source_id, feed_id, ns, flags) values (%(ts)s, %(ts)s, "
            "%(seq)s, %(bid)s, %(bid_size)s, %(ask)s, %(ask_size)s, %(instrument_id)s, "
            "%(source_id)s, %(feed_id)s, 0, 3)",
            row,
        )
        self.conn.execute(
            "insert into market.batch_ranges values (%(batch_id)s, %(source_id)s, %(seq)s, %(seq)s)"
            " on conflict (batch_id, source_id) do update set last_seq = excluded.last_seq",
            row,
        )
        self.conn.execute(
            "insert into market.latest_quotes values (%(session_id)s, %(instrument_id)s, "
            "%(batch_id)s, %(batch_no)s, %(feed_id)s, %(source_id)s, %(seq)s, %(ts)s, 0, %(bid)s, "
            "%(bid_size)s, %(ask)s, %(ask_size)s) on conflict (session_id, instrument_id) do "
            "update set batch_id = excluded.batch_id, batch_no = excluded.batch_no, "
            "seq = excluded.seq, ts = excluded.ts, bid_price = excluded.bid_price, "
            "bid_size = excluded.bid_size, ask_price = excluded.ask_price, "
            "ask_size = excluded.ask_size",
            row,
        )

    def close(self) -> None:
        self.conn.execute("select ops.close_session(%s)", (self.session_id,))


@dataclass
class Venue:
    """A venue process that can be killed and started again."""

    url: str
    home: Path
    port: int
    process: nursery.Child | None = None
    sessions: Path | None = None
    venues: tuple[str, ...] = ()
    patience_s: float = WAIT_S

    def start(self) -> None:
        log = (self.home / "venue.log").open("ab")
        more = [] if self.sessions is None else [str(self.sessions), *self.venues]
        self.process = nursery.start(
            HERE / "process.py",
            self.url,
            *more,
            environment={
                **os.environ,
                "TSDB_TRADER_HOME": str(self.home),
                "TSDB_TRADER_FIX_PORT": str(self.port),
            },
            stderr=log,
        )
        log.close()
        try:
            wait_for_port(self.port, self.patience_s)
        except BaseException:
            self.kill()
            raise

    def kill(self) -> None:
        assert self.process is not None
        self.process.send_signal(signal.SIGKILL)
        self.process.wait(WAIT_S)

    def stop(self) -> int:
        assert self.process is not None
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        return self.process.wait(WAIT_S)

    def log(self) -> str:
        return (self.home / "venue.log").read_text()


@dataclass
class Client:
    """A FIX client in its own process."""

    home: Path
    port: int
    comp_id: str
    session_id: UUID
    process: nursery.Child | None = None
    lines: queue.Queue[dict[str, object] | None] = field(default_factory=queue.Queue)
    seen: list[dict[str, str]] = field(default_factory=list)
    exec_ids: set[str] = field(default_factory=set)
    number: int = 0
    target: str = "SIM"
    begin: str = "FIX.4.4"
    logon: dict[str, str] = field(default_factory=dict)
    dictionary: Path | None = None

    def start(self) -> None:
        folder = self.home / f"{self.comp_id}-{self.target}"
        folder.mkdir(exist_ok=True)
        self.process = nursery.start(
            HERE / "client.py",
            str(folder),
            str(self.port),
            self.comp_id,
            self.target,
            self.begin,
            json.dumps(self.logon),
            *([str(self.dictionary)] if self.dictionary else []),
            piped=True,
        )
        threading.Thread(target=self._read, args=(self.process,), daemon=True).start()

    def _read(self, process: nursery.Child) -> None:
        assert process.stdout is not None
        for line in process.stdout:
            self.lines.put(json.loads(line))
        process.stdout.close()
        self.lines.put(None)

    def stop(self) -> None:
        assert self.process is not None
        assert self.process.stdin is not None
        if self.process.poll() is None:
            self.process.stdin.write('{"quit": true}\n')
            self.process.stdin.flush()
        self.process.wait(WAIT_S)
        self.process.stdin.close()

    def event(self, name: str) -> None:
        """Wait for a logon or logout; messages met on the way are kept."""
        while (line := self.lines.get(timeout=WAIT_S)) != {"event": name}:
            assert line is not None
            if "message" in line:
                self.seen.append(line["message"])  # type: ignore[arg-type]

    def message(self, *, repeats: bool = False) -> dict[str, str]:
        """Wait for the next application message; drop repeated reports unless asked for."""
        while True:
            message = self.seen.pop(0) if self.seen else self._next()
            exec_id = message.get("17", "") if message["35"] == "8" else ""
            if repeats or exec_id not in self.exec_ids:
                if exec_id:
                    self.exec_ids.add(exec_id)
                return message
            assert message.get("97") == "Y" or message.get("43") == "Y"

    def _next(self) -> dict[str, str]:
        while True:
            line = self.lines.get(timeout=WAIT_S)
            assert line is not None
            assert "invalid" not in line, line
            if "message" in line:
                return line["message"]  # type: ignore[return-value]

    def send(self, **fields: object) -> None:
        assert self.process is not None
        assert self.process.stdin is not None
        command = {key.removeprefix("t"): value for key, value in fields.items()}
        self.process.stdin.write(json.dumps(command, default=str) + "\n")
        self.process.stdin.flush()

    def order(
        self,
        side: str,
        quantity: object,
        limit: object = None,
        *,
        tif: str = "0",
        symbol: str = "IBM",
        cl_ord_id: str | None = None,
        session: object = None,
        header: dict[str, str] | None = None,
        **more: object,
    ) -> str:
        """Send a new order and return its ClOrdID; `more` are fields like ``t18="6"``."""
        self.number += 1
        cl_ord_id = cl_ord_id or f"{self.comp_id}-{self.number}"
        fields: dict[str, object] = {
            "t35": "D",
            "t11": cl_ord_id,
            "t1": "main",
            "t55": symbol,
            "t54": side,
            "t38": quantity,
            "t40": "1" if limit is None else "2",
            "t59": tif,
            "t60": "20131007-14:30:00.000",
            "t336": session or self.session_id,
            "header": header or {},
        }
        if limit is not None:
            fields["t44"] = limit
        if self.begin == "FIX.4.2":
            fields["t21"] = "1"
        self.send(**(fields | more))
        return cl_ord_id

    def replace(
        self,
        original: str,
        side: str,
        quantity: object,
        limit: object = None,
        *,
        tif: str = "0",
        name: str = "",
        header: dict[str, str] | None = None,
        **more: object,
    ) -> str:
        """Send a replacement and return its ClOrdID."""
        self.number += 1
        cl_ord_id = name or f"{self.comp_id}-{self.number}"
        fields: dict[str, object] = {
            "t35": "G",
            "t11": cl_ord_id,
            "t41": original,
            "t55": "IBM",
            "t54": side,
            "t38": quantity,
            "t40": "1" if limit is None else "2",
            "t59": tif,
            "t60": "20131007-14:30:00.000",
            "header": header or {},
        }
        if limit is not None:
            fields["t44"] = limit
        if self.begin == "FIX.4.2":
            fields["t21"] = "1"
        self.send(**(fields | more))
        return cl_ord_id

    def states(self, count: int) -> list[str]:
        """Return ExecType and OrdStatus of the next messages, MsgType of those without."""
        found = [self.message() for _ in range(count)]
        return [f"{m['150']}{m['39']}" if "150" in m else m["35"] for m in found]

    def cancel(self, original: str, header: dict[str, str] | None = None, name: str = "") -> str:
        """Send a cancel request and return its ClOrdID."""
        self.number += 1
        cl_ord_id = name or f"{self.comp_id}-{self.number}"
        self.send(
            t35="F",
            t11=cl_ord_id,
            t41=original,
            t55="IBM",
            t54="1",
            t38=1,
            t60="20131007-14:30:00.000",
            header=header or {},
        )
        return cl_ord_id

    def ask(self, cl_ord_id: str) -> dict[str, str]:
        """Send an order status request and return the answer."""
        self.send(t35="H", t11=cl_ord_id, t55="IBM", t54="1")
        return self.message()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_for_port(port: int, patience_s: float = WAIT_S) -> None:
    deadline = time.monotonic() + patience_s
    while True:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        assert time.monotonic() < deadline, f"nobody listens on port {port}"
        time.sleep(0.02)
