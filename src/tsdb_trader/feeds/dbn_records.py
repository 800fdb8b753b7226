"""What the records of a DBN file become.

=================  ============================================================================
mbo                book events: add, modify, reduce (a cancel takes its size off), clear; a fill is
                   an execute with `REPORT`, as a cancel or modify of its own takes it off the book;
                   a trade is a trade; a record without action a status
trades             trades
mbp-1, tbbo        quotes, and a trade where the action is one
bbo-1s, bbo-1m     quotes at the end of the interval (ts_recv)
ohlcv              bars
definition, status, symbol mapping   statuses; a definition names its instrument from there on
anything else      rejected
=================  ============================================================================

Times are ts_event and ts_recv. Records of a snapshot say when their order got its place, which may
be days before; what they say is true of the time of the snapshot, their ts_recv, so that is their
time, and ts_event is kept in placed_ns. A trade's conditions are the side of the aggressor as in
the file (B, A or N), exchanges are Databento's publisher ids.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tsdb_trader.feeds import dbn_messages
from tsdb_trader.feeds.base import (
    ASK_SET,
    BID_SET,
    NULL,
    REPORT,
    SNAPSHOT,
    Block,
    Integers,
    Kind,
    Message,
    Rejected,
    Rules,
    Text,
    Ticks,
    constant,
)
from tsdb_trader.feeds.dbn_frames import Frames
from tsdb_trader.feeds.dbn_layouts import (
    BARS,
    BBO_1M,
    BBO_1S,
    LAST,
    LAYOUTS,
    MBO,
    MBP_1,
    PRICE_LEVEL,
    PRICES,
    TBBO,
    TOP_OF_BOOK,
    TRADE,
    UNDEFINED_PRICE,
    UNDEFINED_SIZE,
    UNDEFINED_TIME,
)
from tsdb_trader.feeds.dbn_layouts import SNAPSHOT as SNAPSHOT_FLAG
from tsdb_trader.feeds.dbn_symbols import Symbols, usable

_STAMP_BYTES = 8
_EVENT_END = 4
_NO_ID = 1 << 63
"""The one id whose 64 bits stand for no number."""
_ACTIONS = {b"A": "add", b"M": "modify", b"C": "reduce", b"F": "execute", b"R": "clear"}
_SIDES = {b"A": "ask", b"B": "bid", b"N": ""}


@dataclass
class _Rows:
    """Records of one type in a block, while they are decoded.

    Attributes
    ----------
    kind, records, rows
        Their type, themselves, and their numbers in the file.
    names, codes
        Symbols, and of each record its place among them.
    reasons
        Why each is rejected, empty where it is not.
    """

    kind: int
    records: NDArray[np.void]
    rows: Integers
    names: list[str]
    codes: NDArray[np.int32]
    reasons: NDArray[np.object_]

    def reject(self, where: NDArray[np.bool_], reason: str) -> None:
        """Reject records, unless there was a reason before."""
        self.reasons[where & self.good()] = reason

    def good(self) -> NDArray[np.bool_]:
        """Return which are not rejected."""
        found: NDArray[np.bool_] = self.reasons == ""
        return found


@dataclass
class Decoder:
    """Decodes the blocks of one file, in order.

    Attributes
    ----------
    stamped
        Whether each record has the time of its sending behind it.
    scale
        Decimals of prices in `Ticks`.
    now
        Seconds since 1970: times `Rules.future_s` later cannot be right.
    """

    library: ModuleType
    version: int
    stamped: bool
    symbols: Symbols
    rules: Rules
    scale: int
    now: int
    _told: dict[int, bool] = field(default_factory=dict)
    """Whether the last record of an instrument's book was in a snapshot that goes on."""
    _publisher: int | None = None

    def block(self, start: int, frames: Frames) -> Block:
        """Decode records, the first of which has the number `start`."""
        ticks: list[Ticks] = []
        messages: list[Message] = []
        wrong: list[tuple[int, str]] = []
        types, lengths = frames.types(), frames.lengths
        latest = self._latest()
        # First, because they name the instruments of records behind them.
        for row in np.flatnonzero(~np.isin(types, list(LAYOUTS))).tolist():
            found = dbn_messages.decode(
                self.library,
                self.version,
                self.stamped,
                self.symbols,
                latest,
                start + row,
                frames.raw(row),
            )
            if isinstance(found, Message):
                messages.append(found)
            else:
                wrong.append((row, found))
        for kind, layout in LAYOUTS.items():
            rows = np.flatnonzero(types == kind)
            fits = lengths[rows] == layout.itemsize + _STAMP_BYTES * self.stamped
            wrong += [(row, "wrong_length") for row in rows[~fits].tolist()]
            if fits.any():
                rows = rows[fits]
                part = self._rows(kind, frames.records(rows, layout), start + rows)
                ticks += self._ticks(part, messages)
                bad = np.flatnonzero(~part.good())
                wrong += zip(rows[bad].tolist(), part.reasons[bad].tolist(), strict=True)
        if frames.tail:
            wrong.append((len(frames.starts), "truncated"))
        rejected = [
            Rejected(start + row, why, "hex:" + frames.raw(row).hex()) for row, why in sorted(wrong)
        ]
        messages.sort(key=lambda message: message.seq)
        return Block(start, start + len(frames), [t for t in ticks if len(t)], messages, rejected)

    def _latest(self) -> int:
        return int((self.now + self.rules.future_s) * 10**9)

    def _rows(self, kind: int, records: NDArray[np.void], rows: Integers) -> _Rows:
        times = _index_times(records)
        names, codes = self.symbols.names(records["instrument_id"], times, rows)
        part = _Rows(kind, records, rows, names, codes, np.full(len(rows), "", dtype=object))
        part.reject(times > np.uint64(self._latest()), "absurd_time")
        if kind not in (BBO_1S, BBO_1M):
            part.reject(records["ts_event"] > np.uint64(self._latest()), "absurd_time")
        part.reject(codes < 0, "unknown_instrument")
        for code, name in enumerate(names):
            if not usable(name):
                part.reject(codes == code, "bad_symbol")
        for column in PRICES[kind]:
            prices = records[column]
            fine = prices % 10 ** (9 - self.scale) == 0
            part.reject((prices != UNDEFINED_PRICE) & ~fine, "too_precise")
        return part

    def _ticks(self, part: _Rows, messages: list[Message]) -> list[Ticks]:
        if part.kind in BARS:
            return [self._bars(part)]
        if part.kind == MBO:
            return self._book(part, messages)
        trades = np.zeros(len(part.rows), dtype=bool)
        if part.kind in (TRADE, MBP_1, TBBO):
            trades = part.records["action"] == b"T"
        if part.kind == TRADE:
            part.reject(~trades, "malformed")
        part.reject(trades & _lacks(part, "price", "size"), "missing_value")
        if part.kind == TRADE:
            return [self._trades(part, trades)]
        return [self._quotes(part), self._trades(part, trades)]

    def _book(self, part: _Rows, messages: list[Message]) -> list[Ticks]:
        records = part.records
        actions, flags = records["action"], records["flags"]
        part.reject(~np.isin(actions, [*_ACTIONS, b"T", b"N"]), "malformed")
        part.reject(~np.isin(records["side"], list(_SIDES)), "malformed")
        part.reject((flags & (TOP_OF_BOOK | PRICE_LEVEL)) > 0, "not_an_order")
        if self._publisher is None and part.good().any():
            self._publisher = int(records["publisher_id"][part.good()][0])
        part.reject(records["publisher_id"] != (self._publisher or 0), "other_venue")
        priced = np.isin(actions, [b"A", b"M", b"T", b"F"])
        part.reject(priced & _lacks(part, "price", "size"), "missing_value")
        part.reject((actions == b"C") & _lacks(part, "size"), "missing_value")
        part.reject((actions == b"A") & (records["side"] == b"N"), "missing_value")
        part.reject(records["order_id"] == _NO_ID, "out_of_range")
        idle = part.good() & (actions == b"N")
        for place in np.flatnonzero(idle).tolist():
            messages.append(_idle(part, place))
        chosen = np.flatnonzero(part.good() & (actions != b"T") & ~idle)
        events = self._events(part, chosen)
        return [self._clears(part, chosen), events, self._trades(part, actions == b"T")]

    def _events(self, part: _Rows, chosen: Integers) -> Ticks:
        records = part.records[chosen]
        told = (records["flags"] & SNAPSHOT_FLAG) > 0
        flags = np.where(told, SNAPSHOT, 0)
        flags |= np.where(records["flags"] & LAST, _EVENT_END, 0)
        flags |= np.where(records["action"] == b"F", REPORT, 0)
        clears = records["action"] == b"R"
        numbers = {
            "price": self._prices(records["price"]),
            "size": np.where(clears, NULL, records["size"].astype(np.int64)),
            # What does not fit is stored as a negative number: the same 64 bits.
            "order_id": np.where(clears, NULL, records["order_id"].view(np.int64)),
            "placed_ns": np.where(told & ~clears, records["ts_event"].astype(np.int64), NULL),
        }
        texts = {
            "action": _text(records["action"], _ACTIONS),
            "side": _text(records["side"], _SIDES),
        }
        times = np.where(told, records["ts_recv"], records["ts_event"])
        return _made("book_events", part, chosen, times, numbers, flags, texts)

    def _clears(self, part: _Rows, chosen: Integers) -> Ticks:
        """Return the clears that snapshots begin with, where the file has none.

        Files made before February 2024 do not. A snapshot is the whole book, so what was there
        before is gone.
        """
        records = part.records[chosen]
        told = (records["flags"] & SNAPSHOT_FLAG) > 0
        goes_on = told & ((records["flags"] & LAST) == 0)
        order = np.argsort(records["instrument_id"], kind="stable")
        ids = records["instrument_id"][order]
        before = np.zeros(len(chosen), dtype=bool)
        before[order[1:]] = goes_on[order[:-1]]
        first = np.ones(len(chosen), dtype=bool)
        first[1:] = ids[1:] != ids[:-1]
        for place in order[first].tolist():
            before[place] = self._told.get(int(records["instrument_id"][place]), False)
        last = np.ones(len(chosen), dtype=bool)
        last[:-1] = first[1:]
        for place in order[last].tolist():
            self._told[int(records["instrument_id"][place])] = bool(goes_on[place])
        begins = chosen[told & ~before & (records["action"] != b"R")]
        count = len(begins)
        flags = np.full(count, SNAPSHOT)
        texts = {"action": constant("clear", count), "side": constant("", count)}
        times = part.records["ts_recv"][begins]
        return _made("book_events", part, begins, times, {}, flags, texts)

    def _trades(self, part: _Rows, which: NDArray[np.bool_]) -> Ticks:
        chosen = np.flatnonzero(which & part.good())
        records = part.records[chosen]
        numbers = {
            "price": self._prices(records["price"]),
            "size": records["size"].astype(np.int64),
        }
        texts = {
            "exchange": _publishers(records),
            "conditions": _text(records["side"], {side: side.decode() for side in _SIDES}),
        }
        flags = np.zeros(len(chosen))
        return _made("trades", part, chosen, records["ts_event"], numbers, flags, texts)

    def _quotes(self, part: _Rows) -> Ticks:
        bids, asks = part.records["bid_px_00"], part.records["ask_px_00"]
        both = (bids != UNDEFINED_PRICE) & (asks != UNDEFINED_PRICE)
        crossed = np.where(both, bids / 1e9 - asks / 1e9, 0.0)
        limit = np.maximum(
            self.rules.cross_absolute, self.rules.cross_relative * np.abs(asks / 1e9)
        )
        part.reject(crossed > limit + 1e-12, "crossed")
        chosen = np.flatnonzero(part.good())
        records = part.records[chosen]
        numbers = {}
        for side in ("bid", "ask"):
            prices = self._prices(records[f"{side}_px_00"])
            sizes = records[f"{side}_sz_00"].astype(np.int64)
            numbers[f"{side}_price"] = prices
            numbers[f"{side}_size"] = np.where(prices == NULL, NULL, sizes)
        texts = {"exchange": _publishers(records), "conditions": constant("", len(chosen))}
        flags = np.full(len(chosen), BID_SET | ASK_SET)
        times = _index_times(records) if part.kind in (BBO_1S, BBO_1M) else records["ts_event"]
        return _made("quotes", part, chosen, times, numbers, flags, texts)

    def _bars(self, part: _Rows) -> Ticks:
        records = part.records
        low, high = records["low"], records["high"]
        part.reject(_lacks(part, "open", "high", "low", "close"), "missing_value")
        inside = (low <= records["open"]) & (records["open"] <= high)
        inside &= (low <= records["close"]) & (records["close"] <= high)
        part.reject(~inside, "bad_bar")
        part.reject(records["volume"] >= np.uint64(1 << 63), "out_of_range")
        chosen = np.flatnonzero(part.good())
        records = records[chosen]
        numbers = {name: self._prices(records[name]) for name in ("open", "high", "low", "close")}
        numbers["volume"] = records["volume"].astype(np.int64)
        resolution = BARS[part.kind]
        texts = {
            "resolution": constant(resolution, len(chosen)),
            "side": constant("trade", len(chosen)),
        }
        flags = np.zeros(len(chosen))
        return _made("bars", part, chosen, records["ts_event"], numbers, flags, texts)

    def _prices(self, prices: NDArray[np.int64]) -> Integers:
        scaled = prices // 10 ** (9 - self.scale)
        return np.where(prices == UNDEFINED_PRICE, NULL, scaled)


