"""Calibration of pairs on daily bars, walking forward: formation period after formation period.

At a formation end (midnight in New York) the pairs are chosen on the bars of the days before it and
are valid until the next one. Nothing later is read, so what a period's pairs are does not depend on
what came after. docs/calibration.md explains the choices.
"""

from __future__ import annotations

import hashlib
import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import date, timedelta
from typing import Any

import numpy as np
import numpy.typing as npt
from psycopg import IsolationLevel

from tsdb_trader import __version__
from tsdb_trader.api import calibration, signal
from tsdb_trader.api.calibration import ChosenPair, Closes, DailyFeed, Jump, Refusal
from tsdb_trader.db import Connection
from tsdb_trader.errors import InputError, UnknownObjectError
from tsdb_trader.research import cointegration, formation, hedging
from tsdb_trader.research.formation import MAX_HEDGE, MIN_HEDGE, Chosen, Hedge, Rules, Universe
from tsdb_trader.research.periods import LONGEST_CLOSURE, Period, midnight, periods

Array = npt.NDArray[np.float64]
DAY_S = 86_400.0
# The mean moves by one per cent of its distance to the spread in half a year: it stays as formed.
FIXED_MEAN_S = 1e9


@dataclass(frozen=True)
class Settings:
    """How to calibrate: the periods, the choice, and what the trader chooses.

    Days are calendar days here, as the strategy counts time; None: docs/calibration.md. sectors
    has what each symbol's was, with the ISO date from which on, oldest first; "" is from ever on.
    """

    rules: Rules = field(default_factory=Rules)
    formation_months: int = 12
    every_months: int | None = 6
    hedge: Hedge | None = None
    window: int = 60
    entry: float = 2.0
    exit: float = 0.5
    stop: float = 6.0
    mean_half_life_days: float | None = None
    warm_up_days: float | None = None
    max_gap_days: float = 10.0
    notional: float = 25_000.0
    symbols: tuple[str, ...] | None = None
    pairs: tuple[tuple[str, str], ...] | None = None
    sectors: Mapping[str, Sequence[tuple[str, str]]] | None = None

    @property
    def names(self) -> set[str] | None:
        """Return the symbols to use, None for all."""
        if self.pairs is not None:
            return {symbol for pair in self.pairs for symbol in pair}
        return None if self.symbols is None else set(self.symbols)

    def sectors_before(self, day: date) -> dict[str, str] | None:
        """Return the sector that each symbol had on the day before, None where none are given."""
        if self.sectors is None:
            return None
        known = {
            symbol: [sector for since, sector in history if since < day.isoformat()]
            for symbol, history in self.sectors.items()
        }
        return {symbol: found[-1] for symbol, found in known.items() if found}

    def arguments(self) -> dict[str, Any]:
        """Return the settings as they are kept with a calibration."""
        return asdict(self)

    @classmethod
    def of(cls, arguments: Mapping[str, Any]) -> Settings:
        """Return the settings that `arguments` made."""
        pairs = arguments["pairs"]
        symbols = arguments["symbols"]
        sectors = arguments["sectors"]
        return cls(
            **{
                **arguments,
                "rules": Rules(**arguments["rules"]),
                "symbols": None if symbols is None else tuple(symbols),
                "pairs": None if pairs is None else tuple((a, b) for a, b in pairs),
                # A text is a sector without a date, as these once were kept.
                "sectors": None
                if sectors is None
                else {
                    symbol: (("", found),) if isinstance(found, str) else found
                    for symbol, found in sectors.items()
                },
            }
        )


@dataclass(frozen=True)
class Result:
    """A calibrated period: its pairs, symbols and ids (None: not saved)."""

    period: Period
    days: int
    symbols: int
    chosen: Chosen
    pairs: list[ChosenPair]
    names: list[tuple[str, str]]
    refusals: list[Refusal]
    refused_names: list[str]
    elapsed_s: float
    ids: list[int | None]


