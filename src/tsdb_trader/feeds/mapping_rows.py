"""From columns of text or numbers to blocks, as a mapping says."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from tsdb_trader.clock import Clock, SystemClock
from tsdb_trader.errors import InputError
from tsdb_trader.feeds import mapping_checks, mapping_series
from tsdb_trader.feeds.base import (
    ASK_SET,
    BID_SET,
    CANCELLED,
    DUPLICATE,
    NULL,
    SUSPICIOUS,
    TABLES,
    Block,
    Integers,
    Message,
    Rejected,
    Rules,
    Text,
    Ticks,
    constant,
)
from tsdb_trader.feeds.duplicates import Duplicates, text_numbers
from tsdb_trader.feeds.mapping import Flag, Mapping, Output
from tsdb_trader.feeds.mapping_times import instants
from tsdb_trader.feeds.mapping_values import identifiers, scaled, texts
from tsdb_trader.feeds.order import InOrder
from tsdb_trader.feeds.row_checks import Checks

SYMBOL = re.compile(r"[A-Z0-9][A-Z0-9 ./+=#^$*:_@-]{0,31}")
_FIRST_LOOK = 100
_FAR = datetime(2262, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class RawBlock:
    """Rows as they are in the file.

    Attributes
    ----------
    rows
        The numbers in the block, from 0, of those rows that are in `columns`.
    rejected
        The other rows, numbered likewise.
    count
        How many rows there are in all.
    raw
        Returns the text of the row with a number in the block.
    """

    count: int
    rows: Integers
    columns: dict[str, pa.Array]
    rejected: list[Rejected]
    raw: Callable[[int], str]


@dataclass
class _Carried:
    """What is carried from block to block."""

    order: InOrder = field(default_factory=InOrder)
    duplicates: list[Duplicates] = field(default_factory=list)
    symbols: dict[str, int] = field(default_factory=dict)

    def numbers(self, symbols: Text | None) -> Integers | None:
        """Return a number for each row's symbol that stays the same throughout the file."""
        if symbols is None:
            return None
        known = self.symbols
        numbers = [known.setdefault(value, len(known)) for value in symbols.values]
        return np.array(numbers or [0], dtype=np.int64)[symbols.codes]


@dataclass(frozen=True)
class _Judged:
    """A block whose rows are judged one by one, but not yet by their order."""

    start: int
    raw: RawBlock
    checks: Checks
    ts: Integers
    ns: NDArray[np.int16] | None
    recv_ts: Integers | None
    symbols: Text | None
    instrument: Integers | None
    flags: NDArray[np.int16]
    outputs: list[_Values]
    series: mapping_series.SeriesValues | None


@dataclass(frozen=True)
class _Values:
    output: Output
    numbers: dict[str, Integers]
    texts: dict[str, Text]