def _index_times(records: NDArray[np.void]) -> NDArray[np.uint64]:
    """Return the time that a file is ordered by: of receipt, else of the event."""
    if "ts_recv" not in (records.dtype.names or ()):
        return records["ts_event"]
    return np.where(
        records["ts_recv"] == np.uint64(UNDEFINED_TIME), records["ts_event"], records["ts_recv"]
    )


def _lacks(part: _Rows, *columns: str) -> NDArray[np.bool_]:
    found = np.zeros(len(part.rows), dtype=bool)
    for column in columns:
        undefined = UNDEFINED_SIZE if column == "size" else UNDEFINED_PRICE
        found |= part.records[column] == undefined
    return found


def _made(
    kind: Kind,
    part: _Rows,
    chosen: Integers,
    times: NDArray[np.uint64],
    numbers: dict[str, Integers],
    flags: NDArray[Any],
    texts: dict[str, Text],
) -> Ticks:
    """Make ticks of chosen records, which happened at `times` (nanoseconds since 1970)."""
    records = part.records[chosen]
    ts, ns = _split(times)
    # Symbols without a tick here must not get parts of the source.
    used, codes = np.unique(part.codes[chosen], return_inverse=True)
    symbols = Text([part.names[code] for code in used.tolist()], codes.astype(np.int32))
    return Ticks(
        kind,
        ts,
        part.rows[chosen],
        numbers,
        flags.astype(np.int16),
        texts,
        symbols,
        ns,
        _split(_index_times(records))[0],
    )


