"""One instrument of a FIX feed: its book, its numbers, and what to do when some are missing.

A row is the update of one RptSeq. While numbers follow each other, updates change the book. When
some are missing the book is not to be trusted: updates are held back until a snapshot tells the
book as of its own number; of those before it only the trades are stored, the rest is quarantined,
and what never came is recorded as a gap. So a row is never guessed, and never stored twice.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from tsdb_trader.feeds.base import (
    ASK_SET,
    BID_SET,
    NULL,
    SNAPSHOT,
    Definition,
    Kind,
    Rejected,
    Rules,
)
from tsdb_trader.fix.market_data_codec import (
    BID,
    CHANGE,
    DELETE,
    NEW,
    OFFER,
    TRADE,
    Entry,
    Stamp,
    UnusableError,
    Update,
)
from tsdb_trader.fix.market_data_rows import Rows, Tick

MOST_HELD = 10_000
_SIDES = {BID: "bid", OFFER: "ask"}
_ACTIONS = {NEW: "add", CHANGE: "modify", DELETE: "delete"}


@dataclass(frozen=True, slots=True)
class Line:
    """A line of the book."""

    side: str
    price: int
    size: int


@dataclass(frozen=True, slots=True)
class Received:
    """An update with the time we saw it (microseconds since `EPOCH`) and its message's text."""

    update: Update
    recv: int
    raw: str


@dataclass(frozen=True)
class Storing:
    """What becomes of the updates of a feed; `best_only`: each side of its books is one line."""

    kinds: frozenset[Kind]
    best_only: bool
    exchange: str
    scales: Definition
    rules: Rules


