"""Passwords of participants: hashed in the database, or kept by the venue's process; pure."""

from __future__ import annotations

import base64
import hashlib
import hmac
import os
import secrets
from collections.abc import Mapping
from pathlib import Path

from tsdb_trader.api.venue import Participant

# About 30 ms and 16 MB for each logon.
_COST, _BLOCK, _PARALLEL = 2**14, 8, 1


def hash_password(password: str) -> str:
    """Return what the database keeps of a password: scrypt with a salt of its own."""
    salt = secrets.token_bytes(16)
    parts = (base64.b64encode(x).decode() for x in (salt, _scrypt(password, salt)))
    return "$".join(("scrypt", f"{_COST}:{_BLOCK}:{_PARALLEL}", *parts))


def refusal(
    participant: Participant | None,
    username: str,
    password: str,
    environment: Mapping[str, str] = os.environ,
) -> str | None:
    """Say why a logon is refused, None if it is not; one without a password needs none."""
    if participant is None:
        return None
    if participant.username is not None and not hmac.compare_digest(
        _bytes(username), _bytes(participant.username)
    ):
        return "unknown user or wrong password"
    if participant.password_hash is not None:
        right = _matches(participant.password_hash, password)
    elif participant.password_from is not None:
        wanted = _secret(participant.password_from, environment)
        if wanted is None:
            return "the venue cannot find the participant's password"
        right = hmac.compare_digest(_bytes(wanted), _bytes(password))
    else:
        return None
    return None if right else "unknown user or wrong password"


def _secret(place: str, environment: Mapping[str, str]) -> str | None:
    kind, _, name = place.partition(":")
    if kind == "env":
        return environment.get(name) or None
    try:
        return Path(name).read_text().strip() or None
    except OSError:
        return None


def _matches(stored: str, password: str) -> bool:
    _, cost, salt, digest = stored.split("$")
    if cost != f"{_COST}:{_BLOCK}:{_PARALLEL}":
        return False
    return hmac.compare_digest(base64.b64decode(digest), _scrypt(password, base64.b64decode(salt)))


def _scrypt(password: str, salt: bytes) -> bytes:
    return hashlib.scrypt(_bytes(password), salt=salt, n=_COST, r=_BLOCK, p=_PARALLEL, dklen=32)


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")
