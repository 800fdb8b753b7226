"""The FIX dictionaries that come with the engine, by version."""

from __future__ import annotations

import sysconfig
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from tsdb_trader.errors import ConfigurationError

TRANSPORT = "FIXT.1.1"


class Version(NamedTuple):
    """An application version: its ApplVerID (1128) and the file that defines it."""

    code: str
    dictionary: str


_NAMED = {
    "FIX.4.0": Version("2", "FIX40.xml"),
    "FIX.4.1": Version("3", "FIX41.xml"),
    "FIX.4.2": Version("4", "FIX42.xml"),
    "FIX.4.3": Version("5", "FIX43.xml"),
    "FIX.4.4": Version("6", "FIX44.xml"),
    "FIX.5.0": Version("7", "FIX50.xml"),
    "FIX.5.0SP1": Version("8", "FIX50SP1.xml"),
    "FIX.5.0SP2": Version("9", "FIX50SP2.xml"),
}
# By name, and by ApplVerID as a configuration may say as well.
APPL_VERSIONS: Mapping[str, Version] = _NAMED | {v.code: v for v in _NAMED.values()}


def shipped(name: str) -> Path:
    """Return a dictionary that was installed with the engine.

    Raises
    ------
    ConfigurationError
        It is not there.
    """
    path = _folder() / name
    if not path.is_file():
        raise ConfigurationError(f"{path} is missing: install quickfix again (make setup)")
    return path


def find_dictionary(name: str, folder: Path) -> Path | None:
    """Return the file of that name: below a folder, or, for a bare name, with the engine."""
    own = folder / name
    if own.is_file():
        return own
    theirs = _folder() / name
    return theirs if Path(name).name == name and theirs.is_file() else None


def _folder() -> Path:
    return Path(sysconfig.get_path("data")) / "share" / "quickfix"