def calibrate(
    conn: Connection,
    feed: str,
    period: Period,
    settings: Settings,
    *,
    save: bool = True,
    progress: Callable[[int, int], None] = lambda done, of: None,
) -> Result:
    """Choose the pairs of one period, and save them unless told not to.

    Raises
    ------
    InputError
        The period has too few days.
    UnknownObjectError
        There is no such feed.
    """
    started = time.monotonic()
    series, jumps, watermark, version = _read(conn, feed, period)
    if settings.names is not None:
        series = [one for one in series if one.symbol in settings.names]
    universe, refusals = formation.build_universe(series, jumps, settings.rules)
    sectors = settings.sectors_before(period.end)
    universe, unsorted = _sorted_by_sector(universe, sectors)
    chosen = formation.choose(
        universe,
        settings.rules,
        sectors=sectors,
        named=settings.pairs,
        progress=progress,
    )
    pairs, unhedged = make_pairs(universe, chosen, settings, period)
    refusals = [*refusals, *unsorted, *chosen.refusals, *unhedged]
    names = dict(zip(universe.instrument_ids, universe.symbols, strict=True))
    names |= {one.instrument_id: one.symbol for one in series}
    ids: list[int | None] = [None] * len(pairs)
    elapsed_s = time.monotonic() - started
    if save:
        with conn.transaction():
            calibration.save_calibration(
                conn,
                feed=feed,
                window=(midnight(period.start), midnight(period.end)),
                valid_to=None if period.until is None else midnight(period.until),
                pairs=pairs,
                refusals=refusals,
                run={
                    "arguments": settings.arguments(),
                    "days": len(universe.days),
                    "symbols": len(universe.symbols),
                    "tested": chosen.tested,
                    "eligible": chosen.eligible,
                    "passed_over": chosen.passed_over,
                    "elapsed_s": elapsed_s,
                },
                data_watermark=watermark,
                code_version=version,
            )
            saved = calibration.pair_ids(conn, feed, midnight(period.end))
            ids = [saved[pair.a, pair.b] for pair in pairs]
    return Result(
        period=period,
        days=len(universe.days),
        symbols=len(universe.symbols),
        chosen=chosen,
        pairs=pairs,
        names=[(names[pair.a], names[pair.b]) for pair in pairs],
        refusals=refusals,
        refused_names=["/".join(names[i] for i in (r.a, r.b) if i is not None) for r in refusals],
        elapsed_s=elapsed_s,
        ids=ids,
    )


def check(conn: Connection, settings: Settings) -> None:
    """Check what the trader chose, before anything is read.

    Raises
    ------
    InputError
        A parameter is outside its range, or fewer than two symbols are named.
    """
    if settings.names is not None and len(settings.names) < 2:
        raise InputError("a pair needs two symbols")
    chosen = _chosen_parameters(settings, Period(date(2000, 1, 1), date(2001, 1, 1), None))
    signal.check_parameters(conn, {"hedge_ratio": 1.0, "mean": 0.0, "deviation": 1.0, **chosen})


def repeat(conn: Connection, today: date) -> dict[str, list[str]]:
    """Calibrate the newest formation of every scheduled feed, by feed what was done.

    A formation that was calibrated like this on the same bars is left alone, so that this may run
    as often as one likes; bars that come late are taken in.

    Raises
    ------
    InputError
        A feed could not be calibrated; the message says which and why, and the others are done.
    """
    done: dict[str, list[str]] = {}
    problems: list[str] = []
    bars = {found.feed: found for found in calibration.daily_feeds(conn)}
    for scheduled in calibration.schedules(conn):
        done[scheduled.feed] = []
        found = bars.get(scheduled.feed)
        settings = Settings.of(scheduled.arguments)
        todo = [] if found is None else due(found, settings, today)
        for period in todo[-1:]:
            last = calibration.last_watermark(
                conn, scheduled.feed, midnight(period.end), scheduled.arguments
            )
            try:
                if last != _read(conn, scheduled.feed, period)[2]:
                    calibrate(conn, scheduled.feed, period, settings)
                    done[scheduled.feed].append(period.end.isoformat())
            except (InputError, UnknownObjectError) as error:
                problems.append(f"feed {scheduled.feed}, {period.end}: {error}")
    if problems:
        raise InputError("; ".join(problems))
    return done


def due(feed: DailyFeed, settings: Settings, last: date) -> list[Period]:
    """Return the periods of a feed that end by `last` and that its bars cover."""
    last = min(last, feed.last + LONGEST_CLOSURE)
    return periods(feed.first, last, settings.every_months, settings.formation_months)


def _read(
    conn: Connection, feed: str, period: Period
) -> tuple[list[Closes], list[Jump], dict[str, Any], str]:
    before = conn.isolation_level
    conn.isolation_level = IsolationLevel.REPEATABLE_READ
    try:
        with conn.transaction():
            series = calibration.read_closes(conn, feed, period.start, period.end)
            jumps = calibration.read_jumps(conn, feed, period.start, period.end)
            sources = calibration.bars_watermark(conn, feed, period.start, period.end)
            version = f"{__version__}+{calibration.code_hash(conn)[:12]}"
    finally:
        conn.isolation_level = before
    digest = hashlib.sha256()
    for one in series:
        digest.update(f"{one.instrument_id} {one.problem} {one.dates} {one.closes}\n".encode())
    return series, jumps, {"files": sources, "closes_sha256": digest.hexdigest()}, version


