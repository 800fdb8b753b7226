"""How a pro rata book shares a quantity among the orders at one price.

After CME Globex Matching Algorithm Steps (CME Group client systems documentation, 2023, "Pro
Rata", "TOP", "FIFO - Exception"; rounding from the advisory notice of 2005-02-07):

1. What takes everything at the price, hidden quantity included, fills by time alone.
2. With `top_order`, the order that opened the best price of its side goes first.
3. Each gets its part by displayed size, rounded down to lots; a part below `minimum_share` is
   nothing.
4. What is left goes by time, to each at most what it displays.

Unlike CME's, the top order keeps its place when a better price comes and goes.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

from tsdb_trader.venue.matching_levels import Level
from tsdb_trader.venue.matching_values import Display, Order, Rules

Allotment: TypeAlias = tuple[Order | None, int]
"""Who gets how much; None is the external quote."""


def shares(quantity: int, sizes: Sequence[int], lot: int, minimum: int) -> list[int]:
    """Return the part of `quantity` that each of `sizes` gets, the oldest first.

    They sum to `quantity`, or to all sizes if that is less, and none is more than its size.
    """
    total = sum(sizes)
    if quantity >= total:
        return list(sizes)
    parts = [quantity * size // total // lot * lot for size in sizes]
    parts = [part if part >= minimum else 0 for part in parts]
    left = quantity - sum(parts)
    for place, size in enumerate(sizes):
        more = min(left, size - parts[place])
        parts[place] += more
        left -= more
    return parts


def allot(level: Level, quantity: int, display: Display | None, rules: Rules) -> list[Allotment]:
    """Return who at a level gets how much of `quantity`; `display` if the quote stands there too.

    Less than `quantity` is allotted when what is displayed does not suffice: icebergs refresh
    before the next round.
    """
    orders = list(level.orders.values())
    quoted = display.left if display is not None else 0
    if quantity >= level.total + quoted:
        return _by_time([(order, order.remaining) for order in orders], display)
    allotted: list[Allotment] = []
    if rules.top_order and orders[0].top:
        top = orders.pop(0)
        allotted.append((top, min(quantity, top.shown)))
        quantity -= allotted[0][1]
    sharing = _by_time([(order, order.shown) for order in orders], display)
    parts = shares(quantity, [size for _, size in sharing], rules.lot, rules.minimum_share)
    allotted += [(who, part) for (who, _), part in zip(sharing, parts, strict=True)]
    return [(who, part) for who, part in allotted if part]


def _by_time(orders: list[tuple[Order, int]], display: Display | None) -> list[Allotment]:
    """Put the quote's side where its time priority belongs."""
    if display is None:
        return list(orders)
    at = next((n for n, (order, _) in enumerate(orders) if order.rank > display.rank), len(orders))
    return [*orders[:at], (None, display.left), *orders[at:]]
