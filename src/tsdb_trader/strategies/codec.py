"""Dataclasses to JSON and back, exactly: floats by their repr, times in UTC to the microsecond."""

from __future__ import annotations

import builtins
import dataclasses
import math
import types
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, TypeVar, Union, get_args, get_origin, get_type_hints

from tsdb_trader.errors import InputError

_T = TypeVar("_T")

_KINDS: Mapping[Any, str] = {
    bool: "boolean",
    int: "integer",
    float: "number",
    str: "string",
    datetime: "string",
    list: "array",
    tuple: "array",
    dict: "object",
}


@dataclasses.dataclass(frozen=True)
class Field:
    """A field as the database checks it."""

    name: str
    kind: str
    nullable: bool


def hints(kind: type) -> dict[str, Any]:
    """Return the type of each field of a dataclass, in order."""
    found = get_type_hints(kind)
    return {field.name: found[field.name] for field in dataclasses.fields(kind)}


def fields(kind: type) -> list[Field]:
    """Return the fields of a dataclass.

    Raises
    ------
    InputError
        A field has a type that is not kept exactly.
    """
    return [_field(name, hint) for name, hint in hints(kind).items()]


def encode(value: object) -> dict[str, Any]:
    """Return a dataclass as JSON.

    Raises
    ------
    InputError
        A field is not of its type, or is no finite number.
    """
    return {
        name: _encode(getattr(value, name), hint, name) for name, hint in hints(type(value)).items()
    }


def decode(kind: type[_T], document: Mapping[str, Any]) -> _T:
    """Return a dataclass from JSON.

    Raises
    ------
    InputError
        A field is missing, unknown or not of its type, or the dataclass refuses them.
    """
    known = hints(kind)
    wrong = sorted(known.keys() ^ document.keys())
    if wrong:
        what = "missing" if wrong[0] in known else "unknown"
        raise InputError(f"{kind.__name__}: {wrong[0]} is {what}")
    values = {name: _decode(document[name], hint, name) for name, hint in known.items()}
    try:
        return kind(**values)
    except (TypeError, ValueError, ArithmeticError) as error:
        raise InputError(f"{kind.__name__}: {error}") from error


def _optional(hint: Any) -> tuple[Any, bool]:
    """Return what a hint is but for None, and whether it may be None."""
    if get_origin(hint) not in (Union, types.UnionType):
        return hint, False
    others = [option for option in get_args(hint) if option is not type(None)]
    if len(others) != 1 or len(others) == len(get_args(hint)):
        raise InputError(f"{hint} is no type of a field: one type, or one or None")
    return others[0], True


def _field(name: str, hint: Any) -> Field:
    try:
        _check_hint(hint)
    except InputError as error:
        raise InputError(f"{name}: {error}") from None
    inner, nullable = _optional(hint)
    return Field(name, _KINDS[get_origin(inner) or inner], nullable)


def _check_hint(hint: Any) -> None:
    inner, _ = _optional(hint)
    match get_origin(inner), get_args(inner):
        case (builtins.list, (item,)) | (builtins.tuple, (item, builtins.Ellipsis)):
            _check_hint(item)
        case builtins.dict, (builtins.str, item):
            _check_hint(item)
        case _ if inner not in (bool, int, float, str, datetime):
            raise InputError(
                f"{hint} is no type of a field: use float, int, bool, str, datetime, "
                "list[...], tuple[..., ...] or dict[str, ...] of them"
            )


def _encode(value: Any, hint: Any, where: str) -> Any:
    inner, nullable = _optional(hint)
    if value is None and nullable:
        return None
    origin = get_origin(inner)
    if origin in (list, tuple) and isinstance(value, origin):
        item = get_args(inner)[0]
        return [_encode(one, item, f"{where}[{n}]") for n, one in enumerate(value)]
    if origin is dict and isinstance(value, dict):
        item = get_args(inner)[1]
        return {
            _encode(key, str, where): _encode(one, item, f"{where}[{key!r}]")
            for key, one in value.items()
        }
    if origin is None and _is(value, inner):
        return _scalar(value, inner, where)
    raise InputError(f"{where} must be {_name(hint)}, not {value!r}")


def _is(value: Any, kind: type) -> bool:
    if kind is float:
        return isinstance(value, (float, int)) and not isinstance(value, bool)
    return isinstance(value, kind) and (kind is bool or not isinstance(value, bool))


def _scalar(value: Any, kind: type, where: str) -> Any:
    if kind is float:
        return _number(value, where)
    if kind is datetime:
        if value.tzinfo is None:
            raise InputError(f"{where} is a time without a time zone: {value!r}")
        return value.astimezone(UTC).isoformat(timespec="microseconds")
    if kind is str:
        # What jsonb cannot hold.
        if "\0" in value or any("\ud800" <= letter <= "\udfff" for letter in value):
            raise InputError(f"{where} is no text: {value!r}")
        return str(value)
    return kind(value)


def _number(value: float, where: str) -> float:
    try:
        # JSON numbers know no negative zero: the sum makes one positive.
        number = float(value) + 0.0
    except OverflowError:
        raise InputError(f"{where} is out of range: {value!r}") from None
    if not math.isfinite(number):
        raise InputError(f"{where} is not finite: {number!r}")
    return number


def _decode(value: Any, hint: Any, where: str) -> Any:
    inner, nullable = _optional(hint)
    if value is None and nullable:
        return None
    origin = get_origin(inner)
    if origin in (list, tuple) and isinstance(value, list):
        item = get_args(inner)[0]
        return origin(_decode(one, item, f"{where}[{n}]") for n, one in enumerate(value))
    if origin is dict and isinstance(value, dict):
        item = get_args(inner)[1]
        return {key: _decode(one, item, f"{where}[{key!r}]") for key, one in value.items()}
    if inner is datetime and isinstance(value, str):
        return _time(value, where)
    if origin is None and inner is not datetime and _is(value, inner):
        return _scalar(value, inner, where)
    if inner is int and isinstance(value, float) and value.is_integer():
        return int(value)
    raise InputError(f"{where} must be {_name(hint)}, not {value!r}")


def _time(value: str, where: str) -> datetime:
    try:
        time = datetime.fromisoformat(value)
    except ValueError:
        raise InputError(f"{where} is no time: {value!r}") from None
    if time.tzinfo is None:
        raise InputError(f"{where} is a time without a time zone: {value!r}")
    return time.astimezone(UTC)


def _name(hint: Any) -> str:
    return hint.__name__ if isinstance(hint, type) and not get_args(hint) else str(hint)
