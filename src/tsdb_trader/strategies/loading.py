"""Finding the classes that a setting names, and refusing those that will not do."""

from __future__ import annotations

import dataclasses
import hashlib
import importlib
import inspect
import re
import sys
from dataclasses import dataclass
from importlib.abc import InspectLoader
from typing import Any, get_args, get_origin

from tsdb_trader.errors import ConfigurationError, InputError
from tsdb_trader.strategies.base import Strategy
from tsdb_trader.strategies.codec import Field, fields, hints

_PATH = re.compile(r"[A-Za-z_][A-Za-z0-9_.]*:[A-Za-z_][A-Za-z0-9_]*")
_NAME = re.compile(r"[a-z][a-z0-9_]{0,31}")


@dataclass(frozen=True)
class Loaded:
    """A strategy's class with what the database keeps of it."""

    strategy: type[Strategy[Any, Any]]
    path: str
    state: type[Any]
    parameters: type[Any]
    state_fields: list[Field]
    parameter_fields: list[Field]
    code_hash: str
    """SHA-256 of the source of the modules that it and its bases stand in, as loaded."""

    @property
    def name(self) -> str:
        """The strategy's name."""
        return self.strategy.name


def load_all(names: str) -> dict[str, Loaded]:
    """Return the classes of a list ``module:Class,module:Class``, by the strategy's name.

    Raises
    ------
    ConfigurationError
        One cannot be imported, is no strategy, or has the name of another.
    """
    found: dict[str, Loaded] = {}
    for path in filter(None, (part.strip() for part in names.split(","))):
        loaded = load(path)
        other = found.setdefault(loaded.name, loaded)
        if other is not loaded:
            raise ConfigurationError(f"{path} and {other.path} are both strategy {loaded.name!r}")
    return found


def load(path: str) -> Loaded:
    """Return the class ``module:Class``.

    Raises
    ------
    ConfigurationError
        It cannot be imported, or is no strategy; the message says why.
    """
    if not _PATH.fullmatch(path):
        raise ConfigurationError(f"{path!r} names no strategy: write module:Class")
    module, _, name = path.partition(":")
    try:
        found = getattr(importlib.import_module(module), name, None)
    except Exception as error:
        # Whatever the module raises: it is not ours.
        raise ConfigurationError(f"{path}: {type(error).__name__}: {error}") from error
    if found is None:
        raise ConfigurationError(f"{path}: module {module} has no {name}")
    try:
        return _judge(found, path)
    except InputError as error:
        raise ConfigurationError(f"{path}: {error}") from None


def _judge(found: Any, path: str) -> Loaded:
    if not (isinstance(found, type) and issubclass(found, Strategy)):
        raise InputError("it is no subclass of tsdb_trader.strategies.Strategy")
    if inspect.isabstract(found) or not callable(found.step):
        raise InputError("it has no step")
    if not isinstance(inspect.getattr_static(found, "step"), staticmethod):
        raise InputError("its step must be a @staticmethod: it keeps nothing but its state")
    if not _NAME.fullmatch(str(getattr(found, "name", ""))):
        raise InputError(
            "its name must be of lower-case letters, digits and _, at most 32, a letter first"
        )
    if not getattr(found, "description", ""):
        raise InputError("it needs a description")
    state, parameters = _types(found)
    state_fields = _dataclass_fields(state, "state")
    _check_state(state)
    parameter_fields = _dataclass_fields(parameters, "parameters")
    if not parameter_fields:
        raise InputError("it needs a parameter")
    return Loaded(found, path, state, parameters, state_fields, parameter_fields, _code_hash(found))


def _types(found: type[Strategy[Any, Any]]) -> tuple[type[Any], type[Any]]:
    for base in found.__mro__:
        for original in base.__dict__.get("__orig_bases__", ()):
            if get_origin(original) is Strategy:
                state, parameters = get_args(original)
                return state, parameters
    raise InputError("it does not say of what: write class X(Strategy[State, Parameters])")


def _dataclass_fields(kind: Any, what: str) -> list[Field]:
    if not (isinstance(kind, type) and dataclasses.is_dataclass(kind)):
        raise InputError(f"its {what} {kind!r} must be a dataclass")
    try:
        return fields(kind)
    except NameError as error:
        raise InputError(f"its {what}: {error}") from None


def _check_state(state: type[Any]) -> None:
    found = hints(state)
    if found.get("event") != str | None:
        raise InputError("its state needs event: str | None")
    if found.get("quantities") not in (list[int], tuple[int, ...]):
        raise InputError("its state needs quantities: list[int]")
    if "score" in found and found["score"] not in (float, float | None):
        raise InputError("the score of its state must be a float")
    try:
        state()
    except TypeError:
        raise InputError("every field of its state needs a default: it starts as that") from None


def _code_hash(found: type) -> str:
    modules = dict.fromkeys(
        base.__module__ for base in found.__mro__ if base.__module__.split(".")[0] not in _OURS
    )
    digest = hashlib.sha256()
    for name in modules:
        spec = sys.modules[name].__spec__
        loader = None if spec is None else spec.loader
        source = loader.get_source(name) if isinstance(loader, InspectLoader) else None
        if source is None:
            raise InputError(f"module {name} has no source to tell its version by")
        digest.update(source.encode())
    return digest.hexdigest()


_OURS = ("tsdb_trader", "typing", "abc", "builtins")
