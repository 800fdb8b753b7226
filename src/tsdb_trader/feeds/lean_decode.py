"""From a lean CSV to ticks: wall clock to instants, sides carried forward, rows checked."""

from __future__ import annotations

from datetime import date, datetime, time, timedelta
from typing import TypeAlias
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from tsdb_trader.errors import InputError
from tsdb_trader.feeds.base import (
    ASK_SET,
    BID_SET,
    EPOCH,
    NULL,
    SUSPICIOUS,
    Block,
    Integers,
    Kind,
    Rejected,
    Text,
    Ticks,
)
from tsdb_trader.feeds.csv_rows import Columns, Lines, parse
from tsdb_trader.feeds.order import keep_in_order

_NEW_YORK = ZoneInfo("America/New_York")
_HOUR_MS = 3_600_000
_QUOTE = (
    "ms",
    "bid_price",
    "bid_size",
    "ask_price",
    "ask_size",
    "exchange",
    "conditions",
    "suspicious",
)
_TRADE = ("ms", "price", "size", "exchange", "conditions", "suspicious")
_TEXTS = frozenset({"exchange", "conditions"})

# Rows with both sides may lock, and cross a little; sides on rows of their own are never judged,
# because the one carried forward may be stale.
CROSS_MINIMUM = 200
"""Two cents in the format's scale: a cross up to this is kept."""
CROSS_PART = 400
"""A cross up to 1/400 (25 basis points) of the ask is kept."""

_Mask: TypeAlias = NDArray[np.bool_]


def decode(name: str, content: bytes, kind: Kind, day: date) -> Block:
    """Decode a whole file.

    Parameters
    ----------
    name
        How errors call the file.

    Raises
    ------
    InputError
        Most rows do not have the format's columns, or no row can be parsed.
    """
    lines = Lines(content)
    names = _QUOTE if kind == "quotes" else _TRADE
    columns, rejected = parse(lines, names, _TEXTS)
    if len(rejected) == len(lines) or (rejected and _other_schema(lines, len(names))):
        raise InputError(
            f"{name}: not a lean {kind.removesuffix('s')} tick file; "
            f"its rows must be {','.join(names)} (first row: {lines.raw(0)[:60]!r})"
        )
    checks = _Checks(len(columns.rows))
    _check_time(checks, columns, day)
    (_check_quotes if kind == "quotes" else _check_trades)(checks, columns.numbers)
    checks.reject("malformed", (columns.numbers["suspicious"] & ~1) != 0)
    ts = _instants(columns.numbers["ms"], day, checks.good)
    kept = np.flatnonzero(checks.good)
    in_order = keep_in_order(ts[kept])
    checks.reject_rows("time_backwards", kept[~in_order])
    kept = kept[in_order]
    rejected.extend(checks.rejected(lines, columns.rows))
    rejected.sort(key=lambda row: row.position)
    build = _quotes if kind == "quotes" else _trades
    return Block(0, len(lines), [build(columns, kept, ts[kept])], rejected=rejected)


def _other_schema(lines: Lines, fields: int) -> bool:
    return int(np.count_nonzero(lines.commas != fields - 1)) * 2 > len(lines)


class _Checks:
    """Which rows are good so far; a row is rejected for the first thing found wrong."""

    def __init__(self, rows: int) -> None:
        self.good: _Mask = np.ones(rows, dtype=np.bool_)
        self._found: list[tuple[str, Integers]] = []

    def reject(self, reason: str, wrong: _Mask) -> None:
        if wrong.any():
            self.reject_rows(reason, np.flatnonzero(wrong & self.good))

    def reject_rows(self, reason: str, rows: NDArray[np.intp]) -> None:
        if len(rows):
            self.good[rows] = False
            self._found.append((reason, rows.astype(np.int64)))

    def rejected(self, lines: Lines, numbers: Integers) -> list[Rejected]:
        return [
            Rejected(int(numbers[row]), reason, lines.raw(int(numbers[row])))
            for reason, rows in self._found
            for row in rows
        ]


