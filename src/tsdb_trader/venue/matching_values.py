"""Orders, quotes and rules as a book sees them: integers of the instrument, no clock, no I/O.

What kind an order is follows from its prices: with `stop` it is a stop order (a stop-limit order
with `limit`), with `peg` a pegged order (`limit` its worst price), otherwise a limit order with
`limit` and a market order without.
"""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass
from datetime import datetime
from enum import StrEnum
from typing import NamedTuple


class TimeInForce(StrEnum):
    """How long an order may wait."""

    DAY = "day"
    GTC = "gtc"
    GTD = "gtd"
    IOC = "ioc"
    FOK = "fok"
    AT_OPEN = "at_open"
    AT_CLOSE = "at_close"


class Status(StrEnum):
    """Where an order stands in its book."""

    WORKING = "working"
    FILLED = "filled"
    CANCELLED = "cancelled"
    REJECTED = "rejected"
    EXPIRED = "expired"


class PegReference(StrEnum):
    """What a pegged order follows in the quote: its own side, the middle, the other side."""

    PRIMARY = "primary"
    MIDPOINT = "midpoint"
    MARKET = "market"


class Phase(StrEnum):
    """What a book does with orders now; in the three auction phases they rest without matching."""

    PRE_OPEN = "pre_open"
    AUCTION = "auction"
    CLOSING = "closing"
    CONTINUOUS = "continuous"
    HALTED = "halted"
    CLOSED = "closed"


AUCTIONS = frozenset({Phase.PRE_OPEN, Phase.AUCTION, Phase.CLOSING})
AT_ONCE = frozenset({TimeInForce.IOC, TimeInForce.FOK})
AUCTION_ONLY = frozenset({TimeInForce.AT_OPEN, TimeInForce.AT_CLOSE})


class Matching(StrEnum):
    """How a book shares what comes among what rests."""

    PRICE_TIME = "price_time"
    PRO_RATA = "pro_rata"
    MIDPOINT = "midpoint"


class SelfTrade(StrEnum):
    """What happens instead of a trade between two orders of one participant."""

    ALLOW = "allow"
    CANCEL_RESTING = "cancel_resting"
    CANCEL_INCOMING = "cancel_incoming"
    CANCEL_BOTH = "cancel_both"
    DECREMENT = "decrement"


class Reason(StrEnum):
    """Why an order was rejected or cancelled, expired or reduced, or a request was refused."""

    REQUESTED = "requested"
    UNKNOWN_ORDER = "unknown order"
    CONTRADICTION = "the terms contradict each other"
    UNSUPPORTED = "not possible in this book"
    NO_AUCTION = "not possible during an auction"
    TOO_LATE = "its auction is over"
    HALTED = "trading is halted"
    CLOSED = "the market is closed"
    NO_MARKET = "no market"
    PRICE_BAND = "outside the price band"
    POST_ONLY = "would take liquidity"
    MIN_QUANTITY = "minimum quantity not reached"
    NOTHING_MORE = "nothing more to take"
    SELF_TRADE = "would trade with the same participant"
    EXPIRE_TIME = "expire time reached"
    END_OF_DAY = "end of the trading day"
    AUCTION_OVER = "not executed in its auction"


@dataclass(frozen=True, slots=True)
class Quote:
    """Both sides of the external market; prices positive, sizes not negative, bid <= ask."""

    bid_price: int
    bid_size: int
    ask_price: int
    ask_size: int


@dataclass(slots=True)
class Display:
    """One side of the quote: its price and size, what is left of it, and its time priority."""

    price: int
    size: int
    left: int
    rank: int


@dataclass(slots=True)
class Order:
    """An order in a book: its terms, and what the book has made of it.

    `limit` is None for a market order. The book keeps `remaining`, `rank` (time priority),
    `status`, `shown` (what is displayed of it, of an iceberg the tip), `triggered` (a stop),
    `price` (where it stands: its limit, the price of a peg; None while it has none) and `top` (it
    opened the best price of its side). A journal that holds all fields restores the order.
    `quantity` less `remaining` is what was filled.
    """

    order_no: int
    is_buy: bool
    limit: int | None
    quantity: int
    time_in_force: TimeInForce = TimeInForce.DAY
    remaining: int = -1
    rank: int = 0
    status: Status = Status.WORKING
    _: KW_ONLY
    participant: str = ""
    stop: int | None = None
    peg: PegReference | None = None
    peg_offset: int = 0
    post_only: bool = False
    display: int | None = None
    min_quantity: int = 0
    expire_at: datetime | None = None
    shown: int = 0
    triggered: bool = False
    price: int | None = None
    top: bool = False

    def __post_init__(self) -> None:
        if self.remaining < 0:
            self.remaining = self.quantity

    @property
    def filled(self) -> int:
        """Return what was executed."""
        return self.quantity - self.remaining


@dataclass(frozen=True, slots=True)
class Terms:
    """Everything a replace may change; it states all of it, also what stays.

    `quantity` is the whole quantity of the order, with what was filled.
    """

    quantity: int
    limit: int | None
    stop: int | None = None
    peg_offset: int = 0
    display: int | None = None
    min_quantity: int = 0
    time_in_force: TimeInForce = TimeInForce.DAY
    expire_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Rules:
    """How a book works; fixed for its life.

    Parameters
    ----------
    matching
        Price-time, pro rata, or a dark book at the midpoint.
    tick, lot
        Pegs and auctions round prices to `tick`, pro rata shares are multiples of `lot`.
    self_trade
        What prevents trades between two orders of one participant.
    minimum_share
        Pro rata: smaller shares of the first pass are zero.
    top_order
        Pro rata: the order that opened the best price of its side goes first.
    static_band, dynamic_band
        Widths in basis points around the reference price, and around the market; None for none.
    quote_in_auctions
        Whether the replayed quote takes part in auctions, as two limit orders.
    """

    matching: Matching = Matching.PRICE_TIME
    tick: int = 1
    lot: int = 1
    self_trade: SelfTrade = SelfTrade.ALLOW
    minimum_share: int = 0
    top_order: bool = False
    static_band: int | None = None
    dynamic_band: int | None = None
    quote_in_auctions: bool = True


@dataclass(frozen=True, slots=True)
class BookState:
    """What a book knows besides its rules and its orders: with them it can be restored.

    `last` is the price of its last trade, `reference` the price that the static band and auctions
    refer to. The two sides of the quote are copies.
    """

    bid: Display | None = None
    ask: Display | None = None
    next_rank: int = 1
    phase: Phase = Phase.CONTINUOUS
    last: int | None = None
    reference: int | None = None


class Line(NamedTuple):
    """One price of a side as displayed: how much, in how many orders (the quote counts as one)."""

    price: int
    quantity: int
    orders: int


class Depth(NamedTuple):
    """What a book displays, the best prices first."""

    bids: tuple[Line, ...]
    asks: tuple[Line, ...]


class Indicative(NamedTuple):
    """What an auction would do now; `imbalance` is buys less sells left over at the price."""

    price: int
    volume: int
    imbalance: int
