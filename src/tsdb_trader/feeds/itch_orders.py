"""Which orders are live, and what each message does to them, a block of messages at a time.

Messages are grouped by the order they name. A group that begins with its order (added in the
block, or live before), never takes more than is left and ends with at most one delete or replace
is the rule, and is worked out in bulk. Every other group, and those that a replace ties to it, is
worked through message by message; that also defines what is right.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from tsdb_trader.feeds.base import Integers

ADD, TAKE, DELETE, REPLACE = 0, 1, 2, 3
OK, UNKNOWN, EXCESS, DUPLICATE = 0, 1, 2, 3

_Flags = NDArray[np.bool_]


@dataclass
class Orders:
    """Orders, by increasing id."""

    order_id: Integers
    price: Integers
    shares: Integers
    symbol: NDArray[np.int32]
    side: NDArray[np.int8]

    @staticmethod
    def none() -> Orders:
        """Return no orders."""
        wide = np.empty(0, dtype=np.int64)
        return Orders(wide, wide, wide, np.empty(0, np.int32), np.empty(0, np.int8))

    def __len__(self) -> int:
        return len(self.order_id)

    def part(self, rows: NDArray[np.bool_] | Integers) -> Orders:
        """Return some of the orders."""
        return Orders(*(getattr(self, f.name)[rows] for f in fields(self)))

    def merge(self, other: Orders) -> Orders:
        """Return these and other orders; no id is in both."""
        if not len(self) or not len(other):
            return self if len(self) else other
        # Where the others go. Sorting all of them anew would cost several times as much.
        places = np.searchsorted(self.order_id, other.order_id) + np.arange(len(other))
        stays = np.ones(len(self) + len(other), dtype=np.bool_)
        stays[places] = False
        merged = []
        for column in fields(self):
            mine, others = getattr(self, column.name), getattr(other, column.name)
            both = np.empty(len(stays), dtype=mine.dtype)
            both[places], both[stays] = others, mine
            merged.append(both)
        return Orders(*merged)


@dataclass
class Actions:
    """What the messages of a block ask for, in their order.

    `symbol` and `side` are given for adds; `apply` fills in those of the others, and the price of
    what is taken. `price` is that of adds and replaces.
    """

    what: NDArray[np.int8]
    order_id: Integers
    new_order_id: Integers
    shares: Integers
    price: Integers
    symbol: NDArray[np.int32]
    side: NDArray[np.int8]


class OrderTable:
    """The live orders."""

    def __init__(self) -> None:
        self.live = Orders.none()

    def __len__(self) -> int:
        return len(self.live)

    def apply(self, actions: Actions) -> NDArray[np.int8]:
        """Carry out what is right, fill in what the orders know, and say what is wrong.

        Returns
        -------
        NDArray
            `OK`, `UNKNOWN`, `EXCESS` or `DUPLICATE` of each action.
        """
        if not len(actions.what):
            return np.empty(0, dtype=np.int8)
        found = _Groups(actions, self.live)
        odd = found.odd()
        verdict = np.zeros(len(actions.what), dtype=np.int8)
        added, gone = found.settle(odd)
        if odd.any():
            known = found.known[odd & (found.known >= 0)]
            live = _as_dictionary(self.live.part(known))
            for row in np.flatnonzero(odd[found.first_group]).tolist():
                verdict[row] = _step(live, actions, row)
            added = added.merge(_as_orders(live))
            gone = np.concatenate((gone, known))
        kept = self.live
        if len(gone):
            keep = np.ones(len(kept), dtype=np.bool_)
            keep[gone] = False
            kept = kept.part(keep)
        self.live = kept.merge(added)
        return verdict


def _as_dictionary(orders: Orders) -> dict[int, list[int]]:
    """Return [price, shares, symbol, side] of each order."""
    columns = (orders.price, orders.shares, orders.symbol, orders.side)
    values = zip(*(column.tolist() for column in columns), strict=True)
    return {i: list(row) for i, row in zip(orders.order_id.tolist(), values, strict=True)}


def _step(live: dict[int, list[int]], actions: Actions, row: int) -> int:
    """Carry out one action on orders as in `_as_dictionary`; return the verdict."""
    what, order_id = int(actions.what[row]), int(actions.order_id[row])
    shares, price = int(actions.shares[row]), int(actions.price[row])
    if what == ADD:
        if order_id in live:
            return DUPLICATE
        live[order_id] = [price, shares, int(actions.symbol[row]), int(actions.side[row])]
        return OK
    order = live.get(order_id)
    if order is None:
        return UNKNOWN
    if what == TAKE and shares > order[1]:
        return EXCESS
    if what == REPLACE and (new := int(actions.new_order_id[row])) in live:
        return DUPLICATE
    actions.symbol[row], actions.side[row] = order[2], order[3]
    if what == TAKE:
        actions.price[row] = order[0]
        order[1] -= shares
        if not order[1]:
            del live[order_id]
        return OK
    del live[order_id]
    if what == REPLACE:
        live[new] = [price, shares, order[2], order[3]]
    return OK


def _as_orders(live: dict[int, list[int]]) -> Orders:
    ids = sorted(live)
    columns = np.array([live[i] for i in ids], dtype=np.int64).reshape(len(ids), 4).T
    return Orders(
        np.array(ids, dtype=np.int64),
        columns[0],
        columns[1],
        columns[2].astype(np.int32),
        columns[3].astype(np.int8),
    )


class _Groups:
    """The steps of a block, sorted by order id; a replace is two, its second adds the new id.

    Attributes
    ----------
    first_group
        The group of each action's (first) step.
    known
        Of each group its row among the live orders, -1 where it has none.
    """

    def __init__(self, actions: Actions, live: Orders) -> None:
        self._actions = actions
        self._live = live
        count = len(actions.what)
        replaces = np.flatnonzero(actions.what == REPLACE)
        row = np.repeat(np.arange(count), np.where(actions.what == REPLACE, 2, 1))
        second = np.zeros(len(row), dtype=np.bool_)
        second[1:] = row[1:] == row[:-1]
        ids = actions.order_id[row]
        ids[second] = actions.new_order_id[replaces]
        order = _sorted(ids)
        self._row, self._second, ids = row[order], second[order], ids[order]
        begins = np.ones(len(ids), dtype=np.bool_)
        begins[1:] = ids[1:] != ids[:-1]
        self._begin = np.flatnonzero(begins)
        self._end = np.append(self._begin[1:], len(ids)) - 1
        self._group = np.cumsum(begins) - 1
        self._begins = begins
        self.ids = ids[self._begin]
        self.first_group = np.empty(count, dtype=np.int64)
        firsts = ~self._second
        self.first_group[self._row[firsts]] = self._group[firsts]
        # Of each replace, the groups of its old and its new id.
        new_group = np.empty(count, dtype=np.int64)
        new_group[self._row[self._second]] = self._group[self._second]
        self._old, self._new = self.first_group[replaces], new_group[replaces]
        place = np.searchsorted(live.order_id, self.ids)
        there = np.zeros(len(place), dtype=np.bool_)
        inside = place < len(live)
        there[inside] = live.order_id[place[inside]] == self.ids[inside]
        self.known = np.where(there, place, -1)
        self._measure()

    def _measure(self) -> None:
        """Work out what each group starts with, and what is left before and after each step."""
        what = self._actions.what[self._row]
        self._adds = (what == ADD) | self._second
        self._kills = (what >= DELETE) & ~self._second
        self._origin = self._row[self._begin]
        self._starts_new = self._adds[self._begin]
        known = np.maximum(self.known, 0) if len(self._live) else None
        self._price = self._actions.price[self._origin]
        shares = self._actions.shares[self._origin]
        if known is not None:
            self._price = np.where(self._starts_new, self._price, self._live.price[known])
            shares = np.where(self._starts_new, shares, self._live.shares[known])
        taken = np.where(what == TAKE, self._actions.shares[self._row], 0)
        total = np.cumsum(taken)
        before = total - taken
        base = before[self._begin]
        self._left_before = shares[self._group] - (before - base[self._group])
        self._left_after = self._left_before - taken

    def odd(self) -> _Flags:
        """Mark the groups that are not plain, and all that a replace ties to them."""
        wrong = self._left_after < 0
        wrong |= self._adds & ~self._begins
        wrong |= ~self._adds & (self._left_before <= 0)
        ends = np.zeros(len(self._row), dtype=np.bool_)
        ends[self._end] = True
        wrong |= self._kills & ~ends
        odd = np.zeros(len(self.ids), dtype=np.bool_)
        odd[self._group[wrong]] = True
        odd |= self._starts_new == (self.known >= 0)
        while odd.any():
            differ = odd[self._old] != odd[self._new]
            if not differ.any():
                break
            odd[self._old[differ]] = True
            odd[self._new[differ]] = True
        return odd

    def settle(self, odd: _Flags) -> tuple[Orders, Integers]:
        """Fill in the actions of plain groups, and what is left of those that were live before.

        Returns
        -------
        tuple
            The orders of plain groups that are new, and the rows of the live ones that are gone.
        """
        actions, live = self._actions, self._live
        symbol, side = actions.symbol[self._origin], actions.side[self._origin]
        was_live = self.known >= 0
        symbol[was_live] = live.symbol[self.known[was_live]]
        side[was_live] = live.side[self.known[was_live]]
        # A replaced order has the symbol and side of the one before it, and so on to the first.
        ancestor = np.arange(len(self.ids))
        ancestor[self._new] = self._old
        ancestor[odd] = np.flatnonzero(odd)
        while ((further := ancestor[ancestor]) != ancestor).any():
            ancestor = further
        symbol, side = symbol[ancestor], side[ancestor]
        plain = ~odd[self.first_group]
        group = self.first_group[plain]
        actions.symbol[plain] = symbol[group]
        actions.side[plain] = side[group]
        takes = plain & (actions.what == TAKE)
        actions.price[takes] = self._price[self.first_group[takes]]
        left = np.where(self._kills[self._end], 0, self._left_after[self._end])
        alive = (left > 0) & ~odd
        still = alive & was_live
        live.shares[self.known[still]] = left[still]
        new = np.flatnonzero(alive & ~was_live)
        added = Orders(self.ids[new], self._price[new], left[new], symbol[new], side[new])
        return added, self.known[was_live & ~alive & ~odd]


def _sorted(ids: Integers) -> Integers:
    """Return the stable order of ids that are not negative."""
    bits = len(ids).bit_length()
    lowest = int(ids.min())
    if (int(ids.max()) - lowest).bit_length() + bits < 63:
        # Sorting values is several times faster than sorting places by value.
        places = ((ids - lowest) << bits) | np.arange(len(ids))
        places.sort()
        return places & ((1 << bits) - 1)
    return np.argsort(ids, kind="stable")
