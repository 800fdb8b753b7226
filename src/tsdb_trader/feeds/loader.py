"""Loads files: each file once, block by block, going on where an earlier load stopped."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from threading import Lock
from typing import BinaryIO, Literal, Protocol

from tsdb_trader.api import market
from tsdb_trader.db import Connection
from tsdb_trader.errors import InputError, TraderError, UnknownObjectError
from tsdb_trader.feeds.base import DataFile, Format, Kind, Options, Rules
from tsdb_trader.feeds.csv_format import CsvFormat
from tsdb_trader.feeds.daily import DailyFormat
from tsdb_trader.feeds.dbn import DbnFormat
from tsdb_trader.feeds.files import reading
from tsdb_trader.feeds.itch import ItchFormat
from tsdb_trader.feeds.lean import LeanFormat
from tsdb_trader.feeds.news import NewsFormat
from tsdb_trader.feeds.parquet_format import ParquetFormat
from tsdb_trader.feeds.pcap import PcapFormat
from tsdb_trader.feeds.store import Built, Counts, SourceWriter, build
from tsdb_trader.feeds.taq import TaqFormat

FORMATS: dict[str, Callable[[Options], Format]] = {
    "csv": CsvFormat,
    "daily": DailyFormat,
    "dbn": DbnFormat,
    "itch": ItchFormat,
    "lean": LeanFormat,
    "news": NewsFormat,
    "parquet": ParquetFormat,
    "pcap": PcapFormat,
    "taq": TaqFormat,
}
KEPT_BYTES = 64 << 20
"""How much unpacked content is kept from hashing to decoding."""
_PIECE = 1 << 20


@dataclass
class FileReport:
    """What became of a file. Its counts are of this run: all 0 when it was loaded before.

    `stored` counts what its rows became, by kind; a row may become several.
    """

    file: str
    kind: Kind | None
    symbol: str | None
    content: str
    status: Literal["loaded", "resumed", "already_loaded"]
    counts: Counts = field(default_factory=Counts)
    stored: dict[str, int] = field(default_factory=dict)
    note: str = ""


@dataclass
class Report:
    """What a load did."""

    feed: str
    files: list[FileReport] = field(default_factory=list)

    def total(self, kind: str | None = None) -> Counts:
        """Add up the files, or those rows that are of one kind.

        Rows of a file of many kinds that were quarantined are of no kind.
        """
        total = Counts()
        for file in self.files:
            if kind in (None, file.kind):
                total.add(file.counts)
            elif file.kind is None and kind is not None:
                stored = file.stored.get(kind, 0)
                total.add(Counts(stored, stored, 0))
        return total

    @property
    def already_loaded(self) -> int:
        """How many files had nothing new."""
        return sum(file.status == "already_loaded" for file in self.files)


class Progress(Protocol):
    """Who wants to know how far a load is."""

    def file(self, file: DataFile, place: int, of: int) -> None:
        """Say that a file is next."""

    def rows(self, done: int) -> None:
        """Say how many of the file's rows are committed."""


class Silent:
    """Tells nobody."""

    def file(self, file: DataFile, place: int, of: int) -> None:
        """Say nothing."""

    def rows(self, done: int) -> None:
        """Say nothing."""


def load(
    conn: Connection,
    format_name: str,
    paths: Sequence[Path],
    *,
    feed: str | None = None,
    known_only: bool = False,
    options: Options | None = None,
    progress: Progress | None = None,
) -> Report:
    """Load files and folders.

    Every container is checked before the first row is stored. A file is decoded and stored block
    by block; what a load stored of a file it could not finish stays, and the next load goes on
    there.

    Parameters
    ----------
    conn
        An autocommit connection; each block is a transaction of its own.
    feed
        Name of the feed, by default that of the format.

    Raises
    ------
    InputError
        An unknown format or an unusable file; files before it stay loaded.
    UnknownObjectError
        A symbol is not registered and `known_only` forbids to do it.
    """
    if format_name not in FORMATS:
        known = ", ".join(sorted(FORMATS))
        raise InputError(f"unknown format {format_name!r}: use one of {known}")
    reader = FORMATS[format_name](options or Options())
    files = reader.discover(paths)
    contents = _Contents(reader)
    rules = Rules(**market.read_rules(conn, feed or reader.name))
    job = _Job(conn, reader, feed or reader.name, known_only, rules, contents, progress or Silent())
    # Unpacking and hashing leave the interpreter free: two files at a time.
    with ThreadPoolExecutor(max_workers=2) as pool:
        shas = dict(zip(files, pool.map(contents.sha256, files), strict=True))
    stored = market.complete_sources(conn, job.feed, list(shas.values()))
    done = stored | {(sha256, content.partition("/")[2]) for sha256, content in stored}
    # Small files first, so that a file is decoded by the time the one before it is stored.
    queue = sorted(files, key=lambda file: file.path.stat().st_size)
    waiting: dict[tuple[str, str], DataFile] = {}
    for file in queue:
        if (shas[file], file.identity) not in done:
            waiting.setdefault((shas[file], file.identity), file)
    reports: dict[DataFile, FileReport] = {}
    with _ahead(job.blocks(file) for file in waiting.values()) as blocks:
        for place, file in enumerate(queue, 1):
            job.progress.file(file, place, len(files))
            if waiting.get((shas[file], file.identity)) is file:
                reports[file] = job.load_file(file, shas[file], blocks)
            else:
                reports[file] = _report(file, "already_loaded")
    return Report(job.feed, [reports[file] for file in files])


