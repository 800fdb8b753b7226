"""Which pairs to trade, from the daily closes of a formation period.

A symbol is used if it has a close on the first and the last day of the period, lacks no more days
than allowed between them (the last close is carried on, as the strategy does), and has no jump that
looks like a split, a spin-off or a bad tick. Of all pairs of the symbols, or those within a sector,
`choose` keeps the best; see `Method`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from statsmodels.stats.multitest import multipletests

from tsdb_trader.api.calibration import Closes, Jump, Refusal
from tsdb_trader.errors import InputError
from tsdb_trader.research import cointegration
from tsdb_trader.research.cointegration import Statistics

Array = npt.NDArray[np.float64]

Method = Literal["distance", "cointegration", "both"]
"""distance: the least squared distance of normalised prices; cointegration: the least p-value;
both: the least distance among those that pass the test and revert in time."""
Hedge = Literal["ols", "rolling", "kalman", "one"]

# Beyond, one leg is hardly a hedge of the other, and a negative one puts both on the same side.
MIN_HEDGE, MAX_HEDGE = 0.2, 5.0
# A rise by a whole number is a reverse split rather than news.
_REVERSE_SPLIT_FROM, _REVERSE_SPLIT_WITHIN = 1.9, 0.05
_JUMPS = {
    "bad_tick": "a close that the next day takes back",
    "distribution": "an unadjusted split or spin-off",
}


_COLLINEAR = ("collinear", "the legs move as one: there is no spread to trade")
_UNTESTABLE = ("degenerate", "the spread hardly ever changes, or without any noise: it has no test")


@dataclass(frozen=True)
class Rules:
    """What a pair must fulfil, days being trading days; docs/calibration.md says why."""

    method: Method = "both"
    top: int | None = 50
    per_symbol: int | None = 5
    max_p: float = 0.05
    fdr: float | None = None
    fdr_method: Literal["bh", "by"] = "bh"
    max_half_life: float = 60.0
    min_days: int = 120
    max_missing: int = 5
    lags: int = 1


@dataclass(frozen=True)
class Universe:
    """The symbols that can be used: closes by symbol and day."""

    days: list[date]
    instrument_ids: list[int]
    symbols: list[str]
    closes: Array


@dataclass(frozen=True)
class Chosen:
    """The pairs to trade, the best first, and what became of the others."""

    statistics: Statistics
    p_bh: Array
    p_by: Array
    tested: int
    eligible: int
    passed_over: dict[str, int]
    refusals: list[Refusal]


def trading_days(series: Sequence[Closes]) -> list[date]:
    """Return the days on which at least half as many symbols have a close as on the fullest."""
    counts = Counter(day for one in series for day in one.dates)
    most = max(counts.values(), default=0)
    return sorted(day for day, count in counts.items() if 2 * count >= most)


def build_universe(
    series: Sequence[Closes], jumps: Sequence[Jump], rules: Rules
) -> tuple[Universe, list[Refusal]]:
    """Return the symbols that can be used, and why the others cannot.

    Raises
    ------
    InputError
        The period has fewer trading days than `Rules.min_days`.
    """
    days = trading_days(series)
    if len(days) < rules.min_days:
        raise InputError(f"{len(days)} of at least {rules.min_days} trading days have closes")
    places = {day: n for n, day in enumerate(days)}
    suspects = {jump.instrument_id: why for jump in reversed(jumps) if (why := _suspect(jump))}
    kept: list[Closes] = []
    rows: list[Array] = []
    refusals: list[Refusal] = []
    for one in series:
        row = np.full(len(days), np.nan)
        for day, close in zip(one.dates, one.closes, strict=True):
            if day in places:
                row[places[day]] = close
        problem = (
            ("bad_action", one.problem)
            if one.problem is not None
            else _problem(row, days, rules) or suspects.get(one.instrument_id)
        )
        if problem is not None:
            refusals.append(Refusal(one.instrument_id, None, *problem))
            continue
        # The last close is carried on.
        seen = np.maximum.accumulate(np.where(np.isnan(row), 0, np.arange(row.size)))
        kept.append(one)
        rows.append(row[seen])
    closes = np.array(rows) if rows else np.empty((0, len(days)))
    universe = Universe(days, [k.instrument_id for k in kept], [k.symbol for k in kept], closes)
    return universe, refusals


def _problem(row: Array, days: Sequence[date], rules: Rules) -> tuple[str, str] | None:
    there = ~np.isnan(row)
    count = int(there.sum())
    values = row[there]
    if not np.all(np.isfinite(values) & (values > 0)):
        return "bad_price", "a close that is not above zero"
    if count < rules.min_days:
        return "too_few_days", f"{count} of at least {rules.min_days} days have a close"
    last = int(np.flatnonzero(there)[-1])
    if last < row.size - 1:
        return "no_last_bar", f"no close after {days[last]}: delisted, renamed or halted"
    missing = row.size - count
    if not there[0]:
        first = int(np.flatnonzero(there)[0])
        return "missing_days", f"no close before {days[first]}, the period starts on {days[0]}"
    if missing > rules.max_missing:
        return (
            "missing_days",
            f"{missing} of {row.size} days have no close, {rules.max_missing} may",
        )
    if np.ptp(values) == 0:
        return "constant", f"every close is {values[0]:g}"
    return None


def _suspect(jump: Jump) -> tuple[str, str] | None:
    what = f"{jump.date}: {jump.simple_return:+.1%}"
    if jump.finding in _JUMPS:
        return jump.finding, f"{what}, {_JUMPS[jump.finding]}"
    became = 1 + jump.simple_return
    if became >= _REVERSE_SPLIT_FROM and abs(became / round(became) - 1) <= _REVERSE_SPLIT_WITHIN:
        return "reverse_split", f"{what}, an unadjusted reverse split"
    return None


def choose(
    universe: Universe,
    rules: Rules,
    *,
    sectors: Mapping[str, str] | None = None,
    named: Sequence[tuple[str, str]] | None = None,
    progress: Callable[[int, int], None] = lambda done, of: None,
) -> Chosen:
    """Test the pairs and keep the best.

    Parameters
    ----------
    universe
        What `build_universe` made.
    rules
        The conditions.
    sectors
        The sector of each symbol: only pairs within one are candidates.
    named
        Only these pairs, all of which are kept if they can be traded.
    progress
        Is told how many pairs are done, of how many.
    """
    if len(universe.symbols) < 2:
        # Recorded with what was refused, like any other formation.
        return _none(cointegration.all_pairs(np.ones((1, rules.lags + 3)), rules.lags), [])
    every = cointegration.all_pairs(universe.closes, rules.lags, progress)
    every = every.take(_candidates(every, universe, sectors, named))
    sound, refusals = _sound(every, universe)
    tested = every.take(sound)
    if not len(tested):
        return _none(tested, refusals)
    p_bh, p_by = (multipletests(tested.p_value, method=f"fdr_{m}")[1] for m in ("bh", "by"))
    conditions = {} if named is not None else _conditions(tested, p_bh, p_by, rules)
    passes = np.ones(len(tested), bool)
    for fulfilled in conditions.values():
        passes &= fulfilled
    order = np.lexsort(
        (tested.distance, tested.p_value)
        if rules.method == "cointegration"
        else (tested.p_value, tested.distance)
    )
    ranked = order[passes[order]]
    kept = ranked if named is not None else _limited(tested, ranked, rules)
    return Chosen(
        statistics=tested.take(kept),
        p_bh=p_bh[kept],
        p_by=p_by[kept],
        tested=len(tested),
        eligible=int(passes.sum()),
        passed_over={
            **{name: int((~fulfilled).sum()) for name, fulfilled in conditions.items()},
            "rank": int(ranked.size - kept.size),
        },
        refusals=refusals,
    )


def _none(tested: Statistics, refusals: list[Refusal]) -> Chosen:
    return Chosen(tested, tested.t, tested.t, 0, 0, {}, refusals)


def _candidates(
    every: Statistics,
    universe: Universe,
    sectors: Mapping[str, str] | None,
    named: Sequence[tuple[str, str]] | None,
) -> npt.NDArray[np.bool_]:
    chosen = np.ones(len(every), bool)
    if sectors is not None:
        names = np.array([sectors.get(symbol, "") for symbol in universe.symbols])
        chosen &= (names[every.a] == names[every.b]) & (names[every.a] != "")
    if named is not None:
        wanted = np.zeros((len(universe.symbols),) * 2, bool)
        places = {symbol: n for n, symbol in enumerate(universe.symbols)}
        for a, b in named:
            if a in places and b in places:
                wanted[places[a], places[b]] = wanted[places[b], places[a]] = True
        chosen &= wanted[every.a, every.b]
    return chosen


def _sound(every: Statistics, universe: Universe) -> tuple[npt.NDArray[np.bool_], list[Refusal]]:
    """Return which pairs have a spread at all, and the refusals of the others."""
    sound = np.isfinite(every.p_value)
    return sound, [
        Refusal(
            universe.instrument_ids[every.a[n]],
            universe.instrument_ids[every.b[n]],
            *(_UNTESTABLE if every.r2[n] < cointegration.COLLINEAR else _COLLINEAR),
        )
        for n in np.flatnonzero(~sound)
    ]


def _conditions(
    tested: Statistics, p_bh: Array, p_by: Array, rules: Rules
) -> dict[str, npt.NDArray[np.bool_]]:
    if rules.method == "distance":
        return {}
    conditions = {
        "p_value": tested.p_value <= rules.max_p,
        "half_life": cointegration.half_lives(tested.phi) <= rules.max_half_life,
        "hedge_ratio": (tested.hedge_ratio >= MIN_HEDGE) & (tested.hedge_ratio <= MAX_HEDGE),
    }
    if rules.fdr is not None:
        adjusted = p_by if rules.fdr_method == "by" else p_bh
        conditions["false_discovery_rate"] = adjusted <= rules.fdr
    return conditions


def _limited(tested: Statistics, ranked: npt.NDArray[np.intp], rules: Rules) -> Any:
    """Return the first of the ranked pairs, no symbol in more of them than allowed."""
    uses: Counter[int] = Counter()
    kept: list[np.intp] = []
    for n in ranked:
        if rules.top is not None and len(kept) == rules.top:
            break
        legs = (int(tested.a[n]), int(tested.b[n]))
        if rules.per_symbol is None or max(uses[leg] for leg in legs) < rules.per_symbol:
            kept.append(n)
            uses.update(legs)
    return np.array(kept, dtype=np.intp)
