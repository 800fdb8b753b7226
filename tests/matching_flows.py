"""Flows of orders and quotes that meet each other often, made from a seed.

A strategy of single steps draws flows in which little meets. A seed gives dense ones, and the
beginning of a flow does not depend on its length, so a failure shrinks to the step that shows it.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import islice
from random import Random

from matching_checks import Cancel, EndOfDay, New, Reference, Replace, Step
from tsdb_trader.venue.matching_values import (
    Matching,
    Order,
    PegReference,
    Phase,
    Quote,
    Rules,
    SelfTrade,
    Terms,
    TimeInForce,
)

START = datetime(2020, 1, 2, 9, 30, tzinfo=UTC)
TICK = 2
_LOW, _HIGH = 46, 54
_STANDING = (TimeInForce.DAY, TimeInForce.GTC, TimeInForce.GTD)


def make_rules(random: Random) -> Rules:
    """Return rules of a book."""
    return Rules(
        random.choice([*Matching]),
        TICK,
        random.choice([1, 2]),
        random.choice([*SelfTrade]),
        random.choice([0, 0, 2]),
        random.random() < 0.5,
        random.choice([None, None, 300]),
        random.choice([None, None, 500]),
        random.random() < 0.5,
    )


def make_flow(random: Random, length: int, dark: bool = False) -> list[Step]:
    """Return a flow of some length; in a dark book most terms are those it takes."""
    return list(islice(_steps(random, dark), length))


def make_plain_flow(random: Random, length: int) -> list[Step]:
    """Return a flow of what the slow book knows, in few prices."""
    return list(islice(_plain_steps(random), length))


def _plain_steps(random: Random) -> Iterator[Step]:
    times = (TimeInForce.IOC, TimeInForce.FOK, *(4 * [TimeInForce.DAY]))
    while True:
        chance = random.random()
        limit = random.choice([None, *range(97, 105), *range(97, 105)])
        display = None if limit is None else random.choice([None, None, 1, 3])
        if chance < 0.6:
            tif = random.choice(times)
            order = Order(0, random.random() < 0.5, limit, random.randint(1, 12), tif)
            order.display = display
            plain = limit is not None and tif is TimeInForce.DAY
            order.post_only = plain and random.random() < 0.1
            yield New(order)
        elif chance < 0.75:
            bid = random.randint(97, 103)
            ask = bid + random.randint(0, 3)
            yield Quote(bid, random.choice([0, 2, 5, 9]), ask, random.choice([0, 2, 5, 9]))
        elif chance < 0.9:
            yield Replace(
                random.randrange(60), Terms(random.randint(1, 12), limit, display=display)
            )
        else:
            yield Cancel(random.randrange(60))


def _steps(random: Random, dark: bool) -> Iterator[Step]:
    yield _quote(random, dark)
    while True:
        chance = random.random()
        if chance < 0.60:
            yield New(_order(random, dark))
        elif chance < 0.75:
            yield _quote(random, dark)
        elif chance < 0.84:
            yield Replace(random.randrange(60), _terms(random, dark))
        elif chance < 0.90:
            yield Cancel(random.randrange(60))
        elif chance < 0.96:
            # More often than not trading is continuous.
            yield random.choice([*Phase, *(4 * [Phase.CONTINUOUS])])
        elif chance < 0.98:
            yield _time(random)
        else:
            yield random.choice([EndOfDay(), Reference(_price(random))])


def _price(random: Random) -> int:
    return TICK * random.randint(_LOW, _HIGH)


def _time(random: Random) -> datetime:
    return START + timedelta(minutes=random.randint(0, 30))


def _quote(random: Random, dark: bool) -> Quote:
    # Half units show in a dark book only.
    tick = 1 if dark else TICK
    bid = random.randint(96, 102) // tick * tick
    ask = bid + tick * random.choice([0, 1, 1, 2, 3])
    return Quote(bid, random.choice([0, 1, 5, 9]), ask, random.choice([0, 1, 5, 9]))


def _order(random: Random, dark: bool) -> Order:
    """Return an order whose terms mostly, but not always, make sense."""
    kind = random.choice(["limit", "limit", "limit", "limit", "market", "stop", "peg"])
    if dark:
        kind = random.choice(["limit", "limit", "market", "midpoint", "midpoint", kind])
    tif = random.choice([*TimeInForce, *(9 * [TimeInForce.DAY])])
    limit = _price(random)
    if kind == "market" or (kind != "limit" and random.random() < 0.5):
        limit = None
    order = Order(0, random.random() < 0.5, limit, random.randint(1, 12), tif)
    order.participant = random.choice(["", "A", "A", "B", "C"])
    if kind == "stop":
        order.stop = _price(random)
    if kind == "midpoint":
        order.peg = PegReference.MIDPOINT
    if kind == "peg":
        order.peg = random.choice([*PegReference])
        order.peg_offset = random.choice([0, 0, 0, TICK, -TICK])
    if tif is TimeInForce.GTD:
        order.expire_at = _time(random)
    if kind in ("limit", "peg") and not dark:
        order.display = random.choice([None, None, None, 1, 2, 5])
        order.post_only = random.random() < 0.15 and tif not in (TimeInForce.IOC, TimeInForce.FOK)
    if random.random() < (0.4 if dark else 0.1):
        order.min_quantity = min(order.quantity, random.choice([2, 4, 8]))
    return order


def _terms(random: Random, dark: bool) -> Terms:
    tif = random.choice(_STANDING)
    return Terms(
        random.randint(1, 12),
        random.choice([None, _price(random), _price(random), _price(random)]),
        random.choice([None, None, None, _price(random)]),
        0,
        None if dark else random.choice([None, None, 1, 2, 5]),
        random.choice([0, 0, 1, 2]),
        tif,
        _time(random) if tif is TimeInForce.GTD else None,
    )