def _offsets(day: date) -> list[timedelta | None]:
    """Return New York's distance to UTC in each hour of the day, None for one that is skipped."""
    found: list[timedelta | None] = []
    for hour in range(24):
        local = datetime.combine(day, time(hour), tzinfo=_NEW_YORK)
        there_and_back = local.astimezone(ZoneInfo("UTC")).astimezone(_NEW_YORK)
        found.append(local.utcoffset() if there_and_back.hour == hour else None)
    return found


def _check_time(checks: _Checks, columns: Columns, day: date) -> None:
    ms = columns.numbers["ms"]
    checks.reject("time_out_of_day", (ms < 0) | (ms >= 24 * _HOUR_MS))
    for hour, offset in enumerate(_offsets(day)):
        if offset is None:
            checks.reject("time_out_of_day", ms // _HOUR_MS == hour)


def _instants(ms: Integers, day: date, good: _Mask) -> Integers:
    midnight = datetime.combine(day, time(), tzinfo=EPOCH.tzinfo) - EPOCH
    microsecond = timedelta(microseconds=1)
    shift = np.array(
        [(midnight - (offset or timedelta())) // microsecond for offset in _offsets(day)],
        dtype=np.int64,
    )
    wall = np.where(good, ms, 0)
    result: Integers = wall * 1000
    if len(set(shift.tolist())) == 1:
        result += shift[0]
    else:
        result += shift[wall // _HOUR_MS]
    return result


def _check_side(checks: _Checks, price: Integers, size: Integers, other: _Mask | None) -> None:
    """Check one side; where `other` (the other side is set) holds, 0,0 means unchanged."""
    checks.reject("negative_price", price < 0)
    checks.reject("negative_size", size < 0)
    empty = (price == 0) & (size == 0)
    absent = (price == 0) if other is None else (price == 0) & ~(empty & other)
    checks.reject("zero_price", absent)
    checks.reject("zero_size", (size == 0) & (price > 0))
    checks.reject("out_of_range", (price >= 10**15) | (size >= 10**15))


def _check_trades(checks: _Checks, numbers: dict[str, Integers]) -> None:
    _check_side(checks, numbers["price"], numbers["size"], None)


def _check_quotes(checks: _Checks, numbers: dict[str, Integers]) -> None:
    bid, ask = numbers["bid_price"], numbers["ask_price"]
    _check_side(checks, bid, numbers["bid_size"], ask != 0)
    _check_side(checks, ask, numbers["ask_size"], bid != 0)
    both = (bid > 0) & (ask > 0)
    if both.any():
        checks.reject("crossed", both & (bid - ask > np.maximum(CROSS_MINIMUM, ask // CROSS_PART)))


def _texts(columns: Columns, kept: NDArray[np.intp]) -> dict[str, Text]:
    whole = len(kept) == len(columns.rows)
    return {name: t if whole else t.part(kept) for name, t in columns.texts.items()}


def _trades(columns: Columns, kept: NDArray[np.intp], ts: Integers) -> Ticks:
    numbers = {name: columns.numbers[name][kept] for name in ("price", "size")}
    flags = (columns.numbers["suspicious"][kept] * SUSPICIOUS).astype(np.int16)
    return Ticks("trades", ts, columns.rows[kept], numbers, flags, _texts(columns, kept))


def _quotes(columns: Columns, kept: NDArray[np.intp], ts: Integers) -> Ticks:
    flags = (columns.numbers["suspicious"][kept] * SUSPICIOUS).astype(np.int16)
    numbers = {}
    for side, bit in (("bid", BID_SET), ("ask", ASK_SET)):
        price = columns.numbers[f"{side}_price"][kept]
        is_set = price > 0
        flags |= np.where(is_set, np.int16(bit), np.int16(0))
        # The last row that set this side.
        source = np.maximum.accumulate(np.where(is_set, np.arange(len(price)), 0))
        unknown = slice(0, int(np.argmax(is_set)) if is_set.any() else len(price))
        for what, values in (("price", price), ("size", columns.numbers[f"{side}_size"][kept])):
            numbers[f"{side}_{what}"] = values[source]
            numbers[f"{side}_{what}"][unknown] = NULL
    return Ticks("quotes", ts, columns.rows[kept], numbers, flags, _texts(columns, kept))
