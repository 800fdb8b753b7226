"""Market data of a venue over FIX 4.4, as a stream.

Configuration (ops.feeds), with defaults:

    host, port        where the venue listens; TSDB_TRADER_FIX_HOST and _PORT
    sender, target    CompIDs: TSDBMD, SIM
    symbols           list; all of the venue's security list
    trading_session   TradingSessionID to ask for; none
    depth             1 (best prices) or 0 (the whole book): 1
    store             of quotes, trades, book_events: quotes and trades; book_events need depth 0
    statuses          also subscribe to security statuses: true
    price_scale, size_scale   decimals that are kept: 4, 0
    heartbeat_s, connect_timeout_s   10, 15

Every instrument is a content of its own, named after the venue's view of it (TradingSessionID and
TradingSessionSubID), with RptSeq as its row number; see `market_data_books`. What is about no
instrument's book (statuses, refusals, what cannot be read) is in a content named after the session,
which we number. Of a venue without RptSeq we number the updates, and no gap can be seen.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, cast

from tsdb_trader import schema
from tsdb_trader.clock import Clock, SystemClock
from tsdb_trader.config import settings
from tsdb_trader.errors import ConfigurationError, InputError
from tsdb_trader.feeds.base import Block, Definition, Kind, Message, Rejected, Rules
from tsdb_trader.feeds.stream_registry import expect
from tsdb_trader.fix import codec
from tsdb_trader.fix import market_data_codec as wire
from tsdb_trader.fix.codec import CodecError
from tsdb_trader.fix.market_data_books import Book, Received, Storing
from tsdb_trader.fix.market_data_codec import UnusableError
from tsdb_trader.fix.market_data_engine import Connection, Engine, Event, engine_for
from tsdb_trader.fix.market_data_rows import Rows

_KEYS: dict[str, type | tuple[type, ...]] = {
    "host": str,
    "port": int,
    "sender": str,
    "target": str,
    "symbols": list,
    "trading_session": str,
    "depth": int,
    "store": list,
    "statuses": bool,
    "price_scale": int,
    "size_scale": int,
    "heartbeat_s": int,
    "connect_timeout_s": (int, float),
}
_KINDS = ("quotes", "trades", "book_events")
_MOST_EVENTS = 20_000
_ASK_AGAIN_S = 5.0


class FixMarketDataStream:
    """Subscribes to a venue and turns what it says into blocks."""

    vocabulary = ""

    def __init__(self, configuration: Mapping[str, Any], clock: Clock | None = None) -> None:
        """Check the configuration.

        Raises
        ------
        InputError
            It cannot be used.
        """
        expect(configuration, "a FIX feed", **_KEYS)
        chosen = dict(configuration)
        kinds = chosen.get("store", ["quotes", "trades"])
        depth = chosen.get("depth", 1)
        if depth not in (0, 1) or set(kinds) - set(_KINDS):
            raise InputError(f"a FIX feed: depth is 0 or 1, store of {', '.join(_KINDS)}")
        if "book_events" in kinds and depth == 1:
            raise InputError("a FIX feed: book_events need depth 0")
        if not {"quotes", "book_events"} & set(kinds):
            raise InputError("a FIX feed: store quotes or book_events, or both")
        self.definition = Definition(
            price_scale=chosen.get("price_scale", 4), size_scale=chosen.get("size_scale", 0)
        )
        self.rules = Rules()
        self._chosen = chosen
        self._depth = int(depth)
        self._kinds = cast(frozenset[Kind], frozenset(kinds))
        self._target = str(chosen.get("target", "SIM"))
        self._clock: Clock = clock or SystemClock()
        self._engine: Engine | None = None
        self._known: Mapping[str, int] = {}
        self._session_rows = Rows(None, 0)
        self._contents: dict[str, str] = {}
        self._names: dict[str, str] = {}
        self._reached: dict[str, int] = {}
        self._books: dict[str, Book] = {}
        self._requests: dict[str, str] = {}
        self._listed: list[str] = []
        self._count = 0
        self._lost = ""
        self._counts = {"messages": 0, "resyncs": 0, "refused": 0, "snapshots": 0}
        self._last_refusal = ""
        self._ended: list[tuple[str, Block]] = []

    # The stream -------------------------------------------------------------------------------

    def open(self, next_rows: Mapping[str, int]) -> None:
        """Log on, and ask for the security list; subscriptions follow its answer."""
        engine = engine_for(self._connection(), self._clock)
        self._known = dict(next_rows)
        self._session_rows = Rows(None, next_rows.get(self.session_content, 0))
        self._contents, self._books, self._requests, self._listed = {}, {}, {}, []
        self._names, self._reached = {}, {}
        self._lost = ""
        engine.switch_on()
        self._engine = engine
        deadline = self._clock.monotonic() + float(self._chosen.get("connect_timeout_s", 15))
        while True:
            engine.check_clock()
            left = deadline - self._clock.monotonic()
            event = engine.inbox.get(max(left, 0.01))
            if event is not None and event.kind == "logon":
                break
            if left <= 0:
                why = engine.last_event or "no answer"
                self.close()
                raise TimeoutError(f"{self._target} does not let us log on: {why}")
        self._count += 1
        engine.send("x", [(320, f"list-{self._count}"), (559, "4")])

    def read(self, timeout_s: float) -> Sequence[tuple[str, Block]]:
        """Wait for messages and return the rows they are."""
        engine = self._running()
        engine.check_clock()
        if self._lost:
            raise ConnectionError(self._lost)
        event = engine.inbox.get(timeout_s)
        taken = 0
        while event is not None:
            self._take(event)
            taken += 1
            event = engine.inbox.get(0.0) if taken < _MOST_EVENTS and not self._lost else None
        self._ask_again()
        return self._blocks()

    def stored(self) -> None:
        """Nothing to confirm: a venue keeps nothing for us."""

    def close(self) -> None:
        """Log out."""
        if self._engine is not None:
            self._engine.switch_off()
            self._engine = None

    def detail(self) -> dict[str, Any]:
        """Return counts, and the last refusal."""
        found: dict[str, Any] = {"instruments": len(self._books), **self._counts}
        waiting = [symbol for symbol, book in self._books.items() if not book.synced]
        if waiting:
            found["waiting_for_snapshot"] = wire.names(waiting)
        if self._last_refusal:
            found["last_refusal"] = self._last_refusal
        return found

    @property
    def session_content(self) -> str:
        """The content of what is about no instrument's book."""
        return f"{self._chosen.get('sender', 'TSDBMD')}->{self._target}"

    # Messages ---------------------------------------------------------------------------------

    def _take(self, event: Event) -> None:
        if event.kind == "logout":
            self._lost = f"logged out: {event.raw or 'connection lost'}"
            for book in self._books.values():
                book.give_up()
        elif event.kind == "refused":
            self._reject("malformed", event.raw)
        elif event.kind == "message":
            self._counts["messages"] += 1
            try:
                self._dispatch(event)
            except CodecError as error:
                self._reject("malformed", f"{error}: {event.raw}")
            except UnusableError as error:
                self._reject(error.reason, f"{error}: {event.raw}")

    def _dispatch(self, event: Event) -> None:
        fields = codec.parse(event.raw)
        match fields.get(35, ""):
            case wire.FULL | wire.INCREMENTAL:
                for update in wire.read_updates(event.raw):
                    self._update(Received(update, event.recv, wire.printable(event.raw)))
            case wire.LIST:
                self._list(event, fields)
            case wire.STATUS:
                self._status(event, fields)
            case wire.REFUSED | wire.BUSINESS_REJECT | codec.REJECT:
                self._refused(event, fields)
            case other:
                self._reject("unknown_type", f"message type {other}: {event.raw}")

    def _update(self, received: Received) -> None:
        symbol = received.update.symbol
        if received.update.full:
            self._snapshot(received)
            return
        book = self._books.get(symbol)
        if book is None:
            raise UnusableError("unknown_instrument", f"an update of {symbol} before its snapshot")
        before = book.synced
        if not book.change(received) and before:
            self._counts["resyncs"] += 1
            self._ask_for_snapshot(symbol, book)

    def _snapshot(self, received: Received) -> None:
        self._counts["snapshots"] += 1
        update = received.update
        book = self._book_of(received)
        if update.number == 0:
            # Numbers start with the first update; there is nothing to tell before it.
            book.synced = True
        elif not book.snapshot(received):
            self._ask_for_snapshot(update.symbol, book)

    def _book_of(self, received: Received) -> Book:
        """Return the book that a full refresh is about, a new one for a view we have not met."""
        update, symbol, number = received.update, received.update.symbol, received.update.number
        book, current = self._books.get(symbol), self._contents.get(symbol)
        view = "/".join((self._target, *(part or "-" for part in update.view), symbol))
        content = self._names.get(view, view)
        if not update.lines and current is not None:
            content = current  # an empty book does not name its view
        if book is None or content != current:
            expected = self._reached.get(content, self._known.get(content))
        else:
            expected = book.next_row
        if number is not None and expected is not None and number < expected - 1:
            # The venue counts anew under the same name.
            expected, content = None, self._new_name(f"{view}@{received.recv}")
            self._names[view] = content
        if book is None or content != current:
            if book is not None:
                self._flush(symbol, book)
            first = 0 if number is None else number or 1
            book = Book(symbol, first if expected is None else expected, self._storing())
            self._books[symbol], self._contents[symbol] = book, content
        return book

    def _new_name(self, name: str) -> str:
        while name in self._reached or name in self._known or name in self._contents.values():
            name += "+"
        return name

    def _status(self, event: Event, fields: Mapping[int, str]) -> None:
        symbol = fields.get(55, "")
        if wire.SYMBOL.fullmatch(symbol) is None:
            raise UnusableError("bad_symbol", f"a status of {symbol[:40]!r}")
        code = fields.get(326)
        if not code:
            raise UnusableError("missing_value", "no SecurityTradingStatus")
        stamp = wire.stamp_of(fields.get(60, ""), fields.get(52, ""))
        detail = {
            name: fields[tag]
            for tag, name in ((325, "unsolicited"), (336, "trading_session"), (58, "text"))
            if tag in fields
        }
        columns = {"kind": "security_status", "code": code, "detail": detail}
        row = self._session_rows.stop
        self._session_rows.messages.append(
            Message("statuses", stamp.ts, row, columns, symbol, stamp.ns, event.recv)
        )
        self._session_rows.stop = row + 1

    def _refused(self, event: Event, fields: Mapping[int, str]) -> None:
        self._counts["refused"] += 1
        self._last_refusal = codec.storable(fields.get(58, "no reason given"))[:200]
        self._reject("request_refused", event.raw)
        if fields.get(372) == "x":
            self._subscribe_all()

    def _reject(self, reason: str, raw: str) -> None:
        row = self._session_rows.stop
        self._session_rows.rejected.append(Rejected(row, reason, wire.printable(raw)))
        self._session_rows.stop = row + 1

    # Subscriptions ----------------------------------------------------------------------------

    def _list(self, event: Event, fields: Mapping[int, str]) -> None:
        symbols, last = wire.read_symbols(event.raw)
        self._listed += symbols
        if fields.get(560, "0") != "0":
            self._refused(event, fields)
        if last:
            self._subscribe_all()

    def _subscribe_all(self) -> None:
        for symbol in self._chosen.get("symbols") or self._listed:
            self._subscribe(str(symbol))
            if self._chosen.get("statuses", True):
                self._count += 1
                body = [(324, f"s{self._count}"), (263, "1"), (55, str(symbol))]
                self._running().send("e", body)

    def _subscribe(self, symbol: str) -> None:
        self._count += 1
        self._requests[symbol] = f"{self._count}-{symbol}"
        self._request(symbol, subscribe=True)

    def _request(self, symbol: str, *, subscribe: bool) -> None:
        body, groups = wire.request(
            self._requests[symbol],
            symbol,
            subscribe=subscribe,
            depth=self._depth,
            single_orders="book_events" in self._kinds,
            session=str(self._chosen.get("trading_session", "")),
        )
        self._running().send("V", body, groups)

    def _ask_for_snapshot(self, symbol: str, book: Book) -> None:
        """Subscribe anew, which brings a snapshot; not more often than every few seconds."""
        now = self._clock.monotonic()
        if book.asked_at is not None and now - book.asked_at < _ASK_AGAIN_S:
            return
        book.asked_at = now
        try:
            if symbol in self._requests:
                self._request(symbol, subscribe=False)
            self._subscribe(symbol)
        except ConnectionError as error:
            self._lost = self._lost or str(error)

    def _ask_again(self) -> None:
        for symbol, book in self._books.items():
            if not book.synced and not self._lost:
                self._ask_for_snapshot(symbol, book)

    # Blocks -----------------------------------------------------------------------------------

    def _flush(self, symbol: str, book: Book) -> None:
        """Finish a book whose view has ended."""
        book.give_up()
        self._reached[self._contents[symbol]] = book.next_row
        rows = book.take()
        if rows is not None:
            self._ended.append((self._contents[symbol], rows.block()))

    def _blocks(self) -> list[tuple[str, Block]]:
        blocks, self._ended = self._ended, []
        for symbol, book in self._books.items():
            rows = book.take()
            if rows is not None:
                blocks.append((self._contents[symbol], rows.block()))
        if not self._session_rows.empty:
            blocks.append((self.session_content, self._session_rows.block()))
            self._session_rows = Rows(None, self._session_rows.stop)
        return blocks

    def _storing(self) -> Storing:
        best_only = self._depth == 1
        return Storing(self._kinds, best_only, self._target, self.definition, self.rules)

    def _running(self) -> Engine:
        if self._engine is None:
            raise ConnectionError("the stream is not open")
        return self._engine

    def _connection(self) -> Connection:
        config, chosen = settings(), self._chosen
        port = int(chosen.get("port", 0)) or config.fix_port
        if not port:
            raise ConfigurationError("a FIX feed needs a port, or TSDB_TRADER_FIX_PORT")
        return Connection(
            schema.root() / "fixcfg" / "market_data.cfg",
            str(chosen.get("host", config.fix_host)),
            port,
            str(chosen.get("sender", "TSDBMD")),
            self._target,
            config.fix_dir / "market_data",
            int(chosen.get("heartbeat_s", 10)),
        )