class Decoder:
    """Decodes one file.

    Parameters
    ----------
    name
        How errors call the file.
    """

    def __init__(
        self, name: str, mapping: Mapping, rules: Rules, clock: Clock | None = None
    ) -> None:
        self._name = name
        self._mapping = mapping
        self._rules = rules
        self._latest: datetime = (clock or SystemClock()).now() + timedelta(seconds=rules.future_s)
        self._carried = _Carried(duplicates=[Duplicates() for _ in mapping.outputs])

    def decode(self, blocks: Iterator[RawBlock]) -> Iterator[Block]:
        """Turn raw blocks into blocks.

        Raises
        ------
        InputError
            None of the first rows can be used: it is not the file that the mapping describes.
        """
        start = 0
        held: _Judged | None = None
        for raw in blocks:
            judged = self._judge(raw, start)
            if held is None:
                self._look(judged)
            else:
                yield self._finish(held, judged)
            held = judged
            start += raw.count
        if held is None:
            raise InputError(f"{self._name}: there is no row in it; get the file anew")
        yield self._finish(held, None)

    def _look(self, judged: _Judged) -> None:
        if judged.checks.good.any() or judged.raw.count < _FIRST_LOOK:
            return
        rejected = self._rejected(judged)
        raise InputError(
            f"{self._name}: none of the first {judged.raw.count} rows can be used; the first is "
            f"{rejected[0].reason} ({rejected[0].raw[:60]!r}): check the mapping and the file"
        )

    def _judge(self, raw: RawBlock, start: int) -> _Judged:
        mapping, count = self._mapping, len(raw.rows)
        checks = Checks(count)
        args = (checks, raw.columns)
        # What a series is about may lie ahead, as in forecasts.
        latest = _FAR if mapping.series is not None else self._latest
        ts, ns = instants(*args, mapping.time, mapping.nulls, latest)
        received = None
        if mapping.recv_time is not None:
            received, _ = instants(*args, mapping.recv_time, mapping.nulls, self._latest)
        symbols = None
        if mapping.symbol is not None:
            symbols = texts(*args, mapping.symbol, count)
            nothing = mapping.series is not None
            good = np.array(
                [bool(SYMBOL.fullmatch(v)) or (nothing and not v) for v in symbols.values],
                dtype=np.bool_,
            )
            checks.reject("bad_symbol", ~good[symbols.codes])
        flags = np.zeros(count, dtype=np.int16)
        for flag, bit in ((mapping.suspicious, SUSPICIOUS), (mapping.cancelled, CANCELLED)):
            if flag is not None:
                flags |= _flagged(raw.columns[flag.column], flag) * np.int16(bit)
        outputs = [self._values(checks, raw, output) for output in mapping.outputs]
        mapping_checks.check(checks, mapping, [(o.output, o.numbers) for o in outputs], self._rules)
        series = None
        if mapping.series is not None:
            series = mapping_series.read(*args, mapping.series, mapping.nulls, count)
        return _Judged(
            start,
            raw,
            checks,
            ts,
            ns.astype(np.int16) if ns.any() else None,
            received,
            symbols,
            self._carried.numbers(symbols),
            flags,
            outputs,
            series,
        )

    def _values(self, checks: Checks, raw: RawBlock, output: Output) -> _Values:
        definition, nulls, count = self._mapping.definition, self._mapping.nulls, len(raw.rows)
        table = TABLES[output.kind]
        numbers = {}
        for name, number in output.numbers.items():
            column = raw.columns[number.column]
            if name in table.others:
                numbers[name] = identifiers(checks, column, nulls)
            else:
                scale = definition.price_scale if name in table.prices else definition.size_scale
                numbers[name] = scaled(checks, column, number, scale, nulls)
        found = {
            name: texts(checks, raw.columns, output.texts[name], count)
            if name in output.texts
            else constant("", count)
            for name in table.texts
        }
        mapping_checks.check_texts(checks, output.kind, found)
        return _Values(output, numbers, found)

    def _rejected(self, judged: _Judged) -> list[Rejected]:
        rows = judged.raw.rows
        found = judged.checks.rejected(rows, lambda row: judged.raw.raw(int(rows[row])))
        found = [
            Rejected(judged.start + r.position, r.reason, r.raw)
            for r in (*judged.raw.rejected, *found)
        ]
        return sorted(found, key=lambda row: row.position)

    def _finish(self, judged: _Judged, ahead: _Judged | None) -> Block:
        checks = judged.checks
        if self._mapping.in_order:
            kept = np.flatnonzero(checks.good)
            in_order = self._carried.order.keep(*_both(judged, ahead))
            checks.reject_rows("time_backwards", kept[~in_order])
        ticks = [
            found
            for values, duplicates in zip(judged.outputs, self._carried.duplicates, strict=True)
            if len(found := self._ticks(judged, values, duplicates))
        ]
        stop = judged.start + judged.raw.count
        return Block(
            judged.start, stop, ticks, self._messages(judged), rejected=self._rejected(judged)
        )

    def _messages(self, judged: _Judged) -> list[Message]:
        if judged.series is None:
            return []
        rows = np.flatnonzero(judged.checks.good)
        ns = np.zeros(len(judged.ts), np.int64) if judged.ns is None else judged.ns
        times = judged.ts, ns.astype(np.int64), judged.recv_ts
        seq = judged.raw.rows + judged.start
        return list(judged.series.messages(rows, seq, times, judged.symbols))

    def _ticks(self, judged: _Judged, values: _Values, duplicates: Duplicates) -> Ticks:
        kind = values.output.kind
        there = mapping_checks.there(self._mapping, values.output, values.numbers)
        rows = np.flatnonzero(judged.checks.good & there)
        ts, ns = judged.ts[rows], None if judged.ns is None else judged.ns[rows]
        numbers = {name: column[rows] for name, column in values.numbers.items()}
        found = {name: text.part(rows) for name, text in values.texts.items()}
        flags = judged.flags[rows]
        if kind == "quotes":
            for side, bit in (("bid", BID_SET), ("ask", ASK_SET)):
                if (price := numbers.get(f"{side}_price")) is not None:
                    flags |= (price != NULL).astype(np.int16) * np.int16(bit)
        if kind in ("quotes", "trades"):
            instrument = None if judged.instrument is None else judged.instrument[rows]
            columns = [*numbers.values(), *map(text_numbers, found.values())]
            columns += [flags.astype(np.int64)]
            columns += [np.zeros(len(rows), np.int64) if ns is None else ns.astype(np.int64)]
            repeated = duplicates.mark(ts, columns, instrument)
            flags |= repeated.astype(np.int16) * np.int16(DUPLICATE)
        symbols = None if judged.symbols is None else _used(judged.symbols.part(rows))
        received = None if judged.recv_ts is None else judged.recv_ts[rows]
        seq = judged.raw.rows[rows] + judged.start
        return Ticks(kind, ts, seq, numbers, flags, found, symbols, ns, received)


def _flagged(column: pa.Array, flag: Flag) -> NDArray[np.int16]:
    if not pa.types.is_string(column.type):
        column = column.cast(pa.string())
    encoded = column.dictionary_encode()
    marked = [value in flag.texts for value in encoded.dictionary.to_pylist()] + [False]
    codes = encoded.indices.fill_null(len(marked) - 1).to_numpy(zero_copy_only=False)
    found: NDArray[np.int16] = np.array(marked, dtype=np.int16)[codes]
    return found


def _both(
    judged: _Judged, ahead: _Judged | None
) -> tuple[Integers, Integers, Integers | None, Integers | None]:
    """Return times and instruments of the good rows of a block and the next."""
    nothing = np.empty(0, dtype=np.int64)
    times, instruments = [nothing, nothing], [nothing, nothing]
    for place, block in enumerate((judged, ahead)):
        if block is not None:
            # Within a microsecond the rest decides.
            rest = 0 if block.ns is None else block.ns.astype(np.int64)
            times[place] = (block.ts * 1000 + rest)[block.checks.good]
            if block.instrument is not None:
                instruments[place] = block.instrument[block.checks.good]
    if judged.instrument is None:
        return times[0], times[1], None, None
    return times[0], times[1], instruments[0], instruments[1]


def _used(symbols: Text) -> Text:
    """Leave out values that no row has: they would be registered."""
    used, codes = np.unique(symbols.codes, return_inverse=True)
    return Text([symbols.values[code] for code in used.tolist()], codes.astype(np.int32))
