"""Loads files of ticks: each file once, in chunks, going on where an earlier load stopped."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import chain
from pathlib import Path
from typing import Literal, Protocol, TypeVar

import numpy as np

from tsdb_trader.api import market
from tsdb_trader.db import Connection
from tsdb_trader.errors import InputError, TraderError, UnknownObjectError
from tsdb_trader.feeds import pgcopy
from tsdb_trader.feeds.base import EPOCH, Decoded, Format, Kind, Rejected, TickFile, Ticks
from tsdb_trader.feeds.lean import LeanFormat

FORMATS: dict[str, Callable[[], Format]] = {"lean": LeanFormat}
CHUNK_ROWS = 200_000
"""Rows of a transaction: large enough that commits cost nothing, small enough to lose little."""
KEPT_BYTES = 256 << 20
"""How much unpacked content is kept from hashing to decoding."""

_T = TypeVar("_T")


@dataclass
class Counts:
    """Rows of this run; read = stored + quarantined."""

    read: int = 0
    stored: int = 0
    quarantined: int = 0

    def add(self, other: Counts) -> None:
        """Add another count to this one."""
        self.read += other.read
        self.stored += other.stored
        self.quarantined += other.quarantined


@dataclass
class FileReport:
    """What became of a file. Its counts are of this run: all 0 when it was loaded before."""

    file: str
    kind: Kind
    symbol: str
    content: str
    status: Literal["loaded", "resumed", "already_loaded"]
    counts: Counts = field(default_factory=Counts)


@dataclass
class Report:
    """What a load did."""

    feed: str
    files: list[FileReport] = field(default_factory=list)

    def total(self, kind: Kind) -> Counts:
        """Add up the files of one kind."""
        total = Counts()
        for file in self.files:
            if file.kind == kind:
                total.add(file.counts)
        return total

    @property
    def already_loaded(self) -> int:
        """How many files had nothing new."""
        return sum(file.status == "already_loaded" for file in self.files)


class Progress(Protocol):
    """Who wants to know how far a load is."""

    def file(self, file: TickFile, place: int, of: int) -> None:
        """Say that a file is next."""

    def rows(self, done: int, of: int) -> None:
        """Say how many of the file's rows are committed."""


class Silent:
    """Tells nobody."""

    def file(self, file: TickFile, place: int, of: int) -> None:
        """Say nothing."""

    def rows(self, done: int, of: int) -> None:
        """Say nothing."""


@dataclass(frozen=True)
class _Options:
    format: Format
    feed: str
    known_only: bool
    chunk_rows: int
    progress: Progress


def load(
    conn: Connection,
    format_name: str,
    paths: Sequence[Path],
    *,
    feed: str | None = None,
    known_only: bool = False,
    chunk_rows: int = CHUNK_ROWS,
    progress: Progress | None = None,
) -> Report:
    """Load files and folders.

    Every container is checked before the first row is stored, and every file is decoded as a
    whole before its first row is stored: a file that cannot be used leaves nothing behind.

    Parameters
    ----------
    conn
        An autocommit connection; each chunk is a transaction of its own.
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
    reader = FORMATS[format_name]()
    options = _Options(reader, feed or reader.name, known_only, chunk_rows, progress or Silent())
    files = reader.discover(paths)
    contents = _Contents(reader)
    shas = {file: contents.sha256(file) for file in files}
    done = market.complete_sources(conn, options.feed, list(shas.values()))
    # Small files first, so that a file is decoded by the time the one before it is stored.
    queue = sorted(files, key=lambda file: file.path.stat().st_size)
    waiting = [file for file in queue if (shas[file], file.content) not in done]
    prepared = (_prepare(options, file, contents.take(file, shas[file])) for file in waiting)
    reports: dict[TickFile, FileReport] = {}
    with _ahead(prepared) as results:
        for place, file in enumerate(queue, 1):
            options.progress.file(file, place, len(files))
            if (shas[file], file.content) in done:
                reports[file] = _report(file, "already_loaded")
            else:
                reports[file] = _load_file(conn, options, file, shas[file], next(results))
    return Report(options.feed, [reports[file] for file in files])


@contextmanager
def _ahead(items: Iterator[_T]) -> Iterator[Iterator[_T]]:
    """Take items in a thread, one ahead of who uses them; errors come when the item would."""
    with ThreadPoolExecutor(max_workers=1) as pool:
        nothing = object()
        first = pool.submit(next, items, nothing)

        def taken() -> Iterator[_T]:
            following = first
            while (item := following.result()) is not nothing:
                following = pool.submit(next, items, nothing)
                yield item  # type: ignore[misc]

        yield taken()


def _report(file: TickFile, status: Literal["loaded", "resumed", "already_loaded"]) -> FileReport:
    return FileReport(str(file.path), file.kind, file.symbol, file.content, status)


class _Contents:
    """Reads files to hash and again to decode, but unpacks once what fits into the memory."""

    def __init__(self, reader: Format) -> None:
        self._reader = reader
        self._kept: dict[TickFile, bytes] = {}
        self._room = KEPT_BYTES

    def sha256(self, file: TickFile) -> str:
        """Return the hash of a file's content, and keep the content while there is room."""
        content = self._reader.read(file)
        if len(content) <= self._room:
            self._room -= len(content)
            self._kept[file] = content
        return hashlib.sha256(content).hexdigest()

    def take(self, file: TickFile, sha256: str) -> bytes:
        """Return the content that was hashed."""
        if (kept := self._kept.pop(file, None)) is not None:
            return kept
        content = self._reader.read(file)
        if hashlib.sha256(content).hexdigest() != sha256:
            raise InputError(f"{file.path}: changed while it was loaded; load it again")
        return content


