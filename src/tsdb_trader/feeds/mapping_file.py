"""Reading mapping files, and mappings in the configuration of streams.

A mapping file is TOML; docs/feeds.md has every key and an example.
"""

from __future__ import annotations

import codecs
import re
import tomllib
from collections.abc import Mapping as Dict
from collections.abc import Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Any, cast
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from tsdb_trader.errors import InputError
from tsdb_trader.feeds.base import TABLES, Definition, Kind
from tsdb_trader.feeds.mapping import (
    REQUIRED,
    UNITS,
    Ambiguous,
    Flag,
    Layout,
    Mapping,
    Number,
    Output,
    Series,
    Time,
    Words,
)


class Keys:
    """A table of a mapping file: every key is taken once, and none may be left."""

    def __init__(self, path: Path, table: Dict[str, Any], name: str = "") -> None:
        self._path = path
        self._table = dict(table)
        self._name = name
        self._known: list[str] = []

    def fail(self, key: str, what: str) -> InputError:
        """Return an error about a key."""
        return InputError(f"{self._path}: {self._name}{key}: {what}")

    def take(self, key: str, kind: type, default: Any = None) -> Any:
        """Return a key's value, which must be of a type."""
        self._known.append(key)
        if key not in self._table:
            return default
        value = self._table.pop(key)
        if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
            wanted = {str: "a text", int: "a whole number", bool: "true or false", dict: "a table"}
            raise self.fail(key, f"must be {wanted.get(kind, 'a list')}, not {value!r}")
        return value

    def texts(self, key: str, default: Sequence[str] = ()) -> tuple[str, ...]:
        """Return a list of texts."""
        found = self.take(key, list, list(default))
        if not all(isinstance(value, str) for value in found):
            raise self.fail(key, "must be a list of texts")
        return tuple(found)

    def choose(self, key: str, of: Sequence[str], default: str | None = None) -> str:
        """Return a text that must be one of some."""
        found = self.take(key, str, default)
        if found not in of:
            told = "is missing" if found is None else f"{found!r} is not known"
            raise self.fail(key, f"{told}; use one of {', '.join(of)}")
        return cast(str, found)

    def whole(self, key: str, default: int, least: int, most: int) -> int:
        """Return a whole number within bounds."""
        found: int = self.take(key, int, default)
        if not least <= found <= most:
            raise self.fail(key, f"{found} is not between {least} and {most}")
        return found

    def table(self, key: str) -> Keys | None:
        """Return a table within."""
        found = self.take(key, dict)
        return None if found is None else Keys(self._path, found, f"{self._name}{key}.")

    def column(self, key: str) -> Keys | None:
        """Return a table that may be written as the name of a column alone."""
        if isinstance(self._table.get(key), str):
            self._table[key] = {"column": self._table[key]}
        return self.table(key)

    def done(self) -> None:
        """Refuse keys that nobody took."""
        for key in self._table:
            close = get_close_matches(key, self._known, 1)
            hint = f"did you mean {close[0]}?" if close else f"use {', '.join(self._known)}"
            raise self.fail(key, f"no such key; {hint}")


def read_mapping(path: Path | None, zone: str | None, symbol: str | None) -> Mapping:
    """Read a mapping file.

    Parameters
    ----------
    zone, symbol
        What the user gives on the command line, for a file that says nothing about it.

    Raises
    ------
    InputError
        There is none, or something in it cannot be; it names the key and what is possible.
    """
    if path is None:
        raise InputError("what the columns mean is not said: give --mapping FILE (docs/feeds.md)")
    try:
        table = tomllib.loads(path.read_text("utf-8"))
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}); check the path") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: no TOML ({error})") from None
    return parse_mapping(Keys(path, table), zone, symbol)


def parse_mapping(keys: Keys, zone: str | None = None, symbol: str | None = None) -> Mapping:
    """Return the mapping in the keys of a file, or of a stream's configuration.

    Raises
    ------
    InputError
        Something in it cannot be; see `read_mapping`.
    """
    kind = keys.choose("kind", tuple(REQUIRED))
    found = Mapping(
        outputs=[] if kind == "series" else [_output(keys, cast(Kind, kind))],
        series=_series(keys) if kind == "series" else None,
        time=read_time(keys, "time", zone) or _missing(keys, "time"),
        recv_time=read_time(keys, "recv_time", zone),
        symbol=read_symbol(keys, symbol, needed=kind != "series"),
        definition=_definition(keys),
        vocabulary=keys.take("vocabulary", str, ""),
        layout=_layout(keys),
        nulls=frozenset(keys.texts("nulls", ["", "NA", "NaN", "null"])),
        zero_is_null=keys.take("zero_is_null", bool, False),
        in_order=keys.choose("order", ("time", "any"), "time") == "time",
        suspicious=_flag(keys, "suspicious"),
        cancelled=_flag(keys, "cancelled"),
    )
    keys.done()
    return found


def _missing(keys: Keys, key: str) -> Any:
    raise keys.fail(key, "is missing")


