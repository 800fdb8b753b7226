"""Lean's archives: ``<symbol>/YYYYMMDD_{quote,trade}.zip``, one CSV without header in each.

What an archive holds is told by the name of the CSV and the number of its columns: ticks or bars
of US equities (times of the wall clock in New York, prices times 10,000), or ticks of currency
pairs (times of the broker's clock, decimal prices, under a folder named after the broker).
"""

from __future__ import annotations

import re
import zipfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import BinaryIO, cast

from tsdb_trader.errors import InputError
from tsdb_trader.feeds import lean_decode, lean_mappings
from tsdb_trader.feeds.base import Block, DataFile, Definition, Kind, Options, Rules
from tsdb_trader.feeds.csv_format import decode_text
from tsdb_trader.feeds.files import find_files, reading
from tsdb_trader.feeds.mapping import Mapping
from tsdb_trader.feeds.mapping_file import check_zone

_FILE = re.compile(r"(\d{8})_(quote|trade)\.zip", re.IGNORECASE)
_SYMBOL = re.compile(r"[A-Z0-9][A-Z0-9./-]{0,23}")
_PAIR = re.compile(r"[A-Z]{6}")
_LAYOUT = "<symbol>/YYYYMMDD_quote.zip or <symbol>/YYYYMMDD_trade.zip"
_RESOLUTIONS = {"tick": "", "second": "1s", "minute": "1m"}
_FX_TICK_FIELDS = 3


@dataclass(frozen=True)
class _Archive:
    """What an archive's path says, and its CSV's name and first line."""

    path: Path
    symbol: str
    day: date
    what: str
    resolution: str
    currencies: bool

    @property
    def broker(self) -> str:
        """The folder around that of the symbol, and around that of the resolution if any."""
        folders = [p.name for p in self.path.resolve().parents[1:3]]
        return next((f.upper() for f in folders if f.lower() not in _RESOLUTIONS), "")


class LeanFormat:
    """Reads Lean's archives."""

    name = "lean"

    def __init__(self, options: Options | None = None) -> None:
        self._zone = options.timezone if options else None
        if self._zone:
            check_zone(self._zone, InputError(f"--timezone {self._zone}: no IANA zone such as UTC"))
        self._mappings: dict[DataFile, Mapping] = {}

    def discover(self, paths: Iterable[Path]) -> list[DataFile]:
        """Find the archives in files and folders, and check their names and members.

        Raises
        ------
        InputError
            A path cannot be read, holds no archive, or a name does not follow the layout.
        """
        archives = [_identify(path) for path in find_files(paths, _FILE, "lean", _LAYOUT)]
        files = [self._describe(archive) for archive in archives]
        return sorted(files, key=lambda f: (f.content, str(f.path)))

    def _describe(self, archive: _Archive) -> DataFile:
        path, symbol, day = archive.path, archive.symbol, archive.day
        if archive.resolution:
            mapping = lean_mappings.bars(archive.what, archive.resolution)
            content = f"{symbol}/{day.isoformat()}/{archive.resolution}/{archive.what}"
            file = DataFile(path, content, "bars", symbol, Definition(as_of=day.isoformat()))
            self._mappings[file] = lean_mappings.on(mapping, day)
        elif archive.currencies:
            mapping = lean_mappings.currency_ticks(archive.broker, symbol, self._zone)
            content = f"{symbol}/{day.isoformat()}/quotes/{archive.broker}"
            file = DataFile(path, content, "quotes", symbol, mapping.definition)
            self._mappings[file] = lean_mappings.on(mapping, day)
        else:
            kind: Kind = "quotes" if archive.what == "quote" else "trades"
            content = f"{symbol}/{day.isoformat()}/{kind}"
            definition = Definition(as_of=day.isoformat())
            file = DataFile(path, content, kind, symbol, definition, vocabulary="algoseek")
        return file

    def open(self, file: DataFile) -> BinaryIO:
        """Return the CSV inside the archive."""
        archive = _opened(file.path)
        return cast(BinaryIO, archive.open(_member(file.path, archive)))

    def decode(self, file: DataFile, content: BinaryIO, rules: Rules) -> Iterator[Block]:
        """Turn the CSV into blocks.

        Raises
        ------
        InputError
            The archive is damaged or empty, at its start most rows do not have the format's
            columns, or none can be parsed.
        """
        if (mapping := self._mappings.get(file)) is not None:
            yield from decode_text(file, content, mapping, rules)
            return
        assert file.kind  # noqa: S101 - every archive is of one
        day = date.fromisoformat(file.content.split("/")[1])
        with reading(file.path):
            yield from lean_decode.decode(str(file.path), content, file.kind, day, rules)


def _identify(path: Path) -> _Archive:
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
    what = match[2].lower()
    with _opened(path) as archive, reading(path):
        member = _member(path, archive)
        resolution = _resolution(path, member.filename, symbol, what)
        with archive.open(member) as content:
            fields = content.read(4096).partition(b"\n")[0].count(b",") + 1
    currencies = resolution == "tick" and what == "quote" and fields == _FX_TICK_FIELDS
    if currencies and not _PAIR.fullmatch(symbol):
        raise InputError(f"{path}: ticks without sizes, but {symbol} is no currency pair")
    return _Archive(path, symbol, day, what, _RESOLUTIONS[resolution], currencies)


def _opened(path: Path) -> zipfile.ZipFile:
    try:
        return zipfile.ZipFile(path)
    except zipfile.BadZipFile:
        raise InputError(f"{path}: not a zip file, or a truncated one; get it anew") from None
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}); check its rights") from None


def _member(path: Path, archive: zipfile.ZipFile) -> zipfile.ZipInfo:
    members = [m for m in archive.infolist() if not m.is_dir()]
    if len(members) != 1 or not members[0].filename.lower().endswith(".csv"):
        names = ", ".join(m.filename for m in members[:3]) or "nothing"
        raise InputError(f"{path}: expected one CSV inside, found {names}; zip it alone")
    return members[0]


def _resolution(path: Path, member: str, symbol: str, what: str) -> str:
    """Tell by the CSV's name, such as 20131007_aig_Quote_Tick.csv, which must fit the path."""
    words = Path(member).stem.lower().split("_")
    day = path.name[:8]
    found = [word for word in words if word in _RESOLUTIONS] or ["tick"]
    if wrong := [word for word in words if word not in {day, symbol.lower(), what, found[0]}]:
        raise InputError(
            f"{path}: the CSV inside ({member}) is about {' '.join(wrong)}; "
            f"expected {day}_{symbol.lower()}_{what.title()}_Tick.csv or bars of a second or minute"
        )
    return found[0]
