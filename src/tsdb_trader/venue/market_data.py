"""What a venue shows of its books, pure: numbered changes for every way of looking at a book.

A `View` is one way of looking at the book of an instrument in a trading session: best prices, price
levels or single orders, and which entries of them. Each view numbers its updates from 1 without a
gap (RptSeq), whoever listens, and goes on for as long as the process: a participant that was away
sees from the number of its snapshot how many updates it missed. A new process starts new views
under new names (TradingSessionSubID), so numbers of two of them cannot be mistaken for each other.

The market of a session is its quotes, as the venue's matching sees them (what its own trades took
from a quote is gone), its resting limit orders, and its own trades. Trades of the recorded feed are
not the venue's, and are not shown. Waiting market orders have no price, and are not shown either.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import NamedTuple, TypeAlias
from uuid import UUID

from tsdb_trader.api.venue_market import Instrument
from tsdb_trader.venue import protocol
from tsdb_trader.venue.matching import Book

BID, OFFER, TRADE = "0", "1", "2"
NEW, CHANGE, DELETE = "0", "1", "2"
Pairs: TypeAlias = tuple[tuple[int, str], ...]

# Below these stand the two sides of the quote, as if each were an order.
_ORDER_IDS_FROM = 10


@dataclass(frozen=True, slots=True)
class MarketMessage:
    """A message of market data: its body, and the entries of its one repeating group.

    `count_tag` 0 is a message without a group.
    """

    fix_session: str
    msg_type: str
    body: Pairs
    count_tag: int = 0
    groups: tuple[Pairs, ...] = ()


class Entry(NamedTuple):
    """One line of a book as shown: integers of the instrument, and the number of orders in it."""

    side: str
    price: int
    size: int
    orders: int


@dataclass(frozen=True, slots=True)
class Trade:
    """A trade of the venue, in units of the instrument: number and time of its first report."""

    number: int
    price: Decimal
    quantity: int
    ts: datetime


@dataclass(frozen=True, slots=True)
class Look:
    """What a participant wants to see: MarketDepth (0 full), AggregatedBook, entry types."""

    depth: int
    aggregated: bool
    types: str


def single_orders(book: Book) -> dict[str, Entry]:
    """Return the orders of a book and the sides of its quote, by MDEntryID."""
    shown = {}
    for name, side, display in (("1", BID, book.bid), ("2", OFFER, book.ask)):
        if display is not None and display.left:
            shown[name] = Entry(side, display.price, display.left, 1)
    for order in book.displayed():
        if order.price is not None:
            side = BID if order.is_buy else OFFER
            name = str(_ORDER_IDS_FROM + order.order_no)
            shown[name] = Entry(side, order.price, order.shown, 1)
    return shown


def price_levels(entries: Mapping[str, Entry]) -> dict[str, Entry]:
    """Return the same book by price, best bid first, then best offer first."""
    levels: dict[str, Entry] = {}
    for side, price, size, orders in entries.values():
        name = f"{'B' if side == BID else 'A'}{price}"
        old = levels.get(name, Entry(side, price, 0, 0))
        levels[name] = Entry(side, price, old.size + size, old.orders + orders)
    rank = {BID: -1, OFFER: 1}
    order = sorted(levels.items(), key=lambda e: (e[1].side, rank[e[1].side] * e[1].price))
    return dict(order)


def look_at(book: Book, look: Look) -> dict[str, Entry]:
    """Return what a look shows of a book, by MDEntryID; at depth 1 a side is its own id."""
    shown = single_orders(book)
    if look.aggregated or look.depth == 1:
        shown = price_levels(shown)
    if look.depth == 1:
        best: dict[str, Entry] = {}
        for entry in shown.values():
            best.setdefault(entry.side, entry)
        shown = best
    return {name: entry for name, entry in shown.items() if entry.side in look.types}


@dataclass(slots=True)
class View:
    """A look at the book of an instrument in a session, with its numbers."""

    session_id: UUID
    instrument: Instrument
    look: Look
    name: str
    number: int = 0
    shown: dict[str, Entry] = field(default_factory=dict)
    ts: datetime | None = None
    last_trade: Trade | None = None

    def start(self, book: Book, ts: datetime | None) -> None:
        """Take the book as it is, without an update: whoever asks gets a snapshot."""
        self.shown, self.ts = look_at(book, self.look), ts
        self.number = 1 if self.shown else 0

    def update(self, book: Book, trades: Sequence[Trade], ts: datetime) -> tuple[Pairs, ...]:
        """Return the entries of the update that brings the view to the book; none if it is."""
        now = look_at(book, self.look)
        changes: list[tuple[str, str, Entry | Trade]] = []
        if TRADE in self.look.types:
            changes += [(NEW, str(trade.number), trade) for trade in trades]
            self.last_trade = trades[-1] if trades else self.last_trade
        changes += [(DELETE, name, old) for name, old in self.shown.items() if name not in now]
        for name, entry in now.items():
            old = self.shown.get(name)
            if old != entry:
                changes.append((NEW if old is None else CHANGE, name, entry))
        self.shown = now
        if not changes:
            return ()
        self.number, self.ts = self.number + 1, ts
        return tuple(self._change(action, name, what) for action, name, what in changes)

    def snapshot(self) -> tuple[Pairs, ...]:
        """Return the entries of a full refresh."""
        # A full refresh has no MDEntryID: OrderID says which entry later changes are about.
        entries: list[Pairs] = [
            ((269, entry.side), *self._terms(entry), *self._where(self.ts), (37, name))
            for name, entry in self.shown.items()
        ]
        if self.last_trade is not None:
            trade = self.last_trade
            where = self._where(trade.ts)
            entries.append(((269, TRADE), *self._terms(trade), *where, (37, str(trade.number))))
        return tuple(entries)

    def _change(self, action: str, name: str, what: Entry | Trade) -> Pairs:
        kind, ts = (TRADE, what.ts) if isinstance(what, Trade) else (what.side, self.ts)
        return (
            (279, action),
            (269, kind),
            (278, name),
            (55, self.instrument.symbol),
            *self._terms(what),
            *self._where(ts),
            (83, str(self.number)),
        )

    def _terms(self, what: Entry | Trade) -> Pairs:
        price = Decimal(what.price).scaleb(-self.instrument.price_scale)
        size = what.quantity if isinstance(what, Trade) else what.size
        quantity = Decimal(size).scaleb(-self.instrument.size_scale)
        orders = () if isinstance(what, Trade) else ((346, str(what.orders)),)
        return (
            (270, protocol.number_text(price)),
            (271, protocol.number_text(quantity)),
            *orders,
        )

    def _where(self, ts: datetime | None) -> Pairs:
        """Return when an entry came about, and the view that it stands in."""
        when: Pairs = ()
        if ts is not None:
            stamp = protocol.exact_time_text(ts)
            when = ((272, stamp[:8]), (273, stamp[9:]))
        return (*when, (336, str(self.session_id)), (625, self.name))