def _sorted_by_sector(
    universe: Universe, sectors: Mapping[str, str] | None
) -> tuple[Universe, list[Refusal]]:
    """Leave out the symbols that have no sector, where pairs are to be within one."""
    if sectors is None:
        return universe, []
    known = [symbol in sectors for symbol in universe.symbols]
    refusals = [
        Refusal(i, None, "no_sector", "the file of sectors has none by then")
        for i, there in zip(universe.instrument_ids, known, strict=True)
        if not there
    ]
    return (
        Universe(
            universe.days,
            [i for i, there in zip(universe.instrument_ids, known, strict=True) if there],
            [s for s, there in zip(universe.symbols, known, strict=True) if there],
            universe.closes[np.array(known, dtype=bool)],
        ),
        refusals,
    )


def make_pairs(
    universe: Universe, chosen: Chosen, settings: Settings, period: Period
) -> tuple[list[ChosenPair], list[Refusal]]:
    """Return the chosen pairs with their parameters, without those that have no hedge."""
    found = chosen.statistics
    if not len(found):
        return [], []
    logs = np.log(universe.closes)
    log_a, log_b = logs[found.a], logs[found.b]
    more = _more_statistics(log_a, log_b, chosen, settings)
    kind = settings.hedge or ("one" if settings.rules.method == "distance" else "ols")
    hedges = {
        "ols": found.hedge_ratio,
        "rolling": np.array([one["rolling_hedge"] or math.nan for one in more]),
        "kalman": np.array([one["kalman_hedge"] for one in more]),
        "one": np.ones(len(found)),
    }[kind]
    spreads = log_a - hedges[:, None] * log_b
    means, deviations = spreads.mean(axis=1), spreads.std(axis=1, ddof=1)
    pairs, refusals = [], []
    for n, hedge in enumerate(hedges):
        a, b = (universe.instrument_ids[legs[n]] for legs in (found.a, found.b))
        if not MIN_HEDGE <= hedge <= MAX_HEDGE:
            why = f"hedge ratio {hedge:.3f} is outside {MIN_HEDGE:g} to {MAX_HEDGE:g}"
            refusals.append(Refusal(a, b, "hedge_ratio", why))
            continue
        parameters = {
            "hedge_ratio": float(hedge),
            "mean": float(means[n]),
            "deviation": float(deviations[n]),
            **_chosen_parameters(settings, period),
        }
        pairs.append(ChosenPair(a, b, parameters, {"rank": n + 1, "hedge": kind, **more[n]}))
    return pairs, refusals


def _chosen_parameters(settings: Settings, period: Period) -> dict[str, float]:
    valid = timedelta(days=365) if period.until is None else period.until - period.end
    half_life, warm_up = settings.mean_half_life_days, settings.warm_up_days
    return {
        "entry": settings.entry,
        "exit": settings.exit,
        "stop": settings.stop,
        "half_life_s": FIXED_MEAN_S if half_life is None else half_life * DAY_S,
        # A mean that is lost is not replaced: the pair waits for the next formation.
        "warm_up_s": valid.total_seconds() if warm_up is None else warm_up * DAY_S,
        "max_gap_s": settings.max_gap_days * DAY_S,
        "notional": settings.notional,
    }


def _more_statistics(
    log_a: Array, log_b: Array, chosen: Chosen, settings: Settings
) -> list[dict[str, Any]]:
    """Return what is kept with each pair."""
    found = chosen.statistics
    days = log_a.shape[1]
    window = min(settings.window, days)
    rolling = hedging.rolling_slopes(log_a, log_b, window)[:, -1]
    filtered = hedging.kalman_slopes(log_a, log_b, found.deviation**2)
    traces = hedging.johansen_traces(log_a, log_b, settings.rules.lags)
    columns = {
        "distance": found.distance,
        "ols_hedge": found.hedge_ratio,
        "r2": found.r2,
        "t": found.t,
        "p_value": found.p_value,
        "p_value_bh": chosen.p_bh,
        "p_value_by": chosen.p_by,
        "phi": found.phi,
        "half_life_days": cointegration.half_lives(found.phi),
        "half_life_euler_days": cointegration.euler_half_lives(found.phi),
        "johansen_none": traces[:, 0],
        "johansen_at_most_one": traces[:, 1],
        "rolling_hedge": rolling,
        "kalman_hedge": filtered.slope[:, -1],
        "kalman_hedge_deviation": filtered.slope_deviation[:, -1],
    }
    same = {
        "points": days,
        "tests": chosen.tested,
        "t_critical": list(cointegration.critical_values(days)),
        "johansen_critical": [one[1] for one in hedging.JOHANSEN_CRITICAL.values()],
        "method": settings.rules.method,
    }
    return [
        {name: _number(values[n]) for name, values in columns.items()} | same
        for n in range(len(found))
    ]


def _number(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None