class Book:
    """The book and the rows of one content; rows given out by `take` are done with."""

    def __init__(self, symbol: str, next_row: int, storing: Storing) -> None:
        self.symbol = symbol
        self.synced = False
        self.asked_at: float | None = None
        self._storing = storing
        self._rows = Rows(symbol, next_row)
        self._lines: dict[str, Line] = {}
        self._best: tuple[int, int, int, int] | None = None
        self._held: dict[int, Received] = {}
        self._last = Stamp(0)

    @property
    def next_row(self) -> int:
        """The row that is expected."""
        return self._rows.stop

    def take(self) -> Rows | None:
        """Return the rows that were read since the last time."""
        rows = self._rows
        if rows.empty:
            return None
        self._rows = Rows(self.symbol, rows.stop)
        return rows

    def change(self, received: Received) -> bool:
        """Take an incremental update; False when the book needs a snapshot."""
        row = self._row(received)
        if row < self.next_row or row in self._held:
            self._rows.duplicates += 1
        elif self.synced and row == self.next_row:
            self.synced = self._apply(received)
        else:
            self.synced = False
            self._held[row] = received
            if len(self._held) >= MOST_HELD:
                self.give_up()
        return self.synced

    def snapshot(self, received: Received) -> bool:
        """Take a full refresh; False when the book still needs another one."""
        row = self._row(received)
        known = row < self.next_row
        try:
            entries = received.update.entries(self._storing.scales)
            self._check_times(entries, received)
        except UnusableError as error:
            if row in self._held:
                self._release(row)
            elif not known:
                self._release(row - 1)
                self._refuse(row, received, error)
            return False
        self._release(row - 1)
        trades = self._held.pop(row, None)
        self._lines = {
            self._name(entry): Line(entry.kind, entry.price, entry.size)
            for entry in entries
            if entry.kind in _SIDES
        }
        if known:
            self._rows.duplicates += 1
            self._best = self._find_best()
        else:
            self._store_snapshot(row, received, entries, trades)
        self.synced, self.asked_at = True, None
        for held in [self._held.pop(n) for n in sorted(self._held)]:
            self.change(held)
        return self.synced

    def give_up(self) -> None:
        """Finish the updates that are held back: no snapshot will tell about them."""
        if self._held:
            self._release(max(self._held))

    # Rows -------------------------------------------------------------------------------------

    def _row(self, received: Received) -> int:
        number = received.update.number
        return self.next_row + len(self._held) if number is None else number

    def _release(self, until: int) -> None:
        """Finish every row up to one; of updates held back, trades can be stored."""
        for row in sorted(number for number in self._held if number <= until):
            self._rows.miss(row)
            self._store_trades_only(row, self._held.pop(row))
        self._rows.miss(until + 1)

    def _apply(self, received: Received) -> bool:
        """Apply the update that follows; False when the book cannot be trusted after it."""
        row = self.next_row
        try:
            entries = received.update.entries(self._storing.scales)
            self._check_times(entries, received)
            changed = self._changed(entries)
        except UnusableError as error:
            self._refuse(row, received, error)
            return False
        ticks = self._trades(row, received, entries)
        if "book_events" in self._storing.kinds:
            ticks += self._events(row, received, entries)
        self._lines = changed
        stamp = max((entry.stamp for entry in entries), key=lambda s: (s.ts, s.ns))
        flags = sum(
            flag
            for flag, side in ((BID_SET, BID), (ASK_SET, OFFER))
            if any(entry.kind == side for entry in entries)
        )
        gone = [entry for entry in entries if entry.kind == TRADE and entry.action == DELETE]
        self._rows.corrections += [(self.symbol, _number(entry.name)) for entry in gone]
        self._finish(row, received, ticks, stamp, flags)
        return True

    def _store_snapshot(
        self, row: int, received: Received, entries: Sequence[Entry], trades: Received | None
    ) -> None:
        shown = [entry for entry in entries if entry.kind in _SIDES]
        stamp = max((entry.stamp for entry in shown), key=lambda s: (s.ts, s.ns), default=None)
        if stamp is None:
            # An empty book has no time of its own.
            stamp = self._last if self._last.ts else Stamp(received.recv)
        ticks: list[Tick] = []
        if trades is not None:
            try:
                told = trades.update.entries(self._storing.scales)
                ticks += self._trades(row, trades, told)
            except UnusableError as error:
                self._refuse(row, trades, error)
                return
        if "book_events" in self._storing.kinds:
            ticks.append(self._event(row, received, stamp, "clear", None, SNAPSHOT))
            ticks += [
                self._event(row, received, entry.stamp, "add", entry, SNAPSHOT) for entry in shown
            ]
        self._best = None
        self._finish(row, received, ticks, stamp, BID_SET | ASK_SET)

    def _finish(
        self,
        row: int,
        received: Received,
        ticks: list[Tick],
        stamp: Stamp,
        flags: int,
    ) -> None:
        """Add the best prices where they changed, or where nothing else tells of the row."""
        best = self._find_best()
        if self._crossed(best):
            text = f"bid {best[0]} above offer {best[2]}"
            self._refuse(row, received, UnusableError("crossed", text))
            return
        if (best != self._best or not ticks) and "quotes" in self._storing.kinds:
            ticks.append(self._quote(row, received, stamp, best, flags))
        self._best, self._last = best, stamp
        if not ticks:
            self._refuse(row, received, UnusableError("malformed", "nothing of a kind we store"))
            return
        self._rows.ticks += ticks
        self._rows.stop = row + 1

    def _store_trades_only(self, row: int, received: Received) -> None:
        """Store the trades of an update whose changes to the book can no longer be applied."""
        try:
            ticks = self._trades(row, received, received.update.entries(self._storing.scales))
            if not ticks:
                raise UnusableError("book_unknown", "the book before it is not known")
        except UnusableError as error:
            self._refuse(row, received, error)
            return
        self._rows.ticks += ticks
        self._rows.stop = row + 1

    def _refuse(self, row: int, received: Received, error: UnusableError) -> None:
        raw = f"{error}: {received.raw}"
        self._rows.rejected.append(Rejected(row, error.reason, raw))
        self._rows.stop = row + 1

    # What an update says ----------------------------------------------------------------------

    def _check_times(self, entries: Iterable[Entry], received: Received) -> None:
        latest = received.recv + int(self._storing.rules.future_s * 1_000_000)
        for entry in entries:
            if not _EPOCH_1970 <= entry.stamp.ts <= latest:
                raise UnusableError("absurd_time", f"{entry.stamp.ts} µs since 2000")

    def _changed(self, entries: Iterable[Entry]) -> dict[str, Line]:
        """Return the lines after an update."""
        lines = dict(self._lines)
        for entry in entries:
            if entry.kind == TRADE:
                if entry.action == CHANGE or (
                    entry.action == DELETE and _number(entry.name) == NULL
                ):
                    raise UnusableError("malformed", f"a trade {entry.name} that changes")
                continue
            name = self._find(lines, entry)
            if entry.action == NEW:
                lines[name] = Line(entry.kind, entry.price, entry.size)
            elif name not in lines:
                raise UnusableError("unknown_order", f"no entry {name} in the book")
            elif entry.action == CHANGE:
                lines[name] = Line(entry.kind, entry.price, entry.size)
            else:
                del lines[name]
        return lines

    def _name(self, entry: Entry) -> str:
        """Return the name of a new line."""
        return entry.kind if self._storing.best_only else entry.name or _level(entry)

    def _find(self, lines: dict[str, Line], entry: Entry) -> str:
        """Return the name of the line that an entry is about; one without a name means a price."""
        name = self._name(entry)
        if name not in lines and entry.action != NEW and _level(entry) in lines:
            return _level(entry)
        return name

    def _trades(self, row: int, received: Received, entries: Iterable[Entry]) -> list[Tick]:
        if "trades" not in self._storing.kinds:
            return []
        texts = {"exchange": self._storing.exchange, "conditions": ""}
        return [
            Tick(
                "trades",
                row,
                entry.stamp,
                received.recv,
                {"price": entry.price, "size": entry.size, "trade_id": _number(entry.name)},
                texts,
            )
            for entry in entries
            if entry.kind == TRADE and entry.action == NEW
        ]

    def _events(self, row: int, received: Received, entries: Iterable[Entry]) -> list[Tick]:
        events = []
        for entry in entries:
            if entry.kind not in _SIDES:
                continue
            named = entry
            if entry.price == NULL:
                # A delete that names its line only.
                old = self._lines[self._find(self._lines, entry)]
                named = replace(entry, price=old.price, size=old.size)
            action = _ACTIONS[entry.action]
            events.append(self._event(row, received, entry.stamp, action, named, 0))
        return events

    def _event(
        self,
        row: int,
        received: Received,
        stamp: Stamp,
        action: str,
        entry: Entry | None,
        flags: int,
    ) -> Tick:
        numbers = {"price": NULL, "size": NULL, "order_id": NULL}
        side = ""
        if entry is not None:
            numbers = {"price": entry.price, "size": entry.size, "order_id": _order_id(entry)}
            side = _SIDES[entry.kind]
        texts = {"action": action, "side": side}
        return Tick("book_events", row, stamp, received.recv, numbers, texts, flags)

    def _quote(
        self, row: int, received: Received, stamp: Stamp, best: tuple[int, ...], flags: int
    ) -> Tick:
        columns = ("bid_price", "bid_size", "ask_price", "ask_size")
        texts = {"exchange": self._storing.exchange, "conditions": ""}
        numbers = dict(zip(columns, best, strict=True))
        return Tick("quotes", row, stamp, received.recv, numbers, texts, flags)

    def _find_best(self) -> tuple[int, int, int, int]:
        """Return price and size of the best bid and offer, `NULL` for a side without any."""
        found: list[int] = []
        for side, best in ((BID, max), (OFFER, min)):
            prices = [line.price for line in self._lines.values() if line.side == side]
            price = best(prices, default=NULL)
            size = sum(
                line.size
                for line in self._lines.values()
                if line.side == side and line.price == price
            )
            found += (price, size if prices else NULL)
        return found[0], found[1], found[2], found[3]

    def _crossed(self, best: tuple[int, int, int, int]) -> bool:
        """Say whether bid and offer are crossed by more than both tolerances."""
        bid, offer = best[0], best[2]
        if NULL in (bid, offer) or bid <= offer:
            return False
        rules, by = self._storing.rules, bid - offer
        unit: int = 10**self._storing.scales.price_scale
        return by > rules.cross_absolute * unit and by > rules.cross_relative * offer


_EPOCH_1970 = -946_684_800_000_000


def _level(entry: Entry) -> str:
    return f"{entry.kind}@{entry.price}"


def _number(name: str) -> int:
    return int(name) if name.isascii() and name.isdigit() and len(name) < 19 else NULL


def _order_id(entry: Entry) -> int:
    """Return a number for a line: its own, or one of its price where it has none."""
    number = _number(entry.name)
    if number != NULL or entry.price == NULL:
        return number
    return entry.price * 2 + (entry.kind == OFFER)
