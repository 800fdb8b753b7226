"""What JSON messages of a stream mean: the `mapping` of its configuration.

Columns, units, times and symbols are said as in a mapping file of CSV (`feeds/mapping.py`); a
column is a path here, such as ``data.bids.0.1``. A path that begins with ``^.`` starts at the
message where `each` would start it at one of its rows; ``.`` is the row itself::

    {"instrument": {"kind": "crypto", "price_scale": 2, "size_scale": 8},
     "ignore": [{"type": ["heartbeat", "subscribed"]}],
     "sequence": {"path": "seq"},
     "rows": [{"where": {"type": "trade"}, "each": "trades", "kind": "trades",
               "symbol": {"column": "^.pair", "values": {"btcusd": "BTC-USD"}},
               "time": {"column": "t", "format": "ms"},
               "columns": {"price": "p", "size": "q", "trade_id": "id"}}]}
"""

from __future__ import annotations

from collections.abc import Mapping as Dict
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path as FilePath
from typing import Any, cast

from tsdb_trader.errors import InputError
from tsdb_trader.feeds.base import Definition, MessageKind
from tsdb_trader.feeds.mapping import REQUIRED, Mapping, Time, Words
from tsdb_trader.feeds.mapping_file import Keys, parse_mapping, read_time, read_words

MESSAGES: Dict[MessageKind, tuple[str, ...]] = {
    "news": ("headline", "headline_id", "body", "url", "language", "symbols"),
    "series": ("series", "value", "unit"),
    "statuses": ("kind", "code", "detail"),
}
"""Columns of what is stored one by one; the first must be there."""
_NEEDED: Dict[str, tuple[str, ...]] = {
    "news": ("headline",),
    "series": ("series", "value"),
    "statuses": ("kind", "code"),
}


@dataclass(frozen=True)
class Path:
    """Where a value stands in a message."""

    keys: tuple[str, ...]
    from_message: bool = False

    @classmethod
    def read(cls, text: str) -> Path:
        """Read ``a.b.0`` or ``^.a``."""
        keys = tuple(key for key in text.split(".") if key)
        return cls(keys[1:], True) if keys[:1] == ("^",) else cls(keys)

    def of(self, row: Any, message: Any) -> Any:
        """Return the value, None where there is none."""
        value = message if self.from_message else row
        for key in self.keys:
            if isinstance(value, dict):
                value = value.get(key)
            elif isinstance(value, list) and key.isdecimal() and int(key) < len(value):
                value = value[int(key)]
            else:
                return None
        return value


@dataclass(frozen=True)
class Where:
    """Which messages: those with one of the texts at every path (None: with anything there)."""

    conditions: Sequence[tuple[Path, frozenset[str] | None]]

    def fits(self, message: Any) -> bool:
        """Say whether a message is one of them."""
        for path, texts in self.conditions:
            value = path.of(message, message)
            if value is None or (isinstance(value, dict | list) and texts is not None):
                return False
            if texts is not None and as_text(value) not in texts:
                return False
        return True


@dataclass(frozen=True)
class Rule:
    """What messages of one sort become: ticks by `mapping`, or messages of `kind`."""

    where: Where
    each: Path | None
    kind: str
    time: Time
    recv_time: Time | None
    symbol: Words | None
    nulls: frozenset[str]
    mapping: Mapping | None = None
    words: Dict[str, Words] = field(default_factory=dict)

    @property
    def paths(self) -> list[str]:
        """Every path that is used."""
        if self.mapping is not None:
            return self.mapping.columns
        found = [*self.time.columns, *(self.recv_time.columns if self.recv_time else ())]
        words = [*self.words.values(), *([self.symbol] if self.symbol else [])]
        return list(dict.fromkeys([*found, *(w.column for w in words if w.column is not None)]))


@dataclass(frozen=True)
class JsonMapping:
    """The mapping of a stream of JSON messages.

    `replays`: after a reconnect the source sends again what we may have; else numbers that start
    lower than before mean that its numbering began anew.
    """

    rules: Sequence[Rule]
    ignore: Sequence[Where]
    definition: Definition
    vocabulary: str = ""
    sequence: Path | None = None
    replays: bool = False


def as_text(value: Any) -> str:
    """Return a JSON value other than an object or array as text; numbers are texts already."""
    if value is True or value is False:
        return "true" if value else "false"
    return str(value)


