"""ITCH messages in bulk: from frames to ticks, statuses, and what is wrong with the rest."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from tsdb_trader.feeds import itch_orders, itch_statuses
from tsdb_trader.feeds.base import (
    EPOCH,
    NULL,
    Integers,
    Kind,
    Message,
    Rejected,
    Text,
    Ticks,
    constant,
)
from tsdb_trader.feeds.itch_frames import Frames
from tsdb_trader.feeds.itch_layouts import LAYOUTS
from tsdb_trader.feeds.itch_orders import Actions, OrderTable
from tsdb_trader.feeds.itch_rows import REASONS, SIDES, WRONG, Rows, read
from tsdb_trader.feeds.itch_symbols import BAD, Symbols

NEW_YORK = ZoneInfo("America/New_York")

# What a message does to the book: the place of its action in _ACTIONS, and what it asks for.
_ACTIONS = ("add", "execute", "reduce", "delete", "replace", "clear")
_ORDER_TYPES = {
    "A": (0, itch_orders.ADD),
    "F": (0, itch_orders.ADD),
    "E": (1, itch_orders.TAKE),
    "C": (1, itch_orders.TAKE),
    "X": (2, itch_orders.TAKE),
    "D": (3, itch_orders.DELETE),
    "U": (4, itch_orders.REPLACE),
}
_NOT_AN_ORDER = -1
_VERDICTS = ("", "unknown_order", "excess_quantity", "duplicate_order")
_NOT_STATUSES = frozenset(b"AECXDUP")


def _by_type(place: int) -> NDArray[np.int8]:
    found = np.full(256, _NOT_AN_ORDER, dtype=np.int8)
    for letter, values in _ORDER_TYPES.items():
        found[ord(letter)] = values[place]
    return found


_ACTION_OF, _ASKS_OF = _by_type(0), _by_type(1)
_ACTION_OF[ord("R")] = _ACTIONS.index("clear")
_OPENING = np.isin(np.arange(256), list(b"AFR"))


@dataclass
class Decoded:
    """What some messages came to; see `base.Block`."""

    ticks: list[Ticks] = field(default_factory=list)
    messages: list[Message] = field(default_factory=list)
    rejected: list[Rejected] = field(default_factory=list)
    corrections: list[tuple[str, int]] = field(default_factory=list)


class Decoder:
    """Decodes one session of one venue: knows its symbols, its live orders, its last time.

    Parameters
    ----------
    day
        The day in New York; times are nanoseconds since its midnight.
    exchange
        What trades get as their exchange.
    """

    def __init__(self, day: date, exchange: str = "Q") -> None:
        midnight = datetime.combine(day, time(), tzinfo=NEW_YORK)
        self.midnight = (midnight.astimezone(EPOCH.tzinfo) - EPOCH) // timedelta(microseconds=1)
        self.orders = OrderTable()
        self.symbols = Symbols()
        self._opened = np.zeros(0, dtype=np.bool_)
        self._exchange = exchange
        self._last_ns = 0

    def decode(
        self,
        frames: Frames,
        numbers: Integers,
        *,
        recv_ts: Integers | None = None,
        following: int | None = None,
    ) -> Decoded:
        """Decode messages that follow those decoded before.

        Parameters
        ----------
        numbers
            The row number of each message, increasing.
        recv_ts
            When each came, as in `Ticks`; `NULL` where it is not known.
        following
            The time (ns) of the next right message after these, None if it is not known.
        """
        rows = read(frames, self.symbols)
        self._check_times(rows, following)
        self._announce(rows)
        self._apply_orders(rows)
        ts = self.midnight + rows.time_ns // 1000
        if recv_ts is None:
            recv_ts = ts
        received = np.where(recv_ts == NULL, ts, recv_ts)
        found = _Output(self, rows, numbers, ts, received, self._openings(rows))
        return Decoded(
            [ticks for ticks in (found.book_events(), found.trades()) if len(ticks)],
            found.statuses(),
            found.rejected(),
            found.corrections(),
        )

    @property
    def exchange(self) -> str:
        """What trades get as their exchange."""
        return self._exchange

    def _check_times(self, rows: Rows, following: int | None) -> None:
        """Reject what is earlier than a message before it, or later than the one after it.

        Of two messages in the wrong order the later time is not believed when the other one
        fits what came before, so that one absurd time does not take the rest of the day along.
        """
        timed = np.flatnonzero((rows.wrong == 0) | (rows.wrong > WRONG["time_backwards"]))
        if not len(timed):
            return
        times = np.append(rows.time_ns[timed], NULL if following is None else following)
        last = len(timed) if following is None else len(timed) + 1
        if times[0] >= self._last_ns and bool((np.diff(times[:last]) >= 0).all()):
            self._last_ns = int(times[len(timed) - 1])
            return
        believed = self._last_ns
        values = times[:last].tolist()
        late = np.zeros(len(timed), dtype=np.bool_)
        for i in range(len(timed)):
            after = values[i + 1] if i + 1 < last else None
            if values[i] < believed or (after is not None and believed <= after < values[i]):
                late[i] = True
            else:
                believed = values[i]
        self._last_ns = believed
        rows.wrong[timed[late]] = WRONG["time_backwards"]

    def _announce(self, rows: Rows) -> None:
        """Learn which locates mean which symbols; broken trades name a locate only.

        What counts is the last message before the broken trade that gave the locate a symbol.
        """
        named = np.flatnonzero(rows.locate >= 0)
        broken = rows.places.get(ord("B"))
        if broken is not None:
            locates = rows.records[ord("B")]["stock_locate"].astype(np.int64)
            symbols = self.symbols.of_locates(locates)
            keys = rows.locate[named] << 32 | named
            order = np.argsort(keys)
            before = np.searchsorted(keys[order], locates << 32 | broken) - 1
            near = np.append(named, -1)[np.append(order, -1)[before]]
            inside = (near >= 0) & (rows.locate[near] == locates) & (locates > 0)
            symbols[inside] = rows.symbol[near[inside]]
            rows.symbol[broken] = symbols
            rows.reject("unknown_instrument", broken, symbols == BAD)
        self.symbols.announce(rows.locate[named], rows.symbol[named])

    def _openings(self, rows: Rows) -> Integers:
        """Return the first directory message of each symbol, if no order of it came before.

        There its book is empty: orders left over from the day before are gone without a word.
        """
        self._opened = np.pad(self._opened, (0, len(self.symbols.names) - len(self._opened)))
        places = np.flatnonzero(_OPENING[rows.types] & (rows.wrong == 0))
        found: Integers = np.empty(0, dtype=np.int64)
        if ord("R") in rows.places:
            symbols, first = np.unique(rows.symbol[places], return_index=True)
            firsts = places[first]
            found = np.sort(firsts[~self._opened[symbols] & (rows.types[firsts] == ord("R"))])
        self._opened[rows.symbol[places]] = True
        return found

    def _apply_orders(self, rows: Rows) -> None:
        places = np.flatnonzero((_ASKS_OF[rows.types] != _NOT_AN_ORDER) & (rows.wrong == 0))
        columns = rows.columns
        actions = Actions(
            _ASKS_OF[rows.types[places]],
            columns["order_id"][places],
            columns["new_order_id"][places],
            columns["shares"][places],
            columns["price"][places],
            rows.symbol[places],
            rows.side[places],
        )
        stated = np.flatnonzero(rows.types[places] == ord("C"))
        prices = actions.price[stated]
        verdicts = self.orders.apply(actions)
        actions.price[stated] = prices
        columns["price"][places] = actions.price
        rows.symbol[places] = actions.symbol
        rows.side[places] = actions.side
        for verdict in range(1, len(_VERDICTS)):
            rows.reject(_VERDICTS[verdict], places, verdicts == verdict)


class _Output:
    """Turns checked rows into what a block holds."""

    def __init__(
        self,
        decoder: Decoder,
        rows: Rows,
        numbers: Integers,
        ts: Integers,
        recv_ts: Integers,
        openings: Integers,
    ) -> None:
        self._decoder = decoder
        self._rows = rows
        self._numbers = numbers
        self._ts = ts
        self._recv_ts = recv_ts
        self._openings = openings
        self._good = rows.wrong == 0

    def book_events(self) -> Ticks:
        """Return what the messages do to books."""
        rows, columns = self._rows, self._rows.columns
        places = np.flatnonzero(self._good & (_ASKS_OF[rows.types] != _NOT_AN_ORDER))
        if len(self._openings):
            places = np.sort(np.concatenate((places, self._openings)))
        action = _ACTION_OF[rows.types[places]].astype(np.int32)
        price = columns["price"][places]
        # The price of an order that is reduced has not changed.
        price[(action == _ACTIONS.index("reduce")) | (action == _ACTIONS.index("delete"))] = NULL
        numbers = {
            "price": price,
            "size": columns["shares"][places],
            "order_id": columns["order_id"][places],
            "new_order_id": columns["new_order_id"][places],
            "trade_id": columns["match_number"][places],
        }
        texts = {
            "action": Text(_ACTIONS, action),
            # The last one is of those that have no side (BAD, -1).
            "side": Text((*SIDES, ""), rows.side[places].astype(np.int32) % (len(SIDES) + 1)),
        }
        return self._ticks("book_events", places, numbers, texts)

    def trades(self) -> Ticks:
        """Return what traded: executions that print, hidden executions, crosses.

        Conditions: E an execution at the order's price, Y one at another price (printable), P an
        execution of an order that was not shown, else the type of a cross.
        """
        rows, columns = self._rows, self._rows.columns
        condition = np.full(len(rows), -1, dtype=np.int32)
        names: list[str] = []
        for letter in b"ECPQ":
            if letter not in rows.places:
                continue
            places, records = rows.places[letter], rows.records[letter]
            kinds = np.full(len(places), chr(letter).encode())
            prints = np.ones(len(places), dtype=np.bool_)
            if letter == ord("C"):
                kinds = records["printable"]
                prints = kinds == b"Y"
            if letter == ord("Q"):
                kinds = records["cross_type"]
                prints = columns["shares"][places] > 0
            found, inverse = np.unique(kinds, return_inverse=True)
            code = inverse.astype(np.int32) + np.int32(len(names))
            condition[places] = np.where(prints, code, -1)
            names += [kind.decode("latin-1") for kind in found.tolist()]
        places = np.flatnonzero(self._good & (condition >= 0))
        numbers = {
            "price": columns["price"][places],
            "size": columns["shares"][places],
            "trade_id": columns["match_number"][places],
        }
        texts = {
            "exchange": constant(self._decoder.exchange, len(places)),
            "conditions": Text(names, condition[places]),
        }
        return self._ticks("trades", places, numbers, texts)

    def _ticks(
        self,
        kind: Kind,
        places: Integers,
        numbers: dict[str, Integers],
        texts: dict[str, Text],
    ) -> Ticks:
        return Ticks(
            kind,
            self._ts[places],
            self._numbers[places],
            numbers,
            np.zeros(len(places), dtype=np.int16),
            texts,
            self._decoder.symbols.text(self._rows.symbol[places]),
            (self._rows.time_ns[places] % 1000).astype(np.int16),
            self._recv_ts[places],
        )

    def statuses(self) -> list[Message]:
        """Return everything else: also crosses without shares, and who stands behind an order."""
        found: list[Message] = []
        for letter, places in self._rows.places.items():
            if letter in _NOT_STATUSES:
                continue
            wanted = self._good[places]
            if letter == ord("Q"):
                wanted &= self._rows.columns["shares"][places] == 0
            found.extend(self._statuses(letter, places[wanted], np.flatnonzero(wanted)))
        found.sort(key=lambda message: message.seq)
        return found

    def _statuses(self, letter: int, places: Integers, which: Integers) -> Sequence[Message]:
        ns = self._rows.time_ns[places] % 1000
        times = zip(
            self._ts[places].tolist(),
            ns.tolist(),
            self._numbers[places].tolist(),
            self._recv_ts[places].tolist(),
            strict=True,
        )
        names = self._decoder.symbols.names
        symbols = [names[s] if s != BAD else None for s in self._rows.symbol[places].tolist()]
        records = self._rows.records[letter][which]
        return list(itch_statuses.messages(LAYOUTS[letter], records, symbols, times))

    def rejected(self) -> list[Rejected]:
        """Return what cannot be stored."""
        places = np.flatnonzero(~self._good).tolist()
        return [
            Rejected(int(self._numbers[i]), REASONS[self._rows.wrong[i]], self._rows.raw(i))
            for i in places
        ]

    def corrections(self) -> list[tuple[str, int]]:
        """Return the trades that are broken: symbol and match number."""
        places = self._rows.places.get(ord("B"))
        if places is None:
            return []
        places = places[self._good[places]]
        names = self._decoder.symbols.names
        symbols = [names[code] for code in self._rows.symbol[places].tolist()]
        matches = self._rows.columns["match_number"][places].tolist()
        return list(zip(symbols, matches, strict=True))