_END = object()


@contextmanager
def _ahead(files: Iterable[Iterator[Built]]) -> Iterator[Callable[[], Built | None]]:
    """Build the blocks of all files in a thread, one ahead of who takes them.

    What is yielded returns the next block of the current file, and None at its end; errors come
    when the block would.
    """

    def produce() -> Iterator[Built | None]:
        for file in files:
            yield from file
            yield None

    blocks = produce()
    with ThreadPoolExecutor(max_workers=1) as pool:
        following = [pool.submit(next, blocks, None)]

        def take() -> Built | None:
            taken = following[0].result()
            following[0] = pool.submit(next, blocks, None)
            return taken

        yield take


def _report(file: DataFile, status: Literal["loaded", "resumed", "already_loaded"]) -> FileReport:
    return FileReport(str(file.path), file.kind, file.symbol, file.content, status, note=file.note)


class _Contents:
    """Reads files to hash and again to decode, but unpacks once what fits into the memory."""

    def __init__(self, reader: Format) -> None:
        self._reader = reader
        self._kept: dict[DataFile, bytes] = {}
        self._room = KEPT_BYTES
        self._lock = Lock()
        self._seen: dict[DataFile, tuple[int, int]] = {}

    def sha256(self, file: DataFile) -> str:
        """Return the hash of a file's content, and keep the content while there is room."""
        found = hashlib.sha256()
        self._seen[file] = _state(file.path)
        kept: list[bytes] | None = []
        with reading(file.path), self._reader.open(file) as content:
            size = 0
            while piece := content.read(_PIECE):
                found.update(piece)
                size += len(piece)
                if kept is not None and size <= self._room:
                    kept.append(piece)
                else:
                    kept = None
        with self._lock:
            if kept is not None and size <= self._room:
                self._room -= size
                self._kept[file] = b"".join(kept)
        return found.hexdigest()

    def take(self, file: DataFile) -> BinaryIO:
        """Return the content that was hashed."""
        if (kept := self._kept.pop(file, None)) is not None:
            self._room += len(kept)
            return io.BytesIO(kept)
        self.check(file)
        return self._reader.open(file)

    def check(self, file: DataFile) -> None:
        """Make sure that the file is still what was hashed."""
        if _state(file.path) != self._seen[file]:
            raise InputError(f"{file.path}: changed while it was loaded; load it again")


def _state(path: Path) -> tuple[int, int]:
    with reading(path):
        found = path.stat()
    return found.st_size, found.st_mtime_ns


@dataclass(frozen=True)
class _Job:
    conn: Connection
    format: Format
    feed: str
    known_only: bool
    rules: Rules
    contents: _Contents
    progress: Progress

    def blocks(self, file: DataFile) -> Iterator[Built]:
        """Decode a file and build its blocks."""
        with reading(file.path), self.contents.take(file) as content:
            for block in self.format.decode(file, content, self.rules):
                yield build(block)
        # Before the last block is stored, which waits for what comes after it.
        self.contents.check(file)

    def load_file(
        self, file: DataFile, sha256: str, take: Callable[[], Built | None]
    ) -> FileReport:
        """Store a file's blocks from its resume point on."""
        # First of all, so that a file that cannot be used leaves nothing behind.
        built = take()
        if built is None:
            raise InputError(f"{file.path}: there is nothing in it; get the file anew")
        market.lock_content(self.conn, self.feed, file.content)
        try:
            writer = self._open(file, sha256)
            if writer.source.status == "complete":
                while take() is not None:
                    pass
                return _report(file, "already_loaded")
            next_row = writer.source.next_row
            report = _report(file, "resumed" if next_row else "loaded")
            while built is not None:
                following = take()
                # The last block is stored even if empty, because it says that the file is done.
                if built.block.stop > next_row or following is None:
                    if built.block.start < next_row:
                        built = build(built.block.part(next_row, built.block.stop))
                    report.counts.add(writer.write(built, complete=following is None))
                    self.progress.rows(built.block.stop)
                built = following
            report.stored = writer.stored_by_kind
            return report
        finally:
            if not self.conn.closed:
                market.unlock_content(self.conn, self.feed, file.content)

    def _open(self, file: DataFile, sha256: str) -> SourceWriter:
        try:
            return SourceWriter(
                self.conn,
                self.feed,
                self.format.name,
                sha256,
                file.content,
                str(file.path),
                file.kind,
                file.symbol,
                file.definition,
                file.vocabulary,
                self.known_only,
            )
        except UnknownObjectError:
            raise UnknownObjectError(
                f"{file.path}: symbol {file.symbol} is not registered; "
                "load without --known-only to register it"
            ) from None
        except TraderError as error:
            raise type(error)(f"{file.path}: {error}") from None
