"""One headline: what a JSON object says, or why it cannot be used."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

_LONGEST_NUMBER = 60
_LONGEST_SYMBOL = 64


class UnusableError(Exception):
    """A row cannot be used; its argument is a key of `base.REASONS`."""


class Number(str):
    """A JSON number as it was written, so that it goes through no float."""

    __slots__ = ()


@dataclass
class Item:
    """A headline's columns of market.news, and its times as they stand."""

    columns: dict[str, Any]
    time: Any = None
    received: Any = None


def parse(line: bytes) -> dict[str, Any]:
    """Return a line's object, or raise `UnusableError`."""
    try:
        found = _DECODER.decode(line.decode("utf-8"))
    except UnicodeDecodeError:
        raise UnusableError("not_utf8") from None
    except (ValueError, RecursionError):
        raise UnusableError("malformed") from None
    if not isinstance(found, dict):
        raise UnusableError("malformed")
    return found


def find(record: Mapping[str, Any], paths: Sequence[str]) -> Any:
    """Return the first value there is: of a key, or of keys with points in between."""
    for path in paths:
        value = record[path] if path in record else _below(record, path.split("."))
        if value is not None:
            return value
    return None


def _below(value: Any, keys: Sequence[str]) -> Any:
    """Go down; of a list, every element that has the key counts."""
    for depth, key in enumerate(keys):
        if isinstance(value, list):
            found = [_below(element, keys[depth:]) for element in value]
            return [element for element in found if element is not None]
        if not isinstance(value, dict) or key not in value:
            return None
        value = value[key]
    return value


def read_item(
    record: Mapping[str, Any], names: Mapping[str, Sequence[str]], separator: str
) -> Item:
    """Return a headline without its times, or raise `UnusableError`."""
    columns: dict[str, Any] = {
        name: _text(find(record, paths)) for name, paths in names.items() if name != "symbols"
    }
    headline = columns["headline"]
    if headline is None or not headline.strip():
        raise UnusableError("missing_value")
    columns["symbols"] = _symbols(find(record, names["symbols"]), separator)
    return Item(columns)


def _text(value: Any) -> str | None:
    """Return a text; ids and such are numbers at times."""
    if value is None:
        return None
    if not isinstance(value, str):
        raise UnusableError("malformed")
    if "\0" in value:
        raise UnusableError("malformed")
    try:
        value.encode()
    except UnicodeEncodeError:
        # Half a surrogate pair is JSON, but no text.
        raise UnusableError("not_utf8") from None
    return str(value)


def _symbols(value: Any, separator: str) -> list[str]:
    """Return the symbols without repetition, in their order; who they are, the database knows."""
    if value is None:
        return []
    if isinstance(value, str):
        value = value.split(separator)
    if not isinstance(value, list):
        raise UnusableError("bad_symbol")
    found: dict[str, None] = {}
    for symbol in value:
        if not isinstance(symbol, str):
            raise UnusableError("bad_symbol")
        text = (_text(symbol) or "").strip()
        if len(text) > _LONGEST_SYMBOL:
            raise UnusableError("bad_symbol")
        if text:
            found[text] = None
    return list(found)


def _number(text: str) -> Number:
    if len(text) > _LONGEST_NUMBER:
        raise UnusableError("out_of_range")
    return Number(text)


def _no_json(text: str) -> Any:
    raise ValueError(text)


_DECODER = json.JSONDecoder(parse_float=_number, parse_int=_number, parse_constant=_no_json)
