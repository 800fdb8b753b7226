"""Auctions of a displayed book: one price for everybody, after a phase without matching.

The price is (Deutsche Börse, Market Model for the Trading Venue Xetra, T7 7.1, 2019, on the price
determination in auctions)

1. the one at which most is executed; of several
2. the one with the least left over; of several
3. the highest if buys are left over at all of them, the lowest if sells are; otherwise
4. the one nearest to the reference price, which may lie between two limits.

The reference price is the last trade, else the reference set from outside, else the middle of the
quote. Market orders are executed first, then the better limits; among equals the orders made for
this auction, then the older ones. Icebergs take part with their whole quantity. The quote takes
part as two limit orders for what it displays, unless the rules of the book say otherwise or it is
locked. Stop and pegged orders take no part.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from itertools import accumulate
from typing import NamedTuple

from tsdb_trader.venue.matching_events import Fill, Uncrossed
from tsdb_trader.venue.matching_lit import Lit
from tsdb_trader.venue.matching_market import Market
from tsdb_trader.venue.matching_values import Indicative, Order, Phase, Status, TimeInForce

_MADE_FOR = {Phase.PRE_OPEN: TimeInForce.AT_OPEN, Phase.CLOSING: TimeInForce.AT_CLOSE}


class Interest(NamedTuple):
    """What takes part in an auction: an order, or a side of the quote (`order` None)."""

    order: Order | None
    limit: int | None
    quantity: int
    rank: int
    made_for_it: bool = False


class Pair(NamedTuple):
    """Two interests that trade."""

    buy: Interest
    sell: Interest
    quantity: int


def indicative(lit: Lit, market: Market) -> Indicative | None:
    """Return what an auction would do now; None if nothing would trade."""
    buys, sells = _take_part(lit, market)
    return find_price(buys, sells, _reference(market), market.rules.tick)


def uncross(lit: Lit, market: Market) -> int | None:
    """Execute what can be executed at one price, and return the price; None if nothing can."""
    while True:
        buys, sells = _take_part(lit, market)
        found = find_price(buys, sells, _reference(market), market.rules.tick)
        if found is None:
            return None
        pairs = list(pair_up(buys, sells, found.price))
        own = _first_own(market, pairs)
        if own is None:
            break
        younger, older = sorted(own, key=lambda order: -order.rank)
        lit.prevention.prevent(younger, older)
    market.events.append(Uncrossed(*found))
    for pair in pairs:
        _execute(lit, market, pair, found.price)
    market.last = market.reference = found.price
    return found.price


def find_price(
    buys: Iterable[Interest], sells: Iterable[Interest], reference: int | None, tick: int
) -> Indicative | None:
    """Return the price of an auction, what it executes and what it leaves over."""
    demand, supply = _by_limit(buys), _by_limit(sells)
    any_buys, any_sells = demand.pop(None, 0), supply.pop(None, 0)
    prices = sorted(price for price in demand.keys() | supply.keys() if price is not None)
    if not prices:
        volume = min(any_buys, any_sells)
        if reference is None or not volume:
            return None
        return Indicative(reference, volume, any_buys - any_sells)
    selling = list(accumulate((supply[p] for p in prices), initial=any_sells))[1:]
    buying = list(accumulate((demand[p] for p in reversed(prices)), initial=any_buys))[:0:-1]
    volume = max(map(min, buying, selling))
    if not volume:
        return None
    most = [n for n in range(len(prices)) if min(buying[n], selling[n]) == volume]
    least = min(abs(buying[n] - selling[n]) for n in most)
    tied = [n for n in most if abs(buying[n] - selling[n]) == least]
    price = _choose(
        prices[tied[0]], prices[tied[-1]], [buying[n] - selling[n] for n in tied], reference, tick
    )
    # Between two limits stand the buys of the one above and the sells of the one below.
    bought = any_buys + sum(size for p, size in demand.items() if p is not None and p >= price)
    sold = any_sells + sum(size for p, size in supply.items() if p is not None and p <= price)
    return Indicative(price, volume, bought - sold)


def _choose(low: int, high: int, left: Sequence[int], reference: int | None, tick: int) -> int:
    """Return one of the prices from `low` to `high`, given what each limit among them leaves."""
    if all(imbalance > 0 for imbalance in left):
        return high
    if all(imbalance < 0 for imbalance in left):
        return low
    if reference is None:
        return max(low, (low + high) // (2 * tick) * tick)
    return min(max(reference, low), high)


def pair_up(buys: Iterable[Interest], sells: Iterable[Interest], price: int) -> Iterator[Pair]:
    """Yield who trades with whom at a price, by priority."""
    buyers = _in_priority([b for b in buys if b.limit is None or b.limit >= price], -1)
    sellers = _in_priority([s for s in sells if s.limit is None or s.limit <= price], 1)
    i = j = bought = sold = 0
    while i < len(buyers) and j < len(sellers):
        buy, sell = buyers[i], sellers[j]
        quantity = min(buy.quantity - bought, sell.quantity - sold)
        yield Pair(buy, sell, quantity)
        bought, sold = bought + quantity, sold + quantity
        if bought == buy.quantity:
            i, bought = i + 1, 0
        if sold == sell.quantity:
            j, sold = j + 1, 0


def _in_priority(interests: list[Interest], sign: int) -> list[Interest]:
    return sorted(
        interests,
        key=lambda i: (i.limit is not None, sign * (i.limit or 0), not i.made_for_it, i.rank),
    )


def _by_limit(interests: Iterable[Interest]) -> Counter[int | None]:
    sizes: Counter[int | None] = Counter()
    for interest in interests:
        sizes[interest.limit] += interest.quantity
    return sizes


def _take_part(lit: Lit, market: Market) -> tuple[list[Interest], list[Interest]]:
    sides: tuple[list[Interest], list[Interest]] = [], []
    for side, found in zip((lit.trading.buys, lit.trading.sells), sides, strict=True):
        resting = [order for level in side.walk() for order in level.orders.values()]
        for order in (*side.market.values(), *resting):
            found.append(Interest(order, order.limit, order.remaining, order.rank))
    made_for_it = _MADE_FOR.get(market.phase)
    for order in lit.auction_only.values():
        if order.time_in_force is made_for_it:
            interest = Interest(order, order.limit, order.remaining, order.rank, True)
            sides[0 if order.is_buy else 1].append(interest)
    bid, ask = market.bid, market.ask
    if market.rules.quote_in_auctions and bid and ask and bid.price < ask.price:
        for display, found in ((bid, sides[0]), (ask, sides[1])):
            if display.left:
                found.append(Interest(None, display.price, display.left, display.rank))
    return sides


def _reference(market: Market) -> int | None:
    if market.last is not None:
        return market.last
    if market.reference is not None:
        return market.reference
    if market.bid is None or market.ask is None:
        return None
    tick = market.rules.tick
    return (market.bid.price + market.ask.price) // (2 * tick) * tick


def _first_own(market: Market, pairs: Iterable[Pair]) -> tuple[Order, Order] | None:
    for buy, sell, _ in pairs:
        if buy.order is None or sell.order is None:
            continue
        if market.same_participant(buy.order, sell.order):
            return buy.order, sell.order
    return None


def _execute(lit: Lit, market: Market, pair: Pair, price: int) -> None:
    orders = [interest.order for interest in (pair.buy, pair.sell) if interest.order is not None]
    counter_no = orders[1].order_no if len(orders) > 1 else None
    fill = Fill(orders[0].order_no, counter_no, price, pair.quantity, took=False)
    market.events.append(fill)
    for interest, display in ((pair.buy, market.bid), (pair.sell, market.ask)):
        order = interest.order
        if order is None:
            if display is not None:
                display.left -= pair.quantity
        elif order.remaining == pair.quantity:
            lit.remove(order)
            order.remaining = order.shown = 0
            order.status = Status.FILLED
        else:
            left = order.remaining - pair.quantity
            lit.reduce(order, pair.quantity, min(left, order.display or left))
