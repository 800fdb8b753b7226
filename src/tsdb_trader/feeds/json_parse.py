"""One JSON message, exactly: numbers stay texts, what is ambiguous or no JSON is told apart."""

from __future__ import annotations

import json
import re
from typing import Any

_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")
_LONGEST_NUMBER = 60


class UnusableError(Exception):
    """A message cannot be used; its argument is a key of `base.REASONS`."""


def parse(raw: bytes | str) -> Any:
    """Return a message with its numbers as texts, or raise `UnusableError`."""
    try:
        text = raw if isinstance(raw, str) else raw.decode("utf-8")
    except UnicodeDecodeError:
        raise UnusableError("not_utf8") from None
    try:
        found = _DECODER.decode(text)
    except (ValueError, RecursionError):
        raise UnusableError("malformed") from None
    if _SURROGATE.search(text) is not None:
        # Half a surrogate pair is JSON, but no text.
        try:
            json.dumps(found, ensure_ascii=False).encode()
        except UnicodeEncodeError:
            raise UnusableError("not_utf8") from None
    return found


def _number(text: str) -> str:
    if len(text) > _LONGEST_NUMBER:
        raise UnusableError("out_of_range")
    return text


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        # Which of two equal keys is meant is anybody's guess.
        raise UnusableError("malformed")
    return found


_DECODER = json.JSONDecoder(
    parse_float=_number, parse_int=_number, parse_constant=str, object_pairs_hook=_object
)
