"""From a lean tick CSV to blocks: wall clock to instants, sides carried forward, rows checked."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from typing import Any, BinaryIO, TypeAlias
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from tsdb_trader.errors import InputError
from tsdb_trader.feeds import base, row_checks
from tsdb_trader.feeds.base import (
    ASK_SET,
    BID_SET,
    DUPLICATE,
    EPOCH,
    NULL,
    SUSPICIOUS,
    Block,
    Integers,
    Kind,
    Rejected,
    Rules,
    Ticks,
)
from tsdb_trader.feeds.csv_rows import PEEKED, Columns, Lines, line_blocks, parse
from tsdb_trader.feeds.duplicates import Duplicates, text_numbers
from tsdb_trader.feeds.order import InOrder
from tsdb_trader.feeds.row_checks import Checks, Mask

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
_SCALE = 4
_LONGEST_TEXT = 4095

_Rows: TypeAlias = slice | NDArray[np.intp]


def decode(name: str, content: BinaryIO, kind: Kind, day: date, rules: Rules) -> Iterator[Block]:
    """Decode a file block by block.

    Parameters
    ----------
    name
        How errors call the file.

    Raises
    ------
    InputError
        The file is empty, or at its start most rows do not have the format's columns, or none can
        be parsed.
    """
    names = _QUOTE if kind == "quotes" else _TRADE
    first = content.read(PEEKED)
    _check_form(name, first, names)
    state = _State(kind)
    start = 0
    held: _Parsed | None = None
    for lines in line_blocks(name, content, base.BLOCK_ROWS, first):
        parsed = _parse(lines, names, day, rules, start)
        if held is not None:
            yield _finish(held, parsed.times(), state)
        held = parsed
        start += len(lines)
    if held is None:
        raise InputError(f"{name}: the CSV inside is empty; get the file anew")
    yield _finish(held, np.empty(0, dtype=np.int64), state)


def _check_form(name: str, first: bytes, names: tuple[str, ...]) -> None:
    whole = first[: first.rfind(b"\n")] if len(first) == PEEKED and b"\n" in first else first
    if not (text := whole.rstrip(b"\r\n")):
        return
    lines = Lines(text)
    _, rejected = parse(lines, names, _TEXTS)
    other = int(np.count_nonzero(lines.commas != len(names) - 1)) * 2 > len(lines)
    if len(rejected) == len(lines) or (rejected and other):
        kind = "quote" if names == _QUOTE else "trade"
        raise InputError(
            f"{name}: not a lean {kind} tick file; "
            f"its rows must be {','.join(names)} (first row: {lines.raw(0)[:60]!r})"
        )


@dataclass
class _State:
    """What is carried from block to block: the order of time, repeated rows, and both sides."""

    kind: Kind
    order: InOrder = field(default_factory=InOrder)
    duplicates: Duplicates = field(default_factory=Duplicates)
    sides: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class _Parsed:
    """A block judged row by row."""

    start: int
    lines: Lines
    columns: Columns
    checks: Checks
    unparsed: list[Rejected]
    ts: Integers

    def times(self) -> Integers:
        return self.ts[self.checks.good]


def _parse(lines: Lines, names: tuple[str, ...], day: date, rules: Rules, start: int) -> _Parsed:
    columns, rejected = parse(lines, names, _TEXTS)
    numbers = columns.numbers
    checks = Checks(len(columns.rows))
    _check_time(checks, numbers["ms"], day)
    if names == _QUOTE:
        _check_quotes(checks, numbers, rules)
    else:
        _check_side(checks, numbers["price"], numbers["size"], None)
    checks.reject("malformed", (numbers["suspicious"] & ~1) != 0)
    for text in columns.texts.values():
        longest = max(map(len, text.values), default=0)
        if longest * 4 > _LONGEST_TEXT:
            too_long = np.array([len(value.encode()) > _LONGEST_TEXT for value in text.values])
            checks.reject("too_long", too_long[text.codes])
    ts = _instants(numbers["ms"], day, checks.good)
    return _Parsed(start, lines, columns, checks, rejected, ts)


def _finish(parsed: _Parsed, ahead: Integers, state: _State) -> Block:
    checks, columns, start = parsed.checks, parsed.columns, parsed.start
    kept = np.flatnonzero(checks.good)
    in_order = state.order.keep(parsed.ts[kept], ahead)
    checks.reject_rows("time_backwards", kept[~in_order])
    rejected = [
        *parsed.unparsed,
        *checks.rejected(columns.rows, lambda row: parsed.lines.raw(int(columns.rows[row]))),
    ]
    rejected = [Rejected(start + r.position, r.reason, r.raw) for r in rejected]
    rejected.sort(key=lambda row: row.position)
    rows: _Rows = slice(None) if checks.good.all() else kept[in_order]
    ticks = _ticks(columns, rows, parsed.ts[rows], start, state)
    return Block(start, start + len(parsed.lines), [ticks] if len(ticks) else [], rejected=rejected)


def _offsets(day: date) -> list[timedelta | None]:
    """Return New York's distance to UTC in each hour of the day, None for one that is skipped."""
    found: list[timedelta | None] = []
    for hour in range(24):
        local = datetime.combine(day, time(hour), tzinfo=_NEW_YORK)
        there_and_back = local.astimezone(ZoneInfo("UTC")).astimezone(_NEW_YORK)
        found.append(local.utcoffset() if there_and_back.hour == hour else None)
    return found


