"""Databento DBN files: ``.dbn``, also packed with zstd or gzip.

The metadata and rare records are decoded by the library `databento-dbn`; market data records are
fixed layouts (the library's own dtypes) and are decoded in bulk.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from types import ModuleType
from typing import Any, BinaryIO, cast

from tsdb_trader.errors import ConfigurationError, InputError
from tsdb_trader.feeds import base, dbn_frames
from tsdb_trader.feeds.base import Block, DataFile, Definition, Options, Rules
from tsdb_trader.feeds.dbn_records import Decoder
from tsdb_trader.feeds.dbn_symbols import Symbols
from tsdb_trader.feeds.files import find_files, reading

_NAME = re.compile(r".*\.dbn(\.zst|\.gz)?", re.IGNORECASE)
_ZSTD, _GZIP, _DBN = b"\x28\xb5\x2f\xfd", b"\x1f\x8b", b"DBN"
_PREFIX = 8
_VERSIONS = range(1, 4)
_LONGEST_METADATA = 64 << 20
_LEAST_DECIMALS = 4


def library() -> ModuleType:
    """Return the module `databento_dbn`.

    Raises
    ------
    ConfigurationError
        It is not installed.
    """
    try:
        import databento_dbn
    except ImportError:
        raise ConfigurationError(
            "format dbn needs the library databento-dbn: pip install 'tsdb-trader[feeds]'"
        ) from None
    return databento_dbn


@dataclass(frozen=True)
class Header:
    """What a file says about itself before its records."""

    version: int
    metadata: Any


class DbnFormat:
    """Reads DBN files of any schema; see `dbn_records` for what becomes of each record."""

    name = "dbn"

    def __init__(self, options: Options | None = None) -> None:
        self._options = options or Options()
        self._library = library()

    def discover(self, paths: Iterable[Path]) -> list[DataFile]:
        """Find the files, check their containers, and find how many decimals their prices need.

        Raises
        ------
        InputError
            A path cannot be read, or a file is no DBN file or a damaged one.
        """
        files = find_files(paths, _NAME, "DBN", "*.dbn.zst")
        return sorted(map(self._identify, files), key=lambda f: (f.content, str(f.path)))

    def open(self, file: DataFile) -> BinaryIO:
        """Return the uncompressed content."""
        return _unpacked(file.path)

    def decode(self, file: DataFile, content: BinaryIO, rules: Rules) -> Iterator[Block]:
        """Turn the records into blocks.

        Raises
        ------
        InputError
            The metadata cannot be read, or a record's length cannot be: nothing after it can be
            found.
        """
        header = self._header(file.path, content)
        symbols = Symbols.of(header.metadata)
        decoder = Decoder(
            self._library,
            header.version,
            bool(header.metadata.ts_out),
            symbols,
            rules,
            file.definition.price_scale,
            int(datetime.now(tz=UTC).timestamp()),
        )
        start = 0
        for frames in dbn_frames.read(content, str(file.path), base.BLOCK_ROWS):
            yield decoder.block(start, frames)
            start += len(frames)
        if start == 0:
            yield Block(0, 0)

    def _header(self, path: Path, content: BinaryIO) -> Header:
        prefix = dbn_frames.read_fully(content, _PREFIX)
        if prefix[:3] != _DBN or len(prefix) < _PREFIX:
            raise InputError(f"{path}: not a DBN file; expected one of Databento's *.dbn files")
        if prefix[3] not in _VERSIONS:
            raise InputError(f"{path}: DBN version {prefix[3]}; versions 1 to 3 can be read")
        length = int.from_bytes(prefix[4:8], "little")
        if length > _LONGEST_METADATA:
            raise InputError(f"{path}: its metadata are {length} bytes long: damaged; get it anew")
        rest = dbn_frames.read_fully(content, length)
        try:
            metadata = self._library.Metadata.decode(prefix + rest)
        except Exception as error:
            why = str(error).splitlines()[0]
            raise InputError(f"{path}: its metadata cannot be read ({why}); get it anew") from None
        return Header(prefix[3], metadata)

    def _identify(self, path: Path) -> DataFile:
        with reading(path), _unpacked(path) as content:
            header = self._header(path, content)
            decimals = dbn_frames.decimals(content, str(path))
        scale = max(decimals, _LEAST_DECIMALS)
        definition = Definition(kind=_kind(header.metadata.dataset), price_scale=scale)
        return DataFile(path, _content(header.metadata), definition=definition)


def _kind(dataset: str) -> str:
    """Return what the instruments of a dataset are: GLBX.MDP3 is CME Globex, and so on."""
    futures = ("GLBX", "IFEU", "IFUS", "NDEX", "XEUR", "XEEE")
    return "future" if dataset.split(".")[0] in futures else "equity"


def _content(metadata: Any) -> str:
    """Say what a file is about: dataset, schema, period, symbols."""
    period = "/".join(
        datetime.fromtimestamp(t // 10**9, UTC).strftime("%Y-%m-%dT%H:%M:%S") if t else "open"
        for t in (min(metadata.start, 2**63), min(metadata.end or 0, 2**63))
    )
    symbols = list(metadata.symbols)
    named = ",".join(symbols)
    if len(named) > 40:
        digest = hashlib.sha256("\n".join(symbols).encode()).hexdigest()[:8]
        named = f"{len(symbols)} symbols {digest}"
    limit = f"/first {metadata.limit}" if metadata.limit else ""
    return f"{metadata.dataset}/{metadata.schema or 'mixed'}/{period}/{named}{limit}"


def _unpacked(path: Path) -> BinaryIO:
    """Open a file and unpack it by what it begins with, whatever its name says."""
    with reading(path):
        file = path.open("rb")
        magic = file.read(4)
        if magic[:2] == _GZIP:
            file.close()
            return cast(BinaryIO, gzip.open(path))
        file.seek(0)
        return cast(BinaryIO, io.BufferedReader(_Zstd(file), 1 << 20)) if magic == _ZSTD else file


class _Zstd(io.RawIOBase):
    """Unpacks zstd, several frames as well, without holding the file in memory."""

    def __init__(self, file: BinaryIO) -> None:
        import pyarrow as pa

        self._file = file
        self._stream = pa.CompressedInputStream(file, "zstd")

    def readable(self) -> bool:
        """Return that it can be read."""
        return True

    def readinto(self, buffer: Any) -> int:
        """Read into a buffer; a damaged file is an `EOFError`, as of other containers."""
        try:
            read = self._stream.read(len(buffer))
        except OSError as error:
            raise EOFError(str(error)) from None
        buffer[: len(read)] = read
        return len(read)

    def close(self) -> None:
        """Close the file as well."""
        self._file.close()
        super().close()
