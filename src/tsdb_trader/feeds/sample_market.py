"""A synthetic stock market: what moves prices, and the rows an exchange feed makes of it.

Prices: the two stocks of a pair share one path, a Brownian bridge through their mean daily move,
and one of them adds an Ornstein-Uhlenbeck spread, so their log prices are cointegrated with ratio
1. Activity: a Hawkes process (Hawkes 1971, "Spectra of some self-exciting and mutually exciting
point processes") with exponential kernel and a base rate that is U-shaped over the day. Trades
hit bid or ask with persistent signs, which gives the bounce (Roll 1984).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

OPEN_MS = 34_200_000
DAY_S = 23_400
TICK = 100
"""One cent, in the files' scale of 1/10,000."""

SPREAD_BPS = 25.0
SPREAD_HALF_LIFE_S = 240.0
_PATH_BPS = 90.0
_EVENTS_PER_S = 0.72
_BRANCHING = 0.6
_DECAY_MS = 400.0
_EXCHANGES = np.array(["N", "Q", "P", "Z", "K", "Y", "B"])
_EXCHANGE_WEIGHTS = (0.34, 0.26, 0.14, 0.1, 0.08, 0.05, 0.03)


@dataclass(frozen=True)
class Rows:
    """Columns of a file, in file order."""

    columns: dict[str, NDArray[np.generic]]

    def __len__(self) -> int:
        return len(next(iter(self.columns.values())))


@dataclass(frozen=True)
class Outage:
    """When the feed was silent, in ms since midnight."""

    start: int
    stop: int


def bridge(rng: np.random.Generator, start: float, stop: float, seconds: int) -> Floats:
    """Return a path of log prices, one point per second, from start to stop."""
    scale = _PATH_BPS / 1e4 / np.sqrt(DAY_S)
    walk = np.concatenate(([0.0], np.cumsum(rng.normal(0.0, scale, seconds))))
    share = np.linspace(0.0, 1.0, seconds + 1)
    return np.asarray(start + walk + share * (stop - start - walk[-1]))


def mean_reverting(rng: np.random.Generator, seconds: int) -> Floats:
    """Return a stationary Ornstein-Uhlenbeck spread of log prices, one point per second."""
    keep = 0.5 ** (1.0 / SPREAD_HALF_LIFE_S)
    scale = SPREAD_BPS / 1e4
    shocks = rng.normal(0.0, scale * np.sqrt(1.0 - keep * keep), seconds + 1)
    shocks[0] = rng.normal(0.0, scale)
    path = np.empty(seconds + 1)
    level = 0.0
    for i, shock in enumerate(shocks.tolist()):
        level = level * keep + shock
        path[i] = level
    return path


def arrivals(rng: np.random.Generator, seconds: int) -> Integers:
    """Return event times of a self-exciting process, in ms since the open, sorted.

    Simulated by its clusters (Hawkes and Oakes 1974): each event has a Poisson number of children
    at exponential distances.
    """
    expected = _EVENTS_PER_S * seconds
    # U-shape by thinning: busiest at the open, then at the close.
    raw = rng.uniform(0.0, 1.0, rng.poisson(expected * 2.2))
    shape = 0.32 + 0.68 * np.exp(-raw / 0.06) + 0.5 * np.exp(-(1.0 - raw) / 0.08)
    generation = raw[rng.uniform(0.0, 1.18, len(raw)) < shape] * seconds * 1000.0
    clusters = [generation]
    while len(generation):
        children = rng.poisson(_BRANCHING, len(generation))
        generation = np.repeat(generation, children)
        generation = generation + rng.exponential(_DECAY_MS, len(generation))
        clusters.append(generation)
    times = np.concatenate(clusters)
    return np.sort(times[times < seconds * 1000.0]).astype(np.int64)


def stock_day(
    rng: np.random.Generator, log_price: Floats, outages: list[Outage]
) -> tuple[Rows, Rows]:
    """Return a stock's quote and trade rows of a day, given its log price at every second."""
    seconds = len(log_price) - 1
    times = arrivals(rng, seconds)
    price = np.exp(np.interp(times / 1000.0, np.arange(seconds + 1), log_price)) * 1e4
    # Wide after the open, then mostly one or two ticks.
    half = 0.45 + rng.exponential(0.35, len(times)) + 2.5 * np.exp(-times / 240_000.0)
    # Dear stocks have spreads of more ticks.
    half *= TICK * np.maximum(1.0, price / 1_000_000.0)
    bid = (np.floor((price - half) / TICK) * TICK).astype(np.int64)
    ask = (np.ceil((price + half) / TICK) * TICK).astype(np.int64)
    times += OPEN_MS
    quotes = _with_extended_hours(rng, _quotes(rng, times, bid, ask), log_price, seconds)
    trades = _trades(rng, times, bid, ask)
    return _silenced(quotes, outages), _silenced(trades, outages)


