"""The pairs strategy and its simulation over daily bars in numpy, day by day over all pairs at once.

Written from the header of `signal.step_pairs` and of `backtest.run`, not from their code; used by
tests as the figures to meet and by the benchmark as the vectorised program to beat.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]
DAY_S = 86_400.0


@dataclass(frozen=True)
class Events:
    """One row per decision: index of the day, pair, name, and the target of both legs from then."""

    day: npt.NDArray[np.int64]
    pair: npt.NDArray[np.int64]
    name: npt.NDArray[np.str_]
    quantity_a: Array
    quantity_b: Array


def score(
    seconds: Array, mids_a: Array, mids_b: Array, parameters: Mapping[str, Array]
) -> tuple[Array, Array, Array]:
    """Return z-scores by day (row) and pair (column), NaN where nothing may be traded, and the mids.

    A NaN mid is a leg without news, a NaN mean one that is not known.
    """
    p = parameters
    mid_a, mid_b, at_a, at_b, seen, mean, spread, warm = np.full((8, mids_a.shape[1]), np.nan)
    scores, last_a, last_b = np.full((3, *mids_a.shape), np.nan)
    for day, now in enumerate(seconds):
        has_a, has_b = ~np.isnan(mids_a[day]), ~np.isnan(mids_b[day])
        news = has_a | has_b
        gap, elapsed = now - np.fmin(at_a, at_b), now - seen
        mid_a, at_a = np.where(has_a, mids_a[day], mid_a), np.where(has_a, now, at_a)
        mid_b, at_b = np.where(has_b, mids_b[day], mid_b), np.where(has_b, now, at_b)
        seen = np.where(news, now, seen)
        live = news & ~np.isnan(mid_a) & ~np.isnan(mid_b)
        before = spread
        spread = np.where(live, np.log(mid_a) - p["hedge_ratio"] * np.log(mid_b), spread)
        first = live & np.isnan(before)
        far = np.abs(spread - p["mean"]) >= p["entry"] * p["deviation"]
        lost = first & (np.isnan(p["mean"]) | far) | live & ~first & (gap > p["max_gap_s"])
        moved = mean + (before - mean) * (1 - np.exp2(-elapsed / p["half_life_s"]))
        mean = np.where(live, np.where(first, p["mean"], moved), mean)
        mean = np.where(lost, spread, mean)
        warm = np.where(lost, now, warm)
        ready = live & ~(now - warm < p["warm_up_s"])
        warm = np.where(ready, np.nan, warm)
        scores[day] = np.where(ready, (spread - mean) / p["deviation"], np.nan)
        last_a[day], last_b[day] = mid_a, mid_b
    return scores, last_a, last_b


def decide(seconds: Array, mids_a: Array, mids_b: Array, parameters: Mapping[str, Array]) -> Events:
    """Step every pair (a column) on every day (a row); NaN is a leg without news, or no mean."""
    p = parameters
    scores, last_a, last_b = score(seconds, mids_a, mids_b, p)
    target, held_a, held_b, stopped = np.zeros((4, scores.shape[1]))
    found: list[tuple[npt.NDArray[np.generic], ...]] = []
    for day, z in enumerate(scores):
        sign, away = -np.sign(z), -target * z
        # Comparisons with NaN are false: nothing happens where nothing may be traded.
        stops = (target != 0) & (away >= p["stop"])
        exits = (target != 0) & ~stops & (away <= p["exit"])
        waits = (target == 0) & (stopped != 0)
        free = (target == 0) & (stopped == 0)
        too_far = free & (np.abs(z) >= p["stop"])
        wanted_a = sign * np.trunc(p["notional"] / last_a[day])
        wanted_b = -sign * np.trunc(p["notional"] * p["hedge_ratio"] / last_b[day])
        enters = free & ~too_far & (np.abs(z) >= p["entry"]) & (wanted_a != 0) & (wanted_b != 0)
        leaves = stops | exits
        stopped = np.where(leaves, np.where(stops, -target, 0), stopped)
        stopped = np.where(waits & (stopped * z <= p["exit"]), 0, stopped)
        stopped = np.where(too_far, np.sign(z), stopped)
        target = np.where(enters, sign, np.where(leaves, 0, target))
        held_a = np.where(enters, wanted_a, np.where(leaves, 0, held_a))
        held_b = np.where(enters, wanted_b, np.where(leaves, 0, held_b))
        if (changed := np.flatnonzero(enters | leaves)).size:
            entry = np.where(sign > 0, "enter_long", "enter_short")
            name = np.where(stops, "stop", np.where(exits, "exit", entry))
            rows = np.full(changed.size, day), changed, name[changed]
            found.append((*rows, held_a[changed], held_b[changed]))
    if not found:
        none = np.zeros(0)
        return Events(none.astype(np.int64), none.astype(np.int64), none.astype(str), none, none)
    day, pair, name, held_a, held_b = (
        np.concatenate(column) for column in zip(*found, strict=True)
    )
    return Events(day, pair, name, held_a, held_b)


@dataclass(frozen=True)
class Costs:
    """The figures of a cost model that bars have."""

    half_spread_bps: float = 0.0
    slippage_bps: float = 0.0
    fee_per_share: float = 0.0
    impact_coefficient: float = 0.0
    impact_exponent: float = 0.5
    impact_days: int = 20


@dataclass(frozen=True)
class Fills:
    """One row per fill, ordered by day of decision, pair and leg; day: that of the fill."""

    decided: npt.NDArray[np.int64]
    day: npt.NDArray[np.int64]
    instrument: npt.NDArray[np.int64]
    quantity: Array
    price: Array
    fee: Array


def fill(
    events: Events,
    legs: npt.NDArray[np.int64],
    opens: Array,
    closes: Array,
    volumes: Array,
    costs: Costs,
) -> Fills:
    """Fill the changes of targets at the next open; at the last close where there is none."""
    order = np.lexsort((events.day, events.pair))
    pair, day = events.pair[order], events.day[order]
    quantity = np.stack([events.quantity_a[order], events.quantity_b[order]], axis=1)
    begins = np.r_[True, pair[1:] != pair[:-1]][:, None] if len(pair) else np.zeros((0, 1), bool)
    delta = quantity - np.where(begins, 0, np.roll(quantity, 1, axis=0))
    flat = np.lexsort((np.tile([0, 1], len(pair)), np.repeat(pair, 2), np.repeat(day, 2)))
    decided, delta = np.repeat(day, 2)[flat], delta.reshape(-1)[flat]
    instrument = legs[pair].reshape(-1)[flat]
    chosen = delta != 0
    decided, delta, instrument = decided[chosen], delta[chosen], instrument[chosen]

    count = len(opens)
    later = np.where(np.isnan(opens), count, np.arange(count)[:, None])
    next_open = np.minimum.accumulate(later[::-1], axis=0)[::-1]
    after = np.vstack([next_open[1:], np.full((1, opens.shape[1]), count)])[decided, instrument]
    there = after < count
    day = np.where(there, after, np.minimum(decided + 1, count - 1))
    marks = carry(closes)
    reference = np.where(
        there, opens[np.minimum(after, count - 1), instrument], marks[decided, instrument]
    )
    share = (costs.half_spread_bps + costs.slippage_bps) / 1e4
    known = np.where(there, after - 1, decided)
    impact = np.zeros(len(delta))
    if costs.impact_coefficient > 0:
        impact = [
            measure_impact(marks[: k + 1, i], volumes[: k + 1, i], q, costs)
            for k, i, q in zip(known, instrument, delta, strict=True)
        ]
    price = reference * (1 + np.sign(delta) * (share + np.asarray(impact)))
    return Fills(decided, day, instrument, delta, price, np.abs(delta) * costs.fee_per_share)


def measure_impact(marks: Array, volumes: Array, quantity: float, costs: Costs) -> float:
    """Return the impact of an order after the given marks and volumes, 0 where unknown."""
    recent = marks[-costs.impact_days - 1 :]
    recent = recent[~np.isnan(recent)]
    traded = volumes[-costs.impact_days :]
    traded = traded[~np.isnan(traded)]
    if len(recent) < 3 or not len(traded) or traded.mean() == 0:
        return 0.0
    volatility = np.diff(np.log(recent)).std(ddof=1)
    share = (abs(quantity) / traded.mean()) ** costs.impact_exponent
    return float(costs.impact_coefficient * volatility * share)


def carry(closes: Array) -> Array:
    """Return the last close known on each day."""
    rows = np.where(np.isnan(closes), -1, np.arange(len(closes))[:, None])
    last = np.maximum.accumulate(rows, axis=0)
    return np.where(last < 0, np.nan, np.take_along_axis(closes, np.maximum(last, 0), axis=0))


def equity(fills: Fills, closes: Array, capital: float) -> Array:
    """Return the equity at the close of every day."""
    held = np.zeros(closes.shape)
    np.add.at(held, (fills.day, fills.instrument), fills.quantity)
    cash = np.zeros(len(closes))
    np.add.at(cash, fills.day, -fills.quantity * fills.price - fills.fee)
    worth = np.cumsum(held, axis=0) * np.nan_to_num(carry(closes))
    return capital + np.cumsum(cash) + worth.sum(axis=1)
