"""The kinds of streams, and how one is made from its row in ops.feeds."""

from __future__ import annotations

import importlib
import os
from collections.abc import Mapping
from typing import Any, Protocol, cast, runtime_checkable

from tsdb_trader.errors import ConfigurationError, InputError
from tsdb_trader.feeds.base import Rules, Stream

STREAMS: dict[str, str] = {
    "fix": "tsdb_trader.fix.market_data:FixMarketDataStream",
    "itch_udp": "tsdb_trader.feeds.itch_udp:ItchUdpStream",
    "kafka": "tsdb_trader.feeds.kafka:KafkaStream",
    "websocket": "tsdb_trader.feeds.websocket:WebSocketStream",
    "zeromq": "tsdb_trader.feeds.zeromq:ZeroMqStream",
}
"""Format to module and class; modules are imported when a feed needs them."""

SECRET_PREFIX = "TSDB_TRADER_FEED_"  # noqa: S105 - of a variable's name
"""Only such variables can be named in a configuration, or whoever may write one could send any
other secret of the worker's environment to a server of theirs."""


@runtime_checkable
class Ruled(Protocol):
    """A stream that decides by `market.quality_rules` what is stored."""

    rules: Rules


@runtime_checkable
class Sequenced(Protocol):
    """A stream whose rows we number, but whose messages carry sequence numbers of their own.

    `sequences` is the last number of each content: set before `open`, read after `read`.
    """

    sequences: dict[str, int]


def make_stream(file_format: str, configuration: Mapping[str, Any]) -> Stream:
    """Make a stream, with the secrets of its configuration filled in.

    Raises
    ------
    ConfigurationError
        No such format, a secret that is not in the environment, a library that is not installed.
    InputError
        A configuration that the format cannot use.
    """
    if file_format not in STREAMS:
        known = ", ".join(sorted(STREAMS))
        raise ConfigurationError(f"no stream is of format {file_format!r}: use one of {known}")
    module, _, name = STREAMS[file_format].partition(":")
    try:
        found = getattr(importlib.import_module(module), name)
    except ModuleNotFoundError as error:
        if error.name is not None and error.name.startswith("tsdb_trader"):
            raise ConfigurationError(
                f"this version has no streams of format {file_format}"
            ) from None
        raise ConfigurationError(
            f"format {file_format} needs the library {error.name}: install tsdb-trader[feeds]"
        ) from None
    return cast(Stream, found(with_secrets(configuration)))


def with_secrets(value: Any) -> Any:
    """Replace every ``{"env": "NAME"}`` in a configuration by that environment variable.

    Raises
    ------
    ConfigurationError
        The variable is not set, or its name does not start with `SECRET_PREFIX`.
    """
    if isinstance(value, Mapping):
        if set(value) == {"env"}:
            return _secret(value["env"])
        return {key: with_secrets(item) for key, item in value.items()}
    if isinstance(value, list):
        return [with_secrets(item) for item in value]
    return value


def _secret(name: object) -> str:
    if not isinstance(name, str) or not name.startswith(SECRET_PREFIX):
        raise ConfigurationError(f"a secret is named like {SECRET_PREFIX}TOKEN, not {name!r}")
    if name not in os.environ:
        raise ConfigurationError(f"{name} is not set in the environment of the feeds worker")
    return os.environ[name]


def expect(configuration: Mapping[str, Any], what: str, **kinds: type | tuple[type, ...]) -> None:
    """Check the keys of a configuration and what each holds.

    Raises
    ------
    InputError
        A key is unknown, or its value of another type.
    """
    if unknown := sorted(set(configuration) - set(kinds)):
        raise InputError(f"{what}: unknown {', '.join(unknown)}; it has {', '.join(sorted(kinds))}")
    for key, value in configuration.items():
        kind = kinds[key]
        allowed = kind if isinstance(kind, tuple) else (kind,)
        # A bool is an int to Python, and never a number here.
        if not isinstance(value, allowed) or (isinstance(value, bool) and bool not in allowed):
            names = " or ".join(k.__name__ for k in allowed)
            raise InputError(f"{what}: {key} must be {names}, not {type(value).__name__}")