def _exchange(rng: np.random.Generator, rows: int) -> NDArray[np.str_]:
    return np.asarray(_EXCHANGES[rng.choice(len(_EXCHANGES), rows, p=_EXCHANGE_WEIGHTS)])


def _lots(rng: np.random.Generator, rows: int, median: float) -> Integers:
    return np.asarray(np.ceil(rng.lognormal(np.log(median), 1.0, rows)) * 100).astype(np.int64)


def _one_sided(
    rng: np.random.Generator, ms: Integers, price: Integers, is_bid: NDArray[np.bool_]
) -> Rows:
    size = _lots(rng, len(ms), 3.0)
    zero = np.zeros_like(price)
    return Rows(
        {
            "ms": ms,
            "bid": np.where(is_bid, price, zero),
            "bid_size": np.where(is_bid, size, zero),
            "ask": np.where(is_bid, zero, price),
            "ask_size": np.where(is_bid, zero, size),
            "exchange": _exchange(rng, len(ms)),
            "condition": np.full(len(ms), "1"),
            "suspicious": np.zeros(len(ms), dtype=np.int64),
        }
    )


def _taken(rows: Rows, index: Integers | NDArray[np.bool_]) -> Rows:
    return Rows({name: column[index] for name, column in rows.columns.items()})


def _quotes(rng: np.random.Generator, times: Integers, bid: Integers, ask: Integers) -> Rows:
    """Each event renews one side or both, on rows of their own; a tenth is sent twice."""
    which = rng.uniform(size=len(times))
    on_bid, on_ask = np.flatnonzero(which < 0.75), np.flatnonzero(which > 0.25)
    event = np.concatenate((on_bid, on_ask))
    is_bid = np.arange(len(event)) < len(on_bid)
    order = np.lexsort((rng.uniform(size=len(event)), event))
    event, is_bid = event[order], is_bid[order]
    # Venues away from the best price show up now and then.
    away = TICK * rng.choice(3, len(event), p=(0.86, 0.11, 0.03))
    price = np.where(is_bid, bid[event] - away, ask[event] + away)
    rows = _one_sided(rng, times[event], price, is_bid)
    copies = 1 + rng.choice(3, len(event), p=(0.92, 0.06, 0.02))
    return _taken(rows, np.repeat(np.arange(len(event)), copies))


def _trades(rng: np.random.Generator, times: Integers, bid: Integers, ask: Integers) -> Rows:
    event = np.flatnonzero(rng.uniform(size=len(times)) < 0.3)
    # The side stays with probability 0.65: order flow comes in runs.
    flips = rng.uniform(size=len(event)) < 0.35
    buys = np.cumsum(flips) % 2 == 0
    ms = times[event] + rng.integers(0, 2, len(event))
    odd = rng.uniform(size=len(event)) < 0.25
    size = np.where(odd, rng.integers(1, 100, len(event)), _lots(rng, len(event), 1.2))
    rows = Rows(
        {
            "ms": ms,
            "price": np.where(buys, ask[event], bid[event]),
            "size": size,
            "exchange": _exchange(rng, len(event)),
            "condition": np.where(odd, "20000020", "1"),
            "suspicious": np.zeros(len(event), dtype=np.int64),
        }
    )
    copies = 1 + rng.choice(4, len(event), p=(0.88, 0.07, 0.03, 0.02))
    index = np.repeat(np.arange(len(event)), copies)
    return _taken(rows, index[np.argsort(ms[index], kind="stable")])


def _with_extended_hours(
    rng: np.random.Generator, rows: Rows, log_price: Floats, seconds: int
) -> Rows:
    """Add a few wide quotes before the open and after the close."""

    def wide(start: int, stop: int, level: float) -> Rows:
        ms = np.sort(rng.integers(start, stop, 40))
        is_bid = rng.uniform(size=len(ms)) < 0.5
        away = rng.integers(20, 200, len(ms)) * TICK
        middle = int(np.exp(level) * 1e4) // TICK * TICK
        price = np.where(is_bid, np.maximum(middle - away, TICK), middle + away)
        return _one_sided(rng, ms, price, is_bid)

    close = OPEN_MS + seconds * 1000
    parts = (
        wide(OPEN_MS - 3_600_000, OPEN_MS, float(log_price[0])),
        rows,
        wide(close, close + 3_600_000, float(log_price[-1])),
    )
    return Rows({n: np.concatenate([p.columns[n] for p in parts]) for n in rows.columns})


def _silenced(rows: Rows, outages: list[Outage]) -> Rows:
    ms = rows.columns["ms"].astype(np.int64)
    heard = np.ones(len(ms), dtype=np.bool_)
    for outage in outages:
        heard &= (ms < outage.start) | (ms >= outage.stop)
    return _taken(rows, heard)