def read_json_mapping(table: object, name: str = "mapping") -> JsonMapping:
    """Read the mapping of a stream's configuration.

    Raises
    ------
    InputError
        Something in it cannot be; the message names the key and what is possible.
    """
    if not isinstance(table, dict):
        raise InputError(f'{name}: must be an object with "rows" (docs/feeds.md)')
    keys = Keys(FilePath(name), table)
    shared = {key: table[key] for key in ("instrument", "vocabulary") if key in table}
    keys.take("instrument", dict)
    rows = keys.take("rows", list, [])
    if not rows:
        raise keys.fail("rows", "is missing: say what messages become")
    rules = [_rule(name, n, rule, shared) for n, rule in enumerate(rows)]
    sequence = keys.column("sequence")
    found = JsonMapping(
        rules=rules,
        ignore=[_where(keys, "ignore", where) for where in keys.take("ignore", list, [])],
        definition=_definition(name, shared),
        vocabulary=keys.take("vocabulary", str, ""),
        sequence=None if sequence is None else Path.read(_path(sequence)),
        replays=sequence is not None and sequence.take("replays", bool, False),
    )
    if sequence is not None:
        sequence.done()
    keys.done()
    return found


def _path(keys: Keys) -> str:
    path = keys.take("path", str) or keys.take("column", str)
    if not path:
        raise keys.fail("path", "is missing")
    return cast(str, path)


def _definition(name: str, shared: Dict[str, Any]) -> Definition:
    # The smallest mapping there is, read for its instrument.
    pretend = {"kind": "trades", "time": "t", "symbol": "s", **shared}
    pretend["columns"] = {"price": "p", "size": "q"}
    return parse_mapping(Keys(FilePath(name), pretend)).definition


def _where(keys: Keys, key: str, table: object) -> Where:
    if not isinstance(table, dict):
        raise keys.fail(key, 'must be like {"type": "trade"}')
    conditions: list[tuple[Path, frozenset[str] | None]] = []
    for path, wanted in table.items():
        if wanted is True:
            conditions.append((Path.read(path), None))
            continue
        texts = wanted if isinstance(wanted, list) else [wanted]
        if not texts or not all(isinstance(t, str | int) for t in texts):
            raise keys.fail(f"{key}.{path}", "must be a text, a list of texts, or true")
        conditions.append((Path.read(path), frozenset(as_text(t) for t in texts)))
    return Where(conditions)


def _rule(name: str, number: int, table: object, shared: Dict[str, Any]) -> Rule:
    if not isinstance(table, dict):
        raise InputError(f"{name}: rows.{number} must be an object")
    rest = {key: value for key, value in table.items() if key not in ("where", "each")}
    prefix = f"rows.{number}."
    keys = Keys(FilePath(name), table, prefix)
    where = _where(keys, "where", table.get("where", {}))
    each = keys.take("each", str)
    path = None if each is None else Path.read(each)
    for key in ("instrument", "vocabulary", "order", "file"):
        if key in rest:
            raise keys.fail(key, "is not said here")
    kind = rest.get("kind")
    if kind in MESSAGES:
        return _message_rule(Keys(FilePath(name), rest, prefix), where, path)
    if kind not in REQUIRED:
        known = ", ".join(dict.fromkeys([*REQUIRED, *MESSAGES]))
        raise keys.fail("kind", f"{kind!r} is not known; use one of {known}")
    # A stream is stored as it comes: what is late is late, not wrong. NaN is no way to say null.
    rest = {"nulls": [""], **rest, **shared, "order": "any"}
    mapping = parse_mapping(Keys(FilePath(name), rest, prefix))
    return Rule(
        where,
        path,
        cast(str, kind),
        mapping.time,
        mapping.recv_time,
        mapping.symbol,
        mapping.nulls,
        mapping,
    )


def _message_rule(keys: Keys, where: Where, each: Path | None) -> Rule:
    kind = cast(MessageKind, keys.choose("kind", tuple(MESSAGES)))
    columns = keys.table("columns")
    if columns is None:
        raise keys.fail("columns", "is missing")
    words = {name: w for name in MESSAGES[kind] if (w := read_words(columns, name)) is not None}
    columns.done()
    for name in _NEEDED[kind]:
        if name not in words:
            raise columns.fail(name, "is missing")
    time = read_time(keys, "time", None)
    if time is None:
        raise keys.fail("time", "is missing")
    found = Rule(
        where,
        each,
        kind,
        time,
        read_time(keys, "recv_time", None),
        read_words(keys, "symbol"),
        frozenset(keys.texts("nulls", [""])),
        words=words,
    )
    keys.done()
    return found