def _check_time(checks: Checks, ms: Integers, day: date) -> None:
    checks.reject("time_out_of_day", (ms < 0) | (ms >= 24 * _HOUR_MS))
    for hour, offset in enumerate(_offsets(day)):
        if offset is None:
            checks.reject("skipped_time", ms // _HOUR_MS == hour)


def _instants(ms: Integers, day: date, good: Mask) -> Integers:
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


def _check_side(checks: Checks, price: Integers, size: Integers, other: Mask | None) -> None:
    """Check one side; where `other` (the other side is set) holds, 0,0 means unchanged."""
    checks.reject("negative_price", price < 0)
    checks.reject("negative_size", size < 0)
    empty = (price == 0) & (size == 0)
    absent = (price == 0) if other is None else (price == 0) & ~(empty & other)
    checks.reject("zero_price", absent)
    checks.reject("zero_size", (size == 0) & (price > 0))
    checks.reject("out_of_range", (price >= 10**15) | (size >= 10**15))


def _check_quotes(checks: Checks, numbers: dict[str, Integers], rules: Rules) -> None:
    bid, ask = numbers["bid_price"], numbers["ask_price"]
    _check_side(checks, bid, numbers["bid_size"], ask != 0)
    _check_side(checks, ask, numbers["ask_size"], bid != 0)
    # Rows with both sides may lock, and cross a little; sides on rows of their own are never
    # judged, because the one carried forward may be stale.
    both = (bid > 0) & (ask > 0)
    if both.any():
        checks.reject("crossed", both & row_checks.crossed(bid, ask, _SCALE, rules))


def _ticks(columns: Columns, rows: _Rows, ts: Integers, start: int, state: _State) -> Ticks:
    raw = {name: column[rows] for name, column in columns.numbers.items() if name != "ms"}
    texts = {name: text.part(rows) for name, text in columns.texts.items()}
    flags = (raw["suspicious"] * SUSPICIOUS).astype(np.int16)
    repeated = state.duplicates.mark(ts, [*raw.values(), *map(text_numbers, texts.values())])
    flags |= repeated.astype(np.int16) * np.int16(DUPLICATE)
    if state.kind == "quotes":
        numbers = _carried_forward(raw, flags, state.sides)
    else:
        numbers = {name: raw[name] for name in ("price", "size")}
    return Ticks(state.kind, ts, columns.rows[rows] + start, numbers, flags, texts)


def _carried_forward(
    raw: dict[str, Integers], flags: NDArray[np.int16], last: dict[str, int]
) -> dict[str, Integers]:
    """Fill in sides that a row left unchanged, flag those it set, and keep the last ones."""
    numbers: dict[str, Integers] = {}
    rows = np.arange(1, len(flags) + 1)
    for side, bit in (("bid", BID_SET), ("ask", ASK_SET)):
        is_set = raw[f"{side}_price"] > 0
        flags |= is_set.astype(np.int16) * np.int16(bit)
        # The last row that set this side; row 0 is what the block before left.
        source = np.maximum.accumulate(np.where(is_set, rows, 0))
        for name in (f"{side}_price", f"{side}_size"):
            values: NDArray[Any] = np.empty(len(rows) + 1, dtype=np.int64)
            values[0] = last.get(name, NULL)
            values[1:] = raw[name]
            numbers[name] = values[source]
            last[name] = int(values[source[-1]]) if len(source) else int(values[0])
    return numbers
