"""Lean's tick archives of US equities: ``<symbol>/YYYYMMDD_{quote,trade}.zip``.

One CSV without header per archive, times in milliseconds since midnight in New York, prices
times 10,000. A quote row sets one side and leaves the other 0,0, which means unchanged.
"""

from __future__ import annotations

import re
import zipfile
from collections.abc import Iterable, Iterator
from datetime import date, datetime
from pathlib import Path
from typing import BinaryIO, cast

from tsdb_trader.errors import InputError
from tsdb_trader.feeds import lean_decode
from tsdb_trader.feeds.base import Block, DataFile, Kind, Options, Rules
from tsdb_trader.feeds.files import reading

_FILE = re.compile(r"(\d{8})_(quote|trade)\.zip", re.IGNORECASE)
_SYMBOL = re.compile(r"[A-Z0-9][A-Z0-9./-]{0,23}")
_LAYOUT = "<symbol>/YYYYMMDD_quote.zip or <symbol>/YYYYMMDD_trade.zip"
_RESOLUTIONS = {"second", "minute", "hour", "daily"}


class LeanFormat:
    """Reads Lean's tick archives."""

    name = "lean"

    def __init__(self, options: Options | None = None) -> None:
        self._options = options or Options()

    def discover(self, paths: Iterable[Path]) -> list[DataFile]:
        """Find the archives in files and folders, and check their names and members.

        Raises
        ------
        InputError
            A path cannot be read, holds no archive, or a name does not follow the layout.
        """
        found: dict[Path, DataFile] = {}
        for path in paths:
            for archive in _archives(path):
                found.setdefault(archive.resolve(), _identify(archive))
        files = sorted(found.values(), key=lambda f: (f.content, str(f.path)))
        for file in files:
            with _opened(file.path) as archive_:
                _member(file, archive_)
        return files

    def open(self, file: DataFile) -> BinaryIO:
        """Return the CSV inside the archive."""
        archive = _opened(file.path)
        return cast(BinaryIO, archive.open(_member(file, archive)))

    def decode(self, file: DataFile, content: BinaryIO, rules: Rules) -> Iterator[Block]:
        """Turn the CSV into ticks and rejected rows.

        Raises
        ------
        InputError
            The archive is damaged or empty, most rows do not have the format's columns, or none
            can be parsed.
        """
        assert file.kind  # noqa: S101 - every archive is of one
        with reading(file.path):
            yield from lean_decode.decode(str(file.path), content, file.kind, _day(file), rules)


def _day(file: DataFile) -> date:
    return date.fromisoformat(file.content.split("/")[-2])


def _archives(path: Path) -> list[Path]:
    try:
        if path.is_dir():
            files = sorted(p for p in path.rglob("*.zip") if _FILE.fullmatch(p.name))
            if not files:
                raise InputError(f"{path}: no lean files in this folder; expected {_LAYOUT}")
            return files
        if not path.exists():
            raise InputError(f"{path}: no such file or folder; check the path")
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}); check its rights") from None
    return [path]


def _identify(path: Path) -> DataFile:
    match = _FILE.fullmatch(path.name)
    if match is None:
        raise InputError(f"{path}: not a lean file name; expected {_LAYOUT}")
    try:
        day = datetime.strptime(match[1], "%Y%m%d").date()  # noqa: DTZ007 - a date has no zone
    except ValueError:
        raise InputError(f"{path}: {match[1]} is no date; expected {_LAYOUT}") from None
    symbol = path.resolve().parent.name.upper()
    if not _SYMBOL.fullmatch(symbol):
        raise InputError(f"{path}: folder {symbol!r} cannot be a ticker; expected {_LAYOUT}")
    kind: Kind = "quotes" if match[2].lower() == "quote" else "trades"
    content = f"{symbol}/{day.isoformat()}/{kind}"
    return DataFile(path, content, kind, symbol, vocabulary="algoseek")


def _opened(path: Path) -> zipfile.ZipFile:
    try:
        return zipfile.ZipFile(path)
    except zipfile.BadZipFile:
        raise InputError(f"{path}: not a zip file, or a truncated one; get it anew") from None
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}); check its rights") from None


def _member(file: DataFile, archive: zipfile.ZipFile) -> zipfile.ZipInfo:
    members = [m for m in archive.infolist() if not m.is_dir()]
    if len(members) != 1 or not members[0].filename.lower().endswith(".csv"):
        names = ", ".join(m.filename for m in members[:3]) or "nothing"
        raise InputError(f"{file.path}: expected one CSV inside, found {names}; zip it alone")
    name = members[0].filename
    kind = (file.kind or "").removesuffix("s")
    symbol = (file.symbol or "").lower()
    # Names look like 20131007_aig_Quote_Tick.csv; bars are packed alike and are no ticks.
    words = Path(name).stem.lower().split("_")
    day = file.path.name[:8]
    expected = {day, symbol, kind, "tick"}
    if wrong := [word for word in words if word not in expected]:
        what = "bars, not ticks" if _RESOLUTIONS & set(wrong) else f"about {' '.join(wrong)}"
        raise InputError(
            f"{file.path}: the CSV inside ({name}) is {what}; "
            f"expected {day}_{symbol}_{kind.title()}_Tick.csv"
        )
    return members[0]
