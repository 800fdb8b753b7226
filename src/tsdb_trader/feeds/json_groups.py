"""The rows of one rule of a JSON mapping: their values as columns, judged and put together."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from decimal import Decimal
from typing import Any, cast

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from tsdb_trader.clock import Clock
from tsdb_trader.feeds import mapping_checks
from tsdb_trader.feeds.base import (
    ASK_SET,
    BID_SET,
    CANCELLED,
    DUPLICATE,
    NULL,
    SUSPICIOUS,
    TABLES,
    Definition,
    Integers,
    Message,
    MessageKind,
    Rules,
    Text,
    Ticks,
    constant,
)
from tsdb_trader.feeds.duplicates import Duplicates, text_numbers
from tsdb_trader.feeds.json_mapping import MESSAGES, Path, Rule, as_text
from tsdb_trader.feeds.mapping import Mapping, Output, Words
from tsdb_trader.feeds.mapping_rows import SYMBOL
from tsdb_trader.feeds.mapping_times import instants
from tsdb_trader.feeds.mapping_values import identifiers, scaled, texts
from tsdb_trader.feeds.row_checks import Checks

# In whole digits: beyond it a numeric series holds a mistake.
_SERIES_DIGITS = 30
_LISTS = ("symbols",)
_OBJECTS = ("detail",)


@dataclass
class Group:
    """Rows, each with its part of a message, the message, and when that was received."""

    rows: list[int] = field(default_factory=list)
    items: list[Any] = field(default_factory=list)
    contents: list[Any] = field(default_factory=list)
    received: list[int] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.rows)

    def add(self, row: int, item: Any, content: Any, received: int) -> None:
        """Add a row."""
        self.rows.append(row)
        self.items.append(item)
        self.contents.append(content)
        self.received.append(received)


@dataclass
class Judged:
    """Rows whose values are read and checked."""

    group: Group
    checks: Checks
    columns: dict[str, pa.Array]
    seq: Integers
    ts: Integers
    ns: Integers
    recv_ts: Integers
    symbols: Text
    numbers: dict[str, Integers] = field(default_factory=dict)
    texts: dict[str, Text] = field(default_factory=dict)

    def rejected(self) -> Iterator[tuple[int, str]]:
        """Yield each row that was rejected, with the reason."""
        for found in self.checks.rejected(self.seq, lambda row: ""):
            yield found.position, found.reason

    def tied(self) -> set[int]:
        """Return rows of which several parts would have the same place in the order of ticks."""
        if len(np.unique(self.seq)) == len(self.seq):
            return set()
        symbols = self.symbols.codes.tolist()
        keys = list(
            zip(self.seq.tolist(), self.ts.tolist(), self.ns.tolist(), symbols, strict=True)
        )
        seen: set[tuple[int, int, int, int]] = set()
        return {key[0] for key in keys if key in seen or seen.add(key)}  # type: ignore[func-returns-value]

    def leave_out(self, rows: Integers) -> None:
        """Leave rows out that were rejected elsewhere."""
        if len(rows):
            self.checks.good &= ~np.isin(self.seq, rows)


class Judge:
    """Judges the rows of one rule, block by block."""

    def __init__(self, rule: Rule, definition: Definition) -> None:
        self.rule = rule
        self._definition = definition
        self._paths = {text: Path.read(text) for text in rule.paths}
        self._duplicates = Duplicates()
        self._known: dict[str, int] = {}

    def judge(self, group: Group, rules: Rules, clock: Clock) -> Judged:
        """Read and check every value."""
        rule, count = self.rule, len(group)
        checks = Checks(count)
        columns = {text: self._column(group, text, checks) for text in self._paths}
        latest = clock.now() + timedelta(seconds=rules.future_s)
        ts, ns = instants(checks, columns, rule.time, rule.nulls, latest)
        received = np.array(group.received, dtype=np.int64)
        if rule.recv_time is not None:
            received, _ = instants(checks, columns, rule.recv_time, rule.nulls, latest)
        symbols = Text([""], np.zeros(count, dtype=np.int32))
        if rule.symbol is not None:
            symbols = texts(checks, columns, rule.symbol, count)
            # What is no tick need not be about an instrument.
            optional = rule.mapping is None
            good = np.array(
                [bool(SYMBOL.fullmatch(v)) or (optional and not v) for v in symbols.values],
                dtype=np.bool_,
            )
            checks.reject("bad_symbol", ~good[symbols.codes])
        judged = Judged(group, checks, columns, np.array(group.rows), ts, ns, received, symbols)
        if rule.mapping is not None:
            self._read_ticks(judged, rule.mapping, rules)
        else:
            self._read_message(judged)
        return judged

    def _column(self, group: Group, text: str, checks: Checks) -> pa.Array:
        path = self._paths[text]
        values: list[str | None] = []
        wrong = np.zeros(len(group), dtype=np.bool_)
        for n, (item, content) in enumerate(zip(group.items, group.contents, strict=True)):
            value = path.of(item, content)
            if isinstance(value, dict | list):
                wrong[n] = self.rule.mapping is not None or not self._may_hold(text)
                value = None
            values.append(None if value is None else as_text(value))
        checks.reject("malformed", wrong)
        return pa.array(values, pa.string())

    def _may_hold(self, text: str) -> bool:
        """Say whether an object or a list may stand there."""
        return any(
            words.column == text
            for name, words in self.rule.words.items()
            if name in (*_LISTS, *_OBJECTS)
        )

    def _read_ticks(self, judged: Judged, mapping: Mapping, rules: Rules) -> None:
        (output,) = mapping.outputs
        table, checks, count = TABLES[output.kind], judged.checks, len(judged.group)
        for name, column in output.numbers.items():
            values = judged.columns[column.column]
            if name in table.others:
                judged.numbers[name] = identifiers(checks, values, mapping.nulls)
            else:
                scale = self._definition.price_scale
                if name in table.sizes:
                    scale = self._definition.size_scale
                judged.numbers[name] = scaled(checks, values, column, scale, mapping.nulls)
        judged.texts = {name: self._text(judged, output, name, count) for name in table.texts}
        mapping_checks.check_texts(checks, output.kind, judged.texts)
        mapping_checks.check(checks, mapping, [(output, judged.numbers)], rules)

    @staticmethod
    def _text(judged: Judged, output: Output, name: str, count: int) -> Text:
        if name not in output.texts:
            return constant("", count)
        return texts(judged.checks, judged.columns, output.texts[name], count)

    def _read_message(self, judged: Judged) -> None:
        group = judged.group
        for name, words in self.rule.words.items():
            if name in (*_LISTS, *_OBJECTS):
                # What the database holds in no text, also within an object.
                values = [self._raw(group, words, row) for row in range(len(group))]
                unusable = [
                    "\\u0000" in json.dumps(value)
                    or (name == "symbols" and _symbols(value) is None)
                    for value in values
                ]
                judged.checks.reject("malformed", np.array(unusable, dtype=np.bool_))
                continue
            found = texts(judged.checks, judged.columns, words, len(judged.group), 1 << 20)
            judged.texts[name] = found
            if name in ("headline", "series", "value", "kind", "code"):
                empty = np.array([not v for v in found.values], dtype=np.bool_)
                judged.checks.reject("missing_value", empty[found.codes])
        if "value" in judged.texts:
            found = judged.texts["value"]
            reasons = [_wrong_value(v) for v in found.values]
            for reason in {r for r in reasons if r}:
                wrong = np.array([r == reason for r in reasons], dtype=np.bool_)
                judged.checks.reject(reason, wrong[found.codes])

    def ticks(self, judged: Judged) -> Ticks:
        """Return the good rows as ticks."""
        mapping = cast(Mapping, self.rule.mapping)
        (output,) = mapping.outputs
        rows = np.flatnonzero(judged.checks.good)
        ts, ns = judged.ts[rows], judged.ns[rows].astype(np.int16)
        numbers = {name: column[rows] for name, column in judged.numbers.items()}
        found = {name: text.part(rows) for name, text in judged.texts.items()}
        symbols = _used(judged.symbols.part(rows))
        flags = self._flags(judged, mapping, rows)
        if output.kind in ("quotes", "trades") and len(rows):
            known = [self._known.setdefault(v, len(self._known)) for v in symbols.values]
            columns = [*numbers.values(), *map(text_numbers, found.values())]
            columns += [flags.astype(np.int64), ns.astype(np.int64)]
            instruments = np.array(known, dtype=np.int64)[symbols.codes]
            repeated = self._duplicates.mark(ts, columns, instruments)
            flags |= repeated.astype(np.int16) * np.int16(DUPLICATE)
        return Ticks(
            output.kind,
            ts,
            judged.seq[rows],
            numbers,
            flags,
            found,
            symbols,
            ns if ns.any() else None,
            judged.recv_ts[rows],
        )

    @staticmethod
    def _flags(judged: Judged, mapping: Mapping, rows: NDArray[Any]) -> NDArray[np.int16]:
        flags = np.zeros(len(rows), dtype=np.int16)
        for side, bit in (("bid", BID_SET), ("ask", ASK_SET)):
            if (price := judged.numbers.get(f"{side}_price")) is not None:
                flags |= (price[rows] != NULL).astype(np.int16) * np.int16(bit)
        for flag, bit in ((mapping.suspicious, SUSPICIOUS), (mapping.cancelled, CANCELLED)):
            if flag is not None:
                values = judged.columns[flag.column].to_pylist()
                marked = np.array([v in flag.texts for v in values], dtype=np.int16)
                flags |= marked[rows] * np.int16(bit)
        return flags

    def messages(self, judged: Judged) -> list[Message]:
        """Return the good rows as messages."""
        kind = cast(MessageKind, self.rule.kind)
        found = []
        for row in np.flatnonzero(judged.checks.good).tolist():
            symbol = judged.symbols.values[judged.symbols.codes[row]] or None
            found.append(
                Message(
                    kind,
                    int(judged.ts[row]),
                    int(judged.seq[row]),
                    self._values(judged, row),
                    symbol,
                    int(judged.ns[row]),
                    int(judged.recv_ts[row]),
                )
            )
        return found

    def _values(self, judged: Judged, row: int) -> dict[str, Any]:
        # Every row of a kind has the same columns, whichever rule it is of.
        values: dict[str, Any] = dict.fromkeys(MESSAGES[cast(MessageKind, self.rule.kind)])
        for name, text in judged.texts.items():
            values[name] = text.values[text.codes[row]] or None
        if self.rule.kind == "series":
            values |= {"value": Decimal(values["value"]), "unit": values["unit"] or ""}
        for name in (*_LISTS, *_OBJECTS):
            if (words := self.rule.words.get(name)) is not None:
                values[name] = self._raw(judged.group, words, row)
        if self.rule.kind == "statuses" and not isinstance(values.get("detail"), dict):
            values["detail"] = {}
        if self.rule.kind == "news":
            values["symbols"] = _symbols(values["symbols"])
        return values

    def _raw(self, group: Group, words: Words, row: int) -> Any:
        if words.column is None:
            return words.constant
        return self._paths[words.column].of(group.items[row], group.contents[row])


def _symbols(value: Any) -> list[str] | None:
    """Return symbols from a list or a text with commas, None for what is neither."""
    if value is None:
        return []
    listed = value.split(",") if isinstance(value, str) else value
    if not isinstance(listed, list) or not all(isinstance(s, str) for s in listed):
        return None
    found = [symbol.strip() for symbol in listed]
    return list(dict.fromkeys(symbol for symbol in found if symbol))


def _wrong_value(text: str) -> str | None:
    try:
        value = Decimal(text)
    except ArithmeticError:
        return "not_a_number"
    if not value.is_finite():
        return "nan"
    exponent = cast(int, value.as_tuple().exponent)
    return (
        "out_of_range" if value.adjusted() > _SERIES_DIGITS or exponent < -_SERIES_DIGITS else None
    )


def _used(symbols: Text) -> Text:
    """Leave out values that no row has: they would be registered."""
    used, codes = np.unique(symbols.codes, return_inverse=True)
    return Text([symbols.values[code] for code in used.tolist()], codes.astype(np.int32))