def _split(times: NDArray[np.uint64]) -> tuple[Integers, NDArray[np.int16]]:
    """Return nanoseconds since 1970 as `Ticks` have them: microseconds, and what is left."""
    whole = (times // np.uint64(1000)).astype(np.int64) - dbn_messages.EPOCH_US
    return whole, (times % np.uint64(1000)).astype(np.int16)


def _idle(part: _Rows, place: int) -> Message:
    """Return a record without action, which may still say something with its flags."""
    record = part.records[place]
    detail = {name: int(record[name]) for name in ("flags", "sequence", "publisher_id")}
    return dbn_messages.message(
        int(part.rows[place]),
        part.names[part.codes[place]],
        int(record["ts_event"]),
        int(_index_times(part.records[place : place + 1])[0]),
        "book",
        "N",
        detail,
    )


def _text(column: NDArray[Any], words: Mapping[bytes, str]) -> Text:
    codes = np.zeros(len(column), dtype=np.int32)
    for code, letter in enumerate(words):
        codes[column == letter] = code
    return Text(list(words.values()), codes)


def _publishers(records: NDArray[np.void]) -> Text:
    values, codes = np.unique(records["publisher_id"], return_inverse=True)
    return Text([str(value) for value in values.tolist()] or [""], codes.astype(np.int32))