@dataclass(frozen=True)
class _Prepared:
    """A decoded file with its first chunk built: all that needs no database."""

    decoded: Decoded
    first: tuple[_Chunk, list[pgcopy.Records]]


def _prepare(options: _Options, file: TickFile, content: bytes) -> _Prepared:
    decoded = options.format.decode(file, content)
    return _Prepared(decoded, next(_built(decoded, 0, options.chunk_rows)))


def _load_file(
    conn: Connection, options: _Options, file: TickFile, sha256: str, prepared: _Prepared
) -> FileReport:
    market.lock_content(conn, options.feed, file.content)
    try:
        source = _open(conn, options, file, sha256)
        if source.status == "complete":
            return _report(file, "already_loaded")
        report = _report(file, "resumed" if source.next_row else "loaded")
        target = _target(options.format, file, source)
        decoded, fresh = prepared.decoded, source.next_row == 0
        start = prepared.first[0].stop if fresh else source.next_row
        with _ahead(_built(decoded, start, options.chunk_rows)) as others:
            for chunk, records in chain([prepared.first] if fresh else [], others):
                _store(conn, source, file, chunk, pgcopy.address(records, target))
                report.counts.add(
                    Counts(chunk.stop - chunk.start, len(chunk.ticks), len(chunk.rejected))
                )
                options.progress.rows(chunk.stop, decoded.rows)
        return report
    finally:
        if not conn.closed:
            market.unlock_content(conn, options.feed, file.content)


def _open(conn: Connection, options: _Options, file: TickFile, sha256: str) -> market.Source:
    try:
        return market.open_source(
            conn,
            feed=options.feed,
            file_format=options.format.name,
            sha256=sha256,
            content=file.content,
            name=str(file.path),
            kind=file.kind,
            symbol=file.symbol,
            known_only=options.known_only,
        )
    except UnknownObjectError:
        raise UnknownObjectError(
            f"{file.path}: symbol {file.symbol} is not registered; "
            "load without --known-only to register it"
        ) from None
    except TraderError as error:
        raise type(error)(f"{file.path}: {error}") from None


def _target(format_: Format, file: TickFile, source: market.Source) -> pgcopy.Target:
    if source.price_scale < format_.price_scale:
        raise InputError(
            f"{file.path}: prices have {format_.price_scale} decimals and {file.symbol} keeps "
            f"{source.price_scale}; register it with a price_scale of {format_.price_scale}"
        )
    return pgcopy.Target(
        source.instrument_id,
        source.source_id,
        source.feed_id,
        10 ** (source.price_scale - format_.price_scale),
        10**source.size_scale,
    )


@dataclass(frozen=True)
class _Chunk:
    start: int
    stop: int
    ticks: Ticks
    rejected: Sequence[Rejected]
    last: bool


def _built(
    decoded: Decoded, next_row: int, size: int
) -> Iterator[tuple[_Chunk, list[pgcopy.Records]]]:
    for chunk in _chunks(decoded, next_row, size):
        yield chunk, list(pgcopy.build(chunk.ticks))


def _chunks(decoded: Decoded, next_row: int, size: int) -> Iterator[_Chunk]:
    positions = [row.position for row in decoded.rejected]
    for start in range(next_row, decoded.rows, size):
        stop = min(start + size, decoded.rows)
        first, last = np.searchsorted(decoded.ticks.seq, (start, stop)).tolist()
        first_bad, last_bad = np.searchsorted(positions, (start, stop)).tolist()
        ticks = decoded.ticks.part(first, last)
        rejected = decoded.rejected[first_bad:last_bad]
        yield _Chunk(start, stop, ticks, rejected, stop == decoded.rows)


def _store(
    conn: Connection,
    source: market.Source,
    file: TickFile,
    chunk: _Chunk,
    pieces: Iterable[bytes],
) -> None:
    stored = len(chunk.ticks)
    with conn.transaction():
        if stored:
            market.copy_ticks(conn, file.kind, pgcopy.COLUMNS[file.kind], pieces)
        if chunk.rejected:
            rows = ((r.position, r.reason, r.raw) for r in chunk.rejected)
            market.quarantine(conn, source, str(file.path), rows)
        market.advance_source(
            conn,
            source.source_id,
            market.Advance(
                chunk.start,
                chunk.stop,
                stored,
                len(chunk.rejected),
                _time(int(chunk.ticks.ts[0])) if stored else None,
                _time(int(chunk.ticks.ts[-1])) if stored else None,
                chunk.last,
            ),
        )


def _time(microseconds: int) -> datetime:
    return EPOCH + timedelta(microseconds=microseconds)