def _output(keys: Keys, kind: Kind) -> Output:
    table = TABLES[kind]
    columns = keys.table("columns") or _missing(keys, "columns")
    numbers = {n: v for n in table.numbers if (v := _number(columns, n, n in table.others))}
    texts = {name: f for name in table.texts if (f := read_words(columns, name))}
    columns.done()
    for name in REQUIRED[kind]:
        if name not in numbers and name not in texts:
            raise columns.fail(name, "is missing")
    if not numbers:
        raise columns.fail(" or ".join(table.numbers), "is missing")
    if kind == "bars":
        texts.setdefault("side", Words(constant="trade"))
        if "resolution" not in texts:
            raise columns.fail("resolution", 'is missing; such as { constant = "1m" }')
    return Output(kind, numbers, texts)


def _number(keys: Keys, name: str, identifier: bool) -> Number | None:
    table = keys.column(name)
    if table is None:
        return None
    column = table.take("column", str) or _missing(table, "column")
    if identifier:
        table.done()
        return Number(column)
    divisor = str(table.whole("divisor", 1, 1, 10**9))
    if not re.fullmatch("10*", divisor):
        raise table.fail("divisor", f"{divisor} is no power of ten")
    factor = table.whole("factor", 1, 1, 10**6)
    table.done()
    return Number(column, len(divisor) - 1, factor)


def read_words(keys: Keys, name: str) -> Words | None:
    """Return a column of texts or a constant, None without the key."""
    table = keys.column(name)
    if table is None:
        return None
    column, constant = table.take("column", str), table.take("constant", str)
    if (column is None) == (constant is None):
        raise table.fail("column", "give either column or constant")
    values = table.take("values", dict, {})
    if not all(isinstance(value, str) for value in values.values()):
        raise table.fail("values", "must be texts")
    table.done()
    return Words(column, constant or "", values)


def _series(keys: Keys) -> Series:
    columns = keys.table("columns") or _missing(keys, "columns")
    name = read_words(columns, "series") or _missing(columns, "series")
    value = columns.take("value", str) or _missing(columns, "value")
    unit = read_words(columns, "unit") or Words()
    columns.done()
    return Series(name, value, unit)


def read_time(keys: Keys, name: str, zone: str | None) -> Time | None:
    """Return how a key says the time of rows, None without the key."""
    table = keys.column(name)
    if table is None:
        return None
    column = table.take("column", str) or _missing(table, "column")
    day = table.take("date", str)
    form = table.take("format", str, "iso")
    if form not in UNITS and form != "iso" and "%" not in form:
        known = ", ".join(UNITS)
        raise table.fail("format", f"{form!r} is none of iso, {known}, or a pattern such as %Y%m%d")
    own_zone = table.take("zone", str, zone or "UTC")
    check_zone(own_zone, table.fail("zone", f"{own_zone!r} is no IANA zone such as Europe/Berlin"))
    ambiguous = table.choose("ambiguous", ("reject", "first", "second"), "reject")
    table.done()
    columns = (column,) if day is None else (day, column)
    return Time(columns, form, own_zone, None, cast(Ambiguous, ambiguous))


def check_zone(name: str, error: InputError) -> None:
    """Raise an error unless a name is that of a time zone."""
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise error from None


def read_symbol(keys: Keys, given: str | None, *, needed: bool = True) -> Words | None:
    """Return how rows name their instrument."""
    found = read_words(keys, "symbol")
    if found is None:
        if given is None and not needed:
            return None
        if given is None:
            raise keys.fail("symbol", "is missing; name a column, or give --symbol")
        return Words(constant=given)
    if given is not None and found.column is not None:
        raise keys.fail("symbol", "is a column; leave --symbol out")
    return Words(constant=given) if given is not None else found


def _definition(keys: Keys) -> Definition:
    table = keys.table("instrument")
    if table is None:
        return Definition()
    default = Definition()
    found = Definition(
        table.take("kind", str, default.kind),
        table.take("currency", str, default.currency),
        table.whole("price_scale", default.price_scale, 0, 9),
        table.whole("size_scale", default.size_scale, 0, 9),
    )
    table.done()
    return found


def _layout(keys: Keys) -> Layout:
    table = keys.table("file")
    if table is None:
        return Layout()
    delimiter, quote = table.take("delimiter", str, ","), table.take("quote", str, '"')
    for key, mark, least in (("delimiter", delimiter, 1), ("quote", quote, 0)):
        if not least <= len(mark.encode()) <= 1 or mark in ("\n", "\r", "\0"):
            raise table.fail(key, f"{mark!r} is not one ASCII character")
    encoding = table.take("encoding", str, "utf-8")
    try:
        encoding = codecs.lookup(encoding).name
    except LookupError:
        raise table.fail("encoding", f"{encoding!r} is not known") from None
    names = table.texts("names")
    table.done()
    return Layout(delimiter, quote, encoding, names or None)


def _flag(keys: Keys, name: str) -> Flag | None:
    table = keys.table(name)
    if table is None:
        return None
    column = table.take("column", str) or _missing(table, "column")
    texts = table.texts("texts", ["1", "true"])
    table.done()
    return Flag(column, frozenset(texts))
