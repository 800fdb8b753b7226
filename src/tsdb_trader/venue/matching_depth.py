"""What a displayed book shows."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain, islice

from tsdb_trader.venue.matching_levels import Side
from tsdb_trader.venue.matching_lit import Lit
from tsdb_trader.venue.matching_market import Market
from tsdb_trader.venue.matching_values import Depth, Display, Line, Order


def displayed(lit: Lit) -> Iterator[Order]:
    """Yield the displayed orders, buys before sells, in priority."""
    for level in chain(lit.trading.buys.walk(), lit.trading.sells.walk()):
        yield from level.orders.values()


def by_price(lit: Lit, market: Market, levels: int | None) -> Depth:
    """Return what is displayed by price, the quote included, up to some levels a side."""
    bids = _lines(lit.trading.buys, market.bid)
    asks = _lines(lit.trading.sells, market.ask)
    return Depth(tuple(islice(bids, levels)), tuple(islice(asks, levels)))


def _lines(side: Side, display: Display | None) -> Iterator[Line]:
    sign = -1 if side.is_buy else 1
    quote = display if display is not None and display.left else None
    for level in side.walk():
        shown, count = level.shown, len(level.orders)
        if quote is not None and sign * quote.price <= sign * level.price:
            if quote.price == level.price:
                shown, count = shown + quote.left, count + 1
            else:
                yield Line(quote.price, quote.left, 1)
            quote = None
        yield Line(level.price, shown, count)
    if quote is not None:
        yield Line(quote.price, quote.left, 1)
